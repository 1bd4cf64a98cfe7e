// SPDX-License-Identifier: BSD-3-Clause
#include "config/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "config/limits.h"
#include "config/utf8.h"

namespace surgegate::policy {
namespace {

constexpr std::array<std::string_view, 3> severity_words = {"fault", "warning", "note"};

auto key_of(const Finding& finding) {
  return std::tie(finding.place.file, finding.place.line, finding.place.column, finding.severity,
                  finding.what);
}

// Controls would act on the terminal (C1, U+0080 to U+009F, too); other bytes pass if they are
// UTF-8.
std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    const bool is_c1 = length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    if (length == 0 || byte < 0x20 || byte == 0x7f || is_c1) {
      shown += fmt::format("\\x{:02x}", byte);
      text.remove_prefix(1);
      if (!is_c1) continue;
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    shown += text.substr(0, length);
    text.remove_prefix(length);
  }
  return shown;
}

std::string file_name(const Place& place, std::span<const std::string> files) {
  return place.file < files.size() ? printable(files[place.file]) : "policy";
}

}  // namespace

Report::Report(std::vector<Finding>& findings) : findings_(findings) {
  for (const Finding& finding : findings) counts_[static_cast<size_t>(finding.severity)]++;
}

void Report::fault(const Place& place, std::string what, std::string expected,
                   std::string nearest) {
  add({Severity::fault, place, std::move(what), std::move(expected), std::move(nearest)});
}

void Report::warn(const Place& place, std::string what, std::string expected) {
  add({Severity::warning, place, std::move(what), std::move(expected), {}});
}

void Report::note(const Place& place, std::string what) {
  add({Severity::note, place, std::move(what), {}, {}});
}

size_t Report::fault_count() const {
  return counts_[static_cast<size_t>(Severity::fault)];
}

void Report::add(Finding finding) {
  const auto severity = static_cast<size_t>(finding.severity);
  size_t& count = counts_[severity];
  count++;
  if (count > SG_POLICY_FINDINGS_MAX + 1) return;
  if (count > SG_POLICY_FINDINGS_MAX) {
    finding.what = fmt::format("more than {} {}s: the rest is not shown", SG_POLICY_FINDINGS_MAX,
                               severity_words[severity]);
    finding.expected.clear();
    finding.nearest.clear();
  }
  findings_.push_back(std::move(finding));
}

bool has_fault(std::span<const Finding> findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::fault; });
}

void sort_findings(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return key_of(a) < key_of(b); });
  auto same = [](const Finding& a, const Finding& b) { return key_of(a) == key_of(b); };
  findings.erase(std::unique(findings.begin(), findings.end(), same), findings.end());
}

std::string quote(std::string_view text) {
  constexpr size_t bytes_max = 80;
  if (text.empty()) return "an empty text";
  if (text.size() <= bytes_max) return fmt::format("`{}`", printable(text));
  size_t kept = bytes_max;
  while (kept > 0 && (static_cast<unsigned char>(text[kept]) & 0xc0) == 0x80) kept--;
  return fmt::format("`{}...`", printable(text.substr(0, kept)));
}

std::string to_text(const Finding& finding, std::span<const std::string> files) {
  std::string line = file_name(finding.place, files);
  if (finding.place.line) line += fmt::format(":{}:{}", finding.place.line, finding.place.column);
  line += fmt::format(": {}: {}", severity_words[static_cast<size_t>(finding.severity)],
                      printable(finding.what));
  if (!finding.expected.empty()) line += fmt::format("; expected {}", printable(finding.expected));
  if (!finding.nearest.empty())
    line += fmt::format("; did you mean `{}`?", printable(finding.nearest));
  return line;
}

nlohmann::json to_json(const Finding& finding, std::span<const std::string> files) {
  nlohmann::json json = {{"severity", severity_words[static_cast<size_t>(finding.severity)]},
                         {"file", file_name(finding.place, files)},
                         {"what", printable(finding.what)}};
  if (finding.place.line) {
    json["line"] = finding.place.line;
    json["column"] = finding.place.column;
  }
  if (!finding.expected.empty()) json["expected"] = printable(finding.expected);
  if (!finding.nearest.empty()) json["nearest"] = printable(finding.nearest);
  return json;
}

}  // namespace surgegate::policy
