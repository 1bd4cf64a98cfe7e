// SPDX-License-Identifier: BSD-3-Clause
// The arena: the state that outlives the process. A few regions of fixed-size records in memory
// that somebody else keeps alive: a file on hugetlbfs, or pinned BPF maps that XDP works on too. In
// replay and tests it is plain memory. What lies in a region holds no pointers and no image
// positions, for the next process maps it elsewhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "config/flow_hash.h"
#include "config/types.h"
#include "dataplane/table/arena_memory.h"

namespace surgegate {

// Grows whenever a record of any region changes its meaning without changing its size.
inline constexpr uint64_t arena_abi = 1;

// Record 0 of Region::header. last_scrub_ns changes while the arena is in use: one thread writes
// it, any may read it.
struct ArenaHeader {
  __u64 magic;  // written last: what a crash left half made is recognised
  __u64 layout_hash;
  __u8 boot_id[16];     // CLOCK_MONOTONIC means nothing after the next boot
  __u64 secret_id;      // of Region::secret, without giving it away
  __u64 created_ns;     // CLOCK_MONOTONIC, as are all
  __u64 generation;     // how often the arena was opened, from 1
  __u64 last_scrub_ns;  // start of the scrubber's last whole pass: no bucket is staler
  // The pass that is under way. Kept here so that a process which restarts every half hour finishes
  // a pass all the same.
  __u64 scrub_started_ns;
  __u64 scrub_next_cell;
};
static_assert(sizeof(ArenaHeader) == 80);

enum class ArenaKind : uint8_t { memory, huge_file, bpf_maps };

struct ArenaOptions {
  ArenaKind kind = ArenaKind::memory;
  std::string path;    // huge_file: a file. bpf_maps: a directory on a bpffs. Made if missing
  ArenaLayout layout;  // of all regions but header and secret, which are always there
  std::optional<sg_secret> secret;  // none: the one that is there, or else a random one
  uint64_t now_ns = 0;              // CLOCK_MONOTONIC
  std::string boot_id;              // in the form of, and if empty from, random/boot_id in /proc
};

enum class ArenaState : uint8_t {
  created,          // there was none
  kept,             // as it was left
  buckets_cleared,  // kept, but for buckets too old to be told from the future: all are full again
  recreated,        // what was there could not be used
};

// Owns the mapping, not the state: destroying it loses nothing (but for ArenaKind::memory). Opening
// allocates and makes system calls, nothing else does. Any thread may use the regions.
class Arena {
 public:
  // Attaches to what is there, or makes it. An error says what failed, where, why and what to do.
  static tl::expected<Arena, std::string> open(ArenaOptions options);

  // Page-aligned; stays where it is as long as the arena lives. Empty if the layout has none.
  std::span<std::byte> region(Region region) const { return memory_.region(region); }

  // The region as the T that the layout sized it for.
  template <typename T>
  std::span<T> records(Region region) const {
    const std::span<std::byte> bytes = memory_.region(region);
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  ArenaHeader& header() const { return records<ArenaHeader>(Region::header)[0]; }
  const sg_secret& secret() const { return records<sg_secret>(Region::secret)[0]; }

  ArenaState state() const { return state_; }
  // Why what was there was not kept whole, as the end of a sentence; else empty.
  const std::string& state_reason() const { return state_reason_; }

  // The region's BPF map, for a program that is loaded to work on it; -1 if there is none.
  int map_fd(Region region) const { return memory_.map_fd(region); }

 private:
  Arena(ArenaMemory memory, ArenaState state, std::string reason)
      : memory_(std::move(memory)), state_(state), state_reason_(std::move(reason)) {}

  ArenaMemory memory_;
  ArenaState state_;
  std::string state_reason_;
};

// 64 keyed bits that name a secret without giving it away.
uint64_t secret_id_of(const sg_secret& secret);

}  // namespace surgegate
