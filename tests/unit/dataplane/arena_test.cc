// SPDX-License-Identifier: BSD-3-Clause
// One suite for every kind of memory. hugetlbfs and BPF maps need root: the test mounts what it
// needs in a mount namespace of its own, which goes with the process.
#include "dataplane/table/arena.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "config/limits.h"
#include "dataplane/table/buckets.h"

namespace surgegate {
namespace {

constexpr uint64_t hour = 3600ull * 1000000000;
constexpr uint64_t now0 = 100 * hour;
constexpr const char* this_boot = "11111111-2222-3333-4444-555555555555";
constexpr const char* next_boot = "99999999-2222-3333-4444-555555555555";
constexpr sg_secret a_secret = {0x0123456789abcdef, 0xfedcba9876543210};
constexpr sg_secret another_secret = {0x0123456789abcdef, 0xfedcba9876543211};

enum class Place { memory, file, hugetlbfs, bpffs };

// A directory for the arena, with the file system that the place asks for on it.
class Ground {
 public:
  explicit Ground(Place place) : place_(place) {
    char name[] = "/tmp/arena-test-XXXXXX";
    directory_ = mkdtemp(name);
    if (place == Place::hugetlbfs || place == Place::bpffs) mount_here();
  }
  ~Ground() {
    if (mounted_) umount2(directory_.c_str(), MNT_DETACH);
    std::filesystem::remove_all(directory_);
    if (pages_before_ >= 0) std::ofstream(pages_path) << pages_before_;
  }
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  std::string path() const { return directory_ + "/arena"; }

 private:
  static constexpr const char* pages_path = "/proc/sys/vm/nr_hugepages";

  void mount_here() {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0) << "this test needs root";
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const char* type = place_ == Place::bpffs ? "bpf" : "hugetlbfs";
    ASSERT_EQ(mount(type, directory_.c_str(), type, 0, nullptr), 0) << type;
    mounted_ = true;
    if (place_ == Place::bpffs) return;
    std::ifstream(pages_path) >> pages_before_;
    std::ofstream(pages_path) << pages_before_ + 4;
  }

  Place place_;
  std::string directory_;
  bool mounted_ = false;
  long pages_before_ = -1;
};

class ArenaTest : public testing::TestWithParam<Place> {
 protected:
  ArenaTest() : ground(GetParam()) {
    options.kind = GetParam() == Place::memory  ? ArenaKind::memory
                   : GetParam() == Place::bpffs ? ArenaKind::bpf_maps
                                                : ArenaKind::huge_file;
    options.path = ground.path();
    options.now_ns = now0;
    options.boot_id = this_boot;
    options.layout[Region::buckets] = {sizeof(sg_bucket_set), 128};
    options.layout[Region::flows] = {64, 70000};  // in all three huge pages, of four that there are
    options.layout[Region::bans] = {24, 1000};
  }

  // An exception and not an assertion: the ground is cleaned up, hugepages are given back.
  Arena open() {
    auto arena = Arena::open(options);
    if (!arena) throw std::runtime_error(arena.error());
    return std::move(*arena);
  }

  // Leaves a mark in every region, as a process that then ends.
  void leave_marks() {
    const Arena arena = open();
    for (const Region region : {Region::buckets, Region::flows, Region::bans}) {
      EXPECT_EQ(mark(arena, region), 0);
      arena.region(region).back() = std::byte{0x5a};
    }
  }
  static int mark(const Arena& arena, Region region) {
    return std::to_integer<int>(arena.region(region).back());
  }

  bool outlives_process() const { return GetParam() != Place::memory; }

  Ground ground;
  ArenaOptions options;
};

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

std::string place_name(const testing::TestParamInfo<Place>& place) {
  constexpr std::array<const char*, 4> names = {"memory", "file", "hugetlbfs", "bpffs"};
  return names[static_cast<size_t>(place.param)];
}

INSTANTIATE_TEST_SUITE_P(Places, ArenaTest,
                         testing::Values(Place::memory, Place::file, Place::hugetlbfs,
                                         Place::bpffs),
                         place_name);

TEST(ArenaErrors, AFileThatIsSomethingElseIsLeftAlone) {
  const Ground ground(Place::file);
  std::ofstream(ground.path()) << "somebody's letters";
  ArenaOptions options;
  options.kind = ArenaKind::huge_file;
  options.path = ground.path();
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find(ground.path()), std::string::npos);
  std::string text;
  std::getline(std::ifstream(ground.path()), text);
  EXPECT_EQ(text, "somebody's letters");
}

TEST(ArenaErrors, APlaceThatIsNotThereIsNamed) {
  ArenaOptions options;
  for (const ArenaKind kind : {ArenaKind::huge_file, ArenaKind::bpf_maps}) {
    options.kind = kind;
    options.path = "/nowhere/arena";
    const auto arena = Arena::open(options);
    ASSERT_FALSE(arena.has_value());
    EXPECT_NE(arena.error().find("/nowhere"), std::string::npos) << arena.error();
  }
}

TEST(ArenaErrors, MapsCannotBePinnedOutsideABpffs) {
  const Ground ground(Place::file);
  ArenaOptions options;
  options.kind = ArenaKind::bpf_maps;
  options.path = ground.path();
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find("mount -t bpf"), std::string::npos) << arena.error();
  EXPECT_FALSE(std::filesystem::exists(ground.path())) << "nothing is left behind";
}

TEST(ArenaErrors, TooFewHugePagesAreCounted) {
  const Ground ground(Place::hugetlbfs);
  ArenaOptions options;
  options.kind = ArenaKind::huge_file;
  options.path = ground.path();
  options.layout[Region::flows] = {64, 1u << 31};  // 128 GiB
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find("65537 huge pages"), std::string::npos) << arena.error();
  EXPECT_FALSE(std::filesystem::exists(ground.path())) << "nothing is left behind";
}

TEST(ArenaErrors, ARecordThatABpfArrayWouldPadIsRefused) {
  ArenaOptions options;
  options.layout[Region::bans] = {20, 10};
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find("bans"), std::string::npos) << arena.error();
}

}  // namespace
}  // namespace surgegate
