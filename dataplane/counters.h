// SPDX-License-Identifier: BSD-3-Clause
// What one worker counts. One writer; readers see values that may be a burst old, which a counter
// cannot tell from having looked a burst earlier.
#pragma once

#include <array>
#include <cstdint>
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
        backends(SG_BACKENDS_MAX) {}

  // The last one is for packets of no service.
  std::vector<ReasonCounts> by_service;
  std::vector<LimitCounts> limits;
  std::vector<SignatureCounts> signatures;
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

}  // namespace surgegate
