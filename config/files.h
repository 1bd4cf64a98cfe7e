// SPDX-License-Identifier: BSD-3-Clause
// How the policy's text, its includes and its data files are read.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace surgegate::policy {

// Where files come from. An error is the end of the sentence "F cannot be read: ...".
class Files {
 public:
  virtual ~Files() = default;

  // All of the file, which may be of at most bytes_max bytes.
  virtual tl::expected<std::string, std::string> read(const std::string& path,
                                                      size_t bytes_max) = 0;

  // The paths of the files that a pattern names (`*`, `?` and `[...]`, each within one folder), in
  // ascending order of their bytes; none is no error. A pattern without these is a path.
  virtual tl::expected<std::vector<std::string>, std::string> glob(const std::string& pattern) = 0;
};

// Of the file system. Only regular files are read: a policy that names a pipe or a device must not
// make its reader wait.
class DiskFiles : public Files {
 public:
  tl::expected<std::string, std::string> read(const std::string& path, size_t bytes_max) override;
  tl::expected<std::vector<std::string>, std::string> glob(const std::string& pattern) override;
};

// Of a map from path to content: a policy that did not come from a disk.
class MemoryFiles : public Files {
 public:
  explicit MemoryFiles(std::map<std::string, std::string> contents)
      : contents_(std::move(contents)) {}

  tl::expected<std::string, std::string> read(const std::string& path, size_t bytes_max) override;
  tl::expected<std::vector<std::string>, std::string> glob(const std::string& pattern) override;

 private:
  std::map<std::string, std::string> contents_;
};

// `name` as a policy at policy_path means it: relative to the policy's folder, or absolute.
std::string path_beside(std::string_view policy_path, std::string_view name);

}  // namespace surgegate::policy
