// SPDX-License-Identifier: BSD-3-Clause
#include "config/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace surgegate::policy {
namespace {

using Unread = tl::unexpected<std::string>;

std::string error_text(int error) {
  return std::strerror(error);
}

std::string too_large(size_t bytes_max) {
  return fmt::format("it is larger than {} bytes", bytes_max);
}

class Descriptor {
 public:
  // Non-blocking, or opening a pipe would wait for its other end; no effect on regular files.
  explicit Descriptor(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Reads to the end, not to the size that stat told: the file may grow or shrink meanwhile.
tl::expected<std::string, std::string> read_all(int fd, size_t bytes_max) {
  std::string content;
  constexpr size_t step_bytes = 64 * 1024;
  for (;;) {
    const size_t length = content.size();
    content.resize(length + step_bytes);
    const ssize_t got = ::read(fd, content.data() + length, step_bytes);
    if (got < 0 && errno == EINTR) {
      content.resize(length);
      continue;
    }
    if (got < 0) return Unread(error_text(errno));
    content.resize(length + static_cast<size_t>(got));
    if (content.size() > bytes_max) return Unread(too_large(bytes_max));
    if (got == 0) return content;
  }
}

// For glob(): a folder that is not there holds nothing; one that may not be read could hold
// anything.
int is_fatal(const char*, int error) {
  return error != ENOENT && error != ENOTDIR;
}

}  // namespace

tl::expected<std::string, std::string> DiskFiles::read(const std::string& path, size_t bytes_max) {
  // The system would open another file: the one whose name ends at the NUL.
  if (path.find('\0') != std::string::npos) return Unread("its name has a NUL byte");
  Descriptor file(path);
  if (file.get() < 0) return Unread(error_text(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return Unread(error_text(errno));
  if (S_ISDIR(status.st_mode)) return Unread("it is a folder");
  if (!S_ISREG(status.st_mode)) return Unread("it is not a regular file");
  if (static_cast<size_t>(status.st_size) > bytes_max) return Unread(too_large(bytes_max));
  return read_all(file.get(), bytes_max);
}

tl::expected<std::vector<std::string>, std::string> DiskFiles::glob(const std::string& pattern) {
  if (pattern.find('\0') != std::string::npos) return Unread("its name has a NUL byte");
  if (pattern.find_first_of("*?[") == std::string::npos) return std::vector{pattern};
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, is_fatal, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  if (status != 0 && status != GLOB_NOMATCH)
    return Unread(status == GLOB_NOSPACE ? "too many files" : "a folder on its way cannot be read");
  std::sort(paths.begin(), paths.end());
  return paths;
}

tl::expected<std::string, std::string> MemoryFiles::read(const std::string& path,
                                                         size_t bytes_max) {
  auto file = contents_.find(path);
  if (file == contents_.end()) return Unread(error_text(ENOENT));
  if (file->second.size() > bytes_max) return Unread(too_large(bytes_max));
  return file->second;
}

tl::expected<std::vector<std::string>, std::string> MemoryFiles::glob(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) return std::vector{pattern};
  std::vector<std::string> paths;
  for (const auto& [path, content] : contents_)
    if (fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0)
      paths.push_back(path);
  return paths;
}

std::string path_beside(std::string_view policy_path, std::string_view name) {
  const size_t slash = policy_path.rfind('/');
  if (name.starts_with('/') || slash == std::string_view::npos) return std::string(name);
  return std::string(policy_path.substr(0, slash + 1)).append(name);
}

}  // namespace surgegate::policy
