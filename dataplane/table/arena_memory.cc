// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/arena_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace surgegate {

uint64_t ArenaLayout::mapped_bytes() const {
  uint64_t sum = 0;
  for (const RegionSize& size : sizes_) sum += size.mapped_bytes();
  return sum;
}

ArenaMemory::ArenaMemory() {
  map_fds_.fill(-1);
}

ArenaMemory::~ArenaMemory() {
  for (const std::span<std::byte> mapping : mappings_) munmap(mapping.data(), mapping.size());
  for (const int fd : map_fds_)
    if (fd >= 0) close(fd);
}

ArenaMemory::ArenaMemory(ArenaMemory&& other) noexcept : ArenaMemory() {
  *this = std::move(other);
}

ArenaMemory& ArenaMemory::operator=(ArenaMemory&& other) noexcept {
  std::swap(regions_, other.regions_);
  std::swap(map_fds_, other.map_fds_);
  std::swap(mappings_, other.mappings_);
  return *this;
}

void ArenaMemory::add_region(Region region, std::byte* address, const RegionSize& size,
                             int map_fd) {
  regions_[static_cast<size_t>(region)] = {address, size.bytes()};
  map_fds_[static_cast<size_t>(region)] = map_fd;
  mappings_.emplace_back(address, size.mapped_bytes());
}

void ArenaMemory::add_all(std::byte* address, size_t mapped_bytes, const ArenaLayout& layout) {
  mappings_.emplace_back(address, mapped_bytes);
  for (size_t i = 0; i < region_count; i++) {
    const RegionSize& size = layout.sizes()[i];
    if (size.record_count != 0) regions_[i] = {address, size.bytes()};
    address += size.mapped_bytes();
  }
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) close(fd_);
}

tl::expected<void, std::string> DirectoryLock::take(const std::string& directory) {
  fd_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd_ >= 0 && flock(fd_, LOCK_EX) == 0) return {};
  return tl::unexpected(fmt::format(
      "arena: cannot lock the directory {}: {}; it must exist and be readable for this user",
      directory, strerror(errno)));
}

namespace {

class PlainMemory : public ArenaBacking {
 public:
  tl::expected<Found, std::string> find(const ArenaLayout&) override { return Found{}; }

  tl::expected<ArenaMemory, std::string> create(const ArenaLayout& layout) override {
    const size_t length = layout.mapped_bytes();
    void* address = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED)
      return tl::unexpected(fmt::format(
          "arena: cannot map {} bytes of memory: {}; make the tables smaller, or ulimit -v larger",
          length, strerror(errno)));
    // One TLB entry for 2 MiB where the kernel can; where not, only speed is lost.
    madvise(address, length, MADV_HUGEPAGE);
    ArenaMemory memory;
    memory.add_all(static_cast<std::byte*>(address), length, layout);
    return memory;
  }
};

}  // namespace

std::unique_ptr<ArenaBacking> plain_memory_backing() {
  return std::make_unique<PlainMemory>();
}

}  // namespace surgegate
