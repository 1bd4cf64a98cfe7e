// SPDX-License-Identifier: BSD-3-Clause
#include "config/lookup_build.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "config/lookup_parts.h"

namespace surgegate {
namespace {

using lookup::Ruling;

// One line of one list, cut to its length.
struct Item {
  uint64_t hi = 0;
  uint64_t lo = 0;
  uint32_t input = 0;  // where it stands, for faults
  uint32_t cidr = 0;
  uint8_t length_bits = 0;
  uint8_t list = 0;
  bool except = false;
};

struct Items {
  std::vector<Item> ipv4;
  std::vector<Item> ipv6;
};

bool is_same_prefix(const Item& a, const Item& b) {
  return a.hi == b.hi && a.lo == b.lo && a.length_bits == b.length_bits;
}

// Where it stands decides last, so that of several faulty lines it is always the same that is
// named.
bool comes_before(const Item& a, const Item& b) {
  return std::tie(a.hi, a.lo, a.length_bits, a.list, a.except, a.input, a.cidr) <
         std::tie(b.hi, b.lo, b.length_bits, b.list, b.except, b.input, b.cidr);
}

// Shorter than 96 bits and cut, an item no longer has all of the sixteen ones.
bool is_mapped(const Item& item) {
  return item.hi == 0 && item.lo >> 32 == 0xffff;
}

std::string text_of(const Item& item) {
  std::array<uint8_t, 16> bytes;
  sg_store_be32(&bytes[0], static_cast<uint32_t>(item.hi >> 32));
  sg_store_be32(&bytes[4], static_cast<uint32_t>(item.hi));
  sg_store_be32(&bytes[8], static_cast<uint32_t>(item.lo >> 32));
  sg_store_be32(&bytes[12], static_cast<uint32_t>(item.lo));
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool ipv4 = is_mapped(item);
  inet_ntop(ipv4 ? AF_INET : AF_INET6, ipv4 ? &bytes[12] : bytes.data(), text.data(), text.size());
  return std::string(text.data()) + "/" + std::to_string(item.length_bits - (ipv4 ? 96 : 0));
}

Items gather(std::span<const ListPrefixes> lists, std::vector<LookupFault>& faults) {
  Items items;
  for (uint32_t input = 0; input < lists.size(); input++) {
    if (lists[input].list >= SG_LISTS_MAX) {
      faults.push_back({input, fault_of_all,
                        "list number " + std::to_string(lists[input].list) +
                            " is beyond the last, " + std::to_string(SG_LISTS_MAX - 1)});
      continue;
    }
    for (uint32_t cidr = 0; cidr < lists[input].cidrs.size(); cidr++) {
      const policy::Cidr& from = lists[input].cidrs[cidr];
      if (from.length > 128) {
        faults.push_back(
            {input, cidr,
             "a prefix of " + std::to_string(from.length) + " bits; an address has 128"});
        continue;
      }
      Item item{.input = input,
                .cidr = cidr,
                .length_bits = from.length,
                .list = static_cast<uint8_t>(lists[input].list),
                .except = from.except};
      const uint8_t* bytes = from.address.bytes.data();
      item.hi = lookup::cut_hi(__builtin_bswap64(sg_load_u64(bytes)), from.length);
      item.lo = lookup::cut_lo(__builtin_bswap64(sg_load_u64(bytes + 8)), from.length);
      (is_mapped(item) ? items.ipv4 : items.ipv6).push_back(item);
    }
  }
  return items;
}

// What list items say about one and the same prefix, laid over what holds around it.
uint64_t mask_of(std::span<const Item> same, uint64_t around, std::vector<LookupFault>& faults) {
  uint64_t mask = around;
  for (size_t i = 0; i < same.size(); i++) {
    const uint64_t bit = 1ull << same[i].list;
    mask = same[i].except ? mask & ~bit : mask | bit;
    const bool contradicts =
        i > 0 && same[i].list == same[i - 1].list && same[i].except && !same[i - 1].except;
    if (contradicts) {
      faults.push_back({same[i].input, same[i].cidr,
                        text_of(same[i]) + " is both in the list and excepted from it; "
                                           "remove one of the two"});
    }
  }
  return mask;
}

// Sorts the items. A prefix that changes nothing inside what encloses it makes no ruling.
std::vector<Ruling> rulings_of(std::vector<Item>& items, std::vector<LookupFault>& faults) {
  std::sort(items.begin(), items.end(), comes_before);
  std::vector<Ruling> rulings;
  std::vector<size_t> open;  // the rulings that enclose where we are, innermost last
  for (size_t first = 0, end = 0; first < items.size(); first = end) {
    while (end < items.size() && is_same_prefix(items[first], items[end])) end++;
    while (!open.empty() && !lookup::encloses(rulings[open.back()], items[first])) open.pop_back();
    const uint64_t around = open.empty() ? 0 : rulings[open.back()].mask;
    const uint64_t mask = mask_of(std::span(items).subspan(first, end - first), around, faults);
    if (mask == around) continue;
    open.push_back(rulings.size());
    rulings.push_back({items[first].hi, items[first].lo, mask, items[first].length_bits});
  }
  return rulings;
}

LookupFault too_many(const char* what, uint64_t maximum) {
  return {fault_of_all, fault_of_all,
          std::string("the lists have too many ") + what + "; at most " + std::to_string(maximum) +
              " are possible"};
}

}  // namespace

LookupBuild build_lookup(std::span<const ListPrefixes> lists, uint64_t seed) {
  LookupBuild build;
  uint64_t prefix_count = 0;
  for (const ListPrefixes& list : lists) prefix_count += list.cidrs.size();
  if (prefix_count > SG_LIST_PREFIXES_MAX) {
    build.faults.push_back(too_many("prefixes", SG_LIST_PREFIXES_MAX));
    return build;
  }

  Items items = gather(lists, build.faults);
  const std::vector<Ruling> rulings4 = rulings_of(items.ipv4, build.faults);
  const std::vector<Ruling> rulings6 = rulings_of(items.ipv6, build.faults);
  std::sort(build.faults.begin(), build.faults.end(), [](const auto& a, const auto& b) {
    return std::tie(a.input, a.cidr) < std::tie(b.input, b.cidr);
  });
  if (!build.faults.empty()) return build;

  lookup::MaskTable masks;
  LookupTables tables;
  tables.lines = lookup::build_lines(rulings4, masks);
  std::optional<lookup::Table6> table6 = lookup::build_buckets(rulings6, masks, seed);
  if (masks.overflowed()) {
    build.faults.push_back(too_many("different combinations on one address", SG_LIST_MASKS_MAX));
  } else if (!table6) {
    build.faults.push_back(
        {fault_of_all, fault_of_all,
         "the IPv6 prefixes of the lists could not be placed with any seed tried; "
         "build again with another seed"});
  } else {
    tables.header = table6->header;
    tables.buckets = std::move(table6->buckets);
    tables.masks = masks.take();
    build.tables = std::move(tables);
  }
  return build;
}

}  // namespace surgegate
