// SPDX-License-Identifier: BSD-3-Clause
// Limits and their overrides: rates that a bucket can keep, and the names that they mention.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "config/check.h"
#include "config/check_parts.h"
#include "config/limits.h"

namespace surgegate::policy {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t ns_per_s = 1'000'000'000;

bool is_faster_than(const Rate& rate, uint64_t units_per_s) {
  return Wide{rate.units} * ns_per_s > Wide{units_per_s} * rate.per_ns;
}

// What a bucket can keep: see the comment on buckets in limits.h. Without a burst (a capacity may
// have none) only the rate is judged.
void check_rate(Report& report, const Placed<Rate>& at, const Placed<uint64_t>& burst) {
  const Rate& rate = at.value;
  if (rate.units == 0) return;
  if (is_faster_than(rate, SG_POLICY_RATE_PER_S_MAX))
    return report.fault(at.place, "a rate above a unit each nanosecond", "1G/s at most");
  if (Wide{rate.units} * SG_BUCKET_HORIZON_NS_MAX < rate.per_ns)
    return report.fault(at.place, "a rate below one unit in 24 hours: a bucket remembers no longer",
                        "1/d at least");
  if (burst.value == 0) return;
  const Wide units_max = Wide{SG_BUCKET_HORIZON_NS_MAX} * rate.units / rate.per_ns;
  if (burst.value > units_max)
    return report.fault(
        burst.place,
        fmt::format("a burst of {} takes longer than 24 hours to come back at this rate",
                    burst.value),
        fmt::format("{} at most", static_cast<uint64_t>(units_max)));
  if (is_faster_than(rate, SG_LEASE_RATE_PER_S) && burst.value < SG_LEASE_UNITS)
    report.fault(burst.place,
                 fmt::format("a burst of {} at a rate above {}M/s: such a bucket is charged {} "
                             "units at a time",
                             burst.value, SG_LEASE_RATE_PER_S / 1000000, SG_LEASE_UNITS),
                 fmt::format("{} or more", SG_LEASE_UNITS));
}

// Where a header is missing another limit counts the same request, and where that one's header is
// missing, another: the dataplane follows at most SG_MISSING_LIMITS_MAX of them.
void check_missing(Checked& checked, const Limit& limit) {
  const Limit* next = checked.limits.use(checked.report, *limit.missing_limit);
  if (!next) return;
  const Place& place = limit.missing_limit->place;
  if (next->unit != limit.unit)
    checked.report.fault(place,
                         fmt::format("limit {} counts something else than limit {}",
                                     quote(next->name.value), quote(limit.name.value)),
                         "a limit of the same unit");
  for (size_t hops = 1; next; hops++) {
    if (next == &limit)
      return checked.report.fault(place, fmt::format("`missing` leads from limit {} back to itself",
                                                     quote(limit.name.value)));
    if (hops > SG_MISSING_LIMITS_MAX)
      return checked.report.fault(
          place, fmt::format("`missing` leads on more than {} times", SG_MISSING_LIMITS_MAX));
    next = next->missing_limit ? checked.limits.find(*next->missing_limit) : nullptr;
  }
}

void check_known(Checked& checked, const Limit& limit) {
  const List* list = checked.lists.use(checked.report, *limit.known);
  if (list && list->kind != ListKind::key)
    checked.report.fault(limit.known->place,
                         fmt::format("list {} has addresses, not keys", quote(list->name.value)),
                         "a list with `kind: key`");
}

bool uses(const Service& service, const std::string& limit) {
  const auto has = [&](const std::vector<Name>& names) {
    return std::any_of(names.begin(), names.end(),
                       [&](const Name& name) { return name.value == limit; });
  };
  return has(service.limits) || std::any_of(service.routes.begin(), service.routes.end(),
                                            [&](const Route& route) { return has(route.limits); });
}

bool leads_to(const Checked& checked, const Limit& limit, const Limit& target) {
  const auto reached = with_missing(checked, limit);
  return std::find(reached.begin(), reached.end(), &target) != reached.end();
}

// Also where a limit is reached by `missing` alone.
bool reaches(const Checked& checked, const Service& service, const Limit& target) {
  return std::any_of(checked.policy.limits.begin(), checked.policy.limits.end(),
                     [&](const Limit& limit) {
                       return uses(service, limit.name.value) && leads_to(checked, limit, target);
                     });
}

// An override may not make a request impossible that costs more than one unit.
void check_costs(Checked& checked, const Service& service, const Limit& limit,
                 const Override& override) {
  if (limit.unit != Unit::requests || !override.burst_units) return;
  for (const Route& route : service.routes) {
    auto meets = [&](const Name& name) {
      const Limit* named = checked.limits.find(name);
      return named && leads_to(checked, *named, limit);
    };
    const bool is_met = std::any_of(service.limits.begin(), service.limits.end(), meets) ||
                        std::any_of(route.limits.begin(), route.limits.end(), meets);
    if (is_met && route.cost.value > *override.burst_units)
      checked.report.fault(
          override.place,
          fmt::format("a burst of {} refuses every request of the route in line {}, which costs {}",
                      *override.burst_units, route.place.line, route.cost.value),
          fmt::format("{} or more", route.cost.value));
  }
}

}  // namespace

std::vector<const Limit*> with_missing(const Checked& checked, const Limit& limit) {
  std::vector<const Limit*> all;
  const Limit* at = &limit;
  while (at && all.size() <= SG_MISSING_LIMITS_MAX) {
    all.push_back(at);
    at = at->missing_limit ? checked.limits.find(*at->missing_limit) : nullptr;
  }
  return all;
}

void check_limits(Checked& checked) {
  for (const Limit& limit : checked.policy.limits) {
    check_rate(checked.report, limit.rate, limit.burst_units);
    if (limit.over.value.kind == OverKind::response)
      checked.use_response(limit.over.value.response);
    if (limit.known) check_known(checked, limit);
    if (limit.missing_limit) check_missing(checked, limit);
  }
  for (const List& list : checked.policy.lists)
    if (list.ceiling) check_rate(checked.report, *list.ceiling, {});
  for (const Service& service : checked.policy.services) {
    if (service.answers) check_rate(checked.report, *service.answers, {});
    if (service.strays) check_rate(checked.report, *service.strays, {});
    if (service.capacity) {
      const Capacity& capacity = service.capacity->value;
      check_rate(checked.report, capacity.rate,
                 {capacity.burst_units.value_or(0), capacity.rate.place});
    }
  }
}

void check_overrides(Checked& checked) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Override& override : checked.policy.overrides) {
    const Service* service = checked.services.use(checked.report, override.service);
    const Limit* limit = checked.limits.find(override.limit);
    if (!limit) checked.limits.use(checked.report, override.limit);
    if (!service || !limit) continue;
    if (!reaches(checked, *service, *limit))
      checked.report.fault(override.limit.place,
                           fmt::format("service {} does not use limit {}: there is nothing to "
                                       "override",
                                       quote(service->name.value), quote(limit->name.value)));
    if (!seen.emplace(service->name.value, limit->name.value).second)
      checked.report.fault(override.place,
                           fmt::format("limit {} of service {} is overridden twice",
                                       quote(limit->name.value), quote(service->name.value)),
                           "one override");
    check_costs(checked, *service, *limit, override);
    const Place& place = override.rate.place;
    check_rate(checked.report, override.rate,
               {override.burst_units.value_or(limit->burst_units.value), place});
  }
}

namespace {

std::string long_ago(uint64_t seconds) {
  constexpr std::array<std::pair<uint64_t, std::string_view>, 3> units = {
      {{86400, "day"}, {3600, "hour"}, {60, "minute"}}};
  for (const auto& [unit_s, name] : units)
    if (const uint64_t count = seconds / unit_s; count > 0)
      return fmt::format("{} {}{} ago", count, name, count == 1 ? "" : "s");
  return "just now";
}

}  // namespace

void check_ended(const Policy& policy, uint64_t now_unix_s, std::vector<Finding>& findings) {
  Report report(findings);
  for (const Override& override : policy.overrides) {
    const auto& until = override.until_unix_s;
    if (until.value == 0 || until.value > now_unix_s) continue;  // 0: it could not be read
    report.warn(until.place, fmt::format("the override of {}/{} ended {}: it does nothing",
                                         override.service.value, override.limit.value,
                                         long_ago(now_unix_s - until.value)));
  }
}

}  // namespace surgegate::policy
