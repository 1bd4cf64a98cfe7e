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

// The set of a client's flow in the smallest table: one a shard.
uint64_t set_of(Client client) {
  const testing::Bytes frame = client.open();
  sg_packet packet;
  sg_read_frame(frame.data(), frame.data() + frame.size(), &packet);
  const JourneyOptions options;
  return sg_flow_shard(sg_flow_hash(&options.secret, &packet.tuple));
}

// A reset gives its connection's entry up, and a SYN takes it within the same burst: each goes its
// own way, the reset to the backend that has the connection.
TEST(Balance, AnEntryThatIsTakenWithinABurstIsNobodysButItsNewOwners) {
  const std::string limits = "limits:\n  per-client: {key: [client], rate: 1/h, burst: 1}\n";
  auto first = policy_in_force(testing::shop(limits, "    limits: [per-client]\n"));
  std::shared_ptr<const PolicyInForce> second = policy_in_force(
      testing::shop(limits, "    limits: [per-client]\n",
                    "web1: {address: 10.0.1.1, drain: true}, web2: {address: 10.0.1.2}"),
      {}, first.get());
  Journey journey(std::move(first));
  Client client("192.0.2.1", 1);
  journey.send(client.open());
  journey.send(client.acknowledge());
  journey.send(client.send(testing::get()));
  client.read();
  ASSERT_EQ(journey.send(client.send(testing::get())).reason, SG_REASON_limit_requests);
  const sg_flow* tombstone = nullptr;
  for (const sg_flow& flow : journey.flows())
    if (flow.hash != 0) tombstone = &flow;
  const sg_flow kept = *tombstone;
  journey.fill_flow_table();
  const_cast<sg_flow&>(*tombstone) = kept;  // every other place is taken
  journey.adopt(second);
  uint16_t port = 100;
  while (set_of(Client("192.0.2.9", port)) != set_of(Client("192.0.2.1", 1))) port++;
  const uint64_t reset = journey.offer(client.reset());
  journey.offer(client.reset());  // of the same flow: what follows is judged after the first
  const uint64_t opened = journey.offer(Client("192.0.2.9", port).open());
  journey.poll_all();
  EXPECT_EQ(journey.fate(reset).reason, SG_REASON_refused_rst);
  EXPECT_EQ(journey.fate(reset).backend, "web/web1");
  EXPECT_EQ(journey.fate(opened).reason, SG_REASON_syn)
      << "there was room only in the entry given up";
  EXPECT_EQ(journey.fate(opened).backend, "web/web2");
}

}  // namespace
}  // namespace surgegate
