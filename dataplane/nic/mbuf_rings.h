// SPDX-License-Identifier: BSD-3-Clause
// The rings between workers: DPDK's, one for each ordered pair, single producer, single consumer.
#pragma once

#include <cstddef>
#include <vector>

#include "dataplane/port.h"

struct rte_ring;

namespace surgegate {

class MbufRings final : public Rings {
 public:
  // frames_max: what one ring holds, a power of two. Needs EAL.
  MbufRings(uint32_t workers, uint32_t frames_max);
  ~MbufRings() override;
  MbufRings(const MbufRings&) = delete;
  MbufRings& operator=(const MbufRings&) = delete;

  bool complete() const { return rings_ != nullptr; }  // false: no memory for them
  bool push(uint32_t from, uint32_t to, const Frame& frame) override;
  uint32_t pop(uint32_t to, std::span<Frame> frames) override;

 private:
  rte_ring* ring(uint32_t from, uint32_t to) const;

  // Whose ring a worker empties first: another one's each time, so that one who floods him cannot
  // keep the others' frames waiting for good. On a line of its own: each is written by its worker.
  struct alignas(64) Turn {
    uint32_t from = 0;
  };

  uint32_t workers_;
  std::vector<Turn> turns_;
  size_t ring_bytes_;
  uint8_t* rings_;  // side by side; nobody uses those from a worker to himself
};

}  // namespace surgegate
