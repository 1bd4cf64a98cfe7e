// SPDX-License-Identifier: BSD-3-Clause
// The gate has lost its state, and an attacker knows it. His backend is anywhere in his stream: at
// a head, within one, within a body of any length. He sends segments of several streams at any
// place, in any order and overlap, and part of what is forwarded never arrives. However he does it,
// his backend comes to read no more heads than requests were counted.
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
services:
  shop: {vips: ["198.51.100.10:80"], protocol: http, pool: web}
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}
)";

// Reads a stream, and is as easily content with a head as a backend could be: some lines and an
// empty one. A length it may believe or not.
class Reader {
 public:
  Reader(uint64_t skip, bool believes) : left_(skip), believes_(believes) {}

  void read(char c) {
    if (left_ > 0) {
      left_--;
      return;
    }
    if (c != '\n') {
      if (c != '\r') line_ += c;
      return;
    }
    if (!line_.empty()) {
      constexpr std::string_view length = "Content-Length: ";
      if (line_.starts_with(length)) length_ = std::stoul("0" + line_.substr(length.size()));
      within_ = true;
    } else if (within_) {
      heads_++;
      within_ = false;
      if (believes_) left_ = length_;
      length_ = 0;
    }
    line_.clear();
  }
  uint64_t heads() const { return heads_; }

 private:
  uint64_t left_;
  bool believes_;
  bool within_ = false;
  std::string line_;
  uint64_t length_ = 0;
  uint64_t heads_ = 0;
};

class Backend {
 public:
  Backend(Random& random, uint32_t next)
      : reader_(one_in(random, 2) ? draw(random, 120) : 0, one_in(random, 2)),
        first_wins_(one_in(random, 2)),
        next_(next) {}

  void take(const Bytes& frame) {
    sg_packet packet;
    sg_read_frame(frame.data(), frame.data() + frame.size(), &packet);
    for (uint32_t i = 0; i < packet.payload_length; i++) {
      const int32_t at = seq_distance(next_, packet.seq + i);
      if (at < 0) continue;
      const char byte = static_cast<char>(frame[packet.payload_offset + i]);
      if (first_wins_)
        early_.emplace(packet.seq + i, byte);
      else
        early_[packet.seq + i] = byte;
    }
    for (auto it = early_.find(next_); it != early_.end(); it = early_.find(next_)) {
      reader_.read(it->second);
      text_ += it->second;
      early_.erase(it);
      next_++;
    }
  }
  uint32_t next() const { return next_; }
  uint64_t heads() const { return reader_.heads(); }
  const std::string& text() const { return text_; }

 private:
  Reader reader_;
  bool first_wins_;
  uint32_t next_;
  std::map<uint32_t, char> early_;
  std::string text_;
};

class Attack {
 public:
  Attack(Random& random, Journey& journey)
      : random_(random), journey_(journey), first_(client_.fields.seq), backend_(random, first_) {
    for (std::string& stream : streams_)
      while (stream.size() < 1500) stream += piece();
  }

  void step() {
    if (one_in(random_, counted_ == 0 ? 2 : 20)) return lay_mosaic();
    if (one_in(random_, 4)) return go_on();
    const std::string& stream = streams_[draw(random_, std::size(streams_))];
    const uint64_t here = backend_.next() - first_;
    uint64_t from = here;
    if (!one_in(random_, 3))
      from += draw(random_, 60) - std::min<uint64_t>(here, draw(random_, 60));
    if (from >= stream.size()) return;
    const uint64_t bytes = one_in(random_, 3) ? 2 : one_in(random_, 2) ? 20 : 200;
    send(static_cast<uint32_t>(first_ + from), stream.substr(from, 1 + draw(random_, bytes)));
  }
  uint64_t heads() const { return backend_.heads(); }
  uint64_t pieces() const { return pieces_; }
  bool met_again() const { return known_ > 0; }

 private:
  static constexpr std::string_view post_with_line =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\nGET / HTTP/1.0\r\n";
  static constexpr std::string_view known_head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

  std::string piece() {
    static constexpr std::string_view all[] = {
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n",
        "Host: a\r\n",
        "\r\n",
        "\n",
        "x",
        "\r",
        "x\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"};
    return std::string(all[draw(random_, std::size(all))]);
  }

  // Heads of which every other part arrives from small segments, and all that lies between from
  // large ones that show no head: each small one would have two ends for the end of a head. Where
  // it goes on, the small ones are pieces of one head to the gate, and half of them are lost.
  void lay_mosaic() {
    const bool in_row = one_in(random_, 2);
    if (in_row) {
      for (int i = 0; i < 2; i++) send(backend_.next(), known_head, true);
    }
    const uint32_t begin = backend_.next();
    const bool is_even = one_in(random_, 2);
    const bool breaks = one_in(random_, 2);
    const Cuts cuts[] = {{1 + draw(random_, 5), draw(random_, 3)},
                         {1 + draw(random_, 2), draw(random_, 3)}};
    std::string text = in_row ? "GET / HTTP/1.1\r\n" : "";
    const std::string again(one_in(random_, 3)   ? "GET / HTTP/1.0\r\n"
                            : one_in(random_, 2) ? "GET / HTTP/1.0\r\n\r\n"
                                                 : post_with_line);
    while (text.size() < 400) text += is_even ? again : piece();
    std::string between = text;
    uint32_t from = 0;
    for (bool arrives = in_row; from < text.size(); arrives = !arrives) {
      const uint32_t to = next_cut(text, from, cuts[arrives]);
      if (arrives)
        between.replace(from, to - from, to - from, 'x');
      else if (breaks)
        between[from] = '\n';
      if (arrives || in_row) send(begin + from, text.substr(from, to - from), arrives);
      if (::testing::Test::HasFatalFailure()) return;
      from = to;
    }
    for (from = 0; from < between.size() && !::testing::Test::HasFatalFailure();
         from = ends_at_ - begin)
      send(begin + from, between.substr(from), true);
  }

  // So many lines on, and so many bytes before the end of that.
  struct Cuts {
    uint64_t lines;
    uint64_t back;
  };
  static uint32_t next_cut(const std::string& text, uint32_t from, const Cuts& cuts) {
    size_t at = from + cuts.back;
    for (uint64_t lines = cuts.lines; lines > 0 && at != std::string::npos; lines--)
      at = text.find('\n', lines == cuts.lines ? at : at + 1);
    if (at == std::string::npos) return static_cast<uint32_t>(text.size());
    return std::max(from + 1, static_cast<uint32_t>(at + 1 - cuts.back));
  }

  // Where the last segment ended, as an honest client does, to be known and to be believed.
  void go_on() {
    std::string text = one_in(random_, 2) ? std::string(known_head) : piece() + piece();
    if (one_in(random_, 3)) text.resize(1 + draw(random_, text.size()));
    send(ends_at_, text);
  }

  void send(uint32_t seq, std::string_view payload) { send(seq, payload, !one_in(random_, 4)); }

  void send(uint32_t seq, std::string_view payload, bool arrives) {
    FrameFields f = client_.fields;
    f.tcp_flags = psh | ack;
    f.seq = seq;
    f.payload = bytes_of(payload);
    const Fate& fate = journey_.send(build(f));
    counted_ += fate.requests_admitted;
    pieces_ += fate.reason == SG_REASON_head_piece;
    story_ += fmt::format("\n{}: {}{} [{}]", seq - first_, rules()[fate.reason].name,
                          arrives ? "" : ", discarded", payload);
    ASSERT_EQ(fate.verdict, SG_VERDICT_forwarded);
    sg_packet packet;
    const Bytes& sent = fate.sent.at(0);
    sg_read_frame(sent.data(), sent.data() + sent.size(), &packet);
    ends_at_ = seq + packet.payload_length;
    if (arrives) backend_.take(sent);
    ASSERT_LE(backend_.heads(), counted_) << backend_.text() << story_;
    for (const sg_flow& flow : journey_.flows()) known_ += flow.state == SG_FLOW_ESTABLISHED;
  }

  Random& random_;
  Journey& journey_;
  Client client_{"192.0.2.1", 4000};
  uint32_t first_;
  Backend backend_;
  std::string streams_[4];
  uint32_t ends_at_ = first_;
  uint64_t counted_ = 0, pieces_ = 0, known_ = 0;
  std::string story_;
};

TEST(Strays, NoMoreHeadsAreReadThanWereCounted) {
  const std::shared_ptr<const PolicyInForce> policy = policy_in_force(policy_text);
  const uint64_t first = first_seed();
  uint64_t heads = 0, pieces = 0, known = 0;
  Journey journey(policy);
  for (uint64_t i = 0; i < rounds(3'000, 300'000); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    journey.start_over(policy);
    Attack attack(random, journey);
    for (int step = 0; step < 60 && !::testing::Test::HasFatalFailure(); step++) attack.step();
    if (::testing::Test::HasFatalFailure()) return;
    heads += attack.heads();
    pieces += attack.pieces();
    known += attack.met_again();
  }
  EXPECT_GT(heads, 1'000u) << "or nothing was tried";
  EXPECT_GT(pieces, 100u);
  EXPECT_GT(known, 100u);
}

}  // namespace
}  // namespace surgegate
