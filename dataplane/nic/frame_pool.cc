// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nic/frame_pool.h"

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <algorithm>
#include <utility>

namespace surgegate {
namespace {

// A frame's number travels in the mbuf, since a ring between workers carries only the mbuf.
int number_offset() {
  static const rte_mbuf_dynfield field = {"surgegate_number", sizeof(uint64_t), alignof(uint64_t),
                                          0};
  static const int offset = rte_mbuf_dynfield_register(&field);
  return offset;
}

uint64_t& number_of(rte_mbuf* mbuf) {
  return *RTE_MBUF_DYNFIELD(mbuf, number_offset(), uint64_t*);
}

}  // namespace

tl::expected<FramePool, std::string> FramePool::make(uint32_t frames, uint32_t frame_bytes_max) {
  static uint32_t made = 0;
  std::string name = "frames" + std::to_string(made++);
  uint32_t cache = std::min<uint32_t>(RTE_MEMPOOL_CACHE_MAX_SIZE, frames / 4);
  rte_mempool* pool = rte_pktmbuf_pool_create(
      name.c_str(), frames, cache, 0, static_cast<uint16_t>(RTE_PKTMBUF_HEADROOM + frame_bytes_max),
      SOCKET_ID_ANY);
  if (pool == nullptr || number_offset() < 0)
    return tl::unexpected(std::string("no memory for ") + std::to_string(frames) +
                          " frames: " + rte_strerror(rte_errno));
  return FramePool(pool);
}

FramePool::FramePool(FramePool&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}

FramePool::~FramePool() {
  rte_mempool_free(pool_);
}

bool FramePool::allocate(Frame& frame) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  if (mbuf == nullptr) return false;
  number_of(mbuf) = 0;
  frame = to_frame(mbuf);
  return true;
}

void FramePool::free(const Frame& frame) {
  rte_pktmbuf_free(static_cast<rte_mbuf*>(frame.handle));
}

Frame FramePool::to_frame(rte_mbuf* mbuf) {
  Frame frame;
  frame.bytes = rte_pktmbuf_mtod(mbuf, uint8_t*);
  frame.length = mbuf->data_len;
  frame.room_front = rte_pktmbuf_headroom(mbuf);
  frame.room_back = rte_pktmbuf_tailroom(mbuf);
  uint64_t l4 = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  frame.checksum_good = l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  frame.handle = mbuf;
  frame.number = number_of(mbuf);
  return frame;
}

rte_mbuf* FramePool::to_mbuf(const Frame& frame) {
  auto* mbuf = static_cast<rte_mbuf*>(frame.handle);
  mbuf->data_off = static_cast<uint16_t>(frame.bytes - static_cast<uint8_t*>(mbuf->buf_addr));
  mbuf->data_len = frame.length;
  mbuf->pkt_len = frame.length;
  number_of(mbuf) = frame.number;
  return mbuf;
}

uint32_t FramePool::frames_in_use() const {
  return rte_mempool_in_use_count(pool_);
}

}  // namespace surgegate
