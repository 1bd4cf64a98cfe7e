// SPDX-License-Identifier: BSD-3-Clause
// From "100/s, burst 200" to the integers that a bucket is charged with.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

#include "config/model.h"
#include "config/policy_abi.h"

namespace surgegate {

// rule.horizon_seen_ns equals rule.horizon_ns; who knows an older rule widens it.
struct CompiledRule {
  sg_bucket_rule rule{};
  uint32_t units_per_charge = 0;
};

// interval_ns = units_per_charge * per_ns / units, rounded up, so that a limit never admits more
// than its rate; horizon_ns = interval * burst in charges (whole leases, rounded down, but at least
// one). Rates above SG_LEASE_RATE_PER_S are charged SG_LEASE_UNITS at a time. The error says what
// does not fit: a rate or burst of 0, a rate beyond one lease per nanosecond, a rate below one unit
// or a burst beyond what comes back in SG_BUCKET_HORIZON_NS_MAX.
tl::expected<CompiledRule, std::string> compile_rule(const policy::Rate& rate,
                                                     uint64_t burst_units);

// What a second of this rate lets through, rounded up: the burst where the policy gives none.
uint64_t default_burst_units(const policy::Rate& rate);

// So many units as come in this time, rounded up.
uint64_t units_in(const policy::Rate& rate, uint64_t ns);

// How much less than the policy's rate the integer interval admits, as a share: below 0.002 for
// single units, and below 0.0001 for leases up to 100 M/s.
double shortfall_of(const policy::Rate& rate, const CompiledRule& rule);

}  // namespace surgegate
