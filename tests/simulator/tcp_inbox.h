// SPDX-License-Identifier: BSD-3-Clause
// The receiving half of a TCP: what came, in any order, becomes a stream [RFC 9293
// section 3.10.7.4]. Places in a stream are counted from its SYN, which is 0, in 64 bits: they
// never come round.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace surgegate::simulator {

class Inbox {
 public:
  explicit Inbox(uint32_t window_bytes) : window_bytes_(window_bytes) {}

  void open(uint32_t first_seq) {
    first_seq_ = first_seq;
    next_ = 1;
  }
  // The place that a sequence number means: the one that is nearest to what is waited for.
  uint64_t place_of(uint32_t seq) const {
    return next_ +
           static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(seq - ack_seq())));
  }
  uint32_t ack_seq() const { return first_seq_ + static_cast<uint32_t>(next_); }
  uint64_t next() const { return next_; }
  bool has_finished() const { return finished_; }
  bool has_holes() const { return !early_.empty(); }
  uint16_t window_bytes() const { return static_cast<uint16_t>(window_bytes_); }

  // RFC 9293 table 6. length: with FIN and SYN.
  bool is_acceptable(uint64_t place, uint64_t length) const {
    const auto from = static_cast<int64_t>(place), next = static_cast<int64_t>(next_);
    const int64_t end = next + window_bytes_;
    if (length == 0) return next <= from && from < end;
    return from < end && from + static_cast<int64_t>(length) > next;
  }

  // What of it is new and in order is returned.
  std::string take(uint64_t place, std::string_view bytes, bool fin);

 private:
  uint32_t window_bytes_;
  uint32_t first_seq_ = 0;
  uint64_t next_ = 0;
  uint64_t fin_at_ = UINT64_MAX;
  bool finished_ = false;
  std::map<uint64_t, std::string> early_;
};

}  // namespace surgegate::simulator
