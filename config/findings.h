// SPDX-License-Identifier: BSD-3-Clause
// Findings: how they are collected and how they are shown to people and to programs.
#pragma once

#include <array>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"

namespace surgegate::policy {

// Collects findings into a vector that the caller owns. At most SG_POLICY_FINDINGS_MAX of each
// severity are kept and the first one beyond is replaced by a line that says so: a policy of a
// million wrong lines must not take gigabytes to refuse. A fault is never lost to warnings.
class Report {
 public:
  explicit Report(std::vector<Finding>& findings);

  void fault(const Place& place, std::string what, std::string expected = {},
             std::string nearest = {});
  void warn(const Place& place, std::string what, std::string expected = {});
  void note(const Place& place, std::string what);

  // How many faults were reported, kept or not.
  size_t fault_count() const;

 private:
  void add(Finding finding);

  std::vector<Finding>& findings_;
  std::array<size_t, 3> counts_{};
};

bool has_fault(std::span<const Finding> findings);

// By file, line and column, and of two equal ones (an alias is read where it is used) only the
// first.
void sort_findings(std::vector<Finding>& findings);

// `text` in backquotes as it may stand in a line on a terminal: controls and bytes that are not
// UTF-8 as \xNN, cut after 80 bytes; "an empty text" where there is none.
std::string quote(std::string_view text);

// "policy.yaml:12:5: fault: unknown key `rat` in a limit; expected rate; did you mean `rate`?"
// files: Policy::files.
std::string to_text(const Finding& finding, std::span<const std::string> files);

// {"severity", "file", "line", "column", "what", "expected", "nearest"}; line and column are left
// out where the finding is of a file as a whole, the last two where there is nothing to say. All
// texts are valid UTF-8.
nlohmann::json to_json(const Finding& finding, std::span<const std::string> files);

}  // namespace surgegate::policy
