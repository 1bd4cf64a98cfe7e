// SPDX-License-Identifier: BSD-3-Clause
// What is sent again is compared with what was judged: with the bytes themselves where they are
// kept, else with the hashes of the ranges that were judged, each as a whole. Above all that is
// remembered and below next_seq there is nothing but body.
#include <algorithm>
#include <cstring>

#include "dataplane/path/track.h"

namespace surgegate {
namespace {

// Where two runs of the stream overlap: [first, last), as distances from the first one's start.
struct Overlap {
  int32_t first;
  int32_t last;

  bool is_empty() const { return first >= last; }
};

Overlap overlap_of(uint32_t a_seq, uint32_t a_bytes, uint32_t b_seq, uint32_t b_bytes) {
  int32_t b_first = seq_distance(a_seq, b_seq);
  int32_t b_last = seq_distance(a_seq, b_seq + b_bytes);
  return {std::max(0, b_first), std::min(static_cast<int32_t>(a_bytes), b_last)};
}

#ifdef SURGEGATE_FORGETFUL  // for the live tests one_reading and impaired, which must fail with it
constexpr bool forgets = true;
#else
constexpr bool forgets = false;
#endif

KeptRange as_range(const sg_judged& judged) {
  return {judged.start_seq, judged.hash, judged.length_bytes, 0};
}

}  // namespace

// Nothing from before this is taken any more.
uint32_t Tracker::floor_seq(const sg_flow& flow) const {
  if (flow.marks & SG_FLOW_BODY_BEFORE) return flow.body_seq;
  const KeptHead* kept = heads_.of(flow);
  bool has_ranges = kept != nullptr && kept->ranges_count > 0;
  return has_ranges ? kept->range(0).start_seq : flow.judged.start_seq;
}

Tracker::Comparison Tracker::compare_bytes(const Lane& lane, uint32_t end_seq) const {
  const KeptHead* kept = heads_.of(*lane.flow);
  if (kept == nullptr) return Comparison::none;
  uint32_t seq = lane.packet.seq;
  Overlap o = overlap_of(seq, end_seq - seq, kept->start_seq, kept->length_bytes);
  if (o.is_empty()) return Comparison::none;
  int32_t at = seq_distance(kept->start_seq, seq) + o.first;
  auto bytes = static_cast<size_t>(o.last - o.first);
  bool same = std::memcmp(payload_of(lane) + o.first, kept->bytes + at, bytes) == 0;
  return same ? Comparison::same : Comparison::differs;
}

// Whether the payload from this offset on is another than what was forwarded of the same place.
bool Tracker::differs_ahead(const Lane& lane, uint32_t offset) const {
  if (forgets || (lane.flow->marks & SG_FLOW_AHEAD) == 0) return false;
  const KeptHead* kept = heads_.of(*lane.flow);
  return kept != nullptr && !kept->agrees(lane.packet.seq + offset, payload_from(lane, offset));
}

// From the newest range back to those that end before the segment begins.
Tracker::Comparison Tracker::compare_ranges(Lane& lane, uint32_t end_seq) const {
  const sg_flow& flow = *lane.flow;
  const KeptHead* kept = heads_.of(flow);
  uint32_t seq = lane.packet.seq;
  Comparison all = Comparison::none;
  for (uint32_t left = kept == nullptr ? 0 : kept->ranges_count, i = left;; i--) {
    KeptRange range = i == left ? as_range(flow.judged) : kept->range(i);
    if (seq_distance(seq, range.start_seq + range.length_bytes) <= 0) return all;
    bool has_bytes = kept != nullptr && kept->has_head_bytes(range);
    Overlap o = overlap_of(seq, end_seq - seq, range.start_seq, range.length_bytes);
    if (!o.is_empty() && !has_bytes) {
      bool is_whole = o.last - o.first == range.length_bytes;
      bool same = is_whole && range.hash == judged_hash(secret_, payload_of(lane) + o.first,
                                                        range.length_bytes);
      // What ends within a range goes up to where that begins; the rest is sent again from there.
      bool may_cut = !is_whole && o.first > 0;
      if (!same && !may_cut) return Comparison::differs;
      if (may_cut) lane.cut_at = static_cast<uint16_t>(o.first);
      all = Comparison::same;
    }
    if (i == 0) return all;
  }
}

// What the segment's bytes up to end_seq are, all of which were judged before: body, or a resend
// that is the same, or what must not go on. A single byte in front of the next one asks whether
// somebody is there [RFC 9293 section 3.8.4], and may be any: it goes without that byte, which a
// backend that waits for it would take.
sg_findings Tracker::compare_old(Lane& lane, uint32_t end_seq) const {
  const sg_flow& flow = *lane.flow;
  bool is_older = seq_distance(floor_seq(flow), lane.packet.seq) < 0;
  Comparison bytes = is_older ? Comparison::none : compare_bytes(lane, end_seq);
  Comparison ranges = is_older ? Comparison::none : compare_ranges(lane, end_seq);
  bool differs = !forgets && (bytes == Comparison::differs || ranges == Comparison::differs);
  if ((is_older || differs) && lane.packet.payload_length == 1 && end_seq == flow.next_seq) {
    lane.cut_at = 0;
    return SG_FOUND(resend);
  }
  if (is_older) return SG_FOUND(old_data);
  if (differs) return SG_FOUND(resend_differs);
  bool none = bytes == Comparison::none && ranges == Comparison::none;
  return none ? SG_FOUND(body) : SG_FOUND(resend);
}

}  // namespace surgegate
