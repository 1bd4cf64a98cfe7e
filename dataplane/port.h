// SPDX-License-Identifier: BSD-3-Clause
// What a worker sees of the outside: frames in, frames out. Implemented over DPDK in nic/, over a
// capture file in replay/, and over plain memory in the tests, so that the journey knows no NIC.
#pragma once

#include <cstdint>
#include <span>

namespace surgegate {

// A frame in a buffer that somebody lent us. Whoever holds the Frame owns the buffer.
struct Frame {
  uint8_t* bytes = nullptr;
  uint16_t length = 0;         // of the frame
  uint16_t room_front = 0;     // writable bytes before `bytes`
  uint16_t room_back = 0;      // writable bytes after the frame
  bool checksum_good = false;  // the NIC has checked the L4 checksum
  void* handle = nullptr;      // the port's own
  uint64_t number = 0;         // which frame this is, or was made from: the port's count from 1
};

// One receive and one transmit queue; used by one thread.
class Port {
 public:
  virtual ~Port() = default;
  // Fills up to frames.size() frames and returns how many; their buffers become the caller's.
  virtual uint32_t receive(std::span<Frame> frames) = 0;
  // Sends frames in order and returns how many went; those and only those are no longer the
  // caller's.
  virtual uint32_t transmit(std::span<const Frame> frames) = 0;
  // Hands frames to the kernel's own stack. Takes ownership of all.
  virtual void to_kernel(std::span<const Frame> frames) = 0;
  virtual void discard(std::span<const Frame> frames) = 0;
  // An empty frame with room_front of at least a tunnel header. False: the pool is empty.
  virtual bool allocate(Frame& frame) = 0;
};

// The rings between workers: one for each ordered pair, single producer, single consumer.
class Rings {
 public:
  virtual ~Rings() = default;
  virtual bool push(uint32_t from, uint32_t to, const Frame& frame) = 0;  // false: full
  virtual uint32_t pop(uint32_t to, std::span<Frame> frames) = 0;
};

}  // namespace surgegate
