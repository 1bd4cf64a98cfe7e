// SPDX-License-Identifier: BSD-3-Clause
// balance: which backend a packet goes to, and the bytes that bring it there: Maglev [Eisenbud et
// al., NSDI'16 section 3.4] for new flows, the flow's own backend for all others; then a new link
// address (L2) or an outer IP header.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"
#include "dataplane/table/next_hops.h"

namespace surgegate {

struct TunnelSource {
  std::array<uint8_t, 4> ip4{};
  std::array<uint8_t, 16> ip6{};
};

struct BalanceCounters {
  uint64_t repinned = 0;     // flows whose backend is gone, given another one
  uint64_t resets_lost = 0;  // RSTs for a backend that cannot be reached any more
};

class Balancer {
 public:
  Balancer(const PolicyInForce& policy, const NextHops& next_hops, const TunnelSource& source,
           BalanceCounters& counters)
      : policy_(policy), next_hops_(next_hops), source_(source), counters_(counters) {}

  // For lanes that are forwarded (and those with an extra frame for the backend): picks, pins and
  // rewrites. A lane that cannot go gets a finding and is decided again.
  void balance(std::span<Lane> lanes);

 private:
  uint16_t backend_of(Lane& lane);
  uint16_t pick(const Lane& lane) const;
  bool rewrite(Lane& lane, Frame& frame, const sg_backend& backend, const MacAddress& mac);

  const PolicyInForce& policy_;
  const NextHops& next_hops_;
  const TunnelSource& source_;
  BalanceCounters& counters_;
};

}  // namespace surgegate
