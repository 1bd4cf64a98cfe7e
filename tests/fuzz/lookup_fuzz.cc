// SPDX-License-Identifier: BSD-3-Clause
// Lists from bytes: what the builder makes answers as the slow twin does, or is refused for a fault
// that is there. Then the arrays are damaged as an image from elsewhere may be: what still passes
// validate_lookup() can be read with any address (the sanitizers see to that).
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "config/lookup_build.h"
#include "tests/differential/lookup_twin.h"

namespace surgegate {
namespace {

using policy::Cidr;
using testing::Bytes16;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "lookup_fuzz: %s\n", what);
  std::abort();
}

// A few bases and a few flipped bits: prefixes that nest, touch and repeat.
Cidr take_cidr(FuzzedDataProvider& in) {
  Cidr cidr;
  Bytes16& bytes = cidr.address.bytes;
  const uint8_t kind = in.ConsumeIntegral<uint8_t>();
  const bool ipv4 = kind & 1;
  cidr.except = kind & 2;
  if (ipv4) bytes[10] = bytes[11] = 0xff;
  const size_t from = ipv4 ? 12 : 0;
  if (kind & 4) std::fill(bytes.begin() + from, bytes.end(), 0xff);
  for (int i = kind >> 3 & 3; i > 0; i--) {
    bytes[in.ConsumeIntegralInRange<size_t>(from, 15)] = in.ConsumeIntegral<uint8_t>();
  }
  cidr.length = in.ConsumeIntegralInRange<uint8_t>(ipv4 ? 96 : 0, 128);
  return cidr;
}

std::vector<std::vector<Cidr>> take_lists(FuzzedDataProvider& in) {
  std::vector<std::vector<Cidr>> lists(in.ConsumeIntegralInRange<size_t>(1, 5));
  for (auto& cidrs : lists) {
    for (size_t count = in.ConsumeIntegralInRange<size_t>(0, 60); count > 0; count--) {
      cidrs.push_back(take_cidr(in));
    }
  }
  return lists;
}

bool is_one_prefix(const Cidr& a, const Cidr& b) {
  if (a.length != b.length) return false;
  for (uint32_t n = 0; n < a.length; n++) {
    if (testing::bit_of(a.address.bytes, n) != testing::bit_of(b.address.bytes, n)) return false;
  }
  return true;
}

bool has_contradiction(const std::vector<Cidr>& cidrs) {
  for (const Cidr& a : cidrs) {
    for (const Cidr& b : cidrs) {
      if (a.except && !b.except && is_one_prefix(a, b)) return true;
    }
  }
  return false;
}

void add_edges(const Cidr& cidr, std::vector<Bytes16>& addresses) {
  Bytes16 first = cidr.address.bytes;
  Bytes16 last = first;
  for (uint32_t n = cidr.length; n < 128; n++) {
    first[n / 8] &= static_cast<uint8_t>(~(0x80 >> n % 8));
    last[n / 8] |= static_cast<uint8_t>(0x80 >> n % 8);
  }
  addresses.insert(addresses.end(), {first, last});
  for (int i = 15; i >= 0 && first[i]-- == 0; i--) {
  }
  for (int i = 15; i >= 0 && ++last[i] == 0; i--) {
  }
  addresses.insert(addresses.end(), {first, last});
}

void damage(FuzzedDataProvider& in, LookupTables& tables) {
  const auto write = [&](auto& record) {
    const size_t at = in.ConsumeIntegralInRange<size_t>(0, sizeof(record) - 1);
    reinterpret_cast<uint8_t*>(&record)[at] = in.ConsumeIntegral<uint8_t>();
  };
  const auto pick = [&](auto& records, size_t first) -> auto& {
    return records[in.ConsumeIntegralInRange<size_t>(first, records.size() - 1)];
  };
  while (in.remaining_bytes() > 0) {
    switch (in.ConsumeIntegralInRange<int>(0, 5)) {
      case 0:
        write(pick(tables.lines, 0));
        break;
      case 1:
        write(pick(tables.lines, tables.lines.size() > 4096 ? 4096 : 0));
        break;
      case 2:
        write(pick(tables.buckets, 0));
        break;
      case 3:
        write(tables.header);
        break;
      case 4:
        tables.lines.pop_back();
        break;
      case 5:
        tables.buckets.emplace_back();
        break;
    }
    if (tables.lines.empty()) return;
  }
}

void read_everywhere(const LookupTables& tables, const std::vector<Bytes16>& addresses) {
  const sg_lookup view = tables.view();
  for (const Bytes16& address : addresses) {
    sg_lookup_walk walk;
    int is_done = sg_lookup_start(&walk, view.header, address.data());
    uint32_t line_count = 0;
    while (!is_done) {
      is_done = sg_lookup_step(&view, &walk);
      line_count++;
    }
    require(line_count <= (walk.is_ipv4 ? 1 + SG_LOOKUP4_LEVELS_MAX : 2 * SG_LOOKUP6_PROBES_MAX),
            "a lookup read more lines than promised");
    require(walk.value < tables.masks.size(), "a lookup gave a mask that is not there");
  }
}

}  // namespace
}  // namespace surgegate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace surgegate;
  FuzzedDataProvider in(data, size);
  const uint64_t seed = in.ConsumeIntegral<uint8_t>();
  const std::vector<std::vector<Cidr>> cidrs = take_lists(in);
  std::vector<ListPrefixes> lists;
  std::vector<Bytes16> addresses{{}};
  bool contradicts = false;
  for (uint32_t list = 0; list < cidrs.size(); list++) {
    lists.push_back({list * 13, cidrs[list]});
    contradicts = contradicts || has_contradiction(cidrs[list]);
    for (const Cidr& cidr : cidrs[list]) add_edges(cidr, addresses);
  }
  const LookupBuild build = build_lookup(lists, seed);
  require(build.tables.has_value() != contradicts, "refused without a fault, or built with one");
  if (!build.tables) return 0;
  const LookupTables& tables = *build.tables;
  require(!validate_lookup({tables.lines, tables.buckets, &tables.header, tables.masks}),
          "the builder's own arrays are refused");
  const sg_lookup view = tables.view();
  for (const Bytes16& address : addresses) {
    const uint64_t mask = view.masks[sg_lookup_value(&view, address.data())];
    require(mask == testing::twin_mask(lists, address), "the twins disagree");
  }
  read_everywhere(tables, addresses);
  if (in.remaining_bytes() == 0) return 0;
  LookupTables whole = tables;
  damage(in, whole);
  const LookupTables damaged = whole;  // exact copies: one record too far is outside of them
  if (!validate_lookup({damaged.lines, damaged.buckets, &damaged.header, damaged.masks})) {
    read_everywhere(damaged, addresses);
  }
  return 0;
}
