// SPDX-License-Identifier: BSD-3-Clause
#include "config/compile_rules.h"

#include <gtest/gtest.h>

namespace surgegate {
namespace {

constexpr uint64_t second_ns = 1'000'000'000;

CompiledRule rule_of(policy::Rate rate, uint64_t burst_units) {
  auto rule = compile_rule(rate, burst_units);
  EXPECT_TRUE(rule) << rule.error();
  return rule.value_or(CompiledRule{});
}

TEST(CompileRules, AnIntervalIsTheTimeOfOneUnit) {
  const CompiledRule rule = rule_of({100, second_ns}, 200);
  EXPECT_EQ(rule.rule.interval_ns, 10'000'000u);
  EXPECT_EQ(rule.rule.horizon_ns, 2 * second_ns);
  EXPECT_EQ(rule.rule.horizon_seen_ns, rule.rule.horizon_ns);
  EXPECT_EQ(rule.units_per_charge, 1u);
  EXPECT_EQ(rule_of({5, 60 * second_ns}, 5).rule.interval_ns, 12 * second_ns);
  EXPECT_EQ(rule_of({1, 3600 * second_ns}, 24).rule.horizon_ns, 86400 * second_ns);
}

// Rounded up: a limit of 3/s must not admit the fourth unit a nanosecond early, at any rate.
TEST(CompileRules, AnIntervalNeverAdmitsMoreThanTheRate) {
  EXPECT_EQ(rule_of({3, second_ns}, 1).rule.interval_ns, 333'333'334u);
  for (uint64_t rate :
       {3ull, 7ull, 999'999ull, 1'999'999ull, 2'000'001ull, 30'000'001ull, 999'999'999ull}) {
    const CompiledRule rule = rule_of({rate, second_ns}, 2000);
    const double shortfall = shortfall_of({rate, second_ns}, rule);
    EXPECT_GE(shortfall, 0) << rate;
    EXPECT_LT(shortfall, rule.units_per_charge == 1 ? 0.002 : 0.001) << rate;
  }
}

TEST(CompileRules, UnitsOfATime) {
  EXPECT_EQ(units_in({100, second_ns}, second_ns / 10), 10u);
  EXPECT_EQ(units_in({105, second_ns}, second_ns / 10), 11u);
  EXPECT_EQ(units_in({1, 60 * second_ns}, second_ns / 10), 1u);
  EXPECT_EQ(units_in({UINT64_MAX, second_ns}, UINT64_MAX), UINT64_MAX);
}

TEST(CompileRules, FastRatesAreChargedInLeases) {
  EXPECT_EQ(rule_of({2'000'000, second_ns}, 1).units_per_charge, 1u);
  EXPECT_EQ(rule_of({2'000'000, second_ns}, 1).rule.interval_ns, 500u);
  const CompiledRule rule = rule_of({10'000'000, second_ns}, 3000);
  EXPECT_EQ(rule.units_per_charge, 1024u);
  EXPECT_EQ(rule.rule.interval_ns, 102'400u);
  EXPECT_EQ(rule.rule.horizon_ns, 2 * 102'400u);  // 3,000 units hold two whole leases
  EXPECT_EQ(rule_of({10'000'000, second_ns}, 1).rule.horizon_ns, 102'400u);
}

TEST(CompileRules, WhatDoesNotFitIsRefusedWithTheReason) {
  EXPECT_FALSE(compile_rule({0, second_ns}, 1));
  EXPECT_FALSE(compile_rule({1, second_ns}, 0));
  EXPECT_FALSE(compile_rule({1, 86401 * second_ns}, 1));
  EXPECT_TRUE(compile_rule({1, 86400 * second_ns}, 1));
  EXPECT_FALSE(compile_rule({UINT64_MAX, second_ns}, 1));
  auto slow = compile_rule({1, 3600 * second_ns}, 25);
  ASSERT_FALSE(slow);
  EXPECT_NE(slow.error().find("at most 24 units"), std::string::npos) << slow.error();
  EXPECT_FALSE(compile_rule({100, second_ns}, UINT64_MAX));  // no overflow into a small horizon
  EXPECT_FALSE(compile_rule({10'000'000, second_ns}, UINT64_MAX));
  EXPECT_FALSE(compile_rule({100, second_ns}, UINT64_MAX / 10'000'000 + 1));
}

TEST(CompileRules, ASecondIsTheBurstWhereNoneIsGiven) {
  EXPECT_EQ(default_burst_units({50, second_ns}), 50u);
  EXPECT_EQ(default_burst_units({5, 60 * second_ns}), 1u);
  EXPECT_EQ(default_burst_units({90, 60 * second_ns}), 2u);
}

}  // namespace
}  // namespace surgegate
