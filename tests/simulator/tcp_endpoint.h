// SPDX-License-Identifier: BSD-3-Clause
// One end of a TCP connection, by RFC 9293, with delayed acknowledgements, retransmission [RFC
// 6298], fast retransmit [RFC 5681], timestamps with PAWS [RFC 7323] and challenge acknowledgements
// [RFC 5961]. No SACK and no window scale.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tests/simulator/events.h"
#include "tests/simulator/segment.h"
#include "tests/simulator/tcp_inbox.h"
#include "tests/simulator/tcp_outbox.h"
#include "tests/simulator/tcp_timeout.h"

namespace surgegate::simulator {

struct TcpHabits {
  uint32_t isn = 0;
  uint16_t mss_bytes = 1460;
  uint32_t window_bytes = 65'535;
  bool stamps = true;
  uint32_t first_stamp = 1;
  bool delays_acks = true;
  bool nagle = false;
  Resend resend = Resend::collapsed;
  uint32_t probes_max = 0;  // keep-alive, every 10 s; 0: none
};

enum class Ended : uint8_t {
  no,
  closed,   // both sides said that they had nothing more, and heard of it
  reset,    // by the other side
  aborted,  // by this side
  gave_up   // what was sent was never acknowledged, or the other side vanished
};

class TcpEndpoint {
 public:
  struct Hooks {
    std::function<void(const Segment&)> send;
    std::function<void()> opened;
    std::function<void(std::string_view)> read;
    std::function<void()> read_end;
    std::function<void()> ended;
  };

  TcpEndpoint(Events& events, bool is_client, uint16_t client_port, const TcpHabits& habits,
              Hooks hooks);

  void connect();
  void receive(const Segment& segment);  // a server's first one is a SYN
  void write(const std::string& bytes);
  void close();  // nothing more is written
  void abort();

  Ended ended() const { return ended_; }
  // Something once had to wait before it was sent: for a window, or as Nagle has it.
  bool held_back() const { return held_back_; }
  uint16_t client_port() const { return port_; }

  // What a host without such a connection says to a segment [RFC 9293 section 3.10.7.1].
  static std::optional<Segment> refusal_of(const Segment& segment);

 private:
  enum class State : uint8_t { fresh, syn_sent, syn_received, open, over };

  // tcp_endpoint.cc: what is sent, and when again
  Segment blank(uint8_t flags) const;
  void send_syn();
  void send_piece(const Piece& piece);
  void send_ack();
  void pump();
  void wait_for_ack();
  void time_out();
  void keep_alive();
  void end(Ended how);
  void end_if_done();

  // tcp_arrival.cc: what comes
  void receive_syn(const Segment& segment);
  void receive_syn_ack(const Segment& segment);
  void receive_open(const Segment& segment);
  bool is_stale(const Segment& segment) const;
  bool take_ack(const Segment& segment);
  void take_duplicate();
  void take_data(const Segment& segment, uint64_t place);
  void acknowledge(bool at_once);
  void opened(const Segment& segment);

  Events& events_;
  bool is_client_;
  uint16_t port_;
  TcpHabits habits_;
  Hooks hooks_;
  State state_ = State::fresh;
  Ended ended_ = Ended::no;
  Inbox inbox_;
  Outbox outbox_;
  Timeout timeout_;
  Timer resend_timer_, ack_timer_, linger_timer_, alive_timer_;
  bool stamps_;                // both sides want them
  uint32_t recent_stamp_ = 0;  // TS.Recent
  uint64_t acked_place_ = 0;   // Last.ACK.sent
  uint16_t mss_theirs_bytes_ = 536;
  uint32_t window_theirs_ = 0;
  int duplicates_ = 0;
  uint32_t unacked_segments_ = 0;
  uint32_t probes_ = 0;
  bool closed_first_ = false, held_back_ = false;
};

}  // namespace surgegate::simulator
