// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/decide.h"

#include <array>
#include <cassert>

namespace surgegate {
namespace {

// The last argument of those reasons that have one.
constexpr uint16_t status_of(uint16_t status = 0) {
  return status;
}

// The faults of heads and bodies.
constexpr sg_findings http_faults = 0
#define SG_FAULT(name, verdict, step, meaning, ...) \
  | (status_of(__VA_ARGS__) != 0 ? SG_FOUND(name) : 0)
    SG_REASONS(SG_FAULT)
#undef SG_FAULT
    ;

// Refusals that put an answer into the client's stream. Each has a silent twin behind it in the
// list, found together with it, which counts where that would not be safe.
constexpr sg_findings answers_in_stream =
    http_faults | SG_FOUND(limit_requests) | SG_FOUND(signature);

// Refusals of a request, as opposed to those of a whole packet.
constexpr sg_findings refuses_request = answers_in_stream | refused_in_silence |
                                        SG_FOUND(limit_requests_drop) | SG_FOUND(signature_drop) |
                                        SG_FOUND(head_evicted) | SG_FOUND(syn_in_stream);

constexpr std::array<Rule, SG_REASON_COUNT> rule_table = {{
#define SG_RULE(name, verdict, step, meaning, ...) \
  {SG_REASON_##name,                               \
   SG_VERDICT_##verdict,                           \
   SG_STEP_##step,                                 \
   #name,                                          \
   meaning,                                        \
   (answers_in_stream & SG_FOUND(name)) != 0,      \
   status_of(__VA_ARGS__)},
    SG_REASONS(SG_RULE)
#undef SG_RULE
}};

static_assert(http_faults >> SG_REASON_http_fault_silent == 0);
constexpr sg_findings answers = 0
#define SG_ANSWER(name, verdict, step, meaning, ...) \
  | (SG_VERDICT_##verdict == SG_VERDICT_answered ? SG_FOUND(name) : 0)
    SG_REASONS(SG_ANSWER)
#undef SG_ANSWER
    ;
static_assert((answers & (SG_FOUND(answers_spent) - 1)) == 0, "found of an answer, it must win");
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
  sg_findings counted = lane.answerable ? lane.found : lane.found & ~answers_in_stream;
  assert(counted != 0);
  const Rule& rule = rule_table[first_of(counted)];
  lane.reason = rule.reason;
  lane.verdict = rule.verdict;
  if (lane.worn_out && is_refused_in_silence(lane.reason)) {
    lane.reason = SG_REASON_unanswerable;
    lane.verdict = SG_VERDICT_answered;
  }
  // What stands before the refused request was admitted and charged, in this segment or as the body
  // or the resend of an earlier one: it goes, and only the rest is refused. But not where that went
  // ahead, and could be read with it.
  bool has_admitted = !lane.is_held && (lane.round > 0 || lane.head_offset > 0);
  if (has_admitted && (refuses_request >> lane.reason & 1) != 0) {
    lane.reason = SG_REASON_trimmed;
    lane.verdict = SG_VERDICT_forwarded;
  }
}

}  // namespace surgegate
