// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.h"

#include <gtest/gtest.h>

#include "tests/support/client.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/unit/dataplane/policies.h"

namespace surgegate {
namespace {

using testing::Bytes;
using testing::Client;
using testing::Fate;
using testing::get;
using testing::Journey;
using testing::policy_in_force;

std::shared_ptr<const PolicyInForce> open_shop() {
  return policy_in_force(testing::shop());
}

TEST(Worker, TakesABurstAtATimeAndLeavesTheRestWaiting) {
  Journey journey(open_shop());
  for (int i = 0; i < 40; i++)
    journey.offer(Client("192.0.2.1", static_cast<uint16_t>(1000 + i)).open());
  EXPECT_EQ(journey.worker().poll(journey.now()), 32u);
  EXPECT_EQ(journey.worker().poll(journey.now()), 8u);
  EXPECT_EQ(journey.worker().poll(journey.now()), 0u);
  journey.poll_all();
  EXPECT_EQ(journey.conservation_fault(), "");
}

TEST(Worker, FramesLeaveInTheOrderInWhichTheyCame) {
  Journey journey(open_shop());
  for (int i = 0; i < 32; i++)
    journey.offer(Client("192.0.2.1", static_cast<uint16_t>(1000 + i % 5)).acknowledge());
  journey.poll();
  ASSERT_EQ(journey.port().sent.size(), 32u);
  for (uint64_t i = 0; i < 32; i++) EXPECT_EQ(journey.port().sent[i].number, i + 1);
}

// N fit, and exactly N get in, although the whole burst was there before the first was charged.
TEST(Worker, PacketsOfOneBurstSeeEachOther) {
  for (int fit : {1, 2, 7, 31, 32}) {
    Journey journey(
        policy_in_force(testing::limited("{key: [source], unit: connections, rate: 1/min, burst: " +
                                         std::to_string(fit) + ", over: drop}")));
    for (int i = 0; i < 32; i++)
      journey.offer(Client("192.0.2.1", static_cast<uint16_t>(1000 + i)).open());
    journey.poll_all();
    EXPECT_EQ(journey.total(SG_REASON_syn), static_cast<uint64_t>(fit));
    EXPECT_EQ(journey.total(SG_REASON_limit_connections), static_cast<uint64_t>(32 - fit));
    for (uint64_t number = 1; number <= 32; number++)
      EXPECT_EQ(journey.fate(number).verdict == SG_VERDICT_forwarded,
                number <= static_cast<uint64_t>(fit))
          << "first come, first served";
  }
}

// A whole connection may arrive in one burst, mixed with others.
TEST(Worker, ConnectionsOfOneBurstAreFollowedPacketByPacket) {
  Journey journey(open_shop());
  std::vector<Client> clients;
  for (uint16_t port = 1; port <= 6; port++) clients.emplace_back("192.0.2.1", port);
  for (Client& client : clients) journey.offer(client.open());
  for (Client& client : clients) journey.offer(client.acknowledge());
  for (Client& client : clients) journey.offer(client.send(get()));
  for (Client& client : clients) {
    client.read();
    journey.offer(client.send(get() + get()));
  }
  for (Client& client : clients) journey.offer(client.close());
  journey.poll_all();
  EXPECT_EQ(journey.total(SG_REASON_syn), 6u);
  EXPECT_EQ(journey.total(SG_REASON_request), 12u);
  EXPECT_EQ(journey.total(SG_REASON_closing), 6u);
  for (uint64_t number = 19; number <= 24; number++)
    EXPECT_EQ(journey.fate(number).requests_admitted, 2u);
  EXPECT_EQ(journey.conservation_fault(), "");
}

TEST(Worker, EveryRequestOfTheLargestFrameIsCounted) {
  Journey journey(policy_in_force(testing::limited("{key: [client], rate: 1/s, burst: 3000}")));
  Client client("192.0.2.1", 1);
  journey.send(client.open());
  journey.send(client.acknowledge());
  std::string requests;
  for (int i = 0; i < 3500; i++) requests += "GET / HTTP/1.0\r\n\r\n";
  const Fate& fate = journey.send(client.send(requests));
  EXPECT_EQ(fate.reason, SG_REASON_trimmed);
  EXPECT_EQ(fate.requests_admitted, 3000u);
  EXPECT_EQ(fate.requests_refused, 1u);
  EXPECT_EQ(fate.sent[0].size(), 14u + 20 + 20 + 3000 * 18);
}

TEST(Worker, APolicyIsAdoptedBetweenBursts) {
  Journey journey(open_shop());
  EXPECT_EQ(journey.send(Client("192.0.2.1", 1).open()).verdict, SG_VERDICT_forwarded);
  journey.adopt(
      policy_in_force(testing::shop("lists:\n  blocked: {cidrs: [192.0.2.0/24], deny: drop}\n")));
  EXPECT_EQ(journey.send(Client("192.0.2.1", 2).open()).reason, SG_REASON_denied);
}

TEST(Worker, WhatCrossesIsCountedOnceAsReceived) {
  Journey journey(open_shop(), {.workers = 3});
  for (uint16_t port = 1; port <= 60; port++)
    journey.offer(Client("192.0.2.1", port).open(), port % 3);
  journey.poll_all();
  uint64_t received = 0, crossed = 0;
  for (uint32_t i = 0; i < 3; i++) {
    received += journey.worker(i).counters().packets_in;
    crossed += journey.worker(i).counters().packets_crossed;
  }
  EXPECT_EQ(received, 60u);
  EXPECT_GT(crossed, 20u);
  EXPECT_EQ(journey.total(SG_REASON_syn), 60u);
  EXPECT_EQ(journey.conservation_fault(), "");
}

// Where a packet arrives must not matter: its flow has one owner.
TEST(Worker, TheOwnerIsTheSameWhereverAPacketArrives) {
  Journey journey(open_shop(), {.workers = 4});
  Client client("192.0.2.1", 7);
  journey.send(client.open(), 0);
  journey.send(client.acknowledge(), 1);
  EXPECT_EQ(journey.send(client.send(get()), 2).reason, SG_REASON_request);
  client.read();
  EXPECT_EQ(journey.send(client.send(get()), 3).reason, SG_REASON_request);
}

TEST(Worker, ReasonsAreCountedByService) {
  Journey journey(open_shop());
  journey.send(Client("192.0.2.1", 1).open());
  journey.send(Client("192.0.2.1", 1, "198.51.100.53", 53).datagram("query"));
  journey.send(Client("192.0.2.1", 1, "198.51.100.99", 22).open());
  const auto& by_service = journey.worker().counters().by_service;
  const ImageView& image = journey.policy().image();
  for (size_t i = 0; i < image.services().size(); i++) {
    const bool shop = image.text(image.services()[i].name) == "shop";
    EXPECT_EQ(by_service[i][SG_REASON_syn], shop ? 1u : 0u);
    EXPECT_EQ(by_service[i][SG_REASON_datagram], shop ? 0u : 1u);
  }
  EXPECT_EQ(by_service[SG_SERVICES_MAX][SG_REASON_not_vip], 1u);
}

TEST(Worker, BackendsAreCountedByWhatTheyReallyGet) {
  Journey journey(open_shop());
  Client client("192.0.2.1", 1);
  const size_t bytes = journey.send(client.open()).sent[0].size() +
                       journey.send(client.acknowledge()).sent[0].size();
  journey.port().tx_room = 0;
  journey.send(client.send(get()));
  const BackendCounts& counts = journey.worker().counters().backends[0];
  EXPECT_EQ(counts.packets, 2u);
  EXPECT_EQ(counts.bytes, bytes);
  EXPECT_EQ(counts.connections, 1u);
}

}  // namespace
}  // namespace surgegate
