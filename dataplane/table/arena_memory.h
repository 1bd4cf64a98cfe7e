// SPDX-License-Identifier: BSD-3-Clause
// What an arena is made of: the regions and their sizes, and mapped memory for them, of three
// kinds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace surgegate {

enum class Region : uint8_t {
  header,
  secret,
  shard_map,
  buckets,
  flows,
  proofs,
  bans,
  panic,
  cookie_keys,
};
inline constexpr size_t region_count = 10;
inline constexpr std::array<std::string_view, region_count> region_names = {
    "header", "secret", "shard_map", "buckets", "flows", "proofs", "bans", "panic", "cookie_keys"};

// First word of Region::header, and so of a file: "SGARENA1" read as little-endian.
inline constexpr uint64_t arena_magic = 0x31414e4552414753ull;

inline constexpr size_t arena_page_bytes = 4096;

struct RegionSize {
  uint32_t record_bytes = 0;  // a multiple of 8: a BPF array rounds its values up to that
  uint32_t record_count = 0;  // 0: the region is absent

  uint64_t bytes() const { return uint64_t{record_bytes} * record_count; }
  uint64_t mapped_bytes() const {
    return (bytes() + arena_page_bytes - 1) / arena_page_bytes * arena_page_bytes;
  }
};

class ArenaLayout {
 public:
  RegionSize& operator[](Region region) { return sizes_[static_cast<size_t>(region)]; }
  const RegionSize& operator[](Region region) const { return sizes_[static_cast<size_t>(region)]; }

  std::span<const RegionSize, region_count> sizes() const { return sizes_; }
  uint64_t mapped_bytes() const;  // of all regions, each rounded up to pages

 private:
  std::array<RegionSize, region_count> sizes_{};
};

// Owns mappings and descriptors of one arena. Move-only.
class ArenaMemory {
 public:
  ArenaMemory();
  ~ArenaMemory();
  ArenaMemory(ArenaMemory&& other) noexcept;
  ArenaMemory& operator=(ArenaMemory&& other) noexcept;

  // Takes over a mapping that holds one region, and the descriptor of its map.
  void add_region(Region region, std::byte* address, const RegionSize& size, int map_fd);
  // Takes over a mapping that holds all regions, in order, each from a page of its own.
  void add_all(std::byte* address, size_t mapped_bytes, const ArenaLayout& layout);

  std::span<std::byte> region(Region region) const { return regions_[static_cast<size_t>(region)]; }
  int map_fd(Region region) const { return map_fds_[static_cast<size_t>(region)]; }

 private:
  std::array<std::span<std::byte>, region_count> regions_{};
  std::array<int, region_count> map_fds_;
  std::vector<std::span<std::byte>> mappings_;
};

// A kind of memory, at its place.
class ArenaBacking {
 public:
  virtual ~ArenaBacking() = default;

  // What is there already, if its sizes are those of the layout. Memory absent and reason empty:
  // nothing is there.
  struct Found {
    std::optional<ArenaMemory> memory;
    std::string unfit;  // why what is there cannot be used
  };
  virtual tl::expected<Found, std::string> find(const ArenaLayout& layout) = 0;

  // Zeroed memory, in the place of what may be there. Whoever still has that mapped keeps it.
  virtual tl::expected<ArenaMemory, std::string> create(const ArenaLayout& layout) = 0;

  // Held while an arena is opened, so that two who start at once do not both make it. Released with
  // the backing. Memory needs none.
  virtual tl::expected<void, std::string> lock() { return {}; }
};

std::unique_ptr<ArenaBacking> plain_memory_backing();
std::unique_ptr<ArenaBacking> huge_file_backing(std::string path);
std::unique_ptr<ArenaBacking> bpf_maps_backing(std::string directory);

// An exclusive flock on a directory.
class DirectoryLock {
 public:
  ~DirectoryLock();
  tl::expected<void, std::string> take(const std::string& directory);

 private:
  int fd_ = -1;
};

}  // namespace surgegate
