// SPDX-License-Identifier: BSD-3-Clause
#include "config/compile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <string>

#include "config/compile_draft.h"
#include "config/image.h"
#include "tests/unit/config/policy_samples.h"

namespace surgegate {
namespace {

using samples::name;

// An image and the view of it.
struct Image {
  ImageBytes bytes;
  ImageView view;
};

Image image_of(const policy::Policy& policy, uint64_t revision = 1,
               const ImageView* previous = nullptr) {
  Compiled compiled = compile({policy, revision, previous});
  for (const auto& finding : compiled.findings)
    EXPECT_NE(finding.severity, policy::Severity::fault) << finding.what;
  auto view = ImageView::open(compiled.bytes);
  EXPECT_TRUE(view) << view.error();
  return {std::move(compiled.bytes), *view};
}

// The faults that the compiler finds, one a line; an image must not come with any.
std::string faults_of(const policy::Policy& policy) {
  const Compiled compiled = compile({policy});
  std::string text;
  for (const auto& finding : compiled.findings)
    if (finding.severity == policy::Severity::fault) text += finding.what + "\n";
  EXPECT_EQ(compiled.bytes.empty(), !text.empty());
  return text;
}

void expect_fault(const policy::Policy& policy, const std::string& part) {
  const std::string faults = faults_of(policy);
  EXPECT_NE(faults.find(part), std::string::npos) << "`" << faults << "` lacks `" << part << "`";
}

const sg_limit& limit_named(const ImageView& view, std::string_view name) {
  for (const sg_limit& limit : view.limits())
    if (view.text(limit.name) == name) return limit;
  ADD_FAILURE() << "no limit " << name;
  return view.limits()[0];
}

std::string names_of_run(const ImageView& view, const sg_limit_run& run) {
  std::string names;
  for (uint16_t limit : view.limit_run(run))
    names += std::string(view.text(view.limits()[limit].name)) + " ";
  return names;
}

uint64_t lists_of(const ImageView& view, const policy::Address& address) {
  const sg_lookup lookup = view.lookup();
  return view.list_masks()[sg_lookup_value(&lookup, address.bytes.data())];
}

TEST(Compile, TheSamePolicyGivesTheSameBytes) {
  const Image once = image_of(samples::full());
  EXPECT_EQ(image_of(samples::full()).bytes, once.bytes);
  const Image next = image_of(samples::full(), 2, &once.view);
  EXPECT_EQ(image_of(samples::full(), 2, &once.view).bytes, next.bytes);
}

// Computed by another program: a bucket, a pin and a secondary host all rely on it.
TEST(Compile, IdentitiesAreWhatTheHeaderSays) {
  EXPECT_EQ(identity("limit", "shop/per-client"), 0x16949e6095709f1ull);
  EXPECT_EQ(identity("backend", "web/web1"), 0x6fab416e6328dbdbull);
  const Image image = image_of(samples::full());
  EXPECT_EQ(limit_named(image.view, "shop/per-client").id, 0x16949e6095709f1ull);
  EXPECT_EQ(image.view.backends()[0].id, 0x6fab416e6328dbdbull);
}

TEST(Compile, TwoOwnersOfOneIdentityAreBothNamed) {
  Identities identities;
  EXPECT_FALSE(identities.claim(7, "limit", "shop/a"));
  EXPECT_FALSE(identities.claim(8, "limit", "shop/b"));
  EXPECT_EQ(identities.claim(7, "pool", "web"), "limit shop/a");
  policy::Policy policy = samples::small();
  policy.services.push_back(policy.services[0]);
  policy.services[1].vips = {{{samples::ipv4(198, 51, 100, 11), 80}, {}}};
  expect_fault(policy, "service shop has the same identity as service shop");
}

TEST(Compile, AnUnknownNameIsAFaultAndNoImage) {
  policy::Policy policy = samples::small();
  policy.services[0].pool = name("wep");
  policy.services[0].limits = {name("per-cleint")};
  policy.services[0].signatures = {name("bots")};
  policy.services[0].penalties = {name("repaet")};
  const std::string faults = faults_of(policy);
  for (const char* word : {"wep", "per-cleint", "bots", "repaet"})
    EXPECT_NE(faults.find(word), std::string::npos) << faults;
}

TEST(Compile, LimitsStandByUnitInTheOrderOfThePolicy) {
  const Image image = image_of(samples::full());
  const sg_service& shop = image.view.services()[0];
  EXPECT_EQ(names_of_run(image.view, shop.limits[SG_UNIT_PACKETS]), "");
  EXPECT_EQ(names_of_run(image.view, shop.limits[SG_UNIT_CONNECTIONS]), "shop/handshakes ");
  EXPECT_EQ(names_of_run(image.view, shop.limits[SG_UNIT_REQUESTS]), "shop/per-client ");
}

// "Adds to what the service has", and what is named twice is charged once.
TEST(Compile, ARouteAddsItsLimitsToTheService) {
  const Image image = image_of(samples::full());
  const auto routes = image.view.routes();
  ASSERT_EQ(routes.size(), 3u);
  EXPECT_EQ(names_of_run(image.view, routes[0].limits), "shop/per-client ");
  EXPECT_EQ(names_of_run(image.view, routes[1].limits), "shop/per-client shop/login ");
  EXPECT_EQ(names_of_run(image.view, routes[2].limits), "shop/per-client shop/per-key ");
  EXPECT_EQ(routes[2].cost_units, 2u);
  EXPECT_EQ(image.view.text(routes[0].path), "/checkout/");
  EXPECT_EQ(routes[0].klass, SG_CLASS_CRITICAL);
}

TEST(Compile, AMissingHeaderLeadsToTheLimitThatCountsInstead) {
  policy::Policy policy = samples::full();
  policy.services[0].limits = {};  // per-client is reached by per-key only
  policy.services[0].routes = {policy.services[0].routes[2]};
  policy.overrides = {};
  const Image image = image_of(policy);
  const sg_limit& per_key = limit_named(image.view, "shop/per-key");
  ASSERT_NE(per_key.missing_limit, SG_NONE16);
  const sg_limit& instead = image.view.limits()[per_key.missing_limit];
  EXPECT_EQ(image.view.text(instead.name), "shop/per-client");
  EXPECT_EQ(instead.missing_limit, SG_NONE16);
  EXPECT_EQ(names_of_run(image.view, image.view.routes()[0].limits), "shop/per-key ");
}

TEST(Compile, MissingLimitsMayNotFormACircle) {
  policy::Policy policy = samples::full();
  policy.limits[0].missing_limit = name("per-key");
  expect_fault(policy, "form a circle");
  policy.limits[0].missing_limit = name("handshakes");
  expect_fault(policy, "counts another unit");
}

TEST(Compile, TheSameLimitCountsForEachServiceAlone) {
  policy::Policy policy = samples::full();
  policy.services[1].protocol.value = policy::Protocol::http;
  policy.services[1].limits = {name("per-client")};
  const Image image = image_of(policy);
  const sg_limit& shop = limit_named(image.view, "shop/per-client");
  const sg_limit& dns = limit_named(image.view, "dns/per-client");
  EXPECT_NE(shop.id, dns.id);
  EXPECT_EQ(dns.service, 1);
  EXPECT_EQ(dns.override_until_unix_s, 0u);  // the override names shop's
}

TEST(Compile, KeysAndAnswersOfALimit) {
  const Image image = image_of(samples::full());
  const sg_limit& per_key = limit_named(image.view, "shop/per-key");
  ASSERT_EQ(per_key.key_part_count, 1);
  EXPECT_EQ(per_key.key[0].kind, SG_KEY_HEADER);
  EXPECT_EQ(image.view.text(image.view.key_headers()[per_key.key[0].header_index]), "x-api-key");
  EXPECT_EQ(image.view.responses()[per_key.unknown_response].status, 401);
  EXPECT_EQ(image.view.text(image.view.lists()[per_key.known_list].name), "api-keys");
  const sg_limit& login = limit_named(image.view, "shop/login");
  EXPECT_EQ(login.key[0].kind, SG_KEY_CLIENT);
  EXPECT_EQ(login.key[1].kind, SG_KEY_PATH);
  EXPECT_EQ(image.view.responses()[login.over_response].status, 429);
  EXPECT_EQ(limit_named(image.view, "shop/handshakes").over, SG_OVER_COOKIE);
}

TEST(Compile, AnOverrideIsASecondRuleWithAnEnd) {
  const Image image = image_of(samples::full());
  const sg_limit& limit = limit_named(image.view, "shop/per-client");
  EXPECT_EQ(limit.rule.interval_ns, 10'000'000u);           // 100/s
  EXPECT_EQ(limit.override_rule.interval_ns, 50'000'000u);  // 20/s
  EXPECT_EQ(limit.override_rule.horizon_ns, 200 * 50'000'000ull);
  EXPECT_EQ(limit.override_until_unix_s, 1'795'993'140u);
  policy::Policy policy = samples::full();
  policy.overrides[0].limit = name("per-net");
  expect_fault(policy, "shop/per-net");
  policy = samples::full();
  policy.overrides.push_back(policy.overrides[0]);
  expect_fault(policy, "overridden twice");
}

// A bucket charged under a slower rule holds times far ahead; whoever reads it under a faster one
// must not take them for somebody else's. Also after one more reload.
TEST(Compile, HorizonsAreRememberedFromImageToImage) {
  policy::Policy policy = samples::full();
  policy.overrides = {};
  policy.limits[0].burst_units.value = 6000;  // 60 s at 100/s
  const Image slow = image_of(policy, 1);
  policy.limits[0].burst_units.value = 200;
  const Image fast = image_of(policy, 2, &slow.view);
  const Image again = image_of(policy, 3, &fast.view);
  for (const ImageView* view : {&fast.view, &again.view}) {
    const sg_limit& limit = limit_named(*view, "shop/per-client");
    EXPECT_EQ(limit.rule.horizon_ns, 2'000'000'000u);
    EXPECT_EQ(limit.rule.horizon_seen_ns, 60'000'000'000u);
  }
  EXPECT_EQ(limit_named(image_of(policy).view, "shop/per-client").rule.horizon_seen_ns,
            2'000'000'000u);
  // The override's horizon counts from the start: a bucket moves between the two rules.
  const Image overridden = image_of(samples::full());
  const sg_limit& limit = limit_named(overridden.view, "shop/per-client");
  EXPECT_EQ(limit.rule.horizon_seen_ns, 10'000'000'000u);
  EXPECT_EQ(limit.override_rule.horizon_seen_ns, 10'000'000'000u);
}

TEST(Compile, ARunHoldsEightLimits) {
  policy::Policy policy = samples::small();
  for (int i = 0; i < 9; i++) {
    policy.limits.push_back(samples::limit(fmt::format("l{}", i), 10, 10));
    policy.services[0].limits.push_back(policy.limits.back().name);
  }
  expect_fault(policy, "9 limits of one unit");
  policy::Route route;
  route.limits = {policy.services[0].limits.back()};
  policy.services[0].limits.pop_back();
  policy.services[0].routes = {route};
  expect_fault(policy, "9 limits of one unit");
  policy.services[0].routes = {};
  EXPECT_EQ(faults_of(policy), "");
}

TEST(Compile, ARouteLimitCountsRequests) {
  policy::Policy policy = samples::full();
  policy.services[0].routes[0].limits = {name("handshakes")};
  expect_fault(policy, "handshakes does not count requests");
}

TEST(Compile, ARequestMayNotCostMoreThanABurst) {
  policy::Policy policy = samples::full();
  policy.services[0].routes[1].cost.value = 6;  // login has a burst of 5
  expect_fault(policy, "limit shop/login has a burst of 5");
  policy.services[0].routes[1].cost.value = 5;
  EXPECT_EQ(faults_of(policy), "");
}

TEST(Compile, SixteenHeaderNamesAreAskedOfTheReader) {
  policy::Policy policy = samples::small();
  policy::Route route;
  for (int i = 0; i < 16; i++) route.headers.push_back({fmt::format("x-{}", i), "1"});
  policy.services[0].routes = {route, route};
  EXPECT_EQ(image_of(policy).view.key_headers().size(), 16u);
  policy::Limit limit = samples::limit("by-header", 1, 1);
  limit.key = {{policy::KeyKind::header, "x-api-key", {}}};
  policy.limits = {limit};
  policy.services[0].limits = {limit.name};
  EXPECT_EQ(faults_of(policy),
            "header x-15 is one too many: a policy may ask for 16 header names in keys, routes, "
            "client rules and signatures together\n");
}

TEST(Compile, ASourceIsInTheListsThatCoverIt) {
  const Image image = image_of(samples::full());
  const auto lists = image.view.lists();
  ASSERT_EQ(lists.size(), 4u);
  EXPECT_EQ(image.view.text(lists[0].name), "office");
  EXPECT_EQ(image.view.text(lists[1].name), "blocked");
  EXPECT_EQ(image.view.text(lists[2].name), "cdn");  // the peers of the client rule
  EXPECT_EQ(image.view.text(lists[3].name), "api-keys");
  EXPECT_EQ(lists_of(image.view, samples::ipv4(192, 0, 2, 1)), 1u);
  EXPECT_EQ(lists_of(image.view, samples::ipv4(192, 0, 2, 7)), 0u);    // the exception
  EXPECT_EQ(lists_of(image.view, samples::ipv4(192, 0, 2, 129)), 5u);  // office and cdn
  EXPECT_EQ(lists_of(image.view, samples::ipv4(203, 0, 113, 9)), 2u);
  EXPECT_EQ(lists_of(image.view, samples::ipv6(99)), 1u);
  EXPECT_EQ(lists_of(image.view, samples::ipv4(8, 8, 8, 8)), 0u);
  EXPECT_TRUE(lists[0].exempt_limits && lists[0].exempt_signatures && !lists[0].exempt_penalties);
  EXPECT_TRUE(lists[1].deny && !lists[0].deny);
  EXPECT_EQ(lists[0].ceiling_rule.interval_ns, 20'000'000u);
  EXPECT_EQ(image.view.clients()[0].list, 2);
  EXPECT_EQ(image.view.text(image.view.key_headers()[image.view.clients()[0].header_index]),
            "cf-connecting-ip");
  // Keys are sorted, and one that is given twice stands there once.
  EXPECT_EQ(lists[3].keys_count, 2u);
  EXPECT_EQ(image.view.key_digests()[lists[3].keys_first].sha256[0], 3);
}

TEST(Compile, ListsAndClientRulesShareSixtyFourBits) {
  policy::Policy policy = samples::small();
  for (int i = 0; i < 63; i++) {
    policy::List list;
    list.name = name(fmt::format("list{}", i));
    list.cidrs = {{samples::ipv4(10, 0, static_cast<uint8_t>(i), 0), 96 + 24, false}};
    policy.lists.push_back(list);
  }
  policy.clients = {
      {name("cdn"), {{samples::ipv4(10, 9, 0, 0), 96 + 16, false}}, {"x-real-ip", {}}}};
  const Image image = image_of(policy);
  EXPECT_EQ(lists_of(image.view, samples::ipv4(10, 9, 1, 1)), 1ull << 63);
  EXPECT_EQ(lists_of(image.view, samples::ipv4(10, 0, 62, 1)), 1ull << 62);
  policy.lists.push_back(policy.lists[0]);
  policy.lists.back().name = name("one-more");
  expect_fault(policy, "65 lists of addresses and client rules are too many");
}

TEST(Compile, ManyVipsOfOneNetworkAreAllFound) {
  policy::Policy policy = samples::small();
  policy.services[0].vips = {};
  for (int i = 0; i < 4096; i++)
    policy.services[0].vips.push_back(
        {{samples::ipv4(198, 51, static_cast<uint8_t>(i / 256), static_cast<uint8_t>(i)), 80}, {}});
  const Image image = image_of(policy);
  for (const auto& vip : policy.services[0].vips)
    EXPECT_NE(image.view.find_vip(vip.value.address.bytes.data(), sg_be16(80), IPPROTO_TCP),
              nullptr);
  // Twice the entries, and no more than one doubling to keep the probes short.
  EXPECT_LE(image.view.vips().size(), 4u * 8192);
}

// Address and port both count: neighbouring ports on neighbouring addresses must not share homes.
TEST(Compile, ManyPortsOnManyAddressesAreAllFound) {
  policy::Policy policy = samples::small();
  policy.services[0].vips = {};
  for (uint8_t host = 0; host < 64; host++)
    for (uint16_t port = 8000; port < 8064; port++)
      policy.services[0].vips.push_back({{samples::ipv4(198, 51, 100, host), port}, {}});
  const Image image = image_of(policy);
  for (const auto& vip : policy.services[0].vips)
    EXPECT_NE(
        image.view.find_vip(vip.value.address.bytes.data(), sg_be16(vip.value.port), IPPROTO_TCP),
        nullptr);
  EXPECT_LE(image.view.vips().size(), 4u * 8192);
}

TEST(Compile, AVipBelongsToOneService) {
  policy::Policy policy = samples::full();
  policy.services[1].vips[0].value.port = 80;  // UDP: another VIP
  EXPECT_EQ(faults_of(policy), "");
  policy.services[1].protocol.value = policy::Protocol::tls;
  expect_fault(policy, "belongs to service shop already");
  policy.services[1].vips[0].value.port = 0;
  expect_fault(policy, "port from 1");
}

TEST(Compile, BudgetsOfAService) {
  policy::Policy policy = samples::small();
  const sg_service by_default = image_of(policy).view.services()[0];
  EXPECT_EQ(by_default.budgets[SG_BUDGET_ANSWERS].rule.interval_ns, 1000u);
  EXPECT_EQ(by_default.budgets[SG_BUDGET_ANSWERS].rule.horizon_ns, 100'000'000u);
  EXPECT_EQ(by_default.budgets[SG_BUDGET_STRAYS].rule.interval_ns, 5000u);
  EXPECT_EQ(by_default.budgets[SG_BUDGET_STRAYS].units_per_charge, 1u);
  policy.services[0].answers = policy::Placed<policy::Rate>{samples::per_second(3'000'000), {}};
  policy.services[0].strays = policy::Placed<policy::Rate>{{1, 60'000'000'000}, {}};
  const Image image = image_of(policy);
  const sg_budget* budgets = image.view.services()[0].budgets;
  EXPECT_EQ(budgets[SG_BUDGET_ANSWERS].units_per_charge, SG_LEASE_UNITS);
  EXPECT_LE(budgets[SG_BUDGET_ANSWERS].rule.horizon_ns, 100'000'000u);
  EXPECT_GT(budgets[SG_BUDGET_ANSWERS].rule.horizon_ns, 99'000'000u);
  EXPECT_EQ(budgets[SG_BUDGET_STRAYS].rule.horizon_ns, 60'000'000'000u);  // one unit at least
  policy.services[0].strays = policy::Placed<policy::Rate>{samples::per_second(10), {}};
  const auto next = compile({policy, 2, &image.view});
  EXPECT_EQ(
      ImageView::open(next.bytes)->services()[0].budgets[SG_BUDGET_STRAYS].rule.horizon_seen_ns,
      60'000'000'000u)
      << "a bucket outlives the image that charged it";
}

TEST(Compile, CapacityAndPenaltiesOfAService) {
  const Image image = image_of(samples::full());
  const sg_service& shop = image.view.services()[0];
  EXPECT_EQ(shop.capacity_rule.interval_ns, 5000u);
  EXPECT_EQ(shop.capacity_rule.horizon_ns, 1'000'000'000u);  // a second's worth is the default
  EXPECT_EQ(image.view.text(image.view.responses()[shop.capacity_response].name), "full");
  EXPECT_TRUE(shop.capacity_shed_by_class && shop.capacity_shed_by_client);
  ASSERT_EQ(shop.penalties_count, 1);
  const sg_penalty& penalty = image.view.penalties()[shop.penalties_first];
  EXPECT_EQ(image.view.text(penalty.name), "shop/repeat");
  EXPECT_EQ(penalty.ban_ns, 600'000'000'000u);
  EXPECT_EQ(image.view.services()[1].capacity_response, SG_NONE16);
}

}  // namespace
}  // namespace surgegate
