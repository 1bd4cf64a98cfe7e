// SPDX-License-Identifier: BSD-3-Clause
// What a verdict means for the flow.
#include <algorithm>
#include <cstring>

#include "dataplane/path/decide.h"
#include "dataplane/path/earlier.h"
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
  flow.marks = 0;
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
  bool is_rst = (packet.tcp_flags & SG_TCP_RST) != 0;
  uint32_t seq = is_rst ? packet.seq : packet.seq + packet.payload_length;
  // Of a tunnel not all that passed need have been counted: passes_as_body().
  if (flow.reader == SG_READER_TUNNEL) return seq - flow.next_seq < SG_WINDOW_BYTES_MAX;
  return seq == stream_end_seq(flow) || (is_rst && in_body(flow.reader) && seq == flow.next_seq);
}

void note_stamp(sg_flow& flow, const sg_packet& packet) {
  if (!packet.has_timestamps) return;
  if (flow.newest_stamp == 0 || seq_distance(flow.newest_stamp, packet.ts_value) > 0)
    flow.newest_stamp = std::max(packet.ts_value, 1u);
}

// Who asks before he was answered has more than one answer to come, whatever becomes of this
// request: when it comes again, what he acknowledged until then may be the middle of one.
void note_waiting(sg_flow& flow) {
  if (flow.state != SG_FLOW_REFUSED) flow.flags |= SG_FLOW_PIPELINED;
}

// What is acknowledged while a request's body still comes is `100 Continue`, or an early answer of
// which nobody knows how much there is: the answer that a next request must wait for comes later.
void note_acknowledged(sg_flow& flow, const sg_packet& packet) {
  if ((flow.flags & SG_FLOW_HAS_REQUEST) == 0) return;
  if (seq_distance(flow.request_ack, packet.ack) > 0) flow.request_ack = packet.ack;
}

}  // namespace

void Tracker::settle(Part part) {
  for (Lane& lane : part) {
    bool whole = lane.verdict == SG_VERDICT_forwarded && lane.reason != SG_REASON_trimmed;
    if (lane.counts_request) {
      (whole ? lane.requests_admitted : lane.requests_refused)++;
    }
    lane.has_more = lane.has_more && whole;
    if (lane.verdict == SG_VERDICT_forwarded) settle_stray(lane);
    if (lane.flow != nullptr && !is_met(lane)) {
      if (lane.waits) note_waiting(*lane.flow);
      note_refusal(lane);
      if (lane.is_held && lane.verdict == SG_VERDICT_dropped) lane.flow->marks |= SG_FLOW_HELD;
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
  if (flow.state == SG_FLOW_REFUSED) return;
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
      replace_closed(lane);
    else
      open_entry(flow, first_seq, first_reader(lane));
    flow.mss_64 = mss_64_of(packet);
    note_stamp(flow, packet);
    flow.backend_slot = SG_NONE16;
    return;
  }
  flow.other_seq = first_seq;
  flow.other_since = other_ticks(ticks_);
  flow.flags |= SG_FLOW_OTHER | SG_FLOW_OTHER_SYN;
}

// Begins another connection in this entry. What the backend may have of the old one is borne in
// mind, and where that can be read on it may be taken up again: but not behind a close or a
// refusal, which its own client brought about, and not where earlier ones lie so far back that
// passed_64k would not reach there; and of a TLS connection while its first byte has not come, for
// behind that nothing is judged.
void Tracker::replace(sg_flow& flow, uint32_t first_seq, uint8_t reader, sg_earlier earlier) {
  const uint32_t end_seq = stream_end_seq(flow);
  const bool is_tls = reader == SG_READER_HELLO;
  const bool is_tunnel = flow.reader == SG_READER_TUNNEL;
  const bool at_head = flow.reader == SG_READER_HEAD && end_seq == flow.next_seq &&
                       (flow.flags & SG_FLOW_IN_HEAD) == 0 && (flow.marks & SG_FLOW_AHEAD) == 0;
  const bool is_live = flow.state == SG_FLOW_ESTABLISHED || flow.state == SG_FLOW_OPENING;
  const bool is_near = end_seq - earlier_begin_seq(earlier, 0) < uint32_t{SG_FLOW_PASSED_64K_MAX}
                                                                     << 16;
  const bool may_go_on =
      is_live && (is_tls ? flow.reader == SG_READER_HELLO : (at_head || is_tunnel) && is_near);
  heads_.give_back(flow);
  open_entry(flow, first_seq, reader);
  flow.seen_ticks = ticks_;
  flow.earlier = earlier;
  flow.marks |= SG_FLOW_EARLIER;
  if (!may_go_on) return;
  flow.other_seq = end_seq;
  flow.other_since = other_ticks(ticks_);
  flow.flags |= SG_FLOW_OTHER;
  if (is_tunnel) flow.marks |= SG_FLOW_OTHER_TUNNEL;
}

// A SYN in place of a connection that was closed. Another one that a SYN wanted to open stays to be
// watched for; but not where this one begins behind it, for then it lies among the earlier ones,
// and nothing of those is taken. (Of TLS, where nothing is read, it does not matter where it lies.)
void Tracker::replace_closed(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const uint32_t first_seq = lane.packet.seq + 1;
  const uint8_t of_other = flow.flags & (SG_FLOW_OTHER | SG_FLOW_OTHER_SYN | SG_FLOW_OTHER_LATER);
  const sg_earlier earlier = earlier_with_this(flow, ticks_);
  const uint32_t begin_seq = earlier_begin_seq(earlier, 0);
  const bool is_ahead = flow.other_seq - begin_seq > first_seq - begin_seq;
  replace(flow, first_seq, first_reader(lane), earlier);
  const bool stays = lane.service->protocol == SG_TLS || is_ahead;
  if (of_other != 0 && stays) flow.flags |= of_other;
}

// The connection that a SYN wanted to open in place of this one has begun, or the one goes on that
// was replaced. It keeps the backend, to which its SYN went. Whoever knows addresses and ports can
// make it look so: the old one goes on with its next segment, and nothing is answered, but for
// where nothing had begun or a tombstone was, which nobody but its own client can end.
//
// Of one that is taken up again only that is known, that it began behind all earlier ones (all
// within what passed_64k reaches: replace). Those, and this one, now lie between where this one
// began and where that one did.
void Tracker::begin_other(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const bool may_answer = flow.state == SG_FLOW_REFUSED || flow.state == SG_FLOW_OPENING;
  const bool is_new = (flow.flags & SG_FLOW_OTHER_SYN) != 0;
  const bool was_first = !is_new && (flow.flags & SG_FLOW_OTHER_LATER) == 0;
  const bool is_tunnel = (flow.marks & SG_FLOW_OTHER_TUNNEL) != 0;
  const bool has_earlier = (flow.marks & SG_FLOW_EARLIER) != 0;
  const auto begin_64k = static_cast<__u16>(stream_begin_seq(flow) >> 16);
  const auto other_64k = static_cast<__u16>(flow.other_seq >> 16);
  const auto passed_64k = static_cast<__u16>(has_earlier ? other_64k - flow.earlier.begin_64k : 0);
  replace(flow, lane.packet.seq, is_tunnel ? uint8_t{SG_READER_TUNNEL} : first_reader(lane),
          is_new ? earlier_with_this(flow, ticks_) : sg_earlier{begin_64k, other_ticks(ticks_), 0});
  flow.judged.passed_64k = is_new ? 0 : std::min<__u16>(passed_64k, SG_FLOW_PASSED_64K_MAX);
  if (was_first && (flow.flags & SG_FLOW_OTHER)) flow.flags |= SG_FLOW_OTHER_LATER;
  note_stamp(flow, lane.packet);
  if (!may_answer) flow.flags |= SG_FLOW_PIPELINED;
}

// The backend may have opened with this one only: it is from now on that the other is watched for.
void Tracker::settle_syn_again(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  if ((flow.flags & SG_FLOW_OTHER_SYN) && flow.other_seq == lane.packet.seq + 1)
    flow.other_since = other_ticks(ticks_);
}

void Tracker::settle_forwarded(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  if (packet.tcp_flags & SG_TCP_SYN) {
    if (lane.reopens)
      settle_syn(lane);
    else
      settle_syn_again(lane);
    return;
  }
  if (lane.reason == SG_REASON_trimmed) {
    // What was only the end of a body, or sent again, does not make the refused request one that
    // was sent before an answer was read.
    if (lane.round > 0) flow.flags |= SG_FLOW_PIPELINED;
    remember(lane);
    if (flow.marks & SG_FLOW_AHEAD) settle_ahead(lane);
    return;
  }
  if (lane.reason == SG_REASON_refused_rst) return settle_refused_rst(lane);
  bool is_rst = (packet.tcp_flags & SG_TCP_RST) != 0;
  if (flow.state == SG_FLOW_OPENING && !is_rst && !is_of_earlier(flow, packet.seq))
    flow.state = SG_FLOW_ESTABLISHED;
  note_syntax(lane);
  if (lane.advance == Advance::piece) keep_piece(lane);
  if (lane.advance == Advance::request) settle_request(lane);
  if (lane.advance == Advance::hello) settle_hello(lane);
  if (lane.advance == Advance::position) note_acknowledged(flow, packet);
  if (lane.advance == Advance::request || lane.advance == Advance::position) move_on(lane);
  if (!lane.has_more || (flow.marks & SG_FLOW_AHEAD) != 0) remember(lane);
  if (lane.advance == Advance::ahead)
    return flow.reader == SG_READER_NONE ? note_run(lane) : keep_ahead(lane);
  if (flow.marks & SG_FLOW_AHEAD) {
    remember_ahead(lane);
    settle_ahead(lane);
  }
  if (closes(lane)) flow.state = SG_FLOW_CLOSING;
}

// Who resets exactly where our answer acknowledged him got it, and does not want it: it may never
// have been asked for by the owner of this address.
void Tracker::settle_refused_rst(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (lane.packet.seq == flow.receive_next && flow.answers_again < SG_ANSWERS_AGAIN_MAX)
    flow.answers_again = SG_ANSWERS_AGAIN_MAX;
}

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

// What is remembered must not lie so far back that sequence numbers come round to it: with a body
// that is longer than a window can be, it is let go. But never so that what was judged looks like
// body.
void Tracker::move_on(const Lane& lane) {
  constexpr uint32_t span_max = SG_WINDOW_BYTES_MAX / 2 * 3;
  sg_flow& flow = *lane.flow;
  flow.judged.passed_64k = passed_64k_at(flow, flow.next_seq, lane.next_seq_after);
  flow.next_seq = lane.next_seq_after;
  flow.reader = lane.reader_after;
  sg_flow_set_body_left(&flow, lane.body_left_after);
  if (flow.reader == SG_READER_NONE || flow.next_seq - floor_seq(flow) <= span_max) return;
  forget_ranges(flow);
  uint32_t judged_end_seq = flow.judged.start_seq + flow.judged.length_bytes;
  if (flow.next_seq - flow.judged.start_seq > span_max)
    release(flow, flow.next_seq - std::min(span_max, flow.next_seq - judged_end_seq));
}

// The head's first bytes open a record, or take the place of those of the head before.
void Tracker::keep_piece(Lane& lane) {
  sg_flow& flow = *lane.flow;
  bool is_laid = (flow.flags & SG_FLOW_IN_HEAD) || (flow.marks & SG_FLOW_AHEAD);
  KeptHead* kept = heads_.of(flow);
  if (!is_laid) {
    uint32_t seq = lane.packet.seq + lane.head_offset;
    if (kept == nullptr) kept = &heads_.take(flow);
    kept->start_seq = seq;
    kept->head_began_ticks = ticks_;
    std::memcpy(kept->bytes, payload_of(lane) + lane.head_offset, lane.next_seq_after - seq);
  }
  if (kept == nullptr) return;  // it made room for another lane's: nothing goes on from here
  if (kept->has_empty_line_only()) kept->head_began_ticks = ticks_;
  flow.flags |= SG_FLOW_IN_HEAD;
  kept->length_bytes = static_cast<uint16_t>(lane.next_seq_after - kept->start_seq);
  go_on_at(flow, lane.next_seq_after);
}

// All in front of seq was read.
void Tracker::go_on_at(sg_flow& flow, uint32_t seq) {
  flow.judged.passed_64k = passed_64k_at(flow, flow.next_seq, seq);
  flow.next_seq = seq;
  sg_flow_set_body_left(&flow, 0);
}

void Tracker::settle_request(Lane& lane) {
  sg_flow& flow = *lane.flow;
  bool waited = seq_distance(flow.request_ack, lane.packet.ack) > 0;
  if ((flow.flags & SG_FLOW_HAS_REQUEST) && !waited) flow.flags |= SG_FLOW_PIPELINED;
  flow.flags |= SG_FLOW_HAS_REQUEST;
  flow.marks &= static_cast<uint8_t>(~SG_FLOW_HELD);
  flow.request_ack = lane.packet.ack;
  if (lane.request.head.upgrade) {
    flow.flags |= SG_FLOW_UPGRADE;
    if (lane.request.route != nullptr && lane.request.route->upgrade_tunnel)
      flow.flags |= SG_FLOW_TUNNEL;
  }
  bool is_laid = (flow.flags & SG_FLOW_IN_HEAD) || (flow.marks & SG_FLOW_AHEAD);
  if (!is_laid) return;
  flow.flags &= static_cast<uint8_t>(~SG_FLOW_IN_HEAD);
  // The last piece is kept with the others: then a resend that is cut anywhere can be compared.
  if (KeptHead* kept = heads_.of(flow))
    kept->length_bytes = static_cast<uint16_t>(lane.request.head.length_bytes);
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

}  // namespace surgegate
