// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/policies.h"

#include <string>

#include "tests/support/policy_text.h"

namespace surgegate::simulator {
namespace {

std::shared_ptr<const PolicyInForce> policy_of(const std::string& limit,
                                               const std::string& more = "") {
  return testing::policy_in_force("version: 1\n" + more +
                                  "limits:\n"
                                  "  per-client: {key: [client], " +
                                  limit +
                                  "}\n"
                                  "signatures:\n"
                                  "  bots: {field: user-agent, patterns: ['BadBot'], then: "
                                  "{refuse: 403}}\n"
                                  "services:\n"
                                  "  shop:\n"
                                  "    vips: [\"198.51.100.10:80\", \"[2001:db8::10]:80\"]\n"
                                  "    protocol: http\n"
                                  "    pool: web\n"
                                  "    limits: [per-client]\n"
                                  "    signatures: [bots]\n"
                                  "pools:\n"
                                  "  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}\n");
}

}  // namespace

// Buckets that run empty within a few requests, and fill up again while some are sent again.
const std::vector<NamedPolicy>& policies() {
  static const std::vector<NamedPolicy> all = {
      {policy_of("rate: 1/s, burst: 3")},
      {policy_of("rate: 5/min, burst: 6, over: full",
                 "responses:\n  full: {status: 503, body: \"" + std::string(900, 'F') + "\"}\n")},
      {policy_of("rate: 1k/s, burst: 100")},
      {policy_of("rate: 1/s, burst: 3",
                 "clients:\n  cdn: {peers: [192.0.2.0/24, \"2001:db8:1::/48\"], identity: "
                 "\"header:x-client\"}\n")},
      {policy_of("rate: 1/s, burst: 3, over: drop"), true},
  };
  return all;
}

}  // namespace surgegate::simulator
