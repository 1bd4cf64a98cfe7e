// SPDX-License-Identifier: BSD-3-Clause
// A port that costs next to nothing: frames are copied into a few buffers that are used again and
// again, as a NIC's ring does. What a burst costs through it and through no worker is the baseline.
#pragma once

#include <array>
#include <cstring>
#include <vector>

#include "config/limits.h"
#include "dataplane/port.h"
#include "tests/support/frame.h"

namespace surgegate::bench {

class BenchPort final : public Port {
 public:
  using Bytes = testing::Bytes;

  // The next burst: up to SG_BURST_PACKETS_MAX frames.
  void offer(std::span<const Bytes* const> frames) { offered_ = frames; }

  uint32_t receive(std::span<Frame> frames) override {
    auto count = static_cast<uint32_t>(offered_.size());
    for (uint32_t i = 0; i < count; i++) {
      Slot& slot = slots_[i];
      std::memcpy(slot.bytes + room_front, offered_[i]->data(), offered_[i]->size());
      auto length = static_cast<uint16_t>(offered_[i]->size());
      frames[i] = Frame{slot.bytes + room_front,
                        length,
                        room_front,
                        static_cast<uint16_t>(sizeof(slot.bytes) - room_front - length),
                        false,
                        &slot,
                        i + 1};
    }
    offered_ = {};
    spare_ = SG_BURST_PACKETS_MAX;
    return count;
  }
  uint32_t transmit(std::span<const Frame> frames) override {
    return static_cast<uint32_t>(frames.size());
  }
  void to_kernel(std::span<const Frame>) override {}
  void discard(std::span<const Frame>) override {}
  bool allocate(Frame& frame) override {
    Slot& slot = slots_[spare_++];
    frame = Frame{slot.bytes + room_front,
                  0,
                  room_front,
                  static_cast<uint16_t>(sizeof(slot.bytes) - room_front),
                  false,
                  &slot,
                  0};
    return true;
  }

 private:
  static constexpr uint16_t room_front = 128;
  struct Slot {
    alignas(64) uint8_t bytes[2176];
  };
  std::vector<Slot> slots_{2 * SG_BURST_PACKETS_MAX};
  std::span<const Bytes* const> offered_;
  uint32_t spare_ = SG_BURST_PACKETS_MAX;
};

}  // namespace surgegate::bench
