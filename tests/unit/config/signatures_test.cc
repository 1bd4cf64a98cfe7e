// SPDX-License-Identifier: BSD-3-Clause
#include "config/signatures.h"

#include <gtest/gtest.h>
#include <hs/hs.h>

#include <string>
#include <vector>

namespace surgegate {
namespace {

int note_match(unsigned id, unsigned long long, unsigned long long, unsigned, void* ids) {
  static_cast<std::vector<unsigned>*>(ids)->push_back(id);
  return 0;
}

// The patterns that match, in the order in which they are reported.
std::vector<unsigned> scan(const SignatureDatabase& database, std::string_view text) {
  std::vector<unsigned> ids;
  hs_scratch_t* scratch = nullptr;
  EXPECT_EQ(hs_alloc_scratch(database.get(), &scratch), HS_SUCCESS);
  EXPECT_EQ(hs_scan(database.get(), text.data(), static_cast<unsigned>(text.size()), 0, scratch,
                    note_match, &ids),
            HS_SUCCESS);
  hs_free_scratch(scratch);
  return ids;
}

SignatureDatabase database_of(const std::vector<std::string>& patterns, sg_field field) {
  auto bytes = compile_patterns(patterns, field);
  EXPECT_TRUE(bytes);
  auto database = open_database(*bytes);
  EXPECT_TRUE(database) << database.error();
  return std::move(*database);
}

TEST(Signatures, AReaderFindsThePatternByItsPositionWhateverTheCase) {
  const auto database = database_of({"sqlmap", "nikto/[0-9]+", "zgrab"}, SG_FIELD_USER_AGENT);
  EXPECT_EQ(scan(database, "Mozilla/5.0 SQLMap/1.5"), std::vector<unsigned>{0});
  EXPECT_EQ(scan(database, "NIKTO/21 nikto/22"), std::vector<unsigned>{1});
  EXPECT_EQ(scan(database, "curl/8.0"), std::vector<unsigned>{});
}

TEST(Signatures, CaseCountsOutsideTheUserAgent) {
  const auto database = database_of({"/Admin"}, SG_FIELD_TARGET);
  EXPECT_EQ(scan(database, "GET /Admin/x"), std::vector<unsigned>{0});
  EXPECT_EQ(scan(database, "GET /admin/x"), std::vector<unsigned>{});
}

TEST(Signatures, EveryRefusedPatternIsNamedWithItsReason) {
  const std::vector<std::string> patterns = {
      "good", "(open", "fine", "back\\1reference(a)", "a*", std::string("nul\0byte", 8)};
  const auto faults = check_patterns(patterns, SG_FIELD_USER_AGENT);
  ASSERT_EQ(faults.size(), 4u);
  EXPECT_EQ(faults[0].pattern, 1u);
  EXPECT_NE(faults[0].what.find("parenthes"), std::string::npos) << faults[0].what;
  EXPECT_EQ(faults[1].pattern, 3u);
  EXPECT_EQ(faults[2].pattern, 4u);
  EXPECT_NE(faults[2].what.find("empty"), std::string::npos) << faults[2].what;
  EXPECT_EQ(faults[3].pattern, 5u);
  EXPECT_FALSE(compile_patterns(patterns, SG_FIELD_USER_AGENT));
  EXPECT_TRUE(check_patterns(std::vector<std::string>{"good", "fine"}, SG_FIELD_HEAD).empty());
  EXPECT_EQ(check_patterns(std::vector<std::string>{"good", "(open"}, SG_FIELD_HEAD).size(), 1u);
}

TEST(Signatures, TheSamePatternsGiveTheSameBytes) {
  std::vector<std::string> patterns;
  for (int i = 0; i < 300; i++) patterns.push_back("bot-" + std::to_string(i * 7919) + "[a-f]{2}");
  const auto once = compile_patterns(patterns, SG_FIELD_USER_AGENT);
  ASSERT_TRUE(once);
  EXPECT_EQ(*once, *compile_patterns(patterns, SG_FIELD_USER_AGENT));
  EXPECT_TRUE(is_database_of_this_host(*once));
}

TEST(Signatures, DamagedDatabasesAreRefused) {
  auto bytes = *compile_patterns(std::vector<std::string>{"sqlmap"}, SG_FIELD_USER_AGENT);
  EXPECT_FALSE(open_database({}));
  EXPECT_FALSE(open_database(std::span(bytes).first(bytes.size() - 1)));
  auto flipped = bytes;
  flipped[bytes.size() / 2] ^= 1;
  EXPECT_FALSE(open_database(flipped));
  auto foreign = bytes;
  foreign[4] ^= 0xff;  // its version
  EXPECT_FALSE(is_database_of_this_host(foreign));
  ASSERT_FALSE(open_database(foreign));
  EXPECT_NE(open_database(foreign).error().find("another version"), std::string::npos);
}

}  // namespace
}  // namespace surgegate
