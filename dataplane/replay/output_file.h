// SPDX-License-Identifier: BSD-3-Clause
// A file that appears whole or not at all.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace surgegate {

// Whether both paths lead to one regular file, or would once both were written.
bool same_file(const std::string& a, const std::string& b);

// A name, and the one beside it under which the file is written until it is complete. Then it takes
// its place, so that an earlier good file is never left half overwritten; without place() nothing
// remains. A device or a pipe (/dev/null, /dev/stdout) has no earlier content: it is written
// directly.
class OutputName {
 public:
  static tl::expected<OutputName, std::string> choose(const std::string& path);
  ~OutputName();
  OutputName(OutputName&& other) noexcept;
  OutputName& operator=(OutputName&&) = delete;

  const std::string& path() const { return path_; }
  const std::string& to_open() const { return temporary_.empty() ? path_ : temporary_; }
  // To the disk, if it is a file. Empty on success; `earlier_errno` is of a write that failed
  // before.
  std::string finish(FILE* stream, int earlier_errno) const;
  std::string place();

 private:
  OutputName() = default;
  std::string path_;
  std::string target_;     // path_ with symbolic links followed: a link stays a link
  std::string temporary_;  // empty: written directly, or in place already
};

class OutputFile {
 public:
  static tl::expected<OutputFile, std::string> open(const std::string& path);

  void write(std::string_view text);
  // Flushes and checks: a full disk is told here. Empty on success.
  std::string finish() { return name_.finish(file_.get(), errno_); }
  std::string place() { return name_.place(); }

 private:
  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  explicit OutputFile(OutputName name) : name_(std::move(name)) {}
  OutputName name_;
  std::unique_ptr<FILE, Close> file_;
  int errno_ = 0;  // of the first write that failed
};

}  // namespace surgegate
