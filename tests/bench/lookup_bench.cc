// SPDX-License-Identifier: BSD-3-Clause
// The list lookup beside what it was chosen over, in bursts of 32 on one thread: nanoseconds per
// lookup and the tables' size. docs/decisions/0002-list-lookup.md has figures and
// the command. p50_ns, the median over bursts, is what to compare: the mean (the time column) has
// in it whatever else the machine did.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "config/flow_hash.h"
#include "config/lookup_build.h"
#include "tests/bench/lookup_rivals.h"
#include "tests/bench/lookup_worlds.h"

namespace surgegate::bench {
namespace {

constexpr uint32_t burst_size = SG_BURST_PACKETS_MAX;

struct World {
  World(Entries kind, size_t count) : all(without_repeats(draw_entries(kind, count))) {
    tables = std::move(build_lookup(halves(all), 1).tables.value());
  }
  std::vector<Cidr> all;
  LookupTables tables;
};

const World& world(Entries kind, size_t count) {
  static std::map<std::pair<Entries, size_t>, std::unique_ptr<World>> worlds;
  auto& world = worlds[{kind, count}];
  if (!world) world = std::make_unique<World>(kind, count);
  return *world;
}

struct Ours {
  explicit Ours(const World& world)
      : view(world.tables.view()),
        size(world.tables.lines.size() * 64 + world.tables.buckets.size() * 64) {}
  size_t bytes() const { return size; }
  void burst(const __u8* const* ips, uint32_t count, uint16_t* values) const {
    sg_lookup_burst(&view, ips, count, values);
  }
  sg_lookup view;
  size_t size;
};

// The same tables without waves.
struct OneByOne : Ours {
  using Ours::Ours;
  void burst(const __u8* const* ips, uint32_t count, uint16_t* values) const {
    for (uint32_t i = 0; i < count; i++) values[i] = sg_lookup_value(&view, ips[i]);
  }
};

template <class Table>
struct OfRuns : Table {
  explicit OfRuns(const World& world) : Table(runs_of(world.all, world.tables.view())) {}
};

struct OfEdges : Sorted6 {
  explicit OfEdges(const World& world) : Sorted6(world.all, world.tables.view()) {}
};

template <class Table>
const Table& table_of(Entries entries, size_t count) {
  static std::map<std::pair<Entries, size_t>, std::unique_ptr<Table>> tables;
  auto& table = tables[{entries, count}];
  if (!table) table = std::make_unique<Table>(world(entries, count));
  return *table;
}

const std::vector<Bytes16>& sources_of(Sources sources, Entries entries, size_t count) {
  static std::map<std::tuple<Sources, Entries, size_t>, std::vector<Bytes16>> all;
  auto& ips = all[{sources, entries, count}];
  if (ips.empty()) ips = draw_sources(sources, entries, world(entries, count).all);
  return ips;
}

// Other work between two bursts: 8 MiB pushed through the first two caches.
void forget() {
  static std::vector<uint8_t> other(8 << 20);
  for (size_t i = 0; i < other.size(); i += 64) benchmark::DoNotOptimize(other[i]++);
}

template <class Table>
void lookups(benchmark::State& state, Entries entries, Sources sources, size_t count, bool cold) {
  const Table& table = table_of<Table>(entries, count);
  const std::vector<Bytes16>& ips = sources_of(sources, entries, count);
  std::array<Bytes16, burst_size> burst;
  std::array<const __u8*, burst_size> at;
  std::array<uint16_t, burst_size> values;
  for (uint32_t i = 0; i < burst_size; i++) at[i] = burst[i].data();
  std::vector<double> taken_ns;
  size_t next = 0;
  for (auto _ : state) {
    if (cold) forget();
    std::copy_n(&ips[next], burst_size, burst.begin());
    next = (next + burst_size) % ips.size();
    benchmark::ClobberMemory();
    const auto start = std::chrono::steady_clock::now();
    table.burst(at.data(), burst_size, values.data());
    benchmark::DoNotOptimize(values);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(taken.count() / burst_size);
    taken_ns.push_back(taken.count() * 1e9 / burst_size);
  }
  const auto middle = taken_ns.begin() + static_cast<ptrdiff_t>(taken_ns.size() / 2);
  std::nth_element(taken_ns.begin(), middle, taken_ns.end());
  state.counters["p50_ns"] = *middle;
  state.counters["MiB"] = static_cast<double>(table.bytes()) / (1 << 20);
}

void build_once(benchmark::State& state, Entries entries, size_t count) {
  const World& in = world(entries, count);
  for (auto _ : state) benchmark::DoNotOptimize(build_lookup(halves(in.all), 1));
}

void validate_once(benchmark::State& state, Entries entries, size_t count) {
  const LookupTables& tables = world(entries, count).tables;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        validate_lookup({tables.lines, tables.buckets, &tables.header, tables.masks}));
  }
}

void pair_multiply_shift(benchmark::State& state) {
  sg_lookup_header header = world(Entries::sites, 1000).tables.header;
  uint64_t hi = 0;
  for (auto _ : state) {
    hi += sg_lookup6_bucket(header.seed[0], header.bucket_count, hi, 1, 64);
    benchmark::DoNotOptimize(hi);
  }
}

void siphash13(benchmark::State& state) {
  const sg_secret secret{1, 2};
  __u64 words[3] = {0, 1, 64};
  for (auto _ : state) {
    words[0] += sg_hash_words(&secret, words, 3);
    benchmark::DoNotOptimize(words[0]);
  }
}

std::string name_of(Entries entries, size_t count) {
  const char* names[] = {"scattered", "feed", "sites", "countries"};
  return std::string(names[static_cast<int>(entries)]) + "/" + std::to_string(count);
}

template <class Table>
void add(const char* name, std::initializer_list<Entries> kinds) {
  for (const Entries entries : kinds) {
    for (const size_t count : {1000, 100'000, 1'000'000}) {
      for (const Sources sources : {Sources::anyone, Sources::listed}) {
        for (const bool cold : {false, true}) {
          const std::string full = name_of(entries, count) +
                                   (sources == Sources::anyone ? "/anyone" : "/listed") +
                                   (cold ? "/cold/" : "/warm/") + name;
          benchmark::RegisterBenchmark(full.c_str(), lookups<Table>, entries, sources, count, cold)
              ->UseManualTime()
              ->Iterations(cold ? 1000 : 20'000);
        }
      }
    }
  }
}

void add_all() {
  const auto ipv4 = {Entries::scattered, Entries::feed};
  const auto ipv6 = {Entries::sites, Entries::countries};
  add<Ours>("ours", {Entries::scattered, Entries::feed, Entries::sites, Entries::countries});
  add<OneByOne>("one-by-one",
                {Entries::scattered, Entries::feed, Entries::sites, Entries::countries});
  add<OfRuns<Dir24>>("dir-24-8", ipv4);
  add<OfRuns<Trie1688>>("trie-16-8-8", ipv4);
  add<OfEdges>("sorted", ipv6);
  for (const Entries entries : {Entries::scattered, Entries::feed, Entries::sites}) {
    const std::string name = name_of(entries, 1'000'000);
    benchmark::RegisterBenchmark(("build/" + name).c_str(), build_once, entries, 1'000'000)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("validate/" + name).c_str(), validate_once, entries, 1'000'000)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("hash/pair-multiply-shift", pair_multiply_shift);
  benchmark::RegisterBenchmark("hash/siphash-1-3", siphash13);
}

}  // namespace
}  // namespace surgegate::bench

int main(int argc, char** argv) {
  surgegate::bench::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
