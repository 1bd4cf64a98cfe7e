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

// One unit on its way through its limits.
class Charging {
 public:
  Charging(BucketTable table, Leases& leases, uint64_t now_ns, BucketCounters& counters)
      : table_(table), leases_(leases), now_ns_(now_ns), counters_(counters) {}

  // Whether the limit would admit, as things stand. Writes nothing.
  bool read(BucketCharge& charge) {
    charge.table_units = charge.leased
                             ? leases_.needed(charge.key_hash, *charge.rule, charge.units, now_ns_)
                             : charge.units;
    if (charge.table_units == 0) return true;
    const bool conforms =
        sg_bucket_read(&table_.set(charge.key_hash), sg_bucket_tag(charge.key_hash), charge.rule,
                       charge.table_units, now_ns_, &charge.view);
    if (charge.view.foreign != 0) [[unlikely]]
      counters_.foreign += charge.view.foreign;
    if (!conforms && sg_bucket_refusal(&charge.view) == SG_BUCKET_REFUSED_SET_FULL)
      counters_.set_full_refusals++;
    return conforms;
  }

  // After a read that conformed.
  bool commit(BucketCharge& charge) {
    if (!charge.leased) return commit_to_table(charge);
    // A limit charged before this one may have used up or displaced the lease that was read.
    const uint32_t read_for = charge.table_units;
    if (leases_.needed(charge.key_hash, *charge.rule, charge.units, now_ns_) != read_for &&
        !read(charge))
      return false;
    if (charge.table_units != 0 && !commit_to_table(charge)) return false;
    leases_.spend(charge.key_hash, *charge.rule, charge.units, now_ns_);
    return true;
  }

  // After a commit that succeeded.
  void undo(const BucketCharge& charge) {
    if (charge.leased) {
      counters_.give_backs += leases_.unspend(charge.key_hash, *charge.rule, charge.units);
      return;
    }
    uint32_t lost_races = 0;
    counters_.give_backs += sg_bucket_give_back(
        &table_.set(charge.key_hash).cells[charge.view.cell], sg_bucket_tag(charge.key_hash),
        charge.units * charge.rule->interval_ns, now_ns_, &lost_races);
    counters_.cas_retries += lost_races;
  }

 private:
  bool commit_to_table(BucketCharge& charge) {
    sg_bucket_set& set = table_.set(charge.key_hash);
    uint32_t lost_races = 0;
    const sg_bucket_outcome outcome =
        sg_bucket_commit(&set, sg_bucket_tag(charge.key_hash), charge.rule, charge.table_units,
                         now_ns_, &charge.view, &lost_races);
    const bool charged = sg_bucket_is_charged(outcome);
    if (charged && charge.leased) {
      const uint64_t end_ns =
          now_ns_ + charge.view.ahead_ns + charge.table_units * charge.rule->interval_ns;
      counters_.leases += charge.table_units;
      counters_.give_backs += leases_.add(charge.key_hash, *charge.rule, charge.table_units, end_ns,
                                          &set.cells[charge.view.cell], now_ns_, &lost_races);
    }
    if (outcome != SG_BUCKET_CHARGED || lost_races != 0) [[unlikely]]
      count(outcome, lost_races);
    return charged;
  }

  void count(sg_bucket_outcome outcome, uint32_t lost_races) {
    counters_.set_full_evictions += outcome == SG_BUCKET_CHARGED_EVICTING;
    counters_.set_full_refusals += outcome == SG_BUCKET_REFUSED_SET_FULL;
    counters_.contended += outcome == SG_BUCKET_CONTENDED;
    counters_.cas_retries += lost_races;
  }

  BucketTable table_;
  Leases& leases_;
  uint64_t now_ns_;
  BucketCounters& counters_;
};

// Charges one unit to all its limits or to none: reads all, then charges in order, and gives back
// in reverse if another worker was faster in between. A refusal by the reads writes nothing.
// wait_ns is the longest wait of those that refuse: a client that comes back after the first of
// them would be refused by the next. The same key may occur twice.
inline ChargeResult charge_all(BucketTable table, Leases& leases, std::span<BucketCharge> charges,
                               uint64_t now_ns, BucketCounters& counters) {
  Charging unit(table, leases, now_ns, counters);
  ChargeResult result;
  for (size_t i = 0; i < charges.size(); i++) {
    if (unit.read(charges[i])) continue;
    if (result.admitted()) result.refused_index = i;
    result.wait_ns = std::max<uint64_t>(result.wait_ns, charges[i].view.wait_ns);
  }
  if (!result.admitted()) return result;
  for (size_t i = 0; i < charges.size(); i++) {
    if (unit.commit(charges[i])) continue;
    result = {i, charges[i].view.wait_ns};
    while (i-- > 0) unit.undo(charges[i]);
    return result;
  }
  return result;
}

}  // namespace surgegate
