// SPDX-License-Identifier: BSD-3-Clause
// track: what a segment is to its flow, and where in it a request head stands. settle: what the
// verdict then means for the flow. Nothing of a flow changes before its packet's verdict is known,
// but for being seen.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"
#include "dataplane/table/flows.h"

namespace surgegate {

struct TrackCounters {
  uint64_t flow_set_full = 0;  // SYNs for which the table had no room
};

// Tracks lanes from the first on, and returns those that may be judged together: it stops before a
// lane whose flow already occurs, and after a lane that holds more than one request. In the second
// case the caller judges the part and comes again, beginning with that same lane (has_more).
class Tracker {
 public:
  Tracker(FlowTable& flows, const PolicyInForce& policy, Instant now, TrackCounters& counters)
      : flows_(flows),
        policy_(policy),
        now_(now),
        ticks_(flow_ticks(now.monotonic_ns)),
        counters_(counters) {}

  Part take(std::span<Lane> lanes);
  void settle(Part part);

 private:
  void track(Lane& lane);
  void track_tcp(Lane& lane);
  void track_syn(Lane& lane);
  void track_refused(Lane& lane);
  void track_stray(Lane& lane);
  void read_data(Lane& lane);
  void read_head(Lane& lane, uint16_t offset);
  void read_chunks(Lane& lane, uint16_t offset);
  bool answerable(const Lane& lane) const;
  void settle_forwarded(Lane& lane);
  static void give_up_entry(Lane& lane);

  FlowTable& flows_;
  const PolicyInForce& policy_;
  Instant now_;
  uint32_t ticks_;
  TrackCounters& counters_;
};

}  // namespace surgegate
