// SPDX-License-Identifier: BSD-3-Clause
// Property: with several threads on too few cells, all at the same keys, and clocks that differ, no
// window admits more than burst + rate * time plus the terms of docs/buckets.md. What the explorer
// of bucket_interleavings.cc does for a few steps, real threads do for millions.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dataplane/table/buckets.h"
#include "dataplane/table/scrubber.h"
#include "tests/property/bucket_reference.h"

namespace surgegate {
namespace {

constexpr size_t workers = 4;

struct Event {
  uint64_t now_ns;
  size_t key;
  uint64_t price;
};

struct Key {
  uint64_t hash;
  sg_bucket_rule rule;
};

// What one thread has for itself.
struct Worker {
  std::mt19937_64 random;
  Leases leases;
  BucketCounters counters;
  std::vector<Event> admitted;
  uint64_t given_back_ns = 0;
  uint64_t lead_ns = 0;  // how far its clock is ahead
};

// Threads that start every round together, at a time that rounds share.
class Crowd {
 public:
  Crowd(std::mt19937_64& random, size_t set_count, std::vector<sg_bucket_rule> rules,
        size_t key_count)
      : sets(set_count), table(sets), scrubber(table, header) {
    for (size_t i = 0; i < key_count; i++)
      keys.push_back(
          {uint64_t{i + 1} << SG_TAT_BITS | below(random, set_count), pick(random, rules)});
    for (Worker& worker : team) worker.random.seed(random());
    header.scrub_started_ns = now_ns;
  }

  // work(worker, now_ns) is called ops times a round by each thread, its own clock read each time;
  // between the rounds, advance().
  void run(uint64_t rounds, int ops, const std::function<void(Worker&, uint64_t)>& work,
           const std::function<void()>& advance) {
    std::barrier sync(workers + 1);
    std::vector<std::thread> threads;
    for (Worker& worker : team)
      threads.emplace_back([&] {
        for (uint64_t round = 0; round < rounds; round++) {
          sync.arrive_and_wait();
          for (int i = 0; i < ops; i++) work(worker, now_ns + worker.lead_ns);
          sync.arrive_and_wait();
        }
      });
    for (uint64_t round = 0; round < rounds; round++) {
      sync.arrive_and_wait();
      sync.arrive_and_wait();
      advance();
    }
    for (std::thread& thread : threads) thread.join();
  }

  bool charge(Worker& worker, size_t key, uint32_t units, uint64_t at_ns, bool leased = false) {
    BucketCharge charges[] = {{keys[key].hash, &keys[key].rule, units, leased}};
    if (!charge_all(table, worker.leases, charges, at_ns, worker.counters).admitted()) return false;
    worker.admitted.push_back({at_ns, key, units * keys[key].rule.interval_ns});
    return true;
  }

  // The worst window of each key over all that was admitted since the last call.
  std::vector<EveryWindow> windows(uint64_t scale = 1) {
    std::vector<Event> events;
    for (Worker& worker : team) {
      events.insert(events.end(), worker.admitted.begin(), worker.admitted.end());
      worker.admitted.clear();
    }
    std::sort(events.begin(), events.end(),
              [](const Event& a, const Event& b) { return a.now_ns < b.now_ns; });
    std::vector<EveryWindow> result(keys.size(), EveryWindow(scale));
    for (const Event& event : events)
      result[event.key].admitted(event.now_ns, event.price, keys[event.key].rule.horizon_ns);
    return result;
  }

  uint64_t sum(uint64_t BucketCounters::*count) const {
    uint64_t total = 0;
    for (const Worker& worker : team) total += worker.counters.*count;
    return total;
  }

  std::vector<sg_bucket_set> sets;
  BucketTable table;
  ArenaHeader header{};
  Scrubber scrubber;
  std::vector<Key> keys;
  std::array<Worker, workers> team;
  uint64_t now_ns = 1000 * one_hour;
};

const std::vector<sg_bucket_rule> mixed = {rule_of(500, 40),          rule_of(3 * one_us, 9),
                                           rule_of(100 * one_us, 3),  rule_of(one_ms, 20),
                                           rule_of(10 * one_ms, 200), rule_of(one_s, 2),
                                           rule_of(500, 100000),      rule_of(one_ms, 5000)};

class BucketThreads : public ::testing::Test {
 private:
  const uint64_t seed_ = testing::first_seed();
  ::testing::ScopedTrace trace_{__FILE__, __LINE__, testing::repeat_with(seed_)};

 protected:
  std::mt19937_64 random{seed_};
};

// Sets kept full of live cells, clocks up to 100 ms apart and different at every read.
TEST_F(BucketThreads, ChargesAloneNeverAddAUnit) {
  uint64_t evictions = 0, retries = 0;
  for (uint64_t i = 0; i < testing::rounds(10, 400); i++) {
    Crowd crowd(random, 1 + i % 2, mixed, 16 + 8 * (i % 3));
    const uint64_t apart_ns =
        pick(random, std::vector<uint64_t>{1, 2 * one_us, one_ms, 100 * one_ms});
    const uint64_t step_ns = 1ull << (10 + below(random, 20));
    crowd.run(
        10, 10000,
        [&](Worker& worker, uint64_t now_ns) {
          const size_t key = below(worker.random, below(worker.random, crowd.keys.size()) + 1);
          crowd.charge(worker, key, 1 + static_cast<uint32_t>(below(worker.random, 2)),
                       now_ns + below(worker.random, apart_ns));
        },
        [&] { crowd.now_ns += below(random, step_ns); });
    for (const EveryWindow& window : crowd.windows()) ASSERT_LE(window.excess(), 0);
    evictions += crowd.sum(&BucketCounters::set_full_evictions);
    retries += crowd.sum(&BucketCounters::cas_retries);
  }
  EXPECT_GT(evictions, 0u);
  RecordProperty("cas_retries", std::to_string(retries));
}

// Several limits on a unit: a worker that loses the last of them gives the others back.
TEST_F(BucketThreads, GiveBacksAddNoMoreThanTheyMay) {
  uint64_t give_backs = 0;
  for (uint64_t i = 0; i < testing::rounds(5, 200); i++) {
    Crowd crowd(random, 1, mixed, 6 + 6 * (i % 2));
    crowd.run(
        200, 60,
        [&](Worker& worker, uint64_t now_ns) {
          std::array<size_t, 3> chosen;
          std::array<BucketCharge, 3> charges;
          for (size_t c = 0; c < chosen.size(); c++) {
            chosen[c] = below(worker.random, crowd.keys.size());
            const Key& key = crowd.keys[chosen[c]];
            charges[c] = {key.hash, &key.rule, 1, false};
          }
          const uint64_t before = worker.counters.give_backs;
          const ChargeResult result =
              charge_all(crowd.table, worker.leases, charges, now_ns, worker.counters);
          if (result.admitted()) {
            for (size_t c = 0; c < chosen.size(); c++)
              worker.admitted.push_back({now_ns, chosen[c], charges[c].rule->interval_ns});
          } else if (worker.counters.give_backs != before) {
            for (size_t c = 0; c < result.refused_index; c++)
              worker.given_back_ns += charges[c].rule->interval_ns;
          }
        },
        [&] {
          // Each round on its own, so that what was given back in it bounds what it may exceed. The
          // next one starts with full buckets.
          uint64_t given_back_ns = 0, count = crowd.sum(&BucketCounters::give_backs);
          for (Worker& worker : crowd.team) {
            given_back_ns += std::exchange(worker.given_back_ns, 0);
            worker.counters.give_backs = 0;
          }
          give_backs += count;
          const std::vector<EveryWindow> windows = crowd.windows();
          for (size_t key = 0; key < windows.size(); key++)
            EXPECT_LE(windows[key].excess(),
                      given_back_ns + count * crowd.keys[key].rule.interval_ns);
          crowd.now_ns += 20 * one_s;
        });
    if (HasFailure()) return;
  }
  EXPECT_GT(give_backs, 0u);
}

// The scrubber empties cells under the hands of those who insert the same keys again.
TEST_F(BucketThreads, TheScrubberAddsNoMoreThanItMay) {
  uint64_t emptied = 0;
  for (uint64_t i = 0; i < testing::rounds(5, 200); i++) {
    Crowd crowd(random, 2, {rule_of(one_ms, 3), rule_of(500, 2)}, 12);
    std::atomic<uint64_t> emptied_in_round = 0;
    crowd.run(
        200, 50,
        [&](Worker& worker, uint64_t now_ns) {
          if (&worker == &crowd.team[0])
            emptied_in_round += crowd.scrubber.step(now_ns, 3);
          else
            crowd.charge(worker, below(worker.random, crowd.keys.size()), 1, now_ns);
        },
        [&] {
          const std::vector<EveryWindow> windows = crowd.windows();
          for (size_t key = 0; key < windows.size(); key++)
            EXPECT_LE(windows[key].excess(), emptied_in_round * crowd.keys[key].rule.interval_ns);
          emptied += emptied_in_round.exchange(0);
          crowd.now_ns += one_hour;  // all are full again, and a pass is due
        });
    if (HasFailure()) return;
  }
  EXPECT_GT(emptied, 0u);
}

class BucketThreadsLeases : public BucketThreads {
 protected:
  // keys: few enough to be hot, in one lease slot or each in its own.
  EveryWindow::Wide worst_units(bool share_slots) {
    EveryWindow::Wide worst = -(EveryWindow::Wide{1} << 100);
    for (uint64_t i = 0; i < testing::rounds(10, 400); i++) {
      Crowd crowd(random, SG_LEASE_SLOTS,
                  {rule_of(102400, 4), rule_of(51200, 40), rule_of(432067, 2)}, 3);
      for (size_t key = 0; key < crowd.keys.size(); key++)
        crowd.keys[key].hash = uint64_t{key + 1} << SG_TAT_BITS | (share_slots ? 5 : key);
      for (Worker& worker : crowd.team) worker.lead_ns = below(worker.random, one_ms);
      crowd.run(
          300, 300,
          [&](Worker& worker, uint64_t now_ns) {
            crowd.charge(worker, below(worker.random, crowd.keys.size()),
                         1 + static_cast<uint32_t>(below(worker.random, 60)), now_ns, true);
          },
          [&] { crowd.now_ns += below(random, 300 * one_us); });
      const std::vector<EveryWindow> windows = crowd.windows(SG_LEASE_UNITS);
      for (size_t key = 0; key < windows.size(); key++)
        worst = std::max(worst, windows[key].excess() / crowd.keys[key].rule.interval_ns);
      EXPECT_GT(crowd.sum(&BucketCounters::leases), 0u);
      EXPECT_EQ(crowd.sum(&BucketCounters::give_backs) > 0, share_slots);
    }
    return worst;
  }
};

TEST_F(BucketThreadsLeases, LeasesAloneNeverAddAUnit) {
  EXPECT_LE(worst_units(false), 0);
}

TEST_F(BucketThreadsLeases, DisplacedOnesAddWhatTheOtherWorkersMayHold) {
  EXPECT_LE(worst_units(true), (workers - 1) * (SG_LEASE_UNITS - 1));
}

}  // namespace
}  // namespace surgegate
