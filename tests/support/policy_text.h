// SPDX-License-Identifier: BSD-3-Clause
// A policy in force from its text.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "dataplane/link/policy_in_force.h"

namespace surgegate::testing {

using FileTexts = std::map<std::string, std::string>;

// Throws std::runtime_error with all findings where the text is no usable policy. files: what it
// refers to, by path. previous may be null: what was in force before.
std::unique_ptr<PolicyInForce> policy_in_force(const std::string& text, const FileTexts& files = {},
                                               const PolicyInForce* previous = nullptr);

}  // namespace surgegate::testing
