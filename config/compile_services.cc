// SPDX-License-Identifier: BSD-3-Clause
// Services, their routes and penalties.
#include <fmt/format.h>

#include <algorithm>

#include "config/compile_draft.h"

namespace surgegate {
namespace {

static_assert(int(policy::Protocol::http) == SG_HTTP && int(policy::Protocol::udp) == SG_UDP);
static_assert(int(policy::Class::background) == SG_CLASS_BACKGROUND);
static_assert(int(policy::PathMatch::exact) == SG_PATH_EXACT &&
              int(policy::PathMatch::prefix) == SG_PATH_PREFIX &&
              int(policy::PathMatch::glob) == SG_PATH_GLOB);

static_assert(1 << int(policy::Lenient::any_method) == SG_LENIENT_ANY_METHOD &&
              1 << int(policy::Lenient::absolute_target) == SG_LENIENT_ABSOLUTE_TARGET &&
              1 << int(policy::Lenient::raw_target) == SG_LENIENT_RAW_TARGET);

// What a service gives to each of its routes.
struct Inherited {
  uint16_t service_index = 0;
  std::vector<uint16_t> request_limits;
  std::vector<uint16_t> signature_sets;
  sg_limit_run run{};
  uint16_t database = SG_NONE16;
};

void add_once(std::vector<uint16_t>& all, uint16_t index) {
  if (index != SG_NONE16 && std::find(all.begin(), all.end(), index) == all.end())
    all.push_back(index);
}

void check_run(Draft& draft, const std::vector<uint16_t>& limits, const policy::Place& place) {
  if (limits.size() > SG_SERVICE_LIMITS_MAX)
    draft.fault(
        place,
        fmt::format("{} limits of one unit on one packet or request are too many", limits.size()),
        fmt::format("at most {}, service and route together", SG_SERVICE_LIMITS_MAX));
}

void add_sets(Draft& draft, std::vector<uint16_t>& sets, const std::vector<policy::Name>& names) {
  for (const policy::Name& name : names) {
    auto set = draft.signatures.find(name.value);
    if (set == draft.signatures.end())
      draft.fault(name.place, fmt::format("no signature set is named {}", name.value));
    else
      add_once(sets, set->second);
  }
}

void set_route_limits(Draft& draft, const policy::Route& route, const Inherited& inherited,
                      sg_route& record) {
  if (route.limits.empty()) {
    record.limits = inherited.run;
    return;
  }
  std::vector<uint16_t> limits = inherited.request_limits;
  for (const policy::Name& name : route.limits) {
    const uint16_t limit = service_limit(draft, inherited.service_index, name);
    if (limit != SG_NONE16 && draft.sections.limits[limit].unit != SG_UNIT_REQUESTS)
      draft.fault(name.place,
                  fmt::format("limit {} does not count requests: a route is known only when a "
                              "request is",
                              name.value));
    add_once(limits, limit);
  }
  check_run(draft, limits, route.place);
  record.limits = limit_run(draft, limits);
}

// A request that costs more than a whole burst would be refused for ever.
void check_cost(Draft& draft, const policy::Route& route, const sg_limit_run& run) {
  if (route.cost.value == 0)
    draft.fault(route.cost.place, "a request that costs nothing is not counted", "at least 1");
  for (uint32_t i = 0; i < run.count; i++) {
    const sg_limit& limit = draft.sections.limits[draft.sections.limit_refs[run.first + i]];
    if (limit.rule.interval_ns == 0) continue;  // told already
    const uint64_t burst_units =
        limit.rule.horizon_ns / limit.rule.interval_ns * limit.units_per_charge;
    if (route.cost.value <= burst_units) continue;
    const std::string name(draft.sections.strings.data() + limit.name.offset,
                           limit.name.length_bytes);
    draft.fault(
        route.cost.place,
        fmt::format("a request here costs {} units and limit {} has a burst of {}: it would "
                    "never pass",
                    route.cost.value, name, burst_units));
  }
}

void add_route(Draft& draft, const policy::Route& route, const Inherited& inherited) {
  sg_route record{};
  record.path = draft.text(route.path);
  record.method = draft.text(route.method);
  record.host = draft.text(route.host);
  set_route_limits(draft, route, inherited, record);
  record.headers_first = static_cast<__u32>(draft.sections.route_headers.size());
  record.headers_count = static_cast<__u32>(route.headers.size());
  for (const auto& [name, value] : route.headers)
    draft.sections.route_headers.push_back({draft.text(value), draft.header(name, route.place)});
  if (route.headers.size() > SG_KEY_HEADERS_MAX)
    draft.fault(route.place, fmt::format("a route matches {} headers", route.headers.size()),
                fmt::format("at most {}", SG_KEY_HEADERS_MAX));
  record.cost_units = route.cost.value;
  check_cost(draft, route, record.limits);
  std::vector<uint16_t> sets = inherited.signature_sets;
  add_sets(draft, sets, route.signatures);
  record.user_agent_database = user_agent_database(draft, sets);
  record.path_match = static_cast<__u8>(route.path_match);
  record.klass = static_cast<__u8>(route.klass ? route.klass->value : policy::Class::normal);
  record.upgrade_tunnel = route.upgrade_tunnel.has_value();
  draft.sections.routes.push_back(record);
}

void set_limits(Draft& draft, const policy::Service& service, Inherited& inherited,
                sg_service& record) {
  std::vector<uint16_t> by_unit[SG_UNIT_COUNT];
  for (const policy::Name& name : service.limits) {
    const uint16_t limit = service_limit(draft, inherited.service_index, name);
    if (limit != SG_NONE16) add_once(by_unit[draft.sections.limits[limit].unit], limit);
  }
  for (size_t unit = 0; unit < SG_UNIT_COUNT; unit++) {
    check_run(draft, by_unit[unit], service.name.place);
    record.limits[unit] = limit_run(draft, by_unit[unit]);
  }
  inherited.request_limits = by_unit[SG_UNIT_REQUESTS];
  inherited.run = record.limits[SG_UNIT_REQUESTS];
}

void set_capacity(Draft& draft, const policy::Service& service, sg_service& record) {
  record.capacity_response = SG_NONE16;
  if (!service.capacity) return;
  const policy::Capacity& capacity = service.capacity->value;
  const policy::Rate& rate = capacity.rate.value;
  auto rule = compile_rule(rate, capacity.burst_units.value_or(default_burst_units(rate)));
  if (!rule)
    return draft.fault(capacity.rate.place,
                       fmt::format("capacity of {}: {}", service.name.value, rule.error()));
  record.capacity_rule = rule->rule;
  record.capacity_units_per_charge = rule->units_per_charge;
  record.capacity_scope = static_cast<__u8>(capacity.scope);
  record.capacity_hold_ns = capacity.hold_ns;
  record.capacity_response =
      capacity.over ? draft.response(*capacity.over) : draft.built_in_response(503);
  for (policy::ShedBy by : capacity.shed_by)
    (by == policy::ShedBy::klass ? record.capacity_shed_by_class : record.capacity_shed_by_client) =
        1;
}

void set_budget(Draft& draft, const policy::Service& service, const char* what,
                const policy::Placed<policy::Rate>& rate, sg_budget& record) {
  auto rule = compile_rule(rate.value, units_in(rate.value, SG_BUDGET_BURST_NS));
  if (!rule)
    return draft.fault(rate.place,
                       fmt::format("{} of {}: {}", what, service.name.value, rule.error()));
  record.rule = rule->rule;
  record.units_per_charge = rule->units_per_charge;
}

void set_budgets(Draft& draft, const policy::Service& service, sg_service& record) {
  constexpr auto per_second = [](uint64_t units) {
    return policy::Placed<policy::Rate>{{units, 1'000'000'000}, {}};
  };
  set_budget(draft, service, "answers",
             service.answers.value_or(per_second(SG_ANSWERS_PER_S_DEFAULT)),
             record.budgets[SG_BUDGET_ANSWERS]);
  set_budget(draft, service, "strays", service.strays.value_or(per_second(SG_STRAYS_PER_S_DEFAULT)),
             record.budgets[SG_BUDGET_STRAYS]);
}

void add_penalty(Draft& draft, const policy::Service& service, const policy::Name& name) {
  const auto& penalties = draft.policy().penalties;
  auto found = std::find_if(penalties.begin(), penalties.end(),
                            [&](const policy::Penalty& p) { return p.name.value == name.value; });
  if (found == penalties.end())
    return draft.fault(name.place, fmt::format("no penalty is named {}", name.value));
  if (found->refused_units > UINT32_MAX)
    return draft.fault(found->name.place, "a penalty after so many refusals never comes",
                       fmt::format("at most {}", UINT32_MAX));
  const std::string full_name = fmt::format("{}/{}", service.name.value, name.value);
  sg_penalty record{};
  record.id = draft.identify("penalty", full_name, name.place);
  record.name = draft.text(full_name);
  record.window_ns = found->window_ns;
  record.ban_ns = found->ban_ns;
  record.refused_units = static_cast<__u32>(found->refused_units);
  record.only_validated = found->only_validated;
  record.mode = static_cast<__u8>(found->mode);
  draft.sections.penalties.push_back(record);
}

void set_penalties(Draft& draft, const policy::Service& service, sg_service& record) {
  record.penalties_first =
      draft.next_index(draft.sections.penalties, "penalties", service.name.place);
  for (const policy::Name& name : service.penalties) add_penalty(draft, service, name);
  record.penalties_count =
      static_cast<__u16>(draft.sections.penalties.size() - record.penalties_first);
}

void set_pool(Draft& draft, const policy::Service& service, sg_service& record) {
  auto pool = draft.pools.find(service.pool.value);
  if (pool == draft.pools.end())
    return draft.fault(service.pool.place, fmt::format("no pool is named {}", service.pool.value));
  record.pool = pool->second;
}

void add_service(Draft& draft, const policy::Service& service, uint16_t index) {
  sg_service record{};
  record.id = draft.identify("service", service.name.value, service.name.place);
  record.name = draft.text(service.name.value);
  record.protocol = static_cast<__u8>(service.protocol.value);
  Inherited inherited;
  inherited.service_index = index;
  set_pool(draft, service, record);
  set_limits(draft, service, inherited, record);
  set_capacity(draft, service, record);
  set_penalties(draft, service, record);
  add_sets(draft, inherited.signature_sets, service.signatures);
  record.user_agent_database = user_agent_database(draft, inherited.signature_sets);
  record.routes_first = static_cast<__u32>(draft.sections.routes.size());
  record.routes_count = static_cast<__u32>(service.routes.size());
  if (service.routes.size() > SG_ROUTES_MAX)
    draft.fault(service.routes[SG_ROUTES_MAX].place,
                fmt::format("service {} has {} routes", service.name.value, service.routes.size()),
                fmt::format("at most {}", SG_ROUTES_MAX));
  for (const policy::Route& route : service.routes) add_route(draft, route, inherited);
  for (policy::Lenient lenient : service.lenient)
    record.lenient |= static_cast<__u8>(1u << static_cast<unsigned>(lenient));
  record.head_deadline_ns = service.head_deadline_ns;
  set_budgets(draft, service, record);
  draft.sections.services.push_back(record);
}

}  // namespace

void compile_services(Draft& draft) {
  const auto& services = draft.policy().services;
  if (services.size() > SG_SERVICES_MAX)
    return draft.fault(services[SG_SERVICES_MAX].name.place,
                       fmt::format("{} services are too many: an image holds {}", services.size(),
                                   SG_SERVICES_MAX));
  for (uint16_t i = 0; i < services.size(); i++) add_service(draft, services[i], i);
}

}  // namespace surgegate
