// SPDX-License-Identifier: BSD-3-Clause
// Whole bursts: nanoseconds per packet, beside a burst that nothing is done to and a bare hs_scan
// of the same user agents. Figures are only comparable within one run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>

#include "tests/bench/world.h"

namespace surgegate::bench {
namespace {

constexpr size_t burst = SG_BURST_PACKETS_MAX;

using Pointers = std::vector<const Bytes*>;

Pointers pointers_to(const std::vector<Bytes>& frames) {
  Pointers pointers;
  for (const Bytes& frame : frames) pointers.push_back(&frame);
  return pointers;
}

std::vector<Bytes> segments(const World& world, size_t flows, uint16_t port,
                            std::string_view payload) {
  std::vector<Bytes> frames;
  for (size_t flow = 0; flow < flows; flow++) frames.push_back(world.segment(flow, port, payload));
  return frames;
}

// Calls body(burst of frames) over all frames again and again.
template <class Body>
void over_bursts(benchmark::State& state, const Pointers& frames, Body body) {
  size_t at = 0;
  for (auto _ : state) {
    body(std::span(frames).subspan(at, burst));
    at = at + 2 * burst <= frames.size() ? at + burst : 0;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * burst));
  state.counters["ns_per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations() * burst),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Frames in through the port and out again: what all others contain.
void do_nothing(benchmark::State& state) {
  World world(burst);
  auto frames = segments(world, burst, open_port, browser_request());
  auto pointers = pointers_to(frames);
  over_bursts(state, pointers, [&](auto now) {
    Frame in[burst];
    world.port().offer(now);
    uint32_t count = world.port().receive(in);
    benchmark::DoNotOptimize(in);
    world.port().transmit({in, count});
  });
}
BENCHMARK(do_nothing);

// A pure ACK of an established flow: flow table hit, IPIP.
void forward_segment(benchmark::State& state) {
  auto flows = static_cast<size_t>(state.range(0));
  World world(flows);
  auto frames = segments(world, flows, open_port, "");
  auto pointers = pointers_to(frames);
  std::shuffle(pointers.begin(), pointers.end(), std::minstd_rand(1));
  over_bursts(state, pointers, [&](auto now) { world.run(now, world.still()); });
}
BENCHMARK(forward_segment)->Arg(1'024)->Arg(100'000)->Arg(1'000'000);

// Flows as they were before a burst, put back after it (64 bytes a packet, within the time taken).
class Restore {
 public:
  explicit Restore(World& world)
      : world_(world), saved_(world.flows().begin(), world.flows().end()) {
    for (size_t i = 0; i < saved_.size(); i++)
      if (saved_[i].hash != 0) used_.push_back(i);
  }
  void operator()() {
    for (size_t i : used_) world_.flows()[i] = saved_[i];
  }

 private:
  World& world_;
  std::vector<sg_flow> saved_;
  std::vector<size_t> used_;
};

void with_restored_flows(benchmark::State& state, uint16_t port) {
  World world(burst, port);
  Restore restore(world);
  auto frames = segments(world, burst, port, browser_request());
  auto pointers = pointers_to(frames);
  over_bursts(state, pointers, [&](auto now) {
    world.run(now, world.tick());
    restore();
  });
}

// A full segment of a request's body: flow table hit, nothing read, IPIP.
void forward_body(benchmark::State& state) {
  World world(burst);
  for (sg_flow& flow : world.flows())
    if (flow.hash != 0) sg_flow_set_body_left(&flow, SG_HTTP_LENGTH_MAX - 1);
  Restore restore(world);
  const std::string body(1'400, 'b');
  auto frames = segments(world, burst, open_port, body);
  auto pointers = pointers_to(frames);
  over_bursts(state, pointers, [&](auto now) {
    world.run(now, world.still());
    restore();
  });
}
BENCHMARK(forward_body);

// Head read, two limits charged, user agent scanned, IPIP.
void admit_request(benchmark::State& state) {
  with_restored_flows(state, open_port);
}
BENCHMARK(admit_request);

// Head read, limit refuses, 429 and RST made.
void refuse_request(benchmark::State& state) {
  with_restored_flows(state, closed_port);
}
BENCHMARK(refuse_request);

// The tombstone answers again.
void answer_resend(benchmark::State& state) {
  World world(burst, closed_port);
  auto frames = segments(world, burst, closed_port, browser_request());
  auto pointers = pointers_to(frames);
  world.run(pointers, world.tick());
  world.run(pointers, world.tick());
  over_bursts(state, pointers, [&](auto now) { world.run(now, world.still()); });
}
BENCHMARK(answer_resend);

// SYNs of flows that are known already, and of sources in a list.
void forward_syn(benchmark::State& state) {
  World world(burst);
  std::vector<Bytes> frames;
  for (size_t flow = 0; flow < burst; flow++) frames.push_back(world.syn(flow, open_port));
  auto pointers = pointers_to(frames);
  over_bursts(state, pointers, [&](auto now) { world.run(now, world.still()); });
}
BENCHMARK(forward_syn);

void drop_denied(benchmark::State& state) {
  World world(burst);
  std::vector<Bytes> frames;
  for (size_t flow = 0; flow < burst; flow++) {
    testing::FrameFields fields;
    fields.src = testing::ip("172.16.1." + std::to_string(flow + 1));
    fields.dst = testing::ip("198.51.100.10");
    fields.dst_port = open_port;
    fields.tcp_flags = testing::syn;
    frames.push_back(testing::build(fields));
  }
  auto pointers = pointers_to(frames);
  over_bursts(state, pointers, [&](auto now) { world.run(now, world.still()); });
}
BENCHMARK(drop_denied);

void bare_hs_scan(benchmark::State& state) {
  World world(burst);
  hs_scratch_t* scratch = nullptr;
  hs_database_t* database = world.policy().databases()[0];
  hs_alloc_scratch(database, &scratch);
  auto ignore = [](unsigned, unsigned long long, unsigned long long, unsigned, void*) { return 0; };
  std::string_view text = browser_user_agent();
  for (auto _ : state)
    for (size_t i = 0; i < burst; i++)
      hs_scan(database, text.data(), static_cast<unsigned>(text.size()), 0, scratch, ignore,
              nullptr);
  state.counters["ns_per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations() * burst),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  hs_free_scratch(scratch);
}
BENCHMARK(bare_hs_scan);

}  // namespace
}  // namespace surgegate::bench
