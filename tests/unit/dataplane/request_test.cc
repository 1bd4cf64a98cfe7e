// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/request.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/frame.h"

namespace surgegate {
namespace {

TEST(Glob, StarsTakeAnyRun) {
  EXPECT_TRUE(matches_glob("/a/*/c", "/a/b/c"));
  EXPECT_TRUE(matches_glob("/a/*/c", "/a/b/x/c"));
  EXPECT_TRUE(matches_glob("/a/*/c", "/a//c"));
  EXPECT_FALSE(matches_glob("/a/*/c", "/a/c"));
  EXPECT_TRUE(matches_glob("*.php", "/x.php/y.php"));
  EXPECT_FALSE(matches_glob("*.php", "/x.php5"));
  EXPECT_TRUE(matches_glob("/a*b*a", "/abxa"));
  EXPECT_FALSE(matches_glob("/a*a", "/a")) << "one byte is not both ends";
  EXPECT_FALSE(matches_glob("/ab*bc*cd", "/abbcd")) << "nor two pieces' at once";
  EXPECT_TRUE(matches_glob("", ""));
  EXPECT_TRUE(matches_glob("***", ""));
  EXPECT_FALSE(matches_glob("", "/"));
  EXPECT_FALSE(matches_glob("/a", "/a/"));
}

bool slow_glob(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return slow_glob(pattern.substr(1), text) ||
           (!text.empty() && slow_glob(pattern, text.substr(1)));
  return !text.empty() && pattern[0] == text[0] && slow_glob(pattern.substr(1), text.substr(1));
}

// What a stranger may make us do: a target as long as a frame, and bytes that nearly match at every
// place. Backtracking took a second here; what is bounded takes less than a test can notice.
TEST(Glob, TakesTimeInProportionToTheText) {
  std::string pattern, text = "/";
  for (int i = 0; i < 8; i++) pattern += '*' + std::string(100, 'a') + 'b';
  for (int i = 0; i < 60'000; i++) text += i % 101 == 100 ? 'c' : 'a';
  for (int i = 0; i < 1000; i++) ASSERT_FALSE(matches_glob(pattern, text));
}

// Every pattern of up to six characters against every text of up to five.
TEST(Glob, AgreesWithItsSlowTwin) {
  std::vector<std::string> patterns = {""}, texts = {""};
  for (size_t i = 0; i < patterns.size(); i++)
    if (patterns[i].size() < 6)
      for (char c : {'a', 'b', '*'}) patterns.push_back(patterns[i] + c);
  for (size_t i = 0; i < texts.size(); i++)
    if (texts[i].size() < 5)
      for (char c : {'a', 'b'}) texts.push_back(texts[i] + c);
  for (const std::string& pattern : patterns)
    for (const std::string& text : texts)
      ASSERT_EQ(matches_glob(pattern, text), slow_glob(pattern, text)) << pattern << " on " << text;
}

std::string address_of(std::string_view text) {
  std::array<uint8_t, 16> ip;
  if (!parse_address(text, ip)) return "none";
  testing::Ip shown;
  shown.version = 6;
  shown.bytes = ip;
  return testing::to_hex(testing::Bytes(ip.begin(), ip.end()));
}

// A client must be one client, however its address is written.
TEST(ClientAddress, OneAddressHasOneForm) {
  EXPECT_EQ(address_of("192.0.2.1"), address_of("::ffff:192.0.2.1"));
  EXPECT_EQ(address_of("192.0.2.1"), address_of("::ffff:c000:201"));
  EXPECT_EQ(address_of("2001:db8::1"), address_of("2001:0DB8:0:0:0:0:0:1"));
  EXPECT_NE(address_of("192.0.2.1"), address_of("192.0.2.2"));
}

TEST(ClientAddress, WhatIsNoAddressIsNone) {
  for (const char* text :
       {"", "1", "192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.1 ", " ::1", "192.0.2.1:80",
        "[2001:db8::1]", "2001:db8::1%eth0", "fe80::1::2", "192.0.2.1, 192.0.2.2", "unknown",
        "_hidden", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"})
    EXPECT_EQ(address_of(text), "none") << text;
  EXPECT_EQ(address_of({nullptr, 0}), "none") << "a header that is missing";
}

}  // namespace
}  // namespace surgegate
