// SPDX-License-Identifier: BSD-3-Clause
// A worker: one core, one queue pair, one share of the flows. poll() is the journey.
#pragma once

#include <cstdint>
#include <memory>

#include "dataplane/burst.h"
#include "dataplane/counters.h"
#include "dataplane/link/policy_in_force.h"
#include "dataplane/path/inspect.h"
#include "dataplane/path/police.h"
#include "dataplane/table/flows.h"
#include "dataplane/table/kept_heads.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/state.h"

namespace surgegate {

// What all workers share. The arena and the next hops outlive it, and it outlives the workers.
struct Tables {
  Tables(const Arena& arena, const NextHops& hops, const TunnelSource& source)
      : secret(arena.secret()),
        flows(arena.records<sg_flow>(Region::flows)),
        buckets(arena.records<sg_bucket_set>(Region::buckets)),
        shard_owner(shard_owners(arena)),
        next_hops(hops),
        tunnel_source(source) {}

  sg_secret secret;
  std::span<sg_flow> flows;
  std::span<sg_bucket_set> buckets;
  std::span<const uint8_t, SG_SHARDS> shard_owner;  // worker of each shard
  const NextHops& next_hops;
  TunnelSource tunnel_source;
  uint32_t kept_heads_max = 256;  // of each worker
};

// Sees each lane once, after its verdict is carried out; on the worker's thread. The frames that
// left are gone by then: only what was found out may be read.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void see(const Lane& lane, Instant now) = 0;
};

class Worker {
 public:
  // rings may be null where there is one worker. observer may be null.
  Worker(uint32_t index, const Tables& tables, Port& port, Rings* rings, Observer* observer);

  // Goes over to another policy: between two polls, on the worker's thread. The policy must outlive
  // the next adopt() or the worker. False: no memory for its signatures' scratch; the old one
  // stays.
  bool adopt(const PolicyInForce& policy);

  // Takes what has arrived at the port and at this worker's rings through the journey. Returns how
  // many packets that were.
  uint32_t poll(Instant now);

  // Which worker a frame belongs to, for a caller that must keep an order between workers.
  uint32_t owner_of(const Frame& frame) const;

  const Counters& counters() const { return counters_; }

 private:
  uint32_t receive();
  uint32_t receive_crossed();
  void hand_over();
  void journey();
  void judge();
  void transmit();
  void account();

  uint32_t index_;
  const Tables& tables_;
  Port& port_;
  Rings* rings_;
  Observer* observer_;
  const PolicyInForce* policy_ = nullptr;
  Counters counters_;
  FlowTable flows_;
  KeptHeads heads_;
  Policer policer_;
  Inspector inspector_;
  HttpDate date_;
  std::unique_ptr<Burst> burst_;
};

}  // namespace surgegate
