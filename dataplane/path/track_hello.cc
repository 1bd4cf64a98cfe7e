// SPDX-License-Identifier: BSD-3-Clause
// TLS: a connection is one request, which its first byte makes. Nothing else is read of it.
//
// While that byte has not come, nothing passes but what can only stand behind it. Once it was
// admitted everything passes, but for the first byte of another connection that a SYN wants to open
// in the place of this one: that is a request as well, wherever it stands in a segment. A backend
// holds one connection of an address and port at a time, so no more ClientHellos reach it than were
// counted, and what only looks like a SYN or the end of a connection ends nobody's.
#include "dataplane/path/earlier.h"
#include "dataplane/path/tls.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

// Modulo 2^32.
bool holds(const sg_packet& packet, uint32_t seq) {
  return seq - packet.seq < packet.payload_length;
}

bool holds_first(const sg_flow& flow, const sg_packet& packet) {
  return flow.reader == SG_READER_HELLO && holds(packet, flow.next_seq);
}

bool holds_others_first(const sg_flow& flow, const sg_packet& packet) {
  return (flow.flags & SG_FLOW_OTHER) != 0 && holds(packet, flow.other_seq);
}

// Whether any of it stands where an earlier connection was that a backend may hold still.
bool holds_earlier(const sg_flow& flow, const sg_packet& packet, uint32_t ticks) {
  const bool has_earlier = (flow.marks & SG_FLOW_EARLIER) != 0;
  if (!has_earlier || earlier_periods(flow, ticks) >= SG_FLOW_EARLIER_PERIODS) return false;
  return is_of_earlier(flow, packet.seq) ||
         is_of_earlier(flow, packet.seq + packet.payload_length - 1) ||
         holds(packet, earlier_begin_seq(flow.earlier, 0));
}

}  // namespace

// An alert goes where the backend's would have been the first thing to come: behind a first byte of
// the connection that the entry is about, also to a declared proxy, for no one else's answer can be
// meant. Elsewhere a refusal is silent, and ends nothing, however often: who forged the SYN would
// have ended the connection that is there.
void Tracker::read_hello(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  bool is_first = holds_first(flow, packet);
  lane.reader_after = SG_READER_NONE;
  lane.next_seq_after = packet.seq + packet.payload_length;
  lane.body_left_after = 0;
  if (!is_first && !holds_others_first(flow, packet)) return pass_beside_hello(lane);
  lane.request.head.clear();
  lane.counts_request = true;
  lane.found |= SG_FOUND(request);
  lane.advance = Advance::hello;
  lane.answerable = is_first && packet.seq == flow.next_seq;
  if (!lane.answerable) lane.worn_out = false;
}

// What follows on an admitted one moves next_seq on where it joins, so that a FIN or RST is known
// by its number. (Behind two holes at a time it stays: then the next SYN is watched for instead.)
// What comes before the first byte waits at the backend, which cannot read it without that; but
// where another connection is or was it may be the first byte of that, and so may what stands where
// one was.
void Tracker::pass_beside_hello(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  if (holds_earlier(flow, packet, ticks_)) {
    lane.found |= SG_FOUND(old_data);
    return;
  }
  if (flow.reader != SG_READER_HELLO) {
    lane.found |= SG_FOUND(segment);
    if (holds(packet, flow.next_seq)) {
      lane.advance = Advance::position;
      if (flow.run_seq - packet.seq <= packet.payload_length &&
          seq_distance(lane.next_seq_after, flow.run_end_seq) > 0)
        lane.next_seq_after = flow.run_end_seq;
    } else if (packet.seq - flow.next_seq < SG_WINDOW_BYTES_MAX) {
      lane.advance = Advance::ahead;
    }
    return;
  }
  int32_t ahead = seq_distance(flow.next_seq, packet.seq);
  const bool is_alone = (flow.flags & SG_FLOW_OTHER) == 0 && (flow.marks & SG_FLOW_EARLIER) == 0;
  bool may_wait = is_alone && ahead > 0 && ahead < static_cast<int32_t>(SG_FIRST_WINDOW_BYTES);
  lane.found |= may_wait    ? SG_FOUND(segment)
                : ahead < 0 ? SG_FOUND(old_data)
                            : SG_FOUND(out_of_order);
}

// The entry goes on with the connection whose hello was admitted. One whose hello has not come is
// watched for still: where SYN cookies are in use a backend can take up both, one after the other.
// (One whose hello was admitted goes on beside it: the backend has this or that.)
void Tracker::settle_hello(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  const bool is_others = !holds_first(flow, lane.packet);
  if (is_others && flow.reader == SG_READER_HELLO)
    change_places(flow);
  else if (is_others)
    forget_other(flow);
  flow.state = SG_FLOW_ESTABLISHED;
  move_on(lane);
  flow.run_seq = flow.run_end_seq = flow.next_seq;
}

// This connection, of which no byte came, and the other one.
void Tracker::change_places(sg_flow& flow) {
  const uint32_t first_seq = flow.other_seq;
  flow.earlier = earlier_of_other(flow, ticks_);
  flow.marks |= SG_FLOW_EARLIER;
  flow.other_seq = flow.next_seq;
  flow.other_since = other_ticks(ticks_);
  flow.flags &= static_cast<uint8_t>(~SG_FLOW_OTHER_SYN);
  flow.next_seq = flow.judged.start_seq = first_seq;
  flow.judged.passed_64k = 0;
}

// Of the runs beyond holes the nearest is kept: it is joined when the hole in front of it is
// filled.
void Tracker::note_run(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  const uint32_t seq = lane.packet.seq;
  const uint32_t end_seq = seq + lane.packet.payload_length;
  const bool is_empty = seq_distance(flow.next_seq, flow.run_end_seq) <= 0;
  const bool touches =
      seq_distance(seq, flow.run_end_seq) >= 0 && seq_distance(flow.run_seq, end_seq) >= 0;
  if (!is_empty && !touches) counters_.tls_runs_forgotten++;
  if (is_empty || (!touches && seq_distance(seq, flow.run_seq) > 0)) {
    flow.run_seq = seq;
    flow.run_end_seq = end_seq;
  } else if (touches) {
    if (seq_distance(seq, flow.run_seq) > 0) flow.run_seq = seq;
    if (seq_distance(flow.run_end_seq, end_seq) > 0) flow.run_end_seq = end_seq;
  }
}

// There are never more than two first bytes to watch for; behind a close that its own client
// brought about one may always begin. Where an earlier stream was none may: no byte that stands
// there passes. (Of a refused connection all bytes are thrown away.)
bool Tracker::may_open_another_hello(const sg_flow& flow, uint32_t first_seq) const {
  const bool is_over = flow.state == SG_FLOW_CLOSING || flow.state == SG_FLOW_REFUSED;
  if (is_over ? is_in_stream(flow, first_seq, ticks_) : is_of_earlier(flow, first_seq))
    return false;
  return (flow.flags & SG_FLOW_OTHER) == 0 || flow.state == SG_FLOW_CLOSING;
}

// The beginning was not seen. What begins like one counts as one, or where the table has no room
// for a SYN nothing would.
void Tracker::count_stray_hello(Lane& lane) {
  if (!begins_client_hello(payload_from(lane))) return;
  lane.request.head.clear();
  lane.counts_request = true;
  lane.found |= SG_FOUND(request);
}

}  // namespace surgegate
