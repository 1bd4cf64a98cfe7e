// SPDX-License-Identifier: BSD-3-Clause
// Policies as the parser would hand them over, for tests of the compiler and the image.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/compile.h"
#include "config/image.h"
#include "config/model.h"

namespace surgegate::samples {

inline policy::Name name(std::string text, uint32_t line = 1) {
  return {std::move(text), {0, line, 1}};
}

inline policy::Address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  policy::Address address;
  address.bytes[10] = address.bytes[11] = 0xff;
  address.bytes[12] = a;
  address.bytes[13] = b;
  address.bytes[14] = c;
  address.bytes[15] = d;
  return address;
}

// 2001:db8::last
inline policy::Address ipv6(uint16_t last) {
  policy::Address address;
  address.bytes[0] = 0x20;
  address.bytes[1] = 0x01;
  address.bytes[2] = 0x0d;
  address.bytes[3] = 0xb8;
  address.bytes[14] = static_cast<uint8_t>(last >> 8);
  address.bytes[15] = static_cast<uint8_t>(last);
  return address;
}

inline policy::Rate per_second(uint64_t units) {
  return {units, 1'000'000'000};
}

inline policy::Limit limit(std::string text, uint64_t rate_per_s, uint64_t burst_units) {
  policy::Limit limit;
  limit.name = name(std::move(text));
  limit.key = {{policy::KeyKind::client, {}, {}}};
  limit.rate.value = per_second(rate_per_s);
  limit.burst_units.value = burst_units;
  limit.over.value.kind = policy::OverKind::response;
  limit.over.value.response = name("429");
  return limit;
}

inline policy::Backend backend(std::string text, policy::Address address, uint32_t weight = 100) {
  return {name(std::move(text)), {address, {}}, weight, {false, {}}};
}

inline policy::Pool pool(std::string text, std::vector<policy::Backend> backends) {
  policy::Pool pool;
  pool.name = name(std::move(text));
  pool.backends = std::move(backends);
  return pool;
}

inline policy::Service service(std::string text, std::vector<policy::AddressPort> vips,
                               std::string pool) {
  policy::Service service;
  service.name = name(std::move(text));
  for (const auto& vip : vips) service.vips.push_back({vip, {}});
  service.pool = name(std::move(pool));
  return service;
}

// One service, one pool of two backends, nothing else.
inline policy::Policy small() {
  policy::Policy policy;
  policy.files = {"policy.yaml"};
  policy.pools = {
      pool("web", {backend("web1", ipv4(10, 0, 1, 1)), backend("web2", ipv4(10, 0, 1, 2))})};
  policy.services = {service("shop", {{ipv4(198, 51, 100, 10), 80}}, "web")};
  return policy;
}

inline policy::SignatureSet agents(std::string text, std::vector<std::string> patterns) {
  policy::SignatureSet set;
  set.name = name(std::move(text));
  set.field.value = policy::SignatureField::user_agent;
  uint32_t line = 1;
  for (auto& pattern : patterns) set.patterns.push_back({std::move(pattern), {0, line++, 7}});
  set.refuse_response = name("403");
  return set;
}

// Something of everything, after the example of the policy reference.
inline policy::Policy full() {
  policy::Policy p = small();
  p.clients = {{name("cdn"), {{ipv4(192, 0, 2, 128), 96 + 25, false}}, {"cf-connecting-ip", {}}}};
  policy::List office;
  office.name = name("office");
  office.cidrs = {
      {ipv4(192, 0, 2, 0), 96 + 24, false}, {ipv4(192, 0, 2, 7), 128, true}, {ipv6(0), 32, false}};
  office.exempt_limits = office.exempt_signatures = true;
  office.ceiling = policy::Placed<policy::Rate>{per_second(50), {}};
  policy::List blocked;
  blocked.name = name("blocked");
  blocked.cidrs = {{ipv4(203, 0, 113, 0), 96 + 24, false}};
  blocked.deny_drop = true;
  policy::List keys;
  keys.name = name("api-keys");
  keys.kind = policy::ListKind::key;
  keys.key_sha256 = {{9, 1}, {3, 2}, {9, 1}};
  p.lists = {office, keys, blocked};
  policy::Response slow_down;
  slow_down.name = name("slow-down");
  slow_down.status.value = 429;
  slow_down.body = "{\"error\": \"slow down\"}\n";
  slow_down.content_type = "application/json";
  slow_down.headers = {{"cache-control", "no-store"}};
  policy::Response full;
  full.name = name("full");
  full.status.value = 503;
  full.retry_after = policy::RetryAfter{5'000'000'000, 10'000'000'000};
  p.responses = {slow_down, full};
  policy::Limit per_client = limit("per-client", 100, 200);
  per_client.over.value.response = name("slow-down");
  policy::Limit per_key = limit("per-key", 1000, 2000);
  per_key.key = {{policy::KeyKind::header, "x-api-key", {}}};
  per_key.known = name("api-keys");
  per_key.unknown = policy::Placed<uint16_t>{401, {}};
  per_key.missing_limit = name("per-client");
  policy::Limit login = limit("login", 5, 5);
  login.rate.value = {5, 60'000'000'000};
  login.key = {{policy::KeyKind::client, {}, {}}, {policy::KeyKind::path, {}, {}}};
  policy::Limit handshakes = limit("handshakes", 50, 100);
  handshakes.key = {{policy::KeyKind::source, {}, {}}};
  handshakes.unit = policy::Unit::connections;
  handshakes.over.value.kind = policy::OverKind::cookie;
  p.limits = {per_client, per_key, login, handshakes};
  policy::SignatureSet probes = agents("probes", {"/\\.env$", "wp-login\\.php"});
  probes.field.value = policy::SignatureField::target;
  probes.then.value = policy::SignatureThen::drop;
  probes.mode = policy::Mode::count;
  p.signatures = {agents("bad-bots", {"sqlmap", "nikto/[0-9]"}), agents("old", {"MSIE [1-6]"}),
                  probes};
  policy::Penalty repeat;
  repeat.name = name("repeat");
  repeat.refused_units = 100;
  repeat.window_ns = 10'000'000'000;
  repeat.ban_ns = 600'000'000'000;
  repeat.only_validated = true;
  p.penalties = {repeat};
  policy::Service& shop = p.services[0];
  shop.vips.push_back({{ipv6(0x10), 80}, {}});
  policy::Capacity capacity;
  capacity.rate.value = per_second(200'000);
  capacity.over = name("full");
  capacity.shed_by = {policy::ShedBy::klass, policy::ShedBy::client};
  shop.capacity = policy::Placed<policy::Capacity>{capacity, {}};
  shop.limits = {name("per-client"), name("handshakes")};
  shop.signatures = {name("bad-bots"), name("probes")};
  shop.penalties = {name("repeat")};
  policy::Route checkout;
  checkout.path_match = policy::PathMatch::prefix;
  checkout.path = "/checkout/";
  checkout.klass = {policy::Class::critical, {}};
  policy::Route sign_in;
  sign_in.path_match = policy::PathMatch::exact;
  sign_in.path = "/login";
  sign_in.method = "POST";
  sign_in.limits = {name("login"), name("per-client")};
  policy::Route api;
  api.host = "api.example.com";
  api.headers = {{"x-version", "2"}};
  api.limits = {name("per-key")};
  api.signatures = {name("old")};
  api.cost.value = 2;
  shop.routes = {checkout, sign_in, api};
  p.services.push_back(service("dns", {{ipv4(198, 51, 100, 10), 53}}, "names"));
  p.services.back().protocol.value = policy::Protocol::udp;
  p.pools.push_back(pool("names", {backend("ns1", ipv4(10, 0, 2, 1), 3)}));
  p.pools.back().backends.push_back(backend("ns2", ipv6(0x22), 1));
  p.pools.back().backends.back().drain.value = true;
  policy::Override incident;
  incident.service = name("shop");
  incident.limit = name("per-client");
  incident.rate.value = per_second(20);
  incident.until_unix_s.value = 1'795'993'140;
  p.overrides = {incident};
  return p;
}

}  // namespace surgegate::samples
