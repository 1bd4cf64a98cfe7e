// SPDX-License-Identifier: BSD-3-Clause
// What packet_fuzz plays packets under: something of everything that a packet can meet.
#pragma once

#include "tests/fuzz/packet_checks.h"

namespace surgegate::testing {

// Each made from the one before, as reloads do, so that backends keep their slots. Compiled once.
const Policies& policies();

// One of them, whatever the number.
std::shared_ptr<const PolicyInForce> policy(uint8_t number);

}  // namespace surgegate::testing
