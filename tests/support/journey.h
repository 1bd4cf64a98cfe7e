// SPDX-License-Identifier: BSD-3-Clause
// The whole journey without a NIC: workers over fake ports, tables in plain memory, and a clock
// that the test owns.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/worker.h"
#include "tests/support/fake_port.h"

namespace surgegate::testing {

// What became of one packet.
struct Fate {
  uint64_t number = 0;
  uint32_t verdicts = 0;  // how often one was told; always 1
  sg_verdict verdict = SG_VERDICT_COUNT;
  sg_reason reason = SG_REASON_COUNT;
  std::string service;    // empty: none
  std::string limit;      // that refused
  std::string signature;  // that matched
  std::string backend;
  uint32_t requests_admitted = 0;
  uint32_t requests_refused = 0;
  std::vector<Bytes> sent, kernel, discarded;
};

struct JourneyOptions {
  uint32_t workers = 1;
  size_t flows_min = 1;  // rounded up to what a table needs
  size_t bucket_sets = 1 << 10;
  uint32_t kept_heads_max = 256;  // of each worker
  sg_secret secret{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
  TunnelSource tunnel_source{{192, 0, 0, 8},
                             {0x20, 0x01, 0x0d, 0xb8, 0, 0xee, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8}};
};

class Journey final : public Observer {
 public:
  // The virtual clock starts here; unix time is 14 November 2023, 22:13:20 GMT.
  static constexpr uint64_t start_ns = 5'000'000'000'000;
  static constexpr uint64_t start_unix_s = 1'700'000'000;

  explicit Journey(std::shared_ptr<const PolicyInForce> policy, const JourneyOptions& options = {});

  // As new, under this policy: nothing is remembered, nothing has been offered, the surroundings
  // are the usual ones. Building a journey clears megabytes of counters, which takes longer than a
  // few dozen packets do; for those who need thousands. What a worker keeps for itself (leases,
  // scratch) stays.
  void start_over(std::shared_ptr<const PolicyInForce> policy);

  // Goes over to another policy, which is kept.
  void adopt(std::shared_ptr<const PolicyInForce> policy);
  const PolicyInForce& policy() const { return *policy_; }

  // Moves the clock to this long after the start. Never back.
  void at(uint64_t since_start_ns) { clock_ns_ = since_start_ns; }
  Instant now() const;

  // A frame arrives at a worker's port. Returns its number, from 1.
  uint64_t offer(const Bytes& frame, uint32_t worker = 0);
  void poll(uint32_t worker = 0) { workers_[worker]->poll(now()); }
  void poll_all();  // twice, so that what crossed a ring is seen

  // Offers, polls, tells.
  const Fate& send(const Bytes& frame, uint32_t worker = 0);

  const Fate& fate(uint64_t number) const { return fates_.at(number - 1); }
  uint64_t offered() const { return fates_.size(); }

  // Empty where every packet in has one verdict, the frames that left fit it, all frames came back
  // exactly once, and the counters' sums agree; else what does not hold.
  std::string conservation_fault() const;

  Worker& worker(uint32_t index = 0) { return *workers_[index]; }
  FakePort& port(uint32_t worker = 0) { return *ports_[worker]; }
  FakeRings& rings() { return rings_; }
  FakePool& pool() { return pool_; }
  NextHops& next_hops() { return next_hops_; }
  std::span<sg_flow> flows() { return tables_.flows; }
  std::span<const sg_bucket_set> buckets() const { return tables_.buckets; }
  uint32_t owner_of(const Bytes& frame, uint32_t arrives_at = 0);
  uint32_t workers() const { return static_cast<uint32_t>(workers_.size()); }

  // The link address that the fixture gives a backend: 02:00 and the last four octets of its IP.
  static Mac backend_mac(const Ip& ip);
  void learn_next_hops();

  // Fills every entry of the flow table with a live connection of somebody else.
  void fill_flow_table();

  uint64_t total(sg_reason reason) const;  // over all services and workers

 private:
  // Over all workers, since they were built.
  struct Totals {
    uint64_t in = 0, counted = 0, out = 0, resets = 0;
  };

  void see(const Lane& lane, Instant now) override;
  void collect();
  Totals totals() const;

  std::shared_ptr<const PolicyInForce> policy_;
  std::vector<std::shared_ptr<const PolicyInForce>> policies_;  // all that were ever in force
  FakePool pool_;
  FakeRings rings_;
  NextHops next_hops_;
  Arena arena_;
  Tables tables_;
  std::vector<std::unique_ptr<FakePort>> ports_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Fate> fates_;
  Totals before_;            // what had been counted when this journey began
  size_t services_max_ = 0;  // the most that a policy had: counters beyond are nobody's
  uint64_t clock_ns_ = 0;
};

}  // namespace surgegate::testing
