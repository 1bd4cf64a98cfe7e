// SPDX-License-Identifier: BSD-3-Clause
// The rings between workers: DPDK's, one for each ordered pair, single producer, single consumer.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/port.h"

struct rte_ring;

namespace surgegate {

class MbufRings final : public Rings {
 public:
  // frames_max: what one ring holds, a power of two. Needs EAL.
  MbufRings(uint32_t workers, uint32_t frames_max);
  ~MbufRings() override;

  bool complete() const;  // false: no memory for all of them
  bool push(uint32_t from, uint32_t to, const Frame& frame) override;
  uint32_t pop(uint32_t to, std::span<Frame> frames) override;

 private:
  rte_ring* ring(uint32_t from, uint32_t to) const { return rings_[from * workers_ + to]; }

  uint32_t workers_;
  std::vector<rte_ring*> rings_;
};

}  // namespace surgegate
