// SPDX-License-Identifier: BSD-3-Clause
// Property: where keys have to share too few cells, a key that was evicted and comes back is never
// fuller than it is owed; and the set does precisely what rule 3 of config/bucket.h says.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "dataplane/table/buckets.h"
#include "dataplane/table/scrubber.h"
#include "tests/property/bucket_reference.h"

namespace surgegate {
namespace {

// Rule 3 in absolute time: who stands where, with no tags and no clock that wraps.
class ExactSet {
 public:
  struct Place {
    Exact base;  // of the key's next charge
    size_t cell;
    bool own;
    bool live;
  };

  Place place(size_t key, uint64_t now_ns) const {
    size_t chosen = 0;
    bool own = false;
    for (size_t i = 0; i < cells_.size(); i++) {
      own = cells_[i].key == key;
      if (own || cells_[i].tat < cells_[chosen].tat) chosen = i;
      if (own) break;
    }
    const bool live = cells_[chosen].tat > now_ns;
    return {live ? cells_[chosen].tat : Exact(now_ns), chosen, own, live};
  }

  void put(const Place& place, size_t key, const Exact& tat) { cells_[place.cell] = {key, tat}; }

  void scrub(uint64_t now_ns) {
    for (Cell& cell : cells_)
      if (cell.tat + SG_BUCKET_SKEW_NS_MAX < now_ns) cell = {};
  }

 private:
  struct Cell {
    std::optional<size_t> key;
    Exact tat = -1;
  };
  std::array<Cell, SG_BUCKET_SET_CELLS> cells_;
};

struct Key {
  uint64_t hash;
  sg_bucket_rule rule;
  ExactBucket owed;  // had the key always had a cell of its own
  EveryWindow windows;
};

class CrowdedTable {
 public:
  CrowdedTable(std::mt19937_64& random, size_t set_count)
      : random_(random),
        sets_(set_count),
        exact_sets_(set_count),
        table_(sets_),
        scrubber_(table_, header_) {
    now_ns_ = (1 + below(random, 1000)) * (1ull << SG_TAT_BITS) - one_hour;
    header_.scrub_started_ns = now_ns_;
    const std::vector<sg_bucket_rule> rules = unleased_rules();
    const uint64_t first_tag = 1 + below(random, 60000);
    for (uint64_t i = 0; i < 20 * set_count; i++)  // tags all different, sets at random
      keys_.push_back({((first_tag + i) << SG_TAT_BITS) + below(random, set_count),
                       pick(random_, rules),
                       {},
                       EveryWindow()});
  }

  void run(uint64_t steps) {
    uint64_t step_ns = 1;
    for (uint64_t i = 0; i < steps; i++) {
      if (i % 50 == 0) step_ns = 1ull << below(random_, 45);  // up to 9.8 h
      charge(keys_[below(random_, keys_.size())]);
      if (::testing::Test::HasFatalFailure()) return;
      if (below(random_, 4) == 0) now_ns_ += below(random_, step_ns + 1);
      if (now_ns_ - header_.scrub_started_ns > 10 * one_hour) scrub();
    }
    for (const Key& key : keys_) ASSERT_LE(key.windows.excess(), 0);
  }

  const BucketCounters& counters() const { return counters_; }

 private:
  void scrub() {
    scrubber_.step(now_ns_);  // all of so small a table
    for (ExactSet& exact_set : exact_sets_) exact_set.scrub(now_ns_);
  }

  void charge(Key& key) {
    const size_t key_index = static_cast<size_t>(&key - keys_.data());
    const uint32_t units =
        1 + static_cast<uint32_t>(
                below(random_, std::min<uint64_t>(key.rule.horizon_ns / key.rule.interval_ns, 3)));
    const uint64_t price = units * key.rule.interval_ns;
    ExactSet& exact_set = exact_sets_[sg_bucket_set_index(key.hash, sets_.size())];
    const ExactSet::Place place = exact_set.place(key_index, now_ns_);
    const bool expected = place.base + price <= Exact(now_ns_) + key.rule.horizon_ns;
    const BucketCounters before = counters_;

    BucketCharge charges[] = {{key.hash, &key.rule, units, false}};
    const bool admitted = charge_all(table_, leases_, charges, now_ns_, counters_).admitted();
    ASSERT_EQ(admitted, expected);
    ASSERT_EQ(counters_.set_full_evictions - before.set_full_evictions,
              admitted && !place.own && place.live);
    ASSERT_EQ(counters_.set_full_refusals - before.set_full_refusals,
              !admitted && !place.own && place.live);
    if (!admitted) return;
    ASSERT_EQ(key.owed.wait_ns(key.rule, units, now_ns_), 0) << "fuller than it is owed";
    key.owed.charge(key.rule, units, now_ns_);
    key.windows.admitted(now_ns_, price, key.rule.horizon_ns);
    exact_set.put(place, key_index, place.base + price);
  }

  std::mt19937_64& random_;
  std::vector<sg_bucket_set> sets_;
  std::vector<ExactSet> exact_sets_;
  BucketTable table_;
  ArenaHeader header_{};
  Scrubber scrubber_;
  Leases leases_;
  BucketCounters counters_;
  std::vector<Key> keys_;
  uint64_t now_ns_;
};

TEST(BucketFullSets, NoKeyComesBackFullerThanItIsOwed) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i < testing::rounds(20, 2000); i++) {
    CrowdedTable table(random, 1ull << below(random, 3));
    table.run(5000);
    if (HasFatalFailure()) return;
    EXPECT_GT(table.counters().set_full_evictions, 0u);
    EXPECT_GT(table.counters().set_full_refusals, 0u);
  }
}

}  // namespace
}  // namespace surgegate
