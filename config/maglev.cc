// SPDX-License-Identifier: BSD-3-Clause
#include "config/maglev.h"

#include <algorithm>
#include <numeric>

#include "config/flow_hash.h"
#include "config/policy_abi.h"

namespace surgegate {
namespace {

// Entries by largest remainder [Hamilton's method]: the floor of each exact share, then one more to
// those that lost the largest fraction, until the table is full. size < 2^20 and weight < 2^32: the
// products fit 64 bits.
std::vector<uint32_t> quotas(std::span<const MaglevClaim> claims, uint32_t size,
                             uint64_t weight_sum) {
  std::vector<uint32_t> quota(claims.size());
  std::vector<uint64_t> remainder(claims.size());
  uint32_t given = 0;
  for (size_t i = 0; i < claims.size(); i++) {
    uint64_t product = static_cast<uint64_t>(claims[i].weight) * size;
    quota[i] = static_cast<uint32_t>(product / weight_sum);
    remainder[i] = product % weight_sum;
    given += quota[i];
  }
  std::vector<uint32_t> order(claims.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return remainder[a] > remainder[b]; });
  for (uint32_t i = 0; given < size; i++, given++) quota[order[i]]++;
  return quota;
}

// Whose turn it is, entry by entry: all turns sorted by (round, claim). A counting sort over the
// rounds where they are about as many as the entries, as they are unless a very light claim that
// won a remainder comes very late.
std::vector<uint32_t> turns(std::span<const MaglevClaim> claims, std::span<const uint32_t> quota,
                            uint32_t size) {
  uint64_t weight_max = 0;
  for (const auto& claim : claims) weight_max = std::max<uint64_t>(weight_max, claim.weight);
  struct Turn {
    uint64_t round;
    uint32_t claim;
  };
  std::vector<Turn> all;
  all.reserve(size);
  uint64_t round_max = 0;
  for (uint32_t i = 0; i < claims.size(); i++) {
    uint64_t weight = claims[i].weight;
    for (uint64_t k = 1; k <= quota[i]; k++) {
      // ceil((k - 1/2) * weight_max / weight): the same for any multiple of the weights.
      uint64_t round = ((2 * k - 1) * weight_max + 2 * weight - 1) / (2 * weight);
      round_max = std::max(round_max, round);
      all.push_back({round, i});
    }
  }
  std::vector<uint32_t> sorted(all.size());
  if (round_max > 4ull * size) {
    std::stable_sort(all.begin(), all.end(),
                     [](const Turn& a, const Turn& b) { return a.round < b.round; });
    for (size_t i = 0; i < all.size(); i++) sorted[i] = all[i].claim;
    return sorted;
  }
  std::vector<uint32_t> first(round_max + 2);
  for (const Turn& turn : all) first[turn.round + 1]++;
  std::partial_sum(first.begin(), first.end(), first.begin());
  for (const Turn& turn : all) sorted[first[turn.round]++] = turn.claim;
  return sorted;
}

}  // namespace

MaglevPermutation maglev_permutation(uint64_t id, uint32_t size) {
  const __u64 word = id;
  const sg_secret offset_key = {0, 0};
  const sg_secret skip_key = {1, 0};
  return {static_cast<uint32_t>(sg_hash_words(&offset_key, &word, 1) % size),
          static_cast<uint32_t>(sg_hash_words(&skip_key, &word, 1) % (size - 1) + 1)};
}

std::vector<uint16_t> fill_maglev(std::span<const MaglevClaim> claims, uint32_t size) {
  std::vector<uint16_t> table(size, SG_NONE16);
  uint64_t weight_sum = 0;
  for (const auto& claim : claims) weight_sum += claim.weight;
  if (weight_sum == 0) return table;
  // What is taken is kept in bits (8 KiB at 65,537), which stay in the first-level cache while the
  // last entries are searched for.
  std::vector<uint64_t> taken(size / 64 + 1);
  std::vector<uint32_t> at(claims.size());
  for (size_t i = 0; i < claims.size(); i++) at[i] = claims[i].permutation.offset;
  for (uint32_t i : turns(claims, quotas(claims, size, weight_sum), size)) {
    const uint32_t skip = claims[i].permutation.skip;
    uint32_t entry = at[i];
    while (taken[entry / 64] >> (entry % 64) & 1) {
      entry += skip;
      // Modulo without a branch, which would be mispredicted half of the time: below size, the
      // difference wraps around to a larger number.
      entry = std::min(entry, entry - size);
    }
    taken[entry / 64] |= 1ull << (entry % 64);
    table[entry] = claims[i].slot;
    at[i] = entry;
  }
  return table;
}

std::vector<uint16_t> build_maglev(std::span<const MaglevBackend> backends, uint32_t size) {
  std::vector<MaglevBackend> sorted(backends.begin(), backends.end());
  std::sort(sorted.begin(), sorted.end(), [](const MaglevBackend& a, const MaglevBackend& b) {
    return a.id != b.id ? a.id < b.id : a.slot < b.slot;
  });
  std::vector<MaglevClaim> claims;
  claims.reserve(sorted.size());
  for (const auto& backend : sorted)
    claims.push_back({maglev_permutation(backend.id, size), backend.weight, backend.slot});
  return fill_maglev(claims, size);
}

uint32_t maglev_size(size_t backend_count) {
  return backend_count <= 655 ? 65537 : 655373;
}

bool is_prime(uint32_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (uint32_t d = 3; static_cast<uint64_t>(d) * d <= n; d += 2)
    if (n % d == 0) return false;
  return true;
}

}  // namespace surgegate
