// SPDX-License-Identifier: BSD-3-Clause
// From the text of a policy to a policy that was understood.
#pragma once

#include <string_view>
#include <vector>

#include "config/files.h"
#include "config/findings.h"
#include "config/model.h"

namespace surgegate::policy {

struct Parsed {
  Policy policy;
  std::vector<Finding> findings;
  // Every name that the policy declares is in `policy`, if not all of what it stands for: names
  // that are missing can be told from names that could not be read.
  bool has_all_names = true;

  bool ok() const { return !has_fault(findings); }  // no finding is a fault
};

// Reads the policy at `path`, its includes and its data files, and tells everything that one value,
// or one map, can tell. Values with a fault keep their defaults. Never throws; any thread; the
// findings are in the order of the text.
Parsed parse(std::string_view path, Files& files);

// Parses, then checks (check.h) whatever could be read. This is what callers want.
Parsed load(std::string_view path, Files& files);

}  // namespace surgegate::policy
