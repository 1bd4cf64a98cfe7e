// SPDX-License-Identifier: BSD-3-Clause
// What the lookup of config/lookup.h was measured against, used by the benchmark only. IPv4:
// DIR-24-8 and a trie of 16, 8 and 8 bits, both with leaves compressed to one line where they fit,
// made from the same runs. IPv6: binary search over the sorted ends of runs.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "config/lookup_build.h"

namespace surgegate::bench {

struct Run {
  uint32_t last = 0;
  uint16_t value = 0;
};

// An entry of 32 bits: the kind in the upper two, a value or the number of a 64-byte line below.
enum Kind : uint32_t { kind_value, kind_packed, kind_flat, kind_node };
constexpr uint32_t entry_of(Kind kind, size_t at) {
  return static_cast<uint32_t>(kind) << 30 | static_cast<uint32_t>(at);
}
constexpr Kind kind_of(uint32_t entry) {
  return static_cast<Kind>(entry >> 30);
}
constexpr uint32_t at_of(uint32_t entry) {
  return entry & 0x3fffffff;
}

// One of: 20 runs of a /24, 32 plain values, 16 entries.
struct alignas(64) Line {
  struct Packed {
    uint8_t last_of[24];
    uint16_t value[20];
  };
  union {
    Packed packed;
    uint16_t value[32];
    uint32_t entry[16];
  };
};
static_assert(sizeof(Line) == 64);

inline uint16_t packed_value(const Line& line, uint8_t key) {
  uint32_t rank = 0;
  for (const uint8_t last : line.packed.last_of) rank += last < key;
  return line.packed.value[rank];
}

// The leaf over one /24: runs are those that begin or end in it.
inline uint32_t add_leaf(std::span<const Run> runs, uint32_t first, std::vector<Line>& lines) {
  if (runs.size() == 1) return entry_of(kind_value, runs[0].value);
  const size_t at = lines.size();
  if (runs.size() <= 20) {
    Line& line = lines.emplace_back();
    std::fill(std::begin(line.packed.last_of), std::end(line.packed.last_of), 0xff);
    for (size_t i = 0; i < runs.size(); i++) {
      line.packed.last_of[i] = static_cast<uint8_t>(std::min(runs[i].last, first | 255));
      line.packed.value[i] = runs[i].value;
    }
    return entry_of(kind_packed, at);
  }
  lines.resize(at + 8);
  size_t run = 0;
  for (uint32_t i = 0; i < 256; i++) {
    while (runs[run].last < (first | i)) run++;
    lines[at + i / 32].value[i % 32] = runs[run].value;
  }
  return entry_of(kind_flat, at);
}

// Calls each(slot, entry) for all 2^24 networks of 256.
template <class Each>
void for_each_leaf(std::span<const Run> runs, std::vector<Line>& lines, const Each& each) {
  size_t from = 0;
  for (uint32_t slot = 0; slot < 1u << 24; slot++) {
    const uint32_t last = slot << 8 | 255;
    size_t to = from;
    while (runs[to].last < last) to++;
    each(slot, add_leaf(runs.subspan(from, to - from + 1), slot << 8, lines));
    from = runs[to].last == last ? to + 1 : to;
  }
}

inline const Line* leaf_line(const std::vector<Line>& lines, uint32_t entry, uint32_t ip) {
  return &lines[at_of(entry) + (kind_of(entry) == kind_flat ? (ip & 255) / 32 : 0)];
}
inline uint16_t leaf_value(const std::vector<Line>& lines, uint32_t entry, uint32_t ip) {
  if (kind_of(entry) == kind_value) return static_cast<uint16_t>(entry);
  const Line& line = *leaf_line(lines, entry, ip);
  return kind_of(entry) == kind_flat ? line.value[ip % 32]
                                     : packed_value(line, static_cast<uint8_t>(ip));
}

// [Gupta, Lin, McKeown, INFOCOM'98].
class Dir24 {
 public:
  explicit Dir24(std::span<const Run> runs) : root_(1u << 24) {
    for_each_leaf(runs, lines_, [&](uint32_t slot, uint32_t entry) { root_[slot] = entry; });
  }
  size_t bytes() const { return root_.size() * 4 + lines_.size() * 64; }
  void burst(const __u8* const* at, uint32_t count, uint16_t* values) const {
    std::array<uint32_t, 32> ips;
    std::array<uint32_t, 32> entries;
    for (uint32_t i = 0; i < count; i++) {
      ips[i] = sg_load_be32(at[i] + 12);
      __builtin_prefetch(&root_[ips[i] >> 8]);
    }
    for (uint32_t i = 0; i < count; i++) {
      entries[i] = root_[ips[i] >> 8];
      if (kind_of(entries[i]) != kind_value) {
        __builtin_prefetch(leaf_line(lines_, entries[i], ips[i]));
      }
    }
    for (uint32_t i = 0; i < count; i++) values[i] = leaf_value(lines_, entries[i], ips[i]);
  }

 private:
  std::vector<uint32_t> root_;
  std::vector<Line> lines_;
};

class Trie1688 {
 public:
  explicit Trie1688(std::span<const Run> runs) : root_(1u << 16) {
    std::array<uint32_t, 256> node;
    for_each_leaf(runs, lines_, [&](uint32_t slot, uint32_t entry) {
      node[slot % 256] = entry;
      if (slot % 256 == 255) root_[slot / 256] = add_node(node);
    });
  }
  size_t bytes() const { return root_.size() * 4 + lines_.size() * 64; }
  void burst(const __u8* const* at, uint32_t count, uint16_t* values) const {
    std::array<uint32_t, 32> ips;
    std::array<uint32_t, 32> entries;
    for (uint32_t i = 0; i < count; i++) {
      ips[i] = sg_load_be32(at[i] + 12);
      __builtin_prefetch(&root_[ips[i] >> 16]);
    }
    for (uint32_t i = 0; i < count; i++) {
      entries[i] = root_[ips[i] >> 16];
      if (kind_of(entries[i]) == kind_node) __builtin_prefetch(node_entry(entries[i], ips[i]));
    }
    for (uint32_t i = 0; i < count; i++) {
      if (kind_of(entries[i]) == kind_node) entries[i] = *node_entry(entries[i], ips[i]);
      if (kind_of(entries[i]) != kind_value) {
        __builtin_prefetch(leaf_line(lines_, entries[i], ips[i]));
      }
    }
    for (uint32_t i = 0; i < count; i++) values[i] = leaf_value(lines_, entries[i], ips[i]);
  }

 private:
  uint32_t add_node(const std::array<uint32_t, 256>& node) {
    const bool is_one = std::all_of(node.begin(), node.end(), [&](uint32_t entry) {
      return kind_of(entry) == kind_value && entry == node[0];
    });
    if (is_one) return node[0];
    const size_t at = lines_.size();
    lines_.resize(at + 16);
    for (uint32_t i = 0; i < 256; i++) lines_[at + i / 16].entry[i % 16] = node[i];
    return entry_of(kind_node, at);
  }
  const uint32_t* node_entry(uint32_t entry, uint32_t ip) const {
    const uint32_t slot = ip >> 8 & 255;
    return &lines_[at_of(entry) + slot / 16].entry[slot % 16];
  }

  std::vector<uint32_t> root_;
  std::vector<Line> lines_;
};

// The ends of IPv6 runs in order, as the lookup answers them.
class Sorted6 {
 public:
  Sorted6(std::span<const policy::Cidr> cidrs, const sg_lookup& lookup) {
    edges_.push_back({});
    for (const policy::Cidr& cidr : cidrs) {
      Key end = key_of(cidr.address.bytes.data());
      edges_.push_back(end);
      const uint64_t last_hi = cidr.length >= 64 ? 0 : ~0ull >> cidr.length;
      const uint64_t last_lo = cidr.length <= 64    ? ~0ull
                               : cidr.length == 128 ? 0
                                                    : ~0ull >> (cidr.length - 64);
      end = {end.hi | last_hi, (end.lo | last_lo) + 1};
      end.hi += end.lo == 0;
      edges_.push_back(end);
    }
    std::sort(edges_.begin(), edges_.end());
    edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
    for (const Key& edge : edges_) {
      const __u64 halves[2] = {__builtin_bswap64(edge.hi), __builtin_bswap64(edge.lo)};
      values_.push_back(sg_lookup_value(&lookup, reinterpret_cast<const __u8*>(halves)));
    }
  }
  size_t bytes() const { return edges_.size() * (sizeof(Key) + sizeof(values_[0])); }
  void burst(const __u8* const* at, uint32_t count, uint16_t* values) const {
    for (uint32_t i = 0; i < count; i++) {
      const auto after = std::upper_bound(edges_.begin(), edges_.end(), key_of(at[i]));
      values[i] = values_[static_cast<size_t>(after - edges_.begin() - 1)];
    }
  }

 private:
  struct Key {
    uint64_t hi = 0;
    uint64_t lo = 0;
    auto operator<=>(const Key&) const = default;
  };
  static Key key_of(const uint8_t* ip) {
    return {__builtin_bswap64(sg_load_u64(ip)), __builtin_bswap64(sg_load_u64(ip + 8))};
  }
  std::vector<Key> edges_;
  std::vector<uint16_t> values_;
};

}  // namespace surgegate::bench
