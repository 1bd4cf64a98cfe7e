// SPDX-License-Identifier: BSD-3-Clause
// Budgets of a service are exact over all workers of a host.
#include <gtest/gtest.h>

#include "tests/support/client.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/unit/dataplane/policies.h"

namespace surgegate {
namespace {

using testing::Client;
using testing::Journey;
using testing::policy_in_force;

// Acknowledgements of that many connections that nobody saw open, at whatever worker.
void send_strays(Journey& journey, uint16_t count) {
  for (uint16_t port = 1; port <= count; port++)
    journey.offer(Client("192.0.2.1", port).acknowledge(), port % journey.workers());
  for (int i = 0; i < 60; i++) journey.poll_all();
}

TEST(Budgets, StraysAreExactOverAllWorkers) {
  for (uint32_t workers : {1u, 3u}) {
    Journey journey(policy_in_force(testing::shop("", "    strays: 5k/s\n")), {.workers = workers});
    send_strays(journey, 900);
    EXPECT_EQ(journey.total(SG_REASON_stray), 500u) << "a burst is a tenth of a second";
    EXPECT_EQ(journey.total(SG_REASON_strays_spent), 400u);
    journey.at(10'000'000);
    send_strays(journey, 900);
    EXPECT_EQ(journey.total(SG_REASON_stray), 550u);
    journey.at(10'000'000'000);
    send_strays(journey, 900);
    EXPECT_EQ(journey.total(SG_REASON_stray), 1050u);
    EXPECT_EQ(journey.conservation_fault(), "");
  }
}

TEST(Budgets, FastOnesAreLeased) {
  Journey journey(policy_in_force(testing::shop("", "    strays: 3M/s\n")));
  send_strays(journey, 900);
  EXPECT_EQ(journey.total(SG_REASON_stray), 900u);
  EXPECT_EQ(journey.worker().counters().buckets.leases, 1u);
}

TEST(Budgets, AReloadRefillsNothing) {
  Journey journey(policy_in_force(testing::shop("", "    strays: 5k/s\n")));
  send_strays(journey, 600);
  journey.adopt(policy_in_force(testing::shop("", "    strays: 5k/s\n    head_deadline: 5s\n")));
  send_strays(journey, 600);
  EXPECT_EQ(journey.total(SG_REASON_stray), 500u);
}

TEST(Budgets, AnswersAreExactOverAllWorkers) {
  constexpr const char* limit = "limits:\n  none: {key: [], rate: 1/d, burst: 1, over: 429}\n";
  Journey journey(policy_in_force(testing::shop(limit, "    limits: [none]\n    answers: 100/s\n")),
                  {.workers = 3});
  for (uint16_t port = 1; port <= 40; port++) {
    Client client("192.0.2.1", port);
    journey.send(client.open(), port % 3);
    journey.poll_all();
    journey.send(client.acknowledge(), port % 3);
    journey.poll_all();
    journey.send(client.send(testing::get()), port % 3);
    journey.poll_all();
  }
  EXPECT_EQ(journey.total(SG_REASON_request), 1u);
  EXPECT_EQ(journey.total(SG_REASON_limit_requests), 10u);
  EXPECT_EQ(journey.total(SG_REASON_answers_spent), 29u);
  EXPECT_EQ(journey.conservation_fault(), "");
}

}  // namespace
}  // namespace surgegate
