// SPDX-License-Identifier: BSD-3-Clause
// classify: whose packet is this? Destination address, port and protocol to a service; the source
// to the lists that it is in. What is for no service belongs to the kernel.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/counters.h"
#include "dataplane/link/policy_in_force.h"

namespace surgegate {

void classify(std::span<Lane> lanes, const PolicyInForce& policy, std::span<ListCounts> counts);

}  // namespace surgegate
