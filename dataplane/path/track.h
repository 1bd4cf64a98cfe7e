// SPDX-License-Identifier: BSD-3-Clause
// track: what a segment is to its flow, and where in it a request head stands. settle: what the
// verdict then means for the flow. Nothing of a flow changes before its packet's verdict is known,
// but for being seen.
//
// One invariant carries all of it: of a flow whose SYN was seen, everything below next_seq was
// judged, and a backend can have read nothing else there. So a segment is taken in order only; what
// is sent again is compared with what was judged; what can be neither is dropped, by name, and TCP
// sends it again or does not.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"
#include "dataplane/path/http_chunks.h"
#include "dataplane/table/flows.h"
#include "dataplane/table/kept_heads.h"

namespace surgegate {

struct TrackCounters {
  uint64_t flow_set_full = 0;  // SYNs for which the table had no room
  uint64_t heads_evicted = 0;  // kept bytes that made room for another flow's
};

// What track keeps of flows, all of it the worker's own.
struct Tracked {
  FlowTable& flows;
  KeptHeads& heads;
  const sg_secret& secret;  // of the hashes by which resends are compared
};

// Where what was taken of the client's stream ends, also where a tombstone took it.
inline uint32_t stream_end_seq(const sg_flow& flow) {
  return flow.state == SG_FLOW_REFUSED ? flow.receive_next : flow.next_seq;
}

// What a resend is compared by.
inline uint32_t judged_hash(const sg_secret& secret, const uint8_t* bytes, uint32_t length) {
  return static_cast<uint32_t>(sg_hash_bytes(&secret, bytes, length));
}

// Tracks lanes from the first on, and returns those that may be judged together: it stops before a
// lane whose flow already occurs, and after a lane that holds more than one request. In the second
// case the caller judges the part and comes again, beginning with that same lane (has_more).
class Tracker {
 public:
  Tracker(const Tracked& tracked, const PolicyInForce& policy, Instant now, TrackCounters& counters)
      : flows_(tracked.flows),
        heads_(tracked.heads),
        secret_(tracked.secret),
        policy_(policy),
        now_(now),
        ticks_(flow_ticks(now.monotonic_ns)),
        counters_(counters) {}

  Part take(std::span<Lane> lanes);
  void settle(Part part);

 private:
  // track.cc: the connection
  void track(Lane& lane);
  void track_tcp(Lane& lane);
  void track_syn(Lane& lane);
  void track_refused(Lane& lane);
  void track_stray(Lane& lane);
  bool begins_pending(const Lane& lane) const;

  // track_data.cc: the stream
  void read_data(Lane& lane);
  void read_head(Lane& lane);
  void read_rest_of_head(Lane& lane);
  void read_chunks(Lane& lane);
  void found_head(Lane& lane, uint32_t end_seq);
  bool found_chunks(Lane& lane, uint32_t offset, ChunkPosition position);
  void found_fault(Lane& lane, sg_reason fault);
  HeadRules head_rules(const Lane& lane) const;
  bool request_line_holds(const Lane& lane, std::string_view bytes) const;
  bool can_keep(const Lane& lane) const;
  bool answerable(const Lane& lane) const;
  bool reaches_over_pending(const Lane& lane) const;
  enum class Comparison : uint8_t { none, same, differs };
  Comparison compare_kept(const Lane& lane, uint32_t end_seq) const;
  Comparison compare_judged(const Lane& lane, uint32_t end_seq) const;
  sg_findings compare_old(const Lane& lane, uint32_t end_seq) const;

  // settle.cc
  void settle_forwarded(Lane& lane);
  void settle_syn(Lane& lane);
  void replace(Lane& lane, const sg_packet& syn);
  void begin_pending(Lane& lane);
  void move_on(const Lane& lane);
  void keep_piece(Lane& lane);
  void settle_request(Lane& lane);
  void remember_judged(Lane& lane);
  void forget(sg_flow& flow);

  FlowTable& flows_;
  KeptHeads& heads_;
  const sg_secret& secret_;
  const PolicyInForce& policy_;
  Instant now_;
  uint32_t ticks_;
  TrackCounters& counters_;
};

}  // namespace surgegate
