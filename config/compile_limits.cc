// SPDX-License-Identifier: BSD-3-Clause
// Limits: one record for each (service, limit) that can count a packet, connection or request.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "config/compile_draft.h"

namespace surgegate {
namespace {

static_assert(int(policy::Unit::packets) == SG_UNIT_PACKETS &&
              int(policy::Unit::connections) == SG_UNIT_CONNECTIONS &&
              int(policy::Unit::requests) == SG_UNIT_REQUESTS);
static_assert(int(policy::OverKind::response) == SG_OVER_RESPONSE &&
              int(policy::OverKind::drop) == SG_OVER_DROP &&
              int(policy::OverKind::cookie) == SG_OVER_COOKIE);
static_assert(int(policy::KeyKind::source) == SG_KEY_SOURCE &&
              int(policy::KeyKind::client) == SG_KEY_CLIENT &&
              int(policy::KeyKind::path) == SG_KEY_PATH &&
              int(policy::KeyKind::method) == SG_KEY_METHOD &&
              int(policy::KeyKind::host) == SG_KEY_HOST &&
              int(policy::KeyKind::header) == SG_KEY_HEADER);
static_assert(int(policy::Mode::count) == SG_COUNT &&
              int(policy::Scope::cluster) == SG_SCOPE_CLUSTER);

// A difference that an operator may wonder about.
constexpr double shortfall_worth_a_note = 1e-4;

const policy::Limit* find_limit(const policy::Policy& policy, std::string_view name) {
  auto found = std::find_if(policy.limits.begin(), policy.limits.end(),
                            [&](const policy::Limit& limit) { return limit.name.value == name; });
  return found == policy.limits.end() ? nullptr : &*found;
}

uint16_t service_index(const policy::Policy& policy, std::string_view name) {
  for (uint16_t i = 0; i < policy.services.size(); i++)
    if (policy.services[i].name.value == name) return i;
  return SG_NONE16;
}

void set_key(Draft& draft, const policy::Limit& limit, sg_limit& record) {
  if (limit.key.size() > SG_LIMIT_KEY_PARTS_MAX)
    return draft.fault(
        limit.name.place,
        fmt::format("the key of limit {} has {} parts", limit.name.value, limit.key.size()),
        fmt::format("at most {}", SG_LIMIT_KEY_PARTS_MAX));
  for (const policy::KeyPart& part : limit.key) {
    sg_key_part& to = record.key[record.key_part_count++];
    to.kind = static_cast<__u8>(part.kind);
    if (part.kind == policy::KeyKind::header)
      to.header_index = draft.header(part.header, part.place);
  }
}

uint16_t known_list(Draft& draft, const policy::Limit& limit) {
  if (!limit.known) return SG_NONE16;
  auto list = draft.lists.find(limit.known->value);
  if (list != draft.lists.end() && draft.sections.lists[list->second].is_key_list)
    return list->second;
  draft.fault(limit.known->place, fmt::format("no list of keys is named {}", limit.known->value));
  return SG_NONE16;
}

// RateLimit-Policy and RateLimit [draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4]: a
// quota of the whole burst, in the time in which that comes back. What is left is less than the
// refused request would have taken, which is told as nothing.
std::string ratelimit_fields(const policy::Limit& limit, const CompiledRule& rule) {
  constexpr uint64_t ns_per_s = 1'000'000'000;
  const uint64_t window_s = std::max<uint64_t>((rule.rule.horizon_ns + ns_per_s - 1) / ns_per_s, 1);
  return fmt::format("\r\nRateLimit-Policy: \"{0}\";q={1};w={2}\r\nRateLimit: \"{0}\";r=0;t=",
                     limit.name.value, limit.burst_units.value, window_s);
}

// Whether the clients behind one bucket are many.
bool is_shared(const sg_limit& limit) {
  for (size_t i = 0; i < limit.key_part_count; i++) {
    const __u8 kind = limit.key[i].kind;
    if (kind == SG_KEY_SOURCE || kind == SG_KEY_CLIENT || kind == SG_KEY_HEADER) return false;
  }
  return true;
}

// The record without its missing_limit.
sg_limit limit_record(Draft& draft, uint16_t service_index, const policy::Limit& limit) {
  const std::string name =
      fmt::format("{}/{}", draft.policy().services[service_index].name.value, limit.name.value);
  sg_limit record{};
  record.id = draft.identify("limit", name, limit.name.place);
  record.name = draft.text(name);
  const CompiledRule& rule = draft.limit_rules[limit.name.value];
  record.rule = rule.rule;
  record.units_per_charge = rule.units_per_charge;
  record.service = service_index;
  record.unit = static_cast<__u8>(limit.unit);
  record.over = static_cast<__u8>(limit.over.value.kind);
  record.over_response = limit.over.value.kind == policy::OverKind::response
                             ? draft.response(limit.over.value.response)
                             : SG_NONE16;
  record.missing_limit = SG_NONE16;
  record.missing_response =
      limit.missing_status ? draft.response(*limit.missing_status) : SG_NONE16;
  record.unknown_response = limit.unknown ? draft.response(*limit.unknown) : SG_NONE16;
  record.known_list = known_list(draft, limit);
  record.mode = static_cast<__u8>(limit.mode);
  record.scope = static_cast<__u8>(limit.scope.value);
  record.prefix_v4_bits = limit.prefix_v4_bits;
  record.prefix_v6_bits = limit.prefix_v6_bits;
  set_key(draft, limit, record);
  record.shared = is_shared(record);
  if (limit.unit == policy::Unit::requests && record.over == SG_OVER_RESPONSE)
    record.ratelimit = draft.text(ratelimit_fields(limit, rule));
  return record;
}

struct Added {
  uint16_t index = SG_NONE16;
  bool is_new = false;
  const policy::Limit* limit = nullptr;
};

Added add_limit(Draft& draft, uint16_t service_index, const policy::Name& limit_name) {
  Added added;
  added.limit = find_limit(draft.policy(), limit_name.value);
  if (!added.limit) {
    draft.fault(limit_name.place, fmt::format("no limit is named {}", limit_name.value));
    return added;
  }
  const std::pair key(service_index, limit_name.value);
  if (auto known = draft.limits.find(key); known != draft.limits.end()) {
    added.index = known->second;
    return added;
  }
  added.index = draft.next_index(draft.sections.limits, "limits", limit_name.place);
  if (added.index == SG_NONE16) return added;
  added.is_new = true;
  draft.limits[key] = added.index;
  draft.sections.limits.push_back(limit_record(draft, service_index, *added.limit));
  return added;
}

// A reader follows the chain request by request: it has an end, and that is near.
void check_missing_chain(Draft& draft, uint16_t index, const policy::Name& limit) {
  const auto& limits = draft.sections.limits;
  for (int hops = 0; limits[index].missing_limit != SG_NONE16; hops++) {
    if (hops == SG_MISSING_LIMITS_MAX)
      return draft.fault(limit.place,
                         fmt::format("the `missing` limits of {} form a circle or a chain of more "
                                     "than {}",
                                     limit.value, SG_MISSING_LIMITS_MAX));
    index = limits[index].missing_limit;
  }
}

void note_rounding(Draft& draft, const policy::Limit& limit, const CompiledRule& rule) {
  const double shortfall = shortfall_of(limit.rate.value, rule);
  if (shortfall < shortfall_worth_a_note) return;
  draft.report().note(
      limit.rate.place,
      fmt::format("limit {} admits {:.3f} % less than its rate: its interval is whole "
                  "nanoseconds, {} of them",
                  limit.name.value, shortfall * 100, rule.rule.interval_ns));
}

}  // namespace

void compile_limit_rules(Draft& draft) {
  for (const policy::Limit& limit : draft.policy().limits) {
    auto rule = compile_rule(limit.rate.value, limit.burst_units.value);
    if (!rule) {
      draft.fault(limit.rate.place, fmt::format("limit {}: {}", limit.name.value, rule.error()));
      continue;
    }
    note_rounding(draft, limit, *rule);
    draft.limit_rules[limit.name.value] = *rule;
  }
}

uint16_t service_limit(Draft& draft, uint16_t service_index, const policy::Name& limit_name) {
  const Added first = add_limit(draft, service_index, limit_name);
  Added added = first;
  while (added.is_new && added.limit->missing_limit) {
    const policy::Name& name = *added.limit->missing_limit;
    const Added next = add_limit(draft, service_index, name);
    if (next.index == SG_NONE16) return first.index;
    if (next.limit->unit != added.limit->unit)
      draft.fault(
          name.place,
          fmt::format("limit {} counts another unit than {}, for which it is to count where "
                      "a header is missing",
                      name.value, added.limit->name.value));
    draft.sections.limits[added.index].missing_limit = next.index;
    added = next;
  }
  if (first.is_new) check_missing_chain(draft, first.index, limit_name);
  return first.index;
}

sg_limit_run limit_run(Draft& draft, const std::vector<uint16_t>& limits) {
  auto& refs = draft.sections.limit_refs;
  const sg_limit_run run = {static_cast<__u32>(refs.size()), static_cast<__u32>(limits.size())};
  refs.insert(refs.end(), limits.begin(), limits.end());
  return run;
}

void compile_overrides(Draft& draft) {
  for (const policy::Override& over : draft.policy().overrides) {
    const std::string name = fmt::format("{}/{}", over.service.value, over.limit.value);
    auto found =
        draft.limits.find({service_index(draft.policy(), over.service.value), over.limit.value});
    const policy::Limit* limit = find_limit(draft.policy(), over.limit.value);
    if (found == draft.limits.end() || !limit) {
      draft.fault(over.place, fmt::format("no service has the limit {} that is overridden", name));
      continue;
    }
    sg_limit& record = draft.sections.limits[found->second];
    if (record.override_until_unix_s != 0) {
      draft.fault(over.place, fmt::format("limit {} is overridden twice", name));
      continue;
    }
    auto rule = compile_rule(over.rate.value, over.burst_units.value_or(limit->burst_units.value));
    if (!rule || over.until_unix_s.value == 0) {
      draft.fault(over.place, fmt::format("override of limit {}: {}", name,
                                          rule ? "it has no end" : rule.error()));
      continue;
    }
    record.override_rule = rule->rule;
    record.override_units_per_charge = rule->units_per_charge;
    record.override_until_unix_s = over.until_unix_s.value;
  }
}

namespace {

// The widest of now and of the image before, by id.
void remember_budgets(Draft& draft) {
  std::unordered_map<uint64_t, const sg_service*> before;
  if (draft.previous())
    for (const sg_service& old : draft.previous()->services()) before[old.id] = &old;
  for (sg_service& service : draft.sections.services) {
    auto old = before.find(service.id);
    if (old == before.end()) continue;
    for (size_t kind = 0; kind < SG_BUDGET_COUNT; kind++) {
      __u64& seen_ns = service.budgets[kind].rule.horizon_seen_ns;
      seen_ns = std::max(seen_ns, old->second->budgets[kind].rule.horizon_seen_ns);
    }
  }
}

}  // namespace

// A bucket outlives an image, and a time in it may lie as far ahead as any rule put it since: under
// this limit's rule, under its override, or under those of the images before. Carried from image to
// image, so that two reloads in a row forget no more than one.
void remember_horizons(Draft& draft) {
  std::unordered_map<uint64_t, const sg_limit*> before;
  if (draft.previous())
    for (const sg_limit& old : draft.previous()->limits()) before[old.id] = &old;
  for (sg_limit& limit : draft.sections.limits) {
    uint64_t seen_ns = std::max(limit.rule.horizon_ns, limit.override_rule.horizon_ns);
    if (auto old = before.find(limit.id); old != before.end())
      seen_ns = std::max<uint64_t>(seen_ns, old->second->rule.horizon_seen_ns);
    limit.rule.horizon_seen_ns = seen_ns;
    if (limit.override_until_unix_s != 0) limit.override_rule.horizon_seen_ns = seen_ns;
  }
  remember_budgets(draft);
}

}  // namespace surgegate
