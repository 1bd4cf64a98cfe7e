// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/inspect.h"

#include <gtest/gtest.h>

#include "tests/support/client.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/unit/dataplane/policies.h"

namespace surgegate {
namespace {

using testing::Client;
using testing::Journey;

std::string get_as(std::string_view agent) {
  return "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + std::string(agent) + "\r\n\r\n";
}

sg_reason judged(std::shared_ptr<const PolicyInForce> policy, std::string_view agent) {
  Journey journey(std::move(policy));
  Client client("192.0.2.1", 1);
  journey.send(client.open());
  journey.send(client.acknowledge());
  return journey.send(client.send(get_as(agent))).reason;
}

std::unique_ptr<PolicyInForce> three_patterns() {
  return testing::policy_in_force(
      testing::shop("signatures:\n  bots: {field: user-agent, patterns: [one, two, six], "
                    "then: {refuse: 403}}\n",
                    "    signatures: [bots]\n"));
}

TEST(Inspect, FindsEachPattern) {
  for (const char* agent : {"one", "two", "six"})
    EXPECT_EQ(judged(three_patterns(), agent), SG_REASON_signature) << agent;
  EXPECT_EQ(judged(three_patterns(), "ten"), SG_REASON_request);
}

// A database is bytes that somebody else has compiled: what it reports is no index of ours until it
// has been compared with how many patterns there are.
TEST(Inspect, AMatchBeyondTheDatabasesPatternsIsNone) {
  const auto whole = three_patterns();
  ImageSections sections = copy_sections(whole->image());
  ASSERT_EQ(sections.databases.at(0).pattern_count, 3u);
  sections.databases[0].pattern_count = 1;
  auto foreign = PolicyInForce::make(*assemble_image(sections, 2));
  ASSERT_TRUE(foreign) << foreign.error();
  const std::shared_ptr<const PolicyInForce> policy = std::move(*foreign);
  EXPECT_EQ(judged(policy, "one"), SG_REASON_signature);
  EXPECT_EQ(judged(policy, "two"), SG_REASON_request);
  EXPECT_EQ(judged(policy, "six"), SG_REASON_request);
}

}  // namespace
}  // namespace surgegate
