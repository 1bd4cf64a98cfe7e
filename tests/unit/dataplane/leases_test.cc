// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/leases.h"

#include <gtest/gtest.h>

#include <vector>

#include "dataplane/table/buckets.h"

namespace surgegate {
namespace {

constexpr uint64_t now0 = 500ull * 3600 * 1000000000;

// 10 M/s: a unit lasts 100 ns, a lease of 1,024 lasts 102,400. Bursts of 4 leases.
constexpr uint64_t unit_ns = 100;
constexpr uint64_t lease_ns = SG_LEASE_UNITS * unit_ns;
constexpr sg_bucket_rule fast = {lease_ns, 4 * lease_ns, 4 * lease_ns};

constexpr uint64_t key = 0x5555'0000'0000'0001ull;
constexpr uint64_t same_slot = key + (1ull << 60) + SG_LEASE_SLOTS;  // another set and tag

class LeasesTest : public testing::Test {
 protected:
  LeasesTest() : sets(1024), table(sets) {}

  bool charge(uint64_t key_hash, uint32_t units, uint64_t now_ns) {
    return charge_by(leases, key_hash, units, now_ns);
  }
  bool charge_by(Leases& worker, uint64_t key_hash, uint32_t units, uint64_t now_ns,
                 const sg_bucket_rule& rule = fast) {
    BucketCharge charges[] = {{key_hash, &rule, units, true}};
    const ChargeResult result = charge_all(table, worker, charges, now_ns, counters);
    wait_ns = result.wait_ns;
    return result.admitted();
  }
  uint32_t units_until_refusal(Leases& worker, uint64_t key_hash, uint64_t now_ns) {
    uint32_t units = 0;
    while (charge_by(worker, key_hash, 1, now_ns)) units++;
    return units;
  }

  std::vector<sg_bucket_set> sets;
  BucketTable table;
  Leases leases;
  BucketCounters counters;
  uint64_t wait_ns = 0;
};

TEST_F(LeasesTest, TheTableIsWrittenOncePerLease) {
  for (uint32_t i = 0; i < 3 * SG_LEASE_UNITS; i++) ASSERT_TRUE(charge(key, 1, now0));
  EXPECT_EQ(counters.leases, 3u);
}

TEST_F(LeasesTest, ABurstIsAdmittedAndThenTheRate) {
  EXPECT_EQ(units_until_refusal(leases, key, now0), 4 * SG_LEASE_UNITS);
  EXPECT_EQ(wait_ns, lease_ns);
  EXPECT_EQ(units_until_refusal(leases, key, now0 + lease_ns - 1), 0u);
  EXPECT_EQ(units_until_refusal(leases, key, now0 + lease_ns), 1u * SG_LEASE_UNITS);
}

TEST_F(LeasesTest, UnitsOfALeaseExpireAsTheClockPassesThem) {
  ASSERT_TRUE(charge(key, 1, now0));
  // 1,023 were left. Half a lease later only the second half of them is: 512 and then three leases.
  EXPECT_EQ(units_until_refusal(leases, key, now0 + lease_ns / 2), 512 + 3 * SG_LEASE_UNITS);
}

TEST_F(LeasesTest, AnExpiredLeaseAddsNothingToAFullBucket) {
  ASSERT_TRUE(charge(key, 1, now0));
  EXPECT_EQ(units_until_refusal(leases, key, now0 + 5 * lease_ns), 4 * SG_LEASE_UNITS);
}

TEST_F(LeasesTest, AUnitThatCostsMoreThanIsLeftUsesTheRestAndTheNextLease) {
  ASSERT_TRUE(charge(key, 1000, now0));
  ASSERT_TRUE(charge(key, 100, now0));
  EXPECT_EQ(counters.leases, 2u);
  EXPECT_EQ(units_until_refusal(leases, key, now0), 4 * SG_LEASE_UNITS - 1100);
}

TEST_F(LeasesTest, AUnitThatCostsSeveralLeasesTakesThemAtOnce) {
  EXPECT_FALSE(charge(key, 4 * SG_LEASE_UNITS + 1, now0));
  EXPECT_EQ(wait_ns, SG_WAIT_NEVER);
  EXPECT_TRUE(charge(key, 2 * SG_LEASE_UNITS + 1, now0));
  EXPECT_EQ(counters.leases, 3u);
  EXPECT_EQ(units_until_refusal(leases, key, now0), 2 * SG_LEASE_UNITS - 1);
}

TEST_F(LeasesTest, ADisplacedLeaseGivesItsRestBack) {
  ASSERT_TRUE(charge(key, 1, now0));
  ASSERT_TRUE(charge(same_slot, 1, now0));
  EXPECT_EQ(counters.give_backs, 1u);
  // Both keys have all of their bursts but one unit left; the last lease must fit as a whole.
  EXPECT_EQ(units_until_refusal(leases, key, now0), 3 * SG_LEASE_UNITS);
  EXPECT_EQ(units_until_refusal(leases, same_slot, now0), 3 * SG_LEASE_UNITS);
}

TEST_F(LeasesTest, TwoKeysInOneSlotAreBothServedAtTheirRates) {
  uint64_t admitted = 0, other_admitted = 0;
  constexpr uint64_t steps = 100000;
  for (uint64_t i = 0; i < steps; i++) {
    admitted += charge(key, 1, now0 + i * unit_ns);
    other_admitted += charge(same_slot, 1, now0 + i * unit_ns);
  }
  EXPECT_EQ(admitted, steps);
  EXPECT_EQ(other_admitted, steps);
}

TEST_F(LeasesTest, WorkersShareABucketButNotTheirLeases) {
  Leases other;
  ASSERT_TRUE(charge_by(leases, key, 1, now0));
  ASSERT_TRUE(charge_by(other, key, 1, now0));
  EXPECT_EQ(counters.leases, 2u);
  EXPECT_EQ(units_until_refusal(leases, key, now0) + units_until_refusal(other, key, now0),
            4 * SG_LEASE_UNITS - 2);
}

TEST_F(LeasesTest, OneUnitMayMeetTwoLeasedLimitsInOneSlot) {
  ASSERT_TRUE(charge(key, 1, now0));
  // The second limit is covered when it is read, and no more when its turn comes.
  BucketCharge charges[] = {{same_slot, &fast, 1, true}, {key, &fast, 1, true}};
  EXPECT_TRUE(charge_all(table, leases, charges, now0, counters).admitted());
  EXPECT_EQ(units_until_refusal(leases, key, now0), 3 * SG_LEASE_UNITS - 1);
}

TEST_F(LeasesTest, AnUndoneUnitDoesNotEndUpInTheLeaseThatTookItsSlot) {
  constexpr sg_bucket_rule single = {lease_ns, lease_ns, lease_ns};
  ASSERT_TRUE(charge(same_slot, 2 * SG_LEASE_UNITS, now0));
  ASSERT_TRUE(charge(key, 1, now0));
  BucketCharge charges[] = {{key, &fast, 1, true},
                            {same_slot, &fast, 1, true},
                            {7, &single, 1, false},
                            {7, &single, 1, false}};
  EXPECT_EQ(charge_all(table, leases, charges, now0, counters).refused_index, 3u);
  EXPECT_EQ(units_until_refusal(leases, same_slot, now0), 2 * SG_LEASE_UNITS);
}

// The worst that docs/buckets.md allows for, so that nobody takes the term for a formality.
TEST_F(LeasesTest, ALeaseGivenBackLetsAnotherWorkersOverlapTheNext) {
  Leases other;
  ASSERT_TRUE(charge_by(leases, key, 1, now0));
  ASSERT_TRUE(charge_by(other, key, 1, now0));
  ASSERT_TRUE(charge_by(leases, same_slot, 1, now0));  // gives 1,023 units of key back
  // The bucket is full again, and the other worker's lease has only begun to expire.
  const uint64_t later_ns = now0 + lease_ns + unit_ns;
  EXPECT_EQ(units_until_refusal(leases, key, later_ns) + units_until_refusal(other, key, later_ns),
            4 * SG_LEASE_UNITS + SG_LEASE_UNITS - 1);
}

TEST_F(LeasesTest, AChangedRatePricesWhatIsLeftOfALease) {
  ASSERT_TRUE(charge(key, 24, now0));
  // From 10 M/s to 5 M/s: the 100,000 ns that are left of the lease buy 500 units.
  constexpr sg_bucket_rule halved = {2 * lease_ns, 2 * lease_ns, 4 * lease_ns};
  EXPECT_TRUE(charge_by(leases, key, 500, now0, halved));
  EXPECT_EQ(counters.leases, 1u);
  EXPECT_FALSE(charge_by(leases, key, 1, now0, halved));
}

TEST_F(LeasesTest, AFreeSlotBelongsToNoKey) {
  // Key hash 0 must not match a slot that was never used.
  EXPECT_EQ(units_until_refusal(leases, 0, now0), 4 * SG_LEASE_UNITS);
}

}  // namespace
}  // namespace surgegate
