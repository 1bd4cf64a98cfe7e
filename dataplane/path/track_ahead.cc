// SPDX-License-Identifier: BSD-3-Clause
// Bytes beyond a hole of the stream. They go on, so that TCP need not send them again, and a copy
// is kept: what fills the hole is judged together with them, as if all had come in order. A backend
// reads nothing of them before that. But it has them, and only the hole holds them back: so what
// looks like a whole request does not go on, and where one did all the same (behind a body, whose
// end only its head tells), the hole stays until it is admitted, however often that is tried.
#include <algorithm>

#include "dataplane/path/earlier.h"
#include "dataplane/path/empty_line.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

constexpr uint8_t kept_in_order = SG_FLOW_UPGRADE | SG_FLOW_OTHER | SG_FLOW_PIPELINED;

}  // namespace

// distance_bytes: from where the next head or chunk header is read to the segment's first byte.
void Tracker::read_ahead(Lane& lane, uint32_t distance_bytes) {
  sg_reason reason = ahead_fault(lane, distance_bytes);
  lane.found |= sg_finding(reason);
  if (reason != SG_REASON_piece_ahead) return;
  lane.advance = Advance::ahead;
}

// Why the segment may not go on, or that it may. In a connection that has not begun, or of which
// there may be another, nothing is taken but in order; and neither where requests are sent before
// those in front of them are answered.
sg_reason Tracker::ahead_fault(const Lane& lane, uint32_t distance_bytes) const {
  const sg_flow& flow = *lane.flow;
  KeptHead* kept = heads_.of(flow);
  const bool is_ahead = (flow.marks & SG_FLOW_AHEAD) != 0;
  const bool in_head = (flow.flags & SG_FLOW_IN_HEAD) != 0;
  if (flow.state != SG_FLOW_ESTABLISHED || (flow.flags & kept_in_order) != 0 ||
      (lane.packet.tcp_flags & SG_TCP_FIN) != 0)
    return SG_REASON_out_of_order;
  if (is_stale(flow, lane.packet)) return SG_REASON_tcp_old_timestamp;
  if ((is_ahead || in_head) && kept == nullptr) return SG_REASON_head_evicted;
  const uint32_t record_bytes = distance_bytes + (in_head ? kept->length_bytes : 0);
  if (record_bytes + lane.packet.payload_length > SG_HEAD_BYTES_MAX) return no_room_ahead();
  if (lane.packet.seq + lane.packet.payload_length - flow.next_seq > room_bytes(flow))
    return SG_REASON_syn_in_stream;
  std::string_view run = payload_from(lane);
  if (is_ahead) {
    if (differs_ahead(lane, 0)) return SG_REASON_resend_differs;
    make_room_ahead(lane, *kept);
    const uint32_t first = lane.packet.seq - kept->start_seq;
    const uint32_t last = first + lane.packet.payload_length;
    if (!kept->has_room_for_run(first, last)) return no_room_ahead();
    run = kept->try_run(first, run);
  }
  return may_be_piece(lane, run) ? SG_REASON_piece_ahead : SG_REASON_out_of_order;
}

sg_reason Tracker::no_room_ahead() const {
  counters_.ahead_full++;
  return SG_REASON_out_of_order;
}

// The end of a head may be the end of the run. What else has an empty line in it may hold a whole
// request, and so does what can be read as one, behind the end of another or not.
bool Tracker::may_be_piece(const Lane& lane, std::string_view run) const {
  size_t at = find_empty_line(run);
  if (at == std::string_view::npos) return true;
  if (empty_line_end(run, at) < run.size()) return false;
  if (run.front() == '\r') run.remove_prefix(1);
  if (run.front() == '\n') run.remove_prefix(1);
  HttpHead head;
  return read_http_head(run, head_rules(lane), head) != HeadStatus::complete;
}

// Goes on behind the segment, with what was forwarded before it. False: a fault was found.
bool Tracker::read_on_ahead(Lane& lane) {
  const KeptHead* kept = heads_.of(*lane.flow);
  while (true) {
    uint64_t body = in_body(lane.reader_after) ? lane.body_left_after : 0;
    if (body > SG_WINDOW_BYTES_MAX) return true;
    uint32_t seq = lane.next_seq_after + static_cast<uint32_t>(body);
    std::string_view bytes = kept->run_from(seq);
    if (bytes.empty()) return true;
    if (lane.reader_after == SG_READER_HEAD) {
      note_held(lane, bytes);
      return true;
    }
    ChunkPosition position{lane.reader_after, body > 0 ? 0 : lane.body_left_after};
    position.stops_at_data = true;
    uint32_t read = follow_chunks(bytes, position);
    if (position.reader == SG_READER_LOST) {
      lane.request.head.clear();
      found_fault(lane, position.fault);
      return false;
    }
    if (position.syntax_end > 0)
      note_ahead(lane, seq + position.syntax_first, position.syntax_end - position.syntax_first);
    lane.next_seq_after = seq + read;
    lane.reader_after = position.reader;
    lane.body_left_after = position.value;
  }
}

// What was forwarded behind a request of this segment: the beginning of another, or a whole one,
// which would be read with the first, whatever is cut off behind that. That is judged in a round of
// its own.
void Tracker::note_held(Lane& lane, std::string_view bytes) const {
  HttpHead head;
  if (bytes.empty()) return;
  if (read_http_head(bytes, head_rules(lane), head) == HeadStatus::incomplete)
    lane.ahead_piece_bytes = static_cast<uint16_t>(bytes.size());
  else
    lane.has_more = lane.next_is_held = true;
}

// The next head was forwarded ahead, and this segment may fill the hole in front of it.
void Tracker::read_held(Lane& lane) {
  const uint32_t offset = next_syntax_seq(*lane.flow) - lane.packet.seq;
  lane.is_held = true;
  lane.head_offset = static_cast<uint16_t>(std::min<uint32_t>(offset, lane.packet.payload_length));
  lane.body_left_after = 0;
  if (lane.round == 0 && is_stale(*lane.flow, lane.packet))
    lane.found |= SG_FOUND(tcp_old_timestamp);
  else if (lane.round == 0 && differs_ahead(lane, lane.head_offset))
    lane.found |= SG_FOUND(resend_differs);
  else
    read_syntax(lane);
}

// The end of a head, from behind the segment on, or from its beginning where that is behind it too.
void Tracker::note_head_ahead(Lane& lane, uint32_t seq, uint32_t end_seq) const {
  uint32_t head_seq = heads_.of(*lane.flow)->start_seq;
  if (seq_distance(seq, head_seq) > 0) seq = head_seq;
  note_ahead(lane, seq, end_seq - seq);
}

// Each chunk header by itself, for it may be sent again in a segment that is cut otherwise. Where
// there are too many of them those of one run are one.
void Tracker::note_ahead(Lane& lane, uint32_t seq, uint32_t bytes) const {
  if (lane.ahead_parts_count >= SG_AHEAD_PARTS_APART_MAX) {
    StreamPart& last = lane.ahead_parts[lane.ahead_parts_count - 1];
    uint32_t joined_bytes = seq + bytes - last.seq;
    if (heads_.of(*lane.flow)->run_from(last.seq).size() >= joined_bytes) {
      last.bytes = joined_bytes;
      counters_.ahead_parts_joined++;
      return;
    }
  }
  lane.ahead_parts[lane.ahead_parts_count++] = {seq, bytes};
}

// settle: the segment is one of those beyond a hole. The first of them takes a record, or that in
// which the bytes of a head lie that is judged.
void Tracker::keep_ahead(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  KeptHead* kept = heads_.of(flow);
  const bool is_lost =
      kept == nullptr && ((flow.marks & SG_FLOW_AHEAD) || (flow.flags & SG_FLOW_IN_HEAD));
  if (is_lost) {  // it made room for another lane's: nothing goes on from here
    flow.marks |= SG_FLOW_AHEAD;
    return;
  }
  const bool is_first = (flow.marks & SG_FLOW_AHEAD) == 0;
  if (kept == nullptr) kept = &heads_.take(flow);
  if (is_first) make_room_ahead(lane, *kept);
  const uint32_t first = lane.packet.seq - kept->start_seq;
  if (is_first) kept->try_run(first, payload_from(lane));  // else ahead_fault() has
  kept->add_run(first, first + lane.packet.payload_length);
  flow.marks |= SG_FLOW_AHEAD;
}

// settle: the segment filled a hole, or stood in front of one. What was read is ahead no more.
void Tracker::settle_ahead(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  KeptHead* kept = heads_.of(flow);
  if (kept == nullptr) return;
  const uint32_t syntax_seq = next_syntax_seq(flow);
  if (flow.flags & SG_FLOW_IN_HEAD) {
    kept->extend_head(kept->length_bytes);
  } else if (sg_flow_body_left(&flow) > SG_WINDOW_BYTES_MAX || !kept->has_run_behind(syntax_seq)) {
    kept->forget_runs();  // and the head's bytes stay
  } else {
    kept->pass_runs(syntax_seq - kept->start_seq);
    bool is_judged = lane.has_more || (flow.marks & SG_FLOW_HELD) != 0;
    if (!is_judged) begin_head_ahead(flow, *kept);
  }
  if (kept->runs_count == 0) flow.marks &= static_cast<uint8_t>(~SG_FLOW_AHEAD);
}

// Where what was forwarded ahead begins a head: it is one that came in part.
void Tracker::begin_head_ahead(sg_flow& flow, KeptHead& kept) {
  if (flow.reader != SG_READER_HEAD || kept.run_from(next_syntax_seq(flow)).empty()) return;
  begin_record(flow, kept);
  std::string_view bytes = kept.run_from(kept.start_seq);
  go_on_at(flow, kept.start_seq + static_cast<uint32_t>(bytes.size()));
  flow.flags |= SG_FLOW_IN_HEAD;
  remember_parts(flow, kept.start_seq, bytes);
  kept.extend_head(static_cast<uint32_t>(bytes.size()));
}

// The record begins with the next head, which needs the room of the one before it. Not sooner:
// while that is there, it is compared byte by byte, however a resend of it is cut.
void Tracker::begin_record(const sg_flow& flow, KeptHead& kept) const {
  const uint32_t seq = next_syntax_seq(flow);
  if (kept.has_bytes() && seq == kept.start_seq) return;
  kept.begin_at(seq);
  kept.head_began_ticks = ticks_;
}

// .. or what goes ahead of it does.
void Tracker::make_room_ahead(const Lane& lane, KeptHead& kept) const {
  const uint32_t last = lane.packet.seq + lane.packet.payload_length - kept.start_seq;
  const bool has_room = kept.has_bytes() && last <= SG_HEAD_BYTES_MAX;
  const bool in_head = (lane.flow->flags & SG_FLOW_IN_HEAD) != 0;
  if (!in_head && !has_room) begin_record(*lane.flow, kept);
}

// The parts of the runs that were judged, each as a range behind those before it.
void Tracker::remember_ahead(const Lane& lane) {
  const KeptHead* kept = heads_.of(*lane.flow);
  if (kept == nullptr) return;
  for (uint32_t i = 0; i < lane.ahead_parts_count; i++) {
    StreamPart part = lane.ahead_parts[i];
    uint32_t at = part.seq - kept->start_seq;
    remember_parts(*lane.flow, part.seq, {kept->bytes + at, part.bytes});
  }
}

}  // namespace surgegate
