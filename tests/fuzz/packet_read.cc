// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/packet_read.h"

#include <fmt/format.h>

namespace surgegate::testing {
namespace {

uint32_t be16(const Bytes& b, size_t at) {
  return static_cast<uint32_t>(b.at(at)) << 8 | b.at(at + 1);
}
uint32_t be32(const Bytes& b, size_t at) {
  return be16(b, at) << 16 | be16(b, at + 2);
}

bool sums_up(const Bytes& b, const Packet& p) {
  if (p.proto == proto_udp && p.version == 4 && be16(b, p.l4 + 6) == 0) return true;  // RFC 768
  Bytes all = p.src;
  all.insert(all.end(), p.dst.begin(), p.dst.end());
  const size_t length = p.end - p.l4;
  for (size_t byte : {length >> 8, length & 255, size_t{0}, size_t{p.proto}})
    all.push_back(static_cast<uint8_t>(byte));
  all.insert(all.end(), b.begin() + static_cast<ptrdiff_t>(p.l4),
             b.begin() + static_cast<ptrdiff_t>(p.end));
  return internet_checksum(all) == 0;
}

bool read_addresses(const Bytes& b, Packet& p) {
  if (b.size() < p.ip + 20) return false;
  p.version = b[p.ip] >> 4;
  const bool ip4 = p.version == 4;
  if (!ip4 && (p.version != 6 || b.size() < p.ip + 40)) return false;
  p.l4 = p.ip + (ip4 ? (b[p.ip] & 15u) * 4 : 40);
  p.end = p.ip + (ip4 ? be16(b, p.ip + 2) : 40 + be16(b, p.ip + 4));
  if (p.end > b.size() || p.l4 > p.end || p.l4 < p.ip + 20) return false;
  p.proto = b[p.ip + (ip4 ? 9 : 6)];
  p.ttl = b[p.ip + (ip4 ? 8 : 7)];
  p.traffic_class = ip4 ? b[p.ip + 1] : be16(b, p.ip) >> 4 & 255;
  p.src = ip4 ? cut_out(b, p.ip + 12, p.ip + 16) : cut_out(b, p.ip + 8, p.ip + 24);
  p.dst = ip4 ? cut_out(b, p.ip + 16, p.ip + 20) : cut_out(b, p.ip + 24, p.ip + 40);
  return !ip4 || internet_checksum(cut_out(b, p.ip, p.l4)) == 0;
}

}  // namespace

std::string Packet::flow() const {
  return fmt::format("{} {} {} {}", to_hex(src), to_hex(dst), src_port, dst_port);
}

Bytes cut_out(const Bytes& b, size_t from, size_t to) {
  return {b.begin() + static_cast<ptrdiff_t>(from), b.begin() + static_cast<ptrdiff_t>(to)};
}

std::optional<Packet> read_packet(const Bytes& b, size_t ip) {
  Packet p;
  p.ip = ip;
  if (!read_addresses(b, p)) return {};
  while (p.version == 6 && (p.proto == 0 || p.proto == 60) && p.l4 + 8 <= p.end) {
    p.proto = b[p.l4];
    p.l4 += 8 + 8u * b[p.l4 + 1];
  }
  p.payload = p.l4;
  if (p.proto == proto_ipip || p.proto == proto_ip6) return p;
  const size_t least = p.proto == proto_tcp ? 20 : p.proto == proto_udp ? 8 : ~size_t{0};
  if (p.l4 > p.end || p.end - p.l4 < least || !sums_up(b, p)) return {};
  p.src_port = be16(b, p.l4);
  p.dst_port = be16(b, p.l4 + 2);
  p.payload = p.l4 + 8;
  if (p.proto == proto_udp) return p;
  p.seq = be32(b, p.l4 + 4);
  p.ack = be32(b, p.l4 + 8);
  p.flags = b[p.l4 + 13];
  p.payload = p.l4 + (b[p.l4 + 12] >> 4) * 4;
  if (p.payload < p.l4 + 20 || p.payload > p.end) return {};
  return p;
}

std::optional<Packet> read_frame(const Bytes& b) {
  size_t at = 12;
  while (at + 6 <= b.size() && (be16(b, at) == 0x8100 || be16(b, at) == 0x88a8)) at += 4;
  if (at + 2 > b.size() || (be16(b, at) != 0x0800 && be16(b, at) != 0x86dd)) return {};
  auto packet = read_packet(b, at + 2);
  if (packet && packet->version != (be16(b, at) == 0x0800 ? 4u : 6u)) return {};
  return packet;
}

}  // namespace surgegate::testing
