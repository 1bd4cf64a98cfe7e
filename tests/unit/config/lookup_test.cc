// SPDX-License-Identifier: BSD-3-Clause
#include "config/lookup.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "config/lookup_build.h"

namespace surgegate {
namespace {

using policy::Address;
using policy::Cidr;

Address address(const std::string& text) {
  Address address;
  if (text.find(':') == std::string::npos) {
    address.bytes[10] = address.bytes[11] = 0xff;
    EXPECT_EQ(inet_pton(AF_INET, text.c_str(), &address.bytes[12]), 1) << text;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), address.bytes.data()), 1) << text;
  }
  return address;
}

// "192.0.2.0/24", "!2001:db8::/32".
Cidr cidr(std::string text) {
  Cidr cidr;
  cidr.except = text[0] == '!';
  if (cidr.except) text.erase(0, 1);
  const size_t slash = text.find('/');
  const bool is_ipv4 = text.find(':') == std::string::npos;
  cidr.address = address(text.substr(0, slash));
  cidr.length = static_cast<uint8_t>(std::stoi(text.substr(slash + 1)) + (is_ipv4 ? 96 : 0));
  return cidr;
}

struct Input {
  uint32_t list;
  std::vector<std::string> cidrs;
};

LookupBuild build(const std::vector<Input>& inputs, uint64_t seed = 1) {
  std::vector<std::vector<Cidr>> cidrs;
  std::vector<ListPrefixes> lists;
  for (const Input& input : inputs) {
    cidrs.emplace_back();
    for (const std::string& text : input.cidrs) cidrs.back().push_back(cidr(text));
  }
  for (size_t i = 0; i < inputs.size(); i++) lists.push_back({inputs[i].list, cidrs[i]});
  return build_lookup(lists, seed);
}

class Lists {
 public:
  explicit Lists(const std::vector<Input>& inputs) {
    LookupBuild made = build(inputs);
    for (const LookupFault& fault : made.faults) ADD_FAILURE() << fault.what;
    tables_ = made.tables.value();
    const auto fault =
        validate_lookup({tables_.lines, tables_.buckets, &tables_.header, tables_.masks});
    EXPECT_FALSE(fault) << *fault;
  }
  uint64_t of(const std::string& ip) const {
    const Address at = address(ip);
    const sg_lookup view = tables_.view();
    return view.masks[sg_lookup_value(&view, at.bytes.data())];
  }
  const LookupTables& tables() const { return tables_; }

 private:
  LookupTables tables_;
};

TEST(Lookup, NothingListedIsInNoListAndCostsLittle) {
  const Lists lists({});
  EXPECT_EQ(lists.of("192.0.2.1"), 0u);
  EXPECT_EQ(lists.of("255.255.255.255"), 0u);
  EXPECT_EQ(lists.of("2001:db8::1"), 0u);
  const LookupTables& tables = lists.tables();
  EXPECT_LE(tables.lines.size() * 64 + tables.buckets.size() * 64 + sizeof(tables.header),
            300u * 1024);
}

TEST(Lookup, RangeEndsWhereItsLengthSays) {
  const Lists lists({{0, {"192.0.2.64/26", "10.0.0.0/8", "2001:db8::/33"}}});
  EXPECT_EQ(lists.of("192.0.2.63"), 0u);
  EXPECT_EQ(lists.of("192.0.2.64"), 1u);
  EXPECT_EQ(lists.of("192.0.2.127"), 1u);
  EXPECT_EQ(lists.of("192.0.2.128"), 0u);
  EXPECT_EQ(lists.of("9.255.255.255"), 0u);
  EXPECT_EQ(lists.of("10.0.0.0"), 1u);
  EXPECT_EQ(lists.of("10.255.255.255"), 1u);
  EXPECT_EQ(lists.of("11.0.0.0"), 0u);
  EXPECT_EQ(lists.of("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"), 0u);
  EXPECT_EQ(lists.of("2001:db8::"), 1u);
  EXPECT_EQ(lists.of("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"), 1u);
  EXPECT_EQ(lists.of("2001:db8:8000::"), 0u);
}

TEST(Lookup, ExceptionsInsideRangesInsideExceptions) {
  const Lists lists({{3,
                      {"10.0.0.0/8", "!10.1.0.0/16", "10.1.2.0/24", "!10.1.2.3/32", "2001:db8::/32",
                       "!2001:db8:1::/48", "2001:db8:1:2::/64", "!2001:db8:1:2::3/128"}}});
  EXPECT_EQ(lists.of("10.0.0.1"), 8u);
  EXPECT_EQ(lists.of("10.1.0.1"), 0u);
  EXPECT_EQ(lists.of("10.1.2.2"), 8u);
  EXPECT_EQ(lists.of("10.1.2.3"), 0u);
  EXPECT_EQ(lists.of("10.1.2.4"), 8u);
  EXPECT_EQ(lists.of("10.1.3.0"), 0u);
  EXPECT_EQ(lists.of("10.2.0.0"), 8u);
  EXPECT_EQ(lists.of("2001:db8::1"), 8u);
  EXPECT_EQ(lists.of("2001:db8:1::1"), 0u);
  EXPECT_EQ(lists.of("2001:db8:1:2::2"), 8u);
  EXPECT_EQ(lists.of("2001:db8:1:2::3"), 0u);
  EXPECT_EQ(lists.of("2001:db8:2::"), 8u);
}

TEST(Lookup, ExceptionFromNothingIsNothing) {
  const Lists lists({{0, {"!192.0.2.0/24", "!2001:db8::/32"}}});
  EXPECT_EQ(lists.of("192.0.2.1"), 0u);
  EXPECT_EQ(lists.of("2001:db8::1"), 0u);
}

TEST(Lookup, OneListsExceptionLeavesTheOthersAlone) {
  const Lists lists({{0, {"10.0.0.0/8", "2001:db8::/32"}},
                     {1, {"10.0.0.0/16", "!10.0.0.7/32", "2001:db8::/64", "!2001:db8::7/128"}},
                     {63, {"10.0.0.0/24", "2001:db8::/48"}}});
  const uint64_t top = 1ull << 63;
  EXPECT_EQ(lists.of("10.0.0.1"), 3 | top);
  EXPECT_EQ(lists.of("10.0.0.7"), 1 | top);
  EXPECT_EQ(lists.of("10.0.1.0"), 3u);
  EXPECT_EQ(lists.of("10.1.0.0"), 1u);
  EXPECT_EQ(lists.of("2001:db8::1"), 3 | top);
  EXPECT_EQ(lists.of("2001:db8::7"), 1 | top);
  EXPECT_EQ(lists.of("2001:db8:0:1::"), 1 | top);
  EXPECT_EQ(lists.of("2001:db8:1::"), 1u);
}

TEST(Lookup, EverythingAndSingleAddresses) {
  const Lists lists({{0, {"0.0.0.0/0", "!255.255.255.255/32"}},
                     {1, {"::/0", "!ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"}},
                     {2, {"0.0.0.0/32", "::/128"}}});
  EXPECT_EQ(lists.of("0.0.0.0"), 5u);
  EXPECT_EQ(lists.of("0.0.0.1"), 1u);
  EXPECT_EQ(lists.of("255.255.255.254"), 1u);
  EXPECT_EQ(lists.of("255.255.255.255"), 0u);
  EXPECT_EQ(lists.of("::"), 6u);
  EXPECT_EQ(lists.of("::1"), 2u);
  EXPECT_EQ(lists.of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), 2u);
  EXPECT_EQ(lists.of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 0u);
}

TEST(Lookup, WideIpv6PrefixSaysNothingAboutIpv4) {
  const Lists lists({{0, {"::/0"}}, {1, {"::/80"}}, {2, {"::fffe:0:0/95"}}, {3, {"0.0.0.0/0"}}});
  EXPECT_EQ(lists.of("192.0.2.1"), 8u);
  EXPECT_EQ(lists.of("::ffff:192.0.2.1"), 8u) << "the same address, written as IPv6";
  EXPECT_EQ(lists.of("::fffe:192.0.2.1"), 7u);
  EXPECT_EQ(lists.of("::1:0:0:1"), 1u);
}

TEST(Lookup, AdjacentRangesAreOneAndDuplicatesAreHarmless) {
  const Lists lists(
      {{0, {"192.0.2.0/25", "192.0.2.128/25", "192.0.2.0/25", "2001:db8::/33", "2001:db8::/33"}},
       {0, {"192.0.3.0/24", "2001:db8:8000::/33"}}});
  for (const char* ip : {"192.0.2.0", "192.0.2.127", "192.0.2.128", "192.0.2.255", "192.0.3.0",
                         "2001:db8::", "2001:db8:7fff::", "2001:db8:8000::", "2001:db8:ffff::"}) {
    EXPECT_EQ(lists.of(ip), 1u) << ip;
  }
  EXPECT_EQ(lists.of("192.0.4.0"), 0u);
  EXPECT_EQ(lists.of("2001:db9::"), 0u);
}

TEST(Lookup, RangeInManyPiecesCostsWhatItCostsWhole) {
  Input pieces{0, {}};
  for (int i = 0; i < 256; i++) pieces.cidrs.push_back("10.7." + std::to_string(i) + ".0/24");
  EXPECT_EQ(Lists({pieces}).tables().lines.size(), Lists({}).tables().lines.size());
}

// The search for the /64 passes by at a /48 of which no list speaks: who turns there and then finds
// no /64 is still in the /32.
TEST(Lookup, WayToALongerPrefixDoesNotHideAShorterOne) {
  const Lists lists({{0, {"2001:db8::/32"}}, {1, {"2001:db8:5:5::/64", "2001:db9:1::/48"}}});
  EXPECT_EQ(lists.of("2001:db8:5:5::1"), 3u);
  EXPECT_EQ(lists.of("2001:db8:5:6::1"), 1u);
  EXPECT_EQ(lists.of("2001:db9:1::1"), 2u);
}

TEST(Lookup, BitsBeyondThePrefixAreIgnored) {
  const Lists lists({{0, {"192.0.2.77/24", "2001:db8::77/32"}}});
  EXPECT_EQ(lists.of("192.0.2.1"), 1u);
  EXPECT_EQ(lists.of("2001:db8::1"), 1u);
}

// From one run to 65,536 in one /16: a value, a leaf, and trees of each height.
TEST(Lookup, OneNetworkWithEveryNumberOfRuns) {
  for (const uint32_t host_count : {1u, 8u, 9u, 256u, 257u, 8192u, 8193u, 32768u}) {
    Input input{0, {}};
    for (uint32_t i = 0; i < host_count; i++) {
      const uint32_t host = i * 2 + 1;
      input.cidrs.push_back("10.7." + std::to_string(host >> 8) + "." + std::to_string(host & 255) +
                            "/32");
    }
    const Lists lists({input});
    for (uint32_t host = 0; host < 65536; host++) {
      const std::string ip = "10.7." + std::to_string(host >> 8) + "." + std::to_string(host & 255);
      ASSERT_EQ(lists.of(ip), host % 2 == 1 && host / 2 < host_count) << ip << " " << host_count;
    }
    EXPECT_EQ(lists.of("10.6.255.255"), 0u);
    EXPECT_EQ(lists.of("10.8.0.1"), 0u);
  }
}

TEST(Lookup, EveryIpv6Length) {
  std::vector<Input> inputs(2);
  inputs[0] = {0, {}};
  inputs[1] = {1, {"8000::/1", "2001:db8::/32"}};
  for (int bits = 3; bits <= 128; bits++) {
    inputs[0].cidrs.push_back((bits % 2 == 0 ? "!" : "") +
                              std::string("5555:5555:5555:5555:5555:5555:5555:5555/") +
                              std::to_string(bits));
  }
  const Lists lists(inputs);
  for (uint32_t bits = 2; bits <= 128; bits++) {  // the address that leaves the row after `bits`
    Address at = address("5555:5555:5555:5555:5555:5555:5555:5555");
    if (bits < 128) at.bytes[bits / 8] ^= static_cast<uint8_t>(0x80 >> bits % 8);
    const sg_lookup view = lists.tables().view();
    const uint64_t mask = view.masks[sg_lookup_value(&view, at.bytes.data())];
    EXPECT_EQ(mask, bits % 2) << bits;
  }
  EXPECT_EQ(lists.of("8000::1"), 2u);
}

void expect_burst_answers_as_one_by_one(const Lists& lists, const std::vector<Address>& ips) {
  const __u8* at[SG_BURST_PACKETS_MAX];
  for (size_t i = 0; i < ips.size(); i++) at[i] = ips[i].bytes.data();
  const sg_lookup view = lists.tables().view();
  for (uint32_t count = 0; count <= ips.size(); count++) {
    std::vector<__u16> values(SG_BURST_PACKETS_MAX + 1, 0xabcd);
    sg_lookup_burst(&view, at, count, values.data());
    for (uint32_t i = 0; i < count; i++) {
      EXPECT_EQ(values[i], sg_lookup_value(&view, at[i])) << i;
    }
    EXPECT_EQ(values[count], 0xabcd);
  }
}

// Lanes that are done after no line or one stand before and between lanes that need three and more.
TEST(Lookup, BurstAnswersAsOneByOne) {
  Input hosts{2, {}};
  for (int i = 0; i < 20; i++) hosts.cidrs.push_back("10.9.0." + std::to_string(2 * i) + "/32");
  std::vector<Address> ips;
  for (const char* text : {"10.0.0.1", "2001:db8::1", "10.1.1.1", "10.1.1.2", "192.0.2.1",
                           "10.9.0.4", "2001:db8:1::1", "10.9.0.5"}) {
    for (int i = 0; i < 4; i++) ips.push_back(address(text));
  }
  const Input ranges{0, {"10.0.0.0/8", "!10.1.0.0/16", "::/0"}};
  expect_burst_answers_as_one_by_one(Lists({hosts, ranges}), ips);
  const Input longer{1, {"10.1.1.1/32", "2001:db8:1::/48", "2001:db8::/32"}};
  expect_burst_answers_as_one_by_one(Lists({hosts, ranges, longer}), ips);
}

TEST(Lookup, ContradictionIsNamedWithItsPlace) {
  const LookupBuild made = build(
      {{0, {"10.0.0.0/8", "192.0.2.0/24"}},
       {5, {"192.0.2.0/24", "!192.0.2.9/24", "2001:db8::/32", "!2001:db8::/32", "!10.0.0.0/8"}}});
  EXPECT_FALSE(made.tables);
  ASSERT_EQ(made.faults.size(), 2u);
  EXPECT_EQ(made.faults[0].input, 1u);
  EXPECT_EQ(made.faults[0].cidr, 1u);
  EXPECT_NE(made.faults[0].what.find("192.0.2.0/24 is both"), std::string::npos)
      << made.faults[0].what;
  EXPECT_EQ(made.faults[1].cidr, 3u);
  EXPECT_NE(made.faults[1].what.find("2001:db8::/32 is both"), std::string::npos)
      << made.faults[1].what;
}

TEST(Lookup, ImpossibleInputIsAFault) {
  EXPECT_EQ(build({{64, {"10.0.0.0/8"}}}).faults.size(), 1u);
  EXPECT_EQ(build({{0, {"2001:db8::/129"}}}).faults.size(), 1u);
}

TEST(Lookup, OnePrefixTooManyIsAFault) {
  const std::vector<Cidr> quarter(SG_LIST_PREFIXES_MAX / 4, cidr("10.0.0.0/8"));
  std::vector<ListPrefixes> lists(4, {0, quarter});
  lists.push_back({1, std::span(quarter).subspan(0, 1)});
  const LookupBuild made = build_lookup(lists, 1);
  EXPECT_FALSE(made.tables);
  ASSERT_EQ(made.faults.size(), 1u);
  EXPECT_EQ(made.faults[0].input, fault_of_all);
}

// 17 lists of one bit each, in all combinations but some: 2^16 masks fit, one more does not.
TEST(Lookup, OneCombinationTooManyIsAFault) {
  for (const uint32_t combination_count : {65536u, 65537u}) {
    std::vector<std::vector<Cidr>> cidrs(17);
    for (uint32_t i = 0; i < combination_count; i++) {
      Cidr host = cidr("10.0.0.0/32");
      sg_store_be32(&host.address.bytes[12], 0x0a000000 + i);
      for (uint32_t bit = 0; bit < 17; bit++) {
        if (i >> bit & 1) cidrs[bit].push_back(host);
      }
    }
    std::vector<ListPrefixes> lists;
    for (uint32_t bit = 0; bit < 17; bit++) lists.push_back({bit, cidrs[bit]});
    const LookupBuild made = build_lookup(lists, 1);
    EXPECT_EQ(made.faults.size(), combination_count - 65536) << combination_count;
    EXPECT_EQ(made.tables.has_value(), combination_count == 65536);
  }
}

TEST(Lookup, SameBytesInWhateverOrder) {
  const LookupBuild a = build({{0, {"10.0.0.0/8", "!10.1.0.0/16", "2001:db8::/32"}},
                               {1, {"10.1.1.1/32", "2001:db8:1::/48", "::/0", "::1/128"}}});
  const LookupBuild b = build({{1, {"::1/128", "::/0", "2001:db8:1::/48", "10.1.1.1/32"}},
                               {0, {"2001:db8::/32", "!10.1.0.0/16", "10.0.0.0/8"}}});
  const auto same = [](const auto& x, const auto& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(x[0])) == 0;
  };
  EXPECT_TRUE(same(a.tables->lines, b.tables->lines));
  EXPECT_TRUE(same(a.tables->buckets, b.tables->buckets));
  EXPECT_EQ(a.tables->masks, b.tables->masks);
  EXPECT_EQ(std::memcmp(&a.tables->header, &b.tables->header, sizeof(sg_lookup_header)), 0);
}

// Arrays as an image from elsewhere could bring them: each index out of its range is refused.
class LookupValidation : public ::testing::Test {
 protected:
  LookupValidation() {
    Input hosts{0, {"!2001:db8::/32", "::/0", "10.9.0.1/32"}};
    for (int i = 0; i < 20; i++) hosts.cidrs.push_back("10.8.0." + std::to_string(2 * i) + "/32");
    tables_ = build({hosts}).tables.value();
  }
  bool passes() const {
    return !validate_lookup({tables_.lines, tables_.buckets, &tables_.header, tables_.masks});
  }
  // The root entry of 10.x, and the line it leads to.
  uint32_t& entry(uint32_t x) { return tables_.lines[(0x0a00 + x) / 16].root[x % 16]; }
  sg_lookup_line& below(uint32_t x) { return tables_.lines[entry(x) & SG_LOOKUP4_LINE_MASK]; }
  LookupTables tables_;
};

TEST_F(LookupValidation, WhatTheBuilderMadePasses) {
  EXPECT_TRUE(passes());
}

TEST_F(LookupValidation, RootEntryBeyondTheMasks) {
  entry(7) = 2;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, RootEntryBeyondTheLines) {
  entry(7) = 1u << SG_LOOKUP4_LEVELS_SHIFT | static_cast<uint32_t>(tables_.lines.size());
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, RootEntryIntoTheRoot) {
  entry(7) = 1u << SG_LOOKUP4_LEVELS_SHIFT | 7;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, TooManyLevels) {
  const auto first = static_cast<uint32_t>(tables_.lines.size());
  for (uint32_t levels = 5; levels > 1; levels--) {
    tables_.lines.emplace_back().index.child_offset = 1;
    for (__u16& last : tables_.lines.back().index.last_of) last = 0xffff;
  }
  tables_.lines.emplace_back();
  entry(7) = 4u << SG_LOOKUP4_LEVELS_SHIFT | (first + 1);
  EXPECT_TRUE(passes());
  entry(7) = 5u << SG_LOOKUP4_LEVELS_SHIFT | first;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, LeafBeyondTheMasks) {
  below(9).leaf.value[1] = 2;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, IndexBeyondTheLines) {
  below(8).index.child_offset = 1000;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, IndexOutOfOrder) {
  below(8).index.last_of[0] = 0xffff;
  below(8).index.last_of[1] = 3;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, LastChildBeyondTheLines) {
  entry(9) = 0;
  tables_.lines.pop_back();  // what was below it
  EXPECT_TRUE(passes());
  ASSERT_EQ(below(8).index.last_of[2], 0xffff);
  below(8).index.last_of[2] = 0xfffe;  // a fourth child
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, TreesSharedByManyRootEntriesAreRefusedSoon) {
  for (uint32_t x = 0; x < 16; x++) {
    for (uint32_t line = 0; line < 4096; line++) tables_.lines[line].root[x] = entry(8);
  }
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, HalfARoot) {
  const std::vector<sg_lookup_line> empty(SG_LOOKUP4_ROOT_LINES);
  const auto check = [&](size_t count) {
    const auto lines = std::span(empty).first(count);
    return validate_lookup({lines, tables_.buckets, &tables_.header, tables_.masks});
  };
  EXPECT_FALSE(check(SG_LOOKUP4_ROOT_LINES));
  EXPECT_TRUE(check(SG_LOOKUP4_ROOT_LINES - 1));
}

TEST_F(LookupValidation, BucketCountThatLies) {
  tables_.header.bucket_count++;
  EXPECT_FALSE(passes());
  tables_.header.bucket_count = 0;
  tables_.buckets.clear();
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, LengthsOutOfRangeOrOrder) {
  tables_.header.length[0] = 0;
  EXPECT_FALSE(passes());
  tables_.header.length[0] = 129;
  EXPECT_FALSE(passes());
  tables_.header.length[0] = 48;
  tables_.header.length[1] = 48;
  tables_.header.length_count = 2;
  EXPECT_FALSE(passes());
  for (uint32_t i = 0; i < 128; i++) tables_.header.length[i] = static_cast<__u8>(i + 1);
  tables_.header.length_count = 128;
  EXPECT_TRUE(passes());
  tables_.header.length_count = 129;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, Ipv6ValuesBeyondTheMasks) {
  tables_.buckets[0].value[2] = 2;
  EXPECT_FALSE(passes());
  tables_.buckets[0].value[2] = 0;
  tables_.header.default_value = 2;
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, MasksThatDoNotStartWithNone) {
  tables_.masks[0] = 1;
  EXPECT_FALSE(passes());
  tables_.masks.clear();
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, MoreMasksThanIndicesReach) {
  tables_.masks.resize(65536);
  EXPECT_TRUE(passes());
  tables_.masks.resize(65537);
  EXPECT_FALSE(passes());
}

TEST_F(LookupValidation, NoHeader) {
  EXPECT_TRUE(validate_lookup({tables_.lines, tables_.buckets, nullptr, tables_.masks}));
}

// A record across two cache lines would cost what the layout is there to save.
TEST_F(LookupValidation, Misaligned) {
  std::vector<sg_lookup_bucket> room(tables_.buckets.size() + 1);
  uint8_t* bytes = reinterpret_cast<uint8_t*>(room.data()) + 8;
  std::memcpy(bytes, tables_.buckets.data(), tables_.buckets.size() * 64);
  const std::span<const sg_lookup_bucket> shifted(reinterpret_cast<const sg_lookup_bucket*>(bytes),
                                                  tables_.buckets.size());
  EXPECT_TRUE(validate_lookup({tables_.lines, shifted, &tables_.header, tables_.masks}));
}

}  // namespace
}  // namespace surgegate
