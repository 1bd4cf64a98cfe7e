// SPDX-License-Identifier: BSD-3-Clause
// What replay learns from watching: totals for the report, and whether packets were conserved.
#pragma once

#include <array>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/counters.h"
#include "dataplane/replay/replay_port.h"
#include "dataplane/worker.h"

namespace surgegate {

struct SourceTally {
  uint64_t packets = 0;
  uint64_t requests_admitted = 0;
  uint64_t requests_refused = 0;
  uint64_t packets_dropped = 0;
};

struct BackendTally {
  uint64_t packets = 0;
  uint64_t connections = 0;
  uint64_t requests = 0;
};

using SourceAddress = std::array<uint8_t, 16>;

struct SourceHash {
  size_t operator()(const SourceAddress& ip) const {
    return sg_load_u64(ip.data() + 8) * 0x9e3779b97f4a7c15ull ^ sg_load_u64(ip.data());
  }
};

// Sources told apart in the report; those beyond are counted together, and the report says so.
inline constexpr size_t replay_sources_max = 1'000'000;

class Tally final : public Observer {
 public:
  explicit Tally(FateBook& fates) : fates_(fates) {}

  void see(const Lane& lane, Instant now) override;

  // Compares what the port saw of packets [first, last] with their verdicts. Each must have exactly
  // one, and have left, or not left, accordingly. Notes the first that does not.
  void check_conservation(uint64_t first, uint64_t last);

  uint64_t packets_in = 0;
  uint64_t packets_cut = 0;   // by the capture's snap length, or longer than any frame we can hold
  uint64_t packets_late = 0;  // of a time before the clock's, by more than its tick
  uint64_t connections = 0;
  uint64_t requests_admitted = 0;
  uint64_t requests_refused = 0;
  std::array<uint64_t, SG_VERDICT_COUNT> verdicts{};
  std::map<uint32_t, ReasonCounts> by_service;  // service index; SG_NONE16: of no service
  std::map<uint16_t, BackendTally> backends;    // by slot
  std::unordered_map<SourceAddress, SourceTally, SourceHash> sources;
  SourceTally other_sources;
  std::string violation;  // empty: packets were conserved

 private:
  struct Seen {
    uint32_t times = 0;
    sg_verdict verdict = SG_VERDICT_COUNT;
  };
  SourceTally& source(const Lane& lane);
  bool fits(const Seen& seen, const Fate& fate) const;

  FateBook& fates_;
  std::unordered_map<uint64_t, Seen> seen_;  // of the packets not yet checked
};

}  // namespace surgegate
