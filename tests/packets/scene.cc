// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packets/scene.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "dataplane/path/decide.h"

namespace surgegate::testing {
namespace {

// Frames come from a router and are addressed to the gate.
const Mac router_mac = mac("02:00:00:00:00:01");
const Mac gate_mac = mac("02:00:00:00:00:02");

constexpr uint32_t timestamp_lead = 65536;

std::vector<VlanTag> tags_for(const std::string& link) {
  if (link == "untagged") return {};
  if (link == "vlan") return {{0x8100, 0x6064}};  // priority 3, VLAN 100
  if (link == "qinq") return {{0x88a8, 0x0007}, {0x8100, 0xa064}};
  throw std::runtime_error("a link is untagged, vlan or qinq, not " + link);
}

std::string text(const YAML::Node& node) {
  return node ? node.as<std::string>() : std::string();
}

std::string difference(const Bytes& expected, const Bytes& actual) {
  const size_t length = std::min(expected.size(), actual.size());
  size_t at = 0;
  while (at < length && expected[at] == actual[at]) at++;
  return fmt::format("they differ from byte {} on\nexpected:\n{}\nleft:\n{}", at,
                     describe(expected), describe(actual));
}

void compare(const std::vector<Bytes>& expected, const std::vector<Bytes>& actual,
             const std::string& where) {
  for (size_t i = 0; i < std::min(expected.size(), actual.size()); i++)
    EXPECT_TRUE(expected[i] == actual[i])
        << "frame " << i + 1 << " " << where << ": " << difference(expected[i], actual[i]);
  for (size_t i = actual.size(); i < expected.size(); i++)
    ADD_FAILURE() << "a frame is missing " << where << ":\n" << describe(expected[i]);
  for (size_t i = expected.size(); i < actual.size(); i++)
    ADD_FAILURE() << "a frame too many " << where << ":\n" << describe(actual[i]);
}

uint32_t end_of(const FrameFields& f) {
  return f.seq + static_cast<uint32_t>(f.payload.size()) + ((f.tcp_flags & (syn | fin)) ? 1 : 0);
}

}  // namespace

Scene::Scene(const Subject& subject, const YAML::Node& scene, const Variant& variant)
    : subject_(subject),
      scene_(scene),
      names_(subject.hosts, variant.version),
      tags_(tags_for(variant.link)) {
  allow_keys(scene,
             {"name", "why", "policy", "only", "links", "workers", "isn", "defaults", "packets"});
  if (const YAML::Node isn = scene["isn"]) {
    allow_keys(isn, {"client", "server"});
    numbers_ = {isn["client"].as<uint32_t>(), isn["server"].as<uint32_t>()};
  }
  JourneyOptions options;
  if (scene["workers"]) options.workers = scene["workers"].as<uint32_t>();
  auto policy = subject.policies.find(text(scene["policy"]));
  if (policy == subject.policies.end()) fail_at(scene, "no such policy: " + text(scene["policy"]));
  journey_ = std::make_unique<Journey>(policy->second, options);
}

void Scene::play() {
  for (const YAML::Node& node : scene_["packets"]) {
    SCOPED_TRACE(fmt::format("{}.yaml:{}", subject_.file, node.Mark().line + 1));
    step(node);
  }
  EXPECT_EQ(journey_->conservation_fault(), "");
}

void Scene::step(const YAML::Node& node) {
  if (node["at"]) journey_->at(static_cast<uint64_t>(node["at"].as<double>() * 1e9 + 0.5));
  if (node["in"]) return burst({node});
  allow_keys(node, {"at", "connect", "burst", "world", "counts", "reload"});
  if (node["connect"]) return connect(node["connect"]);
  if (node["world"]) return change_world(node["world"]);
  if (node["counts"]) return check_counts(node["counts"]);
  if (node["reload"]) return journey_->adopt(subject_.policies.at(text(node["reload"])));
  if (!node["burst"]) fail_at(node, "a step is in, burst, connect, world, counts or reload");
  burst({node["burst"].begin(), node["burst"].end()});
}

// A handshake that is forwarded. The node holds the fields of both segments; MSS and window scale
// are the SYN's alone.
void Scene::connect(const YAML::Node& node) {
  YAML::Node opening =
      YAML::Load("{in: {flags: SYN, seq: 0}, expect: {verdict: forwarded, reason: syn}}");
  YAML::Node acknowledging = YAML::Load(
      "{in: {flags: ACK, seq: 1, ack: 1}, expect: {verdict: forwarded, reason: segment}}");
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    if (key == "backend") {
      opening["expect"][key] = acknowledging["expect"][key] = entry.second;
      continue;
    }
    opening["in"][key] = entry.second;
    if (key != "mss" && key != "wscale" && key != "sack") acknowledging["in"][key] = entry.second;
  }
  burst({opening});
  burst({acknowledging});
}

void Scene::burst(const std::vector<YAML::Node>& packets) {
  std::vector<Sent> all;
  for (const YAML::Node& packet : packets) all.push_back(offer(packet));
  journey_->poll_all();
  for (const Sent& sent : all) check(sent);
}

void Scene::change_world(const YAML::Node& node) {
  allow_keys(node, {"headroom", "tailroom", "spare_frames", "tx_room", "flow_table",
                    "forget_next_hop", "ring_frames", "usual"});
  for (uint32_t i = 0; i < journey_->workers(); i++) {
    FakePort& port = journey_->port(i);
    if (node["usual"]) {
      port.room = {};
      port.spare = port.tx_room = FakePort::unlimited;
    }
    if (node["headroom"]) port.room.front = node["headroom"].as<size_t>();
    if (node["tailroom"]) port.room.back = node["tailroom"].as<size_t>();
    if (node["spare_frames"]) port.spare = node["spare_frames"].as<uint32_t>();
    if (node["tx_room"]) port.tx_room = node["tx_room"].as<uint32_t>();
  }
  if (node["usual"]) journey_->learn_next_hops();
  if (node["flow_table"]) journey_->fill_flow_table();
  if (node["ring_frames"]) journey_->rings().frames_max = node["ring_frames"].as<uint32_t>();
  if (node["forget_next_hop"]) {
    const sg_backend* first = journey_->policy().image().backends().data();
    journey_->next_hops().forget(
        static_cast<uint32_t>(&backend_named(node["forget_next_hop"]) - first));
  }
}

void Scene::check_counts(const YAML::Node& node) {
  for (const auto& entry : node) {
    const auto name = entry.first.as<std::string>();
    if (!entry.second.IsMap()) {
      EXPECT_EQ(count_named(name, YAML::Node()), entry.second.as<uint64_t>()) << name;
      continue;
    }
    for (const auto& of : entry.second)
      EXPECT_EQ(count_named(name, of.first), of.second.as<uint64_t>())
          << name << " of " << text(of.first);
  }
}

uint64_t Scene::count_named(const std::string& name, const YAML::Node& of) const {
  const ImageView& image = journey_->policy().image();
  auto index_of = [&](auto records) {
    for (size_t i = 0; i < records.size(); i++)
      if (image.text(records[i].name) == text(of)) return i;
    fail_at(of, "nothing of this name is in the policy");
  };
  const auto exhaustion = std::ranges::find(exhaustion_counters, name, &ExhaustionCounter::name);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < journey_->workers(); i++) {
    const Counters& c = journey_->worker(i).counters();
    if (exhaustion != exhaustion_counters.end())
      sum += exhaustion->read(c);
    else if (name == "packets_crossed")
      sum += c.packets_crossed;
    else if (name == "resets_out")
      sum += c.resets_out;
    else if (name == "admitted")
      sum += c.limits[index_of(image.limits())].admitted_units;
    else if (name == "refused")
      sum += c.limits[index_of(image.limits())].refused_units;
    else if (name == "would_refuse")
      sum += c.limits[index_of(image.limits())].would_refuse_units;
    else if (name == "matched")
      sum += c.signatures[index_of(image.signatures())].matched;
    else if (name == "would_match")
      sum += c.signatures[index_of(image.signatures())].would_match;
    else if (name == "connections")
      sum += c.backends[index_of(image.backends())].connections;
    else if (name == "packets")
      sum += c.backends[index_of(image.backends())].packets;
    else
      fail_at(scene_, "not a count: " + name);
  }
  return sum;
}

// --- What goes in ------------------------------------------------------------------------------

Scene::Sent Scene::offer(const YAML::Node& packet) {
  allow_keys(packet, {"at", "arrives_at", "in", "expect"});
  if (!packet["expect"]) fail_at(packet, "nothing is expected of this packet");
  Sent sent{packet, fields_of(packet["in"]), {}, 0};
  sent.bytes = build(sent.fields);
  sent.number = journey_->offer(sent.bytes, arrival(packet, sent.bytes));
  return sent;
}

// What a packet's words leave open goes on where its connection stands.
FrameFields Scene::fields_of(const YAML::Node& in) {
  const YAML::Node defaults = scene_["defaults"];
  FrameFields f;
  f.dst_mac = gate_mac;
  f.src_mac = router_mac;
  f.tags = tags_;
  f.src = names_.address("client");
  f.dst = names_.address("vip");
  f.src_port = 40001;
  f.dst_port = 80;
  apply(defaults, names_, numbers_, Direction::to_server, f);
  const std::string key = text(in["src"]) + " " + text(in["sport"]);
  auto [at, is_new] = streams_.try_emplace(key, Stream{numbers_.client, numbers_.server + 1});
  Stream& stream = at->second;
  f.seq = stream.next_seq;
  f.ack_seq = stream.ack;
  apply(in, names_, numbers_, Direction::to_server, f);
  if (!in["flags"]) f.tcp_flags = f.payload.empty() ? ack : psh | ack;
  if (!in["ack"] && (f.tcp_flags & ack) == 0) f.ack_seq = 0;
  if (f.proto != proto_tcp) return f;
  if (static_cast<int32_t>(end_of(f) - stream.next_seq) > 0) stream.next_seq = end_of(f);
  if (in["ack"]) stream.ack = f.ack_seq;
  return f;
}

// The worker whose queue it comes by.
uint32_t Scene::arrival(const YAML::Node& packet, const Bytes& frame) {
  const std::string where = text(packet["arrives_at"]);
  const uint32_t owner = journey_->owner_of(frame);
  if (where.empty() || where == "owner") return journey_->workers() == 1 ? 0 : owner;
  if (where == "other") return (owner + 1) % journey_->workers();
  fail_at(packet["arrives_at"], "a packet arrives at its owner or at an other");
}

// --- What comes out ----------------------------------------------------------------------------

void Scene::check(const Sent& sent) {
  SCOPED_TRACE(fmt::format("{}.yaml:{}", subject_.file, sent.node.Mark().line + 1));
  const YAML::Node expect = sent.node["expect"];
  allow_keys(expect,
             {"verdict", "reason", "service", "limit", "signature", "backend", "requests", "out"});
  const Fate& fate = journey_->fate(sent.number);
  ASSERT_EQ(fate.verdicts, 1u) << "how often a verdict was told";
  EXPECT_EQ(name_of(fate.verdict), text(expect["verdict"]));
  EXPECT_EQ(rules()[fate.reason].name, text(expect["reason"]));
  const std::pair<const char*, std::string> names[] = {
      {"service", fate.service.empty() ? "none" : fate.service},
      {"limit", fate.limit},
      {"signature", fate.signature},
      {"backend", fate.backend}};
  for (const auto& [key, actual] : names)
    if (expect[key]) {
      EXPECT_EQ(actual, text(expect[key])) << key;
    }
  if (const YAML::Node requests = expect["requests"]) {
    EXPECT_EQ(fate.requests_admitted, requests["admitted"].as<uint32_t>());
    EXPECT_EQ(fate.requests_refused, requests["refused"].as<uint32_t>());
  }
  compare(expected_out(sent), fate.sent, "through the port");
  const bool to_kernel = text(expect["verdict"]) == "to_kernel";
  compare(to_kernel ? std::vector<Bytes>{sent.bytes} : std::vector<Bytes>{}, fate.kernel,
          "to the kernel");
}

std::vector<Bytes> Scene::expected_out(const Sent& sent) {
  const YAML::Node expect = sent.node["expect"];
  std::vector<Bytes> frames;
  if (expect["out"]) {
    for (const YAML::Node& out : expect["out"]) frames.push_back(expected_frame(sent, out));
  } else if (text(expect["verdict"]) == "forwarded") {
    frames.push_back(
        build(forwarded(sent.fields, expect["backend"] ? expect["backend"] : only_backend())));
  } else if (text(expect["verdict"]) == "answered") {
    fail_at(expect, "an answer is expected, but not told");
  }
  return frames;
}

namespace {

// The line that begins so, its end included; empty where there is none.
std::string line_of(const std::string& head, const std::string& start) {
  const size_t at = head.find("\r\n" + start);
  return at == std::string::npos ? "" : head.substr(at + 2, head.find("\r\n", at + 2) - at);
}

// What is told of a limit, behind Retry-After, whose seconds it repeats: `NAME;q=QUOTA;w=SECONDS`.
Bytes with_limit(const Bytes& whole, const std::string& limit) {
  std::string answer(whole.begin(), whole.end());
  const std::string wait = line_of(answer, "Retry-After: ");
  const size_t name_end = limit.find(';');
  const std::string name = '"' + limit.substr(0, name_end) + '"';
  const std::string fields = "RateLimit-Policy: " + name + limit.substr(name_end) +
                             "\r\nRateLimit: " + name + ";r=0;t=" + wait.substr(13);
  answer.insert(answer.find(wait) + wait.size(), fields);
  return bytes_of(answer);
}

// The shorter forms of a whole answer: without its body, or the least that says what happened.
Bytes in_form(const Bytes& whole, const std::string& form) {
  const std::string answer(whole.begin(), whole.end());
  const std::string date = line_of(answer, "Date: "), wait = line_of(answer, "Retry-After: ");
  if (form == "without-body")
    return bytes_of(answer.substr(0, answer.find("\r\n") + 2) + date + wait +
                    "Content-Length: 0\r\nConnection: close\r\n\r\n");
  if (form == "least") return bytes_of(answer.substr(0, 13) + "\r\n" + date + wait + "\r\n");
  if (form == "none") return {};
  throw std::runtime_error("no form of an answer is named " + form);
}

}  // namespace

Bytes Scene::expected_frame(const Sent& sent, const YAML::Node& out) {
  allow_keys(out, {"forward", "tunnel", "answer", "reset", "reset_in_tunnel", "reset_to_client",
                   "form", "limit"});
  const auto kind = out.begin()->first.as<std::string>();
  YAML::Node words = YAML::Clone(out.begin()->second);
  const YAML::Node backend = words["to"] ? YAML::Clone(words["to"]) : only_backend();
  words.remove("to");
  FrameFields f;
  if (kind == "answer" || kind == "reset_to_client")
    f = answered(sent.fields);
  else if (kind == "forward" || kind == "tunnel")
    f = forwarded(sent.fields, backend);
  else
    f = reset(sent.fields, backend);
  if (kind == "reset_to_client") {
    f.tcp_flags = rst | ack;
    f.window = 0;
  }
  const bool to_client = kind == "answer" || kind == "reset_to_client";
  apply(words, names_, numbers_, to_client ? Direction::to_client : Direction::to_server, f);
  if (out["limit"]) f.payload = with_limit(f.payload, text(out["limit"]));
  if (out["form"]) f.payload = in_form(f.payload, text(out["form"]));
  if (kind == "tunnel" || kind == "reset_in_tunnel") f = tunnelled(f, backend);
  return build(f);
}

FrameFields Scene::forwarded(const FrameFields& in, const YAML::Node& backend) {
  FrameFields f = in;
  f.src_mac = gate_mac;
  f.dst_mac = Journey::backend_mac(backend_address(backend));
  return f;
}

FrameFields Scene::tunnelled(FrameFields inner, const YAML::Node& backend) {
  const TunnelSource source = JourneyOptions{}.tunnel_source;
  Outer outer;
  outer.dst = backend_address(backend);
  outer.src.version = outer.dst.version;
  if (outer.src.version == 4)
    std::copy(source.ip4.begin(), source.ip4.end(), outer.src.bytes.begin());
  else
    outer.src.bytes = source.ip6;
  inner.outer = outer;
  inner.padding = 0;
  return inner;
}

// What the design says of every answer: back the way it came, at the place in the stream where the
// client waits, with its DSCP and without ECN.
FrameFields Scene::answered(const FrameFields& in) {
  FrameFields f;
  f.dst_mac = router_mac;
  f.src_mac = gate_mac;
  f.tags = in.tags;
  f.src = in.dst;
  f.dst = in.src;
  f.dscp_ecn = in.dscp_ecn & 0xfc;
  f.src_port = in.dst_port;
  f.dst_port = in.src_port;
  f.tcp_flags = fin | psh | ack;
  f.seq = in.ack_seq;
  f.ack_seq = end_of(in);
  if (in.timestamps)
    f.timestamps = Timestamps{in.timestamps->echo + timestamp_lead, in.timestamps->value};
  return f;
}

// RFC 5961 section 3.2: exactly where the backend stands.
FrameFields Scene::reset(const FrameFields& in, const YAML::Node& backend) {
  FrameFields f = forwarded(in, backend);
  f.ttl = 64;
  f.dscp_ecn = in.dscp_ecn & 0xfc;
  f.ip4_id = 0;
  f.dont_fragment = true;
  f.ip4_options.clear();
  f.extensions.clear();
  f.flow_label = 0;
  f.mss.reset();
  f.window_scale.reset();
  f.sack_permitted = false;
  f.tcp_options.clear();
  f.tcp_flags = rst | ack;
  f.window = 0;
  f.urgent = 0;
  f.payload.clear();
  f.padding = 0;
  return f;
}

const sg_backend& Scene::backend_named(const YAML::Node& node) const {
  const ImageView& image = journey_->policy().image();
  for (const sg_backend& backend : image.backends())
    if (image.text(backend.name) == text(node)) return backend;
  fail_at(node, "no such backend: " + text(node));
}

Ip Scene::backend_address(const YAML::Node& node) const {
  static constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const sg_backend& backend = backend_named(node);
  Ip ip;
  ip.version = std::memcmp(backend.ip, mapped, sizeof(mapped)) == 0 ? 4 : 6;
  std::memcpy(ip.bytes.data(), ip.version == 4 ? backend.ip + 12 : backend.ip, ip.size());
  return ip;
}

YAML::Node Scene::only_backend() const {
  const ImageView& image = journey_->policy().image();
  YAML::Node name;
  for (const sg_backend& backend : image.backends()) {
    if (backend.state != SG_BACKEND_ACTIVE) continue;
    if (name.IsScalar()) fail_at(scene_, "there are several backends: say which");
    name = std::string(image.text(backend.name));
  }
  return name;
}

}  // namespace surgegate::testing
