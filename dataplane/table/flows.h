// SPDX-License-Identifier: BSD-3-Clause
// The flow table: set-associative, four entries a set, over memory that outlives the process. A
// worker touches only the shards that it owns, so that nothing here is atomic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "config/flow.h"
#include "config/limits.h"

namespace surgegate {

inline uint32_t flow_ticks(uint64_t monotonic_ns) {
  return static_cast<uint32_t>(monotonic_ns / SG_FLOW_TICK_NS);
}

class FlowTable {
 public:
  // entries: SG_SHARDS * SG_FLOW_SET_ENTRIES * a power of two of them, zeroed when fresh; not
  // owned.
  explicit FlowTable(std::span<sg_flow> entries);

  static size_t entries_for(size_t flows_min);  // the smallest valid number that is not below

  void prefetch(uint64_t hash) const { __builtin_prefetch(preferred(hash), 1); }

  // The live entry of this flow, or nullptr.
  sg_flow* find(uint64_t hash, uint32_t now_ticks) const;

  // Where a flow that find() did not find may be entered, as it was left there; or nullptr when the
  // set holds only live flows: a SYN never costs a tracked flow its place.
  sg_flow* place_for(uint64_t hash, uint32_t now_ticks);
  // Where one that was met in the middle may be entered. Only what nobody would find any more gives
  // way to that, and others of its kind whose time is over.
  sg_flow* place_for_met(uint64_t hash, uint32_t now_ticks);
  // Makes it a fresh entry in state SG_FLOW_OPENING.
  static void enter(sg_flow& place, uint64_t hash, uint32_t now_ticks);

  static void remove(sg_flow& flow) { flow = sg_flow{}; }

  // Whether the entry's lifetime is over; then anybody may take it.
  static bool expired(const sg_flow& flow, uint32_t now_ticks);

  std::span<const sg_flow> entries() const { return entries_; }

 private:
  // The set's first entry, and the one in it where this flow is put first and looked for first:
  // most lookups touch one line.
  sg_flow* set(uint64_t hash) const;
  sg_flow* preferred(uint64_t hash) const { return set(hash) + way(hash); }
  static uint32_t way(uint64_t hash) { return (hash >> 54) % SG_FLOW_SET_ENTRIES; }

  std::span<sg_flow> entries_;
  uint64_t set_mask_;  // within a shard
};

}  // namespace surgegate
