// SPDX-License-Identifier: BSD-3-Clause
// What a segment is to its connection. track_data.cc reads the stream.
#include "dataplane/path/track.h"

#include <algorithm>

#include "dataplane/path/earlier.h"
#include "dataplane/path/segment.h"
#include "dataplane/path/stream.h"

namespace surgegate {
namespace {

// Anything but a request to come back to: the time for which such a connection may be silent while
// it is alive.
bool waits_for_request(const sg_flow& flow) {
  constexpr uint8_t within = SG_FLOW_IN_HEAD | SG_FLOW_UPGRADE;
  return flow.reader == SG_READER_HEAD && sg_flow_body_left(&flow) == 0 &&
         (flow.flags & within) == 0;
}

// Whether it stands where another connection may be opened or go on, or so little behind it that a
// backend would take its acknowledgement [RFC 9293 section 3.10.7.4].
bool is_of_other(const sg_flow& flow, const sg_packet& packet) {
  return (flow.flags & SG_FLOW_OTHER) != 0 && packet.seq - flow.other_seq <= SG_FIRST_WINDOW_BYTES;
}

// Whether the other connection came later than this one.
bool is_later(const sg_flow& flow) {
  return (flow.flags & (SG_FLOW_OTHER_SYN | SG_FLOW_OTHER_LATER)) != 0;
}

// Whether an answer is due that would be larger than what has come and was not answered yet. An
// acknowledgement alone would have the client wait for what it cannot ask for again.
bool is_unpaid(const sg_flow& flow, const sg_packet& packet) {
  bool asks = packet.payload_length > 0 || (packet.tcp_flags & SG_TCP_FIN) != 0;
  if (!asks || !is_answer_unread(flow, packet.ack) || flow.answers_again >= SG_ANSWERS_AGAIN_MAX)
    return false;
  uint32_t least = std::min<uint32_t>(flow.judged.answer_bytes, SG_LEAST_ANSWER_BYTES);
  return sg_flow_credit_bytes(&flow) + bytes_that_came(packet) <
         answer_header_bytes(packet) + least;
}

// Whether a client that has read on into the place of an answer, or behind it, sends again what was
// refused: the backend's answer was not over there, ours is lost in it, and the rest of it will
// never come. (Who only goes on was answered by a backend: in a capture that was taken without a
// gate.) Within the place a shorter answer may have ended: but that acknowledged the refused
// request, and nothing of it would come again with this acknowledgement.
bool is_lost_inside(const sg_flow& flow, const sg_packet& packet) {
  if (reads_on(flow, packet.ack)) return seq_distance(flow.receive_next, packet.seq) < 0;
  return (flow.flags & SG_FLOW_OTHER) == 0 && !is_answer_unread(flow, packet.ack) &&
         seq_distance(flow.judged.linger_seq, packet.seq) < 0;
}

}  // namespace

Part Tracker::take(std::span<Lane> lanes) {
  Occurrences seen;
  size_t count = 0;
  for (Lane& lane : lanes) {
    if (lane.packet.ports_read && seen.add(lane.flow_hash)) break;
    if (count > 0 && takes_entry_of(lane, seen)) break;
    count++;
    if (lane.found == 0 || lane.has_more) track(lane);
    if (lane.has_more) break;
  }
  return lanes.first(count);
}

// Whether this is a SYN whose flow would get the entry of one that another lane of the part has.
bool Tracker::takes_entry_of(const Lane& lane, const Occurrences& others) const {
  bool is_syn = lane.found == 0 && lane.packet.tuple.protocol == SG_PROTO_TCP &&
                (lane.packet.tcp_flags & SG_TCP_SYN) != 0;
  if (!is_syn || flows_.find(lane.flow_hash, ticks_) != nullptr) return false;
  const sg_flow* place = flows_.place_for(lane.flow_hash, ticks_);
  return place != nullptr && place->hash != 0 && place->hash != lane.flow_hash &&
         others.has(place->hash);
}

void Tracker::track(Lane& lane) {
  lane.found = 0;
  lane.is_held = lane.has_more && lane.next_is_held;
  lane.has_more = lane.next_is_held = false;
  lane.waits = false;
  lane.advance = Advance::nothing;
  lane.counts_request = false;
  lane.request.route = nullptr;
  lane.syntax_first = lane.syntax_end = 0;
  lane.worn_out = false;
  lane.ahead_bytes = lane.ahead_parts_count = lane.ahead_piece_bytes = 0;
  if (lane.packet.tuple.protocol == SG_PROTO_UDP) {
    lane.found |= SG_FOUND(datagram);
    return;
  }
  track_tcp(lane);
}

void Tracker::track_tcp(Lane& lane) {
  lane.flow = flows_.find(lane.flow_hash, ticks_);
  const sg_packet& packet = lane.packet;
  // A stack takes the urgent byte out of the stream [RFC 6093 section 2], and pointer and byte may
  // come in different segments: what is read here would not be what the backend reads.
  if (lane.service->protocol == SG_HTTP && (packet.tcp_flags & SG_TCP_URG)) {
    lane.found |= SG_FOUND(tcp_urgent);
    return;
  }
  if (lane.flow != nullptr) forget_lost(*lane.flow);
  if (is_met(lane) && (packet.tcp_flags & SG_TCP_SYN)) lane.flow = nullptr;  // it bars nobody
  if (packet.tcp_flags & SG_TCP_SYN) return track_syn(lane);
  if (lane.flow == nullptr || is_met(lane)) return track_stray(lane);
  sg_flow& flow = *lane.flow;
  if (begins_other(lane)) begin_other(lane);
  // A tombstone ages from the refusal on, whatever is sent to it: its answers have an end.
  if (flow.state == SG_FLOW_REFUSED) return track_refused(lane);
  if (is_of_another(lane)) {
    lane.found |= SG_FOUND(out_of_order);
    return;
  }
  lane.worn_out = (flow.silent_refusals & ~SG_FLOW_ACK_NOTED) >= SG_SILENT_REFUSALS_MAX;
  if (is_of_other(flow, packet)) {
    flow.other_since = other_ticks(ticks_);
    flow.marks |= SG_FLOW_OTHER_MET;
  } else {
    flow.seen_ticks = ticks_;
  }
  if (packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST)) lane.found |= SG_FOUND(closing);
  // What an RST carries is for people [RFC 9293 section 3.5.2]: no backend reads it.
  if (packet.payload_length == 0 || (packet.tcp_flags & SG_TCP_RST)) {
    lane.found |= SG_FOUND(segment);
    return;
  }
  read_data(lane);
}

uint64_t Tracker::silent_ns(const sg_flow& flow) const {
  return uint64_t{ticks_ - flow.seen_ticks} * SG_FLOW_TICK_NS;
}

void Tracker::forget_other(sg_flow& flow) {
  flow.flags &= static_cast<uint8_t>(~flags_of_other);
  flow.marks &= static_cast<uint8_t>(~marks_of_other);
}

// What the entry says of things that are gone: connections that no backend holds any more, and a
// record that another flow took. Of a head whose beginning was in that nothing can be compared.
void Tracker::forget_lost(sg_flow& flow) {
  if ((flow.flags & SG_FLOW_OTHER) && is_past(flow.other_since, SG_FLOW_OTHER_NS_MAX, ticks_))
    forget_other(flow);
  if ((flow.marks & SG_FLOW_EARLIER) && is_past(flow.earlier.since, SG_FLOW_IDLE_NS_MAX, ticks_))
    flow.marks &= static_cast<uint8_t>(~SG_FLOW_EARLIER);
  if (flow.state == SG_FLOW_REFUSED || flow.kept_index == SG_NONE16) return;
  if (heads_.of(flow) != nullptr) return;
  flow.kept_index = SG_NONE16;
  flow.marks &= static_cast<uint8_t>(~SG_FLOW_BODY_BEFORE);
  if (flow.flags & SG_FLOW_IN_HEAD) {
    flow.judged.start_seq = flow.next_seq;
    flow.judged.length_bytes = 0;
  }
}

// Until the first byte of a connection came its packets stand where its SYN said. Others would
// complete a handshake that was forgotten for another one. (Whoever closed the connection before
// may still read, and acknowledge.)
bool Tracker::is_of_another(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  return flow.state == SG_FLOW_OPENING && flow.reader != SG_READER_NONE &&
         lane.packet.payload_length == 0 && (lane.packet.tcp_flags & SG_TCP_RST) == 0 &&
         lane.packet.seq != flow.next_seq && !is_of_earlier(flow, lane.packet.seq);
}

// A resent SYN of a connection that is opening is forwarded and not counted again. Any other SYN to
// a flow that has an entry wants to open a new connection, and is counted as one; but whether the
// backend lets it is not seen here (of a live connection it will not: RFC 5961 section 4). So it
// changes nothing, until a segment comes that continues it. Only a connection that was closed
// where the backend takes that makes room at once. From then on there are two streams that the
// backend may be reading, and what is read here must not be a different thing in the other: they
// may not overlap. (earlier.h)
void Tracker::track_syn(Lane& lane) {
  if (lane.flow == nullptr) return track_first_syn(lane);
  sg_flow& flow = *lane.flow;
  uint32_t first_seq = lane.packet.seq + 1;
  bool waits = (flow.flags & SG_FLOW_OTHER_SYN) != 0 && flow.other_seq == first_seq;
  bool is_known = waits && (flow.marks & SG_FLOW_OTHER_MET) == 0;
  bool again = is_known || (flow.state == SG_FLOW_OPENING && flow.next_seq == first_seq);
  if (!again && !waits && !may_open_another(lane, first_seq)) {
    lane.found |= SG_FOUND(syn_in_stream);
    return;
  }
  lane.found |= SG_FOUND(syn);
  lane.opens = lane.reopens = !again;
  // Beyond its ten seconds an opening entry may be taken: not by another lane of this burst.
  if (flow.state == SG_FLOW_OPENING) flow.seen_ticks = ticks_;
}

void Tracker::track_first_syn(Lane& lane) {
  lane.opens = true;
  lane.flow = flows_.place_for(lane.flow_hash, ticks_);
  if (lane.flow == nullptr) {
    counters_.flow_set_full++;
    lane.found |= SG_FOUND(syn_untracked);
    return;
  }
  heads_.give_back(*lane.flow);
  FlowTable::enter(*lane.flow, lane.flow_hash, ticks_);
  lane.found |= SG_FOUND(syn);
  settle_syn(lane);
}

// While nothing was read a second SYN may stand anywhere, but so near to the first that they could
// not be told apart: who forged one before it must not lock out who comes after. There is no third:
// a backend may have answered any, and begins with that of which the handshake completes. But
// behind a close that its own client brought about one may begin beside another that came later:
// where that stands stays known (replace_closed).
bool Tracker::may_open_another(const Lane& lane, uint32_t first_seq) const {
  const sg_flow& flow = *lane.flow;
  if (lane.service->protocol == SG_TLS) return may_open_another_hello(flow, first_seq);
  if (flow.reader == SG_READER_NONE && flow.state != SG_FLOW_REFUSED) return true;
  const bool has_other = (flow.flags & SG_FLOW_OTHER) != 0;
  const bool may_stay = flow.state == SG_FLOW_CLOSING && is_later(flow);
  if ((has_other && !may_stay) || is_in_stream(flow, first_seq, ticks_)) return false;
  return flow.state != SG_FLOW_OPENING || first_seq >> 16 != flow.next_seq >> 16;
}

// Whether this segment is the first of the connection that may go on in this one's place. Who only
// knows addresses and ports can make it look so: a connection that lives is not silent for long,
// and goes on with its next segment if it was. (So the one that was there first need not wait, and
// the other waits again.) Where nothing was asked yet nothing is lost by that.
bool Tracker::begins_other(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  bool is_there = (flow.flags & SG_FLOW_OTHER) != 0 && lane.packet.seq == flow.other_seq &&
                  flow.other_seq != stream_end_seq(flow) &&
                  (lane.packet.tcp_flags & SG_TCP_RST) == 0;
  if (!is_there) return false;
  const bool is_syns = (flow.flags & SG_FLOW_OTHER_SYN) != 0;
  const bool has_data = lane.packet.payload_length > 0;
  if (flow.state == SG_FLOW_OPENING || flow.state == SG_FLOW_REFUSED) return has_data || is_syns;
  if (lane.service->protocol == SG_TLS) return false;  // read_hello() watches for it
  if (!has_data) return false;
  if (!is_later(flow) || flow.state == SG_FLOW_CLOSING) return true;
  if (!waits_for_request(flow)) return silent_ns(flow) >= SG_FLOW_SILENT_WITHIN_NS;
  return (flow.flags & SG_FLOW_HAS_REQUEST) == 0 || silent_ns(flow) >= SG_FLOW_SILENT_NS;
}

// The tombstone of a refused connection speaks for the backend, which no longer has it. (But of an
// earlier one, whose client may still read.)
void Tracker::track_refused(Lane& lane) {
  const sg_packet& packet = lane.packet;
  const sg_flow& flow = *lane.flow;
  if (packet.payload_length == 0 && is_of_earlier(flow, packet.seq)) {
    lane.found |=
        packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST) ? SG_FOUND(closing) : SG_FOUND(segment);
    return;
  }
  bool is_beyond = flow.answers_again == SG_FLOW_RESETS ||
                   (seq_distance(flow.receive_next, packet.seq) >= 0 &&
                    packet.seq - flow.judged.linger_seq >= SG_LINGER_BYTES_MAX);
  if (packet.tcp_flags & SG_TCP_RST)
    lane.found |= SG_FOUND(refused_rst);
  else if (packet.payload_length > 0 && (is_beyond || is_lost_inside(flow, packet)))
    lane.found |= SG_FOUND(refused_beyond);
  else if (is_unpaid(flow, packet))
    lane.found |= SG_FOUND(refused_unpaid);
  else if (packet.payload_length > 0)
    lane.found |= SG_FOUND(refused_resend);
  else if (packet.tcp_flags & SG_TCP_FIN)
    lane.found |= SG_FOUND(refused_fin);
  else
    lane.found |= SG_FOUND(refused_ack);
}

}  // namespace surgegate
