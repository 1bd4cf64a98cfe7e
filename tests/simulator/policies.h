// SPDX-License-Identifier: BSD-3-Clause
// The policies that runs are under.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/link/policy_in_force.h"

namespace surgegate::simulator {

struct NamedPolicy {
  std::shared_ptr<const PolicyInForce> policy;
  // Requests over the limit are dropped without a word, so that a client may have to give up.
  bool drops = false;
};

const std::vector<NamedPolicy>& policies();

}  // namespace surgegate::simulator
