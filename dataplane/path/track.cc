// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/track.h"

#include <algorithm>

#include "dataplane/path/http_chunks.h"
#include "dataplane/path/seq.h"

namespace surgegate {
namespace {

// next_seq never runs further ahead of the stream than this, so that sequence numbers around it
// compare correctly (they do within 2^31) whatever length a body claims.
constexpr uint64_t body_stride_bytes = 1u << 30;

std::string_view payload_from(const Lane& lane, uint32_t offset) {
  return {reinterpret_cast<const char*>(payload_of(lane)) + offset,
          lane.packet.payload_length - offset};
}

// Moves a boundary over body bytes: as far as a stride allows, the rest stays in `left`.
void pass_body(uint32_t& next_seq, uint64_t& left) {
  uint64_t step = std::min(left, body_stride_bytes);
  next_seq += static_cast<uint32_t>(step);
  left -= step;
}

bool in_body(uint8_t reader) {
  return reader == SG_READER_HEAD || reader == SG_READER_DATA_CR;
}

// Whether a segment comes within half a stride of the boundary of a body that goes on beyond it.
bool near_boundary(const sg_flow& flow, const sg_packet& packet) {
  uint32_t end_seq = packet.seq + packet.payload_length;
  return seq_distance(flow.next_seq, end_seq) > -static_cast<int32_t>(body_stride_bytes / 2);
}

// Whether bytes of the last judged head, or from before it, are sent again. No segment is longer
// than 65,535 bytes: one that starts further before the head's end is of a body so long that
// sequence numbers came round.
bool reaches_head(const sg_flow& flow, const sg_packet& packet) {
  int32_t before_end = seq_distance(packet.seq, flow.judged.start_seq + flow.judged.length_bytes);
  return before_end > 0 && before_end <= flow.judged.length_bytes + 0xffff;
}

// Flows occur twice in a burst when a client sends several segments in a row. A small bitmap tells
// in one bit test; two flows that share a bit only cut the part early.
class Occurrences {
 public:
  bool add(uint64_t hash) {
    uint64_t& word = words_[(hash >> 6) % words_.size()];
    uint64_t bit = 1ull << (hash & 63);
    bool seen = (word & bit) != 0;
    word |= bit;
    return seen;
  }

 private:
  std::array<uint64_t, 32> words_{};  // 2,048 bits: 32 lanes meet by chance once in four bursts
};

}  // namespace

Part Tracker::take(std::span<Lane> lanes) {
  Occurrences seen;
  size_t count = 0;
  for (Lane& lane : lanes) {
    if (lane.packet.ports_read && seen.add(lane.flow_hash)) break;
    count++;
    if (lane.found == 0 || lane.has_more) track(lane);
    if (lane.has_more) break;
  }
  return lanes.first(count);
}

void Tracker::track(Lane& lane) {
  lane.found = 0;
  lane.has_more = false;
  lane.advance = Advance::nothing;
  lane.counts_request = false;
  lane.request.route = nullptr;
  if (lane.packet.tuple.protocol == SG_PROTO_UDP) {
    lane.found |= SG_FOUND(datagram);
    return;
  }
  track_tcp(lane);
}

void Tracker::track_tcp(Lane& lane) {
  lane.flow = flows_.find(lane.flow_hash, ticks_);
  if (lane.packet.tcp_flags & SG_TCP_SYN) return track_syn(lane);
  if (lane.flow == nullptr) return track_stray(lane);
  lane.flow->seen_ticks = ticks_;
  if (lane.flow->state == SG_FLOW_REFUSED) return track_refused(lane);
  if (lane.packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST)) lane.found |= SG_FOUND(closing);
  if (lane.packet.payload_length == 0) {
    lane.found |= SG_FOUND(segment);
    return;
  }
  read_data(lane);
}

// A resent SYN of a connection that is opening is forwarded and not counted again; one for a live
// connection is the backend's to challenge [RFC 5961 section 4]; one for a closing or refused
// connection reuses its port.
void Tracker::track_syn(Lane& lane) {
  sg_flow* flow = lane.flow;
  lane.found |= SG_FOUND(syn);
  if (flow != nullptr && flow->state <= SG_FLOW_ESTABLISHED) return;
  if (flow != nullptr) FlowTable::remove(*flow);
  lane.flow = flow = flows_.insert(lane.flow_hash, ticks_);
  lane.opens = true;
  if (flow == nullptr) {
    counters_.flow_set_full++;
    lane.found = SG_FOUND(syn_untracked);
    return;
  }
  flow->next_seq = lane.packet.seq + 1;
  if (lane.packet.mss > 0)  // rounded down, but never to 0, which means that none was given
    flow->mss_64 = static_cast<uint8_t>(std::clamp(lane.packet.mss / 64, 1, 255));
  flow->reader = lane.service->protocol == SG_HTTP ? SG_READER_HEAD : SG_READER_NONE;
}

// The tombstone of a refused connection speaks for the backend, which no longer has it.
void Tracker::track_refused(Lane& lane) {
  const sg_packet& packet = lane.packet;
  if (packet.tcp_flags & SG_TCP_RST)
    lane.found |= SG_FOUND(refused_rst);
  else if (packet.payload_length > 0)
    lane.found |= SG_FOUND(refused_resend);
  else if (packet.tcp_flags & SG_TCP_FIN)
    lane.found |= SG_FOUND(refused_fin);
  else
    lane.found |= SG_FOUND(refused_ack);
}

// The beginning was not seen (a restart, another host's flow): each data segment counts as a
// request until a head is recognised, and nothing is ever put into the stream.
void Tracker::track_stray(Lane& lane) {
  lane.found |= SG_FOUND(stray);
  lane.answerable = false;
  if (lane.service->protocol != SG_HTTP || lane.packet.payload_length == 0) return;
  lane.counts_request = true;
  if (read_http_head(payload_from(lane, 0), policy_.header_names(), lane.request.head) ==
      HeadStatus::complete)
    lane.found |= SG_FOUND(request);
}

void Tracker::read_data(Lane& lane) {
  sg_flow& flow = *lane.flow;
  lane.reader_after = flow.reader;
  lane.next_seq_after = flow.next_seq;
  lane.body_left_after = flow.body_left_bytes;
  if (flow.reader == SG_READER_NONE) {
    lane.found |= SG_FOUND(segment);
    return;
  }
  if (flow.reader == SG_READER_LOST) return read_head(lane, 0);
  if (in_body(flow.reader) && flow.body_left_bytes > 0 && near_boundary(flow, lane.packet)) {
    pass_body(lane.next_seq_after, lane.body_left_after);
    lane.advance = Advance::position;
  }
  int32_t start = seq_distance(lane.next_seq_after, lane.packet.seq);
  int32_t end = start + lane.packet.payload_length;
  if (end <= 0) {
    lane.found |= reaches_head(flow, lane.packet) ? SG_FOUND(resend) : SG_FOUND(body);
    return;
  }
  if (start > 0) {
    // Bytes beyond the next one to be judged: what stands between is not known yet.
    lane.found |= SG_FOUND(head_piece);
    lane.counts_request = true;
    lane.request.head.clear();
    lane.reader_after = SG_READER_LOST;
    lane.advance = Advance::position;
    return;
  }
  auto offset = static_cast<uint16_t>(-start);
  if (flow.reader == SG_READER_HEAD) return read_head(lane, offset);
  read_chunks(lane, offset);
}

void Tracker::read_head(Lane& lane, uint16_t offset) {
  bool lost = lane.flow->reader == SG_READER_LOST;
  HttpHead& head = lane.request.head;
  HeadStatus status = read_http_head(payload_from(lane, offset), policy_.header_names(), head);
  lane.head_offset = offset;
  lane.answerable = !lost && answerable(lane);
  lane.counts_request = true;
  if (status == HeadStatus::malformed && !lost) {
    lane.found |= SG_FOUND(http_malformed) | SG_FOUND(http_malformed_silent);
    return;
  }
  if (status != HeadStatus::complete) {
    lane.found |= SG_FOUND(head_piece);
    lane.reader_after = SG_READER_LOST;
    lane.advance = Advance::position;
    return;
  }
  lane.found |= SG_FOUND(request);
  lane.advance = Advance::request;
  lane.next_seq_after = lane.packet.seq + offset + head.length_bytes;
  lane.reader_after = head.chunked ? SG_READER_CHUNK_FIRST : SG_READER_HEAD;
  lane.body_left_after = head.content_length;
  pass_body(lane.next_seq_after, lane.body_left_after);
  uint32_t segment_end = lane.packet.seq + lane.packet.payload_length;
  lane.has_more = seq_distance(lane.next_seq_after, segment_end) > 0;
}

void Tracker::read_chunks(Lane& lane, uint16_t offset) {
  lane.head_offset = offset;
  ChunkPosition position{lane.flow->reader, lane.body_left_after};
  uint32_t read = follow_chunks(payload_from(lane, offset), position);
  if (position.reader == SG_READER_LOST) {
    lane.answerable = false;
    lane.found |= SG_FOUND(http_malformed_silent);
    return;
  }
  lane.found |= SG_FOUND(body);
  lane.advance = Advance::position;
  lane.next_seq_after = lane.packet.seq + offset + read;
  lane.reader_after = position.reader;
  lane.body_left_after = position.value;
  if (position.reader == SG_READER_DATA_CR) pass_body(lane.next_seq_after, lane.body_left_after);
  lane.has_more = offset + read < lane.packet.payload_length;
}

// An answer may be put into the stream only where the client can take nothing else for it: on the
// first request, or on a later one where the client has always waited for the answer before asking
// again. A shared proxy would hand it to whoever asked last.
bool Tracker::answerable(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  if (lane.head_offset != 0 || policy_.is_shared_proxy(lane.lists)) return false;
  if ((flow.flags & SG_FLOW_HAS_REQUEST) == 0) return true;
  bool ack_advanced = seq_distance(flow.request_ack, lane.packet.ack) > 0;
  return (flow.flags & SG_FLOW_PIPELINED) == 0 && ack_advanced;
}

void Tracker::settle(Part part) {
  for (Lane& lane : part) {
    bool whole = lane.verdict == SG_VERDICT_forwarded && lane.reason != SG_REASON_trimmed;
    if (lane.counts_request) {
      (whole ? lane.requests_admitted : lane.requests_refused)++;
    }
    lane.has_more = lane.has_more && whole;
    if (lane.has_more) lane.round++;  // a frame holds fewer than 2^16 requests: each has many bytes
    if (lane.flow == nullptr) continue;
    if (lane.verdict == SG_VERDICT_forwarded)
      settle_forwarded(lane);
    else if (lane.opens)
      FlowTable::remove(*lane.flow);
  }
}

// The entry may be another's before this lane is balanced: what that needs of it stays in the lane.
void Tracker::give_up_entry(Lane& lane) {
  lane.left_slot = lane.flow->backend_slot;
  lane.left_generation = lane.flow->backend_generation;
  FlowTable::remove(*lane.flow);
  lane.flow = nullptr;
}

void Tracker::settle_forwarded(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  if (lane.reason == SG_REASON_trimmed) {
    flow.flags |= SG_FLOW_PIPELINED;
    return;
  }
  if (lane.reason == SG_REASON_refused_rst) return give_up_entry(lane);
  if (packet.tcp_flags & SG_TCP_SYN) return;
  if (flow.state == SG_FLOW_OPENING) {
    flow.state = SG_FLOW_ESTABLISHED;
    flow.highest_ack = packet.ack;
  }
  if (seq_distance(flow.highest_ack, packet.ack) > 0) flow.highest_ack = packet.ack;
  if (packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST)) flow.state = SG_FLOW_CLOSING;
  if (lane.advance == Advance::nothing) return;
  flow.next_seq = lane.next_seq_after;
  flow.reader = lane.reader_after;
  flow.body_left_bytes = lane.body_left_after;
  if (lane.advance != Advance::request) return;
  bool waited = seq_distance(flow.request_ack, packet.ack) > 0;
  if ((flow.flags & SG_FLOW_HAS_REQUEST) && !waited) flow.flags |= SG_FLOW_PIPELINED;
  flow.flags |= SG_FLOW_HAS_REQUEST;
  flow.request_ack = packet.ack;
  flow.judged = {packet.seq + lane.head_offset, 0,
                 static_cast<uint16_t>(lane.request.head.length_bytes), SG_READER_HEAD};
}

}  // namespace surgegate
