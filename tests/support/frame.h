// SPDX-License-Identifier: BSD-3-Clause
// Frames from fields, for tests. Shares nothing with the product, not even the checksum: what both
// get wrong would otherwise look right. Lengths and checksums are correct unless a field lies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace surgegate::testing {

using Bytes = std::vector<uint8_t>;
using Mac = std::array<uint8_t, 6>;

Bytes bytes_of(std::string_view text);
Bytes from_hex(std::string_view hex);  // blanks are skipped
std::string to_hex(const Bytes& bytes);

struct Ip {
  uint8_t version = 4;
  std::array<uint8_t, 16> bytes{};  // IPv4: the first four
  size_t size() const { return version == 4 ? 4 : 16; }
  friend bool operator==(const Ip&, const Ip&) = default;
};
Ip ip(std::string_view text);
Mac mac(std::string_view text);

struct VlanTag {
  uint16_t type = 0x8100;
  uint16_t control = 1;  // priority, DEI and VLAN id
};

struct Extension {
  uint8_t kind = 0;  // as a next-header value
  Bytes bytes;       // all of it, with the next header's byte (which the builder fills in)
  static Extension options(uint8_t kind, size_t length = 8);  // of PadN
  static Extension routing();
};

struct Fragment {
  uint16_t offset_bytes = 0;
  bool more = true;
  uint32_t id = 7;
};

struct Timestamps {
  uint32_t value = 0;
  uint32_t echo = 0;
};

enum : uint8_t {
  proto_icmp = 1,
  proto_ipip = 4,
  proto_tcp = 6,
  proto_udp = 17,
  proto_ip6 = 41,
  proto_icmp6 = 58
};
enum : uint8_t { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32, ece = 64, cwr = 128 };

// The outer header of IP in IP.
struct Outer {
  Ip src, dst;
  uint8_t ttl = 64;
};

struct FrameFields {
  // Link.
  Mac dst_mac{}, src_mac{};
  std::vector<VlanTag> tags;
  std::optional<uint16_t> ethertype;
  std::optional<Outer> outer;

  // IP. The addresses' version is the packet's.
  Ip src, dst;
  uint8_t ttl = 64;
  uint8_t dscp_ecn = 0;
  uint16_t ip4_id = 0;
  bool dont_fragment = true;
  Bytes ip4_options;
  uint32_t flow_label = 0;
  std::vector<Extension> extensions;
  std::optional<Fragment> fragment;
  uint8_t proto = proto_tcp;

  // TCP, UDP, ICMP; the payload of any other protocol follows the IP header at once.
  uint16_t src_port = 0, dst_port = 0;
  uint32_t seq = 0, ack_seq = 0;
  uint8_t tcp_flags = ack;
  uint16_t window = 65535;
  uint16_t urgent = 0;
  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;
  bool sack_permitted = false;
  std::optional<Timestamps> timestamps;
  Bytes tcp_options;  // more of them, behind the others
  uint8_t icmp_type = 8, icmp_code = 0;
  Bytes payload;

  // Lies.
  std::optional<uint8_t> ip_version;        // the version nibble
  std::optional<uint8_t> ip4_header_words;  // IHL
  std::optional<uint16_t> ip_length;        // IPv4: total length, IPv6: payload length
  std::optional<uint16_t> ip4_checksum;
  std::optional<uint8_t> tcp_header_words;  // data offset
  std::optional<uint16_t> udp_length;
  std::optional<uint16_t> l4_checksum;  // instead of the right one
  uint16_t l4_checksum_xor = 0;         // or: what to spoil in it
  std::optional<size_t> cut;            // the frame ends after so many bytes
  size_t padding = 0;                   // bytes behind the packet, as Ethernet adds them
};

Bytes build(const FrameFields& fields);

size_t link_bytes(const FrameFields& fields);    // of Ethernet header and tags
size_t header_bytes(const FrameFields& fields);  // of everything before the payload

// RFC 1071, the plain way: 16-bit words in network order.
uint16_t internet_checksum(const Bytes& bytes);

// What a frame holds, for a failure's message: one line a layer, then the bytes.
std::string describe(const Bytes& frame);

}  // namespace surgegate::testing
