// SPDX-License-Identifier: BSD-3-Clause
// Packets from bytes, through the whole journey: conservation holds, what leaves is right (see
// packet_checks.cc), and grouping packets otherwise, or playing them to one worker instead of
// three, changes no verdict. packet_script.h has the form of an input.
//
// The corpus is what -merge=1 leaves of tests/fuzz/packet_seeds.py and of fuzzing on from there.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "dataplane/path/decide.h"
#include "tests/fuzz/packet_checks.h"
#include "tests/fuzz/packet_policies.h"
#include "tests/fuzz/packet_script.h"

namespace surgegate {
namespace {

using namespace testing;

void require(const std::string& fault) {
  if (fault.empty()) return;
  std::fprintf(stderr, "packet_fuzz: %s\n", fault.c_str());
  std::abort();
}

// How much passes: from a tick of replay's clock to what ends each kind of flow, and then a day.
constexpr std::array<uint64_t, 8> waits_ns = {50'000,          100'000'000,       1'000'000'000,
                                              11'000'000'000,  31'000'000'000,    61'000'000'000,
                                              901'000'000'000, 86'401'000'000'000};

// A script played to a number of workers, in bursts as long as the order of packets allows or one
// by one.
class Player {
 public:
  Player(const Script& script, Journey& journey, bool one_by_one)
      : script_(script), journey_(journey), one_by_one_(one_by_one) {
    journey_.start_over(policy(script.policy));
  }

  const Journey& play() {
    for (const Step& step : script_.steps) {
      if (step.kind == Kind::packet)
        offer(step);
      else
        change(step);
    }
    flush();
    require(journey_.conservation_fault());
    require(fate_fault(played_, journey_, policies(), script_.keeps_order));
    return journey_;
  }

 private:
  // Packets that arrive at one worker and belong to one worker go together, as they do in replay.
  void offer(const Step& step) {
    const uint32_t arrival = step.worker % journey_.workers();
    const bool any = !script_.keeps_order || journey_.workers() == 1;
    const uint32_t owner = any ? 0 : journey_.owner_of(step.frame, arrival);
    const bool fits = any || (arrival == arrival_ && owner == owner_);
    if (one_by_one_ || waiting_ == SG_BURST_PACKETS_MAX || !fits) flush();
    arrival_ = arrival;
    owner_ = owner;
    waiting_++;
    journey_.offer(step.frame, arrival);
    played_.push_back({step.frame, journey_.now().unix_s});
  }

  void flush() {
    journey_.poll_all();
    waiting_ = 0;
  }

  void change(const Step& step) {
    flush();
    if (step.kind == Kind::time)
      journey_.at(clock_ns_ += waits_ns.at(step.value % waits_ns.size()));
    if (step.kind == Kind::policy) journey_.adopt(policy(step.value));
    if (step.kind == Kind::surroundings) change_surroundings(step.which, step.value);
  }

  // Room that several workers share out among their packets would tie verdicts to their number:
  // where these are compared it is none, or enough.
  void change_surroundings(uint8_t which, uint8_t value) {
    const bool may_run_out = !script_.keeps_order || script_.workers == 1;
    const uint32_t room = value == 0 ? 0 : may_run_out && value < 16 ? value : FakePort::unlimited;
    for (uint32_t i = 0; i < journey_.workers(); i++) {
      FakePort& port = journey_.port(i);
      if (which % 8 == 0) port.tx_room = room;
      if (which % 8 == 1) port.spare = room;
      if (which % 8 == 2) port.room.front = value;
      if (which % 8 == 3) port.room.back = value == 255 ? FakePool::plenty : value;
    }
    if (which % 8 == 4 && !script_.keeps_order) journey_.rings().frames_max = value;
    if (which % 8 == 5) journey_.next_hops().forget(value % 4u);
    if (which % 8 == 6) journey_.learn_next_hops();
    if (which % 8 == 7 && value == 255) journey_.fill_flow_table();
  }

  const Script& script_;
  Journey& journey_;
  bool one_by_one_;
  std::vector<Played> played_;
  size_t waiting_ = 0;
  uint32_t arrival_ = 0, owner_ = 0;
  uint64_t clock_ns_ = 0;
};

void require_equal(const Journey& together, const Journey& one_by_one) {
  for (uint64_t number = 1; number <= together.offered(); number++) {
    const Fate &a = together.fate(number), &b = one_by_one.fate(number);
    const bool equal = std::tie(a.reason, a.service, a.limit, a.signature, a.backend) ==
                           std::tie(b.reason, b.service, b.limit, b.signature, b.backend) &&
                       std::tie(a.requests_admitted, a.requests_refused, a.sent, a.kernel) ==
                           std::tie(b.requests_admitted, b.requests_refused, b.sent, b.kernel);
    if (equal) continue;
    const auto text = [](const Fate& fate) {
      std::string all =
          fmt::format("{} to {}, limit {}, requests {}/{}", rules()[fate.reason].name, fate.backend,
                      fate.limit, fate.requests_admitted, fate.requests_refused);
      for (const Bytes& sent : fate.sent) all += "\n" + describe(sent);
      return all;
    };
    require(fmt::format("packet {} fares otherwise when it comes alone:\n{}\n--\n{}", number,
                        text(a), text(b)));
  }
}

}  // namespace
}  // namespace surgegate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace surgegate;
  const Script script = read_script({data, size});
  static std::array<Journey, 3> journeys = {Journey(policy(0), {.workers = 1}),
                                            Journey(policy(0), {.workers = 2}),
                                            Journey(policy(0), {.workers = 3})};
  static Journey alone(policy(0));
  const Journey& together = Player(script, journeys.at(script.workers - 1), false).play();
  if (script.keeps_order) require_equal(together, Player(script, alone, true).play());
  return 0;
}
