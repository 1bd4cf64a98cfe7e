// SPDX-License-Identifier: BSD-3-Clause
#include "config/maglev.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "config/compile.h"
#include "config/policy_abi.h"

namespace surgegate {
namespace {

std::vector<MaglevBackend> equal_backends(size_t count, uint32_t weight = 100) {
  std::vector<MaglevBackend> backends;
  for (size_t i = 0; i < count; i++)
    backends.push_back(
        {identity("backend", fmt::format("web/{}", i)), weight, static_cast<uint16_t>(i)});
  return backends;
}

std::vector<size_t> entries_by_slot(const std::vector<uint16_t>& table, size_t slots) {
  std::vector<size_t> entries(slots);
  for (uint16_t slot : table) entries.at(slot)++;
  return entries;
}

// Within one in a hundred of the exact share, or one entry where that is more.
void expect_shares(const std::vector<MaglevBackend>& backends, uint32_t size) {
  const auto entries = entries_by_slot(build_maglev(backends, size), backends.size());
  double sum = 0;
  for (const auto& backend : backends) sum += backend.weight;
  for (const auto& backend : backends) {
    const double exact = backend.weight / sum * size;
    EXPECT_NEAR(static_cast<double>(entries[backend.slot]), exact, std::max(1.0, exact / 100))
        << "weight " << backend.weight << " of " << sum << ", " << backends.size() << " backends";
  }
}

// Table 1 of the paper: three backends over seven entries, and the same after B1 left.
TEST(Maglev, FillsAsThePaperDoes) {
  const MaglevClaim b0{{3, 4}, 1, 0};
  const MaglevClaim b1{{0, 2}, 1, 1};
  const MaglevClaim b2{{3, 1}, 1, 2};
  EXPECT_EQ(fill_maglev(std::vector{b0, b1, b2}, 7), (std::vector<uint16_t>{1, 0, 1, 0, 2, 2, 0}));
  EXPECT_EQ(fill_maglev(std::vector{b0, b2}, 7), (std::vector<uint16_t>{0, 0, 0, 0, 2, 2, 2}));
}

// Computed by another program from the description in docs/policy-image.md: quotas of 7, 2 and 4
// (the largest remainders get what is left), the lighter ones' turns spread over the rounds.
TEST(Maglev, WeightsTakeTurnsAsThePageSays) {
  const MaglevClaim heavy{{2, 3}, 4, 0};
  const MaglevClaim light{{5, 7}, 1, 1};
  const MaglevClaim middle{{1, 4}, 2, 2};
  EXPECT_EQ(fill_maglev(std::vector{heavy, light, middle}, 13),
            (std::vector<uint16_t>{2, 2, 0, 2, 0, 0, 1, 0, 0, 2, 0, 0, 1}));
}

// Computed by another program from the description in maglev.h: whoever checks a table from outside
// does the same.
TEST(Maglev, PermutationsAreWhatTheHeaderSays) {
  const MaglevPermutation a = maglev_permutation(0x0123456789abcdef, 65537);
  EXPECT_EQ(a.offset, 31135u);
  EXPECT_EQ(a.skip, 8801u);
  const MaglevPermutation b = maglev_permutation(1, 655373);
  EXPECT_EQ(b.offset, 418805u);
  EXPECT_EQ(b.skip, 257587u);
}

TEST(Maglev, OrderOfBackendsDoesNotMatter) {
  auto backends = equal_backends(50);
  for (auto& backend : backends) backend.weight = 1 + backend.slot % 7;
  const auto table = build_maglev(backends, 65537);
  std::mt19937 random(7);
  for (int round = 0; round < 5; round++) {
    std::shuffle(backends.begin(), backends.end(), random);
    EXPECT_EQ(build_maglev(backends, 65537), table);
  }
}

TEST(Maglev, SharesAreTheWeights) {
  for (size_t count : {1, 2, 3, 10, 100, 400, 655}) expect_shares(equal_backends(count), 65537);
  auto mixed = equal_backends(100);
  for (auto& backend : mixed) backend.weight = 1 + backend.slot;
  expect_shares(mixed, 65537);
}

// A weight is a proportion: what it sums to, and whether that is more than there are entries, does
// not matter. Rounding the many small ones up would take 3 % from the large one.
TEST(Maglev, SharesAreTheWeightsWhateverTheSum) {
  expect_shares(equal_backends(100, 65000), 65537);
  auto one_large = equal_backends(600, 1);
  one_large[17].weight = 60000;
  expect_shares(one_large, 65537);
  expect_shares(equal_backends(50, 65000), 655373);  // products beyond 32 bits
  auto spread = equal_backends(200);
  for (auto& backend : spread) backend.weight = backend.slot % 2 ? 65000 : 3;
  expect_shares(spread, 65537);
}

TEST(Maglev, ProportionalWeightsGiveTheSameTable) {
  auto light = equal_backends(20);
  auto heavy = light;
  for (size_t i = 0; i < light.size(); i++) {
    light[i].weight = static_cast<uint32_t>(1 + i % 3);
    heavy[i].weight = light[i].weight * 1000;
  }
  EXPECT_EQ(build_maglev(light, 65537), build_maglev(heavy, 65537));
}

// Of the entries that did not belong to the backend that leaves, how many change hands.
double moved_share(const std::vector<MaglevBackend>& backends, size_t leaving, uint32_t size) {
  const auto before = build_maglev(backends, size);
  auto rest = backends;
  rest.erase(rest.begin() + static_cast<ptrdiff_t>(leaving));
  const auto after = build_maglev(rest, size);
  size_t others = 0;
  size_t moved = 0;
  for (size_t i = 0; i < before.size(); i++) {
    if (before[i] == backends[leaving].slot) continue;
    others++;
    moved += before[i] != after[i];
  }
  return static_cast<double>(moved) / static_cast<double>(others);
}

TEST(Maglev, ALeavingBackendMovesFewOfTheOthersEntries) {
  for (size_t count : {10, 100, 400, 1000}) {
    const auto backends = equal_backends(count);
    double sum = 0;
    constexpr size_t rounds = 10;
    for (size_t round = 0; round < rounds; round++)
      sum += moved_share(backends, round * count / rounds, 65537);
    fmt::print("{} backends: {:.2f} % of the others' entries move\n", count, sum / rounds * 100);
    EXPECT_LT(sum / rounds, 0.011) << count;
  }
}

TEST(Maglev, NoEntryIsEmptyUnlessThereIsNoBackend) {
  for (uint16_t slot : build_maglev({}, 13)) EXPECT_EQ(slot, SG_NONE16);
  auto backends = equal_backends(3, 0);
  for (uint16_t slot : build_maglev(backends, 13)) EXPECT_EQ(slot, SG_NONE16);
  backends[1].weight = 1;
  for (uint16_t slot : build_maglev(backends, 13)) EXPECT_EQ(slot, 1);
  // More backends than entries: the table is full all the same.
  const auto crowded = build_maglev(equal_backends(100), 13);
  EXPECT_EQ(std::count(crowded.begin(), crowded.end(), SG_NONE16), 0);
}

TEST(Maglev, SizesArePrimeWithAHundredEntriesABackend) {
  EXPECT_EQ(maglev_size(1), 65537u);
  EXPECT_EQ(maglev_size(655), 65537u);
  EXPECT_EQ(maglev_size(656), 655373u);
  EXPECT_TRUE(is_prime(65537) && is_prime(655373) && is_prime(2) && is_prime(3));
  EXPECT_FALSE(is_prime(0) || is_prime(1) || is_prime(9) || is_prime(65536) || is_prime(655371));
}

}  // namespace
}  // namespace surgegate
