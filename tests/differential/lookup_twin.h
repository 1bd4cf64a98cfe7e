// SPDX-License-Identifier: BSD-3-Clause
// The slow twin of the list lookup: what a list means, read line by line and bit by bit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "config/lookup_build.h"

namespace surgegate::testing {

using Bytes16 = std::array<uint8_t, 16>;

inline bool bit_of(const Bytes16& bytes, uint32_t n) {
  return bytes[n / 8] >> (7 - n % 8) & 1;
}

inline bool twin_is_ipv4(const Bytes16& bytes) {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](uint8_t b) { return b == 0; }) &&
         bytes[10] == 0xff && bytes[11] == 0xff;
}

inline bool twin_covers(const policy::Cidr& cidr, const Bytes16& address) {
  // A /0 to /95 covers the mapped range at most by being wide: it is about IPv6 only.
  if (twin_is_ipv4(address) && cidr.length < 96) return false;
  for (uint32_t n = 0; n < cidr.length; n++) {
    if (bit_of(cidr.address.bytes, n) != bit_of(address, n)) return false;
  }
  return true;
}

// The mask of the lists that the address is in. Entries of one list in one input only.
inline uint64_t twin_mask(std::span<const ListPrefixes> lists, const Bytes16& address) {
  uint64_t mask = 0;
  for (const ListPrefixes& list : lists) {
    int longest = -1;
    bool is_in = false;
    for (const policy::Cidr& cidr : list.cidrs) {
      if (cidr.length <= longest || !twin_covers(cidr, address)) continue;
      longest = cidr.length;
      is_in = !cidr.except;
    }
    if (is_in) mask |= 1ull << list.list;
  }
  return mask;
}

}  // namespace surgegate::testing
