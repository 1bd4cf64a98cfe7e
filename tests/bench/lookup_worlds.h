// SPDX-License-Identifier: BSD-3-Clause
// What the lookup's benchmark looks up, and in what. Drawn from fixed seeds: every run the same.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "config/lookup_build.h"
#include "tests/bench/lookup_rivals.h"

namespace surgegate::bench {

using policy::Cidr;
using Bytes16 = std::array<uint8_t, 16>;
using Random = std::mt19937_64;

// What is in the lists.
// scattered: IPv4, single addresses anywhere.
// feed: IPv4, like the public ones. Of a hundred entries 70 are hosts, which stand 200 to a
// neighbourhood (16 networks of 1,024 in a /16), 29 are /24, and one is a /16 to /22, of which
// every fourth has an exception. sites: IPv6, of ten entries four /48, three /64, two /32 and a
// /128, half of the longer ones inside the /32. countries: IPv6, all lengths from /20 to /48, as
// registries give them out.
enum class Entries { scattered, feed, sites, countries };

// Who sends. anyone: uniform (IPv6: in 2000::/3), as a spoofed flood. listed: addresses within
// listed prefixes.
enum class Sources { anyone, listed };

constexpr bool is_ipv4(Entries entries) {
  return entries == Entries::scattered || entries == Entries::feed;
}

inline Cidr ipv4_cidr(uint32_t ip, uint32_t length_bits, bool except = false) {
  Cidr cidr;
  cidr.address.bytes[10] = cidr.address.bytes[11] = 0xff;
  sg_store_be32(&cidr.address.bytes[12], ip & (~0u << (32 - length_bits)));
  cidr.length = static_cast<uint8_t>(96 + length_bits);
  cidr.except = except;
  return cidr;
}

inline uint32_t ipv4_of(const Bytes16& bytes) {
  return sg_load_be32(&bytes[12]);
}

inline Cidr ipv6_cidr(uint64_t hi, uint64_t lo, uint32_t length_bits) {
  Cidr cidr;
  const uint64_t halves[2] = {__builtin_bswap64(sg_lookup6_cut_hi(hi, length_bits)),
                              __builtin_bswap64(sg_lookup6_cut_lo(lo, length_bits))};
  __builtin_memcpy(cidr.address.bytes.data(), halves, 16);
  cidr.length = static_cast<uint8_t>(length_bits);
  return cidr;
}

inline uint64_t global_unicast(Random& random) {
  return 1ull << 61 | random() >> 3;
}

inline std::vector<Cidr> draw_feed(size_t count, Random& random) {
  std::vector<uint32_t> networks(count / 200 + 1);
  for (uint32_t& network : networks) network = static_cast<uint32_t>(random()) & 0xffff0000;
  std::vector<Cidr> cidrs;
  while (cidrs.size() < count) {
    const uint64_t kind = random() % 100;
    const auto ip = static_cast<uint32_t>(random());
    if (kind < 70) {
      const uint32_t within = static_cast<uint32_t>(random() % 16) << 12 | (ip & 0x03ff);
      cidrs.push_back(ipv4_cidr(networks[random() % networks.size()] | within, 32));
    } else if (kind < 99) {
      cidrs.push_back(ipv4_cidr(ip, 24));
    } else {
      const uint32_t length_bits = 16 + ip % 7;
      cidrs.push_back(ipv4_cidr(ip, length_bits));
      if (random() % 4 == 0) cidrs.push_back(ipv4_cidr(ip, length_bits + 4, true));
    }
  }
  return cidrs;
}

inline std::vector<Cidr> draw_sites(size_t count, Random& random) {
  std::vector<uint64_t> providers(count / 5 + 1);
  for (uint64_t& provider : providers) provider = global_unicast(random);
  std::vector<Cidr> cidrs;
  while (cidrs.size() < count) {
    const uint64_t provider = providers[random() % providers.size()];
    const uint64_t inside = (provider & ~0ull << 32) | random() >> 32;
    const uint64_t hi = random() % 2 ? inside : global_unicast(random);
    const uint64_t kind = random() % 10;
    const uint32_t length_bits = kind < 4 ? 48 : kind < 7 ? 64 : kind < 9 ? 32 : 128;
    cidrs.push_back(ipv6_cidr(length_bits == 32 ? provider : hi, random(), length_bits));
  }
  return cidrs;
}

inline std::vector<Cidr> draw_entries(Entries entries, size_t count) {
  Random random(count);
  if (entries == Entries::feed) return draw_feed(count, random);
  if (entries == Entries::sites) return draw_sites(count, random);
  std::vector<Cidr> cidrs;
  for (size_t i = 0; i < count; i++) {
    cidrs.push_back(
        entries == Entries::scattered
            ? ipv4_cidr(static_cast<uint32_t>(random()), 32)
            : ipv6_cidr(global_unicast(random), 0, 20 + static_cast<uint32_t>(random() % 29)));
  }
  return cidrs;
}

// One prefix twice with different meanings would be a contradiction now and then.
inline std::vector<Cidr> without_repeats(const std::vector<Cidr>& all) {
  std::vector<Cidr> cidrs;
  std::set<std::pair<Bytes16, uint8_t>> seen;
  for (const Cidr& cidr : all) {
    if (seen.insert({cidr.address.bytes, cidr.length}).second) cidrs.push_back(cidr);
  }
  return cidrs;
}

// Two lists with half of the entries each.
inline std::array<ListPrefixes, 2> halves(std::span<const Cidr> cidrs) {
  const size_t half = cidrs.size() / 2;
  return {{{0, cidrs.subspan(0, half)}, {1, cidrs.subspan(half)}}};
}

// The IPv4 runs as the lookup itself answers: that changes only where a prefix begins or ends.
inline std::vector<Run> runs_of(const std::vector<Cidr>& cidrs, const sg_lookup& lookup) {
  std::vector<uint64_t> edges{0, 1ull << 32};
  for (const Cidr& cidr : cidrs) {
    edges.push_back(ipv4_of(cidr.address.bytes));
    edges.push_back(edges.back() + (1ull << (128 - cidr.length)));
  }
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  std::vector<Run> runs;
  for (size_t i = 0; i + 1 < edges.size(); i++) {
    const Cidr first = ipv4_cidr(static_cast<uint32_t>(edges[i]), 32);
    const uint16_t value = sg_lookup_value(&lookup, first.address.bytes.data());
    if (!runs.empty() && runs.back().value == value) runs.pop_back();
    runs.push_back({static_cast<uint32_t>(edges[i + 1] - 1), value});
  }
  return runs;
}

inline std::vector<Bytes16> draw_sources(Sources kind, Entries entries, std::span<const Cidr> all) {
  Random random(7);
  std::vector<Bytes16> ips(1 << 18);
  for (Bytes16& ip : ips) {
    const Cidr any = is_ipv4(entries) ? ipv4_cidr(static_cast<uint32_t>(random()), 32)
                                      : ipv6_cidr(global_unicast(random), random(), 128);
    ip = any.address.bytes;
    if (kind == Sources::anyone) continue;
    const Cidr& cidr = all[random() % all.size()];
    for (uint32_t n = 0; n < cidr.length; n++) {  // the prefix's bits, the rest stays drawn
      const auto bit = static_cast<uint8_t>(0x80 >> n % 8);
      ip[n / 8] = static_cast<uint8_t>((ip[n / 8] & ~bit) | (cidr.address.bytes[n / 8] & bit));
    }
  }
  return ips;
}

}  // namespace surgegate::bench
