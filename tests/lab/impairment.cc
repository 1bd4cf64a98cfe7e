// SPDX-License-Identifier: BSD-3-Clause
#include "tests/lab/impairment.h"

#include <algorithm>

#include "tests/lab/differing.h"

namespace surgegate::lab {
namespace {

constexpr uint32_t always = 1000;  // permille
constexpr uint8_t not_data = testing::syn | testing::fin | testing::rst;
constexpr size_t recent_bytes_max = 8192;
constexpr uint32_t delay_us_max = 8000;  // a few times what the lab's round trip takes
// An acknowledgement of what was never sent: Linux discards the segment, the gate cannot know.
constexpr uint32_t wild_ack_ahead = 1u << 29;

uint32_t later(uint32_t a_seq, uint32_t b_seq) {
  return static_cast<int32_t>(b_seq - a_seq) > 0 ? b_seq : a_seq;
}

}  // namespace

Impairment::Impairment(uint64_t seed, Traits traits, Account& account)
    : random_(seed), traits_(traits), account_(account), plan_(make_plan()) {}

Impairment::Plan Impairment::make_plan() {
  auto one_of = [this](std::initializer_list<uint32_t> values) {
    return values.begin()[below(static_cast<uint32_t>(values.size()))];
  };
  return {.lost = one_of({0, 20, 50, 100}),
          .delayed = one_of({0, 50, 200}),
          .doubled = one_of({0, 50, 150}),
          .cut = one_of({0, 150, 400, 700}),
          .joined = one_of({0, 60}),
          .overlaps = one_of({0, 100, 300}),
          .differing = traits_.is_hostile ? one_of({300, 700, 1000}) : 0,
          .lost_back = one_of({0, 20, 60}),
          .delayed_back = one_of({0, 50, 150}),
          .doubled_back = one_of({0, 50})};
}

uint32_t Impairment::some_delay_us() {
  return 200 + below(delay_us_max);
}

std::vector<Outgoing> Impairment::to_gate(const TcpFrame& frame) {
  out_.clear();
  account_.frames++;
  if (frame.flags() & testing::syn) again_from_seq_ = discarded_end_seq_ = frame.seq();
  if (frame.payload.empty() || (frame.flags() & not_data) != 0)
    // A lost SYN costs a second, whatever the route's rto_min, and the resends behind it are slow.
    deliver(frame, frame.flags() & testing::syn ? plan_.lost / 10 : plan_.lost, plan_.delayed,
            plan_.doubled);
  else
    send_data(frame);
  return std::move(out_);
}

// A segment that is held for the next one goes with it, or not at all if another than the next one
// comes: that was a loss.
void Impairment::send_data(TcpFrame frame) {
  remember(frame);
  const bool was_held = held_.has_value();
  if (was_held && held_->end_seq() == frame.seq() &&
      held_->payload.size() + frame.payload.size() <= frame.payload_room()) {
    Bytes both = held_->payload;
    both.insert(both.end(), frame.payload.begin(), frame.payload.end());
    frame = frame.with(held_->seq(), std::move(both));
    account_.joined++;
  }
  held_.reset();
  if (!was_held && happens(plan_.joined)) {
    held_ = std::move(frame);
    return;
  }
  if (frame.seq() == acked_seq_ && happens(plan_.differing)) attack(frame);
  // What was judged as a whole and discarded must come as a whole: where a backend has a part of
  // it, what follows begins within what was judged, and cannot be compared (docs/decisions/0003).
  const bool is_whole = static_cast<int32_t>(discarded_end_seq_ - frame.seq()) > 0;
  if (!is_whole && happens(plan_.cut))
    send_cut(frame);
  else
    deliver(frame, plan_.lost, plan_.delayed, plan_.doubled);
  if (happens(plan_.overlaps)) send_again(frame);
}

// Mostly a few pieces anywhere; now and then one byte by itself, or a run of small ones. Their
// order is kept: what comes out of order was delayed. As many segments lose something as without
// the cuts, or few would ever come whole.
void Impairment::send_cut(const TcpFrame& frame) {
  account_.cut++;
  const auto size = static_cast<uint32_t>(frame.payload.size());
  const uint32_t piece_bytes_max = below(3) == 0 ? 1 + below(40) : size;
  constexpr uint32_t pieces_max = 8;
  const uint32_t lost_piece = happens(plan_.lost) ? 1 + below(3) : 0;
  uint32_t at = 0;
  for (uint32_t pieces = 1; at < size; pieces++) {
    const uint32_t bytes =
        pieces == pieces_max ? size : 1 + below(std::min(piece_bytes_max, size - at));
    const uint32_t end = std::min(size, at + bytes);
    deliver(frame.part(at, end), pieces == lost_piece ? always : 0, plan_.delayed, plan_.doubled);
    at = end;
  }
}

// Any part of what the client sent of late, in one segment that no stack would have cut so. But
// nothing that has been answered: together with the next request it would be what only a client
// that pipelines sends, which the gate gives no answer. And nothing that must come as a whole.
void Impairment::send_again(const TcpFrame& like) {
  const auto known = static_cast<uint32_t>(recent_.size());
  const auto asked = static_cast<int32_t>(recent_end_seq_ - again_from_seq_);
  if (asked <= 0) return;
  const uint32_t oldest = known - std::min(known, static_cast<uint32_t>(asked));
  const uint32_t first = oldest + below(known - oldest);
  const uint32_t bytes_max = std::min(known - first, static_cast<uint32_t>(like.payload_room()));
  const uint32_t end = first + 1 + below(bytes_max);
  Bytes bytes(recent_.begin() + first, recent_.begin() + end);
  account_.overlaps++;
  deliver(like.with(recent_end_seq_ - (known - first), std::move(bytes)), 0, plan_.delayed, 0);
}

// In front of the client's segment, in this order and without loss: either a part that differs, and
// is judged and read before the client's; or one that the gate judges and the backend discards,
// and then one that differs at its place, which must not be read. The latter only where the client
// knows that the backend has all that is before its request: an acknowledgement that is ahead makes
// the gate forget that, and a client that sent it again would never be heard.
void Impairment::attack(const TcpFrame& frame) {
  const std::optional<Differing> differing = some_differing(frame.payload, random_);
  if (!differing) return;
  const bool may_precede = differing->is_same_length_request;
  const bool may_follow = !begins_request_inside(frame.payload);
  if (!may_precede && !may_follow) return;
  account_.differing++;
  if (may_follow && (!may_precede || below(3) != 0)) {
    TcpFrame discarded = frame;
    discarded.set_ack(frame.ack() + wild_ack_ahead);
    out_.push_back({discarded.write()});
    discarded_end_seq_ = later(discarded_end_seq_, frame.end_seq());
    again_from_seq_ = later(again_from_seq_, frame.end_seq());
  }
  const size_t size = frame.payload.size();
  const size_t end = below(2) == 0 ? size : std::min(size, differing->end + below(40));
  out_.push_back({frame.with(frame.seq(), differing->bytes).part(0, end).write()});
}

std::vector<Outgoing> Impairment::to_client(const TcpFrame& frame, bool is_the_gates) {
  out_.clear();
  account_.frames++;
  if (is_the_gates && traits_.loses_answer && !frame.payload.empty()) {
    traits_.loses_answer = false;
    account_.answers_lost++;
    return {};
  }
  if (!frame.payload.empty()) again_from_seq_ = later(again_from_seq_, frame.ack());
  // The gate's answers are lost once and no more: of a client that asks again faster than any real
  // one does (rto_min), it answers but one resend and acknowledges the next.
  // And of a SYN-ACK that comes the second time Linux takes a round trip of a second, and waits for
  // several of those before each resend.
  const bool is_spared = is_the_gates || (frame.flags() & testing::syn) != 0;
  deliver(frame, is_spared ? 0 : plan_.lost_back, plan_.delayed_back, plan_.doubled_back);
  if (!is_the_gates && !out_.empty()) acked_seq_ = frame.ack();
  return std::move(out_);
}

void Impairment::deliver(const TcpFrame& frame, uint32_t lost, uint32_t delayed, uint32_t doubled) {
  if (happens(lost)) {
    account_.lost++;
    return;
  }
  uint32_t delay_us = happens(delayed) ? some_delay_us() : 0;
  if (delay_us > 0) account_.delayed++;
  out_.push_back({frame.write(), delay_us});
  if (!happens(doubled)) return;
  account_.doubled++;
  if (below(2) == 0) delay_us += some_delay_us();
  out_.push_back({frame.write(), delay_us});
}

void Impairment::remember(const TcpFrame& frame) {
  const auto ahead = static_cast<int32_t>(frame.seq() - recent_end_seq_);
  if (ahead > 0 || recent_.empty()) recent_.clear();
  const auto known = recent_.empty() ? 0 : static_cast<int32_t>(frame.end_seq() - recent_end_seq_);
  if (!recent_.empty() && known <= 0) return;  // all of it is there
  const size_t fresh = recent_.empty() ? frame.payload.size() : static_cast<size_t>(known);
  recent_.insert(recent_.end(), frame.payload.end() - static_cast<ptrdiff_t>(fresh),
                 frame.payload.end());
  recent_end_seq_ = frame.end_seq();
  if (recent_.size() > recent_bytes_max)
    recent_.erase(recent_.begin(), recent_.end() - static_cast<ptrdiff_t>(recent_bytes_max));
}

}  // namespace surgegate::lab
