// SPDX-License-Identifier: BSD-3-Clause
// From text to model: what each part of the language means, and what is told about what it cannot
// mean.
#include "config/parse.h"

#include <gtest/gtest.h>

#include "config/compile.h"
#include "config/limits.h"
#include "tests/unit/config/told.h"

namespace surgegate::policy {
namespace {

constexpr uint64_t ns_per_s = 1'000'000'000;

Policy policy_of(const std::string& text, std::map<std::string, std::string> files = {}) {
  Parsed parsed = load_text(text, std::move(files));
  EXPECT_EQ(told(parsed), "");
  return std::move(parsed.policy);
}

const std::string pool = "pools: {web: {forward: l2, backends: {w1: {address: 10.0.0.1}}}}\n";

// "\b" in YAML's double quotes is a backspace, not a regular expression's border of a word.
TEST(Parse, WarnsOfPatternsThatYamlHasUnescaped) {
  const auto warnings = [](const std::string& pattern) {
    return told(
        load_text("version: 1\nsignatures:\n  s: {field: user-agent, then: drop, patterns: [" +
                  pattern + "]}\n"),
        Severity::warning);
  };
  EXPECT_NE(warnings(R"("\bcurl")")
                .find("3:49: `\\x08curl` holds the control character 0x08, as which YAML reads a "
                      "backslash sequence in double quotes; expected a pattern in single quotes"),
            std::string::npos)
      << warnings(R"("\bcurl")");
  for (const char* fine : {R"('\bcurl')", R"("\\bcurl")", R"("a\tb\r\n")"})
    EXPECT_EQ(warnings(fine).find("control character"), std::string::npos) << fine;
}

TEST(Parse, AStatusThatCannotAnswerIsToldOnce) {
  const std::string text =
      "version: 1\nresponses:\n  busy: {status: 426}\nlimits:\n"
      "  l: {key: [source], rate: 1/s, burst: 1, over: busy}\nservices:\n"
      "  s: {vips: [\"192.0.2.1:80\"], protocol: http, pool: p, limits: [l]}\npools:\n"
      "  p: {forward: l2, backends: {b: {address: 10.0.0.1}}}\n";
  const Parsed parsed = load_text(text);
  ASSERT_EQ(told(parsed), "");
  const auto findings = compile({parsed.policy}).findings;
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].what, "status 426 cannot answer a refused request");
  EXPECT_TRUE(findings[0].expected.starts_with("a status from 400 to 599"));
}

TEST(Parse, ReadsLimits) {
  const Policy policy = policy_of(pool + R"(
version: 1
limits:
  a: {key: [client, path, "header:X-Key"], prefix: {v4: 24}, rate: 1.5k/s, burst: 4k, over: 503,
      missing: b, scope: cluster, mode: count}
  b: {key: [], rate: 5/min, burst: 5, over: drop}
  c: {key: [source], unit: connections, rate: 1/s, burst: 1}
  d: {key: [method, host], rate: 1/s, burst: 1}
)");
  const Limit& a = policy.limits[0];
  EXPECT_EQ(a.name.value, "a");
  ASSERT_EQ(a.key.size(), 3u);
  EXPECT_EQ(a.key[1].kind, KeyKind::path);
  EXPECT_EQ(a.key[2].header, "x-key");
  EXPECT_EQ(a.prefix_v4_bits, 24);
  EXPECT_EQ(a.prefix_v6_bits, 64);
  EXPECT_EQ(a.rate.value.units, 1500u);
  EXPECT_EQ(a.burst_units.value, 4000u);
  EXPECT_EQ(a.burst_units.place.line, 5u);
  EXPECT_EQ(a.over.value.kind, OverKind::response);
  EXPECT_EQ(a.over.value.response.value, "503");
  EXPECT_EQ(a.missing_limit->value, "b");
  EXPECT_EQ(a.scope.value, Scope::cluster);
  EXPECT_EQ(a.mode, Mode::count);
  EXPECT_EQ(policy.limits[1].over.value.kind, OverKind::drop);
  EXPECT_TRUE(policy.limits[1].key.empty());
  EXPECT_EQ(policy.limits[2].over.value.kind, OverKind::drop) << "nothing to answer";
  EXPECT_EQ(policy.limits[3].over.value.response.value, "429") << "a request is answered";
}

TEST(Parse, TakesDefaultsWhereverTheyStand) {
  const Policy policy = policy_of(pool + R"(
version: 1
limits:
  a: {key: [], rate: 1/s, burst: 1}
  b: {key: [], rate: 1/s, burst: 1, mode: enforce, scope: host}
lists: {l: {cidrs: [192.0.2.1], deny: drop}}
defaults: {mode: count, scope: cluster}
)");
  EXPECT_EQ(policy.limits[0].mode, Mode::count);
  EXPECT_EQ(policy.limits[0].scope.value, Scope::cluster);
  EXPECT_EQ(policy.limits[1].mode, Mode::enforce);
  EXPECT_EQ(policy.limits[1].scope.value, Scope::host);
  EXPECT_EQ(policy.lists[0].mode, Mode::count);
}

TEST(Parse, ReadsServicesAndRoutes) {
  const Policy policy = policy_of(pool + R"(
version: 1
limits: {l: {key: [client], rate: 10/s, burst: 20}}
services:
  shop:
    vips: ["192.0.2.1:80", "[2001:db8::1]:80"]
    protocol: http
    pool: web
    capacity: {rate: 200k/s, shed: {by: [class, client], hold: 10m}}
    answers: 5k/s
    limits: [l]
    routes:
      - {match: {path: /checkout/*}, class: critical}
      - {match: {method: POST, path: /login}, cost: 3}
      - {match: {host: API.example.com, headers: {X-Beta: "1"}}, upgrade: tunnel}
      - {match: {path: /a/*/b}, class: background}
      - {match: {}}
)");
  const Service& shop = policy.services[0];
  EXPECT_EQ(to_text(shop.vips[1].value), "[2001:db8::1]:80");
  EXPECT_EQ(shop.capacity->value.hold_ns, 600 * ns_per_s);
  ASSERT_TRUE(shop.answers.has_value());
  EXPECT_EQ(shop.answers->value.units, 5000u);
  EXPECT_FALSE(shop.strays.has_value());
  ASSERT_EQ(shop.routes.size(), 5u);
  EXPECT_EQ(shop.routes[0].path_match, PathMatch::prefix);
  EXPECT_EQ(shop.routes[0].path, "/checkout/");
  EXPECT_EQ(shop.routes[0].klass->value, Class::critical);
  EXPECT_EQ(shop.routes[1].path_match, PathMatch::exact);
  EXPECT_EQ(shop.routes[1].method, "POST");
  EXPECT_EQ(shop.routes[1].cost.value, 3u);
  EXPECT_EQ(shop.routes[2].host, "api.example.com");
  EXPECT_EQ(shop.routes[2].headers[0], std::pair(std::string("x-beta"), std::string("1")));
  EXPECT_TRUE(shop.routes[2].upgrade_tunnel.has_value());
  EXPECT_EQ(shop.routes[3].path_match, PathMatch::glob);
  EXPECT_EQ(shop.routes[3].path, "/a/*/b");
  EXPECT_EQ(shop.routes[4].path_match, PathMatch::any);
}

// As its clients write it with or without the dot at the end, so may the policy.
TEST(Parse, AHostAtTheRootIsTheSameHost) {
  const Policy policy = policy_of(pool + R"(
version: 1
services:
  a:
    vips: ["192.0.2.1:80"]
    protocol: http
    pool: web
    routes:
      - {match: {host: API.example.com.}}
)");
  EXPECT_EQ(policy.services[0].routes[0].host, "api.example.com");
}

TEST(Parse, TheLongestMethodAndTheMostStarsAreTaken) {
  const Policy policy = policy_of(pool + R"(
version: 1
services:
  a:
    vips: ["192.0.2.1:80"]
    protocol: http
    pool: web
    routes:
      - {match: {method: )" + std::string(32, 'M') +
                                  R"(}}
      - {match: {path: /*/*/*/*/*/*/*/*/b}}
)");
  EXPECT_EQ(policy.services[0].routes[0].method.size(), 32u);
  EXPECT_EQ(policy.services[0].routes[1].path_match, PathMatch::glob);
}

TEST(Parse, ReadsListsFromLinesAndFiles) {
  const Policy policy = policy_of(
      pool + R"(
version: 1
lists:
  office: {cidrs: [192.0.2.0/24, "!192.0.2.7"], file: more.txt, exempt: [limits, penalties]}
  all: {cidrs: ["2001:db8::/32"], exempt: [all], ceiling: 50/s}
  keys: {kind: key, file: keys.sha256}
clients: {cdn: {peers: {file: more.txt}, identity: "header:CF-Connecting-IP"}}
)",
      {{"more.txt", "\xef\xbb\xbf# comment\r\n\n 198.51.100.0/24\t# c\n::1"},
       {"keys.sha256", std::string(64, 'a') + "  label\n" + std::string(64, 'B') + "# c\n"}});
  const List& office = policy.lists[0];
  ASSERT_EQ(office.cidrs.size(), 4u);
  EXPECT_EQ(to_text(office.cidrs[1]), "!192.0.2.7/32");
  EXPECT_EQ(to_text(office.cidrs[2]), "198.51.100.0/24");
  EXPECT_EQ(to_text(office.cidrs[3]), "::1/128");
  EXPECT_TRUE(office.exempt_limits && office.exempt_penalties && !office.exempt_signatures);
  EXPECT_TRUE(policy.lists[1].exempt_signatures);
  EXPECT_EQ(policy.lists[1].ceiling->value.units, 50u);
  ASSERT_EQ(policy.lists[2].key_sha256.size(), 2u);
  EXPECT_EQ(policy.lists[2].key_sha256[1][31], 0xbb);
  EXPECT_EQ(policy.clients[0].identity_header.value, "cf-connecting-ip");
  EXPECT_EQ(policy.clients[0].peers.size(), 2u);
}

TEST(Parse, ReadsResponses) {
  const Policy policy = policy_of(pool + R"(
version: 1
responses:
  a: {status: 429, body: {file: a.json}, headers: {Cache-Control: no-store}}
  b: {status: 503, body: "later", retry_after: {min: 5s, jitter: 10s}}
  c: {status: 429, body: {file: a.json}, headers: {Content-Type: application/problem+json}}
  d: {status: 403}
)",
                                  {{"a.json", "{}"}});
  EXPECT_EQ(policy.responses[0].body, "{}");
  EXPECT_EQ(policy.responses[0].content_type, "application/json");
  EXPECT_EQ(policy.responses[0].headers[0].first, "cache-control");
  EXPECT_EQ(policy.responses[1].content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(policy.responses[1].retry_after->jitter_ns, 10 * ns_per_s);
  EXPECT_EQ(policy.responses[2].content_type, "application/problem+json");
  EXPECT_EQ(policy.responses[3].content_type, "");
}

TEST(Parse, ReadsSignaturesAndPenalties) {
  const Policy policy = policy_of(pool + R"(
version: 1
signatures:
  a: {field: user-agent, patterns: {file: bots.txt}, then: {refuse: 403}}
  b: {field: "header:Referer", patterns: ['\.zip$'], then: {ban: 1h}, mode: count}
  c: {field: "header:User-Agent", patterns: [x], then: drop}
penalties: {p: {when: "refused > 1k/10s", then: {ban: 10m}, only: validated}}
)",
                                  {{"bots.txt", "# a comment\nbad # bot\n\n  worse\n"}});
  const SignatureSet& a = policy.signatures[0];
  ASSERT_EQ(a.patterns.size(), 2u);
  EXPECT_EQ(a.patterns[0].value, "bad # bot") << "a pattern may have a #";
  EXPECT_EQ(a.patterns[1].value, "worse");
  EXPECT_EQ(policy.files[a.patterns[1].place.file], "bots.txt");
  EXPECT_EQ(a.patterns[1].place.line, 4u);
  EXPECT_EQ(a.patterns[1].place.column, 3u);
  EXPECT_EQ(a.refuse_response.value, "403");
  EXPECT_EQ(policy.signatures[1].field.value, SignatureField::header);
  EXPECT_EQ(policy.signatures[1].header, "referer");
  EXPECT_EQ(policy.signatures[1].ban_ns, 3600 * ns_per_s);
  EXPECT_EQ(policy.signatures[2].field.value, SignatureField::user_agent);
  EXPECT_EQ(policy.penalties[0].refused_units, 1000u);
  EXPECT_EQ(policy.penalties[0].window_ns, 10 * ns_per_s);
  EXPECT_TRUE(policy.penalties[0].only_validated);
}

TEST(Parse, ReadsPoolsAndOverrides) {
  const Policy policy = policy_of(R"(
version: 1
limits: {l: {key: [client], rate: 10/s, burst: 20}}
services: {shop: {vips: ["192.0.2.1:80"], protocol: http, pool: web, limits: [l]}}
overrides: [{limit: shop/l, rate: 5/s, burst: 9, until: 2026-11-29T23:59:00Z, reason: INC-42}]
pools:
  web:
    forward: ipip
    challenge: resync
    health: {http: "/up?full=1", port: 80, interval: 2s, fall: 5, min_healthy: 30%}
    backends:
      a: {address: 10.0.0.1}
      b: {address: "2001:db8::2", weight: 0, drain: true}
  other: {forward: gue, health: {tcp: true, port: 443}, backends: {a: {address: 10.0.0.1}}}
)");
  EXPECT_EQ(policy.overrides[0].service.value, "shop");
  EXPECT_EQ(policy.overrides[0].limit.value, "l");
  EXPECT_EQ(policy.overrides[0].burst_units, 9u);
  EXPECT_EQ(policy.overrides[0].reason, "INC-42");
  const Pool& web = policy.pools[0];
  EXPECT_EQ(web.challenge.value, Challenge::resync);
  EXPECT_EQ(web.health->value.path, "/up?full=1");
  EXPECT_EQ(web.health->value.interval_ns, 2 * ns_per_s);
  EXPECT_EQ(web.health->value.min_healthy_percent, 30);
  EXPECT_EQ(web.health->value.rise, 2u);
  EXPECT_EQ(web.backends[0].weight, 100u);
  EXPECT_TRUE(web.backends[1].drain.value);
  EXPECT_EQ(policy.pools[1].health->value.kind, HealthKind::tcp);
}

TEST(Parse, ReadsWhatIsIncludedAsIfItStoodThere) {
  const std::map<std::string, std::string> files = {
      {"conf/p.yaml", "version: 1\ninclude: [more/*.yaml, more/b.yaml]\n" + pool},
      {"conf/more/a.yaml", "lists: {a: {file: a.txt, deny: drop}}\n"},
      {"conf/more/b.yaml", "version: 1\nlists: {b: {cidrs: [192.0.2.1], deny: drop}}\nlimits:\n"},
      {"conf/a.txt", "192.0.2.2\n"}};
  MemoryFiles memory(files);
  const Parsed parsed = load("conf/p.yaml", memory);
  EXPECT_EQ(told(parsed), "");
  ASSERT_EQ(parsed.policy.lists.size(), 2u) << "a file is included once";
  EXPECT_EQ(to_text(parsed.policy.lists[0].cidrs[0]), "192.0.2.2/32")
      << "a data file stands beside the policy, whoever names it";
  EXPECT_EQ(parsed.policy.files[parsed.policy.lists[1].name.place.file], "conf/more/b.yaml");
}

TEST(Parse, ReadsNoMoreFilesThanAPolicyMayHave) {
  std::map<std::string, std::string> files;
  for (int i = 0; i < SG_POLICY_FILES_MAX; i++) files["d/" + std::to_string(i)] = "limits:\n";
  EXPECT_EQ(faults_of("version: 1\ninclude: ['d/*']\n" + pool, files),
            "2:11: the policy names more than 1024 files\n");
}

TEST(Parse, TellsWhatIsWrongWithIncludes) {
  const std::string policy =
      "version: 1\ninclude: [none/*.yaml, missing.yaml, a.yaml, b.yaml]\n" + pool;
  const std::map<std::string, std::string> files = {
      {"a.yaml", "lists: {x: {cidrs: [192.0.2.1], deny: drop}}\ndefaults: {mode: count}\n"},
      {"b.yaml", "lists:\n  x: {cidrs: [192.0.2.1], deny: drop}\ninclude: [c.yaml]\n"}};
  const std::string told_faults = faults_of(policy, files);
  EXPECT_NE(told_faults.find("2:24: `missing.yaml` cannot be read: No such file or directory\n"),
            std::string::npos);
  EXPECT_NE(told_faults.find("a.yaml:2:1: unknown key `defaults` in an included file;"),
            std::string::npos);
  EXPECT_NE(
      told_faults.find("b.yaml:2:3: list `x` is written twice: the first is in `a.yaml`, line 1;"),
      std::string::npos);
  EXPECT_NE(told_faults.find("b.yaml:3:1: unknown key `include` in an included file;"),
            std::string::npos)
      << told_faults;
  EXPECT_EQ(warnings_of("version: 1\ninclude: [none/*.yaml]\n" + pool +
                        "services: {s: {vips: ['192.0.2.1:80'], protocol: tcp, pool: web}}\n"),
            "2:11: `none/*.yaml` names no file\n");
}

TEST(Parse, TellsAllFaultsAtOnceInTheOrderOfTheText) {
  EXPECT_EQ(faults_of(R"(version: 2
defalts: {mode: count}
limits:
  a: {key: [clint], rate: 100/sec, burst: 0, over: slow-dwn}
  b: {key: client, rate: 10/s}
  a: {key: [], rate: 1/s, burst: 1}
services:
  shop:
    vips: ["2001:db8::1:80"]
    protocol: htp
    pool: wbe
    limits: [b, b]
pools: {web: {forward: l2, backends: {w1: {address: 10.0.0.300}}}}
)"),
            R"(1:10: version `2` is not known here; expected 1
2:1: unknown key `defalts` in the policy; expected one of version, include, defaults, clients, lists, responses, limits, signatures, penalties, services, overrides, pools; did you mean `defaults`?
4:13: `clint` is not a part of a key; expected one of source, client, path, method, host, "header:NAME"; did you mean `client`?
4:27: `100/sec` is not a rate; expected a rate like 100/s, 5/min, 1.5k/s, 2M/s, 1/h or 10/d; did you mean `100/s`?
4:43: a burst of 0 lets nothing through; expected 1 or more
4:52: no response is named `slow-dwn`; expected one declared under `responses`
5:6: limit `b` lacks its key `burst`
5:12: `client` does not fit here; expected a list of source, client, path, method, host, or "header:NAME"; [] for one bucket of the whole service
6:3: key `a` is written twice: the first is at line 4, column 3
9:12: `2001:db8::1:80` is not an address with a port; expected 192.0.2.1:80 or "[2001:db8::1]:80"; did you mean `[2001:db8::1]:80`?
10:15: `htp` is not a protocol; expected one of http, tls, tcp, udp; did you mean `http`?
11:11: no pool is named `wbe`; expected web; did you mean `web`?
12:17: `b` stands in this list already
13:53: `10.0.0.300` is not an address; expected an address like 192.0.2.1 or 2001:db8::1
)");
}

// Where names could not be read, every use of them would be called unknown.
TEST(Parse, BlamesNoNameWhoseSectionCouldNotBeRead) {
  EXPECT_EQ(faults_of(R"(version: 1
limts: {l: {key: [client], rate: 10/s, burst: 20}}
services: {shop: {vips: ["192.0.2.1:80"], protocol: http, pool: web, limits: [l]}}
)" + pool),
            "2:1: unknown key `limts` in the policy; expected one of version, include, defaults, "
            "clients, lists, responses, limits, signatures, penalties, services, overrides, pools; "
            "did you mean `limits`?\n");
}

TEST(Parse, BlamesNoUseOfANameThatIsNone) {
  EXPECT_EQ(
      faults_of(R"(version: 1
limits: {1st: {key: [client], rate: 10/s, burst: 20}}
services: {shop: {vips: ["192.0.2.1:80"], protocol: http, pool: web, limits: [first]}}
)" + pool),
      "2:10: `1st` is not a name; expected a letter, then letters, digits, `.`, `_` or `-`; at "
      "most 64 bytes\n");
}

// line: stands alone below its section's key, as line 4.
struct Case {
  std::string line;
  std::string fault;
};

// One fault each, by the section that its line goes into.
void expect_faults(const std::string& section, const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    const std::string text = "version: 1\n" + pool + section + ":\n" + each.line + "\n";
    const std::string faults = faults_of(text, {{"f.txt", "x\n"}, {"empty.txt", "# nothing\n"}});
    EXPECT_NE(faults.find(each.fault), std::string::npos) << each.line << "\n" << faults;
  }
}

TEST(Parse, TellsWhatALimitCannotBe) {
  const std::string rest = "rate: 1/s, burst: 1";
  expect_faults(
      "limits",
      {{" a: {key: [client, client], " + rest + "}", "4:20: `client` stands in this key already"},
       {" a: {key: [client, source, path, method, host], " + rest + "}",
        "4:11: a key of 5 parts; expected at most 4"},
       {" a: {key: ['header:a b'], " + rest + "}", "4:12: `a b` is not the name of a header"},
       {" a: {key: [path], prefix: {v4: 24}, " + rest + "}",
        "4:27: `prefix` has nothing to shorten; expected source or client in `key`"},
       {" a: {key: [client], prefix: {v4: 33}, " + rest + "}",
        "4:34: `33` is out of range; expected a number from 0 to 32"},
       {" a: {key: [path], unit: packets, over: drop, " + rest + "}",
        "4:12: a limit of packets cannot be keyed by what stands in a request; expected source, or "
        "`unit: requests`"},
       {" a: {key: [source], unit: connections, over: 429, " + rest + "}",
        "4:46: a limit of connections has no request that could be answered; expected drop or "
        "cookie, or `unit: requests`"},
       {" a: {key: [source], unit: packets, over: cookie, " + rest + "}",
        "4:42: only the start of a connection can be answered with a SYN cookie"},
       {" a: {key: [client], over: cookie, " + rest + "}",
        "4:27: a request cannot be answered with a SYN cookie"},
       {" a: {key: [client], over: 200, " + rest + "}",
        "4:27: `200` is not a status for a refusal"},
       {" a: {key: [client], known: k, " + rest + "}", "4:28: `known` with 0 headers in `key`"},
       {" a: {key: ['header:x'], unknown: 401, " + rest + "}", "4:34: `unknown` without `known`"},
       {" a: {key: [client], missing: 401, " + rest + "}",
        "4:30: `missing` without a header in `key`"},
       {" a: {key: [client], missing: a, " + rest + "}",
        "4:30: `missing` without a header in `key`"},
       {" 429: {key: [], " + rest + "}", "4:2: `429` is not a name"},
       {" a: 100/s", "4:5: `100/s` does not fit here; expected a limit: a map with key, prefix"},
       {" a:", "4:2: `a` has no value; expected a limit: a map with key"}});
}

TEST(Parse, TellsThatClientIsTheSourceBeforeARequestIsRead) {
  EXPECT_EQ(notes_of(std::string(quiet_policy) +
                     "  x: {key: [client], unit: packets, rate: 1/s, burst: 1}\n"),
            "7:13: in a limit of packets `client` is the source: a header that names the client "
            "comes later\n");
}

TEST(Parse, TellsWhatAListCannotBe) {
  expect_faults(
      "lists",
      {{" a: {deny: drop}",
        "4:5: a list has no addresses; expected `cidrs: [..]`, `file: NAME`, or both"},
       {" a: {cidrs: [192.0.2.1], deny: drop, exempt: [all]}",
        "4:32: a list is either denied or exempt, not both"},
       {" a: {cidrs: [192.0.2.1], deny: drop, ceiling: 1/s}",
        "4:47: a ceiling is what exempt sources may still use"},
       {" a: {cidrs: [192.0.2.1], exempt: limits}", "4:34: `limits` does not fit here"},
       {" a: {cidrs: 192.0.2.1, deny: drop}",
        "4:13: `192.0.2.1` does not fit here; expected a list"},
       {" a: {cidrs: [[192.0.2.1]], deny: drop}", "4:14: a list does not fit here"},
       {" a: {cidrs: [192.0.2.0/24, \"!192.0.2.0/24\"], deny: drop}",
        "4:28: 192.0.2.0/24 is in this list and excepted from it (line 4); expected one of the "
        "two"},
       {" a: {file: nope.txt, deny: drop}",
        "4:12: `nope.txt` cannot be read: No such file or directory"},
       {" a: {file: f.txt, deny: drop}", "f.txt:1:1: `x` is not a prefix"},
       {" a: {kind: key, cidrs: [192.0.2.1]}", "4:24: a list of keys has no addresses"},
       {" a: {kind: key}", "4:5: a list of keys lacks its key `file`"},
       {" a: {kind: key, file: f.txt}", "f.txt:1:1: this line is not the SHA-256 of a key"}});
}

TEST(Parse, NeverShowsALineOfAListOfKeys) {
  const std::string faults = faults_of("version: 1\nlists: {a: {kind: key, file: k}}\n" + pool,
                                       {{"k", "the-secret-key-itself\n"}});
  EXPECT_NE(faults, "");
  EXPECT_EQ(faults.find("secret"), std::string::npos) << faults;
}

TEST(Parse, WarnsOfPrefixesThatAreNotWhatTheySeem) {
  const std::string policy = std::string(quiet_policy) + "lists: {a: {file: a.txt, deny: drop}}\n";
  EXPECT_EQ(warnings_of(policy, {{"a.txt", "192.0.2.1/24\n"}}),
            "a.txt:1:1: `192.0.2.1/24` has bits beyond its length: it is read as 192.0.2.0/24\n");
  EXPECT_EQ(
      warnings_of(policy, {{"a.txt", "192.0.2.0/24\n!198.51.100.1\n!192.0.2.7\n!192.0.2.7\n"}}),
      "a.txt:2:1: !198.51.100.1/32 excepts nothing: what is around it is not in this list\n");
  // Inside an exception there is nothing left to except, and ::/0 says nothing about IPv4.
  EXPECT_EQ(warnings_of(policy, {{"a.txt",
                                  "10.0.0.0/8\n!10.1.0.0/16\n!10.1.2.0/24\n10.1.3.0/24\n"
                                  "!10.1.3.4\n::/0\n!192.0.2.1\n!2001:db8::1\n"}}),
            "a.txt:3:1: !10.1.2.0/24 excepts nothing: what is around it is not in this list\n"
            "a.txt:7:1: !192.0.2.1/32 excepts nothing: what is around it is not in this list\n");
}

TEST(Parse, TellsEnoughOfAWrongFileAndNotAllOfIt) {
  std::string lines;
  for (int i = 0; i < 100'000; i++) lines += "nonsense\n";
  const Parsed parsed =
      load_text(std::string(quiet_policy) + "lists: {a: {file: a, deny: drop}}\n", {{"a", lines}});
  EXPECT_EQ(parsed.findings.size(), SG_POLICY_FILE_FINDINGS_MAX + 1u);
  EXPECT_EQ(parsed.findings.back().what, "more faults in `a` are not shown");
}

TEST(Parse, ReadsNoMorePrefixesThanThePolicyMayHave) {
  std::string lines;
  for (uint32_t i = 0; i < SG_POLICY_CIDRS_MAX; i++)
    lines += to_text(Address::of_ipv4({static_cast<uint8_t>(i >> 16 | 64),
                                       static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i), 0})) +
             "/24\n";
  const std::string policy = std::string(quiet_policy) + "lists: {a: {file: a, deny: drop}}\n";
  EXPECT_EQ(faults_of(policy, {{"a", lines}}), "");
  EXPECT_EQ(faults_of(policy, {{"a", lines + "192.0.2.1\n"}}),
            "a:1000001:1: the policy has more than 1000000 prefixes\n");
}

TEST(Parse, TellsWhatAResponseCannotBe) {
  std::string headers;
  for (int i = 0; i < 65; i++) headers += "h" + std::to_string(i) + ": x, ";
  expect_faults(
      "responses",
      {{" a: {status: 200}",
        "4:14: `200` is not a status for a refusal; expected a status from 400 to 599"},
       {" a: {status: 429, headers: {Content-Length: 3}}",
        "4:29: header `content-length` cannot be set: the gate counts the body itself"},
       {" a: {status: 429, headers: {connection: close}}",
        "4:29: header `connection` cannot be set"},
       {" a: {status: 429, headers: {transfer-encoding: chunked}}",
        "4:29: header `transfer-encoding` cannot be set"},
       {" a: {status: 429, headers: {date: now}}", "4:29: header `date` cannot be set"},
       {" a: {status: 429, headers: {retry-after: 3}}",
        "4:29: header `retry-after` cannot be set: the gate writes it itself, from the bucket or "
        "from `retry_after` of the response"},
       {" a: {status: 429, headers: {\"x y\": 3}}", "4:29: `x y` is not the name of a header"},
       {" a: {status: 429, headers: {x: \"a\\r\\nset-cookie: b\"}}",
        "4:32: `a\\x0d\\x0aset-cookie: b` cannot be the value of a header"},
       {" a: {status: 429, headers: {x: 1, X: 2}}", "4:35: header `x` is given twice"},
       {" a: {status: 429, headers: {" + headers + "}}", "4:28: 65 headers; expected at most 64"},
       {" a: {status: 429, body: {file: nope}}", "4:32: `nope` cannot be read"},
       {" a: {status: 429, retry_after: 5s}", "4:32: `5s` does not fit here"},
       {" a: {status: 429, retry_after: {min: 31d}}", "longer than 30 days"},
       {" a: {status: 429, retry_after: {}}", "4:32: `retry_after` says nothing"},
       {" cookie: {status: 429}", "4:2: a response cannot be named `cookie`"}});
}

TEST(Parse, TellsWhatSignaturesAndPenaltiesCannotBe) {
  expect_faults(
      "signatures",
      {{" a: {field: user_agent, patterns: [x], then: drop}", "did you mean `user-agent`?"},
       {" a: {field: path, patterns: [], then: drop}", "4:29: no pattern at all"},
       {" a: {field: path, patterns: {file: empty.txt}, then: drop}", "4:29: no pattern at all"},
       {" a: {field: path, patterns: x, then: drop}", "4:29: `x` does not fit here"},
       {" a: {field: path, patterns: [''], then: drop}", "4:30: an empty text does not fit here"},
       {" a: {field: path, patterns: [x], then: refuse}", "4:40: `refuse` does not fit here"},
       {" a: {field: path, patterns: [x], then: {refuse: 403, ban: 1h}}",
        "4:40: `then` with 2 consequences"},
       {" a: {field: path, patterns: [x], then: {}}", "4:40: `then` with 0 consequences"},
       {" a: {field: path, patterns: [x], then: {ban: 2000d}}", "4:46: a ban of `2000d`"}});
  expect_faults(
      "penalties",
      {{" a: {when: 'refused > 5', then: {ban: 1h}, only: validated}",
        "4:12: `refused > 5` does not fit here"},
       {" a: {when: 'refused > 0/10s', then: {ban: 1h}, only: validated}", "4:12: "},
       {" a: {when: 'refused > 5/10ms', then: {ban: 1h}, only: validated}", "4:12: "},
       {" a: {when: 'admitted > 5/10s', then: {ban: 1h}, only: validated}", "4:12: "},
       {" a: {when: 'refused > 5/10s', then: {ban: 1h}}", "4:5: penalty `a` lacks its key `only`"},
       {" a: {when: 'refused > 5/10s', then: {ban: 1h}, only: valid}", "4:54: "}});
}

TEST(Parse, TellsWhatAServiceCannotBe) {
  const std::string rest = "vips: ['192.0.2.1:80'], protocol: http, pool: web, ";
  std::string headers;
  for (int i = 0; i < 17; i++) headers += "h" + std::to_string(i) + ": x, ";
  expect_faults(
      "services",
      {{" a: {vips: [], protocol: http, pool: web}", "4:12: a list does not fit here"},
       {" a: {" + rest + "routes: [{match: {path: checkout}}]}", "`checkout` does not fit here"},
       {" a: {" + rest + "routes: [{match: {path: '/a?b'}}]}",
        "`/a?b` cannot be the path of a request; expected a path without query and fragment"},
       {" a: {" + rest + "routes: [{match: {path: /caf\xc3\xa9}}]}",
        "cannot be the path of a request"},
       {" a: {" + rest + "routes: [{match: {path: '/a#b'}}]}", "cannot be the path of a request"},
       {" a: {" + rest + "routes: [{match: {path: '/{id}'}}]}",
        "4:81: `/{id}` cannot be the path of a request"},
       {" a: {" + rest + "routes: [{match: {path: /*/*/*/*/*/*/*/*/*/b}}]}",
        "4:81: 9 stars in one path; expected at most 8"},
       {" a: {" + rest + "routes: [{match: {host: 'example.com:80'}}]}",
        "`example.com:80` does not fit here"},
       {" a: {" + rest + "routes: [{match: {host: '*.example.com'}}]}",
        "`*.example.com` does not fit here"},
       {" a: {" + rest + "routes: [{match: {method: 'GET POST'}}]}",
        "`GET POST` does not fit here"},
       {" a: {" + rest + "routes: [{match: {method: " + std::string(33, 'M') + "}}]}",
        "4:83: `" + std::string(33, 'M') +
            "` does not fit here; expected a method of at most 32 bytes, like POST"},
       {" a: {" + rest + "routes: [{match: {headers: {" + headers + "}}}]}",
        "17 headers; expected at most 16"},
       {" a: {" + rest + "routes: [{class: critical}]}", "a route lacks its key `match`"},
       {" a: {" + rest + "routes: [{match: {}, cost: 0}]}", "`0` is out of range"},
       {" a: {" + rest + "routes: [{match: {}, upgrade: yes}]}", "expected tunnel"},
       {" a: {" + rest + "answers: 0/s}", "`0/s` lets nothing through"},
       {" a: {" + rest + "strays: many}", "`many` is not a rate"},
       {" a: {" + rest + "capacity: {rate: 1/s, burst: 0}}", "a burst of 0 lets nothing through"},
       {" a: {" + rest + "capacity: {rate: 1/s, shed: {by: [class, class], hold: 1m}}}",
        "`class` stands in this list already"},
       {" a: {" + rest + "capacity: {rate: 1/s, shed: {by: [class], hold: 25h}}}",
        "`25h` is no time to hold an admission"}});
}

// The protocols of the world, in its words.
TEST(Parse, SaysWhichProtocolIsMeant) {
  for (const auto& [word, meant] :
       std::vector<std::pair<std::string, std::string>>{{"https", "tls"},
                                                        {"HTTPS", "tls"},
                                                        {"ssl", "tls"},
                                                        {"wss", "tls"},
                                                        {"h2", "tls"},
                                                        {"http2", "tls"},
                                                        {"grpc", "tls"},
                                                        {"h2c", "tcp"},
                                                        {"http/3", "udp"},
                                                        {"quic", "udp"},
                                                        {"ws", "http"},
                                                        {"websocket", "http"},
                                                        {"htp", "http"},
                                                        {"Http", "http"},
                                                        {"http/2", "tls"},
                                                        {"h3", "udp"}})
    EXPECT_TRUE(
        faults_of("version: 1\nservices: {a: {vips: ['192.0.2.1:80'], pool: web, protocol: " +
                  word + "}}\npools: {web: {forward: l2, backends: {w: {address: 10.0.0.1}}}}\n")
            .ends_with("expected one of http, tls, tcp, udp; did you mean `" + meant + "`?\n"))
        << word;
}

TEST(Parse, SeesAColonWithoutABlank) {
  expect_faults(
      "services",
      {{" a: {vips: ['192.0.2.1:80'], protocol: http, pool:web}",
        "4:46: `pool:web` lacks a blank behind its colon; expected pool: web"},
       {" a:\n  pool:web", "5:3: `pool:web` lacks a blank behind its colon; expected pool: web"},
       {" a: {vips: ['192.0.2.1:80'], protocol: http, web:pool}",
        "4:46: unknown key `web:pool` in a service"}});
  EXPECT_EQ(faults_of("version: 1\nlimits: {a: {key: [client], rate:1/s, burst: 1}}\n"),
            "2:29: `rate:1/s` lacks a blank behind its colon; expected rate: 1/s\n")
      << "and that `rate` is lacking is no news";
}

TEST(Parse, WarnsOfMethodsThatNobodySends) {
  EXPECT_EQ(warnings_of(std::string(quiet_policy) + "  x: {key: [], rate: 1/s, burst: 1}\n"
                                                    "overrides:\n"),
            "7:3: limit `x` is never used\n");
  std::string policy(quiet_policy);
  policy.replace(policy.find("limits: [per-client]"), 20,
                 "limits: [per-client], routes: [{match: {method: get}}]");
  EXPECT_EQ(warnings_of(policy),
            "4:109: methods are case-sensitive: `get` is not what clients send; expected upper "
            "case\n");
}

TEST(Parse, TellsWhatPoolsAndOverridesCannotBe) {
  const std::string tail = "backends: {a: {address: 10.0.0.1}}";
  for (const auto& [pools, fault] : std::vector<std::pair<std::string, std::string>>{
           {"{a: {forward: ipp, " + tail + "}}", "did you mean `ipip`?"},
           {"{a: {forward: l2, backends: {}}}", "2:36: a pool without backends"},
           {"{a: {forward: l2, backends: {b: {}}}}", "backend `b` lacks its key `address`"},
           {"{a: {forward: l2, backends: }}", "2:26: `backends` has no value; expected a map of"},
           {"{a: {forward: l2, backends: {b: }}}", "2:37: `b` has no value; expected a backend"},
           {"{a: {forward: l2, backends: {b: {address: 10.0.0.1, weight: 65535}}}}",
            "`65535` is out of range; expected a number from 0 to 65534"},
           {"{a: {forward: l2, health: {port: 80}, " + tail + "}}", "a health check of 0 kinds"},
           {"{a: {forward: l2, health: {port: 80, http: /, tcp: true}, " + tail + "}}",
            "a health check of 2 kinds"},
           {"{a: {forward: l2, health: {port: 80, tcp: false}, " + tail + "}}",
            "`false` does not fit here"},
           {"{a: {forward: l2, health: {http: up, port: 80}, " + tail + "}}",
            "`up` does not fit here"},
           {"{a: {forward: l2, health: {http: /, port: 80, interval: 1ms}, " + tail + "}}",
            "expected 10ms to 1h"},
           {"{a: {forward: l2, health: {http: /, port: 80, min_healthy: 30}, " + tail + "}}",
            "`30` is not a percentage"}})
    EXPECT_NE(faults_of("version: 1\npools: " + pools).find(fault), std::string::npos)
        << pools << faults_of("version: 1\npools: " + pools);
  expect_faults(
      "overrides",
      {{" - {limit: shop, rate: 1/s, until: 2026-11-29T23:59:00Z}",
        "4:12: `shop` does not fit here; expected SERVICE/LIMIT, like shop/per-client"},
       {" - {limit: a/b, rate: 1/s}", "4:4: an override lacks its key `until`"},
       {" - {limit: a/b, rate: 1/s, until: tomorrow}", "4:35: `tomorrow` is not a time"}});
}

TEST(Parse, RefusesWhatIsNoPolicyInOneLine) {
  EXPECT_EQ(faults_of(""), ": the policy is empty; expected version: 1\n");
  EXPECT_EQ(faults_of("[1, 2]").substr(0, 31), "1:1: a list does not fit here; ");
  EXPECT_EQ(faults_of("limits: {}\n"), "1:1: the policy lacks its key `version`\n");
  MemoryFiles none({});
  EXPECT_EQ(told(load("p.yaml", none)), ": cannot be read: No such file or directory\n");
  EXPECT_TRUE(faults_of("version: 1\ninclude: ['" + std::string(9, '*') + "']\n")
                  .starts_with("2:11: `*********` does not fit here"));
}

}  // namespace
}  // namespace surgegate::policy
