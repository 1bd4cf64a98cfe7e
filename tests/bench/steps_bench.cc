// SPDX-License-Identifier: BSD-3-Clause
// Each step of the journey alone, over a burst of 32 requests of a browser on established flows.
#include <benchmark/benchmark.h>

#include "dataplane/path/balance.h"
#include "dataplane/path/classify.h"
#include "dataplane/path/decide.h"
#include "dataplane/path/inspect.h"
#include "dataplane/path/parse.h"
#include "dataplane/path/police.h"
#include "dataplane/path/respond.h"
#include "dataplane/path/track.h"
#include "tests/bench/world.h"

namespace surgegate::bench {
namespace {

constexpr size_t burst = SG_BURST_PACKETS_MAX;

// A burst that can be taken to any point of the journey and put back there.
class Steps {
 public:
  explicit Steps(uint16_t port)
      : world_(burst, port),
        tracking_(world_.flows()),
        heads_(1),
        policer_(world_.buckets(), world_.secret(), counters_),
        inspector_(counters_),
        burst_(std::make_unique<Burst>()) {
    for (size_t flow = 0; flow < burst; flow++)
      frames_.push_back(world_.segment(flow, port, browser_request()));
    for (const Bytes& frame : frames_) pointers_.push_back(&frame);
    inspector_.adopt(world_.policy());
    receive();
  }

  void receive() {
    Frame frames[burst];
    world_.port().offer(pointers_);
    burst_->count = world_.port().receive(frames);
    for (size_t i = 0; i < burst; i++) burst_->lanes[i].take(frames[i]);
  }
  void clear_findings() {
    for (Lane& lane : burst_->all()) lane.found = 0;
  }
  void parse() { surgegate::parse(burst_->all(), world_.secret()); }
  void classify() { surgegate::classify(burst_->all(), world_.policy(), counters_.lists); }
  void track() {
    Tracker tracker({tracking_, heads_, world_.secret()}, world_.policy(), world_.still(),
                    counters_.track);
    for (std::span<Lane> left = burst_->all(); !left.empty();)
      left = left.subspan(tracker.take(left).size());
  }
  void police() { policer_.police(burst_->all(), world_.policy(), world_.tick()); }
  void inspect() { inspector_.inspect(burst_->all(), world_.policy()); }
  void decide() {
    for (Lane& lane : burst_->all()) surgegate::decide(lane);
  }
  void respond() {
    Responder(world_.policy(), world_.port(), world_.still(), date_, counters_.respond)
        .respond(burst_->all());
  }
  void balance() {
    Balancer(world_.policy(), world_.next_hops(), source_, counters_.balance)
        .balance(burst_->all());
  }
  void to_decided() {
    parse();
    classify();
    track();
    police();
    inspect();
    decide();
  }

  // The frames as they came (respond and balance write into them), and the flows.
  void save() {
    for (const Lane& lane : burst_->all()) {
      saved_frames_.push_back(lane.frame);
      saved_flows_.push_back(*lane.flow);
    }
  }
  void restore() {
    for (size_t i = 0; i < burst; i++) {
      burst_->lanes[i].frame = saved_frames_[i];
      *burst_->lanes[i].flow = saved_flows_[i];
    }
    Frame none[1];
    world_.port().receive(std::span(none, 0));  // the spare frames are free again
  }

 private:
  World world_;
  FlowTable tracking_;
  KeptHeads heads_;
  Counters counters_;
  Policer policer_;
  Inspector inspector_;
  HttpDate date_;
  TunnelSource source_;
  std::unique_ptr<Burst> burst_;
  std::vector<Bytes> frames_;
  std::vector<const Bytes*> pointers_;
  std::vector<Frame> saved_frames_;
  std::vector<sg_flow> saved_flows_;
};

template <class Body>
void measure(benchmark::State& state, Body body) {
  for (auto _ : state) body();
  state.counters["ns_per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations() * burst),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void step_parse(benchmark::State& state) {
  Steps steps(open_port);
  measure(state, [&] {
    steps.clear_findings();
    steps.parse();
  });
}
BENCHMARK(step_parse);

void step_classify(benchmark::State& state) {
  Steps steps(open_port);
  steps.parse();
  measure(state, [&] {
    steps.clear_findings();
    steps.classify();
  });
}
BENCHMARK(step_classify);

// With the reading of a 300-byte head.
void step_track(benchmark::State& state) {
  Steps steps(open_port);
  steps.parse();
  steps.classify();
  measure(state, [&] {
    steps.clear_findings();
    steps.track();
  });
}
BENCHMARK(step_track);

// Two limits.
void step_police(benchmark::State& state) {
  Steps steps(open_port);
  steps.parse();
  steps.classify();
  steps.track();
  measure(state, [&] { steps.police(); });
}
BENCHMARK(step_police);

void step_inspect(benchmark::State& state) {
  Steps steps(open_port);
  steps.parse();
  steps.classify();
  steps.track();
  steps.police();
  measure(state, [&] { steps.inspect(); });
}
BENCHMARK(step_inspect);

void step_decide(benchmark::State& state) {
  Steps steps(open_port);
  steps.to_decided();
  measure(state, [&] { steps.decide(); });
}
BENCHMARK(step_decide);

// A 429 and the backend's RST.
void step_respond(benchmark::State& state) {
  Steps steps(closed_port);
  steps.to_decided();
  steps.save();
  measure(state, [&] {
    steps.respond();
    steps.restore();
  });
}
BENCHMARK(step_respond);

// IPIP.
void step_balance(benchmark::State& state) {
  Steps steps(open_port);
  steps.to_decided();
  steps.save();
  measure(state, [&] {
    steps.balance();
    steps.restore();
  });
}
BENCHMARK(step_balance);

}  // namespace
}  // namespace surgegate::bench
