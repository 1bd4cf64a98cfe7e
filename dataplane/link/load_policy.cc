// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/link/load_policy.h"

#include <fmt/format.h>

#include <cstdio>

#include "config/check.h"
#include "config/compile.h"
#include "config/files.h"
#include "config/findings.h"
#include "config/parse.h"

namespace surgegate {
namespace {

void print(const policy::Policy& policy, const std::vector<policy::Finding>& findings) {
  for (const policy::Finding& finding : findings)
    if (finding.severity != policy::Severity::note)
      fmt::print(stderr, "{}\n", policy::to_text(finding, policy.files));
}

}  // namespace

std::unique_ptr<PolicyInForce> load_policy(const std::string& path, const ImageView* previous) {
  policy::DiskFiles files;
  policy::Parsed parsed = policy::load(path, files);
  print(parsed.policy, parsed.findings);
  if (!parsed.ok()) return nullptr;
  uint64_t revision = previous == nullptr ? 1 : previous->revision() + 1;
  Compiled compiled = compile({parsed.policy, revision, previous, 0});
  print(parsed.policy, compiled.findings);
  if (compiled.bytes.empty()) return nullptr;
  auto policy = PolicyInForce::make(std::move(compiled.bytes));
  if (policy) return std::move(*policy);
  fmt::print(stderr, "{}: {}\n", path, policy.error());
  return nullptr;
}

}  // namespace surgegate
