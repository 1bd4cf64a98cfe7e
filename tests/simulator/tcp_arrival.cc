// SPDX-License-Identifier: BSD-3-Clause
// What a TCP does with a segment that arrives [RFC 9293 section 3.10.7].
#include <algorithm>

#include "tests/simulator/tcp_endpoint.h"

namespace surgegate::simulator {

using testing::ack;
using testing::fin;
using testing::psh;
using testing::rst;
using testing::syn;

void TcpEndpoint::receive(const Segment& segment) {
  switch (state_) {
    case State::fresh:
      return receive_syn(segment);
    case State::syn_sent:
      return receive_syn_ack(segment);
    case State::syn_received:
    case State::open:
      return receive_open(segment);
    case State::over:
      if (const std::optional<Segment> refusal = refusal_of(segment)) hooks_.send(*refusal);
  }
}

void TcpEndpoint::receive_syn(const Segment& segment) {
  state_ = State::syn_received;
  inbox_.open(segment.seq);
  stamps_ = habits_.stamps && segment.stamps;
  if (stamps_) recent_stamp_ = segment.stamps->value;
  mss_theirs_bytes_ = segment.mss.value_or(536);
  window_theirs_ = segment.window;
  send_syn();
}

void TcpEndpoint::receive_syn_ack(const Segment& segment) {
  const bool acks = segment.has(ack) && segment.ack_seq == outbox_.seq_of(1);
  if (segment.has(ack) && !acks) {
    if (const std::optional<Segment> refusal = refusal_of(segment)) hooks_.send(*refusal);
    return;
  }
  if (segment.has(rst)) {
    if (acks) end(Ended::reset);
    return;
  }
  if (!acks || !segment.has(syn)) return;
  inbox_.open(segment.seq);
  stamps_ = stamps_ && segment.stamps;
  if (stamps_) recent_stamp_ = segment.stamps->value;
  mss_theirs_bytes_ = segment.mss.value_or(536);
  opened(segment);
  send_ack();
  hooks_.opened();
}

void TcpEndpoint::opened(const Segment& segment) {
  state_ = State::open;
  window_theirs_ = segment.window;
  // RFC 6691: the MSS does not count options.
  const auto mss =
      static_cast<uint16_t>(std::min(mss_theirs_bytes_, habits_.mss_bytes) - (stamps_ ? 12 : 0));
  outbox_.opened(mss);
  outbox_.set_window(window_theirs_);
  resend_timer_.stop();
  timeout_.progressed();
  keep_alive();
}

bool TcpEndpoint::is_stale(const Segment& segment) const {
  return stamps_ && segment.stamps && !segment.has(rst) &&
         static_cast<int32_t>(segment.stamps->value - recent_stamp_) < 0;
}

void TcpEndpoint::receive_open(const Segment& segment) {
  const uint64_t place = inbox_.place_of(segment.seq);
  const uint64_t length =
      segment.payload.size() + (segment.has(fin) ? 1 : 0) + (segment.has(syn) ? 1 : 0);
  if (state_ == State::syn_received && segment.has(syn) && !segment.has(ack) &&
      place == inbox_.next() - 1)
    return send_syn();
  if (stamps_ && !segment.stamps && !segment.has(rst)) return;  // RFC 7323 section 3.2
  if (is_stale(segment)) return send_ack();
  if (!inbox_.is_acceptable(place, length)) {
    if (!segment.has(rst)) send_ack();
    return;
  }
  // RFC 5961 sections 3.2 and 4.2.
  if (segment.has(rst)) return place == inbox_.next() ? end(Ended::reset) : send_ack();
  if (segment.has(syn)) return send_ack();
  if (!segment.has(ack)) return;
  if (stamps_ && static_cast<int64_t>(place) <= static_cast<int64_t>(acked_place_))
    recent_stamp_ = segment.stamps->value;
  probes_ = 0;
  if (!take_ack(segment)) return;
  if (!segment.payload.empty() || segment.has(fin)) take_data(segment, place);
  pump();
  end_if_done();
}

// False: the segment acknowledges what was never sent, or something very old [RFC 5961
// section 5.2].
bool TcpEndpoint::take_ack(const Segment& segment) {
  if (state_ == State::syn_received) {
    if (segment.ack_seq != outbox_.seq_of(1)) {
      hooks_.send(*refusal_of(segment));
      return false;
    }
    opened(segment);
    hooks_.opened();
  }
  const auto place = static_cast<int64_t>(outbox_.place_of(segment.ack_seq));
  const auto una = static_cast<int64_t>(outbox_.una());
  if (place > static_cast<int64_t>(outbox_.newest()) || place < una - 65'535) {
    send_ack();
    return false;
  }
  const bool is_same_window = window_theirs_ == segment.window;
  if (place >= una) {
    window_theirs_ = segment.window;
    outbox_.set_window(window_theirs_);
  }
  if (place > una) {
    duplicates_ = 0;
    timeout_.progressed();
    timeout_.acknowledged(static_cast<uint64_t>(place), events_.now_ns());
    outbox_.acknowledged(static_cast<uint64_t>(place));
    resend_timer_.stop();
    if (outbox_.waits()) wait_for_ack();
  } else if (place == una && outbox_.waits() && is_same_window && segment.payload.empty() &&
             !segment.has(fin)) {
    take_duplicate();
  }
  return true;
}

// RFC 5681 section 3.2.
void TcpEndpoint::take_duplicate() {
  if (++duplicates_ != 3) return;
  outbox_.lost(false);
  send_piece(outbox_.first());
}

void TcpEndpoint::take_data(const Segment& segment, uint64_t place) {
  const bool had_holes = inbox_.has_holes(), had_finished = inbox_.has_finished();
  const uint64_t before = inbox_.next();
  const std::string bytes = inbox_.take(place, segment.payload, segment.has(fin));
  const bool in_order = !had_holes && inbox_.next() != before;
  acknowledge(!in_order || inbox_.has_finished());
  if (!bytes.empty()) hooks_.read(bytes);
  if (state_ == State::open && inbox_.has_finished() && !had_finished) hooks_.read_end();
}

// Every second segment, at once where something is missing or came twice, else within 40 ms
// [RFC 5681 section 4.2].
void TcpEndpoint::acknowledge(bool at_once) {
  unacked_segments_++;
  if (at_once || !habits_.delays_acks || unacked_segments_ >= 2) return send_ack();
  if (!ack_timer_.runs()) ack_timer_.start(40 * ms, [this] { send_ack(); });
}

}  // namespace surgegate::simulator
