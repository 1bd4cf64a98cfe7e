// SPDX-License-Identifier: BSD-3-Clause
// However the bytes of honest requests are cut, lost, sent again and put out of order, they are the
// requests that they are. SURGEGATE_SEED repeats a run, SURGEGATE_LONG=1 does more.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

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
  bots: {field: user-agent, patterns: ['BadBot'], then: {refuse: 403}}
services:
  shop: {vips: ["198.51.100.10:80"], protocol: http, pool: web, signatures: [bots]}
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}
)";

// A backend's half of TCP: what it has of the stream, and how far it has all of it.
class Receiver {
 public:
  explicit Receiver(uint32_t first_seq) : first_seq_(first_seq) {}

  void take(const Bytes& frame) {
    sg_packet packet;
    sg_read_frame(frame.data(), frame.data() + frame.size(), &packet);
    if (packet.tcp_flags & SG_TCP_SYN) return;
    const auto at = static_cast<size_t>(packet.seq - first_seq_);
    for (size_t i = 0; i < packet.payload_length; i++)
      early_.emplace(at + i, static_cast<char>(frame[packet.payload_offset + i]));
    for (auto it = early_.begin(); it != early_.end() && it->first <= read_.size();
         it = early_.erase(it))
      if (it->first == read_.size()) read_ += it->second;
  }
  const std::string& read() const { return read_; }

 private:
  uint32_t first_seq_;
  std::string read_;
  std::map<size_t, char> early_;
};

std::string some_request(Random& random, int number) {
  const std::string body(draw(random, one_in(random, 10) ? 5'000 : 60), 'b');
  const std::string line =
      fmt::format("/{} HTTP/1.1\r\nHost: a\r\nUser-Agent: Browser\r\n", number);
  switch (draw(random, 4)) {
    case 0:
      return "POST " + line + fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
    case 1: {
      std::string chunks;
      for (size_t at = 0; at < body.size();) {
        const size_t size = std::min<size_t>(1 + draw(random, 900), body.size() - at);
        chunks += fmt::format("{:x}{}\r\n{}\r\n", size, one_in(random, 5) ? ";e=1" : "",
                              body.substr(at, size));
        at += size;
      }
      return "POST " + line + "Transfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n";
    }
    default:
      return "GET " + line + "\r\n";
  }
}

// A client sends its requests one after another, or asks on when it has read the answer, each of
// which acknowledges 300 bytes.
enum class Manner { pipelines, waits };

class Sender {
 public:
  Sender(Random& random, Journey& journey, const std::vector<std::string>& requests, Manner manner)
      : random_(random), journey_(journey), manner_(manner), backend_(client_.fields.seq + 1) {
    pass(journey_.send(client_.open()));
    pass(journey_.send(client_.acknowledge()));
    first_seq_ = client_.fields.seq;
    for (const std::string& request : requests) {
      stream_ += request;
      ends_.push_back(stream_.size());
      cut_up_to(stream_.size());
    }
    if (cuts_.back() != stream_.size()) cuts_.push_back(stream_.size());
    // Who pipelines is known by the second request.
    if (manner == Manner::pipelines)
      while (backend_.read().size() < ends_[1]) send(segment_at(backend_.read().size()), 1, true);
  }

  // The segment that the backend waits for, one that was sent before, or the next one. A stack cuts
  // its stream once; what was not acknowledged it puts together when it sends it again, now and
  // then, and then it stays one.
  void step() {
    const size_t waits = segment_at(backend_.read().size());
    size_t first = waits;
    if (one_in(random_, 3))
      first = next_ - std::min<size_t>(next_, draw(random_, 12));
    else if (one_in(random_, 2) && next_ < waits + 20)
      first = next_;
    const bool joins = first >= waits && one_in(random_, 4);
    send(first, 1 + (joins ? draw(random_, 3) : 0), !one_in(random_, 8));
  }

  bool is_done() const { return backend_.read().size() == stream_.size(); }
  bool is_intact() const { return stream_.starts_with(backend_.read()); }
  uint64_t admitted() const { return admitted_; }
  uint64_t refused() const { return refused_; }
  size_t came() const { return backend_.read().size(); }

 private:
  // Where requests are sent in a row, a segment may hold the end of one and the beginning of the
  // next.
  void cut_up_to(size_t end) {
    for (size_t at = cuts_.empty() ? 0 : cuts_.back(); at < end;) {
      at = std::min(at + 1 + draw(random_, one_in(random_, 3) ? 20 : 1'400), end);
      if (manner_ == Manner::pipelines && at == end && end != ends_[0] && one_in(random_, 2)) break;
      cuts_.push_back(at);
    }
  }

  void send(size_t first, size_t segments, bool arrives) {
    const size_t answered = answers_read();
    const size_t sendable = manner_ == Manner::waits && answered < ends_.size()
                                ? segment_at(ends_[answered] - 1) + 1
                                : cuts_.size();
    if (first >= sendable) return;
    const size_t last = std::min(first + segments, std::max(next_, first + 1)) - 1;
    next_ = std::max(next_, last + 1) - (last - first);
    cuts_.erase(cuts_.begin() + static_cast<ptrdiff_t>(first),
                cuts_.begin() + static_cast<ptrdiff_t>(last));
    const size_t from = first == 0 ? 0 : cuts_[first - 1];
    FrameFields f = client_.fields;
    f.tcp_flags = psh | ack;
    f.seq = first_seq_ + static_cast<uint32_t>(from);
    if (manner_ == Manner::waits) f.ack_seq += static_cast<uint32_t>(answered * 300);
    f.payload = bytes_of(stream_.substr(from, cuts_[first] - from));
    const Fate& fate = journey_.send(build(f));
    admitted_ += fate.requests_admitted;
    refused_ += fate.requests_refused;
    if (arrives) pass(fate);
  }

  // How many requests the backend has whole.
  size_t answers_read() const {
    return static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), came()) -
                               ends_.begin());
  }
  // Which segment holds this place of the stream.
  size_t segment_at(size_t place) const {
    return static_cast<size_t>(std::upper_bound(cuts_.begin(), cuts_.end(), place) - cuts_.begin());
  }

  void pass(const Fate& fate) {
    if (fate.verdict == SG_VERDICT_forwarded)
      for (const Bytes& frame : fate.sent) backend_.take(frame);
  }

  Random& random_;
  Journey& journey_;
  Manner manner_;
  std::string stream_;
  Client client_{"192.0.2.1", 4000};
  Receiver backend_;
  uint32_t first_seq_ = 0;
  std::vector<size_t> ends_;  // where each request ends
  std::vector<size_t> cuts_;  // where each segment ends
  size_t next_ = 0;           // the first that was not sent yet
  uint64_t admitted_ = 0, refused_ = 0;
};

TEST(WholeStreams, AThousandRequestsAreAThousandRequests) {
  const std::shared_ptr<const PolicyInForce> policy = policy_in_force(policy_text);
  const uint64_t first = first_seed();
  for (uint64_t i = 0; i < rounds(4, 100); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    Journey journey(policy);
    std::vector<std::string> requests;
    for (int n = 0; n < 1'000; n++) requests.push_back(some_request(random, n));
    const Manner manner = one_in(random, 2) ? Manner::waits : Manner::pipelines;
    Sender sender(random, journey, requests, manner);
    for (int step = 0; step < 400'000 && !sender.is_done(); step++) sender.step();
    ASSERT_TRUE(sender.is_intact());
    ASSERT_TRUE(sender.is_done()) << sender.came();
    EXPECT_EQ(sender.admitted(), 1'000u);
    EXPECT_EQ(sender.refused(), 0u);
    ASSERT_EQ(journey.conservation_fault(), "");
  }
}

// What becomes of a request, as a whole and in pieces.
struct Outcome {
  sg_reason reason = SG_REASON_COUNT;  // of the piece that was judged
  uint64_t admitted = 0, refused = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(Journey& journey, Client client, const std::string& request,
                   const std::vector<size_t>& cuts) {
  journey.send(client.open());
  journey.send(client.acknowledge());
  Outcome outcome;
  size_t at = 0;
  for (size_t i = 0; i <= cuts.size(); i++) {
    const size_t end = i == cuts.size() ? request.size() : cuts[i];
    const Fate& fate = journey.send(client.send(request.substr(at, end - at)));
    at = end;
    outcome.admitted += fate.requests_admitted;
    outcome.refused += fate.requests_refused;
    if (fate.requests_admitted + fate.requests_refused > 0) outcome.reason = fate.reason;
    if (fate.requests_refused > 0) break;
  }
  return outcome;
}

// Of every kind one, by what becomes of it.
std::vector<std::string> all_kinds() {
  const std::string host = "Host: a\r\n";
  return {
      "GET / HTTP/1.1\r\n" + host + "User-Agent: Browser\r\n\r\n",
      "GET / HTTP/1.1\r\n" + host + "User-Agent: BadBot\r\n\r\n",
      "\r\nGET / HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.1\r\n" + host + "X : y\r\n\r\n",
      "GET / HTTP/1.1\r\n" + host + "X: y\r\n z\r\n\r\n",
      "GET /evil\r\n",
      "GET / HTTP/1.2\r\n" + host + "\r\n",
      "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "GET / HTTP/1.1\r\n" + host + "X: y\n\r\n",
      "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
      "GET / HTTP/1.1\r\nX: y\r\n\r\n",
      // More pieces than there are ranges to remember them by.
      "GET / HTTP/1.1\r\n" + host + "X: " + std::string(1'000, 'x') +
          "\r\nUser-Agent: BadBot\r\n\r\n",
  };
}

TEST(WholeStreams, EveryCutGivesTheVerdictOfTheWhole) {
  Journey journey(policy_in_force(policy_text), {.flows_min = 1 << 16});
  uint16_t port = 1;
  for (const std::string& request : all_kinds()) {
    SCOPED_TRACE(request);
    const Outcome whole = outcome_of(journey, Client("192.0.2.1", port++), request, {});
    ASSERT_EQ(whole.admitted + whole.refused, 1u);
    std::vector<size_t> every;
    for (size_t cut = 1; cut < request.size(); cut++) {
      every.push_back(cut);
      ASSERT_EQ(outcome_of(journey, Client("192.0.2.1", port++), request, {cut}), whole)
          << "cut at " << cut;
    }
    EXPECT_EQ(outcome_of(journey, Client("192.0.2.1", port++), request, every), whole)
        << "byte by byte";
  }
}

// The pieces come in any order, and then once more in the right one, as far as they were not taken.
Outcome outcome_in_any_order(Random& random, Journey& journey, Client client,
                             const std::string& request) {
  journey.send(client.open());
  journey.send(client.acknowledge());
  std::vector<Client> pieces;
  std::vector<std::string> bytes;
  for (size_t at = 0; at < request.size(); at += bytes.back().size()) {
    bytes.push_back(request.substr(at, 1 + draw(random, request.size() / 3)));
    pieces.push_back(client);
    client.send(bytes.back());
  }
  std::vector<size_t> order(bytes.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  for (size_t i = 0; i < bytes.size(); i++) order.push_back(i);
  Outcome outcome;
  for (size_t i : order) {
    const Fate& fate = journey.send(Client(pieces[i]).send(bytes[i]));
    outcome.admitted += fate.requests_admitted;
    outcome.refused += fate.requests_refused;
    if (fate.requests_admitted + fate.requests_refused > 0) outcome.reason = fate.reason;
    if (fate.requests_refused > 0) break;
  }
  return outcome;
}

TEST(WholeStreams, EveryOrderGivesTheVerdictOfTheWhole) {
  Journey journey(policy_in_force(policy_text), {.flows_min = 1 << 19});
  const uint64_t first = first_seed();
  uint16_t port = 1;
  for (const std::string& request : all_kinds()) {
    SCOPED_TRACE(request);
    const Outcome whole = outcome_of(journey, Client("192.0.2.1", port++), request, {});
    for (uint64_t i = 0; i < rounds(100, 1'000); i++) {
      SCOPED_TRACE(repeat_with(first + i));
      Random random(first + i);
      ASSERT_EQ(outcome_in_any_order(random, journey, Client("192.0.2.1", port++), request), whole);
    }
  }
  EXPECT_EQ(journey.total(SG_REASON_syn_untracked), 0u);
  EXPECT_GT(journey.total(SG_REASON_piece_ahead), 1'000u) << "or all came in order";
}

}  // namespace
}  // namespace surgegate
