// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/classify.h"

#include <gtest/gtest.h>

#include "dataplane/path/parse.h"
#include "tests/support/client.h"
#include "tests/support/policy_text.h"

namespace surgegate {
namespace {

using testing::Bytes;
using testing::Client;

constexpr const char* policy_text = R"(
version: 1
lists:
  wide:    {cidrs: [10.0.0.0/8, "!10.1.0.0/16", 10.1.2.0/24], deny: drop}
  narrow:  {cidrs: [10.1.2.3, "2001:db8:1::/48"], exempt: [limits]}
  trusted: {cidrs: [10.9.0.0/16], exempt: [all]}
  shadow1: {cidrs: [0.0.0.0/0, "::/0"], deny: drop, mode: count}
  shadow2: {cidrs: [0.0.0.0/0, "::/0"], exempt: [all], mode: count}
services:
  shop:
    vips: ["198.51.100.10:80", "[2001:db8::10]:80"]
    protocol: http
    pool: web
  names:
    vips: ["198.51.100.53:53"]
    protocol: udp
    pool: web
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}
)";

class Classify : public ::testing::Test {
 protected:
  // All sources as one burst, so that each lane must get its own result.
  std::vector<Lane> classified(const std::vector<const char*>& sources) {
    std::vector<Lane> lanes(sources.size());
    frames_.clear();
    for (size_t i = 0; i < sources.size(); i++) {
      const bool ip6 = std::string_view(sources[i]).find(':') != std::string_view::npos;
      frames_.push_back(Client(sources[i], 1000, ip6 ? "2001:db8::10" : "198.51.100.10").open());
      lanes[i].frame.bytes = frames_.back().data();
      lanes[i].frame.length = static_cast<uint16_t>(frames_.back().size());
    }
    parse(lanes, {1, 2});
    classify(lanes, *policy_, counters_.lists);
    return lanes;
  }

  std::vector<Bytes> frames_;
  Counters counters_;
  std::unique_ptr<PolicyInForce> policy_ = testing::policy_in_force(policy_text);
};

TEST_F(Classify, TheLongestPrefixOfAListDecidesAndEachLaneGetsItsOwn) {
  const std::vector<Lane> lanes =
      classified({"10.2.3.4", "10.1.9.9", "10.1.2.9", "10.1.2.3", "192.0.2.1", "2001:db8:1::5",
                  "2001:db8:2::5", "10.9.1.1"});
  auto denied = [&](size_t i) { return (lanes[i].found & SG_FOUND(denied)) != 0; };
  EXPECT_TRUE(denied(0));
  EXPECT_FALSE(denied(1)) << "an exception";
  EXPECT_TRUE(denied(2)) << "inside the exception";
  EXPECT_TRUE(denied(3)) << "another list's exemption is no pardon";
  EXPECT_FALSE(denied(4));
  EXPECT_FALSE(denied(5));
  EXPECT_TRUE(denied(7));
  EXPECT_TRUE(lanes[3].exempt_limits);
  EXPECT_TRUE(lanes[5].exempt_limits);
  EXPECT_FALSE(lanes[6].exempt_limits);
  EXPECT_FALSE(lanes[5].exempt_signatures);
  EXPECT_TRUE(lanes[7].exempt_signatures);
}

TEST_F(Classify, AListThatOnlyCountsNeitherDeniesNorExempts) {
  const std::vector<Lane> lanes = classified({"192.0.2.1", "2001:db8:9::1"});
  for (const Lane& lane : lanes) {
    EXPECT_NE(lane.lists, 0u) << "but it is told apart, for counting";
    EXPECT_EQ(lane.found, 0u);
    EXPECT_FALSE(lane.exempt_limits);
    EXPECT_FALSE(lane.exempt_signatures);
  }
  for (size_t list : {3u, 4u}) {
    EXPECT_EQ(counters_.lists[list].packets, 0u);
    EXPECT_EQ(counters_.lists[list].would_packets, 2u);
  }
}

TEST_F(Classify, AListThatDeniesOrExemptsIsCounted) {
  classified({"10.2.3.4", "10.9.1.1", "2001:db8:1::5", "192.0.2.1"});
  EXPECT_EQ(counters_.lists[0].packets, 2u) << "10.0.0.0/8";
  EXPECT_EQ(counters_.lists[1].packets, 1u) << "2001:db8:1::/48";
  EXPECT_EQ(counters_.lists[2].packets, 1u) << "10.9.0.0/16";
  EXPECT_EQ(counters_.lists[0].would_packets, 0u);
}

TEST_F(Classify, AFullBurstIsClassified) {
  std::vector<const char*> sources(SG_BURST_PACKETS_MAX, "192.0.2.1");
  sources[31] = "10.2.3.4";
  const std::vector<Lane> lanes = classified(sources);
  for (size_t i = 0; i < 31; i++) EXPECT_EQ(lanes[i].found, 0u);
  EXPECT_EQ(lanes[31].found, SG_FOUND(denied));
}

TEST_F(Classify, AServiceIsAddressPortAndProtocol) {
  EXPECT_NE(classified({"192.0.2.1"})[0].service, nullptr);
  for (Bytes frame : {Client("192.0.2.1", 1, "198.51.100.10", 53).open(),
                      Client("192.0.2.1", 1, "198.51.100.53", 53).open(),
                      Client("192.0.2.1", 1, "198.51.100.10", 80).datagram("x"),
                      Client("192.0.2.1", 1, "198.51.100.11", 80).open()}) {
    Lane lane;
    lane.frame.bytes = frame.data();
    lane.frame.length = static_cast<uint16_t>(frame.size());
    parse({&lane, 1}, {1, 2});
    classify({&lane, 1}, *policy_, counters_.lists);
    EXPECT_EQ(lane.service, nullptr);
    EXPECT_EQ(lane.found, SG_FOUND(not_vip));
  }
}

}  // namespace
}  // namespace surgegate
