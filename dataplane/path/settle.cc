// SPDX-License-Identifier: BSD-3-Clause
// What a verdict means for the flow.
#include <algorithm>
#include <cstring>

#include "dataplane/path/seq.h"
#include "dataplane/path/stride.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

// The entry as a SYN leaves it, its backend aside.
void open_entry(sg_flow& flow, const sg_packet& packet, uint8_t reader) {
  flow.next_seq = packet.seq + 1;
  flow.body_left_bytes = 0;
  flow.state = SG_FLOW_OPENING;
  flow.reader = reader;
  flow.flags = 0;
  flow.judged = {flow.next_seq, 0, 0, SG_READER_HEAD};
  // Rounded down, but never to 0, which means that none was given.
  flow.mss_64 =
      packet.mss == 0 ? uint8_t{0} : static_cast<uint8_t>(std::clamp(packet.mss / 64, 1, 255));
}

uint8_t first_reader(const Lane& lane) {
  return lane.service->protocol == SG_HTTP ? SG_READER_HEAD : SG_READER_NONE;
}

// Whether a FIN or RST stands where the backend takes it: a FIN at the end of what was judged, an
// RST exactly at the next number [RFC 5961 section 3.2]; in a body, and where nothing is read, that
// number is not known here, but for its side of it.
bool closes(const sg_flow& flow, const sg_packet& packet) {
  if ((packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST)) == 0) return false;
  if (flow.reader == SG_READER_NONE) return true;
  uint32_t seq = packet.tcp_flags & SG_TCP_RST ? packet.seq : packet.seq + packet.payload_length;
  int32_t ahead = seq_distance(flow.next_seq, seq);
  bool in_body = (flow.flags & SG_FLOW_IN_HEAD) == 0 &&
                 seq_distance(flow.judged.start_seq + flow.judged.length_bytes, flow.next_seq) > 0;
  return ahead == 0 || (in_body && ahead < 0 && seq_distance(flow.judged.start_seq, seq) >= 0);
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
      if (lane.verdict == SG_VERDICT_forwarded)
        settle_forwarded(lane);
      else if (lane.opens && !lane.reopens)
        forget(*lane.flow);
      else if (lane.verdict == SG_VERDICT_answered)
        heads_.give_back(*lane.flow);  // a tombstone reads nothing any more
    }
    if (lane.has_more) lane.round++;  // a frame holds fewer than 2^16 requests: each has many bytes
  }
  counters_.heads_evicted = heads_.evicted();
}

void Tracker::forget(sg_flow& flow) {
  heads_.give_back(flow);
  FlowTable::remove(flow);
}

void Tracker::settle_syn(Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (!lane.reopens) {
    open_entry(flow, lane.packet, first_reader(lane));
  } else if (flow.state == SG_FLOW_CLOSING) {
    replace(lane, lane.packet);
    flow.backend_slot = SG_NONE16;
  } else {
    flow.pending_seq = lane.packet.seq + 1;
    if (flow.state != SG_FLOW_REFUSED) flow.pending_low_seq = flow.pending_seq;
    flow.flags |= SG_FLOW_PENDING;
  }
}

// Begins another connection in this entry, and remembers where the backend may be in the old one.
void Tracker::replace(Lane& lane, const sg_packet& syn) {
  sg_flow& flow = *lane.flow;
  bool was_refused = flow.state == SG_FLOW_REFUSED;
  uint32_t end_seq = stream_end_seq(flow);
  uint32_t low_seq = was_refused ? end_seq : flow.judged.start_seq;
  bool at_head = was_refused || (flow.reader == SG_READER_HEAD && flow.body_left_bytes == 0 &&
                                 (flow.flags & SG_FLOW_IN_HEAD) == 0);
  heads_.give_back(flow);
  open_entry(flow, syn, first_reader(lane));
  flow.seen_ticks = ticks_;
  flow.pending_seq = end_seq;
  flow.pending_low_seq = low_seq;
  flow.flags = at_head ? SG_FLOW_PENDING : SG_FLOW_PENDING | SG_FLOW_PENDING_DEAD;
}

// The connection that a SYN wanted to open in place of this one has begun. It keeps the backend, to
// which its SYN went. Whoever knows addresses and ports can make it look so: the old one goes on
// with its next segment, and nothing is answered, but for where a tombstone was, which nobody but
// its own client can end.
void Tracker::begin_pending(Lane& lane) {
  sg_flow& flow = *lane.flow;
  bool was_refused = flow.state == SG_FLOW_REFUSED;
  uint8_t mss_64 = flow.mss_64;
  sg_packet syn{};
  syn.seq = lane.packet.seq - 1;
  replace(lane, syn);
  flow.mss_64 = mss_64;
  if (!was_refused) flow.flags |= SG_FLOW_PIPELINED;
}

void Tracker::settle_forwarded(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  if (packet.tcp_flags & SG_TCP_SYN) {
    if (lane.reopens) settle_syn(lane);
    return;
  }
  if (lane.reason == SG_REASON_trimmed) {
    flow.flags |= SG_FLOW_PIPELINED;
    remember_judged(lane);
    return;
  }
  if (lane.reason == SG_REASON_refused_rst) return;
  if (flow.state == SG_FLOW_OPENING) flow.state = SG_FLOW_ESTABLISHED;
  if (lane.advance == Advance::piece) keep_piece(lane);
  if (lane.advance == Advance::request) settle_request(lane);
  if (lane.advance == Advance::request || lane.advance == Advance::position) move_on(lane);
  if (!lane.has_more) remember_judged(lane);
  if (closes(flow, packet)) flow.state = SG_FLOW_CLOSING;
}

// What is remembered must not lie so far back that sequence numbers come round to it: with a body
// that is longer than a window can be, it is let go.
void Tracker::move_on(const Lane& lane) {
  constexpr uint32_t span_max = body_stride_bytes / 2 * 3;
  sg_flow& flow = *lane.flow;
  uint64_t span =
      uint64_t{flow.next_seq - flow.judged.start_seq} + (lane.next_seq_after - flow.next_seq);
  if (span > span_max) {
    heads_.give_back(flow);
    flow.judged = {lane.next_seq_after - span_max, 0, 0, SG_READER_HEAD};
  }
  flow.next_seq = lane.next_seq_after;
  flow.reader = lane.reader_after;
  flow.body_left_bytes = lane.body_left_after;
}

// The head's first bytes open a record, or follow in it the heads that are not answered yet.
void Tracker::keep_piece(Lane& lane) {
  sg_flow& flow = *lane.flow;
  uint32_t seq = lane.packet.seq + lane.head_offset;
  auto bytes = static_cast<uint16_t>(lane.packet.payload_length - lane.head_offset);
  if ((flow.flags & SG_FLOW_IN_HEAD) == 0) {
    remember_judged(lane);
    KeptHead* kept = lane.keeps ? heads_.of(flow) : nullptr;
    if (kept == nullptr) {
      heads_.give_back(flow);
      kept = &heads_.take(flow);
      kept->start_seq = seq;
      if (!lane.keeps && lane.round == 0) flow.judged = {seq, 0, 0, SG_READER_HEAD};
    }
    kept->head_at = kept->length_bytes;
    kept->head_began_ticks = ticks_;
    std::memcpy(kept->bytes + kept->length_bytes, payload_of(lane) + lane.head_offset, bytes);
    flow.flags |= SG_FLOW_IN_HEAD;
  }
  if (KeptHead* kept = heads_.of(flow))
    kept->length_bytes = static_cast<uint16_t>(kept->length_bytes + bytes);
  flow.next_seq = seq + bytes;
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
  lane.judges = true;
  lane.judged_end_seq = lane.head_end_seq;
  if ((flow.flags & SG_FLOW_IN_HEAD) == 0) return;
  flow.flags &= static_cast<uint8_t>(~SG_FLOW_IN_HEAD);
  lane.judges = false;  // it is in the record
  KeptHead* kept = heads_.of(flow);
  if (kept == nullptr) {  // since this head was read another took it
    flow.judged = {lane.head_end_seq, 0, 0, SG_READER_HEAD};
    return;
  }
  kept->length_bytes = static_cast<uint16_t>(lane.head_end_seq - kept->start_seq);
  if (flow.judged.length_bytes == 0) {  // the hash stays when the record must make room for others
    auto bytes = static_cast<uint16_t>(kept->length_bytes - kept->head_at);
    const auto* head = reinterpret_cast<const uint8_t*>(kept->bytes + kept->head_at);
    flow.judged = {kept->start_seq + kept->head_at, judged_hash(secret_, head, bytes), bytes,
                   SG_READER_HEAD};
  }
  lane.first_head_offset = static_cast<uint16_t>(lane.head_end_seq - lane.packet.seq);
  lane.keeps = true;  // what follows in this segment follows there
}

// Remembers the heads of this segment that were admitted, with all between them: as one range by
// its hash, or behind the earlier ones that are not answered yet.
void Tracker::remember_judged(Lane& lane) {
  sg_flow& flow = *lane.flow;
  if (!lane.judges) return;
  lane.judges = false;
  uint32_t first_seq = lane.packet.seq + lane.first_head_offset;
  auto bytes = static_cast<uint16_t>(lane.judged_end_seq - first_seq);
  const uint8_t* from = payload_of(lane) + lane.first_head_offset;
  if (!lane.keeps) {
    heads_.give_back(flow);
    flow.judged = {first_seq, judged_hash(secret_, from, bytes), bytes, SG_READER_HEAD};
    return;
  }
  KeptHead* kept = heads_.of(flow);
  if (kept == nullptr) {
    kept = &heads_.take(flow);
    kept->start_seq = first_seq;
  }
  std::memcpy(kept->bytes + kept->length_bytes, from, bytes);  // can_keep() saw that it fits
  kept->length_bytes = static_cast<uint16_t>(kept->length_bytes + bytes);
}

}  // namespace surgegate
