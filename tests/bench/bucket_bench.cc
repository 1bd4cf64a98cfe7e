// SPDX-License-Identifier: BSD-3-Clause
// What a charge costs in a table far larger than the caches: 16 M cells, 1 M sources at random, in
// waves of a burst as the journey does it (prefetch all lanes, then charge one by one). Read the
// figures as ratios to touching the same line, which is the floor: what memory itself costs here.
#include <benchmark/benchmark.h>

#include <array>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "config/limits.h"
#include "dataplane/table/arena.h"
#include "dataplane/table/buckets.h"

namespace surgegate {
namespace {

constexpr size_t cell_count = 16 << 20;
constexpr size_t source_count = 1 << 20;
constexpr size_t wave = SG_BURST_PACKETS_MAX;
constexpr uint64_t start_ns = 1000ull * 3600 * 1000000000;

// Never refuses within a run; the same for all sources.
constexpr sg_bucket_rule generous = {1000, 3600ull * 1000000000, 3600ull * 1000000000};
// 10 M/s, in leases.
constexpr sg_bucket_rule fast = {102400, 3600ull * 1000000000, 3600ull * 1000000000};

struct World {
  World() {
    ArenaOptions options;
    options.layout[Region::buckets] = {sizeof(sg_bucket_set), cell_count / SG_BUCKET_SET_CELLS};
    options.now_ns = start_ns;
    arena.emplace(std::move(*Arena::open(options)));
    std::mt19937_64 random(1);
    for (uint64_t& hash : hashes) hash = random();
    BucketCounters counters;
    for (const uint64_t hash : hashes) {  // every source has its cell
      BucketCharge charge{hash, &generous, 1, false};
      charge_all(table(), leases, {&charge, 1}, start_ns, counters);
    }
    for (uint32_t& index : order) index = static_cast<uint32_t>(random() % source_count);
  }
  BucketTable table() const { return BucketTable(arena->records<sg_bucket_set>(Region::buckets)); }

  std::optional<Arena> arena;
  std::vector<uint64_t> hashes = std::vector<uint64_t>(source_count);
  std::vector<uint32_t> order = std::vector<uint32_t>(1 << 20);
  Leases leases;
};

World& world() {
  static World instance;
  return instance;
}

void report_per_unit(benchmark::State& state) {
  state.counters["per_unit"] =
      benchmark::Counter(static_cast<double>(state.iterations() * wave),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Calls act(hash, now_ns) for the lanes of wave after wave, their lines prefetched a wave ahead.
template <typename Act>
void run_waves(benchmark::State& state, Act act) {
  World& w = world();
  const BucketTable table = w.table();
  std::array<uint64_t, wave> lanes;
  size_t at = 0;
  uint64_t now_ns = start_ns + 1000000000;
  for (auto _ : state) {
    for (uint64_t& lane : lanes) {
      lane = w.hashes[w.order[at++ % w.order.size()]];
      table.prefetch(lane);
    }
    now_ns += 1000;
    for (const uint64_t lane : lanes) act(table, lane, now_ns);
  }
  report_per_unit(state);
}

void touch_the_line(benchmark::State& state) {
  run_waves(state, [](BucketTable table, uint64_t hash, uint64_t now_ns) {
    __atomic_store_n(&table.set(hash).cells[7], now_ns & 0, __ATOMIC_RELAXED);
  });
}

void compare_and_swap_a_word_of_it(benchmark::State& state) {
  run_waves(state, [](BucketTable table, uint64_t hash, uint64_t now_ns) {
    __u64* cell = &table.set(hash).cells[7];
    const __u64 seen = __atomic_load_n(cell, __ATOMIC_RELAXED);
    __sync_val_compare_and_swap(cell, seen, now_ns & 0);
  });
}

void charge_one_limit(benchmark::State& state) {
  BucketCounters counters;
  uint64_t admitted = 0;
  run_waves(state, [&](BucketTable table, uint64_t hash, uint64_t now_ns) {
    BucketCharge charge{hash, &generous, 1, false};
    admitted += charge_all(table, world().leases, {&charge, 1}, now_ns, counters).admitted();
  });
  if (admitted != state.iterations() * wave) state.SkipWithError("something was refused");
}

// Every source's bucket is spent for the whole run.
void refuse_one_limit(benchmark::State& state) {
  BucketCounters counters;
  constexpr sg_bucket_rule spent = {1, 1, generous.horizon_ns};
  uint64_t admitted = 0;
  run_waves(state, [&](BucketTable table, uint64_t hash, uint64_t) {
    BucketCharge charge{hash, &spent, 1, false};
    admitted += charge_all(table, world().leases, {&charge, 1}, start_ns, counters).admitted();
  });
  if (admitted != 0) state.SkipWithError("something was admitted");
}

// A source's limit, its network's, and a leased one of the whole service.
void charge_three_limits(benchmark::State& state) {
  BucketCounters counters;
  uint64_t admitted = 0;
  run_waves(state, [&](BucketTable table, uint64_t hash, uint64_t now_ns) {
    std::array<BucketCharge, 3> charges = {{{hash, &generous, 1, false},
                                            {hash ^ (5ull << 50), &generous, 1, false},
                                            {42ull << 48 | 42, &fast, 1, true}}};
    admitted += charge_all(table, world().leases, charges, now_ns, counters).admitted();
  });
  if (admitted != state.iterations() * wave) state.SkipWithError("something was refused");
}

// No line of the table is touched but once in 1,024 units.
void charge_a_leased_limit(benchmark::State& state) {
  const BucketTable table = world().table();
  Leases leases;
  BucketCounters counters;
  uint64_t now_ns = start_ns, refused = 0;
  for (auto _ : state) {
    now_ns += 1000;
    for (size_t lane = 0; lane < wave; lane++) {
      BucketCharge charge{42ull << 48 | 42, &fast, 1, true};
      refused += !charge_all(table, leases, {&charge, 1}, now_ns, counters).admitted();
    }
  }
  report_per_unit(state);
  if (refused != 0) state.SkipWithError("something was refused");
}

BENCHMARK(touch_the_line);
BENCHMARK(compare_and_swap_a_word_of_it);
BENCHMARK(charge_one_limit);
BENCHMARK(refuse_one_limit);
BENCHMARK(charge_a_leased_limit);
BENCHMARK(charge_three_limits);

}  // namespace
}  // namespace surgegate
