// SPDX-License-Identifier: BSD-3-Clause
// One suite for every kind of memory; arena_plain_test.cc and arena_root_test.cc say for which.
#include "dataplane/table/arena.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "config/limits.h"
#include "dataplane/table/buckets.h"
#include "tests/unit/dataplane/arena_ground.h"

namespace surgegate::testing_arena {
namespace {

constexpr const char* next_boot = "99999999-2222-3333-4444-555555555555";
constexpr sg_secret a_secret = {0x0123456789abcdef, 0xfedcba9876543210};
constexpr sg_secret another_secret = {0x0123456789abcdef, 0xfedcba9876543211};

}  // namespace

TEST_P(ArenaTest, RegionsHaveTheirSizesApartFromEachOtherAndZeroed) {
  const Arena arena = open();
  EXPECT_EQ(arena.state(), ArenaState::created);
  std::vector<std::pair<std::byte*, std::byte*>> ranges;
  for (size_t i = 0; i < region_count; i++) {
    const std::span<std::byte> bytes = arena.region(static_cast<Region>(i));
    if (bytes.empty()) continue;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % arena_page_bytes, 0u) << region_names[i];
    ranges.emplace_back(bytes.data(), bytes.data() + bytes.size());
  }
  EXPECT_EQ(ranges.size(), 5u);
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); i++) EXPECT_LE(ranges[i - 1].second, ranges[i].first);
  EXPECT_EQ(arena.region(Region::buckets).size(), 128 * sizeof(sg_bucket_set));
  EXPECT_EQ(arena.region(Region::bans).size(), 24000u);
  EXPECT_TRUE(arena.region(Region::panic).empty());
  for (const Region region : {Region::buckets, Region::flows, Region::bans})
    for (const std::byte byte : arena.region(region)) ASSERT_EQ(byte, std::byte{0});
}

TEST_P(ArenaTest, TheHeaderSaysWhatItIs) {
  const Arena arena = open();
  EXPECT_EQ(arena.header().created_ns, now0);
  EXPECT_EQ(arena.header().last_scrub_ns, now0);
  EXPECT_EQ(arena.header().generation, 1u);
  EXPECT_EQ(arena.header().boot_id[0], 0x11);
  EXPECT_EQ(arena.header().boot_id[15], 0x55);
  EXPECT_EQ(arena.header().secret_id, secret_id_of(arena.secret()));
}

TEST_P(ArenaTest, WhatWasWrittenIsThereForTheNextProcess) {
  if (!outlives_process()) return leave_marks();
  leave_marks();
  const Arena arena = open();
  EXPECT_EQ(arena.state(), ArenaState::kept) << arena.state_reason();
  EXPECT_EQ(arena.header().generation, 2u);
  for (const Region region : {Region::buckets, Region::flows, Region::bans})
    EXPECT_EQ(mark(arena, region), 0x5a);
}

TEST_P(ArenaTest, TwoAttachedAtOnceSeeTheSameBuckets) {
  if (!outlives_process()) return;
  const Arena first = open(), second = open();
  const sg_bucket_rule rule = {hour, 2 * hour, 2 * hour};
  Leases leases;
  BucketCounters counters;
  int admitted = 0;
  for (const Arena* arena : {&first, &second, &first, &second}) {
    BucketCharge charges[] = {{7ull << 48 | 5, &rule, 1, false}};
    const BucketTable table(arena->records<sg_bucket_set>(Region::buckets));
    admitted += charge_all(table, leases, charges, now0, counters).admitted();
  }
  EXPECT_EQ(admitted, 2);
}

TEST_P(ArenaTest, ASecretIsDrawnAndSurvives) {
  const sg_secret drawn = open().secret();
  EXPECT_TRUE(drawn.k0 != 0 && drawn.k1 != 0 && drawn.k0 != drawn.k1);
  const sg_secret next = open().secret();
  EXPECT_EQ(next.k0 == drawn.k0 && next.k1 == drawn.k1, outlives_process());
}

TEST_P(ArenaTest, AGivenSecretIsTakenAndAnotherOneMakesItNew) {
  options.secret = a_secret;
  EXPECT_EQ(open().secret().k1, a_secret.k1);
  leave_marks();
  if (!outlives_process()) return;
  EXPECT_EQ(open().state(), ArenaState::kept);
  options.secret = another_secret;
  const Arena arena = open();
  EXPECT_EQ(arena.state(), ArenaState::recreated);
  EXPECT_NE(arena.state_reason().find("secret"), std::string::npos) << arena.state_reason();
  EXPECT_EQ(arena.secret().k1, another_secret.k1);
  EXPECT_EQ(mark(arena, Region::flows), 0);
}

TEST_P(ArenaTest, AnotherLayoutMakesItNew) {
  leave_marks();
  if (!outlives_process()) return;
  options.layout[Region::buckets].record_count = 256;
  {
    const Arena arena = open();
    EXPECT_EQ(arena.state(), ArenaState::recreated);
    EXPECT_FALSE(arena.state_reason().empty());
    EXPECT_EQ(mark(arena, Region::bans), 0);
  }
  // The same bytes in all, divided otherwise.
  options.layout[Region::flows] = {128, 35000};
  EXPECT_EQ(open().state(), ArenaState::recreated);
  // A region more.
  options.layout[Region::panic] = {8, 1};
  EXPECT_EQ(open().state(), ArenaState::recreated);
  EXPECT_EQ(open().state(), ArenaState::kept);
}

TEST_P(ArenaTest, AnotherBootMakesItNew) {
  leave_marks();
  if (!outlives_process()) return;
  options.boot_id = next_boot;
  const Arena arena = open();
  EXPECT_EQ(arena.state(), ArenaState::recreated);
  EXPECT_NE(arena.state_reason().find("boot"), std::string::npos) << arena.state_reason();
  EXPECT_EQ(mark(arena, Region::buckets), 0);
}

TEST_P(ArenaTest, AnArenaThatACrashLeftHalfMadeIsMadeAgain) {
  leave_marks();
  if (!outlives_process()) return;
  open().header().magic = 0;
  const Arena arena = open();
  EXPECT_EQ(arena.state(), ArenaState::recreated);
  EXPECT_EQ(mark(arena, Region::flows), 0);
}

TEST_P(ArenaTest, BucketsThatWereNotScrubbedForTooLongAreClearedAndTheRestIsKept) {
  leave_marks();
  if (!outlives_process()) return;
  options.now_ns = now0 + SG_BUCKET_STALE_NS_MAX;
  EXPECT_EQ(open().state(), ArenaState::kept);
  options.now_ns++;
  {
    const Arena arena = open();
    EXPECT_EQ(arena.state(), ArenaState::buckets_cleared);
    EXPECT_NE(arena.state_reason().find("54 h"), std::string::npos) << arena.state_reason();
    EXPECT_EQ(mark(arena, Region::buckets), 0);
    EXPECT_EQ(mark(arena, Region::bans), 0x5a);
    EXPECT_EQ(arena.header().last_scrub_ns, options.now_ns);
  }
  EXPECT_EQ(open().state(), ArenaState::kept);
}

TEST_P(ArenaTest, WhoStillHasTheOldOneKeepsIt) {
  options.layout[Region::flows].record_count = 1;
  const Arena old = open();
  old.region(Region::flows).front() = std::byte{1};
  options.boot_id = next_boot;
  const Arena fresh = open();
  EXPECT_EQ(old.region(Region::flows).front(), std::byte{1});
  EXPECT_EQ(fresh.region(Region::flows).front(), std::byte{0});
}

TEST_P(ArenaTest, MapsAreThereForXdpWhereTheMemoryIsBpfs) {
  const Arena arena = open();
  for (const Region region : {Region::buckets, Region::panic})
    EXPECT_EQ(arena.map_fd(region) >= 0,
              GetParam() == Place::bpffs && !arena.region(region).empty());
}

TEST_P(ArenaTest, ABootIdThatIsNoneIsAnError) {
  options.boot_id = "yesterday";
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find("yesterday"), std::string::npos);
  options.boot_id.clear();
  EXPECT_TRUE(Arena::open(options).has_value()) << "this machine's own";
}

}  // namespace surgegate::testing_arena
