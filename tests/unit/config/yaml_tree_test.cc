// SPDX-License-Identifier: BSD-3-Clause
#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config/limits.h"

namespace surgegate::policy {
namespace {

// The tree as text: every value with its place, "{a@1:1 1@1:4}".
std::string shown(const Node& node) {
  std::string text;
  switch (node.kind) {
    case Node::Kind::null:
      text = "~";
      break;
    case Node::Kind::scalar:
      text = node.text;
      break;
    case Node::Kind::list:
      for (const Node* item : node.items) text += (text.empty() ? "" : " ") + shown(*item);
      return "[" + text + "]";
    case Node::Kind::map:
      for (const Entry& entry : node.entries)
        text += fmt::format("{}{}@{}:{} {}", text.empty() ? "" : " ", entry.key, entry.place.line,
                            entry.place.column, shown(*entry.value));
      return "{" + text + "}";
  }
  return fmt::format("{}@{}:{}", text, node.place.line, node.place.column);
}

struct Seen {
  std::string tree;
  std::string faults;
};

Seen see(std::string_view text, uint64_t nodes_left = 1000) {
  std::vector<Finding> findings;
  Report report(findings);
  Tree tree;
  const bool was_read = tree.read(text, 0, nodes_left, report);
  Seen seen;
  if (was_read) seen.tree = tree.root() ? shown(*tree.root()) : "empty";
  const std::vector<std::string> files = {"p"};
  for (const Finding& finding : findings) seen.faults += to_text(finding, files) + "\n";
  return seen;
}

TEST(YamlTree, KnowsThePlaceOfEveryValue) {
  EXPECT_EQ(see("a: 1\nb:\n  - x\n  - {c: 'd'}\n").tree,
            "{a@1:1 1@1:4 b@2:1 [x@3:5 {c@4:6 d@4:9}]}");
  EXPECT_EQ(see("").tree, "empty");
  EXPECT_EQ(see("# only a comment\n").tree, "empty");
}

TEST(YamlTree, PutsAnEmptyValueWhereItsKeyIs) {
  EXPECT_EQ(see("a:\n\n\nb: 1\n").tree, "{a@1:1 ~@1:1 b@4:1 1@4:4}");
}

TEST(YamlTree, TellsBothPlacesOfAKeyThatIsWrittenTwice) {
  const Seen seen = see("a: 1\nb: 2\na: 3\n");
  EXPECT_EQ(seen.tree, "{a@1:1 1@1:4 b@2:1 2@2:4}");
  EXPECT_EQ(seen.faults,
            "p:3:1: fault: key `a` is written twice: the first is at line 1, column 1\n");
}

TEST(YamlTree, PutsAnAliasInPlaceOfItsAnchor) {
  EXPECT_EQ(see("a: &x [1, 2]\nb: *x\n").tree, "{a@1:1 [1@1:8 2@1:11] b@2:1 [1@1:8 2@1:11]}");
}

TEST(YamlTree, MergesMapsUnderTheKeysOfTheirOwn) {
  const std::string text = "a: &x {k: 1, l: 2}\nb: &y {l: 3, m: 4}\n";
  EXPECT_EQ(see(text + "c: {<<: *x, k: 9}").tree,
            "{a@1:1 {k@1:8 1@1:11 l@1:14 2@1:17} b@2:1 {l@2:8 3@2:11 m@2:14 4@2:17} "
            "c@3:1 {k@3:13 9@3:16 l@1:14 2@1:17}}");
  EXPECT_NE(
      see(text + "c: {<<: [*x, *y]}").tree.find("c@3:1 {k@1:8 1@1:11 l@1:14 2@1:17 m@2:14 4@2:17}"),
      std::string::npos)
      << "of several maps the first wins";
  EXPECT_EQ(see("a: {<<: 1}").faults,
            "p:1:5: fault: `<<` with `1`; expected an alias of a map, or a list of such\n");
  EXPECT_EQ(see("a: {'<<': 1}").tree, "{a@1:1 {<<@1:5 1@1:11}}") << "a quoted key is a key";
}

TEST(YamlTree, ReadsATagOnAsWhatWasMeant) {
  EXPECT_EQ(see("a: [!192.0.2.7 ]").tree, "{a@1:1 [!192.0.2.7@1:5]}");
}

TEST(YamlTree, RefusesWhatOnlyLooksLikeData) {
  EXPECT_EQ(see("a: [192.0.2.0/24, !192.0.2.7]").faults,
            "p:1:19: fault: `!192.0.2.7` is a YAML tag, and the policy has none; expected quotes "
            "around a value that starts with `!`\n");
  EXPECT_EQ(see("{[a, b]: c}").faults, "p:1:2: fault: a list as a key; expected a word\n");
  EXPECT_EQ(see("a: 1\n---\nb: 2\n").faults,
            "p:2:1: fault: a second YAML document; expected one document in one file\n");
  EXPECT_EQ(see("a: *nope\n").faults,
            "p:1:4: fault: this is not YAML: the referenced anchor is not defined; "
            "expected YAML, in which a value with special characters stands in quotes\n");
  EXPECT_EQ(see("a: &x [*x]\n").faults,
            "p:1:8: fault: an alias inside the value that it stands for\n");
}

TEST(YamlTree, TellsWhereTheTextIsNoYaml) {
  const Seen seen = see("a: 1\nb: [1, {c: 2]\n");
  EXPECT_EQ(seen.tree, "");
  EXPECT_TRUE(seen.faults.starts_with("p:2:13: fault: this is not YAML: ")) << seen.faults;
}

TEST(YamlTree, TellsOfABracketThatIsNotClosed) {
  EXPECT_EQ(see("a: [1, 2\nb: 3\n").faults,
            "p:2:1: fault: a `[` above is not closed, or a comma is missing; expected `]` behind "
            "its last entry\n");
}

// The slips of who writes YAML seldom; yaml-cpp has two words for all of them.
TEST(YamlTree, TellsOfLinesThatAreIndentedAsNoneAboveThem) {
  EXPECT_EQ(see("a:\n  b:\n    c: 1\n   d: 2\n").faults,
            "p:4:4: fault: this line stands 3 blanks in, and nothing above it does; expected as "
            "many blanks as what it belongs to: 0 or 2 or 4\n");
  EXPECT_EQ(see("a:\n  b: 1  # one\n\n    # two\n    c: 2\n").faults,
            "p:5:5: fault: this line stands 4 blanks in, and the key above it (2 in) has its value "
            "already; expected 2 blanks, as in line 2\n");
}

TEST(YamlTree, TellsOfAColonWithoutABlank) {
  const std::string due = " lacks a blank behind its colon; expected pool: web\n";
  EXPECT_EQ(see("a:\n  pool:web\n  b: 1\n").faults, "p:2:3: fault: `pool:web`" + due);
  EXPECT_EQ(see("a:\n  b: 1\n  pool:web # c: d\n  e: 2\n").faults,
            "p:3:3: fault: `pool:web`" + due);
  EXPECT_EQ(see("a: http://b\nc: 192.0.2.1:80\nd:\n - e:80\n").faults, "");
}

TEST(YamlTree, TellsOfATabThatIndents) {
  const std::string rest =
      ": fault: a tab in front of the line's text; expected spaces: YAML takes no tabs for "
      "indentation\n";
  EXPECT_EQ(see("a:\n\tb: 1\n").faults, "p:2:1" + rest);
  EXPECT_EQ(see("a:\n  b: 1\n \t c: 2\n").faults, "p:3:2" + rest);
  EXPECT_EQ(see("a:\n  - x\n\t- y\n").faults, "p:3:1" + rest);
  EXPECT_EQ(see("a: {b: 1,\n\tc: 2}\n").faults, "") << "there it does not indent";
}

// yaml-cpp takes U+0004 for the end of the file: what follows would silently not count.
TEST(YamlTree, RefusesBytesThatDoNotBelongIntoText) {
  EXPECT_EQ(see(std::string_view("a: 1\n\x04limits: {}", 17)).faults,
            "p:2:1: fault: byte 0x04 does not belong into a policy; expected text in UTF-8\n");
  EXPECT_EQ(see(std::string_view("a: \0", 4)).faults,
            "p:1:4: fault: byte 0x00 does not belong into a policy; expected text in UTF-8\n");
  EXPECT_EQ(see("a: \xc3(").faults,
            "p:1:4: fault: byte 0xc3 does not belong into a policy; expected text in UTF-8\n");
  EXPECT_EQ(see("\xff\xfe"
                "a")
                .tree,
            "")
      << "UTF-16";
  EXPECT_EQ(see("a: caf\xc3\xa9\r\nb: 1\r\n").tree, "{a@1:1 caf\xc3\xa9@1:4 b@2:1 1@2:4}");
}

TEST(YamlTree, HasAnEnd) {
  EXPECT_EQ(see("[1, 2, 3]", 4).tree, "[1@1:2 2@1:5 3@1:8]");
  EXPECT_TRUE(see("[1, 2, 3]", 3)
                  .faults.starts_with("p:1:8: fault: the policy has more than 2000000 values"));
  const std::string deep(SG_POLICY_DEPTH_MAX, '[');
  EXPECT_EQ(see(deep + std::string(SG_POLICY_DEPTH_MAX, ']')).faults, "");
  EXPECT_EQ(see(deep + "[]" + std::string(SG_POLICY_DEPTH_MAX, ']')).faults,
            "p:1:33: fault: nested deeper than 32 levels\n");
}

// "A billion laughs": ten lines that stand for ten to the ten values.
TEST(YamlTree, CountsAnAliasAsWhatItStandsFor) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; i++) {
    text += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 10; j++) text += fmt::format("{}*a{}", j ? ", " : "", i - 1);
    text += "]\n";
  }
  EXPECT_TRUE(see(text, SG_POLICY_NODES_MAX).faults.starts_with("p:7:"));
}

}  // namespace
}  // namespace surgegate::policy
