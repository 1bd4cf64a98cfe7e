// SPDX-License-Identifier: BSD-3-Clause
// Charging one unit to several limits at once, and the scrubber.
#include "dataplane/table/buckets.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "dataplane/table/scrubber.h"

namespace surgegate {
namespace {

constexpr uint64_t ms = 1000000;
constexpr uint64_t hour = 3600000 * ms;
constexpr uint64_t now0 = 500 * hour;

constexpr sg_bucket_rule per_client = {10 * ms, 50 * ms, 50 * ms};     // bursts of 5
constexpr sg_bucket_rule per_net = {1 * ms, 3 * ms, 3 * ms};           // bursts of 3
constexpr sg_bucket_rule login = {hour, 2 * hour, 2 * hour};           // bursts of 2
constexpr sg_bucket_rule leased = {102400, 10 * 102400, 10 * 102400};  // 10 M/s, ten leases

class Buckets : public testing::Test {
 protected:
  Buckets() : sets(16), table(sets) {}

  ChargeResult charge(std::vector<BucketCharge> charges, uint64_t now_ns = now0) {
    return charge_all(table, leases, charges, now_ns, counters);
  }

  std::vector<sg_bucket_set> snapshot() const { return sets; }
  bool unchanged(const std::vector<sg_bucket_set>& before) const {
    return std::memcmp(before.data(), sets.data(), sets.size() * sizeof(sg_bucket_set)) == 0;
  }

  std::vector<sg_bucket_set> sets;
  BucketTable table;
  Leases leases;
  BucketCounters counters;
};

constexpr uint64_t client_key = 0xaaaa'0000'0000'0001ull;
constexpr uint64_t net_key = 0xbbbb'0000'0000'0002ull;
constexpr uint64_t login_key = 0xcccc'0000'0000'0003ull;
constexpr uint64_t fast_key = 0xdddd'0000'0000'0004ull;

TEST_F(Buckets, AUnitPassesWhatAllItsLimitsAdmit) {
  for (int i = 0; i < 3; i++)
    EXPECT_TRUE(
        charge({{client_key, &per_client, 1, false}, {net_key, &per_net, 1, false}}).admitted());
  const ChargeResult result =
      charge({{client_key, &per_client, 1, false}, {net_key, &per_net, 1, false}});
  EXPECT_EQ(result.refused_index, 1u);
  EXPECT_EQ(result.wait_ns, 1 * ms);
}

TEST_F(Buckets, ARefusalCostsTheOtherLimitsNothing) {
  charge({{net_key, &per_net, 3, false}});
  const auto before = snapshot();
  EXPECT_FALSE(
      charge({{client_key, &per_client, 1, false}, {net_key, &per_net, 1, false}}).admitted());
  EXPECT_TRUE(unchanged(before));
  EXPECT_EQ(counters.give_backs, 0u);
}

TEST_F(Buckets, TheWaitIsLongEnoughForAllThatRefuse) {
  charge({{client_key, &per_client, 5, false}});
  charge({{login_key, &login, 2, false}});
  charge({{net_key, &per_net, 3, false}});
  const std::vector<BucketCharge> all = {{client_key, &per_client, 1, false},
                                         {login_key, &login, 1, false},
                                         {net_key, &per_net, 1, false}};
  const ChargeResult result = charge(all);
  EXPECT_EQ(result.refused_index, 0u) << "the first in the policy's order is the one named";
  EXPECT_EQ(result.wait_ns, hour);
  EXPECT_FALSE(charge(all, now0 + result.wait_ns - 1).admitted());
  EXPECT_TRUE(charge(all, now0 + result.wait_ns).admitted());
}

TEST_F(Buckets, OneKeyTwiceInOneUnitIsChargedTwice) {
  EXPECT_TRUE(charge({{net_key, &per_net, 1, false}, {net_key, &per_net, 1, false}}).admitted());
  // One unit is left. Each charge alone would conform; together they do not, and nothing is kept.
  const auto before = snapshot();
  const ChargeResult result =
      charge({{net_key, &per_net, 1, false}, {net_key, &per_net, 1, false}});
  EXPECT_EQ(result.refused_index, 1u);
  EXPECT_EQ(result.wait_ns, 1 * ms);
  EXPECT_TRUE(unchanged(before));
  EXPECT_EQ(counters.give_backs, 1u);
}

TEST_F(Buckets, AFailedChargePutsLeasedUnitsBackIntoTheLease) {
  EXPECT_TRUE(charge({{fast_key, &leased, 1000, true}}).admitted());
  // Needs the 24 that are left, then fails at the key that is asked twice for its last three.
  EXPECT_FALSE(charge({{fast_key, &leased, 24, true},
                       {net_key, &per_net, 2, false},
                       {net_key, &per_net, 2, false}})
                   .admitted());
  EXPECT_EQ(counters.give_backs, 2u);
  EXPECT_TRUE(charge({{fast_key, &leased, 24, true}}).admitted());
  EXPECT_EQ(counters.leases, 1u);
}

TEST_F(Buckets, ALimitThatOnlyEverAsksForMoreThanItsBurstSaysNever) {
  const ChargeResult result =
      charge({{net_key, &per_net, 4, false}, {client_key, &per_client, 1, false}});
  EXPECT_EQ(result.refused_index, 0u);
  EXPECT_EQ(result.wait_ns, SG_WAIT_NEVER);
}

TEST_F(Buckets, FullSetsAndForeignTagsAreCounted) {
  sg_bucket_set& set = table.set(net_key);
  for (uint64_t i = 0; i < SG_BUCKET_SET_CELLS; i++)
    set.cells[i] = (i + 1) << SG_TAT_BITS | ((now0 + 1 * ms + i) & SG_TAT_MASK);
  EXPECT_TRUE(charge({{net_key, &per_net, 2, false}}).admitted());
  EXPECT_EQ(counters.set_full_evictions, 1u);
  EXPECT_FALSE(charge({{net_key ^ (1ull << 63), &per_net, 3, false}}).admitted());
  EXPECT_EQ(counters.set_full_refusals, 1u);
  EXPECT_EQ(counters.foreign, 0u);
  set.cells[7] = sg_bucket_tag(net_key) | ((now0 + 5 * hour) & SG_TAT_MASK);
  charge({{net_key, &per_net, 1, false}});
  EXPECT_EQ(counters.foreign, 1u);
}

class Scrubbing : public Buckets {
 protected:
  Scrubbing() : scrubber(table, header) { header.last_scrub_ns = header.scrub_started_ns = now0; }

  // A whole pass that ends at or after now_ns.
  uint32_t pass(uint64_t now_ns) {
    uint32_t emptied = 0;
    const uint64_t started_ns = header.scrub_started_ns;
    while (header.scrub_started_ns == started_ns) emptied += scrubber.step(now_ns, 7);
    return emptied;
  }

  ArenaHeader header{};
  Scrubber scrubber;
};

TEST_F(Scrubbing, EmptiesWhatIsFullAgainAndLeavesWhatIsOwed) {
  charge({{login_key, &login, 2, false}});
  charge({{client_key, &per_client, 5, false}});
  const __u64 owed = table.set(login_key).cells[0];
  EXPECT_EQ(pass(now0 + hour), 1u);
  EXPECT_EQ(table.set(login_key).cells[0], owed);
  EXPECT_EQ(table.set(client_key).cells[0], 0u);
}

TEST_F(Scrubbing, LeavesACellThatAClockBehindOursMayStillTakeForLive) {
  charge({{client_key, &per_client, 5, false}});
  EXPECT_EQ(pass(now0 + hour), 1u);
  charge({{client_key, &per_client, 5, false}}, now0 + 2 * hour - 51 * ms);
  EXPECT_EQ(pass(now0 + 2 * hour), 0u);
}

TEST_F(Scrubbing, TakesAnHourForAPassInSmallSteps) {
  const uint64_t cells = sets.size() * SG_BUCKET_SET_CELLS;
  scrubber.step(now0 + hour / 4);
  EXPECT_EQ(header.scrub_next_cell, cells / 4);
  scrubber.step(now0 + hour / 4);
  EXPECT_EQ(header.scrub_next_cell, cells / 4) << "nothing more is due";
  scrubber.step(now0 + hour / 2, 10);
  EXPECT_EQ(header.scrub_next_cell, cells / 4 + 10) << "a late one catches up slowly";
  EXPECT_EQ(header.last_scrub_ns, now0);
}

TEST_F(Scrubbing, APassGoesOnInTheNextProcessAndIsDatedByItsStart) {
  scrubber.step(now0 + hour / 2);
  Scrubber next(table, header);
  next.step(now0 + hour);
  EXPECT_EQ(header.last_scrub_ns, now0);
  EXPECT_EQ(header.scrub_started_ns, now0 + hour);
  EXPECT_EQ(header.scrub_next_cell, 0u);
  next.step(now0 + 2 * hour);
  EXPECT_EQ(header.last_scrub_ns, now0 + hour);
}

TEST_F(Scrubbing, KeepsALongIdleBucketFromLookingLikeTheFuture) {
  charge({{client_key, &per_client, 1, false}});
  for (uint64_t h = 1; h <= 100; h++) pass(now0 + h * hour);
  // Unscrubbed, the TAT would now be 78.2 - 60 = 18.2 h ahead for any limit with so wide a horizon.
  charge({{client_key, &per_client, 1, false}}, now0 + 100 * hour);
  for (uint64_t h = 101; h <= 160; h++) pass(now0 + h * hour);
  constexpr sg_bucket_rule day_long = {hour, 24 * hour, 24 * hour};
  EXPECT_TRUE(charge({{client_key, &day_long, 24, false}}, now0 + 160 * hour).admitted());
}

}  // namespace
}  // namespace surgegate
