// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <random>

namespace surgegate::testing {

using Random = std::mt19937_64;

// 0 .. below - 1.
inline uint64_t draw(Random& random, uint64_t below) {
  return random() % below;
}
inline bool one_in(Random& random, uint64_t n) {
  return draw(random, n) == 0;
}

}  // namespace surgegate::testing
