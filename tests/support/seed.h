// SPDX-License-Identifier: BSD-3-Clause
// Where a property test's randomness comes from: a seed that a failure prints.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace surgegate::testing {

// SURGEGATE_SEED repeats a run.
inline uint64_t first_seed() {
  const char* text = std::getenv("SURGEGATE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

inline std::string repeat_with(uint64_t seed) {
  return "repeat with SURGEGATE_SEED=" + std::to_string(seed);
}

// SURGEGATE_LONG=1: the full counts of what is otherwise run reduced.
inline uint64_t rounds(uint64_t reduced, uint64_t full) {
  return std::getenv("SURGEGATE_LONG") != nullptr ? full : reduced;
}

}  // namespace surgegate::testing
