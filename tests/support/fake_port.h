// SPDX-License-Identifier: BSD-3-Clause
// A worker's port over plain memory. It lends each buffer out once and notes how it came back: a
// frame given back twice, never lent, or grown beyond its buffer is a fault.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/port.h"
#include "tests/support/buffer.h"
#include "tests/support/frame.h"

namespace surgegate::testing {

struct Left {
  uint64_t number;  // of the frame that came in
  Bytes bytes;
};

// What the ports of one host share: the buffers under way.
class FakePool {
 public:
  struct Room {
    size_t front = 128;
    size_t back = plenty;
  };
  // At least 2,048 bytes, and so much that buffers are of one size and can be used again.
  static constexpr size_t plenty = ~size_t{0};

  // Lends a buffer with this frame in it; its end (room behind included) is at a guard page.
  Frame lend(const Bytes& bytes, uint64_t number, Room room);
  // Takes a frame back and returns its bytes.
  Bytes take_back(const Frame& frame);

  size_t lent() const { return lent_.size(); }
  const std::string& fault() const { return fault_; }  // the first; empty: none

 private:
  void fail(const std::string& what, const Frame& frame);

  std::map<const void*, std::unique_ptr<GuardedBuffer>> lent_;
  std::vector<std::unique_ptr<GuardedBuffer>> free_;  // all of one size
  size_t free_bytes_ = 0;
  std::string fault_;
};

class FakePort final : public Port {
 public:
  static constexpr uint32_t unlimited = ~0u;

  explicit FakePort(FakePool& pool) : pool_(pool) {}

  void push(const Bytes& bytes, uint64_t number) {
    waiting_.push_back(pool_.lend(bytes, number, room));
  }
  void push(const Frame& frame) { waiting_.push_back(frame); }

  uint32_t receive(std::span<Frame> frames) override;
  uint32_t transmit(std::span<const Frame> frames) override;
  void to_kernel(std::span<const Frame> frames) override;
  void discard(std::span<const Frame> frames) override;
  bool allocate(Frame& frame) override;

  // What the next calls find.
  FakePool::Room room;           // of frames pushed
  uint32_t tx_room = unlimited;  // frames that transmit() still takes
  uint32_t spare = unlimited;    // frames that allocate() still has

  // What left, in order.
  std::vector<Left> sent, kernel, discarded;
  uint64_t allocated = 0;
  void forget_what_left();

 private:
  FakePool& pool_;
  std::deque<Frame> waiting_;
};

// Rings in plain memory.
class FakeRings final : public Rings {
 public:
  explicit FakeRings(uint32_t workers) : rings_(workers, std::vector<std::deque<Frame>>(workers)) {}

  bool push(uint32_t from, uint32_t to, const Frame& frame) override;
  uint32_t pop(uint32_t to, std::span<Frame> frames) override;

  uint32_t frames_max = 64;  // of each ring

 private:
  std::vector<std::vector<std::deque<Frame>>> rings_;  // by consumer, then producer
};

}  // namespace surgegate::testing
