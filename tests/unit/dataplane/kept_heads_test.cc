// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/kept_heads.h"

#include <gtest/gtest.h>

#include <string>
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

KeptRange range_at(uint32_t start_seq) {
  return {start_seq, 0, 1, 0};
}

TEST(KeptHead, TheOldestRangeMakesRoom) {
  KeptHeads heads(1);
  sg_flow flow = flow_of(7);
  KeptHead& head = heads.take(flow);
  for (uint32_t i = 0; i < SG_KEPT_RANGES_MAX; i++) EXPECT_FALSE(head.add_range(range_at(i)));
  for (uint32_t i = 0; i < 2 * SG_KEPT_RANGES_MAX; i++) {
    EXPECT_TRUE(head.add_range(range_at(SG_KEPT_RANGES_MAX + i)));
    EXPECT_EQ(head.ranges_count, SG_KEPT_RANGES_MAX);
    EXPECT_EQ(head.range(0).start_seq, i + 1);
    EXPECT_EQ(head.range(SG_KEPT_RANGES_MAX - 1).start_seq, SG_KEPT_RANGES_MAX + i);
  }
}

TEST(KeptHead, ARangeOfOtherBytesIsNotInTheHead) {
  KeptHeads heads(1);
  sg_flow flow = flow_of(7);
  KeptHead& head = heads.take(flow);
  head.start_seq = 100;
  EXPECT_FALSE(head.has_head_bytes(range_at(100))) << "it has none";
  EXPECT_FALSE(head.has_head_bytes(range_at(100 + (1u << 31)))) << "nor half a circle away";
  head.length_bytes = 10;
  EXPECT_TRUE(head.has_head_bytes(range_at(100)));
  EXPECT_TRUE(head.has_head_bytes(range_at(109)));
  EXPECT_FALSE(head.has_head_bytes(range_at(99)));
  EXPECT_FALSE(head.has_head_bytes(range_at(110)));
  EXPECT_FALSE(head.has_head_bytes({109, 0, 2, 0}));
}

// The record of a flow whose stream begins at 1,000.
class Runs : public ::testing::Test {
 protected:
  Runs() : flow_(flow_of(7)), head_(heads_.take(flow_)) { head_.begin_at(1'000); }

  std::string lay(uint32_t first, std::string_view bytes) {
    std::string whole(head_.try_run(first, bytes));
    head_.add_run(first, first + static_cast<uint32_t>(bytes.size()));
    return whole;
  }

  KeptHeads heads_{1};
  sg_flow flow_;
  KeptHead& head_;
};

TEST_F(Runs, ThatTouchBecomeOne) {
  EXPECT_EQ(lay(10, "klm"), "klm");
  EXPECT_EQ(lay(16, "qr"), "qr");
  EXPECT_EQ(head_.runs_count, 2);
  EXPECT_EQ(lay(13, "n"), "klmn") << "behind one";
  EXPECT_EQ(lay(15, "p"), "pqr") << "in front of one";
  EXPECT_EQ(head_.runs_count, 2);
  EXPECT_EQ(lay(12, "mnop"), "klmnopqr") << "over both";
  EXPECT_EQ(head_.runs_count, 1);
  EXPECT_EQ(head_.run_from(1'010), "klmnopqr");
  EXPECT_EQ(head_.run_from(1'014), "opqr");
  EXPECT_EQ(head_.run_from(1'009), "");
  EXPECT_EQ(head_.run_from(1'018), "");
}

TEST_F(Runs, KeepTheEdgesOfTheirSegments) {
  EXPECT_EQ(head_.bytes_to_edge(1'000, 5), 5u) << "there is none";
  lay(10, "klm");
  lay(16, "qr");
  lay(13, "n");
  EXPECT_EQ(head_.bytes_to_edge(1'000, 20), 10u);
  EXPECT_EQ(head_.bytes_to_edge(1'010, 20), 3u);
  EXPECT_EQ(head_.bytes_to_edge(1'012, 20), 1u);
  EXPECT_EQ(head_.bytes_to_edge(1'013, 20), 1u) << "where two became one";
  EXPECT_EQ(head_.bytes_to_edge(1'014, 20), 2u);
  EXPECT_EQ(head_.bytes_to_edge(1'016, 20), 2u);
  EXPECT_EQ(head_.bytes_to_edge(1'016, 1), 1u) << "no more than was asked for";
  EXPECT_EQ(head_.bytes_to_edge(1'018, 20), 20u);
  EXPECT_EQ(head_.bytes_to_edge(995, 20), 15u) << "from in front of the record";
  lay(11, "lmnopq");
  EXPECT_EQ(head_.bytes_to_edge(1'010, 20), 1u) << "within one that is there";
  EXPECT_EQ(head_.bytes_to_edge(1'016, 20), 1u);
}

TEST_F(Runs, HaveEdgesInABoundedNumber) {
  for (uint32_t i = 0; i + 1 < SG_AHEAD_EDGES_MAX; i++) {
    ASSERT_TRUE(head_.has_room_for_run(10 + i, 11 + i)) << i;
    lay(10 + i, "x");
  }
  const uint32_t last = 10 + SG_AHEAD_EDGES_MAX - 1;
  EXPECT_FALSE(head_.has_room_for_run(last, last + 1));
  EXPECT_TRUE(head_.has_room_for_run(last - 1, last)) << "the same again";
  EXPECT_TRUE(head_.has_room_for_run(10, last)) << "or together";
  head_.pass_runs(9);
  EXPECT_FALSE(head_.has_room_for_run(last, last + 1));
  head_.pass_runs(10);
  EXPECT_TRUE(head_.has_room_for_run(last, last + 1));
  head_.forget_runs();
  EXPECT_EQ(head_.bytes_to_edge(1'000, 99), 99u);
}

TEST_F(Runs, AreBounded) {
  for (uint32_t i = 0; i < SG_AHEAD_RUNS_MAX; i++) {
    ASSERT_TRUE(head_.has_room_for_run(3 * i + 1, 3 * i + 2));
    lay(3 * i + 1, "x");
  }
  EXPECT_FALSE(head_.has_room_for_run(3 * SG_AHEAD_RUNS_MAX + 1, 3 * SG_AHEAD_RUNS_MAX + 2));
  EXPECT_TRUE(head_.has_room_for_run(2, 3)) << "which makes one of one";
  EXPECT_FALSE(head_.has_room_for_run(2, SG_HEAD_BYTES_MAX + 1));
}

TEST_F(Runs, AreComparedWhereTheyOverlap) {
  lay(10, "klm");
  EXPECT_TRUE(head_.agrees(1'000, "??????????klm???"));
  EXPECT_TRUE(head_.agrees(1'011, "l"));
  EXPECT_FALSE(head_.agrees(1'011, "L"));
  EXPECT_FALSE(head_.agrees(1'012, "M?"));
  EXPECT_FALSE(head_.agrees(1'009, "?K"));
  EXPECT_TRUE(head_.agrees(1'013, "?"));
  EXPECT_TRUE(head_.agrees(1'000 - (1u << 31), "klm")) << "half a circle away";
}

TEST_F(Runs, MoveWithTheStream) {
  lay(10, "klm");
  lay(20, "uv");
  head_.begin_at(1'011);
  EXPECT_EQ(head_.run_from(1'011), "lm");
  EXPECT_EQ(head_.run_from(1'020), "uv");
  EXPECT_EQ(head_.bytes_to_edge(1'011, 99), 2u);
  EXPECT_EQ(head_.bytes_to_edge(1'013, 99), 7u);
  EXPECT_EQ(head_.bytes_to_edge(1'020, 99), 2u);
  head_.extend_head(2);
  EXPECT_EQ(head_.end_seq(), 1'013u);
  EXPECT_EQ(head_.runs_count, 1);
  EXPECT_FALSE(head_.has_run_behind(1'022));
  EXPECT_TRUE(head_.has_run_behind(1'021));
  head_.begin_at(1'000'000);
  EXPECT_EQ(head_.runs_count, 0);
}

}  // namespace
}  // namespace surgegate
