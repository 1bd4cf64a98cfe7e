// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nic/mbuf_rings.h"

#include <gtest/gtest.h>

#include <optional>

#include "config/limits.h"
#include "dataplane/nic/eal.h"
#include "dataplane/nic/frame_pool.h"

namespace surgegate {
namespace {

constexpr uint32_t ring_frames = 64;

class RingsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(start_eal({}), "");
    auto made = FramePool::make(1024, 64);
    ASSERT_TRUE(made) << made.error();
    pool.emplace(std::move(*made));
  }
  static void TearDownTestSuite() { pool.reset(); }

  // A frame that tells who sent it.
  static Frame frame_of(uint32_t from) {
    Frame frame;
    EXPECT_TRUE(pool->allocate(frame));
    frame.number = from;
    return frame;
  }
  // How many frames of each sender a worker takes in one go.
  static std::vector<uint32_t> taken(MbufRings& rings, uint32_t to, uint32_t workers) {
    Frame frames[SG_BURST_PACKETS_MAX];
    std::vector<uint32_t> of(workers);
    uint32_t count = rings.pop(to, frames);
    for (uint32_t i = 0; i < count; i++) {
      of[frames[i].number]++;
      FramePool::free(frames[i]);
    }
    return of;
  }

  static std::optional<FramePool> pool;
};

std::optional<FramePool> RingsTest::pool;

// Worker 0 sends more than worker 3 can take; each of the others has one frame for him.
TEST_F(RingsTest, WhoFloodsCannotKeepTheOthersWaiting) {
  constexpr uint32_t workers = 4, to = 3;
  MbufRings rings(workers, ring_frames);
  ASSERT_TRUE(rings.complete());
  uint32_t of_others = 0;
  for (uint32_t from : {1u, 2u}) ASSERT_TRUE(rings.push(from, to, frame_of(from)));
  for (uint32_t round = 0; round < workers; round++) {
    for (Frame frame = frame_of(0);; frame = frame_of(0))
      if (!rings.push(0, to, frame)) {
        FramePool::free(frame);
        break;
      }
    auto of = taken(rings, to, workers);
    of_others += of[1] + of[2];
  }
  EXPECT_EQ(of_others, 2u);
  while (taken(rings, to, workers)[0] > 0) {
  }
  EXPECT_EQ(pool->frames_in_use(), 0u);
}

TEST_F(RingsTest, ThereAreEnoughForAsManyWorkersAsThereCanBe) {
  MbufRings rings(SG_WORKERS_MAX, ring_frames);
  ASSERT_TRUE(rings.complete());
  for (uint32_t from : {0u, 1u, 127u}) {
    ASSERT_TRUE(rings.push(from, 64, frame_of(from)));
    EXPECT_EQ(taken(rings, 64, SG_WORKERS_MAX)[from], 1u);
    EXPECT_EQ(taken(rings, 63, SG_WORKERS_MAX)[from], 0u);
  }
  EXPECT_EQ(pool->frames_in_use(), 0u);
}

}  // namespace
}  // namespace surgegate
