// SPDX-License-Identifier: BSD-3-Clause
// A connection whose beginning was not seen (a restart, another host's flow). Nothing is known of
// where in it the backend reads: within a body, a head, anywhere. So nothing is ever put into such
// a stream, and each segment of it that carries data counts as a request, also after there is an
// entry. One property carries this (docs/decisions/0005-flows-met-in-the-middle.md):
//
//   A backend comes to read no more heads, of whatever was forwarded, than segments were counted,
//   wherever it reads, whatever it discards and in whichever order and overlap the rest came to it.
//
// A head ends with an empty line, a line feed behind another one. If both come from one segment, it
// is cut there, so that it holds one such place. If they come from two, an end of one of these lies
// between them. That can happen at both ends of a segment; but one that begins with a line end is
// cut behind it, and one with an empty line inside ends with that, or with what can be no part of
// another. So each segment has one such place. (HTTP/0.9 ends a request with its line, and the
// connection with the request: one more, once.)
//
// An entry is therefore no ground to let anything pass. It is there for honest clients: it keeps
// their backend, and heads in pieces are judged by what they say as a whole.
#include <algorithm>

#include "dataplane/path/empty_line.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

constexpr std::string_view line_ends = "\r\n";

// How much of a stray segment may go where no request begins it: up to the first empty line, behind
// which one may begin; and where it begins with line ends, these. The rest is sent again, and
// begins there.
uint32_t alone_end(std::string_view data) {
  size_t text = std::min(data.find_first_not_of(line_ends), data.size());
  if (text > 0) return static_cast<uint32_t>(text);
  size_t at = find_empty_line(data);
  if (at == std::string_view::npos) return static_cast<uint32_t>(data.size());
  return static_cast<uint32_t>(empty_line_end(data, at));
}

// How much of a request's content may go with its head, which has used up the one place where a
// head may end for the backend.
uint32_t content_end(std::string_view content) {
  content = content.substr(0, find_empty_line(content));
  return static_cast<uint32_t>(content.find_last_not_of(line_ends) + 1);
}

// Whether the segment goes on where the last one ended, in sequence, acknowledgement and time.
bool goes_on(const sg_flow& flow, const sg_packet& packet) {
  return packet.seq == flow.next_seq && !is_stale(flow, packet) &&
         seq_distance(flow.request_ack, packet.ack) >= 0;
}

}  // namespace

bool Tracker::is_met(const Lane& lane) {
  return lane.flow != nullptr && (lane.flow->marks & SG_FLOW_STRAY) != 0;
}

// What is found to be a stray is charged to the service's budget for them (police.cc). A flow of
// which two segments in a row made sense is beyond that.
void Tracker::track_stray(Lane& lane) {
  const sg_packet& packet = lane.packet;
  lane.answerable = false;
  if (lane.flow != nullptr) lane.flow->seen_ticks = ticks_;
  const bool is_known = lane.flow != nullptr && lane.flow->state == SG_FLOW_ESTABLISHED;
  const bool is_read = lane.service->protocol == SG_HTTP;
  if (is_read && packet.payload_length > 0) {
    if (lane.flow == nullptr || !read_on(lane)) judge_alone(lane);
    return;
  }
  lane.found |= is_known ? SG_FOUND(segment) : SG_FOUND(stray);
  if (is_known && (packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST))) lane.found |= SG_FOUND(closing);
  if (lane.service->protocol == SG_TLS) count_stray_hello(lane);
  const bool is_second =
      lane.flow != nullptr && packet.payload_length > 0 && goes_on(*lane.flow, packet);
  if (!is_read && is_second) lane.advance = Advance::position;
}

// Reads on where the last segment ended: a whole head, or of a flow that had one already a part of
// one, for what a body says looks like the beginning of a head as often as not. False: neither is
// there, and nothing is found. (A head whose empty line is cut in two is not read on, see
// alone_end.)
bool Tracker::read_on(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  const std::string_view data = payload_from(lane);
  bool reads = flow.reader == SG_READER_HEAD && goes_on(flow, lane.packet) &&
               (lane.packet.tcp_flags & SG_TCP_RST) == 0 &&
               line_ends.find(data[0]) == std::string_view::npos;
  if (!reads) return false;
  lane.reader_after = SG_READER_HEAD;
  lane.next_seq_after = flow.next_seq;
  read_syntax(lane);
  const bool is_known = flow.state == SG_FLOW_ESTABLISHED;
  const bool is_piece =
      lane.advance == Advance::piece && is_known && alone_end(data) == data.size();
  lane.answerable = lane.has_more = false;
  if (lane.advance == Advance::request) {
    end_at_request(lane);
  } else if (is_piece) {
    lane.request.head.clear();
    lane.counts_request = true;
  } else {
    lane.found = 0;
    lane.advance = Advance::nothing;
    return false;
  }
  if (!is_known) lane.found |= SG_FOUND(stray);
  return true;
}

// reader_after: whether another head is to be expected behind what goes.
void Tracker::end_at_request(Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  const HttpHead& head = lane.request.head;
  const uint32_t begin_seq =
      flow.flags & SG_FLOW_IN_HEAD ? heads_.of(flow)->start_seq : lane.packet.seq;
  const uint32_t head_end = begin_seq + head.length_bytes - lane.packet.seq;
  const uint32_t content = content_end(payload_from(lane).substr(head_end, head.content_length));
  const bool is_whole = content == head.content_length && !head.chunked && !head.upgrade;
  lane.cut_at = static_cast<uint16_t>(head_end + content);
  lane.reader_after = is_whole ? SG_READER_HEAD : SG_READER_NONE;
}

// By what it says alone; of a connection of which nothing else is known, the only way.
void Tracker::judge_alone(Lane& lane) {
  const std::string_view data = payload_from(lane);
  HttpHead& head = lane.request.head;
  const bool is_text = line_ends.find(data[0]) == std::string_view::npos;
  lane.found |= SG_FOUND(stray);
  lane.counts_request = true;
  if (is_text && read_http_head(data, head_rules(lane), head) == HeadStatus::complete) {
    lane.found |= SG_FOUND(request);
    lane.cut_at = static_cast<uint16_t>(
        head.length_bytes + content_end(data.substr(head.length_bytes, head.content_length)));
    return;
  }
  head.clear();
  lane.cut_at = static_cast<uint16_t>(alone_end(data));
}

// Of a segment that was forwarded the flow remembers where it ended. It stays met, or becomes it
// again, where no head must follow: of those it is known only that they would be judged.
void Tracker::settle_stray(Lane& lane) {
  const sg_packet& packet = lane.packet;
  const bool is_stray = is_met(lane) || (lane.flow == nullptr && (lane.found & SG_FOUND(stray)));
  if (!is_stray || packet.payload_length == 0 || (packet.tcp_flags & SG_TCP_RST)) return;
  if (lane.flow == nullptr && !meet(lane)) return;
  sg_flow& flow = *lane.flow;
  flow.request_ack = packet.ack;
  flow.newest_stamp = packet.has_timestamps ? std::max(packet.ts_value, 1u) : 0;
  if (lane.advance == Advance::piece) return keep_piece(lane);
  heads_.give_back(flow);
  flow.flags = SG_FLOW_PIPELINED;
  flow.next_seq = packet.seq + packet.payload_length;  // cut already
  const bool expects_head = lane.advance == Advance::request && lane.reader_after == SG_READER_HEAD;
  const bool is_known = expects_head || lane.advance == Advance::position ||
                        (flow.reader == SG_READER_NONE && flow.state == SG_FLOW_ESTABLISHED);
  flow.state = is_known ? SG_FLOW_ESTABLISHED : SG_FLOW_MET;
}

// Enters the flow, where there is room that nobody misses.
bool Tracker::meet(Lane& lane) {
  lane.flow = flows_.place_for_met(lane.flow_hash, ticks_);
  if (lane.flow == nullptr) {
    counters_.met_set_full++;
    return false;
  }
  heads_.give_back(*lane.flow);
  FlowTable::enter(*lane.flow, lane.flow_hash, ticks_);
  lane.flow->state = SG_FLOW_MET;
  lane.flow->marks = SG_FLOW_STRAY;
  lane.flow->reader = lane.service->protocol == SG_HTTP ? SG_READER_HEAD : SG_READER_NONE;
  return true;
}

}  // namespace surgegate
