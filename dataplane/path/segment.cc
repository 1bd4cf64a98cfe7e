// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/segment.h"

#include <cstring>

namespace surgegate {
namespace {

constexpr uint8_t answer_ttl = 64;
// We read and discard what still comes; the scale that the backend negotiated is not known here,
// and 65,535 unscaled or scaled is a window that a client can use.
constexpr uint16_t answer_window = 65535;

uint32_t ip_header_bytes(const Lane& lane) {
  return lane.packet.ip_version == 4 ? SG_IP4_HEADER_BYTES : SG_IP6_HEADER_BYTES;
}

struct Ends {
  const uint8_t* src_ip;
  const uint8_t* dst_ip;
  uint16_t src_port_be;
  uint16_t dst_port_be;
};

Ends ends_of(const sg_flow_tuple& t, bool to_client) {
  if (to_client) return {t.dst_ip, t.src_ip, t.dst_port_be, t.src_port_be};
  return {t.src_ip, t.dst_ip, t.src_port_be, t.dst_port_be};
}

// The DSCP of the packet that is answered, not its ECN: RFC 3168 section 6.1.5 keeps control and
// resent segments not-ECT.
void write_ip(uint8_t* ip, const Lane& lane, const Ends& ends, uint16_t l4_bytes) {
  auto dscp = static_cast<uint8_t>(lane.packet.dscp_ecn & 0xfc);
  if (lane.packet.ip_version == 4) {
    std::memset(ip, 0, SG_IP4_HEADER_BYTES);
    ip[0] = 0x45;
    ip[1] = dscp;
    sg_store_be16(ip + 2, static_cast<uint16_t>(SG_IP4_HEADER_BYTES + l4_bytes));
    sg_store_be16(ip + 6, 0x4000);
    ip[8] = answer_ttl;
    ip[9] = SG_PROTO_TCP;
    std::memcpy(ip + 12, ends.src_ip + 12, 4);
    std::memcpy(ip + 16, ends.dst_ip + 12, 4);
    sg_store_u16(ip + 10, sg_checksum_fold(sg_checksum_add(0, ip, SG_IP4_HEADER_BYTES)));
    return;
  }
  sg_store_be32(ip, 0x60000000u | static_cast<uint32_t>(dscp) << 20);
  sg_store_be16(ip + 4, l4_bytes);
  ip[6] = SG_PROTO_TCP;
  ip[7] = answer_ttl;
  std::memcpy(ip + 8, ends.src_ip, 16);
  std::memcpy(ip + 24, ends.dst_ip, 16);
}

void write_tcp(uint8_t* tcp, const Ends& ends, const SegmentFields& fields) {
  uint32_t header_bytes =
      SG_TCP_HEADER_BYTES + (fields.has_timestamps ? segment_timestamp_bytes : 0);
  sg_store_u16(tcp, ends.src_port_be);
  sg_store_u16(tcp + 2, ends.dst_port_be);
  sg_store_be32(tcp + 4, fields.seq);
  sg_store_be32(tcp + 8, fields.ack);
  tcp[12] = static_cast<uint8_t>(header_bytes / 4 << 4);
  tcp[13] = fields.flags;
  sg_store_be16(tcp + 14, fields.flags & SG_TCP_RST ? 0 : answer_window);
  sg_store_be32(tcp + 16, 0);  // checksum, urgent pointer
  if (!fields.has_timestamps) return;
  sg_store_be32(tcp + 20, 0x0101080a);
  sg_store_be32(tcp + 24, fields.ts_value);
  sg_store_be32(tcp + 28, fields.ts_echo);
}

void write_tcp_checksum(uint8_t* ip, uint8_t* tcp, uint8_t version, uint16_t l4_bytes) {
  uint64_t sum = version == 4 ? sg_checksum_pseudo(ip + 12, 8, SG_PROTO_TCP, l4_bytes)
                              : sg_checksum_pseudo(ip + 8, 32, SG_PROTO_TCP, l4_bytes);
  sg_store_u16(tcp + 16, sg_checksum_fold(sg_checksum_add(sum, tcp, l4_bytes)));
}

// Back to where it came from, or on as it came; balance sets the backend's address in that case.
void write_l2(uint8_t* to, const uint8_t* l2, uint32_t bytes, bool to_client) {
  uint8_t macs[12];
  std::memcpy(macs, to_client ? l2 + 6 : l2, 6);
  std::memcpy(macs + 6, to_client ? l2 : l2 + 6, 6);
  if (to != l2) std::memcpy(to, l2, bytes);
  std::memcpy(to, macs, 12);
}

}  // namespace

uint32_t segment_header_bytes(const Lane& lane, bool has_timestamps) {
  return lane.packet.l3_offset + ip_header_bytes(lane) + SG_TCP_HEADER_BYTES +
         (has_timestamps ? segment_timestamp_bytes : 0);
}

uint16_t write_segment(uint8_t* to, const uint8_t* l2, const Lane& lane,
                       const SegmentFields& fields, uint16_t payload_bytes) {
  uint8_t* ip = to + lane.packet.l3_offset;
  uint8_t* tcp = ip + ip_header_bytes(lane);
  uint32_t header_bytes = segment_header_bytes(lane, fields.has_timestamps);
  auto l4_bytes = static_cast<uint16_t>(to + header_bytes - tcp + payload_bytes);
  Ends ends = ends_of(lane.packet.tuple, fields.to_client);
  write_l2(to, l2, lane.packet.l3_offset, fields.to_client);
  // An IPv6 answer to a frame is IPv6, IPv4 to IPv4: the link header's type stands as it was read.
  write_ip(ip, lane, ends, l4_bytes);
  write_tcp(tcp, ends, fields);
  write_tcp_checksum(ip, tcp, lane.packet.ip_version, l4_bytes);
  return static_cast<uint16_t>(header_bytes + payload_bytes);
}

void take_out_multipath(Lane& lane) {
  const sg_packet& packet = lane.packet;
  uint8_t* tcp = lane.frame.bytes + packet.l4_offset;
  uint8_t* end = lane.frame.bytes + packet.payload_offset;
  for (uint8_t* option = tcp + SG_TCP_HEADER_BYTES; option < end && *option != SG_TCP_END;) {
    const uint32_t bytes = *option == SG_TCP_NOP ? 1 : option[1];
    if (*option == SG_TCP_MULTIPATH) std::memset(option, SG_TCP_NOP, bytes);
    option += bytes;
  }
  sg_store_u16(tcp + 16, 0);
  write_tcp_checksum(lane.frame.bytes + packet.l3_offset, tcp, packet.ip_version, packet.l4_length);
}

void trim_payload(Lane& lane, uint16_t payload_bytes) {
  sg_packet& packet = lane.packet;
  uint8_t* ip = lane.frame.bytes + packet.l3_offset;
  uint8_t* tcp = lane.frame.bytes + packet.l4_offset;
  auto cut = static_cast<uint16_t>(packet.payload_length - payload_bytes);
  packet.payload_length = payload_bytes;
  packet.l4_length = static_cast<uint16_t>(packet.l4_length - cut);
  lane.frame.length = static_cast<uint16_t>(packet.payload_offset + payload_bytes);
  if (packet.ip_version == 4) {
    uint32_t header_bytes = static_cast<uint32_t>(ip[0] & 0x0f) * 4;
    sg_store_be16(ip + 2, static_cast<uint16_t>(sg_load_be16(ip + 2) - cut));
    sg_store_u16(ip + 10, 0);
    sg_store_u16(ip + 10, sg_checksum_fold(sg_checksum_add(0, ip, header_bytes)));
  } else {
    sg_store_be16(ip + 4, static_cast<uint16_t>(sg_load_be16(ip + 4) - cut));
  }
  tcp[13] = static_cast<uint8_t>(tcp[13] & ~(SG_TCP_FIN | SG_TCP_PSH));  // the end was cut off too
  sg_store_u16(tcp + 16, 0);
  write_tcp_checksum(ip, tcp, packet.ip_version, packet.l4_length);
}

}  // namespace surgegate
