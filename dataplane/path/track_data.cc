// SPDX-License-Identifier: BSD-3-Clause
// Reading a stream of requests, segment by segment: heads and chunk headers in order, bodies in
// any. (track_ahead.cc: what comes before that which is in front of it.)
#include <algorithm>
#include <cstring>

#include "dataplane/path/earlier.h"
#include "dataplane/path/http_scan.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

// Behind an upgrade that the backend declined, what another server may take for a request, however
// malformed, is none of another protocol. (The first byte of a WebSocket frame has its top bit
// set.)
bool begins_no_request(char c) {
  return !is_http_char(c, HttpChars::token) && c != '\r' && c != '\n' && c != ' ' && c != '\t';
}

}  // namespace

void Tracker::read_data(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  if (flow.reader == SG_READER_HELLO ||
      (flow.reader == SG_READER_NONE && lane.service->protocol == SG_TLS))
    return read_hello(lane);
  const sg_packet& packet = lane.packet;
  lane.reader_after = flow.reader;
  lane.next_seq_after = flow.next_seq;
  lane.body_left_after = sg_flow_body_left(&flow);
  if (flow.reader == SG_READER_NONE) {
    lane.found |= SG_FOUND(segment);
    return;
  }
  const uint64_t body = in_body(flow.reader) ? lane.body_left_after : 0;
  const int64_t start = seq_distance(flow.next_seq, packet.seq);  // from next_seq, as all here
  const int64_t end = start + packet.payload_length;
  if (start > static_cast<int64_t>(SG_WINDOW_BYTES_MAX)) {
    lane.found |= SG_FOUND(out_of_order);
    return;
  }
  if (start > static_cast<int64_t>(body) && flow.reader != SG_READER_TUNNEL)
    return read_ahead(lane, static_cast<uint32_t>(start - static_cast<int64_t>(body)));
  if (lane.round == 0 && start < 0) {
    sg_findings old =
        compare_old(lane, end <= 0 ? packet.seq + packet.payload_length : flow.next_seq);
    bool goes_on = (old & (SG_FOUND(body) | SG_FOUND(resend))) != 0 && lane.cut_at == SG_NONE16;
    bool is_all = end <= 0 && (flow.marks & SG_FLOW_HELD) == 0;
    if (is_all || !goes_on) {
      lane.found |= old;
      return;
    }
  }
  if (flow.reader == SG_READER_TUNNEL) return read_tunnel(lane, start);
  if (lane.is_held || (flow.marks & SG_FLOW_HELD) != 0) return read_held(lane);
  if (body > 0 && passes_as_body(lane, start, body)) return;
  if (lane.round == 0 && is_stale(flow, packet)) {
    lane.found |= SG_FOUND(tcp_old_timestamp);
    return;
  }
  lane.head_offset = static_cast<uint16_t>(static_cast<int64_t>(body) - start);
  if (lane.round == 0 && differs_ahead(lane, lane.head_offset)) {
    lane.found |= SG_FOUND(resend_differs);
    return;
  }
  if (in_body(flow.reader)) lane.body_left_after = 0;  // what there was is passed
  read_syntax(lane);
}

void Tracker::read_syntax(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  const bool is_ahead = (flow.marks & SG_FLOW_AHEAD) != 0;
  if (is_ahead && heads_.of(flow) == nullptr)
    lane.found |= SG_FOUND(head_evicted);
  else if ((flow.flags & SG_FLOW_IN_HEAD) || (is_ahead && flow.reader == SG_READER_HEAD))
    read_kept_head(lane);
  else if (flow.reader == SG_READER_HEAD)
    read_head(lane);
  else
    read_chunks(lane);
  if (reaches_over_other(lane)) {
    lane.found = SG_FOUND(syn_in_stream);
    lane.counts_request = lane.has_more = false;
  }
}

// Behind an upgrade nothing is read, but where another connection may begin; what is new is
// counted, as of a body.
void Tracker::read_tunnel(Lane& lane, int64_t start) {
  const int64_t end = start + lane.packet.payload_length;
  if (static_cast<uint64_t>(end) > room_bytes(*lane.flow)) {
    lane.found |= SG_FOUND(syn_in_stream);
    return;
  }
  lane.found |= SG_FOUND(segment);
  lane.advance = Advance::position;
  lane.next_seq_after +=
      static_cast<uint32_t>(start + lane.packet.payload_length - std::max<int64_t>(start, 0));
}

// Whether nothing of the segment lies behind the body, of which so many bytes are left. Those that
// are new are counted as passed, wherever in it they stand. What would lie beyond a window waits.
bool Tracker::passes_as_body(Lane& lane, int64_t start, uint64_t body) const {
  const int64_t end = start + lane.packet.payload_length;
  if (end > static_cast<int64_t>(SG_WINDOW_BYTES_MAX)) {
    lane.found |= SG_FOUND(out_of_order);
    return true;
  }
  if (end > static_cast<int64_t>(body)) return false;
  auto fresh = static_cast<uint32_t>(end - std::max<int64_t>(start, 0));
  lane.found |= SG_FOUND(body);
  lane.advance = Advance::position;
  lane.next_seq_after += fresh;
  lane.body_left_after -= fresh;
  return true;
}

// What stands behind the point where another connection may be read could be something else in
// that; and so could what stands at it, but where both begin a head.
bool Tracker::reaches_over_other(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  const uint64_t room = room_bytes(flow);
  if (lane.advance == Advance::nothing) return false;
  bool is_piece = lane.advance == Advance::piece;
  bool ends_at_head =
      !is_piece && lane.reader_after == SG_READER_HEAD && lane.ahead_piece_bytes == 0;
  uint64_t reach = uint64_t{lane.next_seq_after - flow.next_seq} + lane.ahead_piece_bytes +
                   (is_piece ? 0 : lane.body_left_after);
  return room < reach || (room == reach && !ends_at_head);
}

void Tracker::read_head(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  lane.waits = waits_for_answer(lane);
  std::string_view bytes = payload_from(lane, lane.head_offset);
  HttpHead& head = lane.request.head;
  HeadStatus status = read_http_head(bytes, head_rules(lane), head);
  lane.answerable = answerable(lane);
  if (status == HeadStatus::complete)
    return found_head(lane, lane.packet.seq + lane.head_offset + head.length_bytes);
  if (status == HeadStatus::incomplete)
    return found_piece(lane, lane.packet.seq + lane.packet.payload_length);
  bool is_foreign = (flow.flags & SG_FLOW_UPGRADE) != 0 && begins_no_request(bytes[0]);
  if (!is_foreign) return found_fault(lane, head.fault);
  if ((flow.flags & SG_FLOW_TUNNEL) == 0) {
    lane.found |= SG_FOUND(http_upgraded);
    return;
  }
  // Its first byte is remembered: no backend may read another one there, that could begin a
  // request.
  lane.found |= SG_FOUND(segment);
  lane.reader_after = SG_READER_TUNNEL;
  lane.next_seq_after = lane.packet.seq + lane.packet.payload_length;
  lane.advance = Advance::position;
  lane.syntax_first = lane.head_offset;
  lane.syntax_end = static_cast<uint16_t>(lane.head_offset + 1);
}

// Where requests were under way at once, what the client acknowledges may be an answer to any; and
// what follows a body, or a request that is sent again, in one segment was not waited for. What was
// noted at a refusal in silence was an answer's, or a part of it.
bool Tracker::waits_for_answer(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  bool is_answered = (flow.flags & SG_FLOW_PIPELINED) == 0 && lane.head_offset == 0 &&
                     (seq_distance(flow.request_ack, lane.packet.ack) > 0 ||
                      (flow.silent_refusals & SG_FLOW_ACK_NOTED) != 0);
  return (flow.flags & SG_FLOW_HAS_REQUEST) != 0 && !is_answered;
}

// The bytes go behind those that are kept, where they are nobody's until settle makes them part of
// the head; and those that were forwarded ahead of them follow.
void Tracker::read_kept_head(Lane& lane) {
  KeptHead* kept = heads_.of(*lane.flow);
  const bool is_first = (lane.flow->flags & SG_FLOW_IN_HEAD) == 0;
  if (is_first && kept != nullptr) begin_record(*lane.flow, *kept);
  bool is_next =
      lane.is_held || kept == nullptr || kept->end_seq() == lane.packet.seq + lane.head_offset;
  if (kept == nullptr || !is_next) {
    lane.found |= SG_FOUND(head_evicted);
    return;
  }
  if (is_first) lane.waits = waits_for_answer(lane);
  lane.answerable = !lane.is_held && answerable(lane);
  uint64_t age_ns = uint64_t{ticks_ - kept->head_began_ticks} * SG_FLOW_TICK_NS;
  if (age_ns > lane.service->head_deadline_ns && !kept->has_empty_line_only()) {
    lane.request.head.clear();
    return found_fault(lane, SG_REASON_http_slow);
  }
  std::string_view fresh = payload_from(lane, lane.head_offset);
  uint32_t taken = std::min<uint32_t>(static_cast<uint32_t>(fresh.size()), kept->room_bytes());
  std::memcpy(kept->bytes + kept->length_bytes, fresh.data(), taken);
  const uint32_t fresh_end = kept->length_bytes + taken;
  const auto ahead = static_cast<uint32_t>(kept->run_from(kept->start_seq + fresh_end).size());
  if (!lane.is_held) lane.ahead_bytes = static_cast<uint16_t>(ahead);
  std::string_view bytes(kept->bytes, fresh_end + ahead);
  HeadEnd end = find_head_end(bytes, kept->length_bytes);
  if (end.status == HeadStatus::incomplete && taken == fresh.size() &&
      bytes.size() < SG_HEAD_BYTES_MAX && request_line_holds(lane, bytes, kept->length_bytes)) {
    if (ahead > 0) note_ahead(lane, kept->start_seq + fresh_end, ahead);
    return found_piece(lane, kept->start_seq + fresh_end + ahead);
  }
  if (end.status == HeadStatus::complete) bytes = bytes.substr(0, end.bytes);
  HttpHead& head = lane.request.head;
  if (read_http_head(bytes, head_rules(lane), head) != HeadStatus::complete)
    return found_fault(lane, head.fault);
  found_head(lane, kept->start_seq + end.bytes);
}

void Tracker::found_piece(Lane& lane, uint32_t end_seq) {
  lane.found |= SG_FOUND(head_piece);
  lane.next_seq_after = end_seq;
  lane.advance = Advance::piece;
  lane.syntax_first = lane.head_offset;
  lane.syntax_end = lane.packet.payload_length;
}

// A request line alone is a whole request to some [HTTP/0.9]. So the head is read again with each
// piece that adds to its first line; further lines are read when all have come.
// known_bytes: those that were read so before.
bool Tracker::request_line_holds(const Lane& lane, std::string_view bytes,
                                 size_t known_bytes) const {
  bool adds_to_line = bytes.substr(0, known_bytes).find('\n', 2) == std::string_view::npos;
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
  const uint32_t end = end_seq - lane.packet.seq;
  const uint32_t here_end = std::min<uint32_t>(end, lane.packet.payload_length);
  const uint32_t here = lane.packet.payload_length - here_end;
  lane.syntax_first = lane.head_offset;
  lane.syntax_end = static_cast<uint16_t>(here_end);
  lane.reader_after = head.chunked ? SG_READER_CHUNK_FIRST : SG_READER_HEAD;
  auto passed = static_cast<uint32_t>(std::min<uint64_t>(head.content_length, here));
  lane.next_seq_after = end_seq + passed;
  lane.body_left_after = head.content_length - passed;
  if (end > here_end) note_head_ahead(lane, lane.packet.seq + here_end, end_seq);
  if (head.chunked && here > 0 && !found_chunks(lane, end, {SG_READER_CHUNK_FIRST})) return;
  lane.counts_request = true;
  lane.found |= SG_FOUND(request);
  lane.advance = Advance::request;
  note_more(lane);
}

void Tracker::read_chunks(Lane& lane) {
  lane.syntax_first = lane.packet.payload_length;
  lane.syntax_end = 0;
  if (!found_chunks(lane, lane.head_offset, {lane.flow->reader, lane.body_left_after})) {
    lane.answerable = false;  // the backend has its head, and may be answering
    return;
  }
  lane.found |= SG_FOUND(body);
  lane.advance = Advance::position;
  note_more(lane);
}

// Whether another request stands in this segment. (Of a body all that is here has passed.) If not,
// what is ahead of the segment follows.
void Tracker::note_more(Lane& lane) {
  uint32_t end_seq = lane.packet.seq + lane.packet.payload_length;
  lane.has_more = seq_distance(lane.next_seq_after, end_seq) > 0;
  if ((lane.flow->marks & SG_FLOW_AHEAD) == 0) return;
  if (lane.has_more)
    note_held(lane, heads_.of(*lane.flow)->run_from(lane.next_seq_after));
  else if (!read_on_ahead(lane) && lane.advance == Advance::position)
    lane.answerable = false;
}

// Follows the chunks from this offset of the payload on. False: there is a fault, and it is found.
bool Tracker::found_chunks(Lane& lane, uint32_t offset, ChunkPosition position) {
  uint32_t read = follow_chunks(payload_from(lane, offset), position);
  if (position.reader == SG_READER_LOST) {
    lane.request.head.clear();
    found_fault(lane, position.fault);
    return false;
  }
  if (position.syntax_end > 0) {
    lane.syntax_first =
        std::min(lane.syntax_first, static_cast<uint16_t>(offset + position.syntax_first));
    lane.syntax_end = static_cast<uint16_t>(offset + position.syntax_end);
  }
  lane.next_seq_after = lane.packet.seq + offset + read;
  lane.reader_after = position.reader;
  lane.body_left_after = position.value;
  return true;
}

// An answer may be put into the stream only where the client should take nothing else for it: on
// the first request, or on a later one where the client has always read of the answer before it
// asked again. Whether it has read all of it cannot be seen in one direction. Of one that came in a
// single flight it has; of a longer one when it acknowledged no more until it sent the request
// again, at least 200 ms later [RFC 6298]. A shared proxy would hand it to whoever asked last, and
// behind an upgrade there may be no HTTP.
bool Tracker::answerable(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  if (lane.head_offset != 0 || policy_.is_shared_proxy(lane.lists)) return false;
  if (flow.flags & (SG_FLOW_PIPELINED | SG_FLOW_UPGRADE)) return false;
  if ((flow.flags & SG_FLOW_HAS_REQUEST) == 0) return true;
  int32_t acked = seq_distance(flow.request_ack, lane.packet.ack);
  if (flow.silent_refusals & SG_FLOW_ACK_NOTED) return acked == 0;
  return acked > 0 && acked <= SG_ANSWER_FLIGHT_BYTES;
}

}  // namespace surgegate
