// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a policy: reading and checking it must end, throw nothing, and tell what it found in
// a way that can be shown. The input is one file, or several: a line "%%% NAME" begins the file
// NAME.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "config/findings.h"
#include "config/parse.h"

namespace {

using namespace surgegate::policy;

std::map<std::string, std::string> split(std::string_view input) {
  std::map<std::string, std::string> files;
  std::string name = "p.yaml";
  while (true) {
    const size_t end = input.starts_with("%%% ") ? 0 : input.find("\n%%% ");
    files[name] += input.substr(0, end);
    if (end == std::string_view::npos) return files;
    input.remove_prefix(input.find("%%% ", end) + 4);
    const size_t line = std::min(input.find('\n'), input.size());
    name = input.substr(0, line);
    input.remove_prefix(std::min(line + 1, input.size()));
  }
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto contents = split({reinterpret_cast<const char*>(data), size});
  MemoryFiles files(contents);
  const Parsed parsed = load("p.yaml", files);
  for (const Finding& finding : parsed.findings) {
    require(!finding.what.empty());
    require(finding.place.file < parsed.policy.files.size());
    const std::string text = to_text(finding, parsed.policy.files);
    require(text.find('\n') == std::string::npos);
    to_json(finding, parsed.policy.files).dump();  // throws on what is not UTF-8
  }
  return 0;
}
