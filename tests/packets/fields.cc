// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packets/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

namespace surgegate::testing {
namespace {

uint32_t number(const YAML::Node& node) {
  try {
    return static_cast<uint32_t>(std::stoull(node.as<std::string>(), nullptr, 0));
  } catch (const std::exception&) {
    fail_at(node, "a number was expected");
  }
}

uint8_t flags_of(const YAML::Node& node) {
  static const std::map<std::string, uint8_t> words = {{"FIN", fin}, {"SYN", syn}, {"RST", rst},
                                                       {"PSH", psh}, {"ACK", ack}, {"URG", urg},
                                                       {"ECE", ece}, {"CWR", cwr}, {"none", 0}};
  uint8_t flags = 0;
  std::string text = node.as<std::string>() + "|";
  for (size_t end; (end = text.find('|')) != std::string::npos; text = text.substr(end + 1)) {
    auto word = words.find(text.substr(0, end));
    if (word == words.end()) fail_at(node, "not a TCP flag: " + text.substr(0, end));
    flags |= word->second;
  }
  return flags;
}

// A head's lines end with CRLF and an empty one follows; what stands behind an empty line is
// content, byte by byte, but for the newline that ends the text.
std::string http_text(const std::string& text) {
  const size_t empty_line = text.find("\n\n");
  std::string head = text.substr(0, empty_line == std::string::npos ? text.size() : empty_line + 1);
  std::string content = empty_line == std::string::npos ? "" : text.substr(empty_line + 2);
  if (head.empty() || head.back() != '\n') head += '\n';
  if (!content.empty() && content.back() == '\n') content.pop_back();
  std::string wire;
  for (char c : head) wire += c == '\n' ? "\r\n" : std::string(1, c);
  return wire + "\r\n" + content;
}

Bytes http_bytes(const YAML::Node& node) {
  if (!node.IsSequence()) return bytes_of(http_text(node.as<std::string>()));
  std::string all;
  for (const YAML::Node& message : node) all += http_text(message.as<std::string>());
  return bytes_of(all);
}

std::vector<VlanTag> tags_of(const YAML::Node& node) {
  std::vector<VlanTag> tags;
  for (const YAML::Node& tag : node) {
    if (tag.IsMap()) {
      allow_keys(tag, {"type", "control"});
      tags.push_back({static_cast<uint16_t>(number(tag["type"])),
                      static_cast<uint16_t>(number(tag["control"]))});
    } else {
      tags.push_back({0x8100, static_cast<uint16_t>(number(tag))});
    }
  }
  return tags;
}

std::vector<Extension> extensions_of(const YAML::Node& node) {
  std::vector<Extension> chain;
  for (const YAML::Node& entry : node) {
    const auto name = entry.as<std::string>();
    if (name == "hop-by-hop")
      chain.push_back(Extension::options(0));
    else if (name == "destination")
      chain.push_back(Extension::options(60));
    else if (name == "routing")
      chain.push_back(Extension::routing());
    else if (name == "authentication")
      chain.push_back({51, Bytes(16, 0)});
    else
      fail_at(entry, "not an extension header: " + name);
  }
  return chain;
}

uint8_t proto_of(const YAML::Node& node, int version) {
  const auto name = node.as<std::string>();
  if (name == "tcp") return proto_tcp;
  if (name == "udp") return proto_udp;
  if (name == "icmp") return version == 4 ? proto_icmp : proto_icmp6;
  return static_cast<uint8_t>(number(node));
}

size_t ip_header_bytes(const FrameFields& f) {
  return f.src.version == 4 ? 20 + (f.ip4_options.size() + 3) / 4 * 4 : 40;
}

// "tcp+5": five bytes into the TCP header; "-3": three bytes from the frame's end.
size_t cut_at(const YAML::Node& node, const FrameFields& f) {
  const auto text = node.as<std::string>();
  const size_t plus = text.find('+');
  if (plus == std::string::npos) {
    const long bytes = std::stol(text);
    return bytes < 0 ? build(f).size() - static_cast<size_t>(-bytes) : static_cast<size_t>(bytes);
  }
  const std::string layer = text.substr(0, plus);
  const size_t offset = std::stoul(text.substr(plus + 1));
  if (layer == "link") return offset;
  if (layer == "ip") return link_bytes(f) + offset;
  if (layer == "l4") return link_bytes(f) + ip_header_bytes(f) + offset;
  if (layer == "payload") return header_bytes(f) + offset;
  fail_at(node, "a cut is link+N, ip+N, l4+N, payload+N, N or -N");
}

// What the IP header would say, and how far from that a "+3" or "-3" is.
uint16_t ip_length(const YAML::Node& node, const FrameFields& f) {
  const auto text = node.as<std::string>();
  if (text[0] != '+' && text[0] != '-') return static_cast<uint16_t>(number(node));
  const size_t packet = build(f).size() - f.padding - link_bytes(f);
  const long right = static_cast<long>(f.src.version == 4 ? packet : packet - 40);
  return static_cast<uint16_t>(right + std::stol(text));
}

// As the IP length of a frame that is cut says, so that what is cut is cut in truth.
void end_packet_at_cut(FrameFields& f) {
  const size_t packet = *f.cut - link_bytes(f);
  f.ip_length = static_cast<uint16_t>(f.src.version == 4 ? packet : packet - 40);
}

struct Context {
  const Names& names;
  const InitialNumbers& numbers;
  Direction direction;
};

using Setter = std::function<void(const YAML::Node&, const Context&, FrameFields&)>;

uint32_t own_first(const Context& c) {
  return c.direction == Direction::to_server ? c.numbers.client : c.numbers.server;
}
uint32_t other_first(const Context& c) {
  return c.direction == Direction::to_server ? c.numbers.server : c.numbers.client;
}

// n: the word's value, c: the case, f: the fields.
#define SETTER(...) \
  [](const YAML::Node& n, [[maybe_unused]] const Context& c, FrameFields& f) { __VA_ARGS__; }

// In the order in which they are applied.
const std::vector<std::pair<std::string, Setter>>& setters() {
  static const std::vector<std::pair<std::string, Setter>> all = {
      {"eth_src", SETTER(f.src_mac = mac(n.as<std::string>()))},
      {"eth_dst", SETTER(f.dst_mac = mac(n.as<std::string>()))},
      {"vlan", SETTER(f.tags = tags_of(n))},
      {"type", SETTER(f.ethertype = static_cast<uint16_t>(number(n)))},
      {"src", SETTER(f.src = c.names.address(n.as<std::string>()))},
      {"dst", SETTER(f.dst = c.names.address(n.as<std::string>()))},
      {"ttl", SETTER(f.ttl = static_cast<uint8_t>(number(n)))},
      {"dscp", SETTER(f.dscp_ecn = static_cast<uint8_t>(number(n) << 2 | (f.dscp_ecn & 3)))},
      {"ecn", SETTER(f.dscp_ecn = static_cast<uint8_t>((f.dscp_ecn & 0xfc) | number(n)))},
      {"id", SETTER(f.ip4_id = static_cast<uint16_t>(number(n)))},
      {"df", SETTER(f.dont_fragment = n.as<bool>())},
      {"ip_options", SETTER(f.ip4_options = from_hex(n.as<std::string>()))},
      {"flow_label", SETTER(f.flow_label = number(n))},
      {"extensions", SETTER(f.extensions = extensions_of(n))},
      {"fragment", SETTER(f.fragment = Fragment{static_cast<uint16_t>(number(n["offset"])),
                                                n["more"].as<bool>(), 7})},
      {"proto", SETTER(f.proto = proto_of(n, c.names.version()))},
      {"sport", SETTER(f.src_port = static_cast<uint16_t>(number(n)))},
      {"dport", SETTER(f.dst_port = static_cast<uint16_t>(number(n)))},
      {"flags", SETTER(f.tcp_flags = flags_of(n))},
      {"seq", SETTER(f.seq = own_first(c) + number(n))},
      {"ack", SETTER(f.ack_seq = other_first(c) + number(n))},
      {"window", SETTER(f.window = static_cast<uint16_t>(number(n)))},
      {"urgent", SETTER(f.urgent = static_cast<uint16_t>(number(n)))},
      {"mss", SETTER(f.mss = static_cast<uint16_t>(number(n)))},
      {"wscale", SETTER(f.window_scale = static_cast<uint8_t>(number(n)))},
      {"sack", SETTER(f.sack_permitted = n.as<bool>())},
      {"ts", SETTER(if (n.IsSequence()) f.timestamps = Timestamps{number(n[0]), number(n[1])};
                    else f.timestamps.reset())},
      {"options", SETTER(f.tcp_options = from_hex(n.as<std::string>()))},
      {"icmp", SETTER(f.icmp_type = static_cast<uint8_t>(number(n)))},
      {"http", SETTER(f.payload = http_bytes(n))},
      {"payload", SETTER(f.payload = bytes_of(n.as<std::string>()))},
      {"payload_size", SETTER(f.payload.assign(number(n), 'x'))},
      {"padding", SETTER(f.padding = number(n))},
      {"ip_version", SETTER(f.ip_version = static_cast<uint8_t>(number(n)))},
      {"ihl", SETTER(f.ip4_header_words = static_cast<uint8_t>(number(n)))},
      {"ip_checksum", SETTER(f.ip4_checksum = static_cast<uint16_t>(number(n)))},
      {"data_offset", SETTER(f.tcp_header_words = static_cast<uint8_t>(number(n)))},
      {"udp_length", SETTER(f.udp_length = static_cast<uint16_t>(number(n)))},
      {"checksum", SETTER(if (n.as<std::string>() == "bad") f.l4_checksum_xor = 0x0100;
                          else f.l4_checksum = static_cast<uint16_t>(number(n)))},
      {"ip_length", SETTER(f.ip_length = ip_length(n, f))},
      {"cut", SETTER(f.cut = cut_at(n, f))},
      {"ends_at", SETTER(f.cut = cut_at(n, f); end_packet_at_cut(f))},
  };
  return all;
}

#undef SETTER

}  // namespace

void fail_at(const YAML::Node& node, const std::string& what) {
  throw std::runtime_error(fmt::format("line {}: {}", node.Mark().line + 1, what));
}

void allow_keys(const YAML::Node& map, std::initializer_list<const char*> keys) {
  for (const auto& entry : map) {
    const auto key = entry.first.as<std::string>();
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      fail_at(entry.first, "not a word of the specifications here: " + key);
  }
}

Ip Names::address(const std::string& name) const {
  if (!hosts_[name]) return ip(name);
  return ip(hosts_[name][version_ == 4 ? "v4" : "v6"].as<std::string>());
}

void apply(const YAML::Node& node, const Names& names, const InitialNumbers& numbers,
           Direction direction, FrameFields& fields) {
  if (!node || node.IsNull()) return;
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    auto is_key = [&](const auto& setter) { return setter.first == key; };
    if (std::none_of(setters().begin(), setters().end(), is_key))
      fail_at(entry.first, "not a field of a frame: " + key);
  }
  const Context context{names, numbers, direction};
  for (const auto& [key, set] : setters())
    if (node[key]) set(node[key], context, fields);
}

}  // namespace surgegate::testing
