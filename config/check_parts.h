// SPDX-License-Identifier: BSD-3-Clause
// What the parts of the check share: the names of the policy and who used them. Internal to
// check*.cc.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/findings.h"
#include "config/model.h"

namespace surgegate::policy {

// The things of one kind that the policy declares. Pointers lead into the policy.
template <class T>
class Names {
 public:
  // kind: "limit"; section: where one is declared, "limits".
  Names(std::string_view kind, std::string_view section, const std::vector<T>& declared)
      : kind_(kind), section_(section) {
    for (const T& item : declared) {
      items_.try_emplace(item.name.value, Item{&item, false});
      words_.push_back(item.name.value);
    }
  }

  // What is called so; null after a fault, or where there is no name to look up.
  const T* use(Report& report, const Name& name);

  // Without a finding, and without being used.
  const T* find(const Name& name) const {
    auto item = items_.find(name.value);
    return item == items_.end() ? nullptr : item->second.thing;
  }

  template <class Predicate>
  void warn_unused(Report& report, Predicate may_be_unused) const {
    for (const auto& [word, item] : items_)
      if (!item.is_used && !may_be_unused(*item.thing)) warn(report, item.thing->name);
  }

 private:
  struct Item {
    const T* thing;
    bool is_used;
  };

  void warn(Report& report, const Name& name) const;

  std::string_view kind_;
  std::string_view section_;
  std::unordered_map<std::string_view, Item> items_;
  std::vector<std::string_view> words_;
};

struct Checked {
  Checked(const Policy& checked_policy, std::vector<Finding>& findings)
      : policy(checked_policy), report(findings) {}

  const Policy& policy;
  Report report;
  Names<List> lists{"list", "lists", policy.lists};
  Names<Response> responses{"response", "responses", policy.responses};
  Names<Limit> limits{"limit", "limits", policy.limits};
  Names<SignatureSet> signatures{"signature set", "signatures", policy.signatures};
  Names<Penalty> penalties{"penalty", "penalties", policy.penalties};
  Names<Service> services{"service", "services", policy.services};
  Names<Pool> pools{"pool", "pools", policy.pools};

  // A response's name, or a bare status, which parse() has judged.
  void use_response(const Name& name);
};

// The limit, and those that count in its place where a header is missing.
std::vector<const Limit*> with_missing(const Checked& checked, const Limit& limit);

void check_lists(Checked& checked);
void check_limits(Checked& checked);
void check_overrides(Checked& checked);
void check_services(Checked& checked);
void check_addresses(Checked& checked);
void check_enforced(Checked& checked);

// For a policy without faults: where some of a route could not be read, it seems to match all.
void warn_unreachable_routes(Checked& checked);

}  // namespace surgegate::policy
