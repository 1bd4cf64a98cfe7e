// SPDX-License-Identifier: BSD-3-Clause
// What is kept of a flow beyond its entry: the bytes of a request head that comes in pieces, until
// its last piece is judged, and the parts of the stream that were judged before the last one, as
// long as they may be sent again. One pool for a worker, of records of one size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "config/flow.h"
#include "config/limits.h"
#include "config/policy_abi.h"

namespace surgegate {

struct KeptRange {
  uint32_t start_seq;
  uint32_t hash;
  uint16_t length_bytes;
  uint16_t reserved;
};

struct KeptHead {
  uint64_t flow_hash;  // 0: free
  uint32_t start_seq;  // of bytes[0]
  uint32_t head_began_ticks;
  uint16_t length_bytes;
  uint16_t older;  // neighbours among the records in use, by the time of taking
  uint16_t newer;
  uint16_t ranges_first;  // of a ring
  uint16_t ranges_count;
  uint16_t reserved[3];
  char bytes[SG_HEAD_BYTES_MAX];
  KeptRange ranges[SG_KEPT_RANGES_MAX];

  uint32_t end_seq() const { return start_seq + length_bytes; }
  uint32_t room_bytes() const { return SG_HEAD_BYTES_MAX - length_bytes; }

  // In the order of the stream. i < ranges_count.
  const KeptRange& range(uint32_t i) const {
    return ranges[(ranges_first + i) % SG_KEPT_RANGES_MAX];
  }
  // Behind all others. When there is no room the oldest goes, and with it what is kept of before
  // it: then true.
  bool add_range(const KeptRange& range);
};

static_assert(sizeof(KeptHead) == 5 * 4096, "whole pages, so that an idle record costs no memory");
static_assert(SG_HEAD_BYTES_MAX <= 0xffff, "lengths of kept bytes are 16 bits");
static_assert(SG_KEPT_HEADS_MAX < 0xffff, "an entry names its record in 16 bits; 0xffff is none");

class KeptHeads {
 public:
  // count: 1 .. SG_KEPT_HEADS_MAX.
  explicit KeptHeads(uint32_t count);

  // The flow's record, or nullptr: it has none, or lost it.
  KeptHead* of(const sg_flow& flow) const;

  // An empty record for a flow that has none. When all are in use, the one that was taken longest
  // ago changes hands: who sends his head slowly loses it to those who do not.
  KeptHead& take(sg_flow& flow);

  void give_back(sg_flow& flow);

  uint64_t evicted() const { return evicted_; }

 private:
  struct Unmap {
    size_t bytes = 0;
    void operator()(KeptHead* records) const;
  };
  void unlink(uint16_t index);
  void link_newest(uint16_t index);

  uint32_t count_;
  std::unique_ptr<KeptHead[], Unmap> records_;
  std::vector<uint16_t> free_;  // a stack
  uint16_t oldest_ = SG_NONE16;
  uint16_t newest_ = SG_NONE16;
  uint64_t evicted_ = 0;
};

}  // namespace surgegate
