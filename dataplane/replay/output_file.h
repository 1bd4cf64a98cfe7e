// SPDX-License-Identifier: BSD-3-Clause
// A text file that appears whole or not at all.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace surgegate {

// The name under which a file is written until it is complete.
std::string temporary_name(const std::string& path);

class OutputFile {
 public:
  static tl::expected<OutputFile, std::string> open(const std::string& path);
  ~OutputFile();
  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;

  void write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), file_.get()); }
  // Flushes, checks, and gives the file its name. Empty on success; a full disk is told here.
  std::string commit();

 private:
  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  OutputFile() = default;
  std::string path_;
  std::string temporary_path_;
  std::unique_ptr<FILE, Close> file_;
};

// Flushes an open stream to the disk and renames temporary to path; both must be on one file system.
std::string commit_stream(FILE* stream, const std::string& temporary, const std::string& path);

}  // namespace surgegate
