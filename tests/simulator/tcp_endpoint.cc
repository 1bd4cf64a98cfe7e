// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/tcp_endpoint.h"

#include <algorithm>

namespace surgegate::simulator {

using testing::ack;
using testing::fin;
using testing::psh;
using testing::rst;
using testing::syn;

TcpEndpoint::TcpEndpoint(Events& events, bool is_client, uint16_t client_port,
                         const TcpHabits& habits, Hooks hooks)
    : events_(events),
      is_client_(is_client),
      port_(client_port),
      habits_(habits),
      hooks_(std::move(hooks)),
      inbox_(habits.window_bytes),
      outbox_(habits.isn, habits.resend, habits.nagle),
      resend_timer_(events),
      ack_timer_(events),
      linger_timer_(events),
      alive_timer_(events),
      stamps_(habits.stamps) {}

void TcpEndpoint::connect() {
  state_ = State::syn_sent;
  send_syn();
}

void TcpEndpoint::write(const std::string& bytes) {
  if (state_ == State::over) return;
  outbox_.write(bytes);
  pump();
}

void TcpEndpoint::close() {
  if (state_ == State::over) return;
  closed_first_ = !inbox_.has_finished();
  outbox_.finish();
  pump();
}

void TcpEndpoint::abort() {
  if (state_ == State::over) return;
  Segment segment = blank(rst | ack);
  segment.seq = outbox_.seq_of(outbox_.newest());
  hooks_.send(segment);
  end(Ended::aborted);
}

std::optional<Segment> TcpEndpoint::refusal_of(const Segment& segment) {
  if (segment.has(rst)) return {};
  Segment refusal;
  refusal.to_service = !segment.to_service;
  refusal.client_port = segment.client_port;
  refusal.flags = rst;
  if (segment.has(ack)) {
    refusal.seq = segment.ack_seq;
    return refusal;
  }
  const uint32_t marks = (segment.has(syn) ? 1 : 0) + (segment.has(fin) ? 1 : 0);
  refusal.flags = rst | ack;
  refusal.ack_seq = segment.seq + static_cast<uint32_t>(segment.payload.size()) + marks;
  return refusal;
}

Segment TcpEndpoint::blank(uint8_t flags) const {
  Segment segment;
  segment.to_service = is_client_;
  segment.client_port = port_;
  segment.flags = flags;
  segment.seq = outbox_.seq_of(outbox_.newest());
  if (flags & ack) segment.ack_seq = inbox_.ack_seq();
  segment.window = inbox_.window_bytes();
  const auto clock = habits_.first_stamp + static_cast<uint32_t>(events_.now_ns() / ms);
  if (stamps_) segment.stamps = Timestamps{clock, flags & ack ? recent_stamp_ : 0};
  return segment;
}

void TcpEndpoint::send_syn() {
  Segment segment = blank(state_ == State::syn_sent ? syn : syn | ack);
  segment.seq = outbox_.seq_of(0);
  segment.mss = habits_.mss_bytes;
  hooks_.send(segment);
  wait_for_ack();
}

void TcpEndpoint::send_piece(const Piece& piece) {
  Segment segment = blank(ack);
  segment.seq = outbox_.seq_of(piece.from);
  segment.payload = outbox_.bytes(piece);
  if (piece.fin) segment.flags |= fin;
  if (!outbox_.has_unsent()) segment.flags |= psh;
  acked_place_ = inbox_.next();
  unacked_segments_ = 0;
  ack_timer_.stop();
  if (piece.is_new)
    timeout_.sent(piece.to, events_.now_ns());
  else
    timeout_.sent_again();
  hooks_.send(segment);
  if (!resend_timer_.runs()) wait_for_ack();
}

void TcpEndpoint::send_ack() {
  acked_place_ = inbox_.next();
  unacked_segments_ = 0;
  ack_timer_.stop();
  hooks_.send(blank(ack));
}

void TcpEndpoint::pump() {
  while (state_ == State::open) {
    const std::optional<Piece> piece = outbox_.next();
    if (!piece) break;
    send_piece(*piece);
  }
  held_back_ |= state_ == State::open && outbox_.has_unsent();
}

void TcpEndpoint::wait_for_ack() {
  resend_timer_.start(timeout_.now_ns(), [this] { time_out(); });
}

void TcpEndpoint::time_out() {
  if (timeout_.gives_up()) return end(Ended::gave_up);
  timeout_.expired();
  timeout_.sent_again();
  if (state_ != State::open) return send_syn();
  outbox_.lost(true);
  wait_for_ack();
  pump();
}

// RFC 9293 section 3.8.4: the number before the next one, without a byte.
void TcpEndpoint::keep_alive() {
  if (habits_.probes_max == 0 || state_ != State::open) return;
  alive_timer_.start(10 * s, [this] {
    if (probes_++ >= habits_.probes_max) return end(Ended::gave_up);
    if (!outbox_.waits()) {
      Segment probe = blank(ack);
      probe.seq--;
      hooks_.send(probe);
    }
    keep_alive();
  });
}

void TcpEndpoint::end(Ended how) {
  state_ = State::over;
  ended_ = how;
  for (Timer* timer : {&resend_timer_, &ack_timer_, &linger_timer_, &alive_timer_}) timer->stop();
  hooks_.ended();
}

// Whoever closed first stays for a minute, to acknowledge the other's FIN again. Where the other
// has nothing more to say but does not close, it is given up after as long (Linux's fin_timeout).
void TcpEndpoint::end_if_done() {
  if (state_ != State::open || !outbox_.is_done()) return;
  if (inbox_.has_finished() && !closed_first_) return end(Ended::closed);
  if (linger_timer_.runs() && !inbox_.has_finished()) return;
  linger_timer_.start(60 * s,
                      [this] { end(inbox_.has_finished() ? Ended::closed : Ended::gave_up); });
}

}  // namespace surgegate::simulator
