// SPDX-License-Identifier: BSD-3-Clause
// The habits of a stack that somebody may have.
#pragma once

#include "tests/simulator/random.h"
#include "tests/simulator/tcp_endpoint.h"

namespace surgegate::simulator {

// A number out of all, or one shortly before they come round.
inline uint32_t some_number(Random& random) {
  if (one_in(random, 2)) return static_cast<uint32_t>(-1 - static_cast<int>(draw(random, 4'000)));
  return static_cast<uint32_t>(random());
}

inline TcpHabits some_habits_of(Random& random) {
  static constexpr uint16_t mss_bytes[] = {1460, 1460, 1400, 536, 1220};
  TcpHabits habits;
  habits.isn = some_number(random);
  habits.mss_bytes = mss_bytes[draw(random, 5)];
  habits.window_bytes = one_in(random, 4) ? 8'192 : 65'535;
  habits.stamps = !one_in(random, 3);
  habits.first_stamp = some_number(random);
  habits.delays_acks = !one_in(random, 4);
  habits.nagle = one_in(random, 3);
  habits.resend = static_cast<Resend>(draw(random, 3));
  return habits;
}

}  // namespace surgegate::simulator
