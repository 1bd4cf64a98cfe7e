// SPDX-License-Identifier: BSD-3-Clause
// What the values of a policy mean together: names resolve, values fit, nothing stands idle, and
// what this version does not enforce yet is said.
#pragma once

#include <vector>

#include "config/model.h"

namespace surgegate::policy {

// Adds what it finds. Values that parse() could not read (they have their defaults) are passed
// over, so that a typo is told once; what only a policy without faults can tell, that something is
// never used, is left out when `findings` has a fault already. Any thread.
void check(const Policy& policy, std::vector<Finding>& findings);

// Warns of overrides that have ended at now_unix_s. Apart from check(), because it is the one thing
// that depends on when it is asked. Any thread.
void check_ended(const Policy& policy, uint64_t now_unix_s, std::vector<Finding>& findings);

}  // namespace surgegate::policy
