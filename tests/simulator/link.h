// SPDX-License-Identifier: BSD-3-Clause
// One direction of a path: it loses, delays, reorders and doubles what is sent over it.
#pragma once

#include <functional>

#include "tests/simulator/events.h"
#include "tests/simulator/random.h"

namespace surgegate::simulator {

struct LinkFaults {
  uint32_t lost_of_1000 = 0, doubled_of_1000 = 0;
  uint64_t delay_ns = 1 * ms;
  uint64_t jitter_ns = 0;     // 0: nothing is reordered
  uint64_t loses_number = 0;  // this one packet, counted from 1; 0: none
};

class Link {
 public:
  Link(Events& events, Random& random, const LinkFaults& faults)
      : events_(events), random_(random), faults_(faults) {}

  // arrives: once, twice, or never.
  void carry(const std::function<void()>& arrives) {
    count_++;
    if (count_ == faults_.loses_number || draw(random_, 1'000) < faults_.lost_of_1000) {
      lost_++;
      return;
    }
    deliver(arrives);
    if (draw(random_, 1'000) < faults_.doubled_of_1000) deliver(arrives);
  }
  uint64_t lost() const { return lost_; }
  bool reorders() const { return faults_.jitter_ns > 0; }

 private:
  void deliver(const std::function<void()>& arrives) {
    const uint64_t jitter_ns = faults_.jitter_ns == 0 ? 0 : draw(random_, faults_.jitter_ns);
    events_.after(faults_.delay_ns + jitter_ns, arrives);
  }

  Events& events_;
  Random& random_;
  LinkFaults faults_;
  uint64_t count_ = 0, lost_ = 0;
};

LinkFaults inline some_faults(Random& random, uint32_t lost_of_1000) {
  LinkFaults faults;
  faults.lost_of_1000 = lost_of_1000;
  faults.doubled_of_1000 = one_in(random, 3) ? static_cast<uint32_t>(draw(random, 50)) : 0;
  faults.delay_ns = draw(random, 40 * ms);
  faults.jitter_ns = one_in(random, 2) ? draw(random, 20 * ms) : 0;
  if (one_in(random, 3)) faults.loses_number = 1 + draw(random, 40);
  return faults;
}

}  // namespace surgegate::simulator
