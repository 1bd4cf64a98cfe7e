// SPDX-License-Identifier: BSD-3-Clause
// What one worker counts. One writer; readers see values that may be a burst old, which a counter
// cannot tell from having looked a burst earlier.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "config/limits.h"
#include "config/policy_abi.h"
#include "config/verdict.h"
#include "dataplane/path/balance.h"
#include "dataplane/path/respond.h"
#include "dataplane/path/track.h"
#include "dataplane/table/buckets.h"

namespace surgegate {

using ReasonCounts = std::array<uint64_t, SG_REASON_COUNT>;

struct LimitCounts {
  uint64_t admitted_units = 0;
  uint64_t refused_units = 0;
  uint64_t would_refuse_units = 0;  // mode count
};

struct SignatureCounts {
  uint64_t matched = 0;
  uint64_t would_match = 0;  // mode count
};

struct ListCounts {
  uint64_t packets = 0;        // of sources in the list, where it is in force
  uint64_t would_packets = 0;  // mode count
};

struct BackendCounts {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t connections = 0;
};

struct Counters {
  Counters()
      : by_service(SG_SERVICES_MAX + 1),
        limits(SG_RECORDS_MAX),
        signatures(SG_RECORDS_MAX),
        lists(SG_LISTS_MAX),
        backends(SG_BACKENDS_MAX) {}

  // The last one is for packets of no service.
  std::vector<ReasonCounts> by_service;
  std::vector<LimitCounts> limits;
  std::vector<SignatureCounts> signatures;
  std::vector<ListCounts> lists;  // by bit of the mask: those that deny or exempt
  std::vector<BackendCounts> backends;
  uint64_t packets_in = 0;
  uint64_t packets_crossed = 0;  // handed to the worker that owns them
  uint64_t frames_out = 0;
  uint64_t resets_out = 0;  // of frames_out: RSTs to backends, made here
  TrackCounters track;
  BucketCounters buckets;
  RespondCounters respond;
  BalanceCounters balance;
};

// What is counted when something has run out, and when a fallback was taken: an operator wants to
// see these wherever they are not zero. One list that reports, metrics and docs are made from.
struct ExhaustionCounter {
  std::string_view name;
  uint64_t (*read)(const Counters&);
};

inline constexpr std::array exhaustion_counters = {
    ExhaustionCounter{"flow_set_full", [](const Counters& c) { return c.track.flow_set_full; }},
    ExhaustionCounter{"met_set_full", [](const Counters& c) { return c.track.met_set_full; }},
    ExhaustionCounter{"heads_evicted", [](const Counters& c) { return c.track.heads_evicted; }},
    ExhaustionCounter{"ranges_forgotten",
                      [](const Counters& c) { return c.track.ranges_forgotten; }},
    ExhaustionCounter{"ahead_full", [](const Counters& c) { return c.track.ahead_full; }},
    ExhaustionCounter{"ahead_parts_joined",
                      [](const Counters& c) { return c.track.ahead_parts_joined; }},
    ExhaustionCounter{"tls_runs_forgotten",
                      [](const Counters& c) { return c.track.tls_runs_forgotten; }},
    ExhaustionCounter{"bucket_set_full_evictions",
                      [](const Counters& c) { return c.buckets.set_full_evictions; }},
    ExhaustionCounter{"bucket_set_full_refusals",
                      [](const Counters& c) { return c.buckets.set_full_refusals; }},
    ExhaustionCounter{"bucket_contended", [](const Counters& c) { return c.buckets.contended; }},
    ExhaustionCounter{"no_frame_for_reset",
                      [](const Counters& c) { return c.respond.no_frame_for_reset; }},
    ExhaustionCounter{"resets_lost", [](const Counters& c) { return c.balance.resets_lost; }},
    ExhaustionCounter{"answers_withheld",
                      [](const Counters& c) { return c.respond.answers_withheld; }},
    ExhaustionCounter{"answers_cut", [](const Counters& c) { return c.respond.answers_cut; }},
    ExhaustionCounter{"repinned", [](const Counters& c) { return c.balance.repinned; }},
};

}  // namespace surgegate
