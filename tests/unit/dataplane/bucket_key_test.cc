// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/bucket_key.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/support/frame.h"

namespace surgegate {
namespace {

constexpr sg_secret secret = {3, 4};

std::array<uint8_t, 16> mapped(const char* text) {
  testing::Ip ip = testing::ip(text);
  std::array<uint8_t, 16> bytes = ip.bytes;
  if (ip.version == 4) sg_map_ip4(bytes.data(), ip.bytes.data());
  return bytes;
}

Lane from(const char* source, const char* client = nullptr) {
  Lane lane{};
  std::memcpy(lane.packet.tuple.src_ip, mapped(source).data(), 16);
  if (client != nullptr) {
    lane.counts_request = true;
    lane.request.client_ip = mapped(client);
  }
  lane.request.head.length_bytes = 1;
  return lane;
}

sg_limit limit_of(std::vector<sg_key_part> key, uint8_t v4_bits = 32, uint8_t v6_bits = 128) {
  sg_limit limit{};
  limit.id = 7;
  limit.prefix_v4_bits = v4_bits;
  limit.prefix_v6_bits = v6_bits;
  limit.key_part_count = static_cast<uint8_t>(key.size());
  std::copy(key.begin(), key.end(), limit.key);
  return limit;
}

const sg_limit by_source = limit_of({{SG_KEY_SOURCE, 0}});

TEST(BucketKey, EachSourceIsCountedApart) {
  EXPECT_EQ(bucket_key(from("192.0.2.1"), by_source, secret),
            bucket_key(from("192.0.2.1"), by_source, secret));
  EXPECT_NE(bucket_key(from("192.0.2.1"), by_source, secret),
            bucket_key(from("192.0.2.2"), by_source, secret));
}

TEST(BucketKey, AnotherLimitOrAnotherSecretIsAnotherBucket) {
  sg_limit other = by_source;
  other.id = 8;
  EXPECT_NE(bucket_key(from("192.0.2.1"), by_source, secret),
            bucket_key(from("192.0.2.1"), other, secret));
  EXPECT_NE(bucket_key(from("192.0.2.1"), by_source, secret),
            bucket_key(from("192.0.2.1"), by_source, {3, 5}));
}

// Every prefix length, of both families: addresses that differ in the last bit inside share a
// bucket with nobody outside.
TEST(BucketKey, APrefixSharesOneBucketAtEveryLength) {
  for (uint8_t bits = 0; bits <= 32; bits++) {
    sg_limit limit = limit_of({{SG_KEY_SOURCE, 0}}, bits, 0);
    for (uint32_t bit = 0; bit < 32; bit++) {
      Lane a = from("85.170.85.170"), b = a;
      b.packet.tuple.src_ip[12 + bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
      EXPECT_EQ(bucket_key(a, limit, secret) == bucket_key(b, limit, secret), bit >= bits)
          << int{bits} << " bits, bit " << bit;
    }
  }
  for (int bits = 0; bits <= 128; bits++) {
    sg_limit limit = limit_of({{SG_KEY_SOURCE, 0}}, 0, static_cast<uint8_t>(bits));
    for (int bit = 0; bit < 128; bit++) {
      Lane a = from("2001:db8:5555:aaaa:5555:aaaa:5555:aaaa"), b = a;
      b.packet.tuple.src_ip[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
      EXPECT_EQ(bucket_key(a, limit, secret) == bucket_key(b, limit, secret), bit >= bits)
          << bits << " bits, bit " << bit;
    }
  }
}

TEST(BucketKey, AllOfOneFamilyIsNotAllOfTheOther) {
  sg_limit limit = limit_of({{SG_KEY_SOURCE, 0}}, 0, 0);
  EXPECT_EQ(bucket_key(from("192.0.2.1"), limit, secret),
            bucket_key(from("10.0.0.1"), limit, secret));
  EXPECT_NE(bucket_key(from("192.0.2.1"), limit, secret),
            bucket_key(from("2001:db8::1"), limit, secret));
}

TEST(BucketKey, TheClientOfARequestIsNotItsProxy) {
  sg_limit by_client = limit_of({{SG_KEY_CLIENT, 0}});
  const auto direct = bucket_key(from("192.0.2.1", "192.0.2.1"), by_client, secret);
  EXPECT_EQ(bucket_key(from("203.0.113.9", "192.0.2.1"), by_client, secret), direct);
  EXPECT_NE(bucket_key(from("203.0.113.9", "192.0.2.2"), by_client, secret), direct);
  EXPECT_EQ(bucket_key(from("203.0.113.9", "192.0.2.1"), by_source, secret),
            bucket_key(from("203.0.113.9", "192.0.2.2"), by_source, secret));
}

// A SYN names no client: its source is all there is.
TEST(BucketKey, BeforeARequestTheClientIsTheSource) {
  sg_limit by_client = limit_of({{SG_KEY_CLIENT, 0}});
  EXPECT_EQ(bucket_key(from("192.0.2.1"), by_client, secret),
            bucket_key(from("203.0.113.9", "192.0.2.1"), by_client, secret));
}

TEST(BucketKey, TextsAreCountedApartPartByPart) {
  sg_limit limit = limit_of({{SG_KEY_HOST, 0}, {SG_KEY_PATH, 0}});
  Lane a = from("192.0.2.1"), b = a, c = a;
  a.request.head.host = "ab", a.request.head.path = "c";
  b.request.head.host = "a", b.request.head.path = "bc";
  c.request.head.host = "c", c.request.head.path = "ab";
  EXPECT_NE(bucket_key(a, limit, secret), bucket_key(b, limit, secret));
  EXPECT_NE(bucket_key(a, limit, secret), bucket_key(c, limit, secret));
}

// One site must not be several buckets, nor several sites one.
TEST(BucketKey, AHostIsCountedWithoutCasePortAndTrailingDot) {
  sg_limit limit = limit_of({{SG_KEY_HOST, 0}});
  auto key_of = [&](std::string_view host) {
    Lane lane = from("192.0.2.1");
    lane.request.head.host = host;
    return bucket_key(lane, limit, secret);
  };
  for (const char* same :
       {"SHOP.example", "shop.example:80", "shop.example.", "shop.example.:8080"})
    EXPECT_EQ(key_of(same), key_of("shop.example")) << same;
  for (const char* other : {"shop.example..", "shop.exampl", ".shop.example", ""})
    EXPECT_NE(key_of(other), key_of("shop.example")) << other;
  EXPECT_EQ(key_of("[2001:DB8::1]:80"), key_of("[2001:db8::1]"));
  EXPECT_NE(key_of("[2001:db8::1]"), key_of("[2001:db8::2]"));
}

TEST(BucketKey, MethodsAndHeadersAreKeysToo) {
  sg_limit limit = limit_of({{SG_KEY_METHOD, 0}, {SG_KEY_HEADER, 3}});
  Lane a = from("192.0.2.1"), b = a, c = a;
  a.request.head.method = b.request.head.method = "GET", c.request.head.method = "PUT";
  a.request.head.set_key(3, "k1"), c.request.head.set_key(3, "k1"), b.request.head.set_key(3, "k2");
  EXPECT_NE(bucket_key(a, limit, secret), bucket_key(b, limit, secret));
  EXPECT_NE(bucket_key(a, limit, secret), bucket_key(c, limit, secret));
}

TEST(KeyFault, AHeaderThatIsMissingIsToldFromAnEmptyOne) {
  sg_limit limit = limit_of({{SG_KEY_SOURCE, 0}, {SG_KEY_HEADER, 3}});
  Lane lane = from("192.0.2.1");
  EXPECT_EQ(key_fault(lane, limit), KeyFault::header_missing);
  lane.request.head.set_key(3, "");
  EXPECT_EQ(key_fault(lane, limit), KeyFault::none);
}

TEST(KeyFault, WithoutAHeadOnlyAddressesCount) {
  Lane lane = from("192.0.2.1");
  lane.request.head = {};
  EXPECT_EQ(key_fault(lane, by_source), KeyFault::none);
  EXPECT_EQ(key_fault(lane, limit_of({{SG_KEY_PATH, 0}})), KeyFault::no_head);
  EXPECT_EQ(key_fault(lane, limit_of({{SG_KEY_HEADER, 0}})), KeyFault::no_head);
}

}  // namespace
}  // namespace surgegate
