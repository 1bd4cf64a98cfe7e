// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <ctime>
#include <numeric>
#include <string>

#include "config/parse_scalars.h"

namespace surgegate::policy {
namespace {

constexpr uint64_t s = 1'000'000'000;

std::pair<uint64_t, uint64_t> rate(std::string_view text) {
  auto rate = parse_rate(text);
  return rate ? std::pair{rate->units, rate->per_ns} : std::pair<uint64_t, uint64_t>{0, 0};
}

TEST(Scalars, ReadRatesExactly) {
  EXPECT_EQ(rate("100/s"), std::pair(100ul, s));
  EXPECT_EQ(rate("5/min"), std::pair(5ul, 60 * s));
  EXPECT_EQ(rate("2k/s"), std::pair(2000ul, s));
  EXPECT_EQ(rate("1.5M/s"), std::pair(1'500'000ul, s));
  EXPECT_EQ(rate("1G/s"), std::pair(s, s));
  EXPECT_EQ(rate("1/h"), std::pair(1ul, 3600 * s));
  EXPECT_EQ(rate("10/d"), std::pair(10ul, 86400 * s));
  EXPECT_EQ(rate("0.5/s"), std::pair(1ul, 2 * s));
  EXPECT_EQ(rate("0.000001/s"), std::pair(1ul, 1'000'000 * s));
  EXPECT_EQ(rate("0.1k/s"), std::pair(100ul, s));
  EXPECT_EQ(rate("999999999999.999999G/s"), std::pair(0ul, 0ul)) << "beyond 64 bits";
}

TEST(Scalars, RefuseWhatIsNoRateAndTellTheNearest) {
  for (const char* text : {"", "100", "/s", "100/", "100 /s", "100/s ", "-1/s", "1e3/s", "1./s",
                           ".5/s", "1.2345678/s", "1234567890123/s", "100/week", "100/10s"})
    EXPECT_FALSE(parse_rate(text)) << text;
  EXPECT_EQ(parse_rate("100/sec").error().nearest, "100/s");
  EXPECT_EQ(parse_rate("5/minute").error().nearest, "5/min");
  EXPECT_EQ(parse_rate("5/m").error().nearest, "5/min");
  EXPECT_EQ(parse_rate("2K/s").error().nearest, "2k/s");
  EXPECT_EQ(parse_rate("3/day").error().nearest, "3/d");
  EXPECT_EQ(parse_rate("0/s").error().what, "`0/s` lets nothing through");
}

uint64_t duration(std::string_view text) {
  return parse_duration_ns(text).value_or(0);
}

TEST(Scalars, ReadDurations) {
  EXPECT_EQ(duration("500ms"), s / 2);
  EXPECT_EQ(duration("5s"), 5 * s);
  EXPECT_EQ(duration("10m"), 600 * s);
  EXPECT_EQ(duration("1h"), 3600 * s);
  EXPECT_EQ(duration("24h"), 86400 * s);
  EXPECT_EQ(duration("1d"), 86400 * s);
  EXPECT_EQ(duration("1.5h"), 5400 * s);
  EXPECT_EQ(duration("0.000001s"), 1000u);
  for (const char* text : {"", "5", "s", "5 s", "1h30m", "-5s", "999999999999d", "0.0000001s"})
    EXPECT_FALSE(parse_duration_ns(text)) << text;
  EXPECT_EQ(parse_duration_ns("10min").error().nearest, "10m");
  EXPECT_EQ(parse_duration_ns("5sec").error().nearest, "5s");
}

TEST(Scalars, ReadCounts) {
  EXPECT_EQ(parse_count("200").value(), 200u);
  EXPECT_EQ(parse_count("4k").value(), 4000u);
  EXPECT_EQ(parse_count("1.5M").value(), 1'500'000u);
  EXPECT_EQ(parse_count("2G").value(), 2'000'000'000u);
  for (const char* text : {"", "1.5", "1.0001k1", "4K", "-1", "0x10", "1 000"})
    EXPECT_FALSE(parse_count(text)) << text;
}

TEST(Scalars, ReadIntegersWithinBounds) {
  EXPECT_EQ(parse_integer("0", 0, 10).value(), 0u);
  EXPECT_EQ(parse_integer("10", 0, 10).value(), 10u);
  for (const char* text : {"", "11", "00", "01", "+1", "-1", "1.0", "99999999999999999999"})
    EXPECT_FALSE(parse_integer(text, 0, 10)) << text;
  EXPECT_EQ(parse_integer("11", 0, 10).error().expected, "a number from 0 to 10");
}

TEST(Scalars, ReadPercentagesAndBooleans) {
  EXPECT_EQ(parse_percent("30%").value(), 30);
  EXPECT_EQ(parse_percent("100%").value(), 100);
  for (const char* text : {"30", "101%", "%", "-1%", "1.5%"}) EXPECT_FALSE(parse_percent(text));
  EXPECT_TRUE(parse_bool("true").value());
  EXPECT_FALSE(parse_bool("false").value());
  for (const char* text : {"yes", "on", "True", "1", ""}) EXPECT_FALSE(parse_bool(text)) << text;
  EXPECT_EQ(parse_bool("ture").error().nearest, "true");
}

std::string cidr(std::string_view text) {
  auto parsed = parse_cidr(text);
  if (!parsed) return "-";
  return to_text(parsed->cidr) + (parsed->had_host_bits ? " masked" : "");
}

TEST(Scalars, ReadPrefixes) {
  EXPECT_EQ(cidr("192.0.2.0/24"), "192.0.2.0/24");
  EXPECT_EQ(cidr("192.0.2.7"), "192.0.2.7/32");
  EXPECT_EQ(cidr("0.0.0.0/0"), "0.0.0.0/0");
  EXPECT_EQ(cidr("2001:db8::/32"), "2001:db8::/32");
  EXPECT_EQ(cidr("2001:DB8::1"), "2001:db8::1/128");
  EXPECT_EQ(cidr("::/0"), "::/0");
  EXPECT_EQ(cidr("!192.0.2.0/25"), "!192.0.2.0/25");
  EXPECT_EQ(parse_cidr("192.0.2.0/24")->cidr.length, 120);
}

TEST(Scalars, MaskBitsBeyondAPrefix) {
  EXPECT_EQ(cidr("192.0.2.129/25"), "192.0.2.128/25 masked");
  EXPECT_EQ(cidr("192.0.2.7/31"), "192.0.2.6/31 masked");
  EXPECT_EQ(cidr("10.1.2.3/0"), "0.0.0.0/0 masked");
  EXPECT_EQ(cidr("2001:db8::1/64"), "2001:db8::/64 masked");
  EXPECT_EQ(cidr("2001:db8:ffff::/33"), "2001:db8:8000::/33 masked");
}

TEST(Scalars, ReadMappedAddressesAsIpv4) {
  EXPECT_EQ(cidr("::ffff:192.0.2.0/120"), "192.0.2.0/24");
  EXPECT_EQ(cidr("::ffff:c000:207"), "192.0.2.7/32");
  EXPECT_EQ(cidr("::ffff:0:0/96"), "0.0.0.0/0");
  EXPECT_EQ(cidr("::ffff:192.0.2.0/95"), "-") << "half IPv4, half not";
  EXPECT_EQ(parse_cidr("::ffff:192.0.2.0/64").error().expected,
            "a length of 96 or more for an IPv4-mapped prefix, or the IPv4 prefix itself");
}

TEST(Scalars, RefuseWhatIsNoPrefix) {
  for (const char* text :
       {"", "!", "/24", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/024", "192.0.2/24",
        "192.0.2.00/24", "010.0.0.1", "192.0.2.0/24/24", "2001:db8::/129", "2001:db8::%eth0",
        "1::2::3", "host", "192.0.2.0/-1", "!!192.0.2.1", "192.0.2.1 ", "fe80::1%1/64",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222"})
    EXPECT_EQ(cidr(text), "-") << text;
  EXPECT_EQ(cidr(std::string_view("192.0.2.1\0/24", 13)), "-") << "a NUL ends no address";
}

std::string address_port(std::string_view text) {
  auto at = parse_address_port(text);
  return at ? to_text(*at) : "- " + at.error().nearest;
}

TEST(Scalars, ReadAddressesWithPorts) {
  EXPECT_EQ(address_port("192.0.2.1:80"), "192.0.2.1:80");
  EXPECT_EQ(address_port("[2001:db8::1]:443"), "[2001:db8::1]:443");
  EXPECT_EQ(address_port("[::ffff:192.0.2.1]:80"), "192.0.2.1:80");
  EXPECT_EQ(address_port("2001:db8::1:80"), "- [2001:db8::1]:80");
  EXPECT_EQ(address_port("[192.0.2.1]:80"), "- 192.0.2.1:80");
  for (const char* text : {"", ":80", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536",
                           "192.0.2.1:080", "[2001:db8::1]", "[]:80", "host:80"})
    EXPECT_EQ(address_port(text), "- ") << text;
}

uint64_t unix_s(std::string_view text) {
  return parse_time_unix_s(text).value_or(0);
}

TEST(Scalars, ReadTimes) {
  EXPECT_EQ(unix_s("2026-11-29T23:59:00Z"), 1795996740u);
  EXPECT_EQ(unix_s("1970-01-01T00:00:01Z"), 1u);
  EXPECT_EQ(unix_s("2026-11-30T01:29:00+01:30"), 1795996740u);
  EXPECT_EQ(unix_s("2026-11-29T15:59:00-08:00"), 1795996740u);
  EXPECT_EQ(unix_s("2026-11-29t23:59:00.999z"), 1795996740u);
  EXPECT_EQ(unix_s("2016-12-31T23:59:60Z"), unix_s("2017-01-01T00:00:00Z"));
  EXPECT_EQ(unix_s("2024-02-29T00:00:00Z"), 1709164800u);
  for (const char* text : {"",
                           "2026-11-29",
                           "2026-11-29 23:59:00Z",
                           "2026-11-29T23:59:00",
                           "2026-11-29T23:59Z",
                           "2026-02-29T00:00:00Z",
                           "2100-02-29T00:00:00Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-04-31T00:00:00Z",
                           "2026-01-00T00:00:00Z",
                           "2026-11-29T24:00:00Z",
                           "2026-11-29T23:60:00Z",
                           "2026-11-29T23:59:61Z",
                           "2026-11-29T23:59:00.Z",
                           "2026-11-29T23:59:00+0100",
                           "2026-11-29T23:59:00Zx",
                           "1970-01-01T00:00:00+01:00",
                           "1969-12-31T23:59:59Z",
                           "26-11-29T23:59:00Z"})
    EXPECT_FALSE(parse_time_unix_s(text)) << text;
}

TEST(Scalars, CountDaysAsTheCLibraryDoes) {
  for (time_t day = 0; day < 50'000; day++) {
    const time_t time = day * 86400 + 3723;
    tm parts{};
    gmtime_r(&time, &parts);
    char text[32];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    ASSERT_EQ(unix_s(text), static_cast<uint64_t>(time)) << text;
  }
}

TEST(Scalars, ReadHeaderNamesInLowerCase) {
  EXPECT_EQ(parse_header_name("X-Api-Key").value(), "x-api-key");
  for (const char* text : {"", "x api", "x:", "x\r\ny", "é", "(x)"})
    EXPECT_FALSE(parse_header_name(text)) << text;
  EXPECT_FALSE(parse_header_name(std::string(65, 'x')));
}

TEST(Scalars, AllowNoHeaderValueThatCouldEndItsLine) {
  EXPECT_TRUE(is_field_value(""));
  EXPECT_TRUE(is_field_value("a\tb"));
  EXPECT_TRUE(is_field_value("caf\xc3\xa9"));
  for (std::string_view text : {"a\rb", "a\nb", " a", "a ", "\x7f"})
    EXPECT_FALSE(is_field_value(text));
  EXPECT_FALSE(is_field_value(std::string_view("a\0b", 3)));
}

TEST(Scalars, ReadNames) {
  for (const char* text : {"a", "per-client", "Web_1.x"}) EXPECT_TRUE(parse_name(text)) << text;
  for (const char* text : {"", "1a", "-a", "a b", "a/b", "429", "é"})
    EXPECT_FALSE(parse_name(text)) << text;
  EXPECT_TRUE(parse_name(std::string(64, 'x')));
  EXPECT_FALSE(parse_name(std::string(65, 'x')));
}

TEST(Scalars, ReadStatusesOfRefusals) {
  EXPECT_EQ(parse_status("400").value(), 400);
  EXPECT_EQ(parse_status("599").value(), 599);
  for (const char* text : {"200", "399", "600", "4O4", "0429"}) EXPECT_FALSE(parse_status(text));
}

}  // namespace
}  // namespace surgegate::policy
