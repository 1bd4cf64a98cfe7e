// SPDX-License-Identifier: BSD-3-Clause
// Request heads for those who compare readers: whole ones, and what an attacker would make of them.
#pragma once

#include <random>
#include <string>

namespace surgegate::testing {

// A head out of parts of which most are right. Rarely with single bytes changed, cut out or
// doubled.
std::string some_head(std::mt19937_64& random);

}  // namespace surgegate::testing
