// SPDX-License-Identifier: BSD-3-Clause
// The arena as a named file: on hugetlbfs, or on any file system where huge pages are not the
// point.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "dataplane/table/arena_memory.h"

namespace surgegate {

namespace {

constexpr long hugetlbfs_magic = 0x958458f6;  // HUGETLBFS_MAGIC of linux/magic.h

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

class HugeFile : public ArenaBacking {
 public:
  explicit HugeFile(std::string path) : path_(std::move(path)) {}

  tl::expected<void, std::string> lock() override {
    const std::filesystem::path parent = std::filesystem::path(path_).parent_path();
    return lock_.take(parent.empty() ? "." : parent.string());
  }

  tl::expected<Found, std::string> find(const ArenaLayout& layout) override {
    const File file(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    if (file.fd() < 0 && errno == ENOENT) return Found{};
    if (file.fd() < 0) return failure("open it", "it must be readable and writable for this user");
    if (auto ours = check_ours(file); !ours) return tl::unexpected(ours.error());
    struct stat status {};
    if (fstat(file.fd(), &status) != 0) return failure("look at it", "try again");
    const uint64_t wanted = file_bytes(file, layout), there = static_cast<uint64_t>(status.st_size);
    if (there != wanted)
      return Found{{}, fmt::format("it has {} bytes and this layout {}", there, wanted)};
    auto memory = map(file, wanted, layout);
    if (!memory) return tl::unexpected(memory.error());
    return Found{std::move(*memory), {}};
  }

  tl::expected<ArenaMemory, std::string> create(const ArenaLayout& layout) override {
    if (unlink(path_.c_str()) != 0 && errno != ENOENT)
      return failure("remove the old one", "remove it by hand");
    const File file(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.fd() < 0) return failure("create it", "its directory must be writable for this user");
    const uint64_t bytes = file_bytes(file, layout);
    // Reserved now: later, a page that is not there would be a SIGBUS in the middle of a burst.
    if (const int error = posix_fallocate(file.fd(), 0, static_cast<off_t>(bytes)); error != 0) {
      unlink(path_.c_str());
      errno = error;
      return failure(fmt::format("reserve {} bytes for it", bytes), room_advice(file, bytes));
    }
    return map(file, bytes, layout);
  }

 private:
  // Never removes somebody else's file because its name was given by mistake.
  tl::expected<void, std::string> check_ours(const File& file) {
    uint64_t magic = 0;
    if (pread(file.fd(), &magic, sizeof(magic), 0) != sizeof(magic) || magic == 0 ||
        magic == arena_magic)
      return {};
    return tl::unexpected(
        fmt::format("arena {}: this file is something else; name another, or remove it", path_));
  }

  static bool on_hugetlbfs(const File& file, struct statfs* system) {
    return fstatfs(file.fd(), system) == 0 && system->f_type == hugetlbfs_magic;
  }

  // hugetlbfs deals in whole huge pages, and says their size as its block size.
  static uint64_t file_bytes(const File& file, const ArenaLayout& layout) {
    struct statfs system {};
    const uint64_t page =
        on_hugetlbfs(file, &system) ? static_cast<uint64_t>(system.f_bsize) : arena_page_bytes;
    return (layout.mapped_bytes() + page - 1) / page * page;
  }

  static std::string room_advice(const File& file, uint64_t bytes) {
    struct statfs system {};
    if (!on_hugetlbfs(file, &system)) return "free some space there, or make the tables smaller";
    const uint64_t page = static_cast<uint64_t>(system.f_bsize);
    return fmt::format(
        "it takes {} huge pages of {} KiB: add as many to "
        "/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages, or make the tables smaller",
        bytes / page, page / 1024, page / 1024);
  }

  tl::expected<ArenaMemory, std::string> map(const File& file, uint64_t bytes,
                                             const ArenaLayout& layout) {
    void* address =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.fd(), 0);
    if (address == MAP_FAILED)
      return failure(fmt::format("map its {} bytes", bytes), room_advice(file, bytes));
    ArenaMemory memory;
    memory.add_all(static_cast<std::byte*>(address), bytes, layout);
    return memory;
  }

  tl::unexpected<std::string> failure(const std::string& what, const std::string& advice) const {
    return tl::unexpected(
        fmt::format("arena {}: cannot {}: {}; {}", path_, what, strerror(errno), advice));
  }

  std::string path_;
  DirectoryLock lock_;
};

}  // namespace

std::unique_ptr<ArenaBacking> huge_file_backing(std::string path) {
  return std::make_unique<HugeFile>(std::move(path));
}

}  // namespace surgegate
