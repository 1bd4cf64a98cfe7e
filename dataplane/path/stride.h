// SPDX-License-Identifier: BSD-3-Clause
// Bodies of any length in 32-bit sequence numbers.
#pragma once

#include <algorithm>
#include <cstdint>

namespace surgegate {

// next_seq never runs further ahead of the stream than this, so that sequence numbers around it
// compare correctly (they do within 2^31) whatever length a body claims.
inline constexpr uint64_t body_stride_bytes = 1u << 30;

// Moves a boundary over body bytes: as far as a stride allows, the rest stays in `left`.
inline void pass_body(uint32_t& next_seq, uint64_t& left) {
  uint64_t step = std::min(left, body_stride_bytes);
  next_seq += static_cast<uint32_t>(step);
  left -= step;
}

}  // namespace surgegate
