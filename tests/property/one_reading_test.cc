// SPDX-License-Identifier: BSD-3-Clause
// The bytes judged are the bytes that the backend reads. An attacker has two streams, of which one
// is harmless to the gate and the other is not; he sends pieces of both at any place, again and out
// of order, with SYNs, resets and urgent bytes in between, and part of what the gate forwards the
// backend never takes (for a bad TTL, an old timestamp, a wild acknowledgement ..). However he does
// it, no backend may come to read a head that the gate would have dropped, or more heads than the
// gate admitted.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "dataplane/path/decide.h"
#include "dataplane/path/seq.h"
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
signatures:
  bots: {field: user-agent, patterns: ['BadBot'], then: drop}
services:
  shop: {vips: ["198.51.100.10:80"], protocol: http, pool: web, signatures: [bots]}
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}
)";

constexpr std::string_view bad_head = "GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: BadBot1\r\n\r\n";

// The same bytes but for what the gate must not let pass: a user agent, and a length that would
// make a head of what is a body.
struct Streams {
  std::string harmless;
  std::string harmful;

  void add_get() {
    const std::string head = "GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: ";
    harmless += head + "GoodBot\r\n\r\n";
    harmful += head + "BadBot1\r\n\r\n";
  }
  void add_post() {
    const std::string head = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: ";
    harmless += head + fmt::format("{:02}\r\n\r\n{}", bad_head.size(), bad_head);
    harmful += head + fmt::format("00\r\n\r\n{}", bad_head);
  }
};

// A backend's TCP, as far as its reading goes: it takes what it gets in order, keeps what comes
// early, and where two early segments differ it has, like real ones, a habit of its own.
class Backend {
 public:
  Backend(bool first_wins) : first_wins_(first_wins) {}

  void take(const Bytes& frame) {
    sg_packet packet;
    sg_read_frame(frame.data(), frame.data() + frame.size(), &packet);
    if (packet.tcp_flags & SG_TCP_SYN) return open(packet.seq + 1);
    if (!open_) return;
    if (packet.tcp_flags & SG_TCP_URG) urgent_ = true;
    if (packet.tcp_flags & SG_TCP_RST) {
      if (packet.seq == next()) open_ = false;
      return;
    }
    for (uint32_t i = 0; i < packet.payload_length; i++) {
      const int32_t at = seq_distance(first_seq_, packet.seq + i);
      if (at < static_cast<int32_t>(read_.size())) continue;
      const auto place = static_cast<size_t>(at);
      const char byte = static_cast<char>(frame[packet.payload_offset + i]);
      if (first_wins_)
        early_.emplace(place, byte);
      else
        early_[place] = byte;
    }
    for (auto it = early_.begin(); it != early_.end() && it->first == read_.size();
         it = early_.erase(it))
      read_ += it->second;
  }

  uint32_t next() const { return first_seq_ + static_cast<uint32_t>(read_.size()); }
  const std::string& read() const { return read_; }
  bool is_open() const { return open_; }
  bool met_urgent_data() const { return urgent_; }

  // The heads in what was read, by the lengths that they themselves give.
  std::vector<std::string> heads() const {
    std::vector<std::string> all;
    size_t at = 0;
    for (size_t end; (end = read_.find("\r\n\r\n", at)) != std::string::npos;) {
      all.push_back(read_.substr(at, end + 4 - at));
      const size_t length = all.back().find("Content-Length: ");
      at = end + 4 + (length == std::string::npos ? 0 : std::stoul(all.back().substr(length + 16)));
      if (at >= read_.size()) break;
    }
    return all;
  }

 private:
  // A SYN to a live connection is challenged [RFC 5961 section 4].
  void open(uint32_t first_seq) {
    if (open_) return;
    open_ = true;
    first_seq_ = first_seq;
    read_.clear();
    early_.clear();
  }

  bool first_wins_;
  bool open_ = false;
  bool urgent_ = false;
  uint32_t first_seq_ = 0;
  std::string read_;
  std::map<size_t, char> early_;
};

class Attack {
 public:
  Attack(Random& random, Journey& journey)
      : random_(random), journey_(journey), backend_(one_in(random, 2)) {
    for (uint64_t n = 3 + draw(random_, 5); n > 0; n--)
      one_in(random_, 2) ? streams_.add_get() : streams_.add_post();
    send(syn, 0, {}, 0);
  }

  void step() {
    if (one_in(random_, 25)) return send(syn, anywhere(), {}, 0);
    if (one_in(random_, 25)) return send(rst | (one_in(random_, 2) ? ack : 0), anywhere(), {}, 0);
    const size_t from = anywhere();
    const std::string& source = one_in(random_, 4) ? streams_.harmful : streams_.harmless;
    if (from >= source.size()) return;
    const std::string piece = source.substr(from, 1 + draw(random_, one_in(random_, 3) ? 8 : 90));
    const int urgent = one_in(random_, 20) ? static_cast<int>(urg) : 0;
    send(psh | ack | urgent, 1 + from, piece, draw(random_, 4) * 100);
  }

  void check() const {
    const std::vector<std::string> heads = backend_.heads();
    for (const std::string& head : heads)
      ASSERT_EQ(head.find("BadBot"), std::string::npos) << backend_.read() << story_;
    ASSERT_LE(heads.size(), admitted_) << backend_.read() << story_;
    ASSERT_FALSE(backend_.met_urgent_data());
  }
  size_t heads_read() const { return backend_.heads().size(); }
  size_t differed() const { return journey_.total(SG_REASON_resend_differs); }

 private:
  // A place in the stream, counted from the first byte: mostly where the backend waits.
  size_t anywhere() {
    const size_t here = backend_.read().size();
    if (one_in(random_, 40)) return draw(random_, 1ull << 32);
    if (one_in(random_, 2)) return here;
    const size_t from = here > 150 ? here - 150 : 0;
    return from + draw(random_, here - from + 60);
  }

  void send(int flags, size_t offset, const std::string& payload, uint64_t read_bytes) {
    FrameFields f = client_.fields;
    f.tcp_flags = static_cast<uint8_t>(flags);
    f.seq += static_cast<uint32_t>(offset);
    f.ack_seq += static_cast<uint32_t>(acknowledged_ += read_bytes);
    if (one_in(random_, 15)) f.ack_seq += static_cast<uint32_t>(draw(random_, 1u << 31));
    f.urgent = static_cast<uint16_t>(payload.size());
    f.payload = bytes_of(payload);
    const Fate& fate = journey_.send(build(f));
    admitted_ += fate.requests_admitted;
    // What the backend discards, and the gate cannot know of it.
    const bool discarded = one_in(random_, 3);
    story_ += fmt::format("\n{:#x} at {} ack {}: {}{} [{}]", flags, offset, acknowledged_,
                          rules()[fate.reason].name, discarded ? ", discarded" : "", payload);
    for (size_t i = 0; i < fate.sent.size(); i++) {
      const bool to_client = fate.verdict == SG_VERDICT_answered && i == 0;
      if (!to_client && !discarded) backend_.take(fate.sent[i]);
    }
  }

  Random& random_;
  Journey& journey_;
  Backend backend_;
  Client client_{"192.0.2.1", 4000};
  Streams streams_;
  uint64_t acknowledged_ = 0;
  size_t admitted_ = 0;
  std::string story_;  // what was sent, for who has to find out
};

TEST(OneReading, WhatABackendReadsWasJudged) {
  const std::shared_ptr<const PolicyInForce> policy = policy_in_force(policy_text);
  const uint64_t first = first_seed();
  size_t read = 0, differed = 0;
  for (uint64_t i = 0; i < rounds(600, 150'000); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    Journey journey(policy);
    Attack attack(random, journey);
    for (int step = 0; step < 120; step++) attack.step();
    attack.check();
    ASSERT_EQ(journey.conservation_fault(), "");
    if (::testing::Test::HasFatalFailure()) return;
    read += attack.heads_read();
    differed += attack.differed();
  }
  EXPECT_GT(read, 200u) << "or nothing was tried";
  EXPECT_GT(differed, 200u);
}

}  // namespace
}  // namespace surgegate
