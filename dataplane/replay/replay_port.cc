// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/replay_port.h"

#include <algorithm>

namespace surgegate {

uint32_t ReplayPort::receive(std::span<Frame> frames) {
  size_t count = std::min(frames.size(), waiting_.size());
  std::copy_n(waiting_.begin(), count, frames.begin());
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
  return static_cast<uint32_t>(count);
}

uint32_t ReplayPort::transmit(std::span<const Frame> frames) {
  for (const Frame& frame : frames) {
    if (out_ != nullptr) out_->write(fates_.time_ns(frame.number), {frame.bytes, frame.length});
    fates_.fate(frame.number).sent++;
    frames_sent_++;
    FramePool::free(frame);
  }
  return static_cast<uint32_t>(frames.size());
}

void ReplayPort::to_kernel(std::span<const Frame> frames) {
  for (const Frame& frame : frames) {
    fates_.fate(frame.number).kernel++;
    FramePool::free(frame);
  }
}

void ReplayPort::discard(std::span<const Frame> frames) {
  for (const Frame& frame : frames) {
    fates_.fate(frame.number).discarded++;
    FramePool::free(frame);
  }
}

// Room in front for the longest tunnel header comes with the mbuf (128 bytes).
bool ReplayPort::allocate(Frame& frame) {
  return pool_.allocate(frame);
}

}  // namespace surgegate
