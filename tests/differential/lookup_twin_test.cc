// SPDX-License-Identifier: BSD-3-Clause
// The lookup against its slow twin, on random lists. SURGEGATE_SEED repeats a run, SURGEGATE_LONG=1
// does twenty times as many.
#include "tests/differential/lookup_twin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "config/lookup_build.h"

namespace surgegate {
namespace {

using policy::Cidr;
using testing::Bytes16;
using Random = std::mt19937_64;

uint64_t first_seed() {
  const char* text = std::getenv("SURGEGATE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

uint64_t times() {
  return std::getenv("SURGEGATE_LONG") != nullptr ? 20 : 1;
}

// How a set of lists is drawn: few bits that vary make prefixes nest, many make them scatter.
struct Shape {
  bool ipv4 = true;
  uint32_t list_count = 1;
  uint32_t cidrs_max = 0;     // of one list
  uint32_t varying_bits = 0;  // behind the first 96 (IPv4) or 0 (IPv6) bits
  uint32_t length_kinds = 0;  // distinct lengths; 0: any
};

Shape draw_shape(Random& random) {
  Shape shape;
  shape.ipv4 = random() % 2;
  shape.list_count = 1 + random() % (random() % 4 == 0 ? 64 : 4);
  shape.cidrs_max = 1 + random() % (random() % 8 == 0 ? 3000 : 60);
  shape.varying_bits = 1 + random() % (shape.ipv4 ? 32 : 128);
  shape.length_kinds = random() % 6;
  return shape;
}

Bytes16 draw_address(const Shape& shape, Random& random) {
  Bytes16 bytes{};
  const uint32_t from = shape.ipv4 ? 96 : 0;
  if (shape.ipv4) bytes[10] = bytes[11] = 0xff;
  // The varying bits lie at either end: below a common prefix, or above common low bits.
  const uint32_t width = shape.ipv4 ? 32 : 128;
  const bool at_end = random() % 2;
  for (uint32_t n = 0; n < width; n++) {
    const bool varies = at_end ? n >= width - shape.varying_bits : n < shape.varying_bits;
    const bool bit = varies ? random() % 2 : n % 3 == 0;
    if (bit) bytes[(from + n) / 8] |= static_cast<uint8_t>(0x80 >> (from + n) % 8);
  }
  return bytes;
}

Cidr draw_cidr(const Shape& shape, Random& random) {
  const uint32_t width = shape.ipv4 ? 32 : 128;
  Cidr cidr;
  cidr.address.bytes = draw_address(shape, random);
  uint32_t length = random() % (width + 1);
  if (shape.length_kinds != 0) length = width - random() % shape.length_kinds * (width / 6);
  cidr.length = static_cast<uint8_t>(length + (shape.ipv4 ? 96 : 0));
  cidr.except = random() % 4 == 0;
  return cidr;
}

// The same prefix twice in one list would be a contradiction half of the time: only the first
// stays.
std::vector<Cidr> draw_list(const std::vector<Shape>& shapes, Random& random) {
  std::vector<Cidr> cidrs;
  std::set<std::pair<Bytes16, uint8_t>> seen;
  for (const Shape& shape : shapes) {
    const uint64_t count = random() % (shape.cidrs_max + 1);
    for (uint64_t i = 0; i < count; i++) {
      const Cidr cidr = draw_cidr(shape, random);
      Bytes16 key = cidr.address.bytes;
      for (uint32_t n = cidr.length; n < 128; n++)
        key[n / 8] &= static_cast<uint8_t>(~(0x80 >> n % 8));
      if (seen.insert({key, cidr.length}).second) cidrs.push_back(cidr);
    }
  }
  return cidrs;
}

// First and last address of a prefix, and their neighbours outside: where an answer changes.
void add_edges(const Cidr& cidr, std::vector<Bytes16>& addresses) {
  Bytes16 first = cidr.address.bytes;
  Bytes16 last = first;
  for (uint32_t n = cidr.length; n < 128; n++) {
    first[n / 8] &= static_cast<uint8_t>(~(0x80 >> n % 8));
    last[n / 8] |= static_cast<uint8_t>(0x80 >> n % 8);
  }
  addresses.push_back(first);
  addresses.push_back(last);
  for (int i = 15; i >= 0 && first[i]-- == 0; i--) {
  }
  for (int i = 15; i >= 0 && ++last[i] == 0; i--) {
  }
  addresses.push_back(first);
  addresses.push_back(last);
}

void compare(const std::vector<ListPrefixes>& lists, const std::vector<Bytes16>& addresses,
             uint64_t seed) {
  const LookupBuild build = build_lookup(lists, seed);
  ASSERT_TRUE(build.tables) << "seed " << seed << ": " << build.faults[0].what;
  const LookupTables& tables = *build.tables;
  const auto fault = validate_lookup({tables.lines, tables.buckets, &tables.header, tables.masks});
  ASSERT_FALSE(fault) << "seed " << seed << ": " << *fault;
  const sg_lookup view = tables.view();
  for (size_t at = 0; at < addresses.size(); at += SG_BURST_PACKETS_MAX) {
    const size_t count = std::min<size_t>(SG_BURST_PACKETS_MAX, addresses.size() - at);
    const __u8* ips[SG_BURST_PACKETS_MAX];
    __u16 values[SG_BURST_PACKETS_MAX];
    for (size_t i = 0; i < count; i++) ips[i] = addresses[at + i].data();
    sg_lookup_burst(&view, ips, static_cast<__u32>(count), values);
    for (size_t i = 0; i < count; i++) {
      const uint64_t expected = testing::twin_mask(lists, addresses[at + i]);
      ASSERT_EQ(view.masks[sg_lookup_value(&view, ips[i])], expected) << "seed " << seed;
      ASSERT_EQ(view.masks[values[i]], expected) << "seed " << seed;
    }
  }
}

void run_round(uint64_t seed) {
  Random random(seed);
  std::vector<Shape> shapes(1 + random() % 3);
  for (Shape& shape : shapes) shape = draw_shape(random);
  std::vector<std::vector<Cidr>> cidrs(shapes[0].list_count);
  std::vector<ListPrefixes> lists;
  std::vector<Bytes16> addresses;
  for (uint32_t list = 0; list < cidrs.size(); list++) {
    cidrs[list] = draw_list(shapes, random);
    lists.push_back({list, cidrs[list]});
    for (const Cidr& cidr : cidrs[list]) {
      if (random() % cidrs.size() == 0) add_edges(cidr, addresses);
    }
  }
  for (int i = 0; i < 200; i++)
    addresses.push_back(draw_address(shapes[i % shapes.size()], random));
  std::shuffle(addresses.begin(), addresses.end(), random);
  // The twin reads every line for every address: not more than some millions of lines a round.
  size_t cidr_count = 1;
  for (const ListPrefixes& list : lists) cidr_count += list.cidrs.size();
  const size_t address_count = std::clamp<size_t>(3'000'000 / cidr_count, 50, 1000);
  if (addresses.size() > address_count) addresses.resize(address_count);
  compare(lists, addresses, seed);
}

TEST(LookupTwin, AgreesOnRandomLists) {
  const uint64_t seed = first_seed();
  std::cout << "SURGEGATE_SEED=" << seed << "\n";
  for (uint64_t round = 0; round < 100 * times(); round++) {
    run_round(seed + round);
    if (HasFatalFailure()) return;
  }
}

// A build is the same whatever the order of its input, list by list and line by line.
TEST(LookupTwin, OrderOfInputDoesNotMatter) {
  const uint64_t seed = first_seed();
  std::cout << "SURGEGATE_SEED=" << seed << "\n";
  for (uint64_t round = 0; round < 10 * times(); round++) {
    Random random(seed + round);
    std::vector<Shape> shapes{draw_shape(random), draw_shape(random)};
    std::vector<std::vector<Cidr>> cidrs(4);
    std::vector<ListPrefixes> lists;
    for (uint32_t list = 0; list < 4; list++) {
      cidrs[list] = draw_list(shapes, random);
      lists.push_back({list, cidrs[list]});
    }
    const LookupTables one = build_lookup(lists, seed).tables.value();
    for (auto& list : cidrs) std::shuffle(list.begin(), list.end(), random);
    std::shuffle(lists.begin(), lists.end(), random);
    const LookupTables two = build_lookup(lists, seed).tables.value();
    ASSERT_EQ(one.masks, two.masks) << "seed " << seed + round;
    ASSERT_EQ(one.lines.size(), two.lines.size());
    ASSERT_EQ(one.buckets.size(), two.buckets.size());
    ASSERT_EQ(std::memcmp(one.lines.data(), two.lines.data(), one.lines.size() * 64), 0);
    ASSERT_EQ(std::memcmp(one.buckets.data(), two.buckets.data(), one.buckets.size() * 64), 0);
    ASSERT_EQ(std::memcmp(&one.header, &two.header, sizeof(one.header)), 0);
  }
}

}  // namespace
}  // namespace surgegate
