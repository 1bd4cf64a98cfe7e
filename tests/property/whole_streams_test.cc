// SPDX-License-Identifier: BSD-3-Clause
// However the bytes of honest requests are cut, lost, sent again and put out of order, they are the
// requests that they are. SURGEGATE_SEED repeats a run, SURGEGATE_LONG=1 does more.
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

class Sender {
 public:
  Sender(Random& random, Journey& journey, std::string stream)
      : random_(random),
        journey_(journey),
        stream_(std::move(stream)),
        backend_(client_.fields.seq + 1) {
    pass(journey_.send(client_.open()));
    pass(journey_.send(client_.acknowledge()));
    first_seq_ = client_.fields.seq;
    for (size_t at = 0; at < stream_.size();) {
      at = std::min(at + 1 + draw(random_, one_in(random_, 3) ? 20 : 1'400), stream_.size());
      cuts_.push_back(at);
    }
  }

  // The segment that the backend waits for, one that was sent before, or the next one; with those
  // behind it as one, now and then. (A stack cuts its stream once; what it sends again it puts
  // together, and cuts anew only where a path has become narrower.)
  void step() {
    const size_t waits = segment_at(backend_.read().size());
    size_t first = waits;
    if (one_in(random_, 3))
      first = next_ - std::min<size_t>(next_, draw(random_, 12));
    else if (one_in(random_, 2) && next_ < waits + 20)
      first = next_;
    if (first >= cuts_.size()) return;
    const size_t last =
        std::min(first + (one_in(random_, 4) ? draw(random_, 3) : 0), cuts_.size() - 1);
    next_ = std::max(next_, last + 1);
    const size_t from = first == 0 ? 0 : cuts_[first - 1];
    FrameFields f = client_.fields;
    f.tcp_flags = psh | ack;
    f.seq = first_seq_ + static_cast<uint32_t>(from);
    f.payload = bytes_of(stream_.substr(from, cuts_[last] - from));
    const Fate& fate = journey_.send(build(f));
    admitted_ += fate.requests_admitted;
    refused_ += fate.requests_refused;
    if (!one_in(random_, 8)) pass(fate);
  }

  bool is_done() const { return backend_.read().size() == stream_.size(); }
  bool is_intact() const { return stream_.starts_with(backend_.read()); }
  uint64_t admitted() const { return admitted_; }
  uint64_t refused() const { return refused_; }
  size_t came() const { return backend_.read().size(); }

 private:
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
  std::string stream_;
  Client client_{"192.0.2.1", 4000};
  Receiver backend_;
  uint32_t first_seq_ = 0;
  std::vector<size_t> cuts_;  // where each segment ends
  size_t next_ = 0;           // the first that was not sent yet
  uint64_t admitted_ = 0, refused_ = 0;
};

// Of a client that never waits, which is the hardest case: all that is under way may be sent again.
TEST(WholeStreams, AThousandRequestsAreAThousandRequests) {
  const std::shared_ptr<const PolicyInForce> policy = policy_in_force(policy_text);
  const uint64_t first = first_seed();
  for (uint64_t i = 0; i < rounds(3, 100); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    Journey journey(policy);
    std::string stream;
    for (int n = 0; n < 1'000; n++) stream += some_request(random, n);
    Sender sender(random, journey, stream);
    for (int step = 0; step < 400'000 && !sender.is_done(); step++) sender.step();
    ASSERT_TRUE(sender.is_intact());
    ASSERT_TRUE(sender.is_done()) << sender.came() << " of " << stream.size();
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

TEST(WholeStreams, EveryCutGivesTheVerdictOfTheWhole) {
  const std::string host = "Host: a\r\n";
  const std::vector<std::string> requests = {
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
  };
  Journey journey(policy_in_force(policy_text), {.flows_min = 1 << 16});
  uint16_t port = 1;
  for (const std::string& request : requests) {
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

}  // namespace
}  // namespace surgegate
