// SPDX-License-Identifier: BSD-3-Clause
// What the bucket table is held against: the same promises in arbitrary precision and absolute
// time, written for reading, not for speed.
#pragma once

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "config/bucket.h"
#include "tests/support/seed.h"

namespace surgegate {

using Exact = boost::multiprecision::cpp_int;
using ExactRational = boost::multiprecision::cpp_rational;

inline constexpr uint64_t one_us = 1000, one_ms = 1000 * one_us, one_s = 1000 * one_ms;
inline constexpr uint64_t one_minute = 60 * one_s, one_hour = 60 * one_minute;

inline uint64_t below(std::mt19937_64& random, uint64_t limit) {
  return random() % limit;
}

template <typename Container>
const auto& pick(std::mt19937_64& random, const Container& from) {
  return from[below(random, from.size())];
}

inline sg_bucket_rule rule_of(uint64_t interval_ns, uint64_t burst) {
  return {interval_ns, interval_ns * burst, interval_ns * burst};
}

// From one unit an hour to the fastest that is charged unit by unit.
inline std::vector<sg_bucket_rule> unleased_rules() {
  return {rule_of(one_hour, 1),
          rule_of(one_hour, 24),
          rule_of(12 * one_s, 5),
          rule_of(one_s, 86400),
          rule_of(10 * one_ms, 200),
          rule_of(3333334, 7),
          rule_of(500 * one_us, 4000),
          rule_of(10 * one_us, 1),
          rule_of(10 * one_us, 100000),
          rule_of(1001, 3),
          rule_of(500, 1),
          rule_of(500, 2000000)};
}

// One bucket, exact: the rule of config/bucket.h and nothing else.
class ExactBucket {
 public:
  // 0: the units conform. Not for units beyond the burst.
  Exact wait_ns(const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) const {
    const Exact after = std::max(tat_, Exact(now_ns)) + Exact(units) * rule.interval_ns;
    return std::max(Exact(after - now_ns - rule.horizon_ns), Exact(0));
  }
  void charge(const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) {
    tat_ = std::max(tat_, Exact(now_ns)) + Exact(units) * rule.interval_ns;
  }
  const Exact& tat() const { return tat_; }

 private:
  Exact tat_ = 0;
};

// One bucket charged in leases by one worker, exact: units stand interval / SG_LEASE_UNITS apart,
// and the bucket admits while the whole lease that they are of conforms.
class ExactLeasedBucket {
 public:
  Exact wait_ns(const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) const {
    const Exact after = lease_tat(now_ns) + leases_for(rule, units, now_ns) * rule.interval_ns;
    if (after == lease_tat(now_ns)) return 0;
    return std::max(Exact(after - now_ns - rule.horizon_ns), Exact(0));
  }
  void charge(const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) {
    const Exact leases = leases_for(rule, units, now_ns);
    unit_tat_ = unit_end(rule, units, now_ns);
    if (leases > 0) lease_tat_ = lease_tat(now_ns) + leases * rule.interval_ns;
  }
  Exact leases_for(const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) const {
    const ExactRational short_by =
        (unit_end(rule, units, now_ns) - ExactRational(lease_tat(now_ns))) / rule.interval_ns;
    if (short_by <= 0) return 0;
    return (numerator(short_by) + denominator(short_by) - 1) / denominator(short_by);
  }

 private:
  Exact lease_tat(uint64_t now_ns) const { return std::max(lease_tat_, Exact(now_ns)); }
  ExactRational unit_end(const sg_bucket_rule& rule, uint32_t units, uint64_t now_ns) const {
    return std::max(unit_tat_, ExactRational(now_ns)) +
           ExactRational(Exact(units) * rule.interval_ns, SG_LEASE_UNITS);
  }

  Exact lease_tat_ = 0;
  ExactRational unit_tat_ = 0;
};

// How far one bucket went beyond burst + rate * time in the worst of all windows. With S the sum of
// the prices up to an event (in ns / scale), a window from event i to event j holds S_j - S_(i-1)
// and may hold horizon + t_j - t_i: so the worst window that ends at j begins where S_(i-1) - t_i
// is least, and a running minimum tries them all.
class EveryWindow {
 public:
  explicit EveryWindow(uint64_t scale = 1) : scale_(scale) {}

  // Events in order of their time.
  void admitted(uint64_t now_ns, uint64_t price, uint64_t horizon_ns) {
    const Wide time = Wide{now_ns} * scale_;
    least_ = std::min(least_, sum_ - time);
    sum_ += price;
    worst_ = std::max(worst_, sum_ - time - least_ - Wide{horizon_ns} * scale_);
  }

  // <= 0: no window admitted more than it may. Else by how much, in ns / scale.
  __extension__ typedef __int128 Wide;
  Wide excess() const { return worst_; }

 private:
  Wide scale_;
  Wide sum_ = 0;
  Wide least_ = Wide{1} << 120;
  Wide worst_ = -(Wide{1} << 120);
};

}  // namespace surgegate
