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
  if (flow.state == SG_FLOW_REFUSED) return;
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

}  // namespace surgegate
