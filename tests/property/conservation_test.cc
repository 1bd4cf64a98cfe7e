// SPDX-License-Identifier: BSD-3-Clause
// Properties of the whole journey, over random packets and streams.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/property/traffic.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/support/seed.h"

namespace surgegate {
namespace {

using namespace testing;

using PolicyPointer = std::shared_ptr<const PolicyInForce>;

// Limits that refuse a good part of what comes, of every unit, over L2 or a tunnel.
std::string policy_text(const std::string& forward, const std::string& over,
                        const std::string& rate) {
  return "version: 1\n"
         "clients:\n"
         "  cdn: {peers: [203.0.113.200, \"2001:db8:cd::/48\"], identity: \"header:x-api-key\"}\n"
         "lists:\n"
         "  blocked: {cidrs: [203.0.113.66, \"2001:db8:bad::/48\"], deny: drop}\n"
         "  office:  {cidrs: [203.0.113.7], exempt: [limits]}\n"
         "limits:\n"
         "  per-client: {key: [client], rate: " +
         rate + ", burst: 3, over: " + over +
         "}\n"
         "  per-key:    {key: [\"header:x-api-key\", path], rate: " +
         rate + ", burst: 4, over: " + over +
         "}\n"
         "  handshakes: {key: [source], unit: connections, rate: 10/s, burst: 5, over: drop}\n"
         "  datagrams:  {key: [source], unit: packets, rate: 10/s, burst: 5, over: drop}\n"
         "signatures:\n"
         "  bots:    {field: user-agent, patterns: ['BadBot'], then: {refuse: 403}}\n"
         "  scanner: {field: user-agent, patterns: ['^sqlmap'], then: drop}\n"
         "services:\n"
         "  shop:\n"
         "    vips: [\"198.51.100.10:80\", \"[2001:db8::10]:80\"]\n"
         "    protocol: http\n"
         "    pool: web\n"
         "    limits: [per-client, handshakes]\n"
         "    signatures: [bots, scanner]\n"
         "    routes: [{match: {path: /p1}, limits: [per-key]}, {match: {path: /p2}, cost: 2}]\n"
         "  mail:  {vips: [\"198.51.100.10:25\", \"[2001:db8::10]:25\"], protocol: tcp, pool: "
         "web}\n"
         "  names: {vips: [\"198.51.100.53:53\", \"[2001:db8::53]:53\"], protocol: udp, pool: web, "
         "limits: [datagrams]}\n"
         "pools:\n"
         "  web: {forward: " +
         forward +
         ", backends: {web1: {address: 10.0.1.1}, web2: {address: 10.0.1.2}, web3: {address: "
         "\"2001:db8:b::3\"}}}\n";
}

// Compiled once: a database takes longer than a thousand packets.
const std::vector<PolicyPointer>& policies() {
  static const std::vector<PolicyPointer> all = {
      policy_in_force(policy_text("l2", "429", "20/s")),
      policy_in_force(policy_text("ipip", "429", "1/min")),
      policy_in_force(policy_text("l2", "drop", "100/s")),
      policy_in_force(policy_text("ipip", "503", "1000/s"))};
  return all;
}

PolicyPointer any_policy(Random& random) {
  return policies()[draw(random, policies().size())];
}

void each_round(uint64_t reduced, uint64_t full, const std::function<void(Random&)>& body) {
  const uint64_t first = first_seed();
  for (uint64_t i = 0; i < rounds(reduced, full); i++) {
    SCOPED_TRACE(repeat_with(first + i));
    Random random(first + i);
    body(random);
    if (::testing::Test::HasFailure()) return;
  }
}

void change_surroundings(Journey& journey, Random& random) {
  for (uint32_t i = 0; i < journey.workers(); i++) {
    FakePort& port = journey.port(i);
    port.tx_room =
        one_in(random, 4) ? static_cast<uint32_t>(draw(random, 10)) : FakePort::unlimited;
    port.spare = one_in(random, 4) ? static_cast<uint32_t>(draw(random, 4)) : FakePort::unlimited;
    port.room.front = one_in(random, 4) ? draw(random, 64) : 128;
    port.room.back = one_in(random, 4) ? draw(random, 200) : FakePool::plenty;
  }
  journey.rings().frames_max = one_in(random, 4) ? static_cast<uint32_t>(draw(random, 8)) : 64;
  if (one_in(random, 8)) journey.next_hops().forget(static_cast<uint32_t>(draw(random, 3)));
  if (one_in(random, 8)) journey.learn_next_hops();
  if (one_in(random, 8)) journey.adopt(any_policy(random));
}

// One verdict for each packet, each frame given back exactly once, whatever comes and whatever
// fails.
TEST(Conservation, OfDamagedFrames) {
  each_round(40, 4000, [](Random& random) {
    Journey journey(any_policy(random), {.workers = static_cast<uint32_t>(1 + draw(random, 4))});
    uint64_t clock_ns = 0;
    Bytes last = build(odd_frame(random));
    for (int i = 0; i < 600; i++) {
      const Bytes frame = build(odd_frame(random));
      const uint32_t worker = static_cast<uint32_t>(draw(random, journey.workers()));
      journey.offer(one_in(random, 2) ? damaged(frame, last, random) : frame, worker);
      last = frame;
      if (one_in(random, 20)) journey.poll_all();
      if (one_in(random, 20)) journey.at(clock_ns += draw(random, 1'000'000'000));
      if (one_in(random, 40)) change_surroundings(journey, random);
    }
    for (int i = 0; i < 40; i++) journey.poll_all();
    ASSERT_EQ(journey.conservation_fault(), "");
  });
}

std::vector<Stream> some_streams(Random& random, const Stream::Shape& shape, int count) {
  std::vector<Stream> streams;
  for (int i = 0; i < count; i++) streams.emplace_back(random, shape, i);
  return streams;
}

TEST(Conservation, OfStreamsThatAreCutReorderedAndDamaged) {
  each_round(40, 4000, [](Random& random) {
    Journey journey(any_policy(random), {.workers = static_cast<uint32_t>(1 + draw(random, 4))});
    std::vector<Stream> streams = some_streams(random, {.whole_heads = false}, 20);
    Bytes last;
    uint64_t clock_ns = 0;
    for (int i = 0; i < 800; i++) {
      Bytes frame = streams[draw(random, streams.size())].next();
      if (frame.empty()) continue;
      if (one_in(random, 15)) frame = damaged(frame, last, random);
      const uint32_t worker = static_cast<uint32_t>(draw(random, journey.workers()));
      for (uint64_t copies = one_in(random, 10) ? 2 : 1; copies > 0; copies--)
        journey.offer(frame, worker);
      last = frame;
      if (one_in(random, 10)) journey.poll_all();
      if (one_in(random, 10)) journey.at(clock_ns += draw(random, 200'000'000));
      if (one_in(random, 60)) change_surroundings(journey, random);
    }
    for (int i = 0; i < 60; i++) journey.poll_all();
    ASSERT_EQ(journey.conservation_fault(), "");
  });
}

// What a backend has got of a connection, as far as there is no hole.
class Received {
 public:
  void add(uint32_t first_seq, const FrameFields& of, const Bytes& frame) {
    FrameFields bare = of;
    bare.payload.clear();
    const size_t headers = build(bare).size();
    if (frame.size() <= headers) return;
    const size_t seq_at = link_bytes(of) + (of.src.version == 4 ? 20 : 40) + 4;
    uint32_t seq = 0;
    for (size_t i = 0; i < 4; i++) seq = seq << 8 | frame[seq_at + i];
    pieces_.emplace(static_cast<size_t>(seq - first_seq),
                    static_cast<size_t>(seq - first_seq) + frame.size() - headers);
  }
  size_t without_hole() const {
    size_t end = 0;
    for (const auto& [from, to] : pieces_)
      if (from <= end) end = std::max(end, to);
    return end;
  }

 private:
  std::multimap<size_t, size_t> pieces_;
};

struct Connection {
  Stream stream;
  Received received;
  size_t admitted = 0;
  uint64_t waiting = 0;  // the packet whose fate is not known yet; 0: none

  // What became of the packet that was sent last, as the client's TCP comes to know it.
  void learn(const Journey& journey) {
    if (waiting == 0) return;
    const Fate& fate = journey.fate(waiting);
    waiting = 0;
    admitted += fate.requests_admitted;
    if (fate.verdict == SG_VERDICT_dropped) stream.go_back_to(stream.last_from());
    if (fate.verdict != SG_VERDICT_forwarded) return;
    received.add(stream.first_data_seq(), stream.fields(), fate.sent.at(0));
    if (fate.reason == SG_REASON_trimmed) stream.go_back_to(received.without_hole());
  }
};

// The point of it all: no request reaches a backend without having been admitted. (Of clients that
// send whole heads, in order; a head in pieces, or before its time, counts by the piece.)
TEST(Conservation, NoRequestReachesABackendThatWasNotAdmitted) {
  size_t reached = 0;
  uint64_t refused = 0, trimmed = 0;
  each_round(60, 6000, [&](Random& random) {
    const PolicyPointer policy = policies()[one_in(random, 2) ? 0 : 2];  // both over L2
    Journey journey(policy, {.workers = static_cast<uint32_t>(1 + draw(random, 4))});
    std::vector<Connection> connections;
    for (Stream& stream : some_streams(random, {.requests_max = 10}, 12))
      connections.push_back({std::move(stream), {}, 0, 0});
    uint64_t clock_ns = 0;
    auto deliver = [&] {
      for (int i = 0; i < 3; i++) journey.poll_all();
      for (Connection& connection : connections) connection.learn(journey);
    };
    for (int i = 0; i < 600; i++) {
      Connection& connection = connections[draw(random, connections.size())];
      if (connection.waiting != 0 || one_in(random, 6)) deliver();
      if (one_in(random, 10)) journey.at(clock_ns += draw(random, 100'000'000));
      const Bytes frame = connection.stream.next();
      if (frame.empty()) continue;
      connection.waiting =
          journey.offer(frame, static_cast<uint32_t>(draw(random, journey.workers())));
    }
    deliver();
    ASSERT_EQ(journey.conservation_fault(), "");
    for (const Connection& connection : connections) {
      const auto& ends = connection.stream.head_ends();
      const auto whole =
          std::upper_bound(ends.begin(), ends.end(), connection.received.without_hole());
      ASSERT_LE(static_cast<size_t>(whole - ends.begin()), connection.admitted);
      reached += static_cast<size_t>(whole - ends.begin());
    }
    refused +=
        journey.total(SG_REASON_limit_requests) + journey.total(SG_REASON_limit_requests_silent);
    trimmed += journey.total(SG_REASON_trimmed);
  });
  EXPECT_GT(reached, 500u) << "or nothing was tried";
  EXPECT_GT(refused, 100u);
  EXPECT_GT(trimmed, 30u);
}

struct Arrival {
  Bytes frame;
  uint64_t tick_ns;
  uint32_t hash;  // by which a NIC chooses the queue
};

std::vector<Arrival> recorded_traffic(Random& random) {
  std::vector<Arrival> all;
  std::vector<Stream> streams = some_streams(random, {.whole_heads = false}, 16);
  uint64_t tick_ns = 0;
  for (int i = 0; i < 500; i++) {
    if (one_in(random, 6)) tick_ns += 50'000 * draw(random, 2000);
    const size_t which = draw(random, streams.size());
    Bytes frame = one_in(random, 5) ? build(odd_frame(random)) : streams[which].next();
    if (!frame.empty())
      all.push_back({std::move(frame), tick_ns, static_cast<uint32_t>(which * 31)});
  }
  return all;
}

// Consecutive packets that arrive at one worker, belong to one worker and share a tick go together,
// as they do in replay: so that capture order holds between workers.
void play(Journey& journey, const std::vector<Arrival>& traffic,
          const std::function<void(Journey&)>& between_runs = {}) {
  uint32_t arrival = 0, owner = 0, count = 0;
  uint64_t tick_ns = 0;
  auto flush = [&] {
    if (count == 0) return;
    journey.at(tick_ns);
    journey.poll(arrival);
    if (owner != arrival) journey.poll(owner);
    count = 0;
    if (between_runs) between_runs(journey);
  };
  for (const Arrival& packet : traffic) {
    const uint32_t to = packet.hash % journey.workers();
    const uint32_t of = journey.owner_of(packet.frame, to);
    if (count == SG_BURST_PACKETS_MAX || tick_ns != packet.tick_ns || to != arrival || of != owner)
      flush();
    tick_ns = packet.tick_ns;
    arrival = to;
    owner = of;
    count++;
    journey.offer(packet.frame, to);
  }
  flush();
  journey.poll_all();
}

void expect_equal_fates(const Journey& expected, const Journey& actual) {
  ASSERT_EQ(expected.offered(), actual.offered());
  for (uint64_t number = 1; number <= expected.offered(); number++) {
    const Fate &a = expected.fate(number), &b = actual.fate(number);
    SCOPED_TRACE(fmt::format("packet {}", number));
    ASSERT_EQ(a.reason, b.reason);
    ASSERT_EQ(a.service, b.service);
    ASSERT_EQ(a.limit, b.limit);
    ASSERT_EQ(a.signature, b.signature);
    ASSERT_EQ(a.backend, b.backend);
    ASSERT_EQ(a.requests_admitted, b.requests_admitted);
    ASSERT_EQ(a.requests_refused, b.requests_refused);
    ASSERT_EQ(a.sent, b.sent);
    ASSERT_EQ(a.kernel, b.kernel);
  }
}

TEST(Conservation, TheNumberOfWorkersChangesNothing) {
  each_round(25, 2500, [](Random& random) {
    const PolicyPointer policy = any_policy(random);
    const std::vector<Arrival> traffic = recorded_traffic(random);
    Journey alone(policy);
    play(alone, traffic);
    ASSERT_EQ(alone.conservation_fault(), "");
    for (uint32_t workers = 2; workers <= 4; workers++) {
      SCOPED_TRACE(fmt::format("{} workers", workers));
      Journey journey(policy, {.workers = workers});
      play(journey, traffic);
      ASSERT_EQ(journey.conservation_fault(), "");
      expect_equal_fates(alone, journey);
    }
  });
}

// Lanes with one key see each other: of each source exactly as many get in as fit, the first ones.
TEST(Conservation, ABurstAdmitsExactlyWhatFits) {
  static std::map<int, PolicyPointer> by_burst;
  for (int burst : {1, 2, 5, 30})
    by_burst[burst] = policy_in_force(
        fmt::format("version: 1\n"
                    "limits: {{opens: {{key: [source], unit: connections, rate: 1/min, burst: {}, "
                    "over: drop}}}}\n"
                    "services: {{shop: {{vips: [\"198.51.100.10:80\", \"[2001:db8::10]:80\"], "
                    "protocol: http, pool: web, limits: [opens]}}}}\n"
                    "pools: {{web: {{forward: l2, backends: {{web1: {{address: 10.0.1.1}}}}}}}}\n",
                    burst));
  each_round(100, 10'000, [](Random& random) {
    auto chosen = by_burst.begin();
    std::advance(chosen, static_cast<ptrdiff_t>(draw(random, by_burst.size())));
    Journey journey(chosen->second);
    const uint64_t sources = 1 + draw(random, 6);
    std::vector<uint64_t> source_of;
    for (int i = 0; i < 32; i++) {
      source_of.push_back(draw(random, sources));
      FrameFields f;
      f.src = ip(fmt::format("192.0.2.{}", 1 + source_of.back()));
      f.dst = ip("198.51.100.10");
      f.src_port = static_cast<uint16_t>(i);
      f.dst_port = 80;
      f.tcp_flags = syn;
      journey.offer(build(f));
    }
    journey.poll_all();
    std::map<uint64_t, int> seen;
    for (uint64_t i = 0; i < 32; i++)
      ASSERT_EQ(journey.fate(i + 1).verdict == SG_VERDICT_forwarded,
                ++seen[source_of[i]] <= chosen->first);
  });
}

// The same policy in another order, with sections that concern nobody here: what a position in the
// image would mix up, a name must not.
std::string reordered(const std::string& text) {
  std::string other = text;
  auto insert = [&](const std::string& after, const std::string& what) {
    other.insert(other.find(after) + after.size(), what);
  };
  insert("limits:\n", "  aaa-first: {key: [path], rate: 1/s, burst: 1}\n");
  insert("lists:\n", "  aaa-list: {cidrs: [10.77.0.0/16], deny: drop}\n");
  insert("signatures:\n", "  aaa-set: {field: user-agent, patterns: ['never-seen'], then: drop}\n");
  insert("services:\n",
         "  aaa: {vips: [\"198.51.100.77:80\"], protocol: http, pool: aaa, limits: [aaa-first], "
         "signatures: [aaa-set]}\n");
  insert("pools:\n",
         "  aaa: {forward: l2, backends: {x: {address: 10.7.7.7}, y: {address: 10.7.7.8}}}\n");
  return other;
}

TEST(Conservation, AReloadChangesNoLevelAndMovesNoConnection) {
  each_round(25, 2500, [](Random& random) {
    const bool tunnel = one_in(random, 2);
    const std::string text = policy_text(tunnel ? "ipip" : "l2", "429", tunnel ? "1/min" : "20/s");
    const PolicyPointer before = policies()[tunnel ? 1 : 0];
    const std::vector<Arrival> traffic = recorded_traffic(random);
    Journey steady(before), reloading(before);
    play(steady, traffic);
    bool original = true;
    play(reloading, traffic, [&](Journey& journey) {
      if (!one_in(random, 25)) return;
      original = !original;
      journey.adopt(policy_in_force(original ? text : reordered(text), {}, &journey.policy()));
    });
    ASSERT_EQ(reloading.conservation_fault(), "");
    expect_equal_fates(steady, reloading);
  });
}

}  // namespace
}  // namespace surgegate
