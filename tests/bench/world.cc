// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/world.h"

#include <fmt/format.h>

#include <stdexcept>

#include "tests/support/policy_text.h"

namespace surgegate::bench {
namespace {

constexpr std::string_view policy_text = R"(
version: 1
lists:
  blocked: {cidrs: [172.16.0.0/12], deny: drop}
limits:
  open:   {key: [client], rate: 100k/s, burst: 100k, over: 429}
  net:    {key: [client], prefix: {v4: 24, v6: 48}, rate: 1M/s, burst: 1M, over: 429}
  closed: {key: [], rate: 1/h, burst: 1, over: 429}
signatures:
  bots: {field: user-agent, patterns: {file: bots.txt}, then: {refuse: 403}}
services:
  open: {vips: ["198.51.100.10:80"], protocol: http, pool: web, limits: [open, net], signatures: [bots]}
  closed: {vips: ["198.51.100.10:81"], protocol: http, pool: web, limits: [closed]}
pools:
  web: {forward: ipip, backends: {w1: {address: 10.0.1.1}, w2: {address: 10.0.1.2}}}
)";

// 600 patterns of the shape that lists of crawlers have.
std::string crawler_patterns() {
  std::string patterns;
  for (int i = 0; i < 600; i++) patterns += fmt::format("Crawler{}bot/\n", i);
  return patterns;
}

Arena open_arena(size_t flows) {
  ArenaOptions options;
  options.layout = state_layout(4 * flows, 1u << 18);
  options.secret = sg_secret{1, 2};
  options.now_ns = 1;
  auto arena = Arena::open(options);
  if (!arena) throw std::runtime_error(arena.error());
  return std::move(*arena);
}

testing::FrameFields fields_of(size_t flow, uint16_t port) {
  testing::FrameFields fields;
  fields.dst_mac = testing::mac("02:00:00:00:00:10");
  fields.src_mac = testing::mac("02:00:00:00:02:01");
  fields.src =
      testing::ip(fmt::format("10.{}.{}.{}", 1 + flow / 50'000, flow / 250 % 200, 1 + flow % 250));
  fields.dst = testing::ip("198.51.100.10");
  fields.src_port = static_cast<uint16_t>(1024 + flow % 60'000);
  fields.dst_port = port;
  fields.seq = 1000;
  return fields;
}

}  // namespace

std::string_view browser_user_agent() {
  return "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/126.0.0.0 Safari/537.36";
}

std::string_view browser_request() {
  static const std::string request = fmt::format(
      "GET /checkout/cart?item=4711 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: {}\r\n"
      "Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\n"
      "Accept-Encoding: gzip, br\r\nConnection: keep-alive\r\n\r\n",
      browser_user_agent());
  return request;
}

Bytes World::segment(size_t flow, uint16_t port, std::string_view payload) const {
  testing::FrameFields fields = fields_of(flow, port);
  fields.seq = 1001;
  fields.ack_seq = 5000;
  fields.payload = testing::bytes_of(payload);
  return testing::build(fields);
}

Bytes World::syn(size_t flow, uint16_t port) const {
  testing::FrameFields fields = fields_of(flow, port);
  fields.tcp_flags = testing::syn;
  fields.mss = 1460;
  return testing::build(fields);
}

World::World(size_t flows, uint16_t port)
    : policy_(
          testing::policy_in_force(std::string(policy_text), {{"bots.txt", crawler_patterns()}})),
      arena_(open_arena(flows)),
      tables_(arena_, next_hops_, TunnelSource{}) {
  deal_shards(arena_, 1);
  auto backends = policy_->image().backends();
  for (uint32_t slot = 0; slot < backends.size(); slot++) next_hops_.set(slot, {2, 0, 0, 0, 1, 1});
  worker_ = std::make_unique<Worker>(0, tables_, port_, nullptr, nullptr);
  if (!worker_->adopt(*policy_)) throw std::runtime_error("no scratch");
  for (size_t flow = 0; flow < flows; flow++) {
    Bytes opening = syn(flow, port), established = segment(flow, port, "");
    const Bytes* frames[] = {&opening, &established};
    run(frames, still());
  }
}

}  // namespace surgegate::bench
