// SPDX-License-Identifier: BSD-3-Clause
// What a segment is to its connection. track_data.cc reads the stream.
#include "dataplane/path/track.h"

#include <algorithm>

#include "dataplane/path/seq.h"

namespace surgegate {
namespace {

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

// How much of a stray segment may go: up to the end of its request where it begins with one, else
// up to the first empty line, behind which one may begin. The rest is sent again, and begins there.
uint32_t stray_end(std::string_view payload, const HttpHead* head) {
  if (head != nullptr) {
    uint64_t end = head->length_bytes + head->content_length;
    return static_cast<uint32_t>(std::min<uint64_t>(end, payload.size()));
  }
  for (size_t at = payload.find('\n'); at < payload.size(); at = payload.find('\n', at + 1)) {
    size_t next = at + 1 < payload.size() && payload[at + 1] == '\r' ? at + 2 : at + 1;
    if (next < payload.size() && payload[next] == '\n') return static_cast<uint32_t>(next + 1);
  }
  return static_cast<uint32_t>(payload.size());
}

// Whether a new connection would begin at or behind the end of the one that this entry is of. A
// stack begins ahead of what it used before [RFC 6528 section 3, RFC 1122 section 4.2.2.13]; and
// what lies behind, the backend may not have read yet.
bool is_behind(const sg_flow& flow, uint32_t first_seq) {
  return seq_distance(stream_end_seq(flow), first_seq) <= 0;
}

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
  const sg_packet& packet = lane.packet;
  // A stack takes the urgent byte out of the stream [RFC 6093 section 2], and pointer and byte may
  // come in different segments: what is read here would not be what the backend reads.
  if (lane.service->protocol == SG_HTTP && (packet.tcp_flags & SG_TCP_URG)) {
    lane.found |= SG_FOUND(tcp_urgent);
    return;
  }
  if (packet.tcp_flags & SG_TCP_SYN) return track_syn(lane);
  if (lane.flow == nullptr) return track_stray(lane);
  sg_flow& flow = *lane.flow;
  if (begins_pending(lane)) begin_pending(lane);
  // A tombstone ages from the refusal on, whatever is sent to it: its answers have an end.
  if (flow.state == SG_FLOW_REFUSED) return track_refused(lane);
  flow.seen_ticks = ticks_;
  if (packet.tcp_flags & (SG_TCP_FIN | SG_TCP_RST)) lane.found |= SG_FOUND(closing);
  // What an RST carries is for people [RFC 9293 section 3.5.2]: no backend reads it.
  if (packet.payload_length == 0 || (packet.tcp_flags & SG_TCP_RST)) {
    lane.found |= SG_FOUND(segment);
    return;
  }
  read_data(lane);
}

// A resent SYN of a connection that is opening is forwarded and not counted again. Any other SYN to
// a flow that has an entry wants to open a new connection, and is counted as one; but whether the
// backend lets it is not seen here (of a live connection it will not: RFC 5961 section 4). So it
// changes nothing, until a segment comes that continues it. Only a connection that was closed
// where the backend takes that makes room at once. From then on there are two streams that the
// backend may be reading, and what is read here must not be a different thing in the other: they
// may not overlap, and there are never three.
void Tracker::track_syn(Lane& lane) {
  sg_flow* flow = lane.flow;
  lane.found |= SG_FOUND(syn);
  if (flow != nullptr) {
    uint32_t first_seq = lane.packet.seq + 1;
    bool is_pending = (flow->flags & SG_FLOW_PENDING) != 0;
    bool again = (flow->state == SG_FLOW_OPENING && flow->next_seq == first_seq) ||
                 (is_pending && flow->pending_seq == first_seq);
    if (!again && flow->reader != SG_READER_NONE && (is_pending || is_behind(*flow, first_seq))) {
      lane.found = SG_FOUND(syn_in_stream);
      return;
    }
    lane.opens = lane.reopens = !again;
    // Beyond its ten seconds an opening entry may be taken: not by another lane of this burst.
    if (flow->state == SG_FLOW_OPENING) flow->seen_ticks = ticks_;
    return;
  }
  lane.flow = flows_.insert(lane.flow_hash, ticks_);
  lane.opens = true;
  if (lane.flow == nullptr) {
    counters_.flow_set_full++;
    lane.found = SG_FOUND(syn_untracked);
    return;
  }
  settle_syn(lane);
}

// Whether this segment is the first of the connection that a SYN wanted to open here. (Of all that
// track does this alone changes an entry before the verdict; and what it changes can be undone.)
bool Tracker::begins_pending(const Lane& lane) const {
  const sg_flow& flow = *lane.flow;
  return (flow.flags & (SG_FLOW_PENDING | SG_FLOW_PENDING_DEAD)) == SG_FLOW_PENDING &&
         lane.packet.seq == flow.pending_seq && flow.pending_seq != flow.next_seq &&
         (lane.packet.tcp_flags & SG_TCP_RST) == 0;
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

// The beginning was not seen (a restart, another host's flow): nothing is ever put into the stream,
// and a segment goes no further than one request, which is what it counts as.
void Tracker::track_stray(Lane& lane) {
  lane.found |= SG_FOUND(stray);
  lane.answerable = false;
  if (lane.service->protocol != SG_HTTP || lane.packet.payload_length == 0) return;
  lane.counts_request = true;
  std::string_view payload(reinterpret_cast<const char*>(payload_of(lane)),
                           lane.packet.payload_length);
  HttpHead& head = lane.request.head;
  bool whole = read_http_head(payload, head_rules(lane), head) == HeadStatus::complete;
  if (whole)
    lane.found |= SG_FOUND(request);
  else
    head.clear();
  lane.cut_at = static_cast<uint16_t>(stray_end(payload, whole ? &head : nullptr));
}

}  // namespace surgegate
