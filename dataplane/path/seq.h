// SPDX-License-Identifier: BSD-3-Clause
// Sequence numbers compare modulo 2^32 [RFC 9293 section 3.4].
#pragma once

#include <cstdint>

namespace surgegate {

// How far b is ahead of a: positive, zero or negative.
inline int32_t seq_distance(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(b - a);
}

}  // namespace surgegate
