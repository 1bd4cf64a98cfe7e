// SPDX-License-Identifier: BSD-3-Clause
// Streams of earlier connections of a port, against a list of them.
#include "dataplane/path/earlier.h"

#include <gtest/gtest.h>

#include <vector>

#include "dataplane/table/flows.h"
#include "tests/support/random.h"
#include "tests/support/seed.h"

namespace surgegate {
namespace {

using testing::draw;
using testing::Random;

constexpr uint64_t second_ns = 1000000000;

struct Stream {
  uint32_t first_seq;
  uint32_t end_seq;
  uint64_t closed_ns;
};

// A port, as settle does to its entry what clients do that close and come back.
class Port {
 public:
  explicit Port(uint32_t first_seq) { begin(first_seq); }

  bool may_begin(uint32_t seq, uint64_t now_ns) const {
    return !is_in_stream(flow_, seq, flow_ticks(now_ns));
  }
  void send(uint32_t bytes) {
    flow_.judged.passed_64k = passed_64k_at(flow_, flow_.next_seq, flow_.next_seq + bytes);
    flow_.next_seq += bytes;
  }
  void close() { flow_.state = SG_FLOW_CLOSING; }
  void begin_again(uint32_t first_seq, uint64_t now_ns) {
    const sg_earlier earlier = earlier_with_this(flow_, flow_ticks(now_ns));
    begin(first_seq);
    flow_.earlier = earlier;
    flow_.marks = SG_FLOW_EARLIER;
  }
  const sg_flow& flow() const { return flow_; }

 private:
  void begin(uint32_t first_seq) {
    flow_ = {};
    flow_.state = SG_FLOW_ESTABLISHED;
    flow_.next_seq = first_seq;
  }

  sg_flow flow_{};
};

// Of a stack whose numbers go round in 274 s, and a port that is used again after up to a minute.
TEST(Earlier, StreamsAreBorneInMindForNinetySecondsAndHinderNoOrderlyStack) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  Random random(seed);
  for (uint64_t round = 0; round < testing::rounds(300, 30000); round++) {
    uint64_t now_ns = draw(random, 4000) * second_ns;
    const uint64_t pause_ns = (1 + draw(random, 58)) * second_ns;
    const auto offset = static_cast<uint32_t>(random());
    auto clock_seq = [offset](uint64_t ns) { return offset + static_cast<uint32_t>(ns >> 6); };
    uint32_t first_seq = clock_seq(now_ns);
    Port port(first_seq);
    std::vector<Stream> streams;
    for (int i = 0; i < 40; i++) {
      const auto bytes = static_cast<uint32_t>(1 + draw(random, 200000));
      port.send(bytes);
      port.close();
      streams.push_back({first_seq, first_seq + bytes, now_ns});
      now_ns += pause_ns + draw(random, second_ns);
      first_seq = clock_seq(now_ns);
      ASSERT_TRUE(port.may_begin(first_seq, now_ns)) << "round " << round << " time " << i;
      port.begin_again(first_seq, now_ns);
      for (const Stream& stream : streams) {
        if (now_ns - stream.closed_ns > 90 * second_ns) continue;
        const uint32_t place =
            stream.first_seq +
            static_cast<uint32_t>(draw(random, stream.end_seq - stream.first_seq + 1));
        ASSERT_FALSE(port.may_begin(place, now_ns)) << "round " << round << " time " << i;
        ASSERT_LE(room_bytes(port.flow()), uint64_t{stream.first_seq - first_seq});
      }
    }
  }
}

// In whatever order they stand: where one may begin nothing of the others is forgotten.
TEST(Earlier, StreamsAnywhereAreBorneInMindForNinetySeconds) {
  const uint64_t seed = testing::first_seed();
  SCOPED_TRACE(testing::repeat_with(seed));
  Random random(seed);
  uint64_t begun = 0;
  for (uint64_t round = 0; round < testing::rounds(1000, 100000); round++) {
    uint64_t now_ns = draw(random, 4000) * second_ns;
    uint32_t first_seq = static_cast<uint32_t>(random());
    Port port(first_seq);
    std::vector<Stream> streams;
    for (int i = 0; i < 30; i++) {
      const uint64_t wanted = 1 + draw(random, 1u << draw(random, 28));
      const auto bytes = static_cast<uint32_t>(std::min(wanted, room_bytes(port.flow())));
      port.send(bytes);
      port.close();
      streams.push_back({first_seq, first_seq + bytes, now_ns});
      now_ns += draw(random, 40 * second_ns);
      const uint32_t jump = 1u << draw(random, 32);
      uint32_t seq = port.flow().next_seq + jump + static_cast<uint32_t>(draw(random, jump));
      for (const Stream& stream : streams) {
        if (now_ns - stream.closed_ns > 90 * second_ns || !port.may_begin(seq, now_ns)) continue;
        ASSERT_GT(seq - stream.first_seq, stream.end_seq - stream.first_seq)
            << "round " << round << " time " << i;
      }
      if (!port.may_begin(seq, now_ns)) break;
      port.begin_again(seq, now_ns);
      first_seq = seq;
      begun++;
      for (const Stream& stream : streams) {
        if (now_ns - stream.closed_ns > 90 * second_ns) continue;
        ASSERT_LE(room_bytes(port.flow()), uint64_t{stream.first_seq - seq});
      }
    }
  }
  EXPECT_GT(begun, 1000u);
}

}  // namespace
}  // namespace surgegate
