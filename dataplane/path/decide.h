// SPDX-License-Identifier: BSD-3-Clause
// decide: the one place where findings become a verdict. The truth table is the order of
// SG_REASONS.
#pragma once

#include <span>
#include <string_view>

#include "dataplane/burst.h"

namespace surgegate {

// One row of the truth table, as `surgegate explain-rules` and the docs print it.
struct Rule {
  sg_reason reason;
  sg_verdict verdict;
  sg_step step;
  std::string_view name;
  std::string_view meaning;
  bool needs_answerable;  // counts only where an answer in the stream is safe
  uint16_t status;        // of the answer, where the reason alone says it; else 0
};

std::span<const Rule> rules();
std::string_view name_of(sg_verdict verdict);
std::string_view meaning_of(sg_verdict verdict);
std::string_view name_of(sg_step step);

// The finding that stands first in the list. There is at least one.
inline sg_reason first_of(sg_findings found) {
  auto low = static_cast<uint64_t>(found);
  auto high = static_cast<uint64_t>(found >> 64);
  return static_cast<sg_reason>(low != 0 ? __builtin_ctzll(low) : 64 + __builtin_ctzll(high));
}

// Refusals of a request where an answer in the stream would not have been safe.
inline constexpr sg_findings refused_in_silence =
    SG_FOUND(http_fault_silent) | SG_FOUND(http_upgraded) | SG_FOUND(limit_requests_silent) |
    SG_FOUND(signature_silent);

inline bool is_refused_in_silence(sg_reason reason) {
  return (refused_in_silence >> reason & 1) != 0;
}

// Sets reason and verdict of one lane from its findings. There is always at least one.
void decide(Lane& lane);

}  // namespace surgegate
