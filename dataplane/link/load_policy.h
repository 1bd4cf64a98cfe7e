// SPDX-License-Identifier: BSD-3-Clause
// From a policy file to a policy in force, for programs that have no daemon to ask.
#pragma once

#include <memory>
#include <string>

#include "dataplane/link/policy_in_force.h"

namespace surgegate {

// Prints what there is to say about the policy on stderr; nullptr when it cannot be used. previous
// may be null: the image that is in force now, from which backends keep their slots.
std::unique_ptr<PolicyInForce> load_policy(const std::string& path, const ImageView* previous);

}  // namespace surgegate
