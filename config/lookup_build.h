// SPDX-License-Identifier: BSD-3-Clause
// Builds and checks the arrays of config/lookup.h. Any thread; allocates; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/lookup.h"
#include "config/model.h"

namespace surgegate {

// One list's prefixes. Inside a list the longest prefix that covers an address decides whether the
// address is in it. Bits of an address beyond its prefix's length are ignored. A prefix is IPv4
// when its address is IPv4-mapped and its length at least 96; all others are IPv6 and say nothing
// about IPv4 addresses.
struct ListPrefixes {
  uint32_t list = 0;  // the bit in the mask, below SG_LISTS_MAX; may occur more than once
  std::span<const policy::Cidr> cidrs;
};

struct LookupTables {
  std::vector<sg_lookup_line> lines;
  std::vector<sg_lookup_bucket> buckets;
  sg_lookup_header header{};
  std::vector<__u64> masks;  // masks[0] == 0

  sg_lookup view() const { return {lines.data(), buckets.data(), &header, masks.data()}; }
};

inline constexpr uint32_t fault_of_all = UINT32_MAX;

// What is wrong, and where: lists[input].cidrs[cidr] of the call, or fault_of_all.
struct LookupFault {
  uint32_t input = fault_of_all;
  uint32_t cidr = fault_of_all;
  std::string what;
};

struct LookupBuild {
  std::optional<LookupTables> tables;  // set exactly when there is no fault
  std::vector<LookupFault> faults;     // in the order of the input
};

// Builds the tables. The same prefixes and seed give the same bytes, in whatever order they come.
// seed: places the IPv6 entries; any number will do, and one that feeds cannot know keeps a hostile
// feed from choosing prefixes that do not fit. A prefix that one list both contains and excepts is
// a fault; so are too many prefixes (SG_LIST_PREFIXES_MAX) or distinct masks (SG_LIST_MASKS_MAX).
LookupBuild build_lookup(std::span<const ListPrefixes> lists, uint64_t seed);

// Arrays from outside.
struct LookupArrays {
  std::span<const sg_lookup_line> lines;
  std::span<const sg_lookup_bucket> buckets;
  const sg_lookup_header* header = nullptr;
  std::span<const __u64> masks;
};

// Checks every index that a lookup would follow: what passes can be read with any address without
// leaving the arrays, in at most 1 + SG_LOOKUP4_LEVELS_MAX lines or 2 * SG_LOOKUP6_PROBES_MAX
// buckets. Not whether the answers are what some policy meant. Nothing when all is well, else what
// and where. Takes time in proportion to the arrays, whatever they hold.
std::optional<std::string> validate_lookup(const LookupArrays& arrays);

}  // namespace surgegate
