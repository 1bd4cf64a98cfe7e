// SPDX-License-Identifier: BSD-3-Clause
// What a bad path does to one connection, by a schedule that a seed gives: it loses frames, delays
// them past others, doubles them; cuts segments, joins them, sends parts of the stream again. A
// hostile path also sends what differs. The n-th frame of a connection meets the n-th decision, so
// that a seed repeats a run as far as the stacks at both ends repeat themselves.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "tests/lab/tcp_frame.h"

namespace surgegate::lab {

// What was done, over all connections.
struct Account {
  uint64_t frames = 0, lost = 0, delayed = 0, doubled = 0;
  uint64_t cut = 0, joined = 0, overlaps = 0;
  uint64_t differing = 0;     // segments that differ from the client's
  uint64_t answers_lost = 0;  // the gate's own
  uint64_t queue_full = 0;    // frames that could not be delayed
};

struct Traits {
  bool is_hostile = false;
  bool loses_answer = false;  // the gate's first answer never arrives
};

struct Outgoing {
  Bytes frame;
  uint32_t delay_us = 0;
};

class Impairment {
 public:
  Impairment(uint64_t seed, Traits traits, Account& account);

  // What is sent on for a frame of the client's, and for one to it.
  std::vector<Outgoing> to_gate(const TcpFrame& frame);
  std::vector<Outgoing> to_client(const TcpFrame& frame, bool is_the_gates);

 private:
  // Of 1,000 segments, to how many each happens. Drawn for each connection: most meet some of it.
  struct Plan {
    uint32_t lost, delayed, doubled, cut, joined, overlaps, differing;
    uint32_t lost_back, delayed_back, doubled_back;
  };

  uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  bool happens(uint32_t permille) { return below(1000) < permille; }
  uint32_t some_delay_us();
  Plan make_plan();

  void send_data(TcpFrame frame);
  void send_cut(const TcpFrame& frame);
  void send_again(const TcpFrame& like);
  void attack(const TcpFrame& frame);
  void deliver(const TcpFrame& frame, uint32_t lost, uint32_t delayed, uint32_t doubled);
  void remember(const TcpFrame& frame);

  std::mt19937_64 random_;
  Traits traits_;
  Account& account_;
  Plan plan_;
  std::vector<Outgoing> out_;
  Bytes recent_;  // of the client's stream, up to recent_end_seq_
  uint32_t recent_end_seq_ = 0;
  uint32_t again_from_seq_ = 0;  // from here on it may be sent again
  uint32_t acked_seq_ = 0;       // up to here the backend has everything, and has said so
  uint32_t discarded_end_seq_ =
      0;  // up to here the gate may have judged what the backend discarded
  std::optional<TcpFrame> held_;
};

}  // namespace surgegate::lab
