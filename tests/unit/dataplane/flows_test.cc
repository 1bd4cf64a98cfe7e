// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/flows.h"

#include <gtest/gtest.h>

#include <vector>

#include "config/flow_hash.h"

namespace surgegate {
namespace {

constexpr uint32_t now = 1000;
constexpr uint64_t second_ticks = 1'000'000'000 / SG_FLOW_TICK_NS;

class Flows : public ::testing::Test {
 protected:
  // Five flows of one set differ in the bits that neither shard nor set is made of.
  static uint64_t hash(uint64_t shard, uint64_t of_set, uint64_t rest = 0) {
    return shard << 56 | rest << 20 | of_set;
  }

  sg_flow* insert(uint64_t hash, uint32_t now_ticks) {
    sg_flow* place = table_.place_for(hash, now_ticks);
    if (place != nullptr) FlowTable::enter(*place, hash, now_ticks);
    return place;
  }

  std::vector<sg_flow> memory_ = std::vector<sg_flow>(FlowTable::entries_for(4096));
  FlowTable table_{memory_};
};

TEST_F(Flows, WhatWasInsertedIsFound) {
  sg_flow* flow = insert(hash(3, 1), now);
  ASSERT_NE(flow, nullptr);
  EXPECT_EQ(flow->state, SG_FLOW_OPENING);
  EXPECT_EQ(flow->backend_slot, 0xffff);
  EXPECT_EQ(table_.find(hash(3, 1), now), flow);
  EXPECT_EQ(table_.find(hash(3, 2), now), nullptr);
  EXPECT_EQ(table_.find(hash(4, 1), now), nullptr);
}

// A worker must never touch the flows of another's shard.
TEST_F(Flows, AFlowStandsInItsShardsPartOfTheTable) {
  const size_t per_shard = memory_.size() / SG_SHARDS;
  for (uint64_t shard = 0; shard < SG_SHARDS; shard++) {
    sg_flow* flow = insert(hash(shard, shard * 7919, shard), now);
    ASSERT_NE(flow, nullptr);
    EXPECT_EQ(static_cast<size_t>(flow - memory_.data()) / per_shard, shard);
  }
}

TEST_F(Flows, ASetTakesFourAndNeverGivesUpALiveOne) {
  for (uint64_t i = 0; i < SG_FLOW_SET_ENTRIES; i++) ASSERT_NE(insert(hash(0, 5, i), now), nullptr);
  EXPECT_EQ(insert(hash(0, 5, 99), now), nullptr);
  for (uint64_t i = 0; i < SG_FLOW_SET_ENTRIES; i++)
    EXPECT_NE(table_.find(hash(0, 5, i), now), nullptr);
  EXPECT_NE(insert(hash(0, 6, 99), now), nullptr) << "another set has room";
}

TEST_F(Flows, AnExpiredFlowGivesUpItsPlace) {
  for (uint64_t i = 0; i < SG_FLOW_SET_ENTRIES; i++) insert(hash(0, 5, i), now);
  table_.find(hash(0, 5, 2), now)->state = SG_FLOW_ESTABLISHED;
  // A SYN keeps its place for ten seconds, and is known for 150 while nobody takes it.
  const auto later = static_cast<uint32_t>(now + 11 * second_ticks);
  EXPECT_NE(table_.find(hash(0, 5, 0), later), nullptr);
  EXPECT_EQ(table_.find(hash(0, 5, 0), static_cast<uint32_t>(now + 151 * second_ticks)), nullptr);
  EXPECT_NE(table_.find(hash(0, 5, 2), later), nullptr);
  for (uint64_t i = 10; i < 13; i++) EXPECT_NE(insert(hash(0, 5, i), later), nullptr);
  EXPECT_EQ(insert(hash(0, 5, 13), later), nullptr);
  EXPECT_NE(table_.find(hash(0, 5, 2), later), nullptr);
}

TEST_F(Flows, EachStateHasItsLifetime) {
  struct Lifetime {
    uint8_t state;
    uint64_t seconds;
    uint8_t flags = 0;
    uint8_t reader = SG_READER_HEAD;
  };
  for (Lifetime l : {Lifetime{SG_FLOW_OPENING, 10},
                     {SG_FLOW_ESTABLISHED, 90},  // a handshake, and nothing else came
                     {SG_FLOW_ESTABLISHED, 900, SG_FLOW_HAS_REQUEST},
                     {SG_FLOW_ESTABLISHED, 90, SG_FLOW_IN_HEAD},
                     {SG_FLOW_ESTABLISHED, 900, 0, SG_READER_NONE},
                     {SG_FLOW_CLOSING, 90},
                     {SG_FLOW_REFUSED, 90},
                     {SG_FLOW_MET, 10}}) {
    sg_flow flow{};
    flow.hash = 1;
    flow.state = l.state;
    flow.flags = l.flags;
    flow.reader = l.reader;
    flow.seen_ticks = now;
    const auto last = static_cast<uint32_t>(now + l.seconds * 1'000'000'000 / SG_FLOW_TICK_NS);
    EXPECT_FALSE(FlowTable::expired(flow, last)) << int{l.state};
    EXPECT_TRUE(FlowTable::expired(flow, last + 2)) << int{l.state};
  }
}

// Anybody can bring such entries about, with any address.
TEST_F(Flows, WhatWasMetGivesWayToAConnectionThatOpens) {
  for (uint64_t i = 0; i < SG_FLOW_SET_ENTRIES; i++) {
    sg_flow* live = insert(hash(0, 5, i), now);
    live->state = SG_FLOW_ESTABLISHED;
    live->flags = SG_FLOW_HAS_REQUEST;
  }
  sg_flow* met = table_.find(hash(0, 5, 1), now);
  met->marks = SG_FLOW_STRAY;
  EXPECT_EQ(table_.place_for(hash(0, 5, 9), now), nullptr) << "a lane may hold it now";
  EXPECT_EQ(table_.place_for(hash(0, 5, 9), now + 1), met);
  sg_flow* closed = table_.find(hash(0, 5, 3), now);
  closed->state = SG_FLOW_CLOSING;
  const auto later = static_cast<uint32_t>(now + 91 * second_ticks);
  EXPECT_EQ(table_.place_for(hash(0, 5, 9), later), closed) << "a dead entry comes first";
}

TEST_F(Flows, WhatIsMetTakesNobodysPlace) {
  for (uint64_t i = 0; i < SG_FLOW_SET_ENTRIES; i++) insert(hash(0, 5, i), now);
  table_.find(hash(0, 5, 0), now)->state = SG_FLOW_REFUSED;
  table_.find(hash(0, 5, 1), now)->state = SG_FLOW_CLOSING;
  sg_flow* other = table_.find(hash(0, 5, 2), now);
  other->state = SG_FLOW_MET;
  other->marks = SG_FLOW_STRAY;
  table_.find(hash(0, 5, 3), now)->state = SG_FLOW_ESTABLISHED;
  EXPECT_EQ(table_.place_for_met(hash(0, 5, 9), static_cast<uint32_t>(now + 9 * second_ticks)),
            nullptr);
  EXPECT_EQ(table_.place_for_met(hash(0, 5, 9), static_cast<uint32_t>(now + 11 * second_ticks)),
            other);
  other->state = SG_FLOW_ESTABLISHED;
  EXPECT_EQ(table_.place_for_met(hash(0, 5, 9), static_cast<uint32_t>(now + 800 * second_ticks)),
            nullptr)
      << "what closed or was refused is known, and so is what lives";
  EXPECT_NE(table_.place_for_met(hash(0, 5, 9), static_cast<uint32_t>(now + 901 * second_ticks)),
            nullptr);
}

// Of one that was met nobody knows whether a request came: it is not given up as one without.
TEST_F(Flows, WhatWasMetIsNotUnused) {
  sg_flow* flow = insert(hash(0, 5, 0), now);
  flow->state = SG_FLOW_ESTABLISHED;
  const auto later = static_cast<uint32_t>(now + 91 * second_ticks);
  EXPECT_TRUE(FlowTable::expired(*flow, later));
  flow->marks = SG_FLOW_STRAY;
  EXPECT_FALSE(FlowTable::expired(*flow, later));
}

// Two entries of one hash would be two truths about one connection.
TEST_F(Flows, AFlowThatExpiredAndComesBackTakesItsOwnEntry) {
  for (uint64_t i = 0; i < 3; i++) insert(hash(0, 5, i), now);
  sg_flow* own = table_.find(hash(0, 5, 2), now);
  const auto later = static_cast<uint32_t>(now + 11 * second_ticks);
  EXPECT_EQ(insert(hash(0, 5, 2), later), own);
  int entries = 0;
  for (const sg_flow& flow : memory_) entries += flow.hash == hash(0, 5, 2);
  EXPECT_EQ(entries, 1);
}

TEST_F(Flows, AgesHoldAcrossTheWrapOfTheirClock) {
  const uint32_t before = 0xffffff00u;
  sg_flow* flow = insert(hash(1, 1), before);
  flow->state = SG_FLOW_ESTABLISHED;
  EXPECT_EQ(table_.find(hash(1, 1), before + 0x200), flow);  // wrapped
  EXPECT_EQ(table_.find(hash(1, 1), before + 1'000'000), nullptr);
}

// An arena that was kept may hold anything.
TEST_F(Flows, AnUnknownStateIsNobodys) {
  sg_flow* flow = insert(hash(1, 1), now);
  flow->state = 77;
  EXPECT_EQ(table_.find(hash(1, 1), now), nullptr);
  EXPECT_EQ(insert(hash(1, 1), now), flow);
}

TEST_F(Flows, ARemovedFlowIsGoneAndItsPlaceFree) {
  sg_flow* flow = insert(hash(1, 1), now);
  FlowTable::remove(*flow);
  EXPECT_EQ(table_.find(hash(1, 1), now), nullptr);
  EXPECT_EQ(insert(hash(1, 1), now), flow);
}

TEST(FlowTable, EntriesAreAPowerOfTwoAndOneSetAShardAtLeast) {
  EXPECT_EQ(FlowTable::entries_for(1), size_t{SG_SHARDS * SG_FLOW_SET_ENTRIES});
  EXPECT_EQ(FlowTable::entries_for(1025), 2048u);
  EXPECT_EQ(FlowTable::entries_for(4096), 4096u);
}

}  // namespace
}  // namespace surgegate
