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
// by its number. (Behind a hole it stays: then the next SYN is watched for instead.) What comes
// before the first byte waits at the backend, which cannot read it without that; but where another
// SYN was seen it may be the first byte of a connection that is not remembered.
void Tracker::pass_beside_hello(Lane& lane) {
  const sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  if (flow.reader != SG_READER_HELLO) {
    lane.found |= SG_FOUND(segment);
    if (holds(packet, flow.next_seq)) lane.advance = Advance::position;
    return;
  }
  int32_t ahead = seq_distance(flow.next_seq, packet.seq);
  bool may_wait = ahead > 0 && ahead < SG_HELLO_AHEAD_BYTES_MAX && !(flow.flags & SG_FLOW_OTHER);
  lane.found |= may_wait    ? SG_FOUND(segment)
                : ahead < 0 ? SG_FOUND(old_data)
                            : SG_FOUND(out_of_order);
}

// The entry goes on with the connection whose hello was admitted. The backend has that one or the
// other, and one hello was counted.
void Tracker::settle_hello(const Lane& lane) {
  forget_other(*lane.flow);
  move_on(lane);
}

// The backend may have opened with this one only: it is from now on that its hello is watched for.
void Tracker::settle_syn_again(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  if ((flow.flags & SG_FLOW_OTHER_SYN) && flow.other_seq == lane.packet.seq + 1)
    flow.other_since = other_ticks(ticks_);
}

// Before the first byte only what a SYN opens can be read, so that the newest one counts; behind it
// everything may, and there are never two to watch for. Of a refused one all bytes are thrown away,
// but none of them may be taken for another connection's first.
bool Tracker::may_open_another_hello(const sg_flow& flow, uint32_t first_seq) const {
  if (flow.state == SG_FLOW_REFUSED) return !is_in_stream(flow, first_seq, ticks_);
  return flow.reader == SG_READER_HELLO || (flow.flags & SG_FLOW_OTHER) == 0;
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
