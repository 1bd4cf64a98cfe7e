// SPDX-License-Identifier: BSD-3-Clause
// What must hold of every packet that went through the gate, whatever it was. The product is asked
// one question only: whether the gate would accept its own answer.
#pragma once

#include <string>
#include <vector>

#include "tests/support/journey.h"

namespace surgegate::testing {

using Policies = std::vector<std::shared_ptr<const PolicyInForce>>;

struct Played {
  Bytes frame;          // as it was offered
  uint64_t unix_s = 0;  // when it was judged
};

// What does not hold; empty where everything does. played[i] is packet i + 1; policies: all that
// may have been in force.
std::string fate_fault(const std::vector<Played>& played, const Journey& journey,
                       const Policies& policies, bool in_order);

}  // namespace surgegate::testing
