// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace surgegate {

std::string temporary_name(const std::string& path) {
  return path + ".part-" + std::to_string(getpid());
}

std::string commit_stream(FILE* stream, const std::string& temporary, const std::string& path) {
  bool written = std::fflush(stream) == 0 && std::ferror(stream) == 0 && fsync(fileno(stream)) == 0;
  if (!written && errno != EINVAL && errno != EROFS)  // a pipe cannot be synced
    return path + ": cannot be written: " + std::strerror(errno);
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    return path + ": cannot be put in place: " + std::strerror(errno);
  return {};
}

tl::expected<OutputFile, std::string> OutputFile::open(const std::string& path) {
  OutputFile output;
  output.path_ = path;
  output.temporary_path_ = temporary_name(path);
  output.file_.reset(std::fopen(output.temporary_path_.c_str(), "w"));
  if (output.file_ == nullptr)
    return tl::unexpected(path + ": cannot be created: " + std::strerror(errno));
  return output;
}

OutputFile::~OutputFile() {
  if (file_ != nullptr) unlink(temporary_path_.c_str());
}

std::string OutputFile::commit() {
  std::string fault = commit_stream(file_.get(), temporary_path_, path_);
  if (fault.empty()) file_.reset();
  return fault;
}

}  // namespace surgegate
