// SPDX-License-Identifier: BSD-3-Clause
// What the journey's benchmarks run in: a policy, tables in plain memory, established flows.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/worker.h"
#include "tests/bench/bench_port.h"
#include "tests/support/frame.h"

namespace surgegate::bench {

using testing::Bytes;

class World {
 public:
  // flows: connections to this port that are established when the constructor returns.
  explicit World(size_t flows, uint16_t port = 80);

  const PolicyInForce& policy() const { return *policy_; }
  Worker& worker() { return *worker_; }
  BenchPort& port() { return port_; }
  const NextHops& next_hops() const { return next_hops_; }
  std::span<sg_flow> flows() { return arena_.records<sg_flow>(Region::flows); }
  std::span<sg_bucket_set> buckets() { return arena_.records<sg_bucket_set>(Region::buckets); }
  const sg_secret& secret() const { return arena_.secret(); }

  // The next clock reading: 1 ms later, so that no limit of the benchmarks' policy is ever reached.
  Instant tick() { return {now_ns_ += 1'000'000, 1'700'000'000}; }
  // The same clock again.
  Instant still() const { return {now_ns_, 1'700'000'000}; }

  // A frame of flow number `flow`, in its connection.
  Bytes segment(size_t flow, uint16_t port, std::string_view payload) const;
  Bytes syn(size_t flow, uint16_t port) const;

  void run(std::span<const Bytes* const> frames, Instant now) {
    port_.offer(frames);
    worker_->poll(now);
  }

 private:
  std::unique_ptr<PolicyInForce> policy_;
  Arena arena_;
  NextHops next_hops_;
  Tables tables_;
  BenchPort port_;
  std::unique_ptr<Worker> worker_;
  uint64_t now_ns_ = 1'000'000'000'000;
};

inline constexpr uint16_t open_port = 80;    // limits that are never reached
inline constexpr uint16_t closed_port = 81;  // a limit that refuses everything after the first

// A request of a browser, about 300 bytes.
std::string_view browser_request();
std::string_view browser_user_agent();

}  // namespace surgegate::bench
