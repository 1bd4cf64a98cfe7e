// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/police.h"

#include <algorithm>

#include "dataplane/counters.h"
#include "dataplane/path/bucket_key.h"
#include "dataplane/path/decide.h"
#include "dataplane/path/request.h"

namespace surgegate {
namespace {

// What is dropped anyway must not use up anybody's units. What is answered does: an answer is work
// too, and a head that nobody can read is a request of whoever sends it.
bool is_counted(const Lane& lane) {
  if (lane.service == nullptr || lane.found == 0) return false;
  sg_verdict verdict = rules()[first_of(lane.found)].verdict;
  return verdict == SG_VERDICT_forwarded || verdict == SG_VERDICT_answered;
}

}  // namespace

// Gather and prefetch for all lanes; then charge lane by lane, so that two lanes of one burst with
// one key see each other.
void Policer::police(Part part, const PolicyInForce& policy, Instant now) {
  for (size_t i = 0; i < part.size(); i++) {
    for (Bill& bill : bills_[i]) bill.enforced = bill.count = 0;
    if (!is_counted(part[i])) continue;
    if (part[i].counts_request) identify(part[i], policy);
    part[i].has_client |= part[i].counts_request;
    if (!part[i].exempt_limits) gather(part[i], bills_[i], policy, now);
    if (part[i].found & SG_FOUND(stray))
      add_strays(part[i], bills_[i][part[i].counts_request ? SG_UNIT_REQUESTS : SG_UNIT_PACKETS]);
  }
  for (size_t i = 0; i < part.size(); i++)
    for (Bill& bill : bills_[i])
      if (bill.count > 0 && !settle(part[i], bill, policy, now)) break;
}

void Policer::gather(Lane& lane, Bills& bills, const PolicyInForce& policy, Instant now) {
  const sg_service& service = *lane.service;
  if (lane.round == 0)  // a packet is one packet, however many requests are in it
    add_run(lane, bills[SG_UNIT_PACKETS], service.limits[SG_UNIT_PACKETS], policy, 1, now);
  if (lane.opens)
    add_run(lane, bills[SG_UNIT_CONNECTIONS], service.limits[SG_UNIT_CONNECTIONS], policy, 1, now);
  if (!lane.counts_request) return;
  const sg_route* route = lane.request.route;
  add_run(lane, bills[SG_UNIT_REQUESTS],
          route != nullptr ? route->limits : service.limits[SG_UNIT_REQUESTS], policy,
          lane.request.cost_units, now);
}

void Policer::add_run(const Lane& lane, Bill& bill, const sg_limit_run& run,
                      const PolicyInForce& policy, uint32_t units, Instant now) {
  auto limits = policy.image().limits();
  for (uint16_t wanted_mode : {SG_ENFORCE, SG_COUNT}) {
    for (uint16_t index : policy.image().limit_run(run)) {
      // A missing header leads on to the limit that the policy names instead, at most a few times.
      KeyFault fault = key_fault(lane, limits[index]);
      for (int i = 0; i < SG_MISSING_LIMITS_MAX && fault == KeyFault::header_missing &&
                      limits[index].missing_limit != SG_NONE16;
           i++) {
        index = limits[index].missing_limit;
        fault = key_fault(lane, limits[index]);
      }
      if (fault != KeyFault::no_head && limits[index].mode == wanted_mode)
        add_limit(lane, bill, index, policy, units, now);
    }
    if (wanted_mode == SG_ENFORCE) bill.enforced = bill.count;
  }
}

void Policer::add_limit(const Lane& lane, Bill& bill, uint16_t index, const PolicyInForce& policy,
                        uint32_t units, Instant now) {
  auto end = bill.limits.begin() + bill.count;
  if (bill.count == bill.limits.size() || std::find(bill.limits.begin(), end, index) != end) return;
  const sg_limit& limit = policy.image().limits()[index];
  bool overridden = now.unix_s < limit.override_until_unix_s;
  BucketCharge& charge = bill.charges[bill.count];
  charge.key_hash = bucket_key(lane, limit, secret_);
  charge.rule = overridden ? &limit.override_rule : &limit.rule;
  charge.units = units;
  charge.leased = (overridden ? limit.override_units_per_charge : limit.units_per_charge) > 1;
  table_.prefetch(charge.key_hash);
  bill.limits[bill.count++] = index;
}

BucketCharge Policer::budget(const sg_service& service, sg_budget_kind kind) const {
  const __u64 words[] = {service.id, kind};
  const sg_budget& budget = service.budgets[kind];
  return {sg_hash_words(&secret_, words, 2), &budget.rule, 1, budget.units_per_charge > 1};
}

// Into the last bill that the packet meets, behind its limits: charged with them or not at all. So
// who is over a limit of his own uses up nobody's strays, and strays beyond the budget nobody's
// limits. It holds for exempt sources too, for who only forged one looks the same.
void Policer::add_strays(const Lane& lane, Bill& bill) const {
  const uint32_t at = bill.enforced++;
  const uint32_t end = bill.count++;
  std::copy_backward(&bill.charges[at], &bill.charges[end], &bill.charges[end] + 1);
  std::copy_backward(&bill.limits[at], &bill.limits[end], &bill.limits[end] + 1);
  bill.charges[at] = budget(*lane.service, SG_BUDGET_STRAYS);
  bill.limits[at] = SG_NONE16;
  table_.prefetch(bill.charges[at].key_hash);
}

// Also what a tombstone gives again, acknowledges or resets: each is a packet that is made here and
// that the line to the clients carries. What is not made is asked for again by the client's TCP,
// and nothing is held against him meanwhile.
void Policer::charge_answers(Part part, Instant now) {
  for (Lane& lane : part) {
    if (lane.verdict != SG_VERDICT_answered) continue;
    BucketCharge charge = budget(*lane.service, SG_BUDGET_ANSWERS);
    if (charge_all(table_, leases_, {&charge, 1}, now.monotonic_ns, counters_.buckets).admitted())
      continue;
    lane.found |= SG_FOUND(answers_spent);
    decide(lane);
  }
}

// Charges all enforced limits or none. Returns whether they admitted.
bool Policer::settle(Lane& lane, Bill& bill, const PolicyInForce& policy, Instant now) {
  std::span<BucketCharge> charges(bill.charges.data(), bill.count);
  ChargeResult result = charge_all(table_, leases_, charges.first(bill.enforced), now.monotonic_ns,
                                   counters_.buckets);
  if (!result.admitted() && bill.limits[result.refused_index] == SG_NONE16) {
    lane.found |= SG_FOUND(strays_spent);
    return false;
  }
  if (!result.admitted()) {
    lane.refusing_limit = bill.limits[result.refused_index];
    lane.wait_ns = result.wait_ns;
    counters_.limits[lane.refusing_limit].refused_units += charges[result.refused_index].units;
    refuse(lane, policy.image().limits()[lane.refusing_limit]);
    return false;
  }
  for (uint32_t i = 0; i < bill.count; i++) {
    if (bill.limits[i] == SG_NONE16) continue;
    LimitCounts& counts = counters_.limits[bill.limits[i]];
    bool admitted = i < bill.enforced || charge_all(table_, leases_, charges.subspan(i, 1),
                                                    now.monotonic_ns, counters_.buckets)
                                             .admitted();
    (admitted ? counts.admitted_units : counts.would_refuse_units) += charges[i].units;
    if (!admitted && lane.would_refuse_limit == SG_NONE16) lane.would_refuse_limit = bill.limits[i];
  }
  return true;
}

// A SYN cannot be answered with a status, and `over: cookie` needs the SYN proxy: both are dropped.
void Policer::refuse(Lane& lane, const sg_limit& limit) {
  if (limit.unit == SG_UNIT_PACKETS)
    lane.found |= SG_FOUND(limit_packets);
  else if (limit.unit == SG_UNIT_CONNECTIONS)
    lane.found |= SG_FOUND(limit_connections);
  else if (limit.over == SG_OVER_RESPONSE)
    lane.found |= SG_FOUND(limit_requests) | SG_FOUND(limit_requests_silent);
  else
    lane.found |= SG_FOUND(limit_requests_drop);
}

}  // namespace surgegate
