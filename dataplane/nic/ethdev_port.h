// SPDX-License-Identifier: BSD-3-Clause
// A worker's port over a DPDK device: one receive and one transmit queue.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "dataplane/nic/frame_pool.h"
#include "dataplane/port.h"

namespace surgegate {

class EthdevPort final : public Port {
 public:
  // device_index: of EAL's devices, in the order in which they were named. The pool must outlive
  // the port. Starts the device.
  static tl::expected<std::unique_ptr<EthdevPort>, std::string> start(uint16_t device_index,
                                                                      FramePool& pool);
  ~EthdevPort() override;

  uint32_t receive(std::span<Frame> frames) override;
  uint32_t transmit(std::span<const Frame> frames) override;
  // The kernel has its own copy of every frame on an AF_PACKET device: ours is freed.
  void to_kernel(std::span<const Frame> frames) override { discard(frames); }
  void discard(std::span<const Frame> frames) override;
  bool allocate(Frame& frame) override { return pool_.allocate(frame); }

 private:
  EthdevPort(uint16_t device, FramePool& pool) : device_(device), pool_(pool) {}
  uint16_t device_;
  FramePool& pool_;
  uint64_t received_ = 0;
};

}  // namespace surgegate
