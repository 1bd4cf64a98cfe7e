// SPDX-License-Identifier: BSD-3-Clause
// The link address behind each backend slot: the backend itself (L2) or the way to it (tunnels).
// Written by the supervisor, read by workers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "config/limits.h"

namespace surgegate {

using MacAddress = std::array<uint8_t, 6>;

class NextHops {
 public:
  NextHops() : hops_(SG_BACKENDS_MAX) {}

  // Supervisor. The whole entry is one 64-bit word, so that a worker never reads half an address.
  void set(uint32_t slot, const MacAddress& mac) {
    uint64_t word = known;
    for (size_t i = 0; i < mac.size(); i++) word |= static_cast<uint64_t>(mac[i]) << (8 * i);
    hops_[slot].store(word, std::memory_order_relaxed);
  }
  void forget(uint32_t slot) { hops_[slot].store(0, std::memory_order_relaxed); }

  // Any worker. False: not known.
  bool get(uint32_t slot, MacAddress& mac) const {
    uint64_t word = hops_[slot].load(std::memory_order_relaxed);
    for (size_t i = 0; i < mac.size(); i++) mac[i] = static_cast<uint8_t>(word >> (8 * i));
    return (word & known) != 0;
  }

 private:
  static constexpr uint64_t known = 1ull << 63;
  std::vector<std::atomic<uint64_t>> hops_;
};

}  // namespace surgegate
