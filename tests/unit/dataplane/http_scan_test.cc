// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/http_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/support/buffer.h"
#include "tests/support/seed.h"

namespace surgegate {
namespace {

using testing::GuardedBuffer;

TEST(HttpScan, TheWidestOfThisProcessorIsTaken) {
  const Scanner* widest = nullptr;
  for (const Scanner& scanner : scanners())
    if (scanner.is_supported) widest = &scanner;
  ASSERT_NE(widest, nullptr);
  EXPECT_EQ(scan_block, widest->scan) << widest->name;
}

// Written out from the standards, not taken from the table.
TEST(HttpScan, KindsAreThoseOfTheStandards) {
  const std::string_view tchar_marks = "!#$%&'*+-.^_`|~";
  for (int i = 0; i < 256; i++) {
    const auto c = static_cast<char>(i);
    const bool alnum =
        (i >= '0' && i <= '9') || ((i | 0x20) >= 'a' && (i | 0x20) <= 'z' && i < 0x80);
    EXPECT_EQ(is_http_char(c, HttpChars::token),
              alnum || (i != 0 && tchar_marks.find(c) != std::string_view::npos))
        << i;
    EXPECT_EQ(is_http_char(c, HttpChars::value), (i >= 0x20 && i != 0x7f) || i == '\t') << i;
    EXPECT_EQ(is_http_char(c, HttpChars::query), i > 0x20 && i < 0x7f && c != '#') << i;
  }
}

// Each against the plain one, on blocks of all lengths that end at the end of readable memory.
TEST(HttpScan, AllScannersFindTheSameStops) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  std::mt19937_64 random(seed);
  for (size_t count = 1; count <= scan_block_bytes; count++) {
    GuardedBuffer block(count);
    for (int round = 0; round < 200; round++) {
      for (size_t i = 0; i < count; i++) {
        const bool any = random() % 8 == 0;
        block.begin()[i] = static_cast<uint8_t>(any ? random() : 'a' + random() % 26);
      }
      const auto* bytes = reinterpret_cast<const char*>(block.begin());
      ScanStops plain;
      scanners().front().scan(bytes, count, plain);
      for (size_t kind = 0; kind < plain.rows.size(); kind++) {
        for (size_t i = 0; i < count; i++)
          ASSERT_EQ((plain.rows[kind] >> i & 1) == 0,
                    is_http_char(bytes[i], static_cast<HttpChars>(kind)));
        if (count < scan_block_bytes) {
          ASSERT_EQ(plain.rows[kind] >> count, ~0ull >> count);
        }
      }
      for (const Scanner& scanner : scanners()) {
        if (!scanner.is_supported) continue;
        ScanStops stops;
        scanner.scan(bytes, count, stops);
        ASSERT_EQ(stops.rows, plain.rows) << scanner.name << ", " << count << " bytes";
      }
    }
  }
}

}  // namespace
}  // namespace surgegate
