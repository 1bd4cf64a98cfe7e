// SPDX-License-Identifier: BSD-3-Clause
// The warnings by line; the table of what is enforced is in enforced.h.
#include "config/enforced.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "config/check_parts.h"

namespace surgegate::policy {
namespace {

struct State {
  bool is_enforced;
  std::string_view until_then;
};

constexpr std::array states = {
#define SG_FEATURE(name, enforced, until_then) State{enforced, until_then},
    SG_POLICY_FEATURES(SG_FEATURE)
#undef SG_FEATURE
};

void tell(Checked& checked, Feature feature, const Place& place, std::string_view written) {
  if (is_enforced(feature)) return;
  checked.report.warn(place, fmt::format("`{}` is understood and kept, but this version does not "
                                         "enforce it yet: {}",
                                         written, until_then(feature)));
}

// A header that may name a chain of proxies; others name one address.
bool is_chain(std::string_view header) {
  return header == "x-forwarded-for" || header == "forwarded";
}

void tell_limits(Checked& checked) {
  for (const Limit& limit : checked.policy.limits) {
    if (limit.scope.value == Scope::cluster)
      tell(checked, Feature::scope_cluster, limit.scope.place, "scope: cluster");
    if (limit.known) tell(checked, Feature::known_keys, limit.known->place, "known");
    if (limit.missing_status)
      tell(checked, Feature::missing_status, limit.missing_status->place,
           fmt::format("missing: {}", limit.missing_status->value));
    if (limit.over.value.kind == OverKind::cookie)
      tell(checked, Feature::over_cookie, limit.over.place, "over: cookie");
  }
}

// Who wrote `all` asked for nothing that is lacking: nobody is banned. It is a note.
void tell_exemption(Checked& checked, const List& list) {
  if (list.exempt_penalties_place)
    tell(checked, Feature::exempt_penalties, *list.exempt_penalties_place, "exempt: [penalties]");
  else if (list.exempt_all_place && !is_enforced(Feature::exempt_penalties))
    checked.report.note(*list.exempt_all_place,
                        "`all` is from limits and signatures: there are no penalties yet");
}

void tell_lists(Checked& checked) {
  for (const List& list : checked.policy.lists) {
    tell_exemption(checked, list);
    if (list.ceiling) tell(checked, Feature::ceiling, list.ceiling->place, "ceiling");
    if (list.deny_response)
      tell(checked, Feature::deny_response, list.deny_response->place,
           fmt::format("deny: {}", list.deny_response->value));
  }
  for (const ClientRule& rule : checked.policy.clients)
    if (is_chain(rule.identity_header.value))
      tell(checked, Feature::identity_chain, rule.identity_header.place,
           fmt::format("identity: header:{}", rule.identity_header.value));
}

std::string written(const SignatureSet& set) {
  constexpr std::array<std::string_view, 6> fields = {"target",     "path",    "query",
                                                      "user-agent", "header:", "head"};
  return fmt::format("field: {}{}", fields[static_cast<size_t>(set.field.value)], set.header);
}

void tell_signatures(Checked& checked) {
  for (const SignatureSet& set : checked.policy.signatures) {
    if (set.field.value != SignatureField::user_agent)
      tell(checked, Feature::signature_fields, set.field.place, written(set));
    if (set.then.value == SignatureThen::ban)
      tell(checked, Feature::signature_ban, set.then.place, "then: {ban: ..}");
  }
  for (const Penalty& penalty : checked.policy.penalties)
    tell(checked, Feature::penalties, penalty.name.place,
         fmt::format("penalties: {}", penalty.name.value));
}

void tell_capacity(Checked& checked, const Placed<Capacity>& capacity) {
  tell(checked, Feature::capacity, capacity.place, "capacity");
  if (capacity.value.scope == Scope::cluster)
    tell(checked, Feature::scope_cluster, capacity.value.scope_place, "scope: cluster");
  if (capacity.value.shed_place) tell(checked, Feature::shed, *capacity.value.shed_place, "shed");
}

void tell_services(Checked& checked) {
  for (const Service& service : checked.policy.services) {
    if (service.capacity) tell_capacity(checked, *service.capacity);
    for (const Route& route : service.routes)
      if (route.klass) tell(checked, Feature::route_class, route.klass->place, "class");
  }
}

void tell_pools(Checked& checked) {
  for (const Pool& pool : checked.policy.pools) {
    if (pool.forward.value == Forward::gue)
      tell(checked, Feature::forward_gue, pool.forward.place, "forward: gue");
    if (pool.challenge.value != Challenge::none)
      tell(checked, Feature::challenge, pool.challenge.place,
           pool.challenge.value == Challenge::accept ? "challenge: accept" : "challenge: resync");
    if (pool.health) tell(checked, Feature::health, pool.health->place, "health");
    for (const Backend& backend : pool.backends)
      if (backend.drain.value) tell(checked, Feature::drain, backend.drain.place, "drain: true");
  }
}

}  // namespace

bool is_enforced(Feature feature) {
  return states[static_cast<size_t>(feature)].is_enforced;
}

std::string_view until_then(Feature feature) {
  return states[static_cast<size_t>(feature)].until_then;
}

void check_enforced(Checked& checked) {
  tell_lists(checked);
  tell_limits(checked);
  tell_signatures(checked);
  tell_services(checked);
  tell_pools(checked);
}

}  // namespace surgegate::policy
