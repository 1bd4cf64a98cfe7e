// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/decide.h"

#include <array>
#include <cassert>

namespace surgegate {
namespace {

// Refusals that put an answer into the client's stream. Each is followed in the list by a silent
// twin, found together with it, which counts where that would not be safe.
constexpr uint64_t answers_in_stream =
    SG_FOUND(http_malformed) | SG_FOUND(limit_requests) | SG_FOUND(signature);

// Refusals of a request, as opposed to those of a whole packet.
constexpr uint64_t refuses_request =
    answers_in_stream | SG_FOUND(http_malformed_silent) | SG_FOUND(limit_requests_silent) |
    SG_FOUND(limit_requests_drop) | SG_FOUND(signature_silent) | SG_FOUND(signature_drop) |
    SG_FOUND(unanswered) | SG_FOUND(head_evicted) | SG_FOUND(syn_in_stream);

constexpr std::array<Rule, SG_REASON_COUNT> rule_table = {{
#define SG_RULE(name, verdict, step, meaning) \
  {SG_REASON_##name, SG_VERDICT_##verdict,    \
   SG_STEP_##step,   #name,                   \
   meaning,          (answers_in_stream & SG_FOUND(name)) != 0},
    SG_REASONS(SG_RULE)
#undef SG_RULE
}};

static_assert(SG_REASON_http_malformed + 1 == SG_REASON_http_malformed_silent);
static_assert(SG_REASON_limit_requests < SG_REASON_limit_requests_silent);
static_assert(SG_REASON_signature < SG_REASON_signature_silent);

}  // namespace

std::span<const Rule> rules() {
  return rule_table;
}

std::string_view name_of(sg_verdict verdict) {
  static constexpr std::string_view names[] = {
#define SG_NAME(name, meaning) #name,
      SG_VERDICTS(SG_NAME)
#undef SG_NAME
  };
  return names[verdict];
}

std::string_view meaning_of(sg_verdict verdict) {
  static constexpr std::string_view meanings[] = {
#define SG_MEANING(name, meaning) meaning,
      SG_VERDICTS(SG_MEANING)
#undef SG_MEANING
  };
  return meanings[verdict];
}

std::string_view name_of(sg_step step) {
  static constexpr std::string_view names[] = {
#define SG_NAME(name) #name,
      SG_STEPS(SG_NAME)
#undef SG_NAME
  };
  return names[step];
}

void decide(Lane& lane) {
  uint64_t counted = lane.answerable ? lane.found : lane.found & ~answers_in_stream;
  assert(counted != 0);
  const Rule& rule = rule_table[static_cast<size_t>(__builtin_ctzll(counted))];
  lane.reason = rule.reason;
  lane.verdict = rule.verdict;
  // What stands before the refused request was admitted and charged, in this segment or as the body
  // or the resend of an earlier one: it goes, and only the rest is refused.
  bool has_admitted = lane.round > 0 || lane.head_offset > 0;
  if (has_admitted && (1ull << lane.reason & refuses_request) != 0) {
    lane.reason = SG_REASON_trimmed;
    lane.verdict = SG_VERDICT_forwarded;
  }
}

}  // namespace surgegate
