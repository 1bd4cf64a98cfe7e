// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/fake_port.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace surgegate::testing {

Frame FakePool::lend(const Bytes& bytes, uint64_t number, Room room) {
  if (room.back == plenty) {
    const size_t least = room.front + bytes.size() + 2048;
    room.back = 2048 + (4096 - least % 4096) % 4096;
  }
  const size_t size = room.front + bytes.size() + room.back;
  std::unique_ptr<GuardedBuffer> buffer;
  if (free_bytes_ == size && !free_.empty()) {
    buffer = std::move(free_.back());
    free_.pop_back();
  } else {
    buffer = std::make_unique<GuardedBuffer>(size);
  }
  Frame frame;
  frame.bytes = buffer->begin() + room.front;
  frame.length = static_cast<uint16_t>(bytes.size());
  frame.room_front = static_cast<uint16_t>(room.front);
  frame.room_back = static_cast<uint16_t>(room.back);
  frame.handle = buffer.get();
  frame.number = number;
  std::memset(buffer->begin(), 0xee, buffer->size());  // what is read of it was never sent
  std::copy(bytes.begin(), bytes.end(), frame.bytes);
  lent_[buffer.get()] = std::move(buffer);
  return frame;
}

Bytes FakePool::take_back(const Frame& frame) {
  auto found = lent_.find(frame.handle);
  if (found == lent_.end()) {
    fail("given back although it is not lent", frame);
    return {};
  }
  std::unique_ptr<GuardedBuffer> buffer = std::move(found->second);
  lent_.erase(found);
  const bool inside = frame.bytes >= buffer->begin() && frame.bytes + frame.length <= buffer->end();
  if (!inside) fail("grown beyond its buffer", frame);
  if (!buffer->front_is_intact()) fail("written before its buffer", frame);
  Bytes bytes = inside ? Bytes(frame.bytes, frame.bytes + frame.length) : Bytes();
  if (free_bytes_ != buffer->size()) free_.clear();
  free_bytes_ = buffer->size();
  if (free_.size() < 128) free_.push_back(std::move(buffer));
  return bytes;
}

void FakePool::fail(const std::string& what, const Frame& frame) {
  if (fault_.empty()) fault_ = fmt::format("the frame of packet {} was {}", frame.number, what);
}

uint32_t FakePort::receive(std::span<Frame> frames) {
  const size_t count = std::min(frames.size(), waiting_.size());
  std::copy_n(waiting_.begin(), count, frames.begin());
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
  return static_cast<uint32_t>(count);
}

uint32_t FakePort::transmit(std::span<const Frame> frames) {
  const auto count = std::min(static_cast<uint32_t>(frames.size()), tx_room);
  if (tx_room != unlimited) tx_room -= count;
  for (const Frame& frame : frames.first(count))
    sent.push_back({frame.number, pool_.take_back(frame)});
  return count;
}

void FakePort::to_kernel(std::span<const Frame> frames) {
  for (const Frame& frame : frames) kernel.push_back({frame.number, pool_.take_back(frame)});
}

void FakePort::discard(std::span<const Frame> frames) {
  for (const Frame& frame : frames) discarded.push_back({frame.number, pool_.take_back(frame)});
}

bool FakePort::allocate(Frame& frame) {
  if (spare == 0) return false;
  if (spare != unlimited) spare--;
  frame = pool_.lend({}, 0, {room.front, FakePool::plenty});
  allocated++;
  return true;
}

void FakePort::forget_what_left() {
  sent.clear();
  kernel.clear();
  discarded.clear();
}

bool FakeRings::push(uint32_t from, uint32_t to, const Frame& frame) {
  std::deque<Frame>& ring = rings_[to][from];
  if (ring.size() >= frames_max) return false;
  ring.push_back(frame);
  return true;
}

uint32_t FakeRings::pop(uint32_t to, std::span<Frame> frames) {
  uint32_t count = 0;
  for (std::deque<Frame>& ring : rings_[to]) {
    while (count < frames.size() && !ring.empty()) {
      frames[count++] = ring.front();
      ring.pop_front();
    }
  }
  return count;
}

}  // namespace surgegate::testing
