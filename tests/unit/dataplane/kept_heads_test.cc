// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/kept_heads.h"

#include <gtest/gtest.h>

#include <vector>

namespace surgegate {
namespace {

sg_flow flow_of(uint64_t hash) {
  sg_flow flow{};
  flow.hash = hash;
  flow.kept_index = SG_NONE16;
  return flow;
}

TEST(KeptHeads, AFlowFindsItsOwnRecordUntilItGivesItBack) {
  KeptHeads heads(2);
  sg_flow flow = flow_of(7);
  EXPECT_EQ(heads.of(flow), nullptr);
  KeptHead& record = heads.take(flow);
  record.length_bytes = 5;
  EXPECT_EQ(heads.of(flow), &record);
  heads.give_back(flow);
  EXPECT_EQ(heads.of(flow), nullptr);
  EXPECT_EQ(heads.take(flow).length_bytes, 0) << "nothing of the one before is left in it";
}

TEST(KeptHeads, TheOldestMakesRoom) {
  KeptHeads heads(3);
  std::vector<sg_flow> flows = {flow_of(1), flow_of(2), flow_of(3), flow_of(4), flow_of(5)};
  for (sg_flow& flow : flows) heads.take(flow);
  EXPECT_EQ(heads.evicted(), 2u);
  EXPECT_EQ(heads.of(flows[0]), nullptr);
  EXPECT_EQ(heads.of(flows[1]), nullptr);
  for (size_t i : {2u, 3u, 4u}) EXPECT_NE(heads.of(flows[i]), nullptr) << i;
}

TEST(KeptHeads, WhatWasGivenBackIsUsedFirstAndOrderSurvivesIt) {
  KeptHeads heads(3);
  std::vector<sg_flow> flows = {flow_of(1), flow_of(2), flow_of(3), flow_of(4), flow_of(5)};
  for (size_t i : {0u, 1u, 2u}) heads.take(flows[i]);
  heads.give_back(flows[1]);
  heads.take(flows[3]);
  EXPECT_EQ(heads.evicted(), 0u);
  heads.take(flows[4]);
  EXPECT_EQ(heads.evicted(), 1u);
  EXPECT_EQ(heads.of(flows[0]), nullptr) << "the one that was taken first";
  EXPECT_NE(heads.of(flows[2]), nullptr);
}

// A reference from another process, or to a record that another flow has by now.
TEST(KeptHeads, AStaleReferenceIsRecognised) {
  KeptHeads heads(1);
  sg_flow first = flow_of(1), second = flow_of(2), stranger = flow_of(3);
  heads.take(first);
  heads.take(second);
  EXPECT_EQ(heads.of(first), nullptr);
  heads.give_back(first);
  EXPECT_NE(heads.of(second), nullptr) << "what is not one's own is not given back";
  stranger.kept_index = 4711;
  EXPECT_EQ(heads.of(stranger), nullptr);
}

}  // namespace
}  // namespace surgegate
