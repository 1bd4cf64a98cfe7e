// SPDX-License-Identifier: BSD-3-Clause
// No backend reads more ClientHellos than were admitted. An attacker opens, closes and resets
// connections of one address and port, at numbers near each other and far, in any order; of what
// the gate forwards the backend takes a part only, and it ends connections by itself, unseen.
//
// And who knows no more of a connection than its addresses and ports ends it neither at the backend
// nor at the gate. SURGEGATE_SEED repeats a run, SURGEGATE_LONG=1 does more.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

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
limits:
  hellos: {{key: [source], rate: 1/min, burst: {}, over: {}}}
services:
  shop: {{vips: ["198.51.100.10:443"], protocol: tls, pool: web, limits: [hellos]}}
pools:
  web: {{forward: l2, backends: {{web1: {{address: 10.0.1.1}}}}}}
)";

// A backend's TCP: one connection at a time, of which what comes early waits. With SYN cookies it
// remembers nothing of a SYN, and opens with what follows it. (Once each: docs/threat-model.md.)
class Backend {
 public:
  explicit Backend(bool has_cookies) : has_cookies_(has_cookies) {}

  void take(const Bytes& frame) {
    sg_packet packet;
    sg_read_frame(frame.data(), frame.data() + frame.size(), &packet);
    if (packet.tcp_flags & SG_TCP_SYN) {
      if (!open_) cookies_[packet.seq + 1] = now_s_;
      if (!has_cookies_) open(packet.seq + 1);
      return;
    }
    const auto cookie = cookies_.find(packet.seq);
    if (has_cookies_ && !open_ && cookie != cookies_.end()) {
      if (now_s_ - cookie->second <= 120) open(packet.seq);
      cookies_.erase(cookie);
    }
    if (!open_) return;
    if (packet.tcp_flags & SG_TCP_RST) {
      if (packet.seq == next_seq_) close();
      return;
    }
    for (uint32_t i = 0; i < packet.payload_length; i++) early_.insert(packet.seq + i);
    while (early_.erase(next_seq_) > 0) {
      if (next_seq_++ == first_seq_) hellos_++;
      last_s_ = now_s_;
    }
    const uint32_t end_seq = packet.seq + packet.payload_length;
    if (packet.seq == next_seq_ || next_seq_ != first_seq_) established_ = true;
    if ((packet.tcp_flags & SG_TCP_FIN) && end_seq == next_seq_) close();
  }

  // Linux sends its SYN-ACK for 63 s, and no server waits for longer than 90 s
  // (docs/threat-model.md).
  void wait_until(uint64_t now_s) {
    now_s_ = now_s;
    if (now_s_ - last_s_ > (established_ ? 90 : 63)) close();
  }
  void close() {
    open_ = false;
    early_.clear();
  }
  uint32_t next_seq() const { return next_seq_; }
  size_t hellos() const { return hellos_; }

 private:
  // A SYN to a live connection is challenged [RFC 5961 section 4].
  void open(uint32_t first_seq) {
    if (open_) return;
    open_ = true;
    established_ = false;
    first_seq_ = next_seq_ = first_seq;
    last_s_ = now_s_;
  }

  bool has_cookies_;
  std::map<uint32_t, uint64_t> cookies_;  // by the first byte: when it was given
  bool open_ = false;
  bool established_ = false;
  uint32_t first_seq_ = 0, next_seq_ = 0;
  uint64_t now_s_ = 0, last_s_ = 0;
  size_t hellos_ = 0;
  std::set<uint32_t> early_;
};

class Attack {
 public:
  Attack(Random& random, Journey& journey)
      : random_(random), journey_(journey), backend_(one_in(random, 3)) {
    client_.fields.mss = 1460;
  }

  void step() {
    if (one_in(random_, 30)) return pause();
    if (one_in(random_, 20)) {
      backend_.close();
      story_ += "\n-- the backend ends it";
      return;
    }
    const uint32_t seq = somewhere();
    switch (draw(random_, 8)) {
      case 0:
      case 1:
        return send(syn, seq - 1, 0);
      case 2:
        return send(rst, seq, 0);
      case 3:
        return send(fin | ack, seq, static_cast<uint32_t>(draw(random_, 3)));
      case 4:
      case 5:
        return send(ack, seq, 0);
      default:
        return send(psh | ack, seq, 1 + static_cast<uint32_t>(draw(random_, 6)));
    }
  }
  void check() const { ASSERT_LE(backend_.hellos(), admitted_) << story_; }
  size_t hellos() const { return backend_.hellos(); }

 private:
  // At a few places, or a little beside them, or where the backend waits.
  uint32_t somewhere() {
    static constexpr uint32_t places[] = {1'000'000, 1'000'400,  1'001'000,    1'060'000,
                                          1'070'000, 77'000'000, 3'000'000'000};
    if (one_in(random_, 3)) return backend_.next_seq();
    const uint32_t place = places[draw(random_, std::size(places))];
    return one_in(random_, 3) ? place - 3 + static_cast<uint32_t>(draw(random_, 7)) : place;
  }

  void pause() {
    static constexpr uint64_t seconds[] = {1, 11, 31, 62, 76, 89, 91, 110, 149, 901};
    clock_s_ += seconds[draw(random_, std::size(seconds))];
    backend_.wait_until(clock_s_);
    journey_.at(clock_s_ * 1'000'000'000);
    story_ += fmt::format("\n-- {} s", clock_s_);
  }

  void send(int flags, uint32_t seq, uint32_t bytes) {
    FrameFields f = client_.fields;
    f.tcp_flags = static_cast<uint8_t>(flags);
    f.seq = seq;
    f.payload = bytes_of(std::string("\x16\x03\x01\x01\x01\x01", bytes));
    if ((flags & syn) == 0) f.mss.reset();
    const Fate& fate = journey_.send(build(f));
    admitted_ += fate.requests_admitted;
    const bool discarded = one_in(random_, 4);
    story_ += fmt::format("\n{:#x} at {}, {} bytes: {}{}", flags, seq, bytes,
                          rules()[fate.reason].name, discarded ? ", discarded" : "");
    for (size_t i = 0; i < fate.sent.size(); i++) {
      const bool to_client = fate.verdict == SG_VERDICT_answered && i == 0;
      // A reset of the gate's own is on its own link.
      if (!to_client && (!discarded || fate.verdict == SG_VERDICT_answered))
        backend_.take(fate.sent[i]);
    }
  }

  Random& random_;
  Journey& journey_;
  Backend backend_;
  Client client_{"192.0.2.1", 4000, "198.51.100.10", 443};
  size_t admitted_ = 0;
  uint64_t clock_s_ = 0;
  std::string story_;  // what was sent, for who has to find out
};

TEST(Hellos, NoMoreReachABackendThanWereAdmitted) {
  const std::shared_ptr<const PolicyInForce> policies[] = {
      policy_in_force(fmt::format(policy_text, 1000, 429)),
      policy_in_force(fmt::format(policy_text, 3, 429)),
      policy_in_force(fmt::format(policy_text, 3, "drop"))};
  const uint64_t first = first_seed();
  size_t hellos = 0;
  Journey journey(policies[0]);
  for (uint64_t i = 0; i < rounds(2'000, 1'000'000); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    journey.start_over(policies[(first + i) % 3]);
    Attack attack(random, journey);
    for (int step = 0; step < 80; step++) {
      attack.step();
      attack.check();
      if (::testing::Test::HasFatalFailure()) return;
    }
    ASSERT_EQ(journey.conservation_fault(), "");
    hellos += attack.hellos();
  }
  EXPECT_GT(hellos, 1'500u) << "or nothing was tried";
}

// Nowhere near the client's numbers, which a guess meets once in a million times.
class Stranger {
 public:
  Stranger(Random& random, Journey& journey, const FrameFields& clients)
      : random_(random), journey_(journey), fields_(clients) {
    aim();
  }

  // One of the first so many kinds: the last two carry a hello.
  void forge(uint64_t kinds) {
    static constexpr int flags[] = {syn, ack, rst, fin | ack, psh | ack, psh | ack};
    if (one_in(random_, 4)) aim();
    FrameFields f = fields_;
    f.tcp_flags = static_cast<uint8_t>(flags[draw(random_, kinds)]);
    f.seq = f.tcp_flags == syn ? seq_ - 1 : seq_;
    if (f.tcp_flags & psh) f.payload = bytes_of("\x16\x03\x01");
    const Fate& fate = journey_.send(build(f));
    ASSERT_NE(fate.verdict, SG_VERDICT_answered) << rules()[fate.reason].name;
  }

 private:
  void aim() { seq_ = fields_.seq + (1u << 21) + static_cast<uint32_t>(draw(random_, 1u << 31)); }

  Random& random_;
  Journey& journey_;
  FrameFields fields_;
  uint32_t seq_ = 0;
};

// Over the limit, so that every hello of his would be answered if it could.
TEST(Hellos, WhoForgesWithoutTheNumbersEndsNothing) {
  const std::shared_ptr<const PolicyInForce> policy =
      policy_in_force(fmt::format(policy_text, 1, 429));
  const uint64_t first = first_seed();
  Journey journey(policy);
  for (uint64_t i = 0; i < rounds(500, 100'000); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    journey.start_over(policy);
    Client client("192.0.2.1", 4000, "198.51.100.10", 443);
    journey.send(client.open());
    Stranger stranger(random, journey, client.fields);
    // No hello: that would be counted before the client's.
    for (uint64_t left = draw(random, 8); left > 0; left--) stranger.forge(4);
    ASSERT_EQ(journey.send(client.acknowledge()).reason, SG_REASON_segment);
    for (uint64_t left = draw(random, 8); left > 0; left--) stranger.forge(4);
    ASSERT_EQ(journey.send(client.send("\x16\x03\x01")).reason, SG_REASON_request);
    uint64_t clock_s = 0;
    for (int step = 0; step < 60; step++) {
      if (one_in(random, 15)) journey.at((clock_s += draw(random, 60)) * 1'000'000'000);
      stranger.forge(6);
      ASSERT_EQ(journey.send(client.send("goes on")).reason, SG_REASON_segment);
    }
  }
}

}  // namespace
}  // namespace surgegate
