// SPDX-License-Identifier: BSD-3-Clause
// How long a TCP waits for an acknowledgement [RFC 6298], and how often.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "tests/simulator/events.h"

namespace surgegate::simulator {

class Timeout {
 public:
  // Linux's tcp_retries2. Where a third of all round trips fails, one in 10^7 gives up.
  static constexpr uint32_t resends_max = 15;

  uint64_t now_ns() const { return std::min(base_ns_ << resends_, longest_ns); }
  bool gives_up() const { return resends_ >= resends_max; }
  void expired() { resends_++; }
  void progressed() { resends_ = 0; }

  // One piece is timed at once, and none that was sent twice (Karn).
  void sent(uint64_t end, uint64_t at_ns) {
    if (timed_end_ == 0) timed_end_ = end, timed_at_ns_ = at_ns;
  }
  void sent_again() { timed_end_ = 0; }
  void acknowledged(uint64_t place, uint64_t at_ns) {
    if (timed_end_ == 0 || place < timed_end_) return;
    timed_end_ = 0;
    sample(at_ns - timed_at_ns_);
  }

 private:
  static constexpr uint64_t longest_ns = 60 * s;     // RFC 6298 (2.5)
  static constexpr uint64_t shortest_ns = 200 * ms;  // Linux; RFC 6298 would have a second

  void sample(uint64_t ns) {
    if (!smooth_ns_) {
      smooth_ns_ = ns;
      varies_ns_ = ns / 2;
    } else {
      const uint64_t off = ns > *smooth_ns_ ? ns - *smooth_ns_ : *smooth_ns_ - ns;
      varies_ns_ = varies_ns_ * 3 / 4 + off / 4;
      smooth_ns_ = *smooth_ns_ * 7 / 8 + ns / 8;
    }
    base_ns_ =
        std::clamp(*smooth_ns_ + std::max(4 * varies_ns_, shortest_ns), shortest_ns, longest_ns);
  }

  std::optional<uint64_t> smooth_ns_;
  uint64_t varies_ns_ = 0, base_ns_ = 1 * s;
  uint32_t resends_ = 0;
  uint64_t timed_end_ = 0, timed_at_ns_ = 0;
};

}  // namespace surgegate::simulator
