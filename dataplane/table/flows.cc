// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/flows.h"

#include <bit>
#include <cassert>

#include "config/flow_hash.h"

namespace surgegate {
namespace {

constexpr uint32_t lifetime_ticks(uint64_t ns) {
  return static_cast<uint32_t>(ns / SG_FLOW_TICK_NS);
}

// By sg_flow_state: after how long an entry may be given to another flow. FREE never counts as
// live.
constexpr uint32_t lifetimes[] = {0,
                                  lifetime_ticks(SG_FLOW_OPENING_NS_MAX),
                                  lifetime_ticks(SG_FLOW_IDLE_NS_MAX),
                                  lifetime_ticks(SG_FLOW_CLOSING_NS_MAX),
                                  lifetime_ticks(SG_FLOW_REFUSED_NS_MAX),
                                  lifetime_ticks(SG_FLOW_OPENING_NS_MAX)};
static_assert(std::size(lifetimes) == SG_FLOW_MET + 1);

// Who met a flow in the middle may be anybody, with any address: such an entry costs no connection
// that opens its place. (One that was seen at this very moment may be in the hands of a lane.)
bool gives_way(const sg_flow& flow, uint32_t now_ticks) {
  return (flow.marks & SG_FLOW_STRAY) != 0 && flow.seen_ticks != now_ticks;
}

// A connection that is opening where another one was, which the backend may hold still.
bool opens_over_another(const sg_flow& flow) {
  return flow.state == SG_FLOW_OPENING &&
         ((flow.flags & SG_FLOW_OTHER) != 0 || (flow.marks & SG_FLOW_EARLIER) != 0);
}

// An arena kept from another boot may hold any byte: an unknown state is nobody's.
bool is_free(const sg_flow& flow) {
  return flow.hash == 0 || flow.state == SG_FLOW_FREE || flow.state > SG_FLOW_MET;
}

// Established, and no request has come.
bool is_unused(const sg_flow& flow) {
  bool begins = flow.reader == SG_READER_HEAD || flow.reader == SG_READER_HELLO;
  return flow.state == SG_FLOW_ESTABLISHED && begins && (flow.marks & SG_FLOW_STRAY) == 0 &&
         (flow.flags & SG_FLOW_HAS_REQUEST) == 0;
}

// While nobody took it, an entry is known for longer.
bool known(const sg_flow& flow, uint32_t now_ticks) {
  if (flow.state == SG_FLOW_FREE || flow.state > SG_FLOW_MET) return false;
  bool only_opens =
      flow.state == SG_FLOW_MET || (flow.state == SG_FLOW_OPENING && !opens_over_another(flow));
  uint64_t ns = only_opens ? SG_FLOW_OPENING_KNOWN_NS_MAX : SG_FLOW_IDLE_NS_MAX;
  return now_ticks - flow.seen_ticks <= lifetime_ticks(ns);
}

}  // namespace

FlowTable::FlowTable(std::span<sg_flow> entries)
    : entries_(entries), set_mask_(entries.size() / SG_SHARDS / SG_FLOW_SET_ENTRIES - 1) {
  assert(std::has_single_bit(entries.size()));
  assert(entries.size() >= SG_SHARDS * SG_FLOW_SET_ENTRIES);
}

size_t FlowTable::entries_for(size_t flows_min) {
  return std::bit_ceil(std::max<size_t>(flows_min, SG_SHARDS * SG_FLOW_SET_ENTRIES));
}

sg_flow* FlowTable::set(uint64_t hash) const {
  uint64_t set_index = sg_flow_shard(hash) * (set_mask_ + 1) + (hash & set_mask_);
  return &entries_[set_index * SG_FLOW_SET_ENTRIES];
}

bool FlowTable::expired(const sg_flow& flow, uint32_t now_ticks) {
  if (is_free(flow)) return true;
  uint32_t lifetime = lifetimes[flow.state];
  if (opens_over_another(flow)) lifetime = lifetime_ticks(SG_FLOW_SERVER_WAIT_NS);
  if (is_unused(flow)) lifetime = lifetime_ticks(SG_FLOW_UNUSED_NS_MAX);
  return now_ticks - flow.seen_ticks > lifetime;
}

sg_flow* FlowTable::find(uint64_t hash, uint32_t now_ticks) const {
  sg_flow* first = set(hash);
  for (uint32_t i = 0; i < SG_FLOW_SET_ENTRIES; i++) {
    sg_flow* flow = first + (way(hash) + i) % SG_FLOW_SET_ENTRIES;
    if (flow->hash == hash && flow->state <= SG_FLOW_MET)
      return known(*flow, now_ticks) ? flow : nullptr;
  }
  return nullptr;
}

// The flow's own dead entry comes first: two entries of one hash must never stand in a set. Then
// one that nobody has, then of those whose lifetime is over the one that was silent longest.
sg_flow* FlowTable::place_for(uint64_t hash, uint32_t now_ticks) {
  sg_flow* first = set(hash);
  sg_flow* taken = nullptr;
  sg_flow* weak = nullptr;
  auto age = [now_ticks](const sg_flow& flow) {
    return is_free(flow) ? UINT32_MAX : now_ticks - flow.seen_ticks;
  };
  for (uint32_t i = 0; i < SG_FLOW_SET_ENTRIES; i++) {
    sg_flow* flow = first + (way(hash) + i) % SG_FLOW_SET_ENTRIES;
    if (flow->hash == hash) return flow;
    if (weak == nullptr && gives_way(*flow, now_ticks)) weak = flow;
    if (!expired(*flow, now_ticks)) continue;
    if (taken == nullptr || age(*flow) > age(*taken)) taken = flow;
  }
  return taken != nullptr ? taken : weak;
}

sg_flow* FlowTable::place_for_met(uint64_t hash, uint32_t now_ticks) {
  sg_flow* first = set(hash);
  sg_flow* taken = nullptr;
  for (uint32_t i = 0; i < SG_FLOW_SET_ENTRIES; i++) {
    sg_flow* flow = first + (way(hash) + i) % SG_FLOW_SET_ENTRIES;
    if (flow->hash == hash) return flow;
    bool is_weak = flow->state == SG_FLOW_MET && expired(*flow, now_ticks);
    if (taken == nullptr && (is_weak || !known(*flow, now_ticks))) taken = flow;
  }
  return taken;
}

void FlowTable::enter(sg_flow& place, uint64_t hash, uint32_t now_ticks) {
  place = sg_flow{};
  place.hash = hash;
  place.seen_ticks = now_ticks;
  place.state = SG_FLOW_OPENING;
  place.backend_slot = 0xffff;
  place.kept_index = 0xffff;
}

}  // namespace surgegate
