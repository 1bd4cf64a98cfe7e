// SPDX-License-Identifier: BSD-3-Clause
#include "config/compile_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace surgegate {
namespace {

__extension__ typedef unsigned __int128 Wide;

constexpr uint64_t ns_per_s = 1'000'000'000;

bool wants_leases(const policy::Rate& rate) {
  return Wide{rate.units} * ns_per_s > Wide{SG_LEASE_RATE_PER_S} * rate.per_ns;
}

}  // namespace

tl::expected<CompiledRule, std::string> compile_rule(const policy::Rate& rate,
                                                     uint64_t burst_units) {
  if (rate.units == 0 || rate.per_ns == 0)
    return tl::unexpected<std::string>("a rate of 0 admits nothing");
  if (burst_units == 0) return tl::unexpected<std::string>("a burst of 0 admits nothing");
  CompiledRule compiled;
  compiled.units_per_charge = wants_leases(rate) ? SG_LEASE_UNITS : 1;
  const Wide period_ns = Wide{rate.per_ns} * compiled.units_per_charge;
  const Wide interval_ns = (period_ns + rate.units - 1) / rate.units;
  if (period_ns < rate.units)
    return tl::unexpected(fmt::format("a rate above {} units each nanosecond", SG_LEASE_UNITS));
  if (interval_ns > SG_BUCKET_HORIZON_NS_MAX)
    return tl::unexpected<std::string>("a rate below one unit in 24 hours");
  const uint64_t charges = std::max<uint64_t>(1, burst_units / compiled.units_per_charge);
  const Wide horizon_ns = interval_ns * charges;
  if (horizon_ns > SG_BUCKET_HORIZON_NS_MAX)
    return tl::unexpected(fmt::format(
        "a burst of {} takes longer than 24 hours to come back at this rate; at most {} units do "
        "not",
        burst_units,
        static_cast<uint64_t>(SG_BUCKET_HORIZON_NS_MAX / interval_ns) * compiled.units_per_charge));
  compiled.rule.interval_ns = static_cast<uint64_t>(interval_ns);
  compiled.rule.horizon_ns = static_cast<uint64_t>(horizon_ns);
  compiled.rule.horizon_seen_ns = compiled.rule.horizon_ns;
  return compiled;
}

uint64_t default_burst_units(const policy::Rate& rate) {
  return units_in(rate, ns_per_s);
}

uint64_t units_in(const policy::Rate& rate, uint64_t ns) {
  if (rate.per_ns == 0) return 1;
  const Wide units = (Wide{rate.units} * ns + rate.per_ns - 1) / rate.per_ns;
  return std::max<uint64_t>(1, static_cast<uint64_t>(std::min<Wide>(units, UINT64_MAX)));
}

double shortfall_of(const policy::Rate& rate, const CompiledRule& rule) {
  const double exact_ns =
      static_cast<double>(rate.per_ns) * rule.units_per_charge / static_cast<double>(rate.units);
  return 1 - exact_ns / static_cast<double>(rule.rule.interval_ns);
}

}  // namespace surgegate
