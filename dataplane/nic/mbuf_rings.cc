// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nic/mbuf_rings.h"

#include <rte_ring.h>

#include <algorithm>
#include <string>

#include "config/limits.h"
#include "dataplane/nic/frame_pool.h"

namespace surgegate {

MbufRings::MbufRings(uint32_t workers, uint32_t frames_max)
    : workers_(workers), rings_(static_cast<size_t>(workers) * workers, nullptr) {
  for (uint32_t i = 0; i < rings_.size(); i++) {
    if (i / workers == i % workers) continue;  // nobody crosses to himself
    std::string name = "cross" + std::to_string(i);
    rings_[i] =
        rte_ring_create(name.c_str(), frames_max, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  }
}

MbufRings::~MbufRings() {
  for (rte_ring* ring : rings_) rte_ring_free(ring);
}

bool MbufRings::complete() const {
  auto made = static_cast<size_t>(
      std::count_if(rings_.begin(), rings_.end(), [](rte_ring* ring) { return ring != nullptr; }));
  return made == rings_.size() - workers_;
}

bool MbufRings::push(uint32_t from, uint32_t to, const Frame& frame) {
  return rte_ring_sp_enqueue(ring(from, to), FramePool::to_mbuf(frame)) == 0;
}

uint32_t MbufRings::pop(uint32_t to, std::span<Frame> frames) {
  void* mbufs[SG_BURST_PACKETS_MAX];
  uint32_t count = 0;
  for (uint32_t from = 0; from < workers_ && count < frames.size(); from++) {
    if (from == to) continue;
    uint32_t room =
        std::min<uint32_t>(static_cast<uint32_t>(frames.size()) - count, SG_BURST_PACKETS_MAX);
    uint32_t got = rte_ring_sc_dequeue_burst(ring(from, to), mbufs, room, nullptr);
    for (uint32_t i = 0; i < got; i++)
      frames[count++] = FramePool::to_frame(static_cast<rte_mbuf*>(mbufs[i]));
  }
  return count;
}

}  // namespace surgegate
