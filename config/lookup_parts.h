// SPDX-License-Identifier: BSD-3-Clause
// What lookup_build.cc shares with its two halves, lookup_build4.cc and lookup_build6.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "config/lookup.h"

namespace surgegate::lookup {

// A distinct prefix of any list and the whole answer for the addresses whose longest prefix, over
// all lists, it is. Sorted by (hi, lo, length_bits), so that a prefix comes before what it
// encloses.
struct Ruling {
  uint64_t hi = 0;
  uint64_t lo = 0;
  uint64_t mask = 0;
  uint8_t length_bits = 0;  // of 128
};

// Cut to its upper length_bits (0..128).
inline uint64_t cut_hi(uint64_t hi, uint32_t length_bits) {
  return length_bits == 0 ? 0 : sg_lookup6_cut_hi(hi, length_bits);
}
inline uint64_t cut_lo(uint64_t lo, uint32_t length_bits) {
  return length_bits == 0 ? 0 : sg_lookup6_cut_lo(lo, length_bits);
}

template <class Outer, class Inner>
bool encloses(const Outer& outer, const Inner& inner) {
  return outer.length_bits <= inner.length_bits &&
         cut_hi(inner.hi, outer.length_bits) == outer.hi &&
         cut_lo(inner.lo, outer.length_bits) == outer.lo;
}

// Gives each distinct mask an index in order of appearance. Indices wrap at 16 bits when there
// are too many: whoever interned checks overflowed() at the end.
class MaskTable {
 public:
  uint16_t intern(uint64_t mask) {
    if (mask == newest_mask_) return newest_;
    const auto [at, is_new] = index_of_.try_emplace(mask, masks_.size());
    if (is_new) masks_.push_back(mask);
    newest_mask_ = mask;
    newest_ = static_cast<uint16_t>(at->second);
    return newest_;
  }
  bool overflowed() const { return masks_.size() > SG_LIST_MASKS_MAX; }
  std::vector<__u64> take() { return std::move(masks_); }

 private:
  std::vector<__u64> masks_{0};
  std::unordered_map<uint64_t, size_t> index_of_{{0, 0}};
  uint64_t newest_mask_ = 0;
  uint16_t newest_ = 0;
};

// rulings: IPv4 only, in mapped form. The root, and below it the trees.
std::vector<sg_lookup_line> build_lines(std::span<const Ruling> rulings, MaskTable& masks);

struct Table6 {
  sg_lookup_header header{};
  std::vector<sg_lookup_bucket> buckets;
};

// rulings: IPv6 only. Nothing when the entries could not be placed, whatever was tried.
std::optional<Table6> build_buckets(std::span<const Ruling> rulings, MaskTable& masks,
                                    uint64_t seed);

}  // namespace surgegate::lookup
