// SPDX-License-Identifier: BSD-3-Clause
#include "config/words.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace surgegate::policy {
namespace {

TEST(Words, CountsInsertionsDeletionsSubstitutionsAndSwapsOfNeighbours) {
  EXPECT_EQ(edit_distance("rate", "rate", 3), 0u);
  EXPECT_EQ(edit_distance("rat", "rate", 3), 1u);
  EXPECT_EQ(edit_distance("raate", "rate", 3), 1u);
  EXPECT_EQ(edit_distance("rade", "rate", 3), 1u);
  EXPECT_EQ(edit_distance("raet", "rate", 3), 1u);
  EXPECT_EQ(edit_distance("brsut", "burst", 3), 2u);
  EXPECT_EQ(edit_distance("", "abc", 3), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting", 9), 3u);
}

TEST(Words, TakesCaseAndUnderscoresForNoDifference) {
  EXPECT_EQ(edit_distance("User_Agent", "user-agent", 3), 0u);
}

TEST(Words, TellsNoMoreThanTheMaximumAndOne) {
  EXPECT_EQ(edit_distance("abcdef", "uvwxyz", 2), 3u);
  EXPECT_EQ(edit_distance("a", "abcdefgh", 2), 3u);
  EXPECT_EQ(edit_distance(std::string(65, 'a'), std::string(65, 'a'), 2), 3u) << "too long to care";
}

// The two-row shortcut must not end a search that a swap would still win.
TEST(Words, FindsASwapAtTheEndOfTheSearch) {
  EXPECT_EQ(edit_distance("ab", "ba", 1), 1u);
  EXPECT_EQ(edit_distance("limtis", "limits", 1), 1u);
}

TEST(Words, FindsWhatWasMeant) {
  constexpr std::array<std::string_view, 6> keys = {"key",  "prefix", "rate",
                                                    "unit", "burst",  "known"};
  EXPECT_EQ(nearest_word("rat", keys), "rate");
  EXPECT_EQ(nearest_word("brust", keys), "burst");
  EXPECT_EQ(nearest_word("Known", keys), "known");
  EXPECT_EQ(nearest_word("unknwn", keys), "") << "two edits in six letters would be `known`, three";
  EXPECT_EQ(nearest_word("zebra", keys), "");
  EXPECT_EQ(nearest_word("", keys), "");
}

TEST(Words, PrefersTheNearerThenWhatBeginsAlikeThenTheFirst) {
  constexpr std::array<std::string_view, 2> sections = {"lists", "limits"};
  EXPECT_EQ(nearest_word("limts", sections), "limits");
  constexpr std::array<std::string_view, 4> names = {"web-1", "web-2", "web-22", "web"};
  EXPECT_EQ(nearest_word("web-22x", names), "web-22");
  EXPECT_EQ(nearest_word("web-3", names), "web-1");
}

TEST(Words, ListsWhatIsValid) {
  constexpr std::array<std::string_view, 3> words = {"l2", "ipip", "gue"};
  EXPECT_EQ(one_of(words), "one of l2, ipip, gue");
  EXPECT_EQ(one_of(std::span(words).first(1)), "l2");
  const std::array<std::string_view, 21> many = {"a", "a", "a", "a", "a", "a", "a",
                                                 "a", "a", "a", "a", "a", "a", "a",
                                                 "a", "a", "a", "a", "a", "y", "z"};
  EXPECT_TRUE(one_of(many).ends_with(", y, ...")) << one_of(many);
}

}  // namespace
}  // namespace surgegate::policy
