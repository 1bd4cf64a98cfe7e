// SPDX-License-Identifier: BSD-3-Clause
// Bytes of streams that must be kept: of a request head that came in part, and of heads that were
// judged while an earlier request was not answered yet. With them a head is read whole however it
// was cut, and what is sent again is compared to the byte. A worker's own; plain memory, fixed at
// start. A flow's entry outlives the process, its kept bytes do not: a record says whose it is, so
// that a reference that has become stale is recognised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "config/flow.h"
#include "config/limits.h"
#include "config/policy_abi.h"

namespace surgegate {

struct KeptHead {
  uint64_t flow_hash;  // 0: free
  uint32_t start_seq;  // of bytes[0]
  uint16_t length_bytes;
  uint16_t head_at;  // where in bytes the head begins that is not complete yet
  uint16_t older;    // neighbours among the records in use, by the time of taking
  uint16_t newer;
  uint32_t head_began_ticks;
  char bytes[SG_HEAD_BYTES_MAX];

  uint32_t end_seq() const { return start_seq + length_bytes; }
  uint32_t room_bytes() const { return SG_HEAD_BYTES_MAX - length_bytes; }
};

static_assert(sizeof(KeptHead) == 1 << 14, "whole pages, so that an idle record costs no memory");
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
  struct Free {
    void operator()(KeptHead* records) const { std::free(records); }
  };
  void unlink(uint16_t index);
  void link_newest(uint16_t index);

  std::unique_ptr<KeptHead[], Free> records_;
  std::vector<uint16_t> free_;  // a stack
  uint16_t oldest_ = SG_NONE16;
  uint16_t newest_ = SG_NONE16;
  uint64_t evicted_ = 0;
};

}  // namespace surgegate
