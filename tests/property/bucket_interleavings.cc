// SPDX-License-Identifier: BSD-3-Clause
// Property: however the loads and compare-and-swaps of several workers interleave, no key gets more
// than it is owed, but for what docs/buckets.md allows to give-backs and the scrubber. The workers
// are fibers on one thread that stop before every access to a cell, so that a schedule is a list of
// choices and can be repeated. All schedules of two preemptions are tried [Musuvathi and Qadeer,
// PLDI 2007: most races need no more], in scenarios made at random in one set.
#include <gtest/gtest.h>
#include <linux/types.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"

// The code under test accesses cells through these, in this file only.
namespace {
__u64 stop_and_load(const __u64* cell);
__u64 stop_and_swap(__u64* cell, __u64 expected, __u64 desired);
}  // namespace
#define SG_BUCKET_LOAD(cell) stop_and_load(cell)
#define SG_BUCKET_CAS(cell, expected, desired) stop_and_swap(cell, expected, desired)
#include "config/bucket.h"

namespace {

using surgegate::testing::first_seed;
using surgegate::testing::repeat_with;
using surgegate::testing::rounds;

// Runs a few functions as fibers, once for every schedule.
class Explorer {
 public:
  static constexpr int preemptions_max = 2;

  // Called at every access: the place where another fiber may go on.
  static void stop() {
    if (running_ != nullptr)
      swapcontext(&running_->fibers_[running_->current_].context, &running_->home_);
  }

  // reset and check run before and after each schedule; stops early when check returns false.
  uint64_t explore(const std::vector<std::function<void()>>& bodies,
                   const std::function<void()>& reset, const std::function<bool()>& check) {
    uint64_t schedules = 0;
    std::vector<Choice> choices;
    do {
      reset();
      run(bodies, choices);
      schedules++;
      if (!check()) break;
    } while (next(choices));
    return schedules;
  }

 private:
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<std::array<char, 65536>> stack = std::make_unique<std::array<char, 65536>>();
    const std::function<void()>* body = nullptr;
    bool done = false;
  };
  struct Choice {
    size_t taken;
    size_t options;
  };

  static void enter() {
    Fiber& fiber = running_->fibers_[running_->current_];
    (*fiber.body)();
    fiber.done = true;
    swapcontext(&fiber.context, &running_->home_);
  }

  void run(const std::vector<std::function<void()>>& bodies, std::vector<Choice>& choices) {
    fibers_.resize(bodies.size());
    for (size_t i = 0; i < bodies.size(); i++) {
      getcontext(&fibers_[i].context);
      fibers_[i].context.uc_stack.ss_sp = fibers_[i].stack->data();
      fibers_[i].context.uc_stack.ss_size = fibers_[i].stack->size();
      fibers_[i].body = &bodies[i];
      fibers_[i].done = false;
      makecontext(&fibers_[i].context, &Explorer::enter, 0);
    }
    running_ = this;
    std::optional<size_t> previous;
    int preemptions = 0;
    for (size_t step = 0;; step++) {
      std::vector<size_t> order;  // who may go on; first who was running
      if (previous && !fibers_[*previous].done) order.push_back(*previous);
      const bool would_preempt = !order.empty();
      if (!would_preempt || preemptions < preemptions_max)
        for (size_t i = 0; i < fibers_.size(); i++)
          if (!fibers_[i].done && i != previous) order.push_back(i);
      if (order.empty()) break;
      if (step == choices.size()) choices.push_back({0, order.size()});
      preemptions += would_preempt && choices[step].taken != 0;
      current_ = order[choices[step].taken];
      previous = current_;
      swapcontext(&home_, &fibers_[current_].context);
    }
    running_ = nullptr;
  }

  // The next schedule in depth-first order.
  static bool next(std::vector<Choice>& choices) {
    while (!choices.empty() && choices.back().taken + 1 == choices.back().options)
      choices.pop_back();
    if (choices.empty()) return false;
    choices.back().taken++;
    return true;
  }

  static inline Explorer* running_ = nullptr;
  std::vector<Fiber> fibers_;
  ucontext_t home_{};
  size_t current_ = 0;
};

bool every_swap_fails = false;

__u64 stop_and_load(const __u64* cell) {
  Explorer::stop();
  return *cell;
}

__u64 stop_and_swap(__u64* cell, __u64 expected, __u64 desired) {
  Explorer::stop();
  const __u64 seen = *cell;
  if (every_swap_fails) return ~expected;
  if (seen == expected) *cell = desired;
  return seen;
}

// Times are small numbers around the start, so that ties, past and live all happen.
constexpr int64_t start = int64_t{1} << 50;
constexpr int64_t long_ago = -2 * static_cast<int64_t>(SG_BUCKET_SKEW_NS_MAX);
constexpr int64_t never = INT64_MIN / 2;
constexpr size_t keys = 3;

struct Charge {
  size_t key;
  uint32_t units;
  int64_t now;
  bool gives_back;
  // What it did:
  bool admitted;
  int64_t credit;
};
struct Scrub {
  size_t cell;
  bool emptied;
};

class Scenario {
 public:
  Scenario(std::mt19937_64& random, bool with_give_backs, bool with_scrub) : random_(random) {
    for (size_t key = 0; key < keys; key++) {
      const int64_t interval = pick({3, 10, 10, 25});
      const int64_t horizon = interval * pick({1, 2, 4});
      rules_[key] = {static_cast<__u64>(interval), static_cast<__u64>(horizon),
                     static_cast<__u64>(horizon)};
    }
    make_set();
    const size_t workers = pick({2, 2, 3});
    for (size_t i = 0; i < workers; i++)
      charges_.push_back({static_cast<size_t>(pick({0, 0, 1, 2})),
                          static_cast<uint32_t>(pick({1, 1, 2})), pick({0, 0, 5}),
                          with_give_backs && i == 0, false, 0});
    if (with_scrub) scrubs_.push_back({static_cast<size_t>(pick({0, 1, 2, 3, 4, 5, 6, 7})), false});
  }

  uint64_t explore() {
    std::vector<std::function<void()>> bodies;
    for (Charge& charge : charges_) bodies.push_back([&] { perform(charge); });
    for (Scrub& scrub : scrubs_) bodies.push_back([&] { perform(scrub); });
    return Explorer().explore(
        bodies, [&] { set_ = initial_; }, [&] { return nobody_is_fuller_than_owed(); });
  }

  int64_t worst_excess() const { return worst_excess_; }

 private:
  int64_t pick(std::initializer_list<int64_t> from) {
    return from.begin()[random_() % from.size()];
  }

  static uint64_t tag_of(size_t key) { return (key + 1) << SG_TAT_BITS; }

  // Each key may have a cell; the others are strangers', past, long past, empty or live.
  void make_set() {
    const int64_t kind = pick({0, 1, 2});
    for (size_t i = 0; i < SG_BUCKET_SET_CELLS; i++) {
      const size_t owner = i < keys && pick({0, 1}) ? i : keys + i;
      const int64_t tat = kind == 0   ? pick({never, long_ago, -7, 0, 3, 40})
                          : kind == 1 ? pick({2 * long_ago, long_ago, 3, 40})
                          : i < keys  ? pick({1, 7, 12, 20})
                                      : pick({7, 20, 40, 40});
      initial_.cells[i] =
          tat == never ? 0 : tag_of(owner) | (static_cast<uint64_t>(start + tat) & SG_TAT_MASK);
      if (owner < keys && tat != never) owed_at_start_[owner] = tat;
    }
    std::shuffle(initial_.cells, initial_.cells + SG_BUCKET_SET_CELLS, random_);
  }

  void perform(Charge& charge) {
    const sg_bucket_rule& rule = rules_[charge.key];
    const uint64_t tag = tag_of(charge.key), now = static_cast<uint64_t>(start + charge.now);
    sg_bucket_view view{};
    __u32 lost_races = 0;
    charge.admitted = sg_bucket_is_charged(
        sg_bucket_charge(&set_, tag, &rule, charge.units, now, &view, &lost_races));
    charge.credit = 0;
    if (!charge.admitted || !charge.gives_back) return;
    const uint64_t credit = charge.units * rule.interval_ns;
    if (sg_bucket_give_back(&set_.cells[view.cell], tag, credit, now, &lost_races))
      charge.credit = static_cast<int64_t>(credit);
  }

  // As the scrubber does it.
  void perform(Scrub& scrub) {
    __u64* cell = &set_.cells[scrub.cell];
    const __u64 word = SG_BUCKET_LOAD(cell);
    const uint64_t rank = sg_tat_rank(word, static_cast<uint64_t>(start));
    scrub.emptied = word != 0 && rank < SG_BUCKET_STALE_NS_MAX - SG_BUCKET_SKEW_NS_MAX &&
                    SG_BUCKET_CAS(cell, word, 0) == word;
  }

  static int64_t tat_of(uint64_t word) {
    if (word == 0) return never;
    return static_cast<int64_t>((word - static_cast<uint64_t>(start)) << 16) >> 16;
  }

  // What a charge of this key would start from.
  int64_t position(size_t key) const {
    int64_t own = never, smallest = INT64_MAX;
    for (const __u64 word : set_.cells) {
      if ((word ^ tag_of(key)) >> SG_TAT_BITS == 0) own = std::max(own, tat_of(word));
      smallest = std::min(smallest, tat_of(word));
    }
    return own != never ? own : smallest;
  }

  bool nobody_is_fuller_than_owed() {
    for (size_t key = 0; key < keys; key++) {
      const int64_t interval = static_cast<int64_t>(rules_[key].interval_ns);
      int64_t charged = 0, price_max = 0, now_min = INT64_MAX, now_max = 0, allowed = 0;
      for (const Charge& charge : charges_) {
        if (charge.key != key || !charge.admitted) continue;
        charged += charge.units * interval - charge.credit;
        price_max = std::max(price_max, charge.units * interval);
        now_min = std::min(now_min, charge.now);
        now_max = std::max(now_max, charge.now);
      }
      for (const Charge& charge : charges_)
        if (charge.credit != 0) allowed += charge.credit + price_max;
      for (const Scrub& scrub : scrubs_)
        if (scrub.emptied) allowed += price_max;
      if (charged == 0 && owed_at_start_[key] == never) continue;
      const int64_t owed = std::max(owed_at_start_[key], charged == 0 ? never : now_min) + charged;
      if (owed <= 0) continue;  // full again for everybody
      const int64_t excess = std::max(
          owed - position(key),
          charged == 0 ? 0 : owed - now_max - static_cast<int64_t>(rules_[key].horizon_ns));
      worst_excess_ = std::max(worst_excess_, excess);
      EXPECT_LE(excess, allowed) << "key " << key;
      if (excess > allowed) return false;
    }
    return true;
  }

  std::mt19937_64& random_;
  sg_bucket_set initial_{};
  sg_bucket_set set_{};
  std::array<sg_bucket_rule, keys> rules_;
  std::array<int64_t, keys> owed_at_start_ = {never, never, never};
  std::vector<Charge> charges_;
  std::vector<Scrub> scrubs_;
  int64_t worst_excess_ = 0;
};

void explore_scenarios(bool with_give_backs, bool with_scrub) {
  const uint64_t seed = first_seed();
  SCOPED_TRACE(repeat_with(seed));
  std::mt19937_64 random(seed);
  uint64_t schedules = 0;
  int64_t worst = 0;
  const uint64_t scenarios = with_scrub ? rounds(10, 100) : rounds(40, 400);
  for (uint64_t i = 0; i < scenarios && !::testing::Test::HasFailure(); i++) {
    Scenario scenario(random, with_give_backs, with_scrub);
    schedules += scenario.explore();
    worst = std::max(worst, scenario.worst_excess());
  }
  ::testing::Test::RecordProperty("schedules", std::to_string(schedules));
  ::testing::Test::RecordProperty("worst_excess_ns", std::to_string(worst));
  EXPECT_GT(schedules, 100 * scenarios);
}

TEST(BucketInterleavings, ChargesAloneNeverAddAUnit) {
  explore_scenarios(false, false);
}

TEST(BucketInterleavings, GiveBacksAddNoMoreThanTheyMay) {
  explore_scenarios(true, false);
}

TEST(BucketInterleavings, TheScrubberAddsNoMoreThanItMay) {
  explore_scenarios(false, true);
}

TEST(BucketInterleavings, AChargeThatLosesEveryRaceIsRefused) {
  sg_bucket_set set{};
  const sg_bucket_rule rule = {10, 100, 100};
  sg_bucket_view view;
  __u32 lost_races = 0;
  every_swap_fails = true;
  EXPECT_EQ(sg_bucket_charge(&set, 1ull << SG_TAT_BITS, &rule, 1, 1000, &view, &lost_races),
            SG_BUCKET_CONTENDED);
  every_swap_fails = false;
  EXPECT_EQ(lost_races, SG_BUCKET_TRIES_MAX);
}

}  // namespace
