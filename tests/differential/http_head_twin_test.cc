// SPDX-License-Identifier: BSD-3-Clause
// The reader of request heads against its slow twin, with every scanner that this processor has;
// and against itself, the head cut anywhere. SURGEGATE_SEED repeats a run, SURGEGATE_LONG=1 does
// fifty times as many.
#include "tests/support/http_head_twin.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "dataplane/path/http_scan.h"
#include "tests/support/buffer.h"
#include "tests/support/http_samples.h"
#include "tests/support/seed.h"

namespace surgegate {
namespace {

using namespace testing;

HeaderNames key_names() {
  std::array<std::string_view, SG_KEY_HEADERS_MAX> names{};
  names[0] = "x-api-key";
  names[1] = "accept";
  return HeaderNames(names);
}
const HeaderNames names = key_names();
constexpr std::string_view twins_names = "x-api-key accept";

// The bytes stand at the end of readable memory.
class Readable {
 public:
  explicit Readable(std::string_view text) : buffer_(text.size()) {
    std::copy(text.begin(), text.end(), buffer_.begin());
  }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(buffer_.begin()), buffer_.size()};
  }

 private:
  GuardedBuffer buffer_;
};

void expect_same(const HttpHead& head, HeadStatus status, const TwinHead& twin) {
  ASSERT_EQ(status, twin.status);
  ASSERT_EQ(head.fault, twin.fault);
  if (status != HeadStatus::complete) return;
  EXPECT_EQ(head.method, twin.method);
  EXPECT_EQ(head.target, twin.target);
  EXPECT_EQ(head.path, twin.path);
  EXPECT_EQ(head.host, twin.host);
  EXPECT_EQ(head.user_agent, twin.user_agent);
  EXPECT_EQ(head.content_length, twin.content_length);
  EXPECT_EQ(head.length_bytes, twin.length_bytes);
  EXPECT_EQ(head.chunked, twin.chunked);
  EXPECT_EQ(head.http_1_0, twin.http_1_0);
  EXPECT_EQ(head.upgrade, twin.upgrade);
  EXPECT_EQ(head.has_key(0), twin.keys.contains("x-api-key"));
  EXPECT_EQ(head.has_key(1), twin.keys.contains("accept"));
  if (head.has_key(0)) {
    EXPECT_EQ(head.key(0), twin.keys.at("x-api-key"));
  }
}

TEST(HttpHeadTwin, BothReadersReadTheSame) {
  const uint64_t first = first_seed();
  size_t complete = 0, malformed = 0;
  for (uint64_t i = 0; i < rounds(20'000, 1'000'000); i++) {
    std::mt19937_64 random(first + i);
    const std::string text = some_head(random);
    const auto lenient = static_cast<uint8_t>(random() % 8);
    const TwinHead twin = read_head_slowly(text, twins_names, lenient);
    Readable bytes(text);
    for (const Scanner& scanner : scanners()) {
      if (!scanner.is_supported) continue;
      SCOPED_TRACE(
          fmt::format("{}, lenient {}, {}", scanner.name, lenient, repeat_with(first + i)));
      HttpHead head;
      expect_same(head, read_http_head(bytes.text(), {names, lenient, scanner.scan}, head), twin);
      if (::testing::Test::HasFailure()) FAIL() << text;
    }
    complete += twin.status == HeadStatus::complete;
    malformed += twin.status == HeadStatus::malformed;
  }
  EXPECT_GT(complete, 1000u);
  EXPECT_GT(malformed, 1000u);
}

// As soon as a byte makes a head malformed it is, and for that; until then it is incomplete.
TEST(HttpHeadTwin, APrefixIsIncompleteOrMalformedForTheSame) {
  const uint64_t first = first_seed();
  for (uint64_t i = 0; i < rounds(300, 15'000); i++) {
    std::mt19937_64 random(first + i);
    const std::string text = some_head(random);
    SCOPED_TRACE(repeat_with(first + i));
    HttpHead whole;
    const HeadStatus status = read_http_head(text, {names}, whole);
    bool ended = false;
    for (size_t length = 0; length < text.size(); length++) {
      HttpHead part;
      const HeadStatus now = read_http_head(Readable(text.substr(0, length)).text(), {names}, part);
      if (now == HeadStatus::incomplete) {
        ASSERT_FALSE(ended) << text;
        continue;
      }
      ended = true;
      ASSERT_EQ(now, status) << text.substr(0, length);
      ASSERT_EQ(part.fault, whole.fault) << text.substr(0, length);
    }
  }
}

}  // namespace
}  // namespace surgegate
