// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "config/compile.h"
#include "config/image.h"
#include "config/signatures.h"
#include "tests/unit/config/policy_samples.h"

namespace surgegate {
namespace {

using samples::name;

ImageBytes bytes_of(const policy::Policy& policy, const ImageView* previous = nullptr) {
  Compiled compiled = compile({policy, 1, previous});
  for (const auto& finding : compiled.findings) EXPECT_EQ(finding.what, "");
  return std::move(compiled.bytes);
}

// The patterns of a database, each with the name of its set.
std::string patterns_of(const ImageView& view, uint16_t database) {
  std::string text;
  const sg_database& record = view.databases()[database];
  for (const sg_pattern& pattern :
       view.patterns().subspan(record.pattern_first, record.pattern_count))
    text += std::string(view.text(view.signatures()[pattern.set].name)) + ":" +
            std::string(view.text(pattern.text)) + " ";
  return text;
}

std::span<const uint8_t> database_bytes(const ImageView& view, uint16_t database) {
  const sg_database& record = view.databases()[database];
  return view.database_bytes().subspan(record.bytes_first, record.bytes_count);
}

TEST(CompileSignatures, OneDatabaseForEachDistinctListOfSets) {
  policy::Policy policy = samples::full();
  policy.services[1].protocol.value = policy::Protocol::http;
  policy.services[1].signatures = {name("old"), name("bad-bots")};
  const ImageBytes bytes = bytes_of(policy);
  const ImageView view = *ImageView::open(bytes);
  ASSERT_EQ(view.databases().size(), 2u);
  const sg_service& shop = view.services()[0];
  EXPECT_EQ(patterns_of(view, shop.user_agent_database), "bad-bots:sqlmap bad-bots:nikto/[0-9] ");
  EXPECT_EQ(view.routes()[0].user_agent_database, shop.user_agent_database);
  // The third route adds a set; the other service names the same two in another order.
  EXPECT_EQ(patterns_of(view, view.routes()[2].user_agent_database),
            "bad-bots:sqlmap bad-bots:nikto/[0-9] old:MSIE [1-6] ");
  EXPECT_EQ(view.services()[1].user_agent_database, view.routes()[2].user_agent_database);
  for (uint16_t i = 0; i < 2; i++) EXPECT_TRUE(open_database(database_bytes(view, i)));
}

TEST(CompileSignatures, PatternsThatNoDatabaseHoldsAreCarried) {
  const ImageBytes bytes = bytes_of(samples::full());
  const ImageView view = *ImageView::open(bytes);
  std::string probes;
  for (const sg_pattern& pattern : view.patterns())
    if (view.text(view.signatures()[pattern.set].name) == "probes")
      probes += std::string(view.text(pattern.text)) + " ";
  EXPECT_EQ(probes, "/\\.env$ wp-login\\.php ");
  EXPECT_EQ(view.signatures()[2].field, SG_FIELD_TARGET);
  EXPECT_EQ(view.signatures()[2].then, SG_THEN_DROP);
  EXPECT_EQ(view.signatures()[2].mode, SG_COUNT);
  EXPECT_EQ(view.responses()[view.signatures()[0].response].status, 403);
}

TEST(CompileSignatures, RefusedPatternsAreFaultsAtTheirPlace) {
  policy::Policy policy = samples::full();
  policy.signatures[0].patterns[1] = {"(", {0, 41, 9}};
  policy.signatures[2].patterns[0] = {".*", {0, 77, 5}};  // a set of another field, checked too
  policy.signatures.push_back(samples::agents("unused", {"[z-a]"}));
  const Compiled compiled = compile({policy});
  EXPECT_TRUE(compiled.bytes.empty());
  std::vector<uint32_t> lines;
  for (const auto& finding : compiled.findings) {
    EXPECT_NE(finding.what.find("is refused by Hyperscan: "), std::string::npos) << finding.what;
    lines.push_back(finding.place.line);
  }
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  EXPECT_EQ(lines, (std::vector<uint32_t>{1, 41, 77}));
}

// The list of another engine, say.
TEST(CompileSignatures, ManyRefusedPatternsOfOneFileAreToldOfAFew) {
  policy::Policy policy = samples::full();
  policy.files = {"p.yaml", "bots.txt"};
  policy.signatures[0].patterns.clear();
  for (uint32_t line = 1; line <= 3 * SG_POLICY_FILE_FINDINGS_MAX; line++)
    policy.signatures[0].patterns.push_back({"(", {1, line, 1}});
  const auto findings = check_signatures(policy);
  ASSERT_EQ(findings.size(), size_t{SG_POLICY_FILE_FINDINGS_MAX + 1});
  EXPECT_EQ(findings.back().what, "more faults in `bots.txt` are not shown");
  EXPECT_EQ(findings.back().place.line, uint32_t{SG_POLICY_FILE_FINDINGS_MAX + 1});
}

TEST(CompileSignatures, PatternsCanBeCheckedInAPolicyWithOtherFaults) {
  policy::Policy policy = samples::full();
  policy.services[0].pool = name("no such pool");
  EXPECT_TRUE(check_signatures(policy).empty());
  policy.signatures[0].patterns[1] = {"(", {0, 41, 9}};
  const auto findings = check_signatures(policy);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].place.line, 41u);
}

// An image whose database holds something else than its patterns say shows whether it is compiled
// again or taken over.
TEST(CompileSignatures, UnchangedPatternsAreNotCompiledAgain) {
  policy::Policy policy = samples::full();
  policy.services[0].routes.clear();
  const ImageBytes first = bytes_of(policy);
  ImageSections sections = copy_sections(*ImageView::open(first));
  ASSERT_EQ(sections.databases.size(), 1u);
  const auto marked =
      *compile_patterns(std::vector<std::string>{"a marked one"}, SG_FIELD_USER_AGENT);
  sections.database_bytes = marked;
  sections.databases[0].bytes_count = marked.size();
  const ImageBytes before = *assemble_image(sections, 1);
  const ImageView previous = *ImageView::open(before);
  const ImageBytes unchanged = bytes_of(policy, &previous);
  EXPECT_TRUE(std::ranges::equal(database_bytes(*ImageView::open(unchanged), 0), marked));
  policy.signatures[0].patterns[0].value = "sqlmap2";
  const ImageBytes changed = bytes_of(policy, &previous);
  EXPECT_FALSE(std::ranges::equal(database_bytes(*ImageView::open(changed), 0), marked));
}

// The same for sets that are only checked: one that Hyperscan would refuse passes where the image
// before has it already, which nothing but a test could make.
TEST(CompileSignatures, UnchangedSetsAreNotCheckedAgain) {
  policy::Policy policy = samples::full();
  const ImageBytes first = bytes_of(policy);
  ImageSections sections = copy_sections(*ImageView::open(first));
  const std::string broken = "(((";
  const auto at = static_cast<__u32>(sections.strings.size());
  sections.strings.insert(sections.strings.end(), broken.begin(), broken.end());
  for (sg_pattern& pattern : sections.patterns)
    if (sections.signatures[pattern.set].field == SG_FIELD_TARGET)
      pattern.text = {at, static_cast<__u32>(broken.size())};
  const ImageBytes before = *assemble_image(sections, 1);
  const ImageView previous = *ImageView::open(before);
  for (auto& pattern : policy.signatures[2].patterns) pattern.value = broken;
  EXPECT_FALSE(compile({policy, 2, &previous}).bytes.empty());
  EXPECT_TRUE(compile({policy, 2, nullptr}).bytes.empty());
  policy.signatures[2].field.value = policy::SignatureField::path;
  EXPECT_TRUE(compile({policy, 2, &previous}).bytes.empty());
}

// Of another Hyperscan: the header's version differs, and the database is compiled anew.
TEST(CompileSignatures, AForeignDatabaseIsCompiledAgain) {
  const ImageBytes first = bytes_of(samples::full());
  ImageSections sections = copy_sections(*ImageView::open(first));
  for (const sg_database& database : sections.databases)
    sections.database_bytes[database.bytes_first + 4] ^= 0xff;
  const ImageBytes before = *assemble_image(sections, 1);
  const ImageView previous = *ImageView::open(before);
  const ImageBytes after = bytes_of(samples::full(), &previous);
  EXPECT_TRUE(open_database(database_bytes(*ImageView::open(after), 0)));
}

TEST(CompileSignatures, AServiceWithoutUserAgentSetsScansNothing) {
  const ImageBytes bytes = bytes_of(samples::small());
  const ImageView view = *ImageView::open(bytes);
  EXPECT_EQ(view.services()[0].user_agent_database, SG_NONE16);
  EXPECT_TRUE(view.databases().empty());
}

}  // namespace
}  // namespace surgegate
