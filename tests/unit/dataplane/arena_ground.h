// SPDX-License-Identifier: BSD-3-Clause
// The ground on which arenas are tested, one kind of memory each. hugetlbfs and BPF maps need root:
// the test mounts what it needs in a mount namespace of its own, which goes with the process. So
// two programs run the suite of arena_test.cc: unit_dataplane, and unit_arena_root.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "dataplane/table/arena.h"
#include "dataplane/table/buckets.h"

namespace surgegate::testing_arena {

constexpr const char* huge_pages_path = "/proc/sys/vm/nr_hugepages";
constexpr uint64_t hour = 3600ull * 1000000000;
constexpr uint64_t now0 = 100 * hour;
constexpr const char* this_boot = "11111111-2222-3333-4444-555555555555";

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
    if (pages_before_ >= 0) std::ofstream(huge_pages_path) << pages_before_;
  }
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  std::string path() const { return directory_ + "/arena"; }

 private:
  void mount_here() {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0) << "this test needs root";
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const char* type = place_ == Place::bpffs ? "bpf" : "hugetlbfs";
    ASSERT_EQ(mount(type, directory_.c_str(), type, 0, nullptr), 0) << type;
    mounted_ = true;
    if (place_ == Place::bpffs) return;
    std::ifstream(huge_pages_path) >> pages_before_;
    std::ofstream(huge_pages_path) << pages_before_ + 4;
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

inline std::string place_name(const testing::TestParamInfo<Place>& place) {
  constexpr std::array<const char*, 4> names = {"memory", "file", "hugetlbfs", "bpffs"};
  return names[static_cast<size_t>(place.param)];
}

}  // namespace surgegate::testing_arena
