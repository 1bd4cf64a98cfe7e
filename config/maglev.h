// SPDX-License-Identifier: BSD-3-Clause
// Maglev's lookup table [Eisenbud et al., NSDI 2016, section 3.4]: every backend has its own
// permutation of the table's entries, given by an offset and a skip, and the backends take turns in
// claiming the next entry of theirs that is still free. A new flow goes to table[hash % size].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace surgegate {

// A backend that takes new flows. id: stable, its permutation comes from it alone. weight: any,
// also when the sum is larger than the table; 0 takes no entries. slot: what the table holds, below
// SG_NONE16.
struct MaglevBackend {
  uint64_t id = 0;
  uint32_t weight = 0;
  uint16_t slot = 0;
};

// A permutation: (offset + k * skip) % size for k = 0, 1, 2 ... offset < size, 1 <= skip < size;
// the size is prime, so that every skip visits every entry.
struct MaglevPermutation {
  uint32_t offset = 0;
  uint32_t skip = 1;
};

// Of a backend, so that a third party can check a table: with H(k, id) = SipHash-1-3 of the id's
// eight little-endian bytes under the 128-bit key (k0 = k, k1 = 0),
//   offset = H(0, id) mod size, skip = H(1, id) mod (size - 1) + 1.
MaglevPermutation maglev_permutation(uint64_t id, uint32_t size);

struct MaglevClaim {
  MaglevPermutation permutation;
  uint32_t weight = 0;
  uint16_t slot = 0;
};

// Fills a table of `size` entries (a prime) in turns, in the order given. With equal weights this
// is the paper's pseudocode to the letter. A weight is turned into a quota of entries by largest
// remainder (ties to the earlier claim), so that a share is right to within one entry whatever the
// weights sum to, and the k-th turn of a claim comes in round (k - 1/2) * max_weight / weight,
// rounded up, so that the turns of light claims are spread over the rounds. Every entry is
// SG_NONE16 when all weights are 0. O(size log size) steps on average.
std::vector<uint16_t> fill_maglev(std::span<const MaglevClaim> claims, uint32_t size);

// The same with the permutations of the backends' ids, in the order of the ids: any order of the
// input gives the same table, so all hosts agree.
std::vector<uint16_t> build_maglev(std::span<const MaglevBackend> backends, uint32_t size);

// A prime with at least 100 entries a backend, which keeps shares within 1 % [section 5.3]:
// 65,537 up to 655 backends, 655,373 beyond.
uint32_t maglev_size(size_t backend_count);

bool is_prime(uint32_t n);

}  // namespace surgegate
