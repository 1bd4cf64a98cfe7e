// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/check.h"
#include "config/compile.h"
#include "config/files.h"
#include "config/findings.h"
#include "config/parse.h"
#include "dataplane/commands.h"

namespace surgegate {
namespace {

using policy::Finding;
using policy::Severity;

size_t count(const std::vector<Finding>& findings, Severity severity) {
  return static_cast<size_t>(std::count_if(findings.begin(), findings.end(),
                                           [=](const Finding& f) { return f.severity == severity; }));
}

void print_text(const policy::Policy& policy, const std::vector<Finding>& findings) {
  for (const Finding& finding : findings)
    fmt::print("{}\n", policy::to_text(finding, policy.files));
  size_t faults = count(findings, Severity::fault);
  fmt::print("{}: {} faults, {} warnings: {}\n", policy.files.empty() ? "" : policy.files[0], faults,
             count(findings, Severity::warning), faults == 0 ? "can be used" : "cannot be used");
}

void print_json(const policy::Policy& policy, const std::vector<Finding>& findings) {
  nlohmann::ordered_json out;
  out["ok"] = count(findings, Severity::fault) == 0;
  out["findings"] = nlohmann::ordered_json::array();
  for (const Finding& finding : findings)
    out["findings"].push_back(nlohmann::ordered_json(policy::to_json(finding, policy.files)));
  fmt::print("{}\n", out.dump(2));
}

}  // namespace

int check(const CheckOptions& options) {
  policy::DiskFiles files;
  policy::Parsed parsed = policy::load(options.policy_path, files);
  std::vector<Finding> findings = std::move(parsed.findings);
  if (count(findings, Severity::fault) == 0) {
    Compiled compiled = compile({parsed.policy});
    findings.insert(findings.end(), compiled.findings.begin(), compiled.findings.end());
  }
  (options.json ? print_json : print_text)(parsed.policy, findings);
  return count(findings, Severity::fault) == 0 ? 0 : 2;
}

}  // namespace surgegate
