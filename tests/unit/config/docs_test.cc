// SPDX-License-Identifier: BSD-3-Clause
// docs/policy.md says of every part of the language that is not enforced that it is not.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/enforced.h"
#include "tests/unit/config/told.h"

namespace surgegate::policy {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return text;
}

// The second column of the table "What is enforced today", in lower case.
std::string carried_column() {
  const char* root = std::getenv("SURGEGATE_SOURCE");
  std::ifstream page(std::filesystem::path(root ? root : ".") / "docs/policy.md");
  std::string line, column;
  while (std::getline(page, line) && line != "## What is enforced today") {
  }
  while (std::getline(page, line) && !line.starts_with("## "))
    if (line.starts_with("| ")) column += line.substr(line.find(" | ")) + "\n";
  return lower(column);
}

// A feature is named after its words in the language: one of them stands in the column.
bool is_told_of(std::string_view feature, const std::string& column) {
  const std::string words = std::string(feature) + "_";
  for (size_t at = 0; at < words.size(); at = words.find('_', at) + 1)
    if (column.find(words.substr(at, words.find('_', at) - at)) != std::string::npos) return true;
  return false;
}

TEST(Docs, TellOfEveryFeatureThatIsNotEnforced) {
  const std::string column = carried_column();
  ASSERT_NE(column.find("what happens instead"), std::string::npos) << "where is the table?";
#define SG_FEATURE(name, enforced, until_then) \
  EXPECT_TRUE((enforced) || is_told_of(#name, column)) << #name;
  SG_POLICY_FEATURES(SG_FEATURE)
#undef SG_FEATURE
}

}  // namespace
}  // namespace surgegate::policy
