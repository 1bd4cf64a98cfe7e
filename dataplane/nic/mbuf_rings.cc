// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nic/mbuf_rings.h"

#include <rte_malloc.h>
#include <rte_ring.h>

#include <algorithm>

#include "config/limits.h"
#include "dataplane/nic/frame_pool.h"

namespace surgegate {

// One block for all: each ring of DPDK's own making takes a memory zone, and of those there are
// 2,560 in a process, while 128 workers have 16,256 rings.
MbufRings::MbufRings(uint32_t workers, uint32_t frames_max)
    : workers_(workers),
      turns_(workers),
      ring_bytes_(static_cast<size_t>(rte_ring_get_memsize(frames_max))),
      rings_(static_cast<uint8_t*>(
          rte_zmalloc("cross", ring_bytes_ * workers * workers, RTE_CACHE_LINE_SIZE))) {
  if (rings_ == nullptr) return;
  for (uint32_t from = 0; from < workers; from++)
    for (uint32_t to = 0; to < workers; to++)
      rte_ring_init(ring(from, to), "cross", frames_max, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

MbufRings::~MbufRings() {
  rte_free(rings_);
}

rte_ring* MbufRings::ring(uint32_t from, uint32_t to) const {
  return reinterpret_cast<rte_ring*>(rings_ + ring_bytes_ * (from * workers_ + to));
}

bool MbufRings::push(uint32_t from, uint32_t to, const Frame& frame) {
  return rte_ring_sp_enqueue(ring(from, to), FramePool::to_mbuf(frame)) == 0;
}

uint32_t MbufRings::pop(uint32_t to, std::span<Frame> frames) {
  void* mbufs[SG_BURST_PACKETS_MAX];
  uint32_t count = 0;
  const uint32_t first = turns_[to].from++;
  for (uint32_t i = 0; i < workers_ && count < frames.size(); i++) {
    const uint32_t from = (first + i) % workers_;
    if (from == to) continue;
    uint32_t room =
        std::min<uint32_t>(static_cast<uint32_t>(frames.size()) - count, SG_BURST_PACKETS_MAX);
    uint32_t got = rte_ring_sc_dequeue_burst(ring(from, to), mbufs, room, nullptr);
    for (uint32_t k = 0; k < got; k++)
      frames[count++] = FramePool::to_frame(static_cast<rte_mbuf*>(mbufs[k]));
  }
  return count;
}

}  // namespace surgegate
