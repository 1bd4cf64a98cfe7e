// SPDX-License-Identifier: BSD-3-Clause
// A worker's port over a capture: what is pushed in is received, what is transmitted is written
// out, and each frame's fate is noted by its number, for the conservation check.
#pragma once

#include <vector>

#include "dataplane/nic/frame_pool.h"
#include "dataplane/port.h"
#include "dataplane/replay/capture.h"

namespace surgegate {

// What became of one packet, as the port saw it.
struct Fate {
  uint32_t sent = 0;  // frames out that came from it
  uint32_t kernel = 0;
  uint32_t discarded = 0;
};

// The packets under way: numbered from 1 in capture order. Shared by the ports of all workers.
class FateBook {
 public:
  void enter(uint64_t number, uint64_t time_ns) {
    if (entries_.empty()) first_ = number;
    entries_.push_back({time_ns, {}});
  }
  Fate& fate(uint64_t number) { return entries_[number - first_].fate; }
  uint64_t time_ns(uint64_t number) const { return entries_[number - first_].time_ns; }
  void clear() { entries_.clear(); }

 private:
  struct Entry {
    uint64_t time_ns;
    Fate fate;
  };
  uint64_t first_ = 0;
  std::vector<Entry> entries_;
};

class ReplayPort final : public Port {
 public:
  ReplayPort(FramePool& pool, CaptureWriter* out, FateBook& fates)
      : pool_(pool), out_(out), fates_(fates) {}

  void push(const Frame& frame) { waiting_.push_back(frame); }
  uint64_t frames_sent() const { return frames_sent_; }

  uint32_t receive(std::span<Frame> frames) override;
  uint32_t transmit(std::span<const Frame> frames) override;
  void to_kernel(std::span<const Frame> frames) override;
  void discard(std::span<const Frame> frames) override;
  bool allocate(Frame& frame) override;

 private:
  FramePool& pool_;
  CaptureWriter* out_;  // may be null: nothing is written
  FateBook& fates_;
  std::vector<Frame> waiting_;
  uint64_t frames_sent_ = 0;
};

}  // namespace surgegate
