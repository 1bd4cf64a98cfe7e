// SPDX-License-Identifier: BSD-3-Clause
// Clients and a server that speak HTTP over a model of TCP, with the journey between them, over
// paths that lose, delay, reorder and double packets. Of each run:
//
// 1. No client hangs. Within half an hour each of its requests was answered, or its connection
// ended
//    where it can see it; and so did its TCP, which never had to give up, but where a policy drops
//    requests without a word.
// 2. What it reads is byte for byte the server's answer to this request, or a whole answer of the
// gate
//    to the one that the gate refused, with the connection's end behind it.
// 3. On each connection the server reads whole requests that were admitted, in order, each once;
// none
//    that was refused, none that is malformed or a robot's, and no other byte than its client
//    wrote.
// 4. Each connection of the server ends. Where nothing was lost, none has to wait for the server's
//    own timeout, but where its client vanished.
//
// What is left out is said where it is: World::is_beyond_sight(), World::may_give_up().
#include <gtest/gtest.h>

#include <iostream>

#include "tests/simulator/world.h"
#include "tests/support/seed.h"

namespace surgegate::simulator {
namespace {

TEST(Simulator, EveryRunEndsAsItShould) {
  const uint64_t first = testing::first_seed();
  World::Tally sum;
  for (uint64_t i = 0; i < testing::rounds(300, 20'000); i++) {
    World world(first + i);
    world.run();
    if (const std::string fault = world.fault(); !fault.empty()) {
      World again(first + i, [](const std::string& line) { std::cout << line << '\n'; });
      again.run();
      FAIL() << fault << "; " << testing::repeat_with(first + i);
    }
    sum += world.tally();
  }
  std::cout << sum.answered << " answered, " << sum.refused << " refused, " << sum.reset
            << " reset, " << sum.excused << " excused, " << sum.lost << " packets lost\n";
  EXPECT_GT(sum.answered, sum.runs);
  EXPECT_GT(sum.refused, sum.runs / 5);
  EXPECT_GT(sum.reset, 0u);
  EXPECT_LT(sum.excused, 6 + sum.runs / 200) << "one run in some hundreds";
}

}  // namespace
}  // namespace surgegate::simulator
