// SPDX-License-Identifier: BSD-3-Clause
// IPv6: rulings and their markers into a hash table of which each probe reads one bucket or two.
#include <algorithm>
#include <array>
#include <tuple>

#include "config/lookup_parts.h"

namespace surgegate::lookup {
namespace {

// A prefix, a marker, or both.
struct Entry {
  uint64_t hi = 0;
  uint64_t lo = 0;
  uint16_t value = 0;
  uint8_t length_bits = 0;
  bool is_prefix = false;
  bool has_longer = false;
};

bool is_same_key(const Entry& a, const Entry& b) {
  return a.hi == b.hi && a.lo == b.lo && a.length_bits == b.length_bits;
}

// ::/0 is not an entry but the header's default; it comes first where it is there at all.
std::span<const Ruling> without_default(std::span<const Ruling> rulings) {
  const bool has_default = !rulings.empty() && rulings[0].length_bits == 0;
  return has_default ? rulings.subspan(1) : rulings;
}

void write_lengths(std::span<const Ruling> rulings, sg_lookup_header& header) {
  std::array<bool, SG_LOOKUP6_LENGTHS_MAX + 1> is_present{};
  for (const Ruling& ruling : rulings) is_present[ruling.length_bits] = true;
  for (uint32_t bits = 1; bits <= SG_LOOKUP6_LENGTHS_MAX; bits++) {
    if (is_present[bits]) header.length[header.length_count++] = static_cast<uint8_t>(bits);
  }
}

// The ruling's own entry and the markers that lead the search to it: one wherever the search, on
// its way to this length, must turn to the longer half.
void add_entries(const Ruling& ruling, uint16_t value, const sg_lookup_header& header,
                 std::vector<Entry>& entries) {
  uint32_t low = 0;
  uint32_t high = header.length_count;
  for (;;) {
    const uint32_t middle = sg_lookup6_middle(low, high);
    const uint8_t bits = header.length[middle];
    if (bits == ruling.length_bits) break;
    if (bits > ruling.length_bits) {
      high = middle;
      continue;
    }
    entries.push_back({.hi = cut_hi(ruling.hi, bits),
                       .lo = cut_lo(ruling.lo, bits),
                       .length_bits = bits,
                       .has_longer = true});
    low = middle + 1;
  }
  entries.push_back({.hi = ruling.hi,
                     .lo = ruling.lo,
                     .value = value,
                     .length_bits = ruling.length_bits,
                     .is_prefix = true});
}

// Sorts, makes one entry of those with one key, and gives each marker the value of the longest
// prefix that covers it.
void merge(std::vector<Entry>& entries, uint16_t default_value) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.hi, a.lo, a.length_bits, a.is_prefix) <
           std::tie(b.hi, b.lo, b.length_bits, b.is_prefix);
  });
  size_t kept_count = 0;
  for (size_t i = 0; i < entries.size(); i++) {
    const bool is_again = kept_count != 0 && is_same_key(entries[kept_count - 1], entries[i]);
    const bool has_longer =
        entries[i].has_longer || (is_again && entries[kept_count - 1].has_longer);
    if (!is_again) kept_count++;
    entries[kept_count - 1] = entries[i];  // of several the prefix is the last
    entries[kept_count - 1].has_longer = has_longer;
  }
  entries.resize(kept_count);

  std::vector<const Entry*> open;  // prefixes around where we are, innermost last
  for (Entry& entry : entries) {
    while (!open.empty() && !encloses(*open.back(), entry)) open.pop_back();
    if (entry.is_prefix) {
      open.push_back(&entry);
    } else {
      entry.value = open.empty() ? default_value : open.back()->value;
    }
  }
}

uint64_t splitmix(uint64_t& state) {
  uint64_t x = state += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Cuckoo placing [Pagh, Rodler 2001] with buckets of three: two places per key, a random walk of
// evictions when both are full. Such tables fill to 95 % [Dietzfelbinger, Weidling 2007].
class Placer {
 public:
  Placer(std::span<const Entry> entries, const sg_lookup_header& header, uint64_t random_state)
      : entries_(entries), header_(header), random_state_(random_state) {
    places_.resize(header.bucket_count, {no_entry, no_entry, no_entry});
  }

  bool place_all() {
    for (uint32_t id = 0; id < entries_.size(); id++) {
      if (!place(id)) return false;
    }
    return true;
  }

  std::vector<sg_lookup_bucket> buckets() const {
    std::vector<sg_lookup_bucket> buckets(places_.size());
    for (uint32_t b = 0; b < places_.size(); b++) {
      for (uint32_t i = 0; i < SG_LOOKUP6_BUCKET_ENTRIES; i++) {
        if (places_[b][i] == no_entry) continue;
        const Entry& entry = entries_[places_[b][i]];
        buckets[b].hi[i] = entry.hi;
        buckets[b].lo[i] = entry.lo;
        buckets[b].value[i] = entry.value;
        buckets[b].length[i] = entry.length_bits;
        buckets[b].has_longer[i] = entry.has_longer;
        const uint32_t home = bucket_of(places_[b][i], 0);
        if (home != b) buckets[home].spilled = 1;
      }
    }
    return buckets;
  }

 private:
  static constexpr uint32_t no_entry = UINT32_MAX;
  // Far more than a table below its threshold ever needs; a table beyond it fails soon.
  static constexpr int evictions_max = 1000;

  uint32_t bucket_of(uint32_t id, uint32_t choice) const {
    const Entry& entry = entries_[id];
    return sg_lookup6_bucket(header_.seed[choice], header_.bucket_count, entry.hi, entry.lo,
                             entry.length_bits);
  }

  bool put(uint32_t bucket, uint32_t id) {
    for (uint32_t& place : places_[bucket]) {
      if (place != no_entry) continue;
      place = id;
      return true;
    }
    return false;
  }

  bool place(uint32_t id) {
    for (int i = 0; i < evictions_max; i++) {
      if (put(bucket_of(id, 0), id) || put(bucket_of(id, 1), id)) return true;
      const uint64_t random = splitmix(random_state_);
      std::swap(id, places_[bucket_of(id, random >> 63)][random % SG_LOOKUP6_BUCKET_ENTRIES]);
    }
    return false;
  }

  std::span<const Entry> entries_;
  const sg_lookup_header& header_;
  uint64_t random_state_;
  std::vector<std::array<uint32_t, SG_LOOKUP6_BUCKET_ENTRIES>> places_;
};

}  // namespace

std::optional<Table6> build_buckets(std::span<const Ruling> rulings, MaskTable& masks,
                                    uint64_t seed) {
  Table6 table;
  const std::span<const Ruling> longer = without_default(rulings);
  if (longer.size() != rulings.size()) table.header.default_value = masks.intern(rulings[0].mask);
  write_lengths(longer, table.header);
  std::vector<Entry> entries;
  for (const Ruling& ruling : longer) {
    add_entries(ruling, masks.intern(ruling.mask), table.header, entries);
  }
  merge(entries, table.header.default_value);

  // 60 % full: one home bucket in seven spills, and a million entries take 36 MB.
  constexpr uint64_t per_mille_full = 600;
  constexpr int attempts_max = 16;
  uint64_t bucket_count = entries.size() * 1000 / (SG_LOOKUP6_BUCKET_ENTRIES * per_mille_full) + 1;
  for (int attempt = 0; attempt < attempts_max; attempt++) {
    for (auto& words : table.header.seed) {
      for (__u64& word : words) word = splitmix(seed);
    }
    table.header.bucket_count = static_cast<uint32_t>(bucket_count);
    Placer placer(entries, table.header, seed);
    if (placer.place_all()) {
      table.buckets = placer.buckets();
      return table;
    }
    bucket_count += bucket_count / 8 + 1;  // 16 times: at most seven times the size
  }
  return std::nullopt;
}

}  // namespace surgegate::lookup
