// SPDX-License-Identifier: BSD-3-Clause
// To no address go more bytes than came from it: whoever forges one gains nothing by the gate. Over
// any packets of one connection, in any order, at any time. SURGEGATE_SEED repeats a run,
// SURGEGATE_LONG=1 does more.
#include <gtest/gtest.h>

#include "dataplane/path/decide.h"
#include "tests/property/traffic.h"
#include "tests/support/client.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/support/seed.h"

namespace surgegate {
namespace {

using namespace testing;

constexpr const char* policy_text = R"(
version: 1
responses:
  long: {status: 429, body: "------------------------------------------------------------------------------------"}
limits:
  few: {key: [client], rate: 1/min, burst: 2, over: long}
services:
  shop: {vips: ["198.51.100.10:80", "[2001:db8::10]:80"], protocol: http, pool: web, limits: [few]}
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}, web2: {address: "2001:db8:b::3"}}}
)";

std::string with_tls(std::string text) {
  return text.replace(text.find("http"), 4, "tls");
}

size_t ip_bytes(const Bytes& frame) {
  return frame.size() - 14;  // untagged
}

class Forger {
 public:
  Forger(Random& random, Journey& journey, bool v6)
      : random_(random),
        journey_(journey),
        client_(v6 ? "2001:db8:c::1" : "192.0.2.1", 4000, v6 ? "2001:db8::10" : "198.51.100.10") {
    if (one_in(random_, 2)) client_.fields.timestamps = Timestamps{1, 1};
    first_seq_ = client_.fields.seq;
  }

  void step() {
    FrameFields f = client_.fields;
    f.seq = first_seq_ + static_cast<uint32_t>(draw(random_, 200));
    if (one_in(random_, 2)) f.ack_seq += static_cast<uint32_t>(draw(random_, 3) * 300);
    switch (draw(random_, 8)) {
      case 0:
        f.tcp_flags = syn;
        f.seq = first_seq_;
        f.mss = 1460;
        break;
      case 1:
        f.tcp_flags = fin | ack;
        break;
      case 2:
        f.tcp_flags = one_in(random_, 4) ? rst : ack;
        break;
      default:
        f.tcp_flags = psh | ack;
        if (one_in(random_, 2)) f.seq = first_seq_ + 1;
        f.payload =
            bytes_of(one_in(random_, 2)   ? "@"
                     : one_in(random_, 2) ? "GET / HTTP/1.0\r\n\r\n"
                                          : "HEAD / HTTP/1.1\r\nHost: a\r\nCookie: " +
                                                std::string(draw(random_, 400), 'c') + "\r\n\r\n");
        if (one_in(random_, 2)) f.payload[0] = 0x16;  // begins a ClientHello, as far as it goes
    }
    if (one_in(random_, 4)) journey_.at(clock_ns_ += draw(random_, 2'000'000'000));
    const Bytes frame = build(f);
    came_ += ip_bytes(frame);
    const Fate& fate = journey_.send(frame);
    if (fate.verdict != SG_VERDICT_answered) return;
    went_ += ip_bytes(fate.sent.at(0));
    answers_++;
    ASSERT_LE(went_, came_) << rules()[fate.reason].name;
  }
  // Another connection of his asks as often as he may.
  void use_up() {
    for (uint16_t port : {5000, 5001}) {
      Client other = client_;
      other.fields.src_port = port;
      journey_.send(other.open());
      journey_.send(other.send("\x16"));
    }
  }
  uint64_t answers() const { return answers_; }

 private:
  Random& random_;
  Journey& journey_;
  Client client_;
  uint32_t first_seq_ = 0;
  size_t came_ = 0, went_ = 0;
  uint64_t answers_ = 0, clock_ns_ = 0;
};

void forge(const std::string& text, bool use_up) {
  const std::shared_ptr<const PolicyInForce> policy = policy_in_force(text);
  const uint64_t first = first_seed();
  uint64_t answers = 0;
  for (uint64_t i = 0; i < rounds(1'000, 100'000); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    Journey journey(policy);
    Forger forger(random, journey, i % 2 == 1);
    if (use_up) forger.use_up();
    for (int step = 0; step < 60; step++) {
      forger.step();
      if (::testing::Test::HasFatalFailure()) return;
    }
    answers += forger.answers();
  }
  EXPECT_GT(answers, 1'000u);
}

TEST(Reflector, ToNoAddressGoesMoreThanCame) {
  forge(policy_text, false);
}

// Each connection is one request here, so that the forger's must come when there is none left.
TEST(Reflector, NorOfTls) {
  forge(with_tls(policy_text), true);
}

}  // namespace
}  // namespace surgegate
