// SPDX-License-Identifier: BSD-3-Clause
#include "config/findings.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "config/limits.h"

namespace surgegate::policy {
namespace {

const std::vector<std::string> files = {"policy.yaml", "lists/drop.txt"};

TEST(Findings, AreOneLineForPeople) {
  EXPECT_EQ(to_text({Severity::fault, {0, 3, 5}, "unknown key `rat`", "rate", "rate"}, files),
            "policy.yaml:3:5: fault: unknown key `rat`; expected rate; did you mean `rate`?");
  EXPECT_EQ(to_text({Severity::warning, {1, 12, 1}, "odd", {}, {}}, files),
            "lists/drop.txt:12:1: warning: odd");
  EXPECT_EQ(to_text({Severity::note, {0, 0, 0}, "as a whole", {}, {}}, files),
            "policy.yaml: note: as a whole");
}

TEST(Findings, AreObjectsForPrograms) {
  EXPECT_EQ(
      to_json({Severity::fault, {0, 3, 5}, "unknown key `rat`", "a key", "rate"}, files).dump(),
      R"({"column":5,"expected":"a key","file":"policy.yaml","line":3,"nearest":"rate",)"
      R"("severity":"fault","what":"unknown key `rat`"})");
  EXPECT_EQ(to_json({Severity::note, {0, 0, 0}, "w", {}, {}}, files).dump(),
            R"({"file":"policy.yaml","severity":"note","what":"w"})");
}

TEST(Findings, ShowNothingThatATerminalOrJsonWouldChokeOn) {
  EXPECT_EQ(quote("a\x1b[2Jb\n"), "`a\\x1b[2Jb\\x0a`");
  EXPECT_EQ(quote("caf\xc3\xa9"), "`caf\xc3\xa9`");
  EXPECT_EQ(quote("\xc2\x9b"), "`\\xc2\\x9b`") << "a C1 control";
  EXPECT_EQ(quote("\xff\xc3"), "`\\xff\\xc3`");
  EXPECT_EQ(quote(""), "an empty text");
  const std::vector<std::string> odd = {"a\nb\xff.yaml"};
  EXPECT_EQ(to_text({Severity::fault, {0, 1, 1}, "w", {}, {}}, odd),
            "a\\x0ab\\xff.yaml:1:1: fault: w");
  EXPECT_EQ(to_json({Severity::fault, {0, 0, 0}, "a\xff", "b\xff", "c\n"}, odd).dump(),
            R"({"expected":"b\\xff","file":"a\\x0ab\\xff.yaml","nearest":"c\\x0a",)"
            R"("severity":"fault","what":"a\\xff"})");
}

TEST(Findings, CutLongTextsBetweenCharacters) {
  std::string text(79, 'x');
  text += "\xc3\xa9yz";
  EXPECT_EQ(quote(text), "`" + std::string(79, 'x') + "...`");
  EXPECT_EQ(quote(std::string(80, 'x')), "`" + std::string(80, 'x') + "`");
}

TEST(Findings, AreSortedByPlaceAndToldOnce) {
  std::vector<Finding> findings = {{Severity::fault, {1, 1, 1}, "d", {}, {}},
                                   {Severity::warning, {0, 2, 1}, "c", {}, {}},
                                   {Severity::fault, {0, 2, 1}, "b", {}, {}},
                                   {Severity::fault, {0, 1, 9}, "a", {}, {}},
                                   {Severity::fault, {0, 1, 9}, "a", {}, {}}};
  sort_findings(findings);
  std::string order;
  for (const Finding& finding : findings) order += finding.what;
  EXPECT_EQ(order, "abcd");
  EXPECT_EQ(findings.size(), 4u);
}

TEST(Findings, AreBoundedBySeverity) {
  std::vector<Finding> findings;
  Report report(findings);
  for (uint32_t i = 0; i < SG_POLICY_FINDINGS_MAX + 500; i++) report.warn({0, i + 1, 1}, "w");
  EXPECT_FALSE(has_fault(findings));
  report.fault({0, 1, 1}, "f");
  EXPECT_TRUE(has_fault(findings)) << "a fault is never lost to warnings";
  EXPECT_EQ(findings.size(), SG_POLICY_FINDINGS_MAX + 2u);
  EXPECT_EQ(findings[SG_POLICY_FINDINGS_MAX].what,
            "more than 1000 warnings: the rest is not shown");
}

}  // namespace
}  // namespace surgegate::policy
