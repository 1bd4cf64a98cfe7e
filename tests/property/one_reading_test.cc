// SPDX-License-Identifier: BSD-3-Clause
// The bytes judged are the bytes that the backend reads. An attacker has two streams, of which one
// is harmless to the gate and the other is not, and which differ in single bytes; he sends pieces
// of both at any place, again and out of order, with SYNs, resets, FINs and urgent bytes in between
// and pauses of any length, while others make the gate forget what it keeps; and part of what the
// gate forwards the backend never takes (for a bad TTL, an old timestamp, a wild acknowledgement
// ..). However he does it, no backend may come to read a head that the gate would have dropped, or
// more heads than the gate admitted.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

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
  bots: {{field: user-agent, patterns: ['BadBot'], then: {}}}
services:
  shop: {{vips: ["198.51.100.10:80"], protocol: http, pool: web, signatures: [bots]}}
pools:
  web: {{forward: l2, backends: {{web1: {{address: 10.0.1.1}}}}}}
)";

constexpr std::string_view bad_head = "GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: BadBot\r\n\r\n";

// The same bytes but for what the gate must not let pass: a letter of a user agent, and a length or
// chunk size that would make a head of what is a body.
struct Streams {
  std::string harmless;
  std::string harmful;

  void add(const std::string& good, const std::string& bad) {
    harmless += good;
    harmful += bad;
  }
  void add_get() {
    const std::string head = "GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: Bad";
    add(head + "Hot\r\n\r\n", head + "Bot\r\n\r\n");
  }
  void add_post() {
    const std::string head = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: ";
    add(head + fmt::format("{:02}\r\n\r\n{}", bad_head.size(), bad_head),
        head + fmt::format("00\r\n\r\n{}", bad_head));
  }
  void add_chunks() {
    const std::string head =
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    add(head + fmt::format("{:04x}\r\n{}\r\n0\r\n\r\n", bad_head.size(), bad_head),
        head + fmt::format("00\r\n\r\n{}\r\n0\r\n\r\n", bad_head));
  }
};

// The heads in what was read, by the lengths that they themselves give.
std::vector<std::string> heads_in(const std::string& read) {
  std::vector<std::string> all;
  size_t at = 0;
  for (size_t end; at < read.size() && (end = read.find("\r\n\r\n", at)) != std::string::npos;) {
    const std::string head = read.substr(at, end + 4 - at);
    all.push_back(head);
    at = end + 4;
    const size_t length = head.find("Content-Length: ");
    if (length != std::string::npos) at += std::stoul(head.substr(length + 16));
    while (head.find("chunked") != std::string::npos) {
      const size_t line_end = read.find("\r\n", at);
      if (line_end == std::string::npos) return all;
      const size_t bytes = std::stoul("0" + read.substr(at, line_end - at), nullptr, 16);
      at = line_end + 2 + bytes + 2;
      if (bytes == 0) break;
    }
  }
  return all;
}

// A backend's TCP, as far as its reading goes: it takes what it gets in order, keeps what comes
// early, and where two early segments differ it has, like real ones, a habit of its own.
class Backend {
 public:
  Backend(bool first_wins, bool answers_long)
      : first_wins_(first_wins), answers_long_(answers_long) {}

  void take(const Bytes& frame) {
    sg_packet packet;
    sg_read_frame(frame.data(), frame.data() + frame.size(), &packet);
    if (packet.tcp_flags & SG_TCP_SYN) return open(packet.seq + 1);
    if ((packet.tcp_flags & SG_TCP_RST) == 0) last_met_s_ = now_s_;
    if (!open_) return;
    const size_t had = read_.size();
    if (packet.tcp_flags & SG_TCP_URG) urgent_ = true;
    if (packet.tcp_flags & SG_TCP_RST) {
      if (packet.seq == next()) close();
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
    if (packet.seq == next() || !read_.empty()) established_ = true;
    if (read_.size() > had) last_s_ = now_s_;
    const uint32_t end_seq = packet.seq + packet.payload_length;
    if ((packet.tcp_flags & SG_TCP_FIN) && end_seq == next()) close();
  }

  uint32_t next() const { return first_seq_ + static_cast<uint32_t>(read_.size()); }
  uint32_t first_seq() const { return first_seq_; }
  const std::string& read() const { return read_; }
  bool met_urgent_data() const { return urgent_; }

  // Of all connections so far.
  std::vector<std::string> heads() const {
    std::vector<std::string> all = heads_before_;
    for (std::string& head : heads_in(read_)) all.push_back(std::move(head));
    return all;
  }

  // Linux sends its SYN-ACK for 63 s, and no server waits for a request or for more of one for
  // longer than 90 s; but one that still answers does, for as long as the gate knows its
  // connection, or one that came later; not beyond that, and not when two came
  // (docs/threat-model.md).
  void wait_until(uint64_t now_s, const std::vector<uint64_t>& later_s) {
    now_s_ = now_s;
    const bool answers = answers_long_ && later_s.size() < 2 && !heads_in(read_).empty();
    const uint64_t known_s = later_s.empty() ? last_met_s_ : later_s[0];
    const bool is_over = answers        ? now_s_ - known_s > 880
                         : established_ ? now_s_ - last_s_ > 90
                                        : now_s_ - last_s_ > 63;
    if (is_over) close();
  }

  void close() {
    if (!open_) return;
    open_ = false;
    heads_before_ = heads();
    read_.clear();
    early_.clear();
  }

 private:
  // A SYN to a live connection is challenged [RFC 5961 section 4].
  void open(uint32_t first_seq) {
    if (open_) return;
    open_ = true;
    established_ = false;
    last_s_ = now_s_;
    first_seq_ = first_seq;
  }

  bool first_wins_;
  bool answers_long_;
  bool open_ = false;
  bool urgent_ = false;
  bool established_ = false;
  uint64_t now_s_ = 0;
  uint64_t last_s_ = 0;      // when it read something new
  uint64_t last_met_s_ = 0;  // .. or met anything of its connection
  uint32_t first_seq_ = 0;
  std::string read_;
  std::map<size_t, char> early_;
  std::vector<std::string> heads_before_;
};

class Attack {
 public:
  Attack(Random& random, Journey& journey)
      : random_(random), journey_(journey), backend_(one_in(random, 2), one_in(random, 2)) {
    for (uint64_t n = 3 + draw(random_, 5); n > 0; n--) {
      switch (draw(random_, 3)) {
        case 0:
          streams_.add_get();
          break;
        case 1:
          streams_.add_post();
          break;
        default:
          streams_.add_chunks();
      }
    }
    start_seq_ = client_.fields.seq;
    send(syn, start_seq_, {}, 0);
  }

  void step() {
    if (one_in(random_, 60)) pause();
    if (one_in(random_, 60)) return others_push();
    if (one_in(random_, 60)) return cover();
    if (one_in(random_, 60) && !opened_.empty())
      return send(syn, opened_[draw(random_, opened_.size())].first_seq - 1, {}, 0);
    const bool of_newest = one_in(random_, 4);
    const uint32_t seq =
        of_newest ? newest_first_seq_ + static_cast<uint32_t>(draw(random_, 300)) : anywhere();
    if (one_in(random_, 25)) return send(syn, seq - 1, {}, 0);
    if (one_in(random_, 25)) return send(rst | (one_in(random_, 2) ? ack : 0), seq, {}, 0);
    const size_t from = seq - (of_newest ? newest_first_seq_ : backend_.first_seq());
    if (one_in(random_, 25)) return send(fin | ack, seq, {}, 0);
    if (one_in(random_, 20)) return send(ack, seq, {}, 0);
    const std::string& source = one_in(random_, 4) ? streams_.harmful : streams_.harmless;
    if (from >= source.size()) return;
    const uint64_t bytes = one_in(random_, 4) ? 1 : one_in(random_, 3) ? 8 : 90;
    const std::string piece = source.substr(from, 1 + draw(random_, bytes));
    const int urgent = one_in(random_, 20) ? static_cast<int>(urg) : 0;
    const int end = one_in(random_, 30) ? static_cast<int>(fin) : 0;
    send(psh | ack | urgent | end, seq, piece, draw(random_, 4) * 100);
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
  size_t went_ahead() const { return journey_.total(SG_REASON_piece_ahead); }

 private:
  // A sequence number: mostly where the backend waits.
  uint32_t anywhere() {
    const size_t here = backend_.read().size();
    if (one_in(random_, 60)) return static_cast<uint32_t>(draw(random_, 1ull << 32));
    if (one_in(random_, 60))
      return backend_.next() + (1u << 20) + static_cast<uint32_t>(draw(random_, 300));
    if (one_in(random_, 40))
      return backend_.first_seq() - 1 - static_cast<uint32_t>(draw(random_, 300));
    if (one_in(random_, 2)) return backend_.next();
    const size_t from = here > 150 ? here - 150 : 0;
    return backend_.first_seq() + static_cast<uint32_t>(from + draw(random_, here - from + 60));
  }

  void pause() {
    static constexpr uint64_t seconds[] = {1, 11, 21, 31, 62, 76, 90, 110, 149, 500, 901};
    const uint64_t pause_s = seconds[draw(random_, std::size(seconds))];
    clock_s_ += pause_s;
    backend_.wait_until(clock_s_, later_connections_s());
    journey_.at(clock_s_ * 1'000'000'000);
    story_ += fmt::format("\n-- {} s", clock_s_);
  }

  // Two heads in pieces, which is all that the gate has room for.
  void others_push() {
    for (int i = 0; i < 2; i++) {
      Client other("192.0.2.2", others_port_++);
      journey_.send(other.open());
      journey_.send(other.acknowledge());
      journey_.send(other.send("G"));
    }
    story_ += "\n-- others push";
  }

  // Another connection seems to come in place of this one, and its body to lie where the backend
  // waits, which got nothing of all that.
  void cover() {
    const std::string head = "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n";
    const auto before = static_cast<uint32_t>(head.size() + draw(random_, 100));
    const uint32_t first_seq = backend_.next() - before;
    const bool ends = one_in(random_, 2);
    if (ends) send((one_in(random_, 2) ? rst : fin) | ack, backend_.next(), {}, 0, true);
    if (one_in(random_, 3)) pause();
    send(syn, first_seq - 1, {}, 0, true);
    if (one_in(random_, 3)) pause();
    send(psh | ack, first_seq, head, 0, true);
    if (one_in(random_, 3)) pause();
    send(psh | ack, backend_.next(), std::string(bad_head), 0);
  }

  // is_lost: behind the gate; else it may be.
  void send(int flags, uint32_t seq, const std::string& payload, uint64_t read_bytes,
            bool is_lost = false) {
    FrameFields f = client_.fields;
    f.tcp_flags = static_cast<uint8_t>(flags);
    f.seq = seq;
    f.ack_seq += static_cast<uint32_t>(acknowledged_ += read_bytes);
    if (one_in(random_, 15)) f.ack_seq += static_cast<uint32_t>(draw(random_, 1u << 31));
    f.urgent = static_cast<uint16_t>(payload.size());
    f.payload = bytes_of(payload);
    const Fate& fate = journey_.send(build(f));
    if ((flags & syn) != 0 && fate.verdict == SG_VERDICT_forwarded) {
      newest_first_seq_ = seq + 1;
      opened_.push_back({seq + 1, clock_s_});
      backend_.wait_until(clock_s_, later_connections_s());
    }
    admitted_ += fate.requests_admitted;
    // What the backend discards, and the gate cannot know of it. (A reset of the gate's own is on
    // its own link.)
    const bool discarded = is_lost || (one_in(random_, 3) && fate.verdict != SG_VERDICT_answered);
    story_ += fmt::format("\n{:#x} at {} ack {}: {}{} [{}]", flags, seq - start_seq_, acknowledged_,
                          rules()[fate.reason].name, discarded ? ", discarded" : "", payload);
    for (size_t i = 0; i < fate.sent.size(); i++) {
      const bool to_client = fate.verdict == SG_VERDICT_answered && i == 0;
      if (!to_client && !discarded) backend_.take(fate.sent[i]);
    }
  }

  struct Opened {
    uint32_t first_seq;
    uint64_t at_s;
  };

  // Of those that the gate let through: when those began that came after the one that the backend
  // has.
  std::vector<uint64_t> later_connections_s() const {
    std::vector<uint64_t> later_s;
    for (const Opened& opened : opened_) {
      if (opened.first_seq == backend_.first_seq())
        later_s.clear();
      else
        later_s.push_back(opened.at_s);
    }
    return later_s;
  }

  Random& random_;
  Journey& journey_;
  Backend backend_;
  Client client_{"192.0.2.1", 4000};
  uint32_t newest_first_seq_ = 0;
  std::vector<Opened> opened_;
  Streams streams_;
  uint64_t acknowledged_ = 0;
  size_t admitted_ = 0;
  uint32_t start_seq_ = 0;
  uint64_t clock_s_ = 0;
  uint16_t others_port_ = 1000;
  std::string story_;  // what was sent, for who has to find out
};

TEST(OneReading, WhatABackendReadsWasJudged) {
  const std::shared_ptr<const PolicyInForce> policies[] = {
      policy_in_force(fmt::format(policy_text, "drop")),
      policy_in_force(fmt::format(policy_text, "{refuse: 403}"))};
  const uint64_t first = first_seed();
  size_t read = 0, differed = 0, went_ahead = 0;
  for (uint64_t i = 0; i < rounds(600, 150'000); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    Journey journey(policies[(first + i) % 2], {.kept_heads_max = 2});
    Attack attack(random, journey);
    for (int step = 0; step < 120 && !::testing::Test::HasFatalFailure(); step++) {
      attack.step();
      attack.check();
    }
    ASSERT_EQ(journey.conservation_fault(), "");
    if (::testing::Test::HasFatalFailure()) return;
    read += attack.heads_read();
    differed += attack.differed();
    went_ahead += attack.went_ahead();
  }
  EXPECT_GT(read, 200u) << "or nothing was tried";
  EXPECT_GT(differed, 200u);
  EXPECT_GT(went_ahead, 200u);
}

}  // namespace
}  // namespace surgegate
