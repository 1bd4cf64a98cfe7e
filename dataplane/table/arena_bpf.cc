// SPDX-License-Identifier: BSD-3-Clause
// The arena as BPF arrays that user space can map: one map for each region, pinned as
// <directory>/sg_<region>, so that they live on without any process, and XDP works on the same
// words.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/table/arena_memory.h"

namespace surgegate {

namespace {

constexpr long bpffs_magic = 0xcafe4a11;  // BPF_FS_MAGIC of linux/magic.h
constexpr const char* mount_advice = "mount one: mount -t bpf bpf /sys/fs/bpf";
constexpr const char* right_advice =
    "this takes root, or CAP_BPF and the owner's rights on the pin";

class BpfMaps : public ArenaBacking {
 public:
  explicit BpfMaps(std::string directory) : directory_(std::move(directory)) {}

  tl::expected<void, std::string> lock() override {
    const bool made = mkdir(directory_.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return failure("make the directory", mount_advice);
    struct statfs system {};
    if (statfs(directory_.c_str(), &system) != 0) return failure("look at it", right_advice);
    if (system.f_type != bpffs_magic) {
      if (made) rmdir(directory_.c_str());
      return tl::unexpected(
          fmt::format("arena {}: not on a bpffs, and maps can be pinned nowhere else; {}",
                      directory_, mount_advice));
    }
    return lock_.take(directory_);
  }

  tl::expected<Found, std::string> find(const ArenaLayout& layout) override {
    ArenaMemory memory;
    size_t present_count = 0;
    std::string unfit;
    for (size_t i = 0; i < region_count; i++) {
      const int fd = bpf_obj_get(pin_path(i).c_str());
      if (fd < 0 && errno != ENOENT) return failure("open the map " + map_name(i), right_advice);
      const bool present = fd >= 0, wanted = layout.sizes()[i].record_count != 0;
      present_count += present;
      if (present != wanted && unfit.empty())
        unfit = fmt::format("its map {} is {}", map_name(i), wanted ? "missing" : "not wanted now");
      if (!present) continue;
      if (unfit.empty() && !fits(fd, layout.sizes()[i]))
        unfit = fmt::format("its map {} has another size", map_name(i));
      auto added = unfit.empty() ? add(memory, i, layout.sizes()[i], fd) : keep_closed(fd);
      if (!added) return tl::unexpected(added.error());
    }
    if (present_count == 0) return Found{};
    if (!unfit.empty()) return Found{{}, std::move(unfit)};
    return Found{std::move(memory), {}};
  }

  tl::expected<ArenaMemory, std::string> create(const ArenaLayout& layout) override {
    for (size_t i = 0; i < region_count; i++)
      if (unlink(pin_path(i).c_str()) != 0 && errno != ENOENT)
        return failure("remove the old map " + map_name(i), "remove it by hand");
    ArenaMemory memory;
    for (size_t i = 0; i < region_count; i++) {
      const RegionSize& size = layout.sizes()[i];
      if (size.record_count == 0) continue;
      bpf_map_create_opts options{};
      options.sz = sizeof(options);
      options.map_flags = BPF_F_MMAPABLE;
      const int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, map_name(i).c_str(), sizeof(__u32),
                                    size.record_bytes, size.record_count, &options);
      if (fd < 0)
        return failure(fmt::format("make the map {} of {} bytes", map_name(i), size.bytes()),
                       "this takes root or CAP_BPF, and the memory");
      if (auto added = add(memory, i, size, fd); !added) return tl::unexpected(added.error());
      if (bpf_obj_pin(fd, pin_path(i).c_str()) != 0)
        return failure("pin the map " + map_name(i), right_advice);
    }
    return memory;
  }

 private:
  static std::string map_name(size_t region_index) {
    return fmt::format("sg_{}", region_names[region_index]);
  }

  std::string pin_path(size_t region_index) const {
    return fmt::format("{}/{}", directory_, map_name(region_index));
  }

  static bool fits(int fd, const RegionSize& size) {
    struct bpf_map_info info {};
    __u32 length = sizeof(info);
    return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && info.type == BPF_MAP_TYPE_ARRAY &&
           info.map_flags == BPF_F_MMAPABLE && info.value_size == size.record_bytes &&
           info.max_entries == size.record_count;
  }

  static tl::expected<void, std::string> keep_closed(int fd) {
    close(fd);
    return {};
  }

  // Maps the region; memory takes over the descriptor.
  tl::expected<void, std::string> add(ArenaMemory& memory, size_t region_index,
                                      const RegionSize& size, int fd) {
    void* address = mmap(nullptr, size.mapped_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
      auto failed = failure("map the map " + map_name(region_index), right_advice);
      close(fd);
      return failed;
    }
    memory.add_region(static_cast<Region>(region_index), static_cast<std::byte*>(address), size,
                      fd);
    return {};
  }

  tl::unexpected<std::string> failure(const std::string& what, const char* advice) const {
    return tl::unexpected(
        fmt::format("arena {}: cannot {}: {}; {}", directory_, what, strerror(errno), advice));
  }

  std::string directory_;
  DirectoryLock lock_;
};

}  // namespace

std::unique_ptr<ArenaBacking> bpf_maps_backing(std::string directory) {
  return std::make_unique<BpfMaps>(std::move(directory));
}

}  // namespace surgegate
