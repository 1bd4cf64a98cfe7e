// SPDX-License-Identifier: BSD-3-Clause
// A worker's port over a DPDK device: one receive and one transmit queue.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "dataplane/nic/frame_pool.h"
#include "dataplane/port.h"
#include "dataplane/table/next_hops.h"

namespace surgegate {

class EthdevPort final : public Port {
 public:
  // device_index: of EAL's devices, in the order in which they were named. The pool must outlive
  // the port. Starts the device.
  static tl::expected<std::unique_ptr<EthdevPort>, std::string> start(uint16_t device_index,
                                                                      FramePool& pool);
  ~EthdevPort() override;

  // Only what is for our own link address. What is for all stations (ARP, neighbour discovery, a
  // router's advertisements) is the kernel's; what is for another one, which a switch floods and
  // AF_PACKET shows to everybody, is nobody's here: forwarded it would leave with that station's
  // address for ours.
  uint32_t receive(std::span<Frame> frames) override;
  uint32_t transmit(std::span<const Frame> frames) override;
  // The kernel has its own copy of every frame on an AF_PACKET device: ours is freed.
  void to_kernel(std::span<const Frame> frames) override { discard(frames); }
  void discard(std::span<const Frame> frames) override;
  bool allocate(Frame& frame) override { return pool_.allocate(frame); }

  uint64_t frames_for_all() const { return frames_for_all_; }
  uint64_t frames_of_others() const { return frames_of_others_; }

 private:
  EthdevPort(uint16_t device, const MacAddress& mac, FramePool& pool)
      : device_(device), mac_(mac), pool_(pool) {}
  bool is_ours(const Frame& frame);

  uint16_t device_;
  MacAddress mac_;
  FramePool& pool_;
  uint64_t received_ = 0;
  uint64_t frames_for_all_ = 0;
  uint64_t frames_of_others_ = 0;
};

}  // namespace surgegate
