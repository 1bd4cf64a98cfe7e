// SPDX-License-Identifier: BSD-3-Clause
// Lists of addresses and the peers of client rules (the bits of a source's mask), lists of keys.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "config/compile_draft.h"
#include "config/compile_rules.h"
#include "config/lookup_build.h"

namespace surgegate {
namespace {

void set_ceiling(Draft& draft, const policy::List& list, sg_list& record) {
  if (!list.ceiling) return;
  const policy::Rate& rate = list.ceiling->value;
  auto rule = compile_rule(rate, default_burst_units(rate));
  if (!rule) {
    draft.fault(list.ceiling->place,
                fmt::format("ceiling of list {}: {}", list.name.value, rule.error()));
    return;
  }
  record.ceiling_rule = rule->rule;
  record.ceiling_units_per_charge = rule->units_per_charge;
}

sg_list list_record(Draft& draft, const policy::List& list) {
  sg_list record{};
  record.id = draft.identify("list", list.name.value, list.name.place);
  record.name = draft.text(list.name.value);
  set_ceiling(draft, list, record);
  record.keys_first = static_cast<__u32>(draft.sections.key_digests.size());
  record.exempt_limits = list.exempt_limits;
  record.exempt_signatures = list.exempt_signatures;
  record.exempt_penalties = list.exempt_penalties;
  record.deny = list.deny_drop;
  record.mode = static_cast<__u8>(list.mode);
  record.is_key_list = list.kind == policy::ListKind::key;
  record.deny_response = list.deny_response ? draft.response(*list.deny_response) : SG_NONE16;
  return record;
}

void add_list(Draft& draft, const policy::List& list) {
  draft.lists[list.name.value] = draft.next_index(draft.sections.lists, "lists", list.name.place);
  draft.sections.lists.push_back(list_record(draft, list));
}

void add_client_rule(Draft& draft, const policy::ClientRule& rule) {
  const uint16_t index = draft.next_index(draft.sections.lists, "lists", rule.name.place);
  sg_list peers{};
  peers.id = draft.identify("client", rule.name.value, rule.name.place);
  peers.name = draft.text(rule.name.value);
  peers.keys_first = static_cast<__u32>(draft.sections.key_digests.size());
  peers.deny_response = SG_NONE16;
  draft.sections.lists.push_back(peers);
  sg_client_rule record{};
  record.name = peers.name;
  record.list = index;
  record.header_index = draft.header(rule.identity_header.value, rule.identity_header.place);
  draft.sections.clients.push_back(record);
}

void add_keys(Draft& draft, const policy::List& list) {
  std::vector<sg_key_digest> digests(list.key_sha256.size());
  for (size_t i = 0; i < digests.size(); i++)
    std::memcpy(digests[i].sha256, list.key_sha256[i].data(), sizeof(digests[i].sha256));
  auto compare = [](const sg_key_digest& a, const sg_key_digest& b) {
    return std::memcmp(&a, &b, sizeof(a));
  };
  std::sort(digests.begin(), digests.end(),
            [&](const auto& a, const auto& b) { return compare(a, b) < 0; });
  digests.erase(std::unique(digests.begin(), digests.end(),
                            [&](const auto& a, const auto& b) { return compare(a, b) == 0; }),
                digests.end());
  auto& all = draft.sections.key_digests;
  all.insert(all.end(), digests.begin(), digests.end());
  draft.sections.lists.back().keys_count = static_cast<__u32>(digests.size());
}

void tell(Draft& draft, const LookupFault& fault, std::span<const ListPrefixes> inputs,
          std::span<const policy::Name> names) {
  if (fault.input == fault_of_all) return draft.fault({}, fmt::format("lists: {}", fault.what));
  const policy::Name& name = names[fault.input];
  const auto cidrs = inputs[fault.input].cidrs;
  const std::string where =
      fault.cidr < cidrs.size() ? fmt::format(", {}", policy::to_text(cidrs[fault.cidr])) : "";
  draft.fault(name.place, fmt::format("list {}{}: {}", name.value, where, fault.what));
}

}  // namespace

void compile_lists(Draft& draft) {
  std::vector<ListPrefixes> inputs;
  std::vector<policy::Name> names;
  for (const policy::List& list : draft.policy().lists) {
    if (list.kind != policy::ListKind::cidr) continue;
    inputs.push_back({static_cast<uint32_t>(inputs.size()), list.cidrs});
    names.push_back(list.name);
    add_list(draft, list);
  }
  for (const policy::ClientRule& rule : draft.policy().clients) {
    inputs.push_back({static_cast<uint32_t>(inputs.size()), rule.peers});
    names.push_back(rule.name);
    add_client_rule(draft, rule);
  }
  if (inputs.size() > SG_LISTS_MAX)
    return draft.fault(
        names[SG_LISTS_MAX].place,
        fmt::format("{} lists of addresses and client rules are too many: a source's "
                    "lists are one mask of {} bits",
                    inputs.size(), SG_LISTS_MAX));
  for (const policy::List& list : draft.policy().lists) {
    if (list.kind != policy::ListKind::key) continue;
    add_list(draft, list);
    add_keys(draft, list);
  }
  LookupBuild build = build_lookup(inputs, draft.lookup_seed());
  for (const LookupFault& fault : build.faults) tell(draft, fault, inputs, names);
  if (!build.tables) return;
  draft.sections.lookup_lines = std::move(build.tables->lines);
  draft.sections.lookup_buckets = std::move(build.tables->buckets);
  draft.sections.lookup_header = {build.tables->header};
  draft.sections.list_masks.assign(build.tables->masks.begin(), build.tables->masks.end());
}

}  // namespace surgegate
