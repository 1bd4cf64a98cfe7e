// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/frame.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace surgegate::testing {
namespace {

void put8(Bytes& to, uint32_t value) {
  to.push_back(static_cast<uint8_t>(value));
}

void put16(Bytes& to, uint32_t value) {
  put8(to, value >> 8);
  put8(to, value);
}

void put32(Bytes& to, uint32_t value) {
  put16(to, value >> 16);
  put16(to, value);
}

void put(Bytes& to, const Bytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void put_ip(Bytes& to, const Ip& ip) {
  to.insert(to.end(), ip.bytes.begin(), ip.bytes.begin() + static_cast<ptrdiff_t>(ip.size()));
}

void set16(Bytes& in, size_t at, uint32_t value) {
  in[at] = static_cast<uint8_t>(value >> 8);
  in[at + 1] = static_cast<uint8_t>(value);
}

// RFC 9293 section 3.1, RFC 8200 section 8.1.
uint16_t l4_checksum(const FrameFields& f, uint8_t proto, const Bytes& l4) {
  Bytes all;
  put_ip(all, f.src);
  put_ip(all, f.dst);
  if (f.src.version == 4) {
    put8(all, 0);
    put8(all, proto);
    put16(all, static_cast<uint32_t>(l4.size()));
  } else {
    put32(all, static_cast<uint32_t>(l4.size()));
    put32(all, proto);
  }
  put(all, l4);
  return internet_checksum(all);
}

uint16_t chosen_checksum(const FrameFields& f, uint16_t right) {
  return f.l4_checksum.value_or(static_cast<uint16_t>(right ^ f.l4_checksum_xor));
}

Bytes tcp_options(const FrameFields& f) {
  Bytes options;
  if (f.mss) {
    put(options, {2, 4});
    put16(options, *f.mss);
  }
  if (f.sack_permitted) put(options, {4, 2});
  if (f.window_scale) put(options, {3, 3, *f.window_scale});
  if (f.timestamps) {
    // Where nothing stands before it, in the form that every stack sends (RFC 7323 appendix A).
    if (options.empty()) put(options, {1, 1});
    put(options, {8, 10});
    put32(options, f.timestamps->value);
    put32(options, f.timestamps->echo);
  }
  put(options, f.tcp_options);
  while (options.size() % 4 != 0) put8(options, options.size() % 4 == 3 ? 0 : 1);
  return options;
}

Bytes tcp_segment(const FrameFields& f) {
  Bytes options = tcp_options(f);
  Bytes tcp;
  put16(tcp, f.src_port);
  put16(tcp, f.dst_port);
  put32(tcp, f.seq);
  put32(tcp, f.ack_seq);
  auto words = static_cast<uint8_t>((20 + options.size()) / 4);
  put8(tcp, static_cast<uint32_t>(f.tcp_header_words.value_or(words)) << 4);
  put8(tcp, f.tcp_flags);
  put16(tcp, f.window);
  put16(tcp, 0);
  put16(tcp, f.urgent);
  put(tcp, options);
  put(tcp, f.payload);
  set16(tcp, 16, chosen_checksum(f, l4_checksum(f, proto_tcp, tcp)));
  return tcp;
}

Bytes udp_datagram(const FrameFields& f) {
  Bytes udp;
  put16(udp, f.src_port);
  put16(udp, f.dst_port);
  put16(udp, f.udp_length.value_or(static_cast<uint16_t>(8 + f.payload.size())));
  put16(udp, 0);
  put(udp, f.payload);
  uint16_t right = l4_checksum(f, proto_udp, udp);
  set16(udp, 6, chosen_checksum(f, right == 0 ? 0xffff : right));  // RFC 768: 0 means none
  return udp;
}

Bytes icmp_message(const FrameFields& f) {
  Bytes icmp;
  put8(icmp, f.icmp_type);
  put8(icmp, f.icmp_code);
  put16(icmp, 0);
  put32(icmp, 0x00010001);  // identifier and sequence
  put(icmp, f.payload);
  uint16_t right = f.src.version == 4 ? internet_checksum(icmp) : l4_checksum(f, proto_icmp6, icmp);
  set16(icmp, 2, chosen_checksum(f, right));
  return icmp;
}

Bytes l4_of(const FrameFields& f) {
  if (f.proto == proto_tcp) return tcp_segment(f);
  if (f.proto == proto_udp) return udp_datagram(f);
  if (f.proto == proto_icmp || f.proto == proto_icmp6) return icmp_message(f);
  return f.payload;
}

Bytes ip4_packet(const FrameFields& f, const Bytes& l4) {
  Bytes options = f.ip4_options;
  while (options.size() % 4 != 0) put8(options, 0);
  auto words = static_cast<uint8_t>((20 + options.size()) / 4);
  Bytes packet;
  put8(packet,
       static_cast<uint32_t>(f.ip_version.value_or(4)) << 4 | f.ip4_header_words.value_or(words));
  put8(packet, f.dscp_ecn);
  put16(packet, f.ip_length.value_or(static_cast<uint16_t>(20 + options.size() + l4.size())));
  put16(packet, f.fragment ? f.fragment->id : f.ip4_id);
  uint32_t flags = f.dont_fragment && !f.fragment ? 0x4000 : 0;
  if (f.fragment) flags = (f.fragment->more ? 0x2000 : 0) | f.fragment->offset_bytes / 8;
  put16(packet, flags);
  put8(packet, f.ttl);
  put8(packet, f.proto);
  put16(packet, 0);
  put_ip(packet, f.src);
  put_ip(packet, f.dst);
  put(packet, options);
  set16(packet, 10, f.ip4_checksum.value_or(internet_checksum(packet)));
  put(packet, l4);
  return packet;
}

Bytes ip6_packet(const FrameFields& f, const Bytes& l4) {
  std::vector<Extension> chain = f.extensions;
  if (f.fragment) {
    Extension header{44, {0, 0}};
    put16(header.bytes, static_cast<uint32_t>(f.fragment->offset_bytes & ~7) | f.fragment->more);
    put32(header.bytes, f.fragment->id);
    chain.push_back(header);
  }
  Bytes rest;
  for (size_t i = 0; i < chain.size(); i++) {
    chain[i].bytes[0] = i + 1 < chain.size() ? chain[i + 1].kind : f.proto;
    put(rest, chain[i].bytes);
  }
  put(rest, l4);
  Bytes packet;
  put32(packet, static_cast<uint32_t>(f.ip_version.value_or(6)) << 28 |
                    static_cast<uint32_t>(f.dscp_ecn) << 20 | f.flow_label);
  put16(packet, f.ip_length.value_or(static_cast<uint16_t>(rest.size())));
  put8(packet, chain.empty() ? f.proto : chain[0].kind);
  put8(packet, f.ttl);
  put_ip(packet, f.src);
  put_ip(packet, f.dst);
  put(packet, rest);
  return packet;
}

Bytes ip_packet(const FrameFields& f, const Bytes& l4) {
  return f.src.version == 4 ? ip4_packet(f, l4) : ip6_packet(f, l4);
}

// RFC 2003, RFC 2473: DF is set and the traffic class copied (RFC 6040 section 4.1).
Bytes in_tunnel(const FrameFields& inner, const Bytes& packet) {
  FrameFields outer;
  outer.src = inner.outer->src;
  outer.dst = inner.outer->dst;
  outer.ttl = inner.outer->ttl;
  outer.dscp_ecn = inner.dscp_ecn;
  outer.proto = inner.src.version == 4 ? proto_ipip : proto_ip6;
  return ip_packet(outer, packet);
}

uint16_t ethertype_of(const Ip& ip) {
  return ip.version == 4 ? 0x0800 : 0x86dd;
}

}  // namespace

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

Bytes from_hex(std::string_view hex) {
  Bytes bytes;
  std::string digits;
  for (char c : hex)
    if (c != ' ' && c != '\n') digits += c;
  if (digits.size() % 2 != 0) throw std::invalid_argument("odd number of hex digits");
  for (size_t i = 0; i < digits.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string to_hex(const Bytes& bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i++)
    text += fmt::format("{}{:02x}", i == 0 ? "" : i % 16 == 0 ? "\n" : " ", bytes[i]);
  return text;
}

Ip ip(std::string_view text) {
  Ip ip;
  std::string copy(text);
  ip.version = copy.find(':') == std::string::npos ? 4 : 6;
  if (inet_pton(ip.version == 4 ? AF_INET : AF_INET6, copy.c_str(), ip.bytes.data()) != 1)
    throw std::invalid_argument("not an address: " + copy);
  return ip;
}

Mac mac(std::string_view text) {
  Mac mac{};
  unsigned b[6];
  if (std::sscanf(std::string(text).c_str(), "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4],
                  &b[5]) != 6)
    throw std::invalid_argument("not a link address: " + std::string(text));
  std::copy(b, b + 6, mac.begin());
  return mac;
}

Extension Extension::options(uint8_t kind, size_t length) {
  Extension header{kind, Bytes(length, 0)};
  header.bytes[1] = static_cast<uint8_t>(length / 8 - 1);
  size_t at = 2;
  for (; length - at > 257; at += 257) header.bytes[at] = 1, header.bytes[at + 1] = 255;
  if (length - at >= 2)
    header.bytes[at] = 1, header.bytes[at + 1] = static_cast<uint8_t>(length - at - 2);
  return header;
}

Extension Extension::routing() {
  return {43, {0, 0, 4, 0, 0, 0, 0, 0}};
}

uint16_t internet_checksum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<uint32_t>(bytes[i]) << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(~sum);
}

size_t link_bytes(const FrameFields& f) {
  return 14 + 4 * f.tags.size();
}

size_t header_bytes(const FrameFields& f) {
  FrameFields bare = f;
  bare.payload.clear();
  bare.padding = 0;
  bare.cut.reset();
  return build(bare).size();
}

Bytes build(const FrameFields& f) {
  Bytes frame(f.dst_mac.begin(), f.dst_mac.end());
  frame.insert(frame.end(), f.src_mac.begin(), f.src_mac.end());
  for (const VlanTag& tag : f.tags) {
    put16(frame, tag.type);
    put16(frame, tag.control);
  }
  put16(frame, f.ethertype.value_or(ethertype_of(f.outer ? f.outer->src : f.src)));
  Bytes packet = ip_packet(f, l4_of(f));
  put(frame, f.outer ? in_tunnel(f, packet) : packet);
  frame.resize(frame.size() + f.padding, 0);
  if (f.cut && *f.cut < frame.size()) frame.resize(*f.cut);
  return frame;
}

}  // namespace surgegate::testing
