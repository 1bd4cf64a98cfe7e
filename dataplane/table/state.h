// SPDX-License-Identifier: BSD-3-Clause
// What the workers remember, as it lies in an arena: flows, buckets, and who owns which shard.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

#include "config/bucket.h"
#include "config/flow.h"
#include "config/limits.h"
#include "dataplane/table/arena.h"
#include "dataplane/table/flows.h"

namespace surgegate {

// flows_min: how many flows there must be room for; bucket_sets: a power of two. A table of buckets
// is sized for twice the keys it shall hold (docs/buckets.md).
inline ArenaLayout state_layout(size_t flows_min, size_t bucket_sets) {
  auto flows = static_cast<uint32_t>(FlowTable::entries_for(flows_min));
  ArenaLayout layout;
  layout[Region::shard_map] = {8, SG_SHARDS / 8};
  layout[Region::buckets] = {sizeof(sg_bucket_set), static_cast<uint32_t>(bucket_sets)};
  layout[Region::flows] = {sizeof(sg_flow), flows};
  return layout;
}

// Worker of each shard. One byte a shard, so that a worker's change is one store; the map lies in
// the arena, so that another number of workers orphans no flow's shard.
inline std::span<uint8_t, SG_SHARDS> shard_owners(const Arena& arena) {
  return std::span<uint8_t, SG_SHARDS>(
      reinterpret_cast<uint8_t*>(arena.region(Region::shard_map).data()), SG_SHARDS);
}

// Deals the shards out evenly. Only while no worker runs.
inline void deal_shards(const Arena& arena, uint32_t workers) {
  auto owners = shard_owners(arena);
  for (size_t shard = 0; shard < owners.size(); shard++)
    owners[shard] = static_cast<uint8_t>(shard % workers);
}

static_assert(SG_WORKERS_MAX <= 256, "a worker's index is one byte in the shard map");

}  // namespace surgegate
