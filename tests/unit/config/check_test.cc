// SPDX-License-Identifier: BSD-3-Clause
#include "config/check.h"

#include <gtest/gtest.h>

#include <string>

#include "config/enforced.h"
#include "config/limits.h"
#include "tests/unit/config/told.h"

namespace surgegate::policy {
namespace {

// A policy in which each section can be replaced. Lines of the sections given count from 1 on, one
// each.
struct Sections {
  std::string services = "{shop: {vips: ['192.0.2.1:80'], protocol: http, pool: web, limits: [a]}}";
  std::string limits = "{a: {key: [client], rate: 100/s, burst: 200}}";
  std::string pools = "{web: {forward: ipip, backends: {w1: {address: 10.0.0.1}}}}";
  std::string more = "";

  operator std::string() const {
    return "services: " + services + "\nlimits: " + limits + "\npools: " + pools +
           "\nversion: 1\n" + more + "\n";
  }
};

TEST(Check, HasNothingToSayOfAGoodPolicy) {
  const Parsed parsed = load_text(Sections{});
  EXPECT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed.findings.empty()) << told(parsed, Severity::warning);
}

// --- names ---------------------------------------------------------------------------------------

TEST(Check, FindsNamesThatNothingHasAndTheNearest) {
  EXPECT_EQ(faults_of(Sections{.services = R"({shop: {vips: ['192.0.2.1:80'], protocol: http,
  pool: wbe,
  limits: [aa, b],
  signatures: [s],
  penalties: [p],
  capacity: {rate: 1/s, over: full},
  routes: [{match: {}, limits: [c], signatures: [t]}]}})",
                               .limits = R"({a: {key: ['header:x'], rate: 1/s, burst: 1,
  over: slow,
  known: k,
  missing: z}})",
                               .more = R"(
lists: {l: {cidrs: [192.0.2.9], deny: no}}
signatures: {bots: {field: user-agent, patterns: [x], then: {refuse: nope}}}
overrides:
  - {limit: shop/q, rate: 1/s, until: 2026-11-29T23:59:00Z}
  - {limit: shp/a, rate: 1/s, until: 2026-11-29T23:59:00Z}
)"}),
            R"(2:9: no pool is named `wbe`; expected web; did you mean `web`?
3:12: no limit is named `aa`; expected a
3:16: no limit is named `b`; expected a
4:16: no signature set is named `s`; expected bots
5:15: no penalty is named `p`; expected one declared under `penalties`
6:31: no response is named `full`; expected one declared under `responses`
7:33: no limit is named `c`; expected a
7:50: no signature set is named `t`; expected bots
9:9: no response is named `slow`; expected one declared under `responses`
10:10: no list is named `k`; expected l
11:12: no limit is named `z`; expected a
15:39: no response is named `no`; expected one declared under `responses`
16:70: no response is named `nope`; expected one declared under `responses`
18:13: no limit is named `q`; expected a
19:13: no service is named `shp`; expected shop; did you mean `shop`?
)");
}

TEST(Check, TakesABareStatusForABuiltInResponse) {
  EXPECT_EQ(faults_of(Sections{.limits = "{a: {key: [client], rate: 1/s, burst: 1, over: 503}}",
                               .more = "lists: {l: {cidrs: [192.0.2.9], deny: 403}}"}),
            "");
}

TEST(Check, WarnsOfWhatIsNeverUsedOnceThereAreNoFaults) {
  const std::string more = R"(
limits: {a: {key: [client], rate: 100/s, burst: 200}}
lists:
  idle: {cidrs: [192.0.2.9]}
  keys: {kind: key, file: k}
responses: {r: {status: 429}}
signatures: {s: {field: user-agent, patterns: [x], then: drop}}
pools: {web: {forward: ipip, backends: {w1: {address: 10.0.0.1}}}, spare: {forward: ipip, backends: {w1: {address: 10.0.0.1}}}}
)";
  const std::string policy =
      "version: 1\nservices: {shop: {vips: ['192.0.2.1:80'], protocol: http, pool: web}}\n" + more;
  EXPECT_EQ(warnings_of(policy, {{"k", ""}}),
            "4:10: limit `a` is never used\n"
            "6:3: list `idle` is never used\n"
            "7:3: list `keys` is never used\n"
            "8:13: response `r` is never used\n"
            "9:14: signature set `s` is never used\n"
            "10:68: pool `spare` is never used\n");
  EXPECT_EQ(warnings_of(policy), "") << "k cannot be read: what else is wrong comes first";
}

TEST(Check, CountsALimitReachedByMissingAsUsed) {
  const Sections sections{.limits = R"({a: {key: ['header:x'], rate: 1/s, burst: 1, missing: b},
  b: {key: ['header:y'], rate: 1/s, burst: 1, missing: c},
  c: {key: [client], rate: 1/s, burst: 1}})"};
  EXPECT_EQ(warnings_of(sections), "");
  EXPECT_EQ(faults_of(Sections{.limits = sections.limits,
                               .more = "overrides: [{limit: shop/c, rate: 2/s, "
                                       "until: 2026-11-29T23:59:00Z}]"}),
            "");
}

TEST(Check, WarnsOfAPolicyThatGuardsNothing) {
  EXPECT_EQ(told(load_text("version: 1\n"), Severity::warning),
            ": the policy has no services: every packet goes to the kernel\n");
}

// --- limits --------------------------------------------------------------------------------------

std::string faults_of_limit(const std::string& rate_and_burst) {
  return faults_of(Sections{.limits = "{a: {key: [client], " + rate_and_burst + "}}"});
}

TEST(Check, HoldsRatesToWhatABucketCanKeep) {
  EXPECT_EQ(faults_of_limit("rate: 1G/s, burst: 2k"), "");
  EXPECT_EQ(faults_of_limit("rate: 1.1G/s, burst: 2k"),
            "2:35: a rate above a unit each nanosecond; expected 1G/s at most\n");
  EXPECT_EQ(faults_of_limit("rate: 1/d, burst: 1"), "");
  EXPECT_EQ(
      faults_of_limit("rate: 0.5/d, burst: 1"),
      "2:35: a rate below one unit in 24 hours: a bucket remembers no longer; expected 1/d at "
      "least\n");
}

TEST(Check, HoldsBurstsToTheHorizonOfABucket) {
  EXPECT_EQ(faults_of_limit("rate: 5/min, burst: 7200"), "");
  EXPECT_EQ(faults_of_limit("rate: 5/min, burst: 7201"),
            "2:49: a burst of 7201 takes longer than 24 hours to come back at this rate; expected "
            "7200 at most\n");
  EXPECT_EQ(
      faults_of_limit("rate: 1/d, burst: 2"),
      "2:47: a burst of 2 takes longer than 24 hours to come back at this rate; expected 1 at "
      "most\n");
}

TEST(Check, AsksForBurstsThatHoldALease) {
  EXPECT_EQ(faults_of_limit("rate: 2M/s, burst: 1"), "");
  EXPECT_EQ(faults_of_limit("rate: 2.000001M/s, burst: 1024"), "");
  EXPECT_EQ(faults_of_limit("rate: 2.000001M/s, burst: 1023"),
            "2:55: a burst of 1023 at a rate above 2M/s: such a bucket is charged 1024 units at a "
            "time; expected 1024 or more\n");
}

TEST(Check, HoldsCeilingsCapacitiesAndOverridesToTheSame) {
  EXPECT_EQ(
      faults_of(Sections{
          .services = "{shop: {vips: ['192.0.2.1:80'], protocol: http, pool: web, limits: [a],\n"
                      " capacity: {rate: 2G/s}}}",
          .more = "lists: {l: {cidrs: [192.0.2.9], exempt: [all], ceiling: 0.5/d}}\n"
                  "overrides:\n - {limit: shop/a, rate: 1/h, until: 2026-11-29T23:59:00Z}"}),
      "2:19: a rate above a unit each nanosecond; expected 1G/s at most\n"
      "6:57: a rate below one unit in 24 hours: a bucket remembers no longer; expected 1/d at "
      "least\n"
      "8:26: a burst of 200 takes longer than 24 hours to come back at this rate; expected 24 at "
      "most\n")
      << "an override without a burst has that of its limit";
}

TEST(Check, HoldsBudgetsToWhatABucketKeeps) {
  const std::string http = "vips: ['192.0.2.1:80'], protocol: http, pool: web, limits: [a]";
  EXPECT_EQ(faults_of(Sections{.services = "{shop: {" + http + ", answers: 3M/s, strays: 1/d}}"}),
            "");
  EXPECT_EQ(
      faults_of(Sections{.services = "{shop: {" + http + ",\n answers: 2G/s, strays: 0.5/d}}"}),
      "2:11: a rate above a unit each nanosecond; expected 1G/s at most\n"
      "2:25: a rate below one unit in 24 hours: a bucket remembers no longer; expected 1/d at "
      "least\n");
}

TEST(Check, TellsBudgetsThatWouldHoldNothing) {
  auto faults = [](const std::string& protocol, const std::string& budgets) {
    return faults_of(Sections{.services = "{s: {vips: ['192.0.2.1:80'], protocol: " + protocol +
                                          ", pool: web,\n" + budgets + "}}",
                              .limits = "{}"});
  };
  EXPECT_EQ(faults("tcp", " answers: 1/s"),
            "2:11: a service of protocol tcp is never answered for; expected `protocol: http`, or "
            "no `answers`\n");
  EXPECT_EQ(faults("udp", " strays: 1/s"),
            "2:10: datagrams belong to no connection whose beginning could be missed; expected no "
            "`strays`\n");
  EXPECT_EQ(faults("tcp", " strays: 1/s"), "");
}

TEST(Check, FollowsMissingLimitsToTheirEnd) {
  EXPECT_EQ(
      faults_of(Sections{.limits = "{a: {key: ['header:x'], rate: 1/s, burst: 1, missing: b},\n"
                                   "b: {key: ['header:y'], rate: 1/s, burst: 1, missing: a}}"}),
      "2:63: `missing` leads from limit `a` back to itself\n"
      "3:54: `missing` leads from limit `b` back to itself\n");
  EXPECT_EQ(
      faults_of(Sections{.limits = "{a: {key: ['header:x'], rate: 1/s, burst: 1, missing: b},\n"
                                   "b: {key: [source], unit: packets, rate: 1/s, burst: 1}}"}),
      "2:63: limit `b` counts something else than limit `a`; expected a limit of the same "
      "unit\n");
  std::string chain = "{";
  for (char c = 'a'; c < 'g'; c++)
    chain += std::string(1, c) +
             ": {key: ['header:x'], rate: 1/s, burst: 1, missing: " + static_cast<char>(c + 1) +
             "},\n";
  EXPECT_EQ(
      faults_of(Sections{.limits = chain + "g: {key: [client], rate: 1/s, burst: 1}}"}),
      "2:63: `missing` leads on more than 4 times\n3:54: `missing` leads on more than 4 times\n");
}

TEST(Check, WantsAListOfKeysForKnown) {
  EXPECT_EQ(faults_of(Sections{.limits = "{a: {key: ['header:x'], known: l, rate: 1/s, burst: 1}}",
                               .more = "lists: {l: {cidrs: [192.0.2.9], deny: drop}}"}),
            "2:40: list `l` has addresses, not keys; expected a list with `kind: key`\n");
}

TEST(Check, WantsOverridesOfWhatIsThereOnce) {
  const std::string rest = ", rate: 1/s, until: 2026-11-29T23:59:00Z}\n";
  EXPECT_EQ(
      faults_of(Sections{
          .services = "{shop: {vips: ['192.0.2.1:80'], protocol: http, pool: web, limits: [a]},"
                      " mail: {vips: ['192.0.2.1:25'], protocol: tcp, pool: web}}",
          .more = "overrides:\n - {limit: shop/a" + rest + " - {limit: mail/a" + rest +
                  " - {limit: shop/a" + rest}),
      "7:12: service `mail` does not use limit `a`: there is nothing to override\n"
      "8:4: limit `a` of service `shop` is overridden twice; expected one override\n");
}

TEST(Check, WantsOverridesUnderWhichEveryRouteCanBePaidFor) {
  const auto faults = [](const std::string& burst) {
    return faults_of(
        Sections{.services = "{shop: {vips: ['192.0.2.1:80'], protocol: http, pool: web,"
                             " routes: [{match: {path: /x}, limits: [a], cost: 5}]}}",
                 .limits = "{a: {key: ['header:x'], rate: 9/s, burst: 9, missing: b},"
                           " b: {key: [client], rate: 9/s, burst: 9}}",
                 .more = "overrides:\n - {limit: shop/b, rate: 1/s, until: 2026-11-29T23:59:00Z" +
                         burst + "}\n"});
  };
  EXPECT_EQ(faults(""), "");
  EXPECT_EQ(faults(", burst: 5"), "");
  EXPECT_EQ(faults(", burst: 4"),
            "6:4: a burst of 4 refuses every request of the route in line 1, which costs 5; "
            "expected 5 or more\n");
}

TEST(Check, WantsBurstsThatARouteCanPayAlsoWhereAHeaderIsMissing) {
  EXPECT_EQ(
      faults_of(Sections{.services = "{shop: {vips: ['192.0.2.1:80'], protocol: http, pool: web,"
                                     " routes: [{match: {path: /x}, limits: [a], cost: 5}]}}",
                         .limits = "{a: {key: ['header:x'], rate: 9/s, burst: 9, missing: b},"
                                   " b: {key: [client], rate: 9/s, burst: 4}}"}),
      "1:118: a request that costs 5 never fits limit `b`: its burst is 4; expected 4 at "
      "most\n");
}

// --- services ------------------------------------------------------------------------------------

TEST(Check, HoldsLimitsToWhatAProtocolShows) {
  const std::string limits =
      "{r: {key: [client], rate: 1/s, burst: 1},"
      " c: {key: [source], unit: connections, rate: 1/s, burst: 1},"
      " p: {key: [source], unit: packets, rate: 1/s, burst: 1}}";
  const auto faults = [&](const std::string& protocol) {
    return faults_of(Sections{.services = "{s: {vips: ['192.0.2.1:80'], pool: web,\nprotocol: " +
                                          protocol + ", limits: [r, c, p]}}",
                              .limits = limits});
  };
  EXPECT_EQ(faults("http"), "");
  EXPECT_EQ(
      faults("tcp"),
      "2:25: limit `r` counts requests, and a service of protocol tcp has none; expected a limit "
      "with `unit: connections` or `unit: packets`\n");
  EXPECT_EQ(faults("tls"), "") << "a ClientHello is a request";
  EXPECT_EQ(
      faults("udp"),
      "2:25: limit `r` counts requests, and a service of protocol udp has none; expected a limit "
      "with `unit: packets`\n"
      "2:28: limit `c` counts connections, and a service of protocol udp has none; expected a "
      "limit with `unit: packets`\n");
}

TEST(Check, HoldsLimitsOfTlsToWhatIsKnownOfAHello) {
  const auto faults = [](const std::string& key) {
    return faults_of(Sections{.services = "{s: {vips: ['192.0.2.1:443'], pool: web,\n"
                                          "protocol: tls, limits: [r]}}",
                              .limits = "{r: {key: [" + key + "], rate: 1/s, burst: 1}}"});
  };
  EXPECT_EQ(faults(""), "");
  EXPECT_EQ(faults("source, client"), "");
  const auto fault = [](const std::string& part) {
    return "2:25: limit `r` has `" + part +
           "` in its key, and a request of protocol tls has none; expected a limit with a key of "
           "source and client\n";
  };
  EXPECT_EQ(faults("source, path"), fault("path"));
  EXPECT_EQ(faults("method, host"), fault("host") + fault("method")) << "sorted";
  EXPECT_EQ(faults("'header:X-Api-Key'"), fault("header:x-api-key"));
}

TEST(Check, LetsResponsesStandThatTlsCannotSend) {
  const Sections sections{
      .services = "{s: {vips: ['192.0.2.1:443'], pool: web, protocol: tls, limits: [r]}}",
      .limits = "{r: {key: [source], rate: 1/s, burst: 1, over: slow}}",
      .more = "responses: {slow: {status: 503, retry_after: {min: 5s}, body: wait}}"};
  EXPECT_EQ(faults_of(sections), "") << "one limit for a service of each protocol";
}

TEST(Check, HasRoutesAndSignaturesForRequestsOnly) {
  EXPECT_EQ(faults_of(Sections{
                .services = "{s: {vips: ['192.0.2.1:80'], pool: web, protocol: tcp,\n"
                            "signatures: [x], routes: [{match: {}}]}}",
                .more = "signatures: {x: {field: user-agent, patterns: [x], then: drop}}"}),
            "2:14: signatures look into requests, and a service of protocol tcp shows no requests; "
            "expected `protocol: http`, or no signatures\n"
            "2:27: routes choose among requests, and a service of protocol tcp shows no requests; "
            "expected `protocol: http`, or no routes\n");
  EXPECT_EQ(faults_of(Sections{
                .services = "{s: {vips: ['192.0.2.1:80'], pool: web, protocol: tls,\n"
                            "signatures: [x], routes: [{match: {}}]}}",
                .more = "signatures: {x: {field: user-agent, patterns: [x], then: drop}}"}),
            "2:14: signatures look into requests, and a service of protocol tls shows nothing of a "
            "request but that it begins; expected `protocol: http`, or no signatures\n"
            "2:27: routes choose among requests, and a service of protocol tls shows nothing of a "
            "request but that it begins; expected `protocol: http`, or no routes\n");
}

// What asks for nothing is no fault anywhere: lists that are empty.
TEST(Check, HasHeadsForHttpOnly) {
  const std::string service = "{s: {vips: ['192.0.2.1:80'], pool: web, protocol: ";
  for (const auto& [protocol, shows] : std::vector<std::pair<std::string, std::string>>{
           {"tls", "nothing of a request but that it begins"},
           {"tcp", "no requests"},
           {"udp", "no requests"}}) {
    const std::string why = ", and a service of protocol " + protocol + " shows " + shows +
                            "; expected `protocol: http`, or no ";
    EXPECT_EQ(faults_of(Sections{
                  .services = service + protocol + ",\nlenient: [any-method], head_deadline: 5s}}",
                  .limits = "{}"}),
              "2:10: `lenient` is about request heads" + why + "`lenient`\n" +
                  "2:39: `head_deadline` is for request heads" + why + "`head_deadline`\n");
    EXPECT_EQ(faults_of(Sections{
                  .services = service + protocol + ", lenient: [], routes: [], signatures: []}}",
                  .limits = "{}"}),
              "");
  }
}

TEST(Check, HoldsRoutesToLimitsThatCountRequests) {
  EXPECT_EQ(
      faults_of(Sections{.services = "{s: {vips: ['192.0.2.1:80'], pool: web, protocol: http,\n"
                                     "routes: [{match: {}, limits: [c]}]}}",
                         .limits = "{c: {key: [source], unit: connections, rate: 1/s, burst: 1}}"}),
      "2:31: limit `c` counts connections: a route is known only when a request is; expected a "
      "limit "
      "with `unit: requests`, or the limit in the service itself\n");
}

TEST(Check, RefusesRequestsThatCouldNeverPass) {
  EXPECT_EQ(
      faults_of(Sections{
          .services = "{s: {vips: ['192.0.2.1:80'], pool: web, protocol: http, limits: [a],\n"
                      "routes: [{match: {}, cost: 201}, {match: {}, cost: 200}]}}"}),
      "2:28: a request that costs 201 never fits limit `a`: its burst is 200; expected 200 at "
      "most\n");
}

TEST(Check, WarnsOfRoutesThatNothingComesTo) {
  const auto warnings = [](const std::string& routes) {
    return warnings_of(Sections{
        .services =
            "{s: {vips: ['192.0.2.1:80'], pool: web, protocol: http, limits: [a],\nroutes: [" +
            routes + "]}}"});
  };
  EXPECT_EQ(warnings("{match: {path: /x}}, {match: {}, cost: 1}"), "");
  EXPECT_EQ(warnings("{match: {}}, {match: {path: /x}}, {match: {path: /y}}"),
            "2:23: no request comes as far as this route: the one at line 2 matches all\n");
  EXPECT_EQ(warnings("{match: {path: x}}, {match: {path: /y}}"), "") << "the first has a fault";
}

TEST(Check, CountsTheLimitsOfServiceAndRouteTogether) {
  std::string limits = "{";
  std::string names;
  for (char c = 'a'; c <= 'i'; c++) {
    limits += std::string(1, c) + ": {key: [client], rate: 1/s, burst: 1}, ";
    if (c < 'i') names += std::string(1, c) + ", ";
  }
  limits += "}";
  const auto faults = [&](const std::string& route_limits) {
    return faults_of(Sections{.services = "{s: {vips: ['192.0.2.1:80'], pool: web, protocol: http, "
                                          "limits: [" +
                                          names + "],\nroutes: [{match: {}, limits: [" +
                                          route_limits + "]}]}}",
                              .limits = limits});
  };
  EXPECT_EQ(faults("a, b"), "") << "the service has these already";
  EXPECT_EQ(faults("i"),
            "2:10: 9 limits count the same requests; expected at most 8, of service and "
            "route together\n");
}

// --- addresses -----------------------------------------------------------------------------------

TEST(Check, GivesEachAddressPortAndTransportToOneService) {
  const auto faults = [](const std::string& protocol, const std::string& vip) {
    return faults_of(
        Sections{.services = "{a: {vips: ['192.0.2.1:53'], protocol: tcp, pool: web},\n"
                             "b: {protocol: " +
                             protocol + ", pool: web, vips: ['" + vip + "']}}",
                 .limits = "{}"});
  };
  EXPECT_EQ(faults("udp", "192.0.2.1:53"), "");
  EXPECT_EQ(faults("tcp", "192.0.2.1:54"), "");
  EXPECT_EQ(faults("tls", "[::ffff:192.0.2.1]:53"),
            "2:38: 192.0.2.1:53 belongs to service `a` already (line 1, column 23); expected each "
            "address, port and transport once\n");
}

TEST(Check, RefusesAddressesThatNoHostHas) {
  const auto faults = [](const std::string& vip, const std::string& backend) {
    return faults_of(
        Sections{.services = "{a: {vips: ['" + vip + "'], protocol: tcp, pool: web}}",
                 .limits = "{}",
                 .pools = "{web: {forward: l2, backends: {w1: {address: '" + backend + "'}}}}"});
  };
  EXPECT_EQ(faults("0.0.0.0:80", "127.0.0.1"),
            "1:23: 0.0.0.0:80 cannot be a VIP: this is no host's address (0.0.0.0/8)\n"
            "3:53: 127.0.0.1 cannot be a backend: this is a loopback address\n");
  EXPECT_NE(faults("[ff02::1]:80", "10.0.0.1"), "");
  EXPECT_NE(faults("[::]:80", "10.0.0.1"), "");
  EXPECT_NE(faults("192.0.2.1:80", "::1"), "");
  EXPECT_NE(faults("192.0.2.1:80", "224.0.0.1"), "");
  EXPECT_NE(faults("192.0.2.1:80", "255.255.255.255"), "");
}

TEST(Check, RefusesABackendThatIsTheGateItself) {
  EXPECT_EQ(
      faults_of(Sections{.pools = "{web: {forward: ipip, backends: {w1: {address: 192.0.2.1}}}}"}),
      "3:55: 192.0.2.1 is a VIP of service `shop`: packets for it would come back to the gate; "
      "expected the backend's own address\n");
}

TEST(Check, RefusesTwoBackendsAtOneAddress) {
  EXPECT_EQ(
      faults_of(Sections{
          .pools =
              "{web: {forward: l2, backends: {a: {address: 10.0.0.1}, b: {address: 10.0.0.1}}}}"}),
      "3:76: 10.0.0.1 is the address of backend `a` already; expected each address once in a pool; "
      "`weight` for a larger share\n");
}

TEST(Check, WarnsOfAPoolThatTakesNoNewFlows) {
  EXPECT_TRUE(
      warnings_of(
          Sections{.pools = "{web: {forward: l2, backends: {a: {address: 10.0.0.1, drain: true}, "
                            "b: {address: 10.0.0.2, weight: 0}}}}"})
          .starts_with(
              "3:9: no backend of pool `web` takes new flows: all of them drain or have weight "
              "0\n"));
}

TEST(Check, HoldsListsAndClientRulesToTheBitsOfAMask) {
  std::string lists = "lists:\n";
  for (int i = 0; i < SG_LISTS_MAX; i++)
    lists += " l" + std::to_string(i) + ": {cidrs: [192.0.2.9], deny: drop}\n";
  EXPECT_EQ(faults_of(Sections{.more = lists}), "");
  EXPECT_EQ(
      faults_of(Sections{.more = lists + "clients: {x: {peers: [192.0.2.8], identity: "
                                         "'header:cf-connecting-ip'}}"}),
      "70:11: more than 64 lists of addresses and client rules: a source's lists are one mask "
      "of so many bits; expected fewer, larger lists\n");
}

// --- what is not enforced yet
// ----------------------------------------------------------------------

// Each feature of the table is told where it is written, or not at all once it is enforced.
TEST(Check, TellsWhatIsNotEnforcedYetByLine) {
  struct Case {
    Feature feature;
    Sections sections;
    std::string place;
    std::string written;
  };
  const std::string shop = "vips: ['192.0.2.1:80'], protocol: http, pool: web, limits: [a]";
  const std::string backends = "backends: {w1: {address: 10.0.0.1}}";
  const std::string limit = "key: ['header:x'], rate: 1/s, burst: 1";
  const std::vector<Case> cases = {
      {Feature::challenge,
       {.pools = "{web: {forward: ipip, challenge: accept, " + backends + "}}"},
       "3:41",
       "challenge: accept"},
      {Feature::challenge,
       {.pools = "{web: {forward: ipip, challenge: resync, " + backends + "}}"},
       "3:41",
       "challenge: resync"},
      {Feature::health,
       {.pools = "{web: {forward: ipip, health: {http: /, port: 80}, " + backends + "}}"},
       "3:38",
       "health"},
      {Feature::forward_gue,
       {.pools = "{web: {forward: gue, " + backends + "}}"},
       "3:24",
       "forward: gue"},
      {Feature::scope_cluster,
       {.limits = "{a: {" + limit + ", scope: cluster}}"},
       "2:61",
       "scope: cluster"},
      {Feature::known_keys,
       {.limits = "{a: {" + limit + ", known: k}}", .more = "lists: {k: {kind: key, file: k}}"},
       "2:61",
       "known"},
      {Feature::missing_status,
       {.limits = "{a: {" + limit + ", missing: 401}}"},
       "2:63",
       "missing: 401"},
      {Feature::penalties,
       {.services = "{shop: {" + shop + ", penalties: [p]}}",
        .more = "penalties: {p: {when: 'refused > 1/1s', then: {ban: 1m}, only: validated}}"},
       "5:13",
       "penalties: p"},
      {Feature::signature_ban,
       {.services = "{shop: {" + shop + ", signatures: [s]}}",
        .more = "signatures: {s: {field: user-agent, patterns: [x], then: {ban: 1m}}}"},
       "5:58",
       "then: {ban: ..}"},
      {Feature::signature_fields,
       {.services = "{shop: {" + shop + ", signatures: [s]}}",
        .more = "signatures: {s: {field: target, patterns: [x], then: drop}}"},
       "5:25",
       "field: target"},
      {Feature::signature_fields,
       {.services = "{shop: {" + shop + ", signatures: [s]}}",
        .more = "signatures: {s: {field: 'header:Referer', patterns: [x], then: drop}}"},
       "5:25",
       "field: header:referer"},
      {Feature::capacity,
       {.services = "{shop: {" + shop + ", capacity: {rate: 1/s}}}"},
       "1:93",
       "capacity"},
      {Feature::drain,
       {.pools = "{web: {forward: ipip, backends: {w0: {address: 10.0.0.2}, w1: {address: "
                 "10.0.0.1, drain: true}}}}"},
       "3:97",
       "drain: true"},
      {Feature::exempt_penalties,
       {.more = "lists: {l: {cidrs: [192.0.2.9], exempt: [penalties]}}"},
       "5:42",
       "exempt: [penalties]"},
      {Feature::route_class,
       {.services = "{shop: {" + shop + ", routes: [{match: {path: /}, class: critical}]}}"},
       "1:118",
       "class"},
      {Feature::over_cookie,
       {.limits = "{a: {key: [source], unit: connections, rate: 1/s, burst: 1, over: cookie}}"},
       "2:75",
       "over: cookie"},
      {Feature::identity_chain,
       {.more = "clients: {c: {peers: [192.0.2.9], identity: 'header:X-Forwarded-For'}}"},
       "5:45",
       "identity: header:x-forwarded-for"},
      {Feature::ceiling,
       {.more = "lists: {l: {cidrs: [192.0.2.9], exempt: [all], ceiling: 1/s}}"},
       "5:57",
       "ceiling"},
      {Feature::deny_response,
       {.more = "lists: {l: {cidrs: [192.0.2.9], deny: 403}}"},
       "5:39",
       "deny: 403"},
  };
  for (const Case& each : cases) {
    const std::string wanted =
        is_enforced(each.feature)
            ? ""
            : each.place + ": `" + each.written +
                  "` is understood and kept, but this version does not enforce it yet: " +
                  std::string(until_then(each.feature)) + "\n";
    const Parsed parsed = load_text(each.sections, {{"k", ""}});
    EXPECT_EQ(told(parsed), "") << each.written;
    EXPECT_EQ(told(parsed, Severity::warning), wanted);
  }
}

TEST(Check, TellsOfAShedAndItsCapacityBoth) {
  EXPECT_EQ(told(load_text(Sections{
                     .services = "{shop: {vips: ['192.0.2.1:80'], protocol: http, pool: web,\n"
                                 "limits: [a], capacity: {rate: 1/s, scope: cluster, shed: {by: "
                                 "[class], hold: 1m}}}}"}),
                 Severity::warning)
                .substr(0, 5),
            is_enforced(Feature::capacity) ? "" : "2:24:");
}

// Nobody is warned of an identity header that names one address.
TEST(Check, EnforcesSingleIdentityHeaders) {
  EXPECT_EQ(warnings_of(Sections{
                .more = "clients: {c: {peers: [192.0.2.9], identity: 'header:CF-Connecting-IP'}}"}),
            "");
}

// `all` is all that there is.
TEST(Check, NotesWhatAllSparesFrom) {
  const Sections sections{.more = "lists: {l: {cidrs: [192.0.2.9], exempt: [all]}}"};
  EXPECT_EQ(warnings_of(sections), "");
  EXPECT_EQ(notes_of(sections),
            is_enforced(Feature::exempt_penalties)
                ? ""
                : "5:42: `all` is from limits and signatures: there are no penalties yet\n");
}

// What a service of that kind does, it does; what it does not is in the docs, once.
TEST(Check, IsQuietAboutTls) {
  EXPECT_EQ(warnings_of(Sections{
                .services = "{s: {vips: ['192.0.2.1:80'], protocol: tls, pool: web, limits: [a]}}",
                .limits = "{a: {key: [source], rate: 1/s, burst: 1}}"}),
            "");
}

// A default at the top is told once, where it stands, and not for each limit.
TEST(Check, TellsOfADefaultOnce) {
  if (is_enforced(Feature::scope_cluster)) return;
  const std::string warnings = warnings_of(Sections{
      .limits = "{a: {key: [client], rate: 1/s, burst: 1}}", .more = "defaults: {scope: cluster}"});
  EXPECT_TRUE(warnings.starts_with("5:19: `scope: cluster` is understood")) << warnings;
  EXPECT_EQ(std::count(warnings.begin(), warnings.end(), '\n'), 1);
}

}  // namespace
}  // namespace surgegate::policy
