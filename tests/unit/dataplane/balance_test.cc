// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/balance.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/client.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/unit/dataplane/policies.h"

namespace surgegate {
namespace {

using testing::Client;
using testing::Journey;
using testing::JourneyOptions;
using testing::policy_in_force;

std::string backends(const std::string& list) {
  return testing::shop("", "", list);
}

const std::string three =
    "web1: {address: 10.0.1.1}, web2: {address: 10.0.1.2}, web3: {address: 10.0.1.3, weight: 50}";
const std::string four = three + ", web4: {address: 10.0.1.4}";

using Choice = std::map<uint16_t, std::string>;  // backend by the client's port

Choice open_many(Journey& journey, uint16_t count) {
  Choice choice;
  for (uint16_t port = 1; port <= count; port++)
    choice[port] = journey.send(Client("192.0.2.1", port).open()).backend;
  return choice;
}

TEST(Balance, NewConnectionsAreSpreadByWeight) {
  Journey journey(policy_in_force(backends(three)), {.flows_min = 1 << 14});
  std::map<std::string, int> counts;
  for (const auto& [port, backend] : open_many(journey, 5000)) counts[backend]++;
  // 100 : 100 : 50 of 5,000; five standard deviations of a fair draw are below 180.
  EXPECT_NEAR(counts["web/web1"], 2000, 180);
  EXPECT_NEAR(counts["web/web2"], 2000, 180);
  EXPECT_NEAR(counts["web/web3"], 1000, 180);
}

// A connection that moves to another host of the cluster must find its backend there too.
TEST(Balance, EveryHostChoosesTheSame) {
  JourneyOptions other;
  other.secret = {77, 78};
  Journey a(policy_in_force(backends(three))), b(policy_in_force(backends(three)), other);
  EXPECT_EQ(open_many(a, 300), open_many(b, 300));
}

TEST(Balance, AStrayFindsTheBackendThatItsConnectionWasOpenedWith) {
  Journey journey(policy_in_force(backends(three)), {.flows_min = 4096});
  const Choice opened = open_many(journey, 200);
  for (sg_flow& flow : journey.flows()) flow = sg_flow{};  // all is forgotten
  for (const auto& [port, backend] : opened) {
    const testing::Fate& fate = journey.send(Client("192.0.2.1", port).acknowledge());
    EXPECT_EQ(fate.reason, SG_REASON_stray);
    EXPECT_EQ(fate.backend, backend);
  }
}

TEST(Balance, ANewBackendTakesNobodysConnections) {
  auto before = policy_in_force(backends(three));
  std::shared_ptr<const PolicyInForce> after = policy_in_force(backends(four), {}, before.get());
  Journey journey(std::move(before), {.flows_min = 4096});
  std::vector<Client> clients;
  Choice opened;
  for (uint16_t port = 1; port <= 400; port++) {
    clients.emplace_back("192.0.2.1", port);
    opened[port] = journey.send(clients.back().open()).backend;
  }
  journey.adopt(after);
  for (Client& client : clients)
    EXPECT_EQ(journey.send(client.acknowledge()).backend, opened[client.fields.src_port]);
  int of_new = 0;
  for (const auto& [port, backend] : open_many(journey, 0)) of_new += backend == "web/web4";
  for (uint16_t port = 1001; port <= 1400; port++)
    of_new += journey.send(Client("192.0.2.1", port).open()).backend == "web/web4";
  EXPECT_NEAR(of_new, 400 * 100 / 350, 60);
}

TEST(Balance, APinnedConnectionGetsAnotherBackendOnlyWhenItsOwnIsGone) {
  auto before = policy_in_force(backends(three));
  std::shared_ptr<const PolicyInForce> after = policy_in_force(
      backends("web1: {address: 10.0.1.1}, web2: {address: 10.0.1.2}"), {}, before.get());
  Journey journey(std::move(before), {.flows_min = 4096});
  const Choice opened = open_many(journey, 300);
  journey.adopt(after);
  for (const auto& [port, backend] : opened) {
    Client client("192.0.2.1", port);
    client.open();
    const std::string now = journey.send(client.acknowledge()).backend;
    if (backend == "web/web3")
      EXPECT_NE(now, "web/web3");
    else
      EXPECT_EQ(now, backend);
  }
}

// A slot that was given to another backend is not the flow's backend any more.
TEST(Balance, ASlotOfAnotherGenerationIsNotFollowed) {
  Journey journey(policy_in_force(backends(three)));
  Client client("192.0.2.1", 9);
  const std::string right = journey.send(client.open()).backend;
  for (sg_flow& flow : journey.flows()) {
    if (flow.hash == 0) continue;
    flow.backend_slot = static_cast<uint16_t>((flow.backend_slot + 1) % 3);
    flow.backend_generation = static_cast<uint16_t>(flow.backend_generation + 1);
  }
  EXPECT_EQ(journey.send(client.acknowledge()).backend, right);
  EXPECT_EQ(journey.worker().counters().balance.repinned, 1u);
}

}  // namespace
}  // namespace surgegate
