// SPDX-License-Identifier: BSD-3-Clause
// Property: on one worker, with a place for every key, the table admits exactly the units that the
// exact bucket admits, and names exactly its waits: mixed rates from 1/hour to 10 M/s in one table,
// hundreds of hours, many times round the 48 bits.
#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

#include "dataplane/table/buckets.h"
#include "dataplane/table/scrubber.h"
#include "tests/property/bucket_reference.h"

namespace surgegate {
namespace {

struct Key {
  uint64_t hash;
  sg_bucket_rule rule;
  bool leased;
  ExactBucket exact;
  ExactLeasedBucket exact_leased;
  EveryWindow windows;
};

class ExactTable {
 public:
  explicit ExactTable(std::mt19937_64& random)
      : random_(random), sets_(512), table_(sets_), scrubber_(table_, header_) {
    // Some minutes before a wrap, so that even a short run goes round.
    now_ns_ = (1 + below(random, 1000)) * (1ull << SG_TAT_BITS) - 10 * one_minute;
    header_.last_scrub_ns = header_.scrub_started_ns = now_ns_;
    make_keys();
  }

  // reloads: now and then a new image gives some limits another rate and burst.
  void run(uint64_t phases, bool reloads) {
    for (uint64_t phase = 0; phase < phases; phase++) {
      if (reloads && phase % 10 == 9) reload();
      const uint64_t step_ns = 1ull << below(random_, 45);  // 1 ns .. 9.8 h
      std::vector<size_t> hot(1 + below(random_, 6));
      for (size_t& index : hot) index = below(random_, keys_.size());
      for (int i = 0; i < 60; i++) {
        ask(hot);
        if (::testing::Test::HasFatalFailure()) return;
        advance(step_ns);
      }
    }
    for (const Key& key : keys_) ASSERT_LE(key.windows.excess(), 0);
  }

  const BucketCounters& counters() const { return counters_; }
  uint64_t admitted() const { return admitted_; }
  uint64_t refused() const { return refused_; }

 private:
  // At most eight keys in a set, no two of them with one tag, no two leases in one slot: then the
  // reference knows all that the table knows.
  void make_keys() {
    std::vector<std::set<uint64_t>> tags(sets_.size());
    std::set<uint64_t> slots;
    while (keys_.size() < 2000) {
      const uint64_t hash = random_();
      const bool leased = keys_.size() % 20 == 0;
      std::set<uint64_t>& in_set = tags[sg_bucket_set_index(hash, sets_.size())];
      if (in_set.size() == SG_BUCKET_SET_CELLS || (leased && slots.contains(hash % SG_LEASE_SLOTS)))
        continue;
      if (!in_set.insert(sg_bucket_tag(hash)).second) continue;
      if (leased) slots.insert(hash % SG_LEASE_SLOTS);
      keys_.push_back({hash,
                       leased ? fast_rule() : pick(random_, rules_),
                       leased,
                       {},
                       {},
                       EveryWindow(leased ? SG_LEASE_UNITS : 1)});
    }
  }

  uint32_t some_units(const Key& key) {
    const uint64_t burst =
        key.rule.horizon_ns / key.rule.interval_ns * (key.leased ? SG_LEASE_UNITS : 1);
    return static_cast<uint32_t>(
        below(random_, 4) ? 1 : 1 + below(random_, std::min<uint64_t>(burst, 3000)));
  }

  void reload() {
    for (Key& key : keys_) {
      if (below(random_, 8) != 0) continue;
      const uint64_t seen_ns = key.rule.horizon_seen_ns;
      key.rule = key.leased ? fast_rule() : pick(random_, rules_);
      key.rule.horizon_seen_ns = std::max<uint64_t>(seen_ns, key.rule.horizon_ns);
      if (key.leased) continue;
      sg_bucket_view view;
      sg_bucket_read(&table_.set(key.hash), sg_bucket_tag(key.hash), &key.rule, 1, now_ns_, &view);
      ASSERT_EQ(view.ahead_ns, std::max(Exact(key.exact.tat() - now_ns_), Exact(0)))
          << "a reload changed a level";
    }
  }

  // 10 M/s, or 2.37 M/s, whose unit is no whole number of nanoseconds.
  sg_bucket_rule fast_rule() {
    return below(random_, 2) ? rule_of(102400, 1 + below(random_, 1000))
                             : rule_of(432067, 1 + below(random_, 5));
  }

  // One to three limits on one unit, all different keys.
  void ask(const std::vector<size_t>& hot) {
    std::set<size_t> chosen;
    for (uint64_t i = 0; i <= below(random_, 3); i++) chosen.insert(pick(random_, hot));
    std::vector<BucketCharge> charges;
    for (const size_t index : chosen)
      charges.push_back(
          {keys_[index].hash, &keys_[index].rule, some_units(keys_[index]), keys_[index].leased});

    Exact longest = 0;
    size_t at = 0;
    for (const size_t index : chosen) {
      const Exact wait = exact_wait(keys_[index], charges[at++].units);
      longest = std::max(longest, wait);
    }
    const ChargeResult result = charge_all(table_, leases_, charges, now_ns_, counters_);
    ASSERT_EQ(result.admitted(), longest == 0) << "at " << now_ns_ << " wait " << longest;
    ASSERT_EQ(result.wait_ns, longest) << "at " << now_ns_;
    if (result.admitted()) charge_exact(chosen, charges);
    (result.admitted() ? admitted_ : refused_)++;
    next_edge_ns_ = result.wait_ns;
  }

  Exact exact_wait(const Key& key, uint32_t units) const {
    return key.leased ? key.exact_leased.wait_ns(key.rule, units, now_ns_)
                      : key.exact.wait_ns(key.rule, units, now_ns_);
  }

  void charge_exact(const std::set<size_t>& chosen, const std::vector<BucketCharge>& charges) {
    size_t at = 0;
    for (const size_t index : chosen) {
      Key& key = keys_[index];
      const uint32_t units = charges[at++].units;
      key.leased ? key.exact_leased.charge(key.rule, units, now_ns_)
                 : key.exact.charge(key.rule, units, now_ns_);
      key.windows.admitted(now_ns_, units * key.rule.interval_ns, key.rule.horizon_seen_ns);
    }
  }

  // Often to the very nanosecond at which what was just refused conforms, or the one before.
  void advance(uint64_t step_ns) {
    uint64_t by_ns = below(random_, step_ns + 1);
    if (next_edge_ns_ != 0 && next_edge_ns_ < 10 * one_hour && below(random_, 2) == 0)
      by_ns = next_edge_ns_ - below(random_, 2);
    now_ns_ += by_ns;
    while (now_ns_ - header_.scrub_started_ns > SG_SCRUB_PERIOD_NS) scrubber_.step(now_ns_);
    scrubber_.step(now_ns_);
  }

  std::mt19937_64& random_;
  std::vector<sg_bucket_set> sets_;
  BucketTable table_;
  ArenaHeader header_{};
  Scrubber scrubber_;
  Leases leases_;
  BucketCounters counters_;
  const std::vector<sg_bucket_rule> rules_ = unleased_rules();
  std::vector<Key> keys_;
  uint64_t now_ns_;
  uint64_t next_edge_ns_ = 0;
  uint64_t admitted_ = 0, refused_ = 0;
};

void run_tables(bool reloads, uint64_t count) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i < count; i++) {
    ExactTable table(random);
    table.run(1000, reloads);
    if (::testing::Test::HasFatalFailure()) return;
    // The run must have met what it is about.
    EXPECT_GT(table.admitted(), 5000u);
    EXPECT_GT(table.refused(), 5000u);
    EXPECT_GT(table.counters().leases, 100u);
    EXPECT_EQ(table.counters().set_full_evictions, 0u);
    EXPECT_EQ(table.counters().foreign, 0u);
  }
}

TEST(BucketExact, OnOneWorkerNotOneUnitDiffersFromTheExactBucket) {
  run_tables(false, testing::rounds(3, 100));
}

// A unit is charged at the price of the rule that it was admitted under, and what was charged stays
// charged, in time: no window sees more than (its length + the widest horizon) of prices.
TEST(BucketExact, AReloadChangesNoLevelAndNotOneUnitDiffersAfterIt) {
  run_tables(true, testing::rounds(3, 100));
}

}  // namespace
}  // namespace surgegate
