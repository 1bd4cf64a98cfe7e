// SPDX-License-Identifier: BSD-3-Clause
// Pools, the slots of their backends, and their Maglev tables.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "config/compile_draft.h"
#include "config/maglev.h"

namespace surgegate {
namespace {

static_assert(int(policy::Forward::gue) == SG_FORWARD_GUE);
static_assert(int(policy::Challenge::accept) == SG_CHALLENGE_ACCEPT);
static_assert(int(policy::HealthKind::tls) == SG_HEALTH_TLS);

// Gives every backend of the policy a slot. Who has one keeps it. A newcomer gets a slot that was
// never used while there are any, then the one whose backend went longest ago: whatever still
// speaks of that backend (a pinned flow, the previous Maglev table) has had the most time to end.
class Slots {
 public:
  explicit Slots(Draft& draft) : draft_(draft), slots_(draft.sections.backends) { inherit(); }

  // A backend of this policy: the slot that it may have is not to be given away.
  void keep(uint64_t id) {
    if (auto slot = by_id_.find(id); slot != by_id_.end()) is_taken_[slot->second] = true;
  }

  std::optional<uint16_t> slot_of(uint64_t id) {
    if (auto slot = by_id_.find(id); slot != by_id_.end()) return slot->second;
    std::optional<uint16_t> slot = unused();
    if (!slot) return std::nullopt;
    by_id_[id] = *slot;
    is_taken_[*slot] = true;
    sg_backend& record = slots_[*slot];
    record.id = id;
    // 0 is the generation of a slot never used, so a wrap passes it by.
    if (++record.generation == 0) record.generation = 1;
    return slot;
  }

  // Marks what no backend of this policy keeps.
  void retire() {
    for (size_t i = 0; i < slots_.size(); i++) {
      sg_backend& slot = slots_[i];
      if (is_taken_[i] || slot.state == SG_BACKEND_FREE || slot.state == SG_BACKEND_GONE) continue;
      slot.state = SG_BACKEND_GONE;
      slot.gone_revision = draft_.revision();
    }
  }

 private:
  // Pools are renumbered from image to image: a slot of a pool that is gone names none.
  void inherit() {
    const ImageView* previous = draft_.previous();
    if (!previous) return;
    std::unordered_map<uint64_t, uint16_t> pool_by_id;
    for (uint16_t i = 0; i < draft_.sections.pools.size(); i++)
      pool_by_id[draft_.sections.pools[i].id] = i;
    for (const sg_backend& old : previous->backends()) {
      sg_backend slot = old;
      slot.name = draft_.text(previous->text(old.name));
      auto pool = old.pool == SG_NONE16 ? pool_by_id.end()
                                        : pool_by_id.find(previous->pools()[old.pool].id);
      slot.pool = pool == pool_by_id.end() ? SG_NONE16 : pool->second;
      if (slot.state != SG_BACKEND_FREE) by_id_[slot.id] = static_cast<uint16_t>(slots_.size());
      slots_.push_back(slot);
    }
    is_taken_.resize(slots_.size());
  }

  std::optional<uint16_t> unused() {
    if (slots_.size() < SG_BACKENDS_MAX) {
      slots_.push_back({});
      is_taken_.push_back(false);
      return static_cast<uint16_t>(slots_.size() - 1);
    }
    std::optional<uint16_t> longest_gone;
    for (uint16_t i = 0; i < slots_.size(); i++) {
      if (is_taken_[i]) continue;
      if (!longest_gone || gone_since(i) < gone_since(*longest_gone)) longest_gone = i;
    }
    if (longest_gone) by_id_.erase(slots_[*longest_gone].id);
    return longest_gone;
  }

  // A slot whose backend this very policy removes went last of all.
  uint64_t gone_since(uint16_t slot) const {
    return slots_[slot].state == SG_BACKEND_GONE ? slots_[slot].gone_revision : draft_.revision();
  }

  Draft& draft_;
  std::vector<sg_backend>& slots_;
  std::unordered_map<uint64_t, uint16_t> by_id_;
  std::vector<bool> is_taken_;
};

std::string backend_name(const policy::Pool& pool, const policy::Backend& backend) {
  return fmt::format("{}/{}", pool.name.value, backend.name.value);
}

sg_pool pool_record(Draft& draft, const policy::Pool& pool) {
  sg_pool record{};
  record.id = draft.identify("pool", pool.name.value, pool.name.place);
  record.name = draft.text(pool.name.value);
  record.forward = static_cast<__u8>(pool.forward.value);
  record.challenge = static_cast<__u8>(pool.challenge.value);
  if (!pool.health) return record;
  const policy::Health& health = pool.health->value;
  record.health_kind = static_cast<__u8>(health.kind);
  record.min_healthy_percent = health.min_healthy_percent;
  record.health_port = health.port;
  record.health_path = draft.text(health.path);
  record.health_interval_ns = health.interval_ns;
  record.health_timeout_ns = health.timeout_ns;
  record.health_fall = health.fall;
  record.health_rise = health.rise;
  if (health.min_healthy_percent > 100)
    draft.fault(pool.health->place, "min_healthy is more than 100 %");
  return record;
}

void fill_slot(Draft& draft, Slots& slots, const policy::Pool& pool, uint16_t pool_index,
               const policy::Backend& backend) {
  const std::string name = backend_name(pool, backend);
  auto slot = slots.slot_of(identity("backend", name));
  if (!slot)
    return draft.fault(
        backend.name.place,
        fmt::format("backend {} is one too many: there are {} slots for the backends "
                    "of all pools",
                    name, SG_BACKENDS_MAX));
  if (backend.weight >= SG_NONE16)
    draft.fault(backend.name.place,
                fmt::format("the weight of backend {} is {}", name, backend.weight),
                "at most 65534");
  sg_backend& record = draft.sections.backends[*slot];
  record.name = draft.text(name);
  record.gone_revision = 0;
  std::memcpy(record.ip, backend.address.value.bytes.data(), sizeof(record.ip));
  record.pool = pool_index;
  record.weight = static_cast<__u16>(backend.weight);
  record.state = backend.drain.value ? SG_BACKEND_DRAIN : SG_BACKEND_ACTIVE;
}

void add_current_table(Draft& draft, uint16_t pool_index) {
  std::vector<MaglevBackend> takers;
  const auto& slots = draft.sections.backends;
  for (uint16_t slot = 0; slot < slots.size(); slot++)
    if (slots[slot].pool == pool_index && slots[slot].state == SG_BACKEND_ACTIVE &&
        slots[slot].weight > 0)
      takers.push_back({slots[slot].id, slots[slot].weight, slot});
  sg_pool& pool = draft.sections.pools[pool_index];
  auto& all = draft.sections.maglev;
  pool.maglev_first = static_cast<__u32>(all.size());
  if (takers.empty()) return;
  pool.maglev_size = maglev_size(takers.size());
  const auto table = build_maglev(takers, pool.maglev_size);
  all.insert(all.end(), table.begin(), table.end());
}

// The table before this pool's last change: a change elsewhere, which leaves this pool's table as
// it was, must not make it forget. A slot that was given to another backend since is no longer the
// backend that the table meant.
std::vector<uint16_t> previous_table(const Draft& draft, const sg_pool& pool, uint16_t pool_index) {
  const std::span<const uint16_t> current{draft.sections.maglev.data() + pool.maglev_first,
                                          pool.maglev_size};
  const ImageView* image = draft.previous();
  const auto as_before = [&](const sg_pool& other) { return other.id == pool.id; };
  if (image) {
    const auto pools = image->pools();
    if (auto old = std::find_if(pools.begin(), pools.end(), as_before); old != pools.end()) {
      auto table = image->maglev().subspan(old->maglev_first, old->maglev_size);
      if (std::equal(table.begin(), table.end(), current.begin(), current.end()))
        table = image->maglev_previous().subspan(old->previous_first, old->previous_size);
      std::vector<uint16_t> kept(table.begin(), table.end());
      for (uint16_t& slot : kept) {
        if (slot == SG_NONE16) continue;
        const sg_backend& now = draft.sections.backends[slot];
        if (now.generation != image->backends()[slot].generation || now.pool != pool_index)
          slot = SG_NONE16;
      }
      return kept;
    }
  }
  return {current.begin(), current.end()};
}

void add_previous_table(Draft& draft, uint16_t pool_index) {
  sg_pool& pool = draft.sections.pools[pool_index];
  const auto table = previous_table(draft, pool, pool_index);
  auto& all = draft.sections.maglev_previous;
  pool.previous_first = static_cast<__u32>(all.size());
  pool.previous_size = static_cast<__u32>(table.size());
  all.insert(all.end(), table.begin(), table.end());
}

}  // namespace

void compile_pools(Draft& draft) {
  const auto& pools = draft.policy().pools;
  if (pools.size() > SG_POOLS_MAX)
    return draft.fault(
        pools[SG_POOLS_MAX].name.place,
        fmt::format("{} pools are too many: an image holds {}", pools.size(), SG_POOLS_MAX));
  for (const policy::Pool& pool : pools) {
    draft.pools[pool.name.value] = static_cast<uint16_t>(draft.sections.pools.size());
    draft.sections.pools.push_back(pool_record(draft, pool));
  }
  Slots slots(draft);
  for (const policy::Pool& pool : pools)
    for (const policy::Backend& backend : pool.backends)
      slots.keep(draft.identify("backend", backend_name(pool, backend), backend.name.place));
  for (uint16_t i = 0; i < pools.size(); i++)
    for (const policy::Backend& backend : pools[i].backends)
      fill_slot(draft, slots, pools[i], i, backend);
  slots.retire();
  for (uint16_t i = 0; i < pools.size(); i++) {
    add_current_table(draft, i);
    add_previous_table(draft, i);
  }
}

}  // namespace surgegate
