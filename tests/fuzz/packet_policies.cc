// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/packet_policies.h"

#include <fmt/format.h>

#include "tests/support/policy_text.h"

namespace surgegate::testing {
namespace {

// Limits of few units, so that a dozen packets meet each of them; they differ in what an answer
// looks like (a body, none, one that no small segment has room for) and in what they are keyed by.
constexpr std::string_view text = R"(
version: 1
clients:
  cdn: {{peers: [203.0.113.200, "2001:db8:cd::/48"], identity: "header:x-client"}}
lists:
  blocked: {{cidrs: [203.0.113.64/28, "2001:db8:bad::/48"], deny: drop}}
  office:  {{cidrs: [203.0.113.7, "2001:db8:0ff1::/48"], exempt: [limits]}}
  scanner: {{cidrs: [203.0.113.8], exempt: [signatures]}}
responses:
  slow-down: {{status: 429, headers: {{content-type: text/plain}}, body: "{body}"}}
  full:      {{status: 503, retry_after: {{min: 5s, jitter: 10s}}, body: "{long_body}"}}
limits:
  packets:    {{key: [source], unit: packets, rate: 10/s, burst: 24, over: drop}}
  handshakes: {{key: [client], prefix: {{v4: 28, v6: 45}}, unit: connections, rate: 6/min, burst: 6, over: drop}}
  per-client: {{key: [client], prefix: {{v4: 31}}, rate: {rate}, burst: 4, over: slow-down}}
  per-key:    {{key: ["header:x-api-key", path], missing: per-host, rate: {rate}, burst: 2, over: full}}
  per-host:   {{key: [host, method], rate: {rate}, burst: 2, over: 429}}
  silent:     {{key: [source, client], rate: 6/min, burst: 3, over: drop}}
  everybody:  {{key: [], rate: 1/s, burst: 3, mode: count}}
signatures:
  bots:    {{field: user-agent, patterns: ['badbot', '^$'], then: {{refuse: 403}}}}
  sqlmap:  {{field: user-agent, patterns: ['^sqlmap'], then: drop}}
  curious: {{field: user-agent, patterns: ['curl'], then: drop, mode: count}}
services:
  shop:
    vips: ["198.51.100.10:80", "[2001:db8::10]:80"]
    protocol: http
    pool: {pool}
    limits: [packets, handshakes, per-client, everybody]
    signatures: [bots, sqlmap, curious]
    routes:
      - {{match: {{path: /k}}, limits: [per-key]}}
      - {{match: {{path: /c/*, method: POST}}, cost: 3}}
      - {{match: {{path: "/g*z"}}, limits: [silent], signatures: [bots]}}
      - {{match: {{host: api.example, headers: {{x-v: "2"}}}}, limits: [per-host]}}
  open:
    vips: ["198.51.100.11:80", "[2001:db8::11]:80"]
    protocol: http
    pool: {other_pool}
    signatures: [bots]
    routes: [{{match: {{path: /k}}, limits: [per-key, silent]}}]
  mail:
    vips: ["198.51.100.10:25", "[2001:db8::10]:25", "198.51.100.10:443", "[2001:db8::10]:443"]
    protocol: tcp
    pool: {other_pool}
    limits: [handshakes]
  names:
    vips: ["198.51.100.53:53", "[2001:db8::53]:53", "198.51.100.10:5300", "[2001:db8::10]:5300"]
    protocol: udp
    pool: {pool}
    limits: [packets]
pools:
  near: {{forward: l2, backends: {{{near}}}}}
  far:  {{forward: ipip, backends: {{{far}}}}}
overrides:
  - {{limit: shop/per-client, rate: 1/s, until: 2023-11-14T22:13:30Z, reason: "ten seconds"}}
)";

struct Differences {
  const char* body;
  const char* rate;
  const char* pool;
  const char* other_pool;
  const char* near;
  const char* far;
};

// A reload changes answers, rates, the way to the backends, and who these are: new ones, others
// with another weight, some that drain, some that are gone.
constexpr Differences differences[] = {
    {"slow down", "10/s", "near", "far", "a: {address: 10.0.1.1}, b: {address: 10.0.1.2}",
     "c: {address: 10.0.2.1}, d: {address: \"2001:db8:b::4\"}"},
    {"not so fast, please", "6/min", "far", "near",
     "a: {address: 10.0.1.1, drain: true}, b: {address: 10.0.1.2}, e: {address: 10.0.1.5}",
     "d: {address: \"2001:db8:b::4\", weight: 1}, f: {address: 10.0.2.6, weight: 100}"},
    {"", "1/min", "near", "near", "b: {address: 10.0.1.2, drain: true}", "f: {address: 10.0.2.6}"}};

}  // namespace

const Policies& policies() {
  static const Policies all = [] {
    Policies made;
    const std::string long_body(900, 'b');
    for (const Differences& d : differences)
      made.push_back(policy_in_force(
          fmt::format(text, fmt::arg("body", d.body), fmt::arg("long_body", long_body),
                      fmt::arg("rate", d.rate), fmt::arg("pool", d.pool),
                      fmt::arg("other_pool", d.other_pool), fmt::arg("near", d.near),
                      fmt::arg("far", d.far)),
          {}, made.empty() ? nullptr : made.back().get()));
    return made;
  }();
  return all;
}

std::shared_ptr<const PolicyInForce> policy(uint8_t number) {
  return policies()[number % policies().size()];
}

}  // namespace surgegate::testing
