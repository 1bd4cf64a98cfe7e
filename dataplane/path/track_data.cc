// SPDX-License-Identifier: BSD-3-Clause
// Reading a stream of requests, segment by segment and in order.
#include <algorithm>
#include <cstring>

#include "dataplane/path/http_scan.h"
#include "dataplane/path/seq.h"
#include "dataplane/path/stride.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

std::string_view payload_from(const Lane& lane, uint32_t offset) {
  return {reinterpret_cast<const char*>(payload_of(lane)) + offset,
          lane.packet.payload_length - offset};
}

bool in_body(uint8_t reader) {
  return reader == SG_READER_HEAD || reader == SG_READER_DATA_CR;
}

// Behind an upgrade that the backend declined, what another server may take for a request, however
// malformed, is none of another protocol. (The first byte of a WebSocket frame has its top bit
// set.)
bool begins_no_request(char c) {
  return !is_http_char(c, HttpChars::token) && c != '\r' && c != '\n' && c != ' ' && c != '\t';
}

// Whether a segment comes within half a stride of the boundary of a body that goes on beyond it.
bool near_boundary(const sg_flow& flow, const sg_packet& packet) {
  uint32_t end_seq = packet.seq + packet.payload_length;
  return seq_distance(flow.next_seq, end_seq) > -static_cast<int32_t>(body_stride_bytes / 2);
}

// Where two runs of the stream overlap: [first, last), as distances from the first one's start.
struct Overlap {
  int32_t first;
  int32_t last;
};

Overlap overlap_of(uint32_t a_seq, uint32_t a_bytes, uint32_t b_seq, uint32_t b_bytes) {
  int32_t b_first = seq_distance(a_seq, b_seq);
  int32_t b_last = seq_distance(a_seq, b_seq + b_bytes);
  return {std::max(0, b_first), std::min(static_cast<int32_t>(a_bytes), b_last)};
}

}  // namespace

void Tracker::read_data(Lane& lane) {
  sg_flow& flow = *lane.flow;
  lane.reader_after = flow.reader;
  lane.next_seq_after = flow.next_seq;
  lane.body_left_after = flow.body_left_bytes;
  if (flow.reader == SG_READER_NONE) {
    lane.found |= SG_FOUND(segment);
    return;
  }
  if (in_body(flow.reader) && flow.body_left_bytes > 0 && near_boundary(flow, lane.packet)) {
    pass_body(lane.next_seq_after, lane.body_left_after);
    lane.advance = Advance::position;
  }
  int64_t start = seq_distance(lane.next_seq_after, lane.packet.seq);
  if (start > 0) {
    lane.found |= SG_FOUND(out_of_order);
    return;
  }
  bool all_old = start + lane.packet.payload_length <= 0;
  if (lane.advance == Advance::position && reaches_over_pending(lane)) {
    lane.found |= SG_FOUND(syn_in_stream);
    return;
  }
  if (lane.round == 0 && start < 0) {
    uint32_t old_end = all_old ? lane.packet.seq + lane.packet.payload_length : lane.next_seq_after;
    sg_findings found = compare_old(lane, old_end);
    if (all_old || (found & (SG_FOUND(old_data) | SG_FOUND(resend_differs))) != 0) {
      lane.found |= found;
      return;
    }
  }
  lane.head_offset = static_cast<uint16_t>(-start);
  if (lane.round == 0) lane.first_head_offset = lane.head_offset;
  if (flow.flags & SG_FLOW_IN_HEAD)
    read_rest_of_head(lane);
  else if (flow.reader == SG_READER_HEAD)
    read_head(lane);
  else
    read_chunks(lane);
  if (reaches_over_pending(lane)) {
    lane.found = SG_FOUND(syn_in_stream);
    lane.counts_request = lane.has_more = false;
  }
}

// What stands behind the point where another connection may begin could be something else in that;
// and so could what stands at it, but where both begin a head.
bool Tracker::reaches_over_pending(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  if ((flow.flags & SG_FLOW_PENDING) == 0 || lane.advance == Advance::nothing) return false;
  bool is_piece = lane.advance == Advance::piece;
  bool ends_at_head = !is_piece && lane.reader_after == SG_READER_HEAD && lane.body_left_after == 0;
  uint32_t end_seq = is_piece ? lane.packet.seq + lane.packet.payload_length : lane.next_seq_after;
  uint32_t room = flow.pending_low_seq - flow.next_seq;
  return room < end_seq - flow.next_seq || (room == end_seq - flow.next_seq && !ends_at_head);
}

// Whether the segment's bytes up to end_seq, where they overlap with a kept record, are the same.
Tracker::Comparison Tracker::compare_kept(const Lane& lane, uint32_t end_seq) const {
  const KeptHead* kept = heads_.of(*lane.flow);
  if (kept == nullptr) return Comparison::none;
  uint32_t seq = lane.packet.seq;
  Overlap o = overlap_of(seq, end_seq - seq, kept->start_seq, kept->length_bytes);
  if (o.first >= o.last) return Comparison::none;
  int32_t at = seq_distance(kept->start_seq, seq) + o.first;
  auto bytes = static_cast<size_t>(o.last - o.first);
  bool same = std::memcmp(payload_of(lane) + o.first, kept->bytes + at, bytes) == 0;
  return same ? Comparison::same : Comparison::differs;
}

// The same for the range of which the hash is known: it can be compared as a whole only. Not where
// the bytes themselves are kept.
Tracker::Comparison Tracker::compare_judged(const Lane& lane, uint32_t end_seq) const {
  const sg_judged& judged = lane.flow->judged;
  const KeptHead* kept = heads_.of(*lane.flow);
  if (kept != nullptr && seq_distance(kept->start_seq, judged.start_seq) >= 0)
    return Comparison::none;
  uint32_t seq = lane.packet.seq;
  Overlap o = overlap_of(seq, end_seq - seq, judged.start_seq, judged.length_bytes);
  if (o.first >= o.last) return Comparison::none;
  bool same = o.last - o.first == judged.length_bytes &&
              judged.hash == judged_hash(secret_, payload_of(lane) + o.first, judged.length_bytes);
  return same ? Comparison::same : Comparison::differs;
}

// What the bytes from the segment's start up to end_seq are, all of which were judged before: body,
// or a resend that is the same, or what must not go on. A single byte in front of the next one is a
// probe, and reaches no further than it did [RFC 9293 section 3.8.4]: it goes whatever it is,
// unless it lies in front of a stream besides which there is another one, and may be the next byte
// of that.
sg_findings Tracker::compare_old(const Lane& lane, uint32_t end_seq) const {
  const sg_flow& flow = *lane.flow;
  bool is_probe = lane.packet.payload_length == 1 && end_seq == flow.next_seq;
  Comparison kept = compare_kept(lane, end_seq);
  Comparison judged = compare_judged(lane, end_seq);
  bool is_older = seq_distance(flow.judged.start_seq, lane.packet.seq) < 0;
  bool is_of_other = is_older && (flow.flags & SG_FLOW_PENDING) != 0;
  if (is_probe && !is_of_other &&
      (is_older || kept != Comparison::none || judged != Comparison::none))
    return SG_FOUND(resend);
  if (is_older) return SG_FOUND(old_data);
  if (kept == Comparison::differs || judged == Comparison::differs) return SG_FOUND(resend_differs);
  bool none = kept == Comparison::none && judged == Comparison::none;
  return none ? SG_FOUND(body) : SG_FOUND(resend);
}

// A head behind one that was not answered yet may be judged if the bytes of both can be compared
// when they are sent again. In the segment of the one before they are one range; from another
// segment they are kept, as long as they follow each other and there is room.
bool Tracker::can_keep(const Lane& lane) const {
  const KeptHead* kept = heads_.of(*lane.flow);
  uint32_t bytes = lane.packet.payload_length - lane.first_head_offset;
  if (kept == nullptr) return bytes <= SG_HEAD_BYTES_MAX;
  bool follows = lane.round > 0 || kept->end_seq() == lane.packet.seq + lane.first_head_offset;
  return follows && kept->room_bytes() >= bytes;
}

void Tracker::read_head(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  bool waits = (flow.flags & SG_FLOW_HAS_REQUEST) != 0 &&
               seq_distance(flow.request_ack, lane.packet.ack) <= 0;
  if (lane.round == 0) lane.keeps = waits;
  if (lane.keeps && !can_keep(lane)) {
    lane.found |= SG_FOUND(unanswered);
    return;
  }
  std::string_view bytes = payload_from(lane, lane.head_offset);
  HttpHead& head = lane.request.head;
  HeadStatus status = read_http_head(bytes, head_rules(lane), head);
  lane.answerable = answerable(lane);
  if (status == HeadStatus::complete)
    return found_head(lane, lane.packet.seq + lane.head_offset + head.length_bytes);
  if (status == HeadStatus::incomplete) {
    lane.found |= SG_FOUND(head_piece);
    lane.advance = Advance::piece;
    return;
  }
  bool is_foreign = (flow.flags & SG_FLOW_UPGRADE) != 0 && begins_no_request(bytes[0]);
  if (!is_foreign) return found_fault(lane, head.fault);
  if ((flow.flags & SG_FLOW_TUNNEL) == 0) {
    lane.found |= SG_FOUND(http_upgraded);
    return;
  }
  lane.found |= SG_FOUND(segment);
  lane.reader_after = SG_READER_NONE;
  lane.advance = Advance::position;
}

// The bytes go behind those that are kept, where they are nobody's until settle makes them part of
// the head.
void Tracker::read_rest_of_head(Lane& lane) {
  KeptHead* kept = heads_.of(*lane.flow);
  if (kept == nullptr || kept->end_seq() != lane.flow->next_seq) {
    lane.found |= SG_FOUND(head_evicted);
    return;
  }
  lane.answerable = answerable(lane);
  uint64_t age_ns = uint64_t{ticks_ - kept->head_began_ticks} * SG_FLOW_TICK_NS;
  if (age_ns > lane.service->head_deadline_ns) {
    lane.request.head.clear();
    return found_fault(lane, SG_REASON_http_slow);
  }
  std::string_view fresh = payload_from(lane, lane.head_offset);
  uint32_t taken = std::min<uint32_t>(static_cast<uint32_t>(fresh.size()), kept->room_bytes());
  std::memcpy(kept->bytes + kept->length_bytes, fresh.data(), taken);
  std::string_view bytes(kept->bytes + kept->head_at, kept->length_bytes - kept->head_at + taken);
  HeadEnd end = find_head_end(bytes, kept->length_bytes - kept->head_at);
  if (end.status == HeadStatus::incomplete && taken == fresh.size() &&
      bytes.size() < SG_HEAD_BYTES_MAX && request_line_holds(lane, bytes)) {
    lane.found |= SG_FOUND(head_piece);
    lane.advance = Advance::piece;
    return;
  }
  // Behind others that are not answered there is less room than a head may take.
  if (end.status == HeadStatus::incomplete && kept->head_at > 0) {
    lane.found |= SG_FOUND(unanswered);
    return;
  }
  if (end.status == HeadStatus::complete) bytes = bytes.substr(0, end.bytes);
  HttpHead& head = lane.request.head;
  if (read_http_head(bytes, head_rules(lane), head) != HeadStatus::complete)
    return found_fault(lane, head.fault);
  found_head(lane, kept->start_seq + kept->head_at + end.bytes);
}

// A request line alone is a whole request to some [HTTP/0.9]. So the head is read again with each
// piece that adds to its first line; further lines are read when all have come.
bool Tracker::request_line_holds(const Lane& lane, std::string_view bytes) const {
  size_t fresh = lane.packet.payload_length - lane.head_offset;
  bool adds_to_line = bytes.substr(0, bytes.size() - fresh).find('\n', 2) == std::string_view::npos;
  HttpHead head;
  return !adds_to_line || read_http_head(bytes, head_rules(lane), head) == HeadStatus::incomplete;
}

HeadRules Tracker::head_rules(const Lane& lane) const {
  return {policy_.header_names(), lane.service->lenient};
}

void Tracker::found_fault(Lane& lane, sg_reason fault) {
  lane.counts_request = true;
  lane.found |= sg_finding(fault) | SG_FOUND(http_fault_silent);
}

// With what of its body is in this segment, as far as that is read: chunk headers that nobody can
// read are refused with the head while the backend has neither.
void Tracker::found_head(Lane& lane, uint32_t end_seq) {
  const HttpHead& head = lane.request.head;
  uint32_t segment_end = lane.packet.seq + lane.packet.payload_length;
  lane.head_end_seq = lane.next_seq_after = end_seq;
  lane.reader_after = SG_READER_HEAD;
  lane.body_left_after = head.content_length;
  if (!head.chunked)
    pass_body(lane.next_seq_after, lane.body_left_after);
  else if (!found_chunks(lane, end_seq - lane.packet.seq, {SG_READER_CHUNK_FIRST}))
    return;
  lane.counts_request = true;
  lane.found |= SG_FOUND(request);
  lane.advance = Advance::request;
  lane.has_more = seq_distance(lane.next_seq_after, segment_end) > 0;
}

void Tracker::read_chunks(Lane& lane) {
  if (!found_chunks(lane, lane.head_offset, {lane.flow->reader, lane.body_left_after})) {
    lane.answerable = false;  // the backend has its head, and may be answering
    return;
  }
  lane.found |= SG_FOUND(body);
  lane.advance = Advance::position;
  lane.has_more =
      seq_distance(lane.next_seq_after, lane.packet.seq + lane.packet.payload_length) > 0;
}

// Follows the chunks from this offset of the payload on. False: there is a fault, and it is found.
bool Tracker::found_chunks(Lane& lane, uint32_t offset, ChunkPosition position) {
  uint32_t read = follow_chunks(payload_from(lane, offset), position);
  if (position.reader == SG_READER_LOST) {
    lane.request.head.clear();
    found_fault(lane, position.fault);
    return false;
  }
  lane.next_seq_after = lane.packet.seq + offset + read;
  lane.reader_after = position.reader;
  lane.body_left_after = position.value;
  if (position.reader == SG_READER_DATA_CR) pass_body(lane.next_seq_after, lane.body_left_after);
  return true;
}

// An answer may be put into the stream only where the client should take nothing else for it: on
// the first request, or on a later one where the client has always read of the answer before it
// asked again. (Whether it has read all of it cannot be seen in one direction.) A shared proxy
// would hand it to whoever asked last, and behind an upgrade there may be no HTTP.
bool Tracker::answerable(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  if (lane.head_offset != 0 || policy_.is_shared_proxy(lane.lists)) return false;
  if (flow.flags & (SG_FLOW_PIPELINED | SG_FLOW_UPGRADE)) return false;
  if ((flow.flags & SG_FLOW_HAS_REQUEST) == 0) return true;
  return seq_distance(flow.request_ack, lane.packet.ack) > 0;
}

}  // namespace surgegate
