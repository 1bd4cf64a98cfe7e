// SPDX-License-Identifier: BSD-3-Clause
// Leases: how a worker charges limits above SG_LEASE_RATE_PER_S. The cell's unit is then the lease,
// SG_LEASE_UNITS of the limit's units: the rule's interval_ns is that of a whole lease. A worker
// charges the shared cell once per lease and spends the units from a table of its own.
//
// A lease is the stretch of time [end - interval, end] by which it moved the cell's TAT. Its units
// lie on that stretch, interval / SG_LEASE_UNITS apart, and expire as the clock passes them: what
// is left at `now` is at most end - now. So leases add nothing to burst + rate * time in any
// window, on however many workers: the stretches of all workers are disjoint, they hold less than
// an interval each, and so what they hold together when a window starts is at most TAT - start,
// which the cell has been charged for; what is granted after that is at most end of window +
// horizon - TAT. (Only leases that were displaced and given back can make stretches overlap:
// docs/buckets.md.) Nothing is lost to expiry, for when the clock passes a lease, the bucket is
// full. What leases cost is burst: the last lease must fit as a whole, so that up to SG_LEASE_UNITS
// - 1 units of a burst cannot be used.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "config/bucket.h"
#include "config/limits.h"

namespace surgegate {

// One worker's leases; only its thread may touch them. They point into the bucket table, which must
// outlive them. Direct-mapped by the key's hash. A displaced lease gives what is left of it back to
// its cell: were it forfeited, two busy keys in one slot would pay a whole lease for every unit;
// like this they pay what an unleased unit costs, and the give-back is exact (see displace).
class Leases {
 public:
  // How many whole leases `units` need beyond what this worker holds; 0: they are covered.
  uint32_t needed(uint64_t key_hash, const sg_bucket_rule& rule, uint32_t units,
                  uint64_t now_ns) const {
    const uint64_t price = price_parts(rule, units), left = left_parts(key_hash, now_ns);
    if (price <= left) return 0;
    const uint64_t lease = rule.interval_ns * parts_per_ns;
    return static_cast<uint32_t>((price - left + lease - 1) / lease);
  }

  // Takes up lease_count leases that were just charged to *cell, whose TAT is now end_ns. What was
  // left of an older lease of the key stays usable: on one worker the two stretches touch, or the
  // older one has expired. Returns whether another key's lease gave something back to make room.
  bool add(uint64_t key_hash, const sg_bucket_rule& rule, uint32_t lease_count, uint64_t end_ns,
           __u64* cell, uint64_t now_ns, uint32_t* lost_races) {
    Lease& lease = slot(key_hash);
    const uint64_t left = left_parts(key_hash, now_ns);
    const bool gave_back = lease.key_hash != key_hash && give_back(lease, now_ns, lost_races);
    lease = {key_hash, end_ns, left + lease_count * rule.interval_ns * parts_per_ns, cell};
    return gave_back;
  }

  // Spends units that are covered.
  void spend(uint64_t key_hash, const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) {
    slot(key_hash).left_parts = left_parts(key_hash, now_ns) - price_parts(rule, units);
  }

  // Undoes a spend of the same now_ns. Returns false, and the key goes on paying, if its lease was
  // displaced meanwhile.
  bool unspend(uint64_t key_hash, const sg_bucket_rule& rule, uint32_t units) {
    Lease& lease = slot(key_hash);
    if (lease.key_hash != key_hash) return false;
    lease.left_parts += price_parts(rule, units);
    return true;
  }

 private:
  // Parts of a nanosecond in which leases are measured: one unit then costs interval_ns parts,
  // exactly.
  static constexpr uint64_t parts_per_ns = SG_LEASE_UNITS;

  struct Lease {  // a free slot is one that has expired
    uint64_t key_hash = 0;
    uint64_t end_ns = 0;
    uint64_t left_parts = 0;
    __u64* cell = nullptr;  // where it was charged
  };
  static_assert(sizeof(Lease) == 32, "two to a cache line");
  static_assert((SG_LEASE_SLOTS & (SG_LEASE_SLOTS - 1)) == 0);

  static uint64_t price_parts(const sg_bucket_rule& rule, uint32_t units) {
    return units * rule.interval_ns;
  }

  static uint64_t left_parts(const Lease& lease, uint64_t now_ns) {
    if (lease.end_ns <= now_ns) return 0;
    return std::min(lease.left_parts, (lease.end_ns - now_ns) * parts_per_ns);
  }

  uint64_t left_parts(uint64_t key_hash, uint64_t now_ns) const {
    const Lease& lease = slots_[key_hash % SG_LEASE_SLOTS];
    return lease.key_hash == key_hash ? left_parts(lease, now_ns) : 0;
  }

  Lease& slot(uint64_t key_hash) { return slots_[key_hash % SG_LEASE_SLOTS]; }

  // Exact, however late: the stretch that is given back lies beyond now, so the TAT has lain beyond
  // now ever since the lease was charged, no charge has jumped to `now`, and each moved it by its
  // own price. (Parts of a nanosecond stay paid.)
  static bool give_back(const Lease& lease, uint64_t now_ns, uint32_t* lost_races) {
    const uint64_t credit_ns = left_parts(lease, now_ns) / parts_per_ns;
    return credit_ns != 0 && sg_bucket_give_back(lease.cell, sg_bucket_tag(lease.key_hash),
                                                 credit_ns, now_ns, lost_races);
  }

  std::array<Lease, SG_LEASE_SLOTS> slots_{};
};

}  // namespace surgegate
