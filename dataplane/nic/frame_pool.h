// SPDX-License-Identifier: BSD-3-Clause
// Frames as DPDK has them: mbufs from one pool, seen by the journey as Frame.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "dataplane/port.h"

struct rte_mempool;
struct rte_mbuf;

namespace surgegate {

class FramePool {
 public:
  // frames: how many there are; frame_bytes_max: the longest that fits, at most 65,000. Needs EAL.
  static tl::expected<FramePool, std::string> make(uint32_t frames, uint32_t frame_bytes_max);
  ~FramePool();
  FramePool(FramePool&& other) noexcept;
  FramePool& operator=(FramePool&&) = delete;

  // An empty frame: length 0, all of its room behind. False: all frames are in use.
  bool allocate(Frame& frame);
  static void free(const Frame& frame);

  // The frame that an mbuf holds, and back: what the journey did to the Frame is done to the mbuf.
  static Frame to_frame(rte_mbuf* mbuf);
  static rte_mbuf* to_mbuf(const Frame& frame);

  rte_mempool* handle() const { return pool_; }
  uint32_t frames_in_use() const;

 private:
  explicit FramePool(rte_mempool* pool) : pool_(pool) {}
  rte_mempool* pool_;
};

}  // namespace surgegate
