// SPDX-License-Identifier: BSD-3-Clause
// The bucket table over memory that outlives the process, and the charging of one unit (a packet, a
// connection, a request) to all the limits that it has to pass. config/bucket.h has the arithmetic.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "config/bucket.h"
#include "dataplane/table/leases.h"

namespace surgegate {

// A view of the sets: owns nothing, allocates nothing, is copied freely. Any number of threads and
// processes may use the same sets at once; zeroed memory is a table of full buckets.
class BucketTable {
 public:
  // sets: a power of two of them.
  explicit BucketTable(std::span<sg_bucket_set> sets) : sets_(sets) {
    assert(!sets.empty() && (sets.size() & (sets.size() - 1)) == 0);
  }

  // Brings the key's line near, for writing. To be called a burst ahead of charge_all.
  void prefetch(uint64_t key_hash) const { __builtin_prefetch(&set(key_hash), 1); }

  sg_bucket_set& set(uint64_t key_hash) const {
    return sets_[sg_bucket_set_index(key_hash, sets_.size())];
  }

  std::span<sg_bucket_set> sets() const { return sets_; }

 private:
  std::span<sg_bucket_set> sets_;
};

// One worker's counts, monotonic.
struct BucketCounters {
  uint64_t set_full_evictions = 0;  // a live bucket lost its place to a newcomer
  uint64_t set_full_refusals = 0;   // a newcomer was refused for what its set owes
  uint64_t foreign = 0;             // meetings with another key's cell under the same tag
  uint64_t give_backs = 0;
  uint64_t cas_retries = 0;
  uint64_t contended = 0;  // refused after SG_BUCKET_TRIES_MAX lost races
  uint64_t leases = 0;     // charged to the table
};

// One limit that a unit has to pass. The caller fills the first four; the rest is charge_all's.
struct BucketCharge {
  uint64_t key_hash;
  const sg_bucket_rule* rule;
  uint32_t units;  // 1 .. SG_BUCKET_UNITS_MAX
  bool leased;     // rule is in leases of SG_LEASE_UNITS

  uint32_t table_units = 0;  // what is asked of the cell: units, or leases, or nothing
  sg_bucket_view view{};
};

struct ChargeResult {
  static constexpr size_t none = ~size_t{0};

  size_t refused_index = none;  // the first limit that refused
  uint64_t wait_ns = 0;         // until all that refused would admit, if nobody else charges them;
                                // SG_WAIT_NEVER: more units than a burst; 0: only races were lost

  bool admitted() const { return refused_index == none; }
};

namespace bucket_detail {

inline bool read(BucketTable table, const Leases& leases, BucketCharge& charge, uint64_t now_ns,
                 BucketCounters& counters) {
  charge.table_units = charge.leased
                           ? leases.needed(charge.key_hash, *charge.rule, charge.units, now_ns)
                           : charge.units;
  charge.view = {};
  if (charge.table_units == 0) return true;
  const bool conforms = sg_bucket_read(&table.set(charge.key_hash), sg_bucket_tag(charge.key_hash),
                                       charge.rule, charge.table_units, now_ns, &charge.view);
  counters.foreign += charge.view.foreign;
  if (!conforms && sg_bucket_refusal(&charge.view) == SG_BUCKET_REFUSED_SET_FULL)
    counters.set_full_refusals++;
  return conforms;
}

inline bool commit_to_table(BucketTable table, Leases& leases, BucketCharge& charge,
                            uint64_t now_ns, BucketCounters& counters) {
  sg_bucket_set& set = table.set(charge.key_hash);
  uint32_t lost_races = 0;
  const sg_bucket_outcome outcome =
      sg_bucket_commit(&set, sg_bucket_tag(charge.key_hash), charge.rule, charge.table_units,
                       now_ns, &charge.view, &lost_races);
  counters.set_full_evictions += outcome == SG_BUCKET_CHARGED_EVICTING;
  counters.set_full_refusals += outcome == SG_BUCKET_REFUSED_SET_FULL;
  counters.contended += outcome == SG_BUCKET_CONTENDED;
  if (charge.leased && sg_bucket_is_charged(outcome)) {
    counters.leases += charge.table_units;
    const uint64_t end_ns =
        now_ns + charge.view.ahead_ns + charge.table_units * charge.rule->interval_ns;
    counters.give_backs += leases.add(charge.key_hash, *charge.rule, charge.table_units, end_ns,
                                      &set.cells[charge.view.cell], now_ns, &lost_races);
  }
  counters.cas_retries += lost_races;
  return sg_bucket_is_charged(outcome);
}

inline bool commit(BucketTable table, Leases& leases, BucketCharge& charge, uint64_t now_ns,
                   BucketCounters& counters) {
  if (!charge.leased) return commit_to_table(table, leases, charge, now_ns, counters);
  // A limit charged before this one may have used up or displaced the lease that was read.
  const uint32_t read_for = charge.table_units;
  if (leases.needed(charge.key_hash, *charge.rule, charge.units, now_ns) != read_for &&
      !read(table, leases, charge, now_ns, counters))
    return false;
  if (charge.table_units != 0 && !commit_to_table(table, leases, charge, now_ns, counters))
    return false;
  leases.spend(charge.key_hash, *charge.rule, charge.units, now_ns);
  return true;
}

inline void undo(BucketTable table, Leases& leases, const BucketCharge& charge, uint64_t now_ns,
                 BucketCounters& counters) {
  if (charge.leased) {
    counters.give_backs += leases.unspend(charge.key_hash, *charge.rule, charge.units);
    return;
  }
  uint32_t lost_races = 0;
  counters.give_backs += sg_bucket_give_back(
      &table.set(charge.key_hash).cells[charge.view.cell], sg_bucket_tag(charge.key_hash),
      charge.units * charge.rule->interval_ns, now_ns, &lost_races);
  counters.cas_retries += lost_races;
}

}  // namespace bucket_detail

// Charges one unit to all its limits or to none: reads all, then charges in order, and gives back
// in reverse if another worker was faster in between. A refusal by the reads writes nothing.
// wait_ns is the longest wait of those that refuse: a client that comes back after the first of
// them would be refused by the next. The same key may occur twice.
inline ChargeResult charge_all(BucketTable table, Leases& leases, std::span<BucketCharge> charges,
                               uint64_t now_ns, BucketCounters& counters) {
  ChargeResult result;
  for (size_t i = 0; i < charges.size(); i++) {
    if (bucket_detail::read(table, leases, charges[i], now_ns, counters)) continue;
    if (result.admitted()) result.refused_index = i;
    result.wait_ns = std::max<uint64_t>(result.wait_ns, charges[i].view.wait_ns);
  }
  if (!result.admitted()) return result;
  for (size_t i = 0; i < charges.size(); i++) {
    if (bucket_detail::commit(table, leases, charges[i], now_ns, counters)) continue;
    result = {i, charges[i].view.wait_ns};
    while (i-- > 0) bucket_detail::undo(table, leases, charges[i], now_ns, counters);
    return result;
  }
  return result;
}

}  // namespace surgegate
