// SPDX-License-Identifier: BSD-3-Clause
// Services: what their protocol allows, and addresses that belong to one thing only.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "config/check_parts.h"
#include "config/limits.h"

namespace surgegate::policy {
namespace {

constexpr std::array<std::string_view, 4> protocol_texts = {"http", "tls", "tcp", "udp"};
constexpr std::array<std::string_view, 3> unit_texts = {"packets", "connections", "requests"};

std::string_view text_of(Protocol protocol) {
  return protocol_texts[static_cast<size_t>(protocol)];
}
std::string_view text_of(Unit unit) {
  return unit_texts[static_cast<size_t>(unit)];
}

bool can_count(Protocol protocol, Unit unit) {
  if (unit == Unit::requests) return protocol == Protocol::http || protocol == Protocol::tls;
  return unit == Unit::packets || protocol != Protocol::udp;
}

using ByUnit = std::array<std::vector<const Limit*>, 3>;

constexpr std::array<std::string_view, 6> key_texts = {"source", "client", "path",
                                                       "method", "host",   "header:"};

// A ClientHello is counted as one request, and nothing in it is looked at.
void check_hello_key(Checked& checked, const Name& name, const Limit& limit) {
  for (const KeyPart& part : limit.key) {
    if (part.kind == KeyKind::source || part.kind == KeyKind::client) continue;
    checked.report.fault(
        name.place,
        fmt::format(
            "limit {} has {} in its key, and a request of protocol tls has none", quote(name.value),
            quote(fmt::format("{}{}", key_texts[static_cast<size_t>(part.kind)], part.header))),
        "a limit with a key of source and client");
  }
}

void add_limits(Checked& checked, const Service& service, const std::vector<Name>& names,
                ByUnit& by_unit) {
  for (const Name& name : names) {
    const Limit* limit = checked.limits.use(checked.report, name);
    if (!limit) continue;
    if (!can_count(service.protocol.value, limit->unit))
      checked.report.fault(
          name.place,
          fmt::format("limit {} counts {}, and a service of protocol {} has none",
                      quote(name.value), text_of(limit->unit), text_of(service.protocol.value)),
          service.protocol.value == Protocol::udp
              ? "a limit with `unit: packets`"
              : "a limit with `unit: connections` or `unit: packets`");
    if (service.protocol.value == Protocol::tls) check_hello_key(checked, name, *limit);
    auto& limits = by_unit[static_cast<size_t>(limit->unit)];
    if (std::find(limits.begin(), limits.end(), limit) == limits.end()) limits.push_back(limit);
  }
}

void check_count(Checked& checked, const ByUnit& by_unit, const Place& place) {
  for (const auto& limits : by_unit)
    if (limits.size() > SG_SERVICE_LIMITS_MAX)
      checked.report.fault(
          place,
          fmt::format("{} limits count the same {}", limits.size(), text_of(limits[0]->unit)),
          fmt::format("at most {}, of service and route together", SG_SERVICE_LIMITS_MAX));
}

void check_signatures(Checked& checked, const std::vector<Name>& names) {
  for (const Name& name : names) checked.signatures.use(checked.report, name);
}

void check_route(Checked& checked, const Service& service, const Route& route, ByUnit by_unit) {
  add_limits(checked, service, route.limits, by_unit);
  check_signatures(checked, route.signatures);
  for (const Name& name : route.limits)
    if (const Limit* limit = checked.limits.find(name); limit && limit->unit != Unit::requests)
      checked.report.fault(
          name.place,
          fmt::format("limit {} counts {}: a route is known only when a request is",
                      quote(name.value), text_of(limit->unit)),
          "a limit with `unit: requests`, or the limit in the service itself");
  check_count(checked, by_unit, route.place);
  for (const Limit* named : by_unit[static_cast<size_t>(Unit::requests)])
    for (const Limit* limit : with_missing(checked, *named))
      if (limit->burst_units.value > 0 && route.cost.value > limit->burst_units.value)
        checked.report.fault(
            route.cost.place,
            fmt::format("a request that costs {} never fits limit {}: its burst is {}",
                        route.cost.value, quote(limit->name.value), limit->burst_units.value),
            fmt::format("{} at most", limit->burst_units.value));
}

bool matches_all(const Route& route) {
  return route.path_match == PathMatch::any && route.method.empty() && route.host.empty() &&
         route.headers.empty();
}

// A budget for what such a service never has would look as if it held something back.
void check_budgets(Checked& checked, const Service& service) {
  const Protocol protocol = service.protocol.value;
  if (service.answers && (protocol == Protocol::tcp || protocol == Protocol::udp))
    checked.report.fault(
        service.answers->place,
        fmt::format("a service of protocol {} is never answered for", text_of(protocol)),
        "`protocol: http`, or no `answers`");
  if (service.strays && protocol == Protocol::udp)
    checked.report.fault(service.strays->place,
                         "datagrams belong to no connection whose beginning could be missed",
                         "no `strays`");
}

void check_service(Checked& checked, const Service& service) {
  Report& report = checked.report;
  const Protocol protocol = service.protocol.value;
  check_budgets(checked, service);
  checked.pools.use(report, service.pool);
  ByUnit by_unit;
  add_limits(checked, service, service.limits, by_unit);
  check_count(checked, by_unit, service.name.place);
  check_signatures(checked, service.signatures);
  for (const Name& name : service.penalties) checked.penalties.use(report, name);
  if (service.capacity && service.capacity->value.over)
    checked.use_response(*service.capacity->value.over);
  if (protocol != Protocol::http) {
    const std::string why = fmt::format(
        "and a service of protocol {} shows {}", text_of(protocol),
        protocol == Protocol::tls ? "nothing of a request but that it begins" : "no requests");
    if (!service.routes.empty())
      report.fault(service.routes[0].place, fmt::format("routes choose among requests, {}", why),
                   "`protocol: http`, or no routes");
    if (!service.signatures.empty())
      report.fault(service.signatures[0].place,
                   fmt::format("signatures look into requests, {}", why),
                   "`protocol: http`, or no signatures");
    if (service.lenient_place)
      report.fault(*service.lenient_place, fmt::format("`lenient` is about request heads, {}", why),
                   "`protocol: http`, or no `lenient`");
    if (service.head_deadline_place)
      report.fault(*service.head_deadline_place,
                   fmt::format("`head_deadline` is for request heads, {}", why),
                   "`protocol: http`, or no `head_deadline`");
    return;
  }
  for (const Route& route : service.routes) check_route(checked, service, route, by_unit);
}

// --- addresses -----------------------------------------------------------------------------------

using Bytes = std::array<uint8_t, 16>;

// An address that cannot be that of one host elsewhere; empty where it can.
std::string_view why_no_host(const Address& address) {
  const Bytes& b = address.bytes;
  if (address.is_ipv4()) {
    if (b[12] == 0) return "this is no host's address (0.0.0.0/8)";
    if (b[12] == 127) return "this is a loopback address";
    if (b[12] >= 240) return "this is a reserved or broadcast address";
    if (b[12] >= 224) return "this is a multicast address";
    return {};
  }
  const bool is_small = std::all_of(b.begin(), b.end() - 1, [](uint8_t byte) { return byte == 0; });
  if (is_small && b[15] == 0) return "this is no host's address (::)";
  if (is_small && b[15] == 1) return "this is a loopback address";
  if (b[0] == 0xff) return "this is a multicast address";
  return {};
}

struct VipOwner {
  Place place;
  std::string_view service;
};

// Address, port, and whether it is UDP: TCP and UDP may share a port.
using VipKey = std::tuple<Bytes, uint16_t, bool>;

void check_vips(Checked& checked, std::map<Bytes, std::string_view>& service_by_address) {
  std::map<VipKey, VipOwner> owners;
  for (const Service& service : checked.policy.services) {
    const bool is_udp = service.protocol.value == Protocol::udp;
    for (const Placed<AddressPort>& vip : service.vips) {
      if (auto why = why_no_host(vip.value.address); !why.empty())
        checked.report.fault(vip.place,
                             fmt::format("{} cannot be a VIP: {}", to_text(vip.value), why));
      service_by_address.try_emplace(vip.value.address.bytes, service.name.value);
      auto [owner, is_new] =
          owners.try_emplace(VipKey{vip.value.address.bytes, vip.value.port, is_udp},
                             VipOwner{vip.place, service.name.value});
      if (!is_new)
        checked.report.fault(vip.place,
                             fmt::format("{} belongs to service {} already (line {}, column {})",
                                         to_text(vip.value), quote(owner->second.service),
                                         owner->second.place.line, owner->second.place.column),
                             "each address, port and transport once");
    }
  }
  if (owners.size() > SG_VIPS_MAX)
    checked.report.fault({}, fmt::format("{} VIPs", owners.size()),
                         fmt::format("at most {}", SG_VIPS_MAX));
}

void check_backend(Checked& checked, const Backend& backend,
                   const std::map<Bytes, std::string_view>& service_by_address) {
  const Address& address = backend.address.value;
  const Place& place = backend.address.place;
  if (auto why = why_no_host(address); !why.empty())
    return checked.report.fault(place,
                                fmt::format("{} cannot be a backend: {}", to_text(address), why));
  if (auto vip = service_by_address.find(address.bytes); vip != service_by_address.end())
    checked.report.fault(place,
                         fmt::format("{} is a VIP of service {}: packets for it would come back to "
                                     "the gate",
                                     to_text(address), quote(vip->second)),
                         "the backend's own address");
}

void check_pool(Checked& checked, const Pool& pool,
                const std::map<Bytes, std::string_view>& service_by_address) {
  std::map<Bytes, std::string_view> backend_by_address;
  bool takes_flows = pool.backends.empty();  // none at all is a fault of its own
  for (const Backend& backend : pool.backends) {
    takes_flows |= !backend.drain.value && backend.weight > 0;
    if (backend.address.place.line == 0 || backend.address.value == Address{}) continue;
    check_backend(checked, backend, service_by_address);
    auto [other, is_new] =
        backend_by_address.try_emplace(backend.address.value.bytes, backend.name.value);
    if (!is_new)
      checked.report.fault(backend.address.place,
                           fmt::format("{} is the address of backend {} already",
                                       to_text(backend.address.value), quote(other->second)),
                           "each address once in a pool; `weight` for a larger share");
  }
  if (!takes_flows)
    checked.report.warn(pool.name.place,
                        fmt::format("no backend of pool {} takes new flows: all of them drain or "
                                    "have weight 0",
                                    quote(pool.name.value)));
}

}  // namespace

void check_services(Checked& checked) {
  const auto& services = checked.policy.services;
  if (services.size() > SG_SERVICES_MAX)
    checked.report.fault(services[SG_SERVICES_MAX].name.place,
                         fmt::format("{} services", services.size()),
                         fmt::format("at most {}", SG_SERVICES_MAX));
  for (const Service& service : services) check_service(checked, service);
}

// The first match wins: behind a route that matches everything stands one that nothing comes to.
void warn_unreachable_routes(Checked& checked) {
  for (const Service& service : checked.policy.services) {
    const auto all = std::find_if(service.routes.begin(), service.routes.end(), matches_all);
    if (all == service.routes.end() || all + 1 == service.routes.end()) continue;
    checked.report.warn(
        (all + 1)->place,
        fmt::format("no request comes as far as this route: the one at line {} matches "
                    "all",
                    all->place.line));
  }
}

void check_addresses(Checked& checked) {
  std::map<Bytes, std::string_view> service_by_address;
  check_vips(checked, service_by_address);
  size_t backends = 0;
  for (const Pool& pool : checked.policy.pools) {
    backends += pool.backends.size();
    check_pool(checked, pool, service_by_address);
  }
  if (backends > SG_BACKENDS_MAX)
    checked.report.fault({}, fmt::format("{} backends in all pools", backends),
                         fmt::format("at most {}", SG_BACKENDS_MAX));
  if (checked.policy.pools.size() > SG_POOLS_MAX)
    checked.report.fault(checked.policy.pools[SG_POOLS_MAX].name.place,
                         fmt::format("{} pools", checked.policy.pools.size()),
                         fmt::format("at most {}", SG_POOLS_MAX));
}

}  // namespace surgegate::policy
