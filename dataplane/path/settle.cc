// SPDX-License-Identifier: BSD-3-Clause
// What a verdict means for the flow.
#include <algorithm>
#include <cstring>

#include "dataplane/path/decide.h"
#include "dataplane/path/segment.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

// The entry as a SYN leaves it, its backend, its MSS and the other connection aside.
void open_entry(sg_flow& flow, uint32_t first_seq, uint8_t reader) {
  flow.next_seq = first_seq;
  flow.newest_stamp = 0;
  sg_flow_set_body_left(&flow, 0);
  flow.state = SG_FLOW_OPENING;
  flow.reader = reader;
  flow.flags = 0;
  flow.judged = {first_seq, 0, 0, 0};
  flow.silent_refusals = 0;
}

// Rounded down, but never to 0, which means that none was given.
uint8_t mss_64_of(const sg_packet& packet) {
  if (packet.mss == 0) return 0;
  return static_cast<uint8_t>(std::clamp(packet.mss / 64, 1, 255));
}

uint8_t first_reader(const Lane& lane) {
  switch (lane.service->protocol) {
    case SG_HTTP:
      return SG_READER_HEAD;
    case SG_TLS:
      return SG_READER_HELLO;
    default:
      return SG_READER_NONE;
  }
}

// Whether a FIN or RST stands where the backend takes it, as far as that is known: exactly behind
// what was judged [RFC 5961 section 3.2]. Where nothing is read it may stand anywhere.
bool closes(const Lane& lane) {
  const sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  if ((packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST)) == 0) return false;
  if (flow.reader == SG_READER_NONE && lane.service->protocol != SG_TLS) return true;
  if (flow.flags & SG_FLOW_IN_HEAD) return packet.seq + packet.payload_length == flow.next_seq;
  uint32_t seq = packet.tcp_flags & SG_TCP_RST ? packet.seq : packet.seq + packet.payload_length;
  return seq == stream_end_seq(flow);
}

void note_stamp(sg_flow& flow, const sg_packet& packet) {
  if (!packet.has_timestamps) return;
  if (flow.newest_stamp == 0 || seq_distance(flow.newest_stamp, packet.ts_value) > 0)
    flow.newest_stamp = std::max(packet.ts_value, 1u);
}

}  // namespace

void Tracker::settle(Part part) {
  for (Lane& lane : part) {
    bool whole = lane.verdict == SG_VERDICT_forwarded && lane.reason != SG_REASON_trimmed;
    if (lane.counts_request) {
      (whole ? lane.requests_admitted : lane.requests_refused)++;
    }
    lane.has_more = lane.has_more && whole;
    if (lane.flow != nullptr) {
      note_refusal(lane);
      if (lane.verdict == SG_VERDICT_forwarded)
        settle_forwarded(lane);
      else if (lane.opens && !lane.reopens)
        forget(*lane.flow);
      else if (lane.reason == SG_REASON_refused_unpaid)
        add_credit(lane);
      else if (lane.verdict == SG_VERDICT_answered)
        heads_.give_back(*lane.flow);  // a tombstone reads nothing any more
    }
    if (lane.has_more) lane.round++;  // a frame holds fewer than 2^16 requests: each has many bytes
  }
  counters_.heads_evicted = heads_.evicted();
}

void Tracker::add_credit(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  sg_flow_set_credit_bytes(&flow, sg_flow_credit_bytes(&flow) + bytes_that_came(lane.packet));
}

// How often the same place was refused in silence: until something was admitted there. What the
// client had acknowledged then shows, when it asks again, whether an answer is still on its way.
void Tracker::note_refusal(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (lane.requests_admitted > 0) flow.silent_refusals = 0;
  if (!is_refused_in_silence(lane.reason)) return;
  if ((flow.silent_refusals & ~SG_FLOW_ACK_NOTED) < SG_SILENT_REFUSALS_MAX) flow.silent_refusals++;
  if ((flow.flags & SG_FLOW_HAS_REQUEST) && seq_distance(flow.request_ack, lane.packet.ack) > 0) {
    flow.request_ack = lane.packet.ack;
    flow.silent_refusals |= SG_FLOW_ACK_NOTED;
  }
}

void Tracker::forget(sg_flow& flow) {
  heads_.give_back(flow);
  FlowTable::remove(flow);
}

void Tracker::settle_syn(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  uint32_t first_seq = packet.seq + 1;
  if (!lane.reopens || flow.state == SG_FLOW_CLOSING) {
    if (lane.reopens)
      replace(flow, first_seq, first_reader(lane));
    else
      open_entry(flow, first_seq, first_reader(lane));
    flow.mss_64 = mss_64_of(packet);
    note_stamp(flow, packet);
    flow.backend_slot = SG_NONE16;
    return;
  }
  flow.other_seq = first_seq;
  flow.other_since = other_ticks(ticks_);
  if (flow.state != SG_FLOW_REFUSED) flow.other_low_seq = first_seq;
  flow.flags |= SG_FLOW_OTHER | SG_FLOW_OTHER_SYN;
}

// Begins another connection in this entry, and remembers where the backend may be in the old one;
// of a TLS connection only while its first byte has not come, for behind that nothing is judged.
void Tracker::replace(sg_flow& flow, uint32_t first_seq, uint8_t reader) {
  bool was_refused = flow.state == SG_FLOW_REFUSED;
  uint32_t end_seq = stream_end_seq(flow);
  uint32_t low_seq = flow.state == SG_FLOW_OPENING ? end_seq : stream_begin_seq(flow);
  bool is_forgotten = reader == SG_READER_HELLO && (was_refused || flow.reader != reader);
  bool begins = flow.reader == SG_READER_HEAD || flow.reader == SG_READER_HELLO;
  bool at_head =
      was_refused || (begins && end_seq == flow.next_seq && (flow.flags & SG_FLOW_IN_HEAD) == 0);
  heads_.give_back(flow);
  open_entry(flow, first_seq, reader);
  flow.seen_ticks = ticks_;
  flow.other_seq = end_seq;
  flow.other_low_seq = low_seq;
  flow.other_since = other_ticks(ticks_);
  flow.flags = at_head ? SG_FLOW_OTHER : SG_FLOW_OTHER | SG_FLOW_OTHER_DEAD;
  if (is_forgotten) flow.flags = 0;
}

// The connection that a SYN wanted to open in place of this one has begun. It keeps the backend, to
// which its SYN went. Whoever knows addresses and ports can make it look so: the old one goes on
// with its next segment, and nothing is answered, but for where nothing had begun or a tombstone
// was, which nobody but its own client can end.
void Tracker::begin_other(Lane& lane) {
  sg_flow& flow = *lane.flow;
  bool may_answer = flow.state == SG_FLOW_REFUSED || flow.state == SG_FLOW_OPENING;
  replace(flow, lane.packet.seq, first_reader(lane));
  note_stamp(flow, lane.packet);
  if (!may_answer) flow.flags |= SG_FLOW_PIPELINED;
}

void Tracker::settle_forwarded(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  if (packet.tcp_flags & SG_TCP_SYN) {
    if (lane.reopens) settle_syn(lane);
    if (lane.service->protocol == SG_TLS) settle_syn_again(lane);
    return;
  }
  if (lane.reason == SG_REASON_trimmed) {
    flow.flags |= SG_FLOW_PIPELINED;
    remember(lane);
    return;
  }
  if (lane.reason == SG_REASON_refused_rst) return settle_refused_rst(lane);
  bool is_rst = (packet.tcp_flags & SG_TCP_RST) != 0;
  if (flow.state == SG_FLOW_OPENING && !is_rst) flow.state = SG_FLOW_ESTABLISHED;
  note_syntax(lane);
  if (lane.advance == Advance::piece) keep_piece(lane);
  if (lane.advance == Advance::request) settle_request(lane);
  if (lane.advance == Advance::hello) settle_hello(lane);
  if (lane.advance == Advance::request || lane.advance == Advance::position) move_on(lane);
  if (!lane.has_more) remember(lane);
  if (closes(lane)) flow.state = SG_FLOW_CLOSING;
}

// Who resets exactly where our answer acknowledged him got it, and does not want it: it may never
// have been asked for by the owner of this address.
void Tracker::settle_refused_rst(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (lane.packet.seq == flow.receive_next) flow.answers_again = SG_ANSWERS_AGAIN_MAX;
}

// What a head follows is forgotten where an answer to it was acknowledged: the backend has read it.
// (Or else the backend discards what acknowledges that, and below the floor nothing is taken.)
void Tracker::note_syntax(Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (lane.syntax_end <= lane.syntax_first) return;
  bool begins_head = (lane.advance == Advance::piece || lane.advance == Advance::request) &&
                     (flow.flags & SG_FLOW_IN_HEAD) == 0;
  bool is_first = lane.judged_end == 0;
  if (begins_head && is_first && !lane.waits) release(flow, lane.packet.seq + lane.head_offset);
  if (is_first) lane.judged_first = lane.syntax_first;
  lane.judged_end = lane.syntax_end;
  note_stamp(flow, lane.packet);
}

void Tracker::release(sg_flow& flow, uint32_t from_seq) {
  heads_.give_back(flow);
  flow.judged.start_seq = from_seq;
  flow.judged.length_bytes = 0;
}

// What is remembered must not lie so far back that sequence numbers come round to it: with a body
// that is longer than a window can be, it is let go. But never so that what was judged looks like
// body.
void Tracker::move_on(const Lane& lane) {
  constexpr uint32_t span_max = SG_WINDOW_BYTES_MAX / 2 * 3;
  sg_flow& flow = *lane.flow;
  flow.judged.passed_64k = passed_64k_at(flow, lane.next_seq_after);
  flow.next_seq = lane.next_seq_after;
  flow.reader = lane.reader_after;
  sg_flow_set_body_left(&flow, lane.body_left_after);
  if (flow.next_seq - floor_seq(flow) <= span_max) return;
  heads_.give_back(flow);
  uint32_t judged_end_seq = flow.judged.start_seq + flow.judged.length_bytes;
  if (flow.next_seq - flow.judged.start_seq > span_max)
    release(flow, flow.next_seq - std::min(span_max, flow.next_seq - judged_end_seq));
}

// The head's first bytes open a record, or take the place of those of the head before.
void Tracker::keep_piece(Lane& lane) {
  sg_flow& flow = *lane.flow;
  uint32_t seq = lane.packet.seq + lane.head_offset;
  auto bytes = static_cast<uint16_t>(lane.packet.payload_length - lane.head_offset);
  KeptHead* kept = heads_.of(flow);
  if ((flow.flags & SG_FLOW_IN_HEAD) == 0) {
    if (kept == nullptr) kept = &heads_.take(flow);
    kept->start_seq = seq;
    kept->length_bytes = 0;
    kept->head_began_ticks = ticks_;
    std::memcpy(kept->bytes, payload_of(lane) + lane.head_offset, bytes);
    flow.flags |= SG_FLOW_IN_HEAD;
  }
  if (kept != nullptr) kept->length_bytes = static_cast<uint16_t>(kept->length_bytes + bytes);
  flow.judged.passed_64k = passed_64k_at(flow, seq + bytes);
  flow.next_seq = seq + bytes;
  sg_flow_set_body_left(&flow, 0);
}

void Tracker::settle_request(Lane& lane) {
  sg_flow& flow = *lane.flow;
  bool waited = seq_distance(flow.request_ack, lane.packet.ack) > 0;
  if ((flow.flags & SG_FLOW_HAS_REQUEST) && !waited) flow.flags |= SG_FLOW_PIPELINED;
  flow.flags |= SG_FLOW_HAS_REQUEST;
  flow.request_ack = lane.packet.ack;
  if (lane.request.head.upgrade) {
    flow.flags |= SG_FLOW_UPGRADE;
    if (lane.request.route != nullptr && lane.request.route->upgrade_tunnel)
      flow.flags |= SG_FLOW_TUNNEL;
  }
  if ((flow.flags & SG_FLOW_IN_HEAD) == 0) return;
  flow.flags &= static_cast<uint8_t>(~SG_FLOW_IN_HEAD);
  // The last piece is kept with the others: then a resend that is cut anywhere can be compared.
  if (KeptHead* kept = heads_.of(flow))
    kept->length_bytes = static_cast<uint16_t>(lane.request.head.length_bytes);
}

// The judged part of this segment becomes the newest range, behind the one that was.
void Tracker::remember(Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (lane.judged_end == 0) return;
  if (flow.judged.length_bytes > 0) {
    KeptHead* kept = heads_.of(flow);
    if (kept == nullptr) kept = &heads_.take(flow);
    if (kept->add_range({flow.judged.start_seq, flow.judged.hash, flow.judged.length_bytes, 0}))
      counters_.ranges_forgotten++;
  }
  auto bytes = static_cast<uint16_t>(lane.judged_end - lane.judged_first);
  flow.judged.start_seq = lane.packet.seq + lane.judged_first;
  flow.judged.hash = judged_hash(secret_, payload_of(lane) + lane.judged_first, bytes);
  flow.judged.length_bytes = bytes;
  lane.judged_end = 0;
}

}  // namespace surgegate
