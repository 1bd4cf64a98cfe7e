// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/policy_text.h"

#include <stdexcept>

#include "config/compile.h"
#include "config/files.h"
#include "config/findings.h"
#include "config/parse.h"

namespace surgegate::testing {
namespace {

std::string faults_of(const std::vector<policy::Finding>& findings, const policy::Policy& policy) {
  std::string text;
  for (const policy::Finding& finding : findings)
    if (finding.severity == policy::Severity::fault) text += to_text(finding, policy.files) + "\n";
  return text;
}

}  // namespace

std::unique_ptr<PolicyInForce> policy_in_force(const std::string& text, const FileTexts& files,
                                               const PolicyInForce* previous) {
  FileTexts all = files;
  all["policy.yaml"] = text;
  policy::MemoryFiles memory(all);
  policy::Parsed parsed = policy::load("policy.yaml", memory);
  if (!parsed.ok()) throw std::runtime_error(faults_of(parsed.findings, parsed.policy));
  const ImageView* image = previous == nullptr ? nullptr : &previous->image();
  Compiled compiled =
      compile({parsed.policy, image == nullptr ? 1 : image->revision() + 1, image, 0});
  if (compiled.bytes.empty()) throw std::runtime_error(faults_of(compiled.findings, parsed.policy));
  auto policy = PolicyInForce::make(std::move(compiled.bytes));
  if (!policy) throw std::runtime_error(policy.error());
  return std::move(*policy);
}

}  // namespace surgegate::testing
