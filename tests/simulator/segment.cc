// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/segment.h"

#include <fmt/format.h>

#include <algorithm>

namespace surgegate::simulator {
namespace {

constexpr size_t link_bytes = 14, tcp_bytes = 20;

uint32_t get16(const Bytes& from, size_t at) {
  return static_cast<uint32_t>(from[at] << 8 | from[at + 1]);
}
uint32_t get32(const Bytes& from, size_t at) {
  return get16(from, at) << 16 | get16(from, at + 2);
}

Bytes part(const Bytes& of, size_t from, size_t to) {
  return {of.begin() + static_cast<ptrdiff_t>(from), of.begin() + static_cast<ptrdiff_t>(to)};
}

// RFC 9293 section 3.1: over a pseudo-header and the segment it comes to nothing.
bool checksum_holds(const Bytes& frame, size_t addresses_at, size_t addresses_bytes, size_t tcp_at,
                    size_t end) {
  Bytes all = part(frame, addresses_at, addresses_at + addresses_bytes);
  const size_t length = end - tcp_at;
  for (size_t byte : {size_t{0}, size_t{6}, length >> 8, length & 0xff})
    all.push_back(static_cast<uint8_t>(byte));
  const Bytes tcp = part(frame, tcp_at, end);
  all.insert(all.end(), tcp.begin(), tcp.end());
  return testing::internet_checksum(all) == 0;
}

void read_options(const Bytes& frame, size_t at, size_t end, Segment& segment) {
  while (at < end && frame[at] != 0) {
    if (frame[at] == 1) {
      at++;
      continue;
    }
    if (at + 1 >= end || frame[at + 1] < 2) return;
    if (frame[at] == 2) segment.mss = static_cast<uint16_t>(get16(frame, at + 2));
    if (frame[at] == 8) segment.stamps = Timestamps{get32(frame, at + 2), get32(frame, at + 6)};
    at += frame[at + 1];
  }
}

std::optional<Segment> read_tcp(const Bytes& frame, size_t at, size_t end) {
  Segment segment;
  const size_t header_bytes = static_cast<size_t>(frame[at + 12] >> 4) * 4;
  if (header_bytes < tcp_bytes || at + header_bytes > end) return {};
  const uint32_t from = get16(frame, at), to = get16(frame, at + 2);
  segment.to_service = to == service_port;
  if (!segment.to_service && from != service_port) return {};
  segment.client_port = static_cast<uint16_t>(segment.to_service ? from : to);
  segment.seq = get32(frame, at + 4);
  segment.ack_seq = get32(frame, at + 8);
  segment.flags = frame[at + 13];
  segment.window = static_cast<uint16_t>(get16(frame, at + 14));
  read_options(frame, at + tcp_bytes, at + header_bytes, segment);
  segment.payload.assign(frame.begin() + static_cast<ptrdiff_t>(at + header_bytes),
                         frame.begin() + static_cast<ptrdiff_t>(end));
  return segment;
}

bool is_at(const Bytes& frame, size_t at, const Ip& ip) {
  return std::equal(ip.bytes.begin(), ip.bytes.begin() + static_cast<ptrdiff_t>(ip.size()),
                    frame.begin() + static_cast<ptrdiff_t>(at));
}

}  // namespace

Bytes frame_of(const Segment& segment, const Addresses& addresses) {
  testing::FrameFields f;
  f.dst_mac = {2, 0, 0, 0, 0, 2};
  f.src_mac = {2, 0, 0, 0, 0, 1};
  f.src = segment.to_service ? addresses.client : addresses.service;
  f.dst = segment.to_service ? addresses.service : addresses.client;
  f.src_port = segment.to_service ? segment.client_port : service_port;
  f.dst_port = segment.to_service ? service_port : segment.client_port;
  f.seq = segment.seq;
  f.ack_seq = segment.ack_seq;
  f.tcp_flags = segment.flags;
  f.window = segment.window;
  f.mss = segment.mss;
  f.timestamps = segment.stamps;
  f.payload = testing::bytes_of(segment.payload);
  return testing::build(f);
}

std::optional<Segment> segment_in(const Bytes& frame, const Addresses& addresses) {
  const bool is_ip4 = addresses.client.version == 4;
  const size_t ip_bytes = is_ip4 ? 20 : 40, addresses_at = link_bytes + (is_ip4 ? 12 : 8);
  const size_t tcp_at = link_bytes + ip_bytes;
  if (frame.size() < tcp_at + tcp_bytes) return {};
  if (frame[link_bytes] >> 4 != (is_ip4 ? 4 : 6) || frame[link_bytes + (is_ip4 ? 9 : 6)] != 6)
    return {};
  const size_t end =
      link_bytes + (is_ip4 ? get16(frame, link_bytes + 2) : 40 + get16(frame, link_bytes + 4));
  if (end > frame.size() || end < tcp_at + tcp_bytes) return {};
  if (is_ip4 && testing::internet_checksum(part(frame, link_bytes, tcp_at)) != 0) return {};
  const size_t bytes = addresses.client.size();
  if (!checksum_holds(frame, addresses_at, 2 * bytes, tcp_at, end)) return {};
  std::optional<Segment> segment = read_tcp(frame, tcp_at, end);
  if (!segment) return {};
  const Ip& from = segment->to_service ? addresses.client : addresses.service;
  const Ip& to = segment->to_service ? addresses.service : addresses.client;
  if (!is_at(frame, addresses_at, from) || !is_at(frame, addresses_at + bytes, to)) return {};
  return segment;
}

std::string to_text(const Segment& segment) {
  std::string flags;
  for (size_t i = 0; i < 6; i++)
    if (segment.flags >> i & 1) flags += "FSRPAU"[i];
  std::string start = segment.payload.substr(0, 40);
  for (char& c : start)
    if (c < ' ') c = '.';
  return fmt::format("{:5} {} {:5} seq {} ack {} len {}{} '{}'", segment.client_port,
                     segment.to_service ? "->" : "<-", flags, segment.seq, segment.ack_seq,
                     segment.payload.size(),
                     segment.stamps ? fmt::format(" ts {}", segment.stamps->value) : "", start);
}

}  // namespace surgegate::simulator
