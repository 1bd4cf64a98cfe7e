// SPDX-License-Identifier: BSD-3-Clause
// The small commands of `surgegate`. Each returns the process's exit status.
#pragma once

#include <string>
#include <vector>

namespace surgegate {

struct CheckOptions {
  std::string policy_path;
  bool sizes = false;
  bool json = false;
};
int check(const CheckOptions& options);

struct ExplainRulesOptions {
  std::vector<std::string> reasons;  // none: all
  bool json = false;
  bool markdown = false;
};
int explain_rules(const ExplainRulesOptions& options);

}  // namespace surgegate
