// SPDX-License-Identifier: BSD-3-Clause
#include "config/bucket.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace surgegate {
namespace {

constexpr uint64_t ms = 1000000;
constexpr uint64_t hour = 3600000 * ms;
constexpr uint64_t now0 = 1000 * hour + 12345;  // has gone round the 48 bits twelve times

// 100 units a second, bursts of 5.
constexpr sg_bucket_rule slow = {10 * ms, 50 * ms, 50 * ms};
constexpr sg_bucket_rule day_long = {hour, 24 * hour, 24 * hour};

uint64_t tag(uint64_t number) {
  return number << SG_TAT_BITS;
}
uint64_t cell_at(uint64_t tag_number, uint64_t tat_ns) {
  return tag(tag_number) | (tat_ns & SG_TAT_MASK);
}

// A set and what was said last about it.
struct Set {
  sg_bucket_set set{};
  sg_bucket_view view{};
  uint32_t lost_races = 0;

  sg_bucket_outcome charge(uint64_t tag_number, const sg_bucket_rule& rule, uint32_t units,
                           uint64_t now_ns) {
    return sg_bucket_charge(&set, tag(tag_number), &rule, units, now_ns, &view, &lost_races);
  }
  bool read(uint64_t tag_number, const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) {
    return sg_bucket_read(&set, tag(tag_number), &rule, units, now_ns, &view) != 0;
  }
  uint32_t burst_left(uint64_t tag_number, const sg_bucket_rule& rule, uint64_t now_ns) {
    uint32_t units = 0;
    while (read(tag_number, rule, units + 1, now_ns)) units++;
    return units;
  }
  // All eight cells of other keys (tags 101 .. 108), 1 ms apart, the smallest first_ahead_ns ahead.
  void fill(uint64_t first_ahead_ns, uint64_t now_ns) {
    for (uint64_t i = 0; i < SG_BUCKET_SET_CELLS; i++)
      set.cells[(i + 3) % SG_BUCKET_SET_CELLS] = cell_at(101 + i, now_ns + first_ahead_ns + i * ms);
  }
};

TEST(Bucket, AdmitsItsBurstAndThenOneUnitPerInterval) {
  Set s;
  for (int i = 0; i < 5; i++) EXPECT_EQ(s.charge(1, slow, 1, now0), SG_BUCKET_CHARGED) << i;
  EXPECT_EQ(s.charge(1, slow, 1, now0), SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.wait_ns, 10 * ms);
  EXPECT_EQ(s.charge(1, slow, 1, now0 + 10 * ms - 1), SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.wait_ns, 1u);
  EXPECT_EQ(s.charge(1, slow, 1, now0 + 10 * ms), SG_BUCKET_CHARGED);
  EXPECT_EQ(s.charge(1, slow, 1, now0 + 10 * ms), SG_BUCKET_REFUSED);
}

TEST(Bucket, FillsUpToItsBurstAndNoFurther) {
  Set s;
  s.charge(1, slow, 5, now0);
  EXPECT_EQ(s.burst_left(1, slow, now0 + 29 * ms), 2u);
  EXPECT_EQ(s.burst_left(1, slow, now0 + 50 * ms), 5u);
  EXPECT_EQ(s.burst_left(1, slow, now0 + 53 * hour), 5u);
}

TEST(Bucket, SeveralUnitsPassTogetherOrNotAtAll) {
  Set s;
  EXPECT_EQ(s.charge(1, slow, 3, now0), SG_BUCKET_CHARGED);
  EXPECT_EQ(s.charge(1, slow, 3, now0), SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.wait_ns, 10 * ms);
  EXPECT_EQ(s.burst_left(1, slow, now0), 2u);
}

TEST(Bucket, MoreThanABurstIsRefusedForGood) {
  Set s;
  EXPECT_EQ(s.charge(1, slow, 6, now0), SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.wait_ns, SG_WAIT_NEVER);
  s.fill(5 * ms, now0);
  EXPECT_EQ(s.charge(1, slow, 6, now0), SG_BUCKET_REFUSED) << "the full set is not to blame";
  EXPECT_EQ(s.charge(1, day_long, SG_BUCKET_UNITS_MAX, now0), SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.wait_ns, SG_WAIT_NEVER);
}

TEST(Bucket, ARefusalWritesNothing) {
  Set s;
  s.charge(1, slow, 5, now0);
  const sg_bucket_set before = s.set;
  for (uint64_t i = 0; i < 1000; i++) s.charge(1, slow, 1, now0 + i);
  EXPECT_EQ(std::memcmp(&before, &s.set, sizeof(before)), 0);
}

TEST(Bucket, KeysOfOneSetDoNotTouchEachOther) {
  Set s;
  for (uint64_t key = 1; key <= 8; key++)
    EXPECT_EQ(s.charge(key, slow, static_cast<uint32_t>(key % 5 + 1), now0), SG_BUCKET_CHARGED);
  for (uint64_t key = 1; key <= 8; key++)
    EXPECT_EQ(s.burst_left(key, slow, now0), 5 - (key % 5 + 1)) << key;
}

TEST(Bucket, APastCellIsAFullBucketAndAnybodysPlace) {
  Set s;
  s.fill(5 * ms, now0);
  // At now0 + 7 ms the keys 101, 102 and 103 (TAT exactly now) are full again.
  EXPECT_EQ(s.burst_left(101, slow, now0 + 7 * ms), 5u);
  EXPECT_EQ(s.burst_left(103, slow, now0 + 7 * ms), 5u);
  EXPECT_EQ(s.burst_left(104, slow, now0 + 7 * ms), 4u);
  EXPECT_EQ(s.charge(1, slow, 5, now0 + 7 * ms), SG_BUCKET_CHARGED) << "no live bucket was lost";
  EXPECT_EQ(s.burst_left(104, slow, now0 + 7 * ms), 4u);
  EXPECT_EQ(s.burst_left(108, slow, now0 + 7 * ms), 4u);
}

TEST(Bucket, AFullSetGivesUpItsSmallestAndChargesTheNewcomerFromThere) {
  Set s;
  s.fill(23 * ms, now0);
  EXPECT_EQ(s.charge(1, slow, 1, now0), SG_BUCKET_CHARGED_EVICTING);
  // Charged from 23 ms: 33 ms ahead of 50, so room for one more.
  EXPECT_EQ(s.burst_left(1, slow, now0), 1u);
  EXPECT_FALSE(s.view.wait_ns == 0);
  EXPECT_EQ(s.view.wait_ns, 3 * ms);
  for (uint64_t key = 102; key <= 108; key++) {
    s.read(key, slow, 1, now0);
    EXPECT_EQ(s.view.own, 1) << key;
  }
  // The evicted key comes back: charged from the smallest now (24 ms), which is no less than it
  // owed.
  EXPECT_TRUE(s.read(101, slow, 1, now0));
  EXPECT_EQ(s.view.own, 0);
  EXPECT_EQ(s.view.ahead_ns, 24 * ms);
}

TEST(Bucket, AFullSetRefusesANewcomerThatItsSmallestLeavesNoRoomFor) {
  Set s;
  s.fill(41 * ms, now0);
  const sg_bucket_set before = s.set;
  EXPECT_EQ(s.charge(1, slow, 1, now0), SG_BUCKET_REFUSED_SET_FULL);
  EXPECT_EQ(s.view.wait_ns, 1 * ms);
  EXPECT_EQ(std::memcmp(&before, &s.set, sizeof(before)), 0);
  EXPECT_EQ(s.charge(1, slow, 1, now0 + 1 * ms), SG_BUCKET_CHARGED_EVICTING);
}

TEST(Bucket, ATatThatTheLimitCannotHaveMadeIsAnotherKeys) {
  for (size_t twin : {0, 1, 7}) {
    Set s;
    s.set.cells[twin] = cell_at(1, now0 + 2 * hour);  // the twin: same tag, another limit
    EXPECT_EQ(s.charge(1, slow, 1, now0), SG_BUCKET_CHARGED);
    EXPECT_EQ(s.view.foreign, 1);
    EXPECT_EQ(s.burst_left(1, slow, now0), 4u);
    // The twin's own limit could have made either; it keeps to the one that owes more.
    EXPECT_TRUE(s.read(1, day_long, 1, now0));
    EXPECT_EQ(s.view.ahead_ns, 2 * hour);
  }
}

TEST(Bucket, AClockThatIsBehindDoesNotTakeAnEmptyBucketForAnotherKeys) {
  Set s;
  s.charge(1, slow, 5, now0);
  EXPECT_EQ(s.charge(1, slow, 1, now0 - SG_BUCKET_SKEW_NS_MAX), SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.foreign, 0);
  s.charge(2, day_long, 24, now0);
  EXPECT_EQ(s.charge(2, day_long, 1, now0 - SG_BUCKET_SKEW_NS_MAX), SG_BUCKET_REFUSED);
}

TEST(Bucket, AReloadKeepsTheLevelInTime) {
  Set s;
  s.charge(1, day_long, 10, now0);
  // Now 1 per 10 ms, bursts of 5: ten hours are owed and stay owed, for the old horizon is known.
  sg_bucket_rule tightened = slow;
  tightened.horizon_seen_ns = day_long.horizon_ns;
  EXPECT_EQ(s.charge(1, tightened, 1, now0), SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.wait_ns, 10 * hour + 10 * ms - 50 * ms);
  EXPECT_EQ(s.charge(1, tightened, 1, now0 + s.view.wait_ns), SG_BUCKET_CHARGED);
}

TEST(Bucket, PastAndFutureAreToldApartAllTheWayRoundTheClock) {
  for (uint64_t offset_h : {0, 11, 30, 54, 77}) {
    const uint64_t now_ns = now0 + offset_h * hour;
    Set s;
    s.set.cells[0] = cell_at(1, now_ns + 24 * hour);
    EXPECT_FALSE(s.read(1, day_long, 1, now_ns));
    s.set.cells[0] = cell_at(1, now_ns + 1);
    EXPECT_EQ(s.burst_left(1, day_long, now_ns), 23u);
    s.set.cells[0] = cell_at(1, now_ns);
    EXPECT_EQ(s.burst_left(1, day_long, now_ns), 24u);
    s.set.cells[0] = cell_at(1, now_ns - SG_BUCKET_STALE_NS_MAX);
    EXPECT_EQ(s.burst_left(1, day_long, now_ns), 24u);
  }
}

TEST(Bucket, AWrittenWordIsNeverTheEmptyOne) {
  const uint64_t hash = 0x0000123456789abcull;  // top bits zero
  EXPECT_NE(sg_bucket_tag(hash), 0u);
  Set s;
  uint32_t lost_races = 0;
  const uint64_t now_ns = (1ull << SG_TAT_BITS) - slow.interval_ns;  // the TAT's 48 bits become 0
  sg_bucket_charge(&s.set, sg_bucket_tag(hash), &slow, 1, now_ns, &s.view, &lost_races);
  EXPECT_TRUE(sg_bucket_read(&s.set, sg_bucket_tag(hash), &slow, 1, now_ns, &s.view));
  EXPECT_EQ(s.view.own, 1);
  EXPECT_EQ(s.view.ahead_ns, slow.interval_ns);
}

TEST(Bucket, SetAndTagComeFromDifferentBitsOfTheHash) {
  const uint64_t hash = 0x1234'0000'0000'0005ull;
  EXPECT_EQ(sg_bucket_set_index(hash, 1 << 24), 5u);
  EXPECT_EQ(sg_bucket_tag(hash) >> SG_TAT_BITS, 0x1234u);
  EXPECT_EQ(sg_bucket_tag(hash ^ 0xffffff), sg_bucket_tag(hash));
}

TEST(Bucket, AGiveBackUndoesAChargeExactly) {
  Set s;
  s.charge(1, slow, 2, now0);
  const sg_bucket_set before = s.set;
  s.charge(1, slow, 3, now0);
  EXPECT_EQ(sg_bucket_give_back(&s.set.cells[s.view.cell], tag(1), 3 * slow.interval_ns, now0,
                                &s.lost_races),
            1);
  EXPECT_EQ(std::memcmp(&before, &s.set, sizeof(before)), 0);
}

TEST(Bucket, AGiveBackNeverMakesMoreThanAFullBucket) {
  Set s;
  s.charge(1, slow, 1, now0);
  sg_bucket_give_back(&s.set.cells[s.view.cell], tag(1), 24 * hour, now0, &s.lost_races);
  EXPECT_EQ(s.burst_left(1, slow, now0), 5u);
  EXPECT_EQ(s.set.cells[s.view.cell], cell_at(1, now0)) << "a TAT far in the past would go stale";
}

TEST(Bucket, AGiveBackLeavesACellAloneThatIsAnothersByNowOrFull) {
  Set s;
  s.charge(1, slow, 1, now0);
  __u64& cell = s.set.cells[s.view.cell];
  cell = cell_at(2, now0 + 30 * ms);
  EXPECT_EQ(sg_bucket_give_back(&cell, tag(1), slow.interval_ns, now0, &s.lost_races), 0);
  EXPECT_EQ(cell, cell_at(2, now0 + 30 * ms));
  cell = cell_at(1, now0 - 30 * ms);
  EXPECT_EQ(sg_bucket_give_back(&cell, tag(1), slow.interval_ns, now0, &s.lost_races), 0);
  EXPECT_EQ(cell, cell_at(1, now0 - 30 * ms));
}

TEST(Bucket, WhatSomebodyElseChargedBetweenReadAndCommitCounts) {
  Set s;
  ASSERT_TRUE(s.read(1, slow, 2, now0));
  const sg_bucket_view seen = s.view;
  s.charge(1, slow, 3, now0);  // another worker
  s.view = seen;
  EXPECT_EQ(sg_bucket_commit(&s.set, tag(1), &slow, 2, now0, &s.view, &s.lost_races),
            SG_BUCKET_CHARGED);
  EXPECT_EQ(s.lost_races, 1u);
  EXPECT_EQ(s.burst_left(1, slow, now0), 0u);
  s.view = seen;
  EXPECT_EQ(sg_bucket_commit(&s.set, tag(1), &slow, 2, now0, &s.view, &s.lost_races),
            SG_BUCKET_REFUSED);
  EXPECT_EQ(s.view.wait_ns, 20 * ms);
}

}  // namespace
}  // namespace surgegate
