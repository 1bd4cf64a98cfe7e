// SPDX-License-Identifier: BSD-3-Clause
// A buffer whose last byte is the last before a page that nobody may touch: a read or write one
// byte too far ends the process. In front of it stand bytes that must not change.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace surgegate::testing {

#if defined(__SANITIZE_ADDRESS__)
#define SURGEGATE_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SURGEGATE_ADDRESS_SANITIZER
#endif
#endif

#ifdef SURGEGATE_ADDRESS_SANITIZER

class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t bytes) : size_(bytes), begin_(new uint8_t[bytes]) {}
  ~GuardedBuffer() { delete[] begin_; }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  uint8_t* begin() const { return begin_; }
  uint8_t* end() const { return begin_ + size_; }
  size_t size() const { return size_; }
  bool front_is_intact() const { return true; }

 private:
  size_t size_;
  uint8_t* begin_;
};

#else

class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t bytes) : size_(bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t pages = (size_ + front_bytes + page - 1) / page;
    mapped_ = (pages + 1) * page;
    void* at = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<uint8_t*>(at);
    uint8_t* guard = base_ + pages * page;
    mprotect(guard, page, PROT_NONE);
    begin_ = guard - size_;
    std::memset(begin_ - front_bytes, front_mark, front_bytes);
  }
  ~GuardedBuffer() { munmap(base_, mapped_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  uint8_t* begin() const { return begin_; }
  uint8_t* end() const { return begin_ + size_; }
  size_t size() const { return size_; }

  bool front_is_intact() const {
    for (size_t i = 1; i <= front_bytes; i++)
      if (*(begin_ - i) != front_mark) return false;
    return true;
  }

 private:
  static constexpr size_t front_bytes = 64;
  static constexpr uint8_t front_mark = 0xa5;

  size_t size_;
  size_t mapped_ = 0;
  uint8_t* base_ = nullptr;
  uint8_t* begin_ = nullptr;
};

#endif

}  // namespace surgegate::testing
