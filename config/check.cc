// SPDX-License-Identifier: BSD-3-Clause
#include "config/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/check_parts.h"
#include "config/limits.h"
#include "config/words.h"

namespace surgegate::policy {
template <class T>
const T* Names<T>::use(Report& report, const Name& name) {
  if (name.value.empty()) return nullptr;
  if (auto item = items_.find(name.value); item != items_.end()) {
    item->second.is_used = true;
    return item->second.thing;
  }
  report.fault(
      name.place, fmt::format("no {} is named {}", kind_, quote(name.value)),
      words_.empty() ? fmt::format("one declared under `{}`", section_) : one_of(words_),
      report.fault_count() < SG_POLICY_ADVISED_FAULTS_MAX ? nearest_word(name.value, words_) : "");
  return nullptr;
}

template <class T>
void Names<T>::warn(Report& report, const Name& name) const {
  report.warn(name.place, fmt::format("{} {} is never used", kind_, quote(name.value)));
}

template class Names<List>;
template class Names<Response>;
template class Names<Limit>;
template class Names<SignatureSet>;
template class Names<Penalty>;
template class Names<Service>;
template class Names<Pool>;

void Checked::use_response(const Name& name) {
  const bool is_status = !name.value.empty() && name.value[0] >= '0' && name.value[0] <= '9';
  if (!is_status) responses.use(report, name);
}

void check_lists(Checked& checked) {
  size_t sets_of_addresses = 0;
  const auto count = [&](const Name& name) {
    if (++sets_of_addresses == SG_LISTS_MAX + 1)
      checked.report.fault(
          name.place,
          fmt::format("more than {} lists of addresses and client rules: a source's "
                      "lists are one mask of so many bits",
                      SG_LISTS_MAX),
          "fewer, larger lists");
  };
  for (const List& list : checked.policy.lists) {
    if (list.deny_response) checked.use_response(*list.deny_response);
    if (list.kind == ListKind::cidr) count(list.name);
  }
  for (const ClientRule& rule : checked.policy.clients) count(rule.name);
  for (const SignatureSet& set : checked.policy.signatures)
    if (set.then.value == SignatureThen::refuse) checked.use_response(set.refuse_response);
}

namespace {

// A list of addresses acts on its own, for every service: it is used if it says what to do.
bool acts_alone(const List& list) {
  return list.kind == ListKind::cidr &&
         (list.deny_drop || list.deny_response || list.exempt_limits || list.exempt_signatures ||
          list.exempt_penalties);
}

void warn_unused(Checked& checked) {
  const auto never = [](const auto&) { return false; };
  checked.lists.warn_unused(checked.report, acts_alone);
  checked.responses.warn_unused(checked.report, never);
  checked.limits.warn_unused(checked.report, never);
  checked.signatures.warn_unused(checked.report, never);
  checked.penalties.warn_unused(checked.report, never);
  checked.pools.warn_unused(checked.report, never);
  if (checked.policy.services.empty())
    checked.report.warn({}, "the policy has no services: every packet goes to the kernel");
}

}  // namespace

void check(const Policy& policy, std::vector<Finding>& findings) {
  Checked checked(policy, findings);
  check_lists(checked);
  check_limits(checked);
  check_services(checked);
  check_overrides(checked);
  check_addresses(checked);
  check_enforced(checked);
  if (has_fault(findings)) return;
  warn_unused(checked);
  warn_unreachable_routes(checked);
}

}  // namespace surgegate::policy
