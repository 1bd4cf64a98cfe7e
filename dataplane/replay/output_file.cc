// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace surgegate {

namespace fs = std::filesystem;

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (fs::exists(a, error) && !fs::is_regular_file(a, error)) return false;
  if (fs::equivalent(a, b, error)) return true;
  auto whole = [&](const std::string& path) {
    return fs::weakly_canonical(fs::absolute(path, error), error);
  };
  return whole(a) == whole(b);
}

tl::expected<OutputName, std::string> OutputName::choose(const std::string& path) {
  if (path == "-")
    return tl::unexpected(
        std::string("-: standard output is the report's, the name of a file is expected"));
  std::error_code error;
  fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status))
    return tl::unexpected(path + ": is a directory, the name of a file is expected");
  OutputName name;
  name.path_ = name.target_ = path;
  if (fs::exists(status) && !fs::is_regular_file(status)) return name;
  if (fs::is_symlink(path, error)) name.target_ = fs::weakly_canonical(path, error).string();
  name.temporary_ = name.target_ + ".part-" + std::to_string(getpid());
  return name;
}

OutputName::OutputName(OutputName&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})) {}

OutputName::~OutputName() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

std::string OutputName::finish(FILE* stream, int earlier_errno) const {
  int fault = earlier_errno;
  if (fault == 0 && std::fflush(stream) != 0) fault = errno;
  if (fault == 0 && !temporary_.empty() && fsync(fileno(stream)) != 0) fault = errno;
  return fault == 0 ? "" : path_ + ": cannot be written: " + std::strerror(fault);
}

std::string OutputName::place() {
  if (temporary_.empty()) return {};
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0)
    return path_ + ": cannot be put in place: " + std::strerror(errno);
  temporary_.clear();
  return {};
}

tl::expected<OutputFile, std::string> OutputFile::open(const std::string& path) {
  auto name = OutputName::choose(path);
  if (!name) return tl::unexpected(name.error());
  OutputFile output(std::move(*name));
  output.file_.reset(std::fopen(output.name_.to_open().c_str(), "w"));
  if (output.file_ == nullptr)
    return tl::unexpected(path + ": cannot be created: " + std::strerror(errno));
  return output;
}

void OutputFile::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() && errno_ == 0)
    errno_ = errno;
}

}  // namespace surgegate
