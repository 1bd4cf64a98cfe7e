// SPDX-License-Identifier: BSD-3-Clause
// What is remembered of that which was judged, for as long as it may be sent again. (resend.cc:
// what is sent again.)
#include <algorithm>

#include "dataplane/path/track.h"

namespace surgegate {

// What a head follows is forgotten where an answer to it was acknowledged: the backend has read it.
// (Or else the backend discards what acknowledges that, and below the floor nothing is taken.)
void Tracker::note_syntax(Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (lane.syntax_end <= lane.syntax_first) return;
  bool begins_head = (lane.advance == Advance::piece || lane.advance == Advance::request) &&
                     (flow.flags & SG_FLOW_IN_HEAD) == 0;
  bool is_first = lane.judged_end == 0;
  if (begins_head && is_first && !lane.waits)
    begin_memory_at(flow, lane.packet.seq + lane.head_offset);
  if (is_first) lane.judged_first = lane.syntax_first;
  lane.judged_end = lane.syntax_end;
  note_stamp(flow, lane.packet);
}

// .. but for a body in front of it, which the backend may not have taken as a whole yet.
void Tracker::begin_memory_at(sg_flow& flow, uint32_t head_seq) {
  uint32_t body_seq = flow.judged.start_seq + flow.judged.length_bytes;
  bool has_body = (flow.marks & SG_FLOW_EARLIER) == 0 && flow.judged.length_bytes > 0 &&
                  seq_distance(body_seq, head_seq) > 0;
  release(flow, head_seq);
  if (!has_body) return;
  flow.marks |= SG_FLOW_BODY_BEFORE;
  flow.body_seq = body_seq;
}

void Tracker::release(sg_flow& flow, uint32_t from_seq) {
  forget_ranges(flow);
  flow.judged.start_seq = from_seq;
  flow.judged.length_bytes = 0;
}

// All but the newest, and the body that may be sent again in front of it; and the record with them
// if it is kept for no other reason.
void Tracker::forget_ranges(sg_flow& flow) {
  flow.marks &= static_cast<uint8_t>(~SG_FLOW_BODY_BEFORE);
  if ((flow.marks & SG_FLOW_AHEAD) == 0) return heads_.give_back(flow);
  if (KeptHead* kept = heads_.of(flow)) kept->ranges_count = 0;
}

// The judged part of this segment becomes the newest range, behind the one that was.
void Tracker::remember(Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (lane.judged_end == 0) return;
  const uint32_t bytes = uint32_t{lane.judged_end} - lane.judged_first;
  remember_parts(flow, lane.packet.seq + lane.judged_first,
                 payload_from(lane, lane.judged_first).substr(0, bytes));
  lane.judged_end = 0;
}

// One range for each segment of which it was forwarded before those in front of it, for each may be
// sent again by itself: TCP cuts at what it has acknowledged, and what it has of the rest [RFC
// 2018].
void Tracker::remember_parts(sg_flow& flow, uint32_t seq, std::string_view bytes) {
  const KeptHead* kept = (flow.marks & SG_FLOW_AHEAD) != 0 ? heads_.of(flow) : nullptr;
  while (!bytes.empty()) {
    const auto left = static_cast<uint32_t>(bytes.size());
    const uint32_t part = kept == nullptr ? left : kept->bytes_to_edge(seq, left);
    remember_part(flow, seq, bytes.substr(0, part));
    seq += part;
    bytes.remove_prefix(part);
  }
}

// Of what lies in front of the oldest range nothing is taken any more. So the bytes of a head that
// was judged go with its ranges; those of one that is read are needed.
void Tracker::remember_part(sg_flow& flow, uint32_t seq, std::string_view bytes) {
  if (flow.judged.length_bytes > 0) {
    KeptHead* kept = heads_.of(flow);
    // Of bytes that are lost nothing can be said by an empty record: heads_.of() has to tell.
    bool is_lost = kept == nullptr &&
                   ((flow.marks & SG_FLOW_AHEAD) != 0 || (flow.flags & SG_FLOW_IN_HEAD) != 0);
    if (is_lost) return;
    if (kept == nullptr) kept = &heads_.take(flow);
    if (kept->add_range({flow.judged.start_seq, flow.judged.hash, flow.judged.length_bytes, 0})) {
      counters_.ranges_forgotten++;
      bool is_older = seq_distance(kept->start_seq, kept->range(0).start_seq) > 0;
      if (is_older && (flow.flags & SG_FLOW_IN_HEAD) == 0) kept->length_bytes = 0;
      flow.marks &= static_cast<uint8_t>(~SG_FLOW_BODY_BEFORE);
    }
  }
  flow.judged.start_seq = seq;
  flow.judged.hash = judged_hash(secret_, reinterpret_cast<const uint8_t*>(bytes.data()),
                                 static_cast<uint32_t>(bytes.size()));
  flow.judged.length_bytes = static_cast<uint16_t>(bytes.size());
}

void Tracker::note_stamp(sg_flow& flow, const sg_packet& packet) {
  if (!packet.has_timestamps) return;
  if (flow.newest_stamp == 0 || seq_distance(flow.newest_stamp, packet.ts_value) > 0)
    flow.newest_stamp = std::max(packet.ts_value, 1u);
}

}  // namespace surgegate
