// SPDX-License-Identifier: BSD-3-Clause
// Reading the headers of one frame: Ethernet, VLAN, IPv4, IPv6 and its extension headers, TCP, UDP,
// ICMP. Shared by C++ and BPF. Trusts nothing: every read is behind a comparison, every loop has a
// bound, and what a header claims is compared with what is there.
//
// The frame's end is a pointer, and the ends within it (of the IP packet, of the TCP header) are
// numbers: the kernel's verifier knows no end of a packet but data_end. What a number that has been
// compared with the frame's end implies, the verifier has to be shown once more (SG_SHOWN,
// SG_OFFSET); compiled for the workers these are nothing.
#pragma once

#include "config/checksum.h"
#include "config/flow_hash.h"
#include "config/limits.h"
#include "config/types.h"
#include "config/verdict.h"

#define SG_ETH_HEADER_BYTES 14
#define SG_VLAN_TAG_BYTES 4
#define SG_IP4_HEADER_BYTES 20
#define SG_IP6_HEADER_BYTES 40
#define SG_TCP_HEADER_BYTES 20
#define SG_UDP_HEADER_BYTES 8

#define SG_ETHERTYPE_IP4 0x0800
#define SG_ETHERTYPE_IP6 0x86dd
#define SG_ETHERTYPE_VLAN 0x8100
#define SG_ETHERTYPE_QINQ 0x88a8

#define SG_PROTO_HOP_BY_HOP 0
#define SG_PROTO_ICMP 1
#define SG_PROTO_IPIP 4
#define SG_PROTO_TCP 6
#define SG_PROTO_UDP 17
#define SG_PROTO_IP6 41
#define SG_PROTO_ROUTING 43
#define SG_PROTO_FRAGMENT 44
#define SG_PROTO_ICMP6 58
#define SG_PROTO_DESTINATION 60

#define SG_TCP_FIN 0x01
#define SG_TCP_SYN 0x02
#define SG_TCP_RST 0x04
#define SG_TCP_PSH 0x08
#define SG_TCP_ACK 0x10
#define SG_TCP_URG 0x20
// Kinds of options.
#define SG_TCP_END 0
#define SG_TCP_NOP 1
#define SG_TCP_MULTIPATH 30

#ifdef __bpf__
#define SG_SHOWN(at, bytes, end) ((at) + (bytes) <= (end))
#define SG_OFFSET(offset, mask) (sg_forgotten(offset) & (mask))
// Walking a program, the verifier carries on what it knows about a number, and walks once more what
// follows for each thing that it knows: with eight ways through an option and forty options, for
// ever. It knows nothing of four bytes that lie on the stack across its own grid of eight.
SG_INLINE __u32 sg_forgotten(__u32 number) {
  volatile struct {
    __u32 unused;
    __u32 number;
  } stack __attribute__((aligned(8)));
  stack.number = number;
  return stack.number;
}
#else
#define SG_SHOWN(at, bytes, end) ((void)(end), 1)
#define SG_OFFSET(offset, mask) (offset)
#endif

// Where an upper layer can begin: behind two tags, an IPv6 header and its extension headers.
#define SG_L4_OFFSET_MASK 0x3fff

// What was read. Offsets count from the frame's first byte.
struct sg_packet {
  struct sg_flow_tuple tuple;
  __u16 l3_offset;
  __u16 l4_offset;
  __u16 payload_offset;
  __u16 payload_length;  // by the IP length, so without Ethernet padding
  __u16 l4_length;       // header and payload
  __u16 mss;             // of a SYN; 0: none given
  __u32 seq;             // host order, as ack and the timestamps
  __u32 ack;
  __u32 ts_value;
  __u32 ts_echo;
  __u8 ip_version;  // 4, 6; 0: not read that far
  __u8 vlan_count;
  __u8 tcp_flags;
  __u8 has_timestamps;
  __u8 window_scale;
  __u8 addresses_read;  // tuple.src_ip and dst_ip are set
  __u8 ports_read;
  __u8 dscp_ecn;  // the TOS or traffic class byte
  __u8 has_multipath;
};

SG_INLINE void sg_map_ip4(__u8* to, const __u8* ip4) {
  __builtin_memset(to, 0, 10);
  to[10] = to[11] = 0xff;
  __builtin_memcpy(to + 12, ip4, 4);
}

// Options of a TCP header: MSS, window scale, timestamps, Multipath TCP. A malformed list is a
// finding, and so are signatures, MD5 and AO.
SG_INLINE __u64 sg_read_tcp_options(const __u8* tcp, const __u8* end, __u32 header_bytes,
                                    struct sg_packet* packet) {
  __u32 at = SG_TCP_HEADER_BYTES;
  __u64 found = 0;
  for (int i = 0; i < 40 && at < header_bytes; i++) {  // 40 bytes of options: at most 40 of them
    __u32 here = SG_OFFSET(at, 63);
    const __u8* option = tcp + here;
    if (!SG_SHOWN(option, 1, end)) return SG_SEEN(tcp_header_invalid);
    __u8 kind = option[0];
    if (kind == SG_TCP_END) return found;
    if (kind == SG_TCP_NOP) {
      at = here + 1;
      continue;
    }
    if (here + 2 > header_bytes || !SG_SHOWN(option, 2, end)) return SG_SEEN(tcp_header_invalid);
    __u32 bytes = option[1];
    if (bytes < 2 || here + bytes > header_bytes) return SG_SEEN(tcp_header_invalid);
    if (kind == 19 || kind == 29) found = SG_SEEN(tcp_signed);
    if (kind == SG_TCP_MULTIPATH) packet->has_multipath = 1;
    if (kind == 2 && bytes == 4 && SG_SHOWN(option, 4, end)) packet->mss = sg_load_be16(option + 2);
    if (kind == 3 && bytes == 3 && SG_SHOWN(option, 3, end)) packet->window_scale = option[2];
    if (kind == 8 && bytes == 10 && SG_SHOWN(option, 10, end)) {
      packet->has_timestamps = 1;
      packet->ts_value = sg_load_be32(option + 2);
      packet->ts_echo = sg_load_be32(option + 6);
    }
    at = here + bytes;
  }
  return found;
}

// SYN with FIN or RST, and no flag at all: no stack sends them, scanners do.
SG_INLINE int sg_tcp_flags_valid(__u8 flags) {
  __u8 kind = flags & (SG_TCP_SYN | SG_TCP_FIN | SG_TCP_RST);
  if (kind == 0) return (flags & SG_TCP_ACK) != 0;
  if (kind == SG_TCP_SYN) return (flags & SG_TCP_ACK) == 0;  // a SYN-ACK never goes to a server
  if (kind == SG_TCP_FIN) return (flags & SG_TCP_ACK) != 0;
  return kind == SG_TCP_RST;
}

SG_INLINE __u64 sg_read_tcp(const __u8* tcp, const __u8* end, struct sg_packet* packet) {
  if (packet->l4_length < SG_TCP_HEADER_BYTES || !SG_SHOWN(tcp, SG_TCP_HEADER_BYTES, end))
    return SG_SEEN(l4_cut);
  packet->tuple.src_port_be = sg_load_u16(tcp);
  packet->tuple.dst_port_be = sg_load_u16(tcp + 2);
  packet->ports_read = 1;
  packet->seq = sg_load_be32(tcp + 4);
  packet->ack = sg_load_be32(tcp + 8);
  packet->tcp_flags = tcp[13] & 0x3f;
  __u32 header_bytes = (__u32)(tcp[12] >> 4) * 4;
  if (header_bytes < SG_TCP_HEADER_BYTES || header_bytes > packet->l4_length)
    return SG_SEEN(tcp_header_invalid);
  packet->payload_offset = (__u16)(packet->l4_offset + header_bytes);
  packet->payload_length = (__u16)(packet->l4_length - header_bytes);
  __u64 found = sg_read_tcp_options(tcp, end, header_bytes, packet);
  if (!sg_tcp_flags_valid(packet->tcp_flags)) found |= SG_SEEN(tcp_flags);
  // From SYNs it is taken out [RFC 8684 section 3.7: then both ends speak TCP].
  if (packet->has_multipath && !(packet->tcp_flags & SG_TCP_SYN)) found |= SG_SEEN(tcp_multipath);
  return found;
}

SG_INLINE __u64 sg_read_udp(const __u8* udp, const __u8* end, struct sg_packet* packet) {
  if (packet->l4_length < SG_UDP_HEADER_BYTES || !SG_SHOWN(udp, SG_UDP_HEADER_BYTES, end))
    return SG_SEEN(l4_cut);
  packet->tuple.src_port_be = sg_load_u16(udp);
  packet->tuple.dst_port_be = sg_load_u16(udp + 2);
  packet->ports_read = 1;
  packet->payload_offset = (__u16)(packet->l4_offset + SG_UDP_HEADER_BYTES);
  packet->payload_length = (__u16)(packet->l4_length - SG_UDP_HEADER_BYTES);
  // UDP may not claim more than IP carries, nor less than its header; less than IP carries would
  // leave bytes that two readers may read differently [RFC 768 leaves it open; refused by name].
  if (sg_load_be16(udp + 4) != packet->l4_length) return SG_SEEN(l4_length_lies);
  return 0;
}

SG_INLINE __u64 sg_read_l4(const __u8* frame, const __u8* end, struct sg_packet* packet) {
  const __u8* l4 = frame + SG_OFFSET(packet->l4_offset, SG_L4_OFFSET_MASK);
  if (packet->tuple.protocol == SG_PROTO_TCP) return sg_read_tcp(l4, end, packet);
  if (packet->tuple.protocol == SG_PROTO_UDP) return sg_read_udp(l4, end, packet);
  if (packet->tuple.protocol == SG_PROTO_ICMP || packet->tuple.protocol == SG_PROTO_ICMP6) {
    if (packet->l4_length < 8) return SG_SEEN(l4_cut);
    packet->payload_offset = (__u16)(packet->l4_offset + 8);
    packet->payload_length = (__u16)(packet->l4_length - 8);
  }
  return 0;
}

// 0/8, 127/8, 224/4 and 240/4 (255.255.255.255 among them) send nothing [RFC 1122 section 3.2.1.3];
// nor does an address that sends to itself.
SG_INLINE int sg_ip4_martian(const __u8* src, const __u8* dst) {
  if (src[0] == 0 || src[0] == 127 || src[0] >= 224) return 1;
  return sg_load_u32(src) == sg_load_u32(dst);
}

// ::/128, ::1, multicast, and IPv4-mapped addresses, which stand for IPv4 inside a host and must
// not appear on a wire [RFC 4291 sections 2.5.2, 2.5.3, 2.7; RFC 4038 section 4.2].
SG_INLINE int sg_ip6_martian(const __u8* src, const __u8* dst) {
  __u64 high = sg_load_u64(src);
  __u64 low = sg_load_u64(src + 8);
  if (src[0] == 0xff) return 1;
  if (high == 0 && (low == 0 || low == (1ull << 56))) return 1;
  if (high == 0 && (low & 0xffffffff) == 0xffff0000) return 1;
  return high == sg_load_u64(dst) && low == sg_load_u64(dst + 8);
}

// header_bytes: 20 and options of 4 bytes each. A sum of 15 words of 32 bits fits 64, and folds to
// the same.
SG_INLINE __u64 sg_ip4_header_sum(const __u8* ip, const __u8* end, __u32 header_bytes) {
  __u64 sum = (__u64)sg_load_u32(ip) + sg_load_u32(ip + 4) + sg_load_u32(ip + 8) +
              sg_load_u32(ip + 12) + sg_load_u32(ip + 16);
  for (__u32 at = SG_IP4_HEADER_BYTES; at < header_bytes && SG_SHOWN(ip, at + 4, end); at += 4)
    sum += sg_load_u32(ip + at);
  return sum;
}

SG_INLINE __u64 sg_read_ip4(const __u8* frame, const __u8* end, struct sg_packet* packet) {
  const __u8* ip = frame + SG_OFFSET(packet->l3_offset, 31);
  if (ip + SG_IP4_HEADER_BYTES > end) return SG_SEEN(ip_header_cut);
  packet->ip_version = 4;
  sg_map_ip4(packet->tuple.src_ip, ip + 12);
  sg_map_ip4(packet->tuple.dst_ip, ip + 16);
  packet->addresses_read = 1;
  packet->tuple.protocol = ip[9];
  packet->dscp_ecn = ip[1];
  __u32 header_bytes = (__u32)(ip[0] & 0x0f) * 4;
  if (ip[0] >> 4 != 4 || header_bytes < SG_IP4_HEADER_BYTES) return SG_SEEN(ip_header_invalid);
  __u32 total_bytes = sg_load_be16(ip + 2);
  if (total_bytes < header_bytes || ip + total_bytes > end) return SG_SEEN(ip_length_lies);
  packet->l4_offset = (__u16)(packet->l3_offset + header_bytes);
  packet->l4_length = (__u16)(total_bytes - header_bytes);
  __u64 found = 0;
  if (sg_checksum_fold(sg_ip4_header_sum(ip, end, header_bytes)) != 0)
    found |= SG_SEEN(ip_checksum);
  if (sg_ip4_martian(ip + 12, ip + 16)) found |= SG_SEEN(martian_source);
  if (sg_load_be16(ip + 6) & 0x3fff) return found | SG_SEEN(fragment);
  return found | sg_read_l4(frame, end, packet);
}

// Walks the extension headers, which begin at `at` in the packet that ends at packet_end, to the
// upper layer. RFC 8200 section 4 lets a chain be as long as it likes; real ones have one or two,
// and SG_IP6_EXTENSIONS_MAX bounds what a stranger can cost us. A routing header may name another
// destination than the one that was classified: refused.
SG_INLINE __u64 sg_walk_ip6(const __u8* frame, const __u8* end, __u32 at, __u32 packet_end,
                            struct sg_packet* packet) {
  __u8 next = packet->tuple.protocol;
  for (int i = 0; i <= SG_IP6_EXTENSIONS_MAX; i++) {
    const __u8* header = frame + SG_OFFSET(at, SG_L4_OFFSET_MASK);
    int is_options = next == SG_PROTO_HOP_BY_HOP || next == SG_PROTO_DESTINATION;
    if (next == SG_PROTO_FRAGMENT) {
      if (at + 8 > packet_end || !SG_SHOWN(header, 8, end)) return SG_SEEN(ip6_extensions);
      packet->tuple.protocol = header[0];
      return SG_SEEN(fragment);
    }
    if (next == SG_PROTO_ROUTING) return SG_SEEN(ip6_extensions);
    if (!is_options) {
      packet->tuple.protocol = next;
      packet->l4_offset = (__u16)at;
      packet->l4_length = (__u16)(packet_end - at);
      return sg_read_l4(frame, end, packet);
    }
    if (at + 8 > packet_end || !SG_SHOWN(header, 8, end)) return SG_SEEN(ip6_extensions);
    __u32 bytes = ((__u32)header[1] + 1) * 8;
    if (at + bytes > packet_end) return SG_SEEN(ip6_extensions);
    next = header[0];
    at += bytes;
  }
  return SG_SEEN(ip6_extensions);
}

SG_INLINE __u64 sg_read_ip6(const __u8* frame, const __u8* end, struct sg_packet* packet) {
  const __u8* ip = frame + SG_OFFSET(packet->l3_offset, 31);
  if (ip + SG_IP6_HEADER_BYTES > end) return SG_SEEN(ip_header_cut);
  packet->ip_version = 6;
  __builtin_memcpy(packet->tuple.src_ip, ip + 8, 16);
  __builtin_memcpy(packet->tuple.dst_ip, ip + 24, 16);
  packet->addresses_read = 1;
  packet->tuple.protocol = ip[6];
  packet->dscp_ecn = (__u8)(sg_load_be16(ip) >> 4);
  if (ip[0] >> 4 != 6) return SG_SEEN(ip_header_invalid);
  __u32 payload_bytes = sg_load_be16(ip + 4);
  if (ip + SG_IP6_HEADER_BYTES + payload_bytes > end) return SG_SEEN(ip_length_lies);
  __u64 found = sg_ip6_martian(ip + 8, ip + 24) ? SG_SEEN(martian_source) : 0;
  __u32 at = packet->l3_offset + SG_IP6_HEADER_BYTES;
  return found | sg_walk_ip6(frame, end, at, at + payload_bytes, packet);
}

// Reads the frame [frame, end) into *packet (all of it is set) and returns the findings. Checksums
// of TCP and UDP are not its business (sg_l4_checksum_valid): a NIC may have checked them.
SG_INLINE __u64 sg_read_frame(const __u8* frame, const __u8* end, struct sg_packet* packet) {
  __builtin_memset(packet, 0, sizeof(*packet));
  if (frame + SG_ETH_HEADER_BYTES > end) return SG_SEEN(frame_cut);
  __u32 at = 12;
  __u16 ethertype = sg_load_be16(frame + at);
  for (int tags = 0; tags < 2; tags++) {
    if (ethertype != SG_ETHERTYPE_VLAN && ethertype != SG_ETHERTYPE_QINQ) break;
    at += SG_VLAN_TAG_BYTES;
    if (frame + at + 2 > end) return SG_SEEN(frame_cut);
    ethertype = sg_load_be16(frame + at);
    packet->vlan_count++;
  }
  packet->l3_offset = (__u16)(at + 2);
  if (ethertype == SG_ETHERTYPE_IP4) return sg_read_ip4(frame, end, packet);
  if (ethertype == SG_ETHERTYPE_IP6) return sg_read_ip6(frame, end, packet);
  return SG_SEEN(not_ip);
}

// Whether the TCP or UDP checksum holds. A UDP checksum of zero means "none" over IPv4 and is
// refused over IPv6 [RFC 768; RFC 8200 section 8.1]. Only for frames whose L4 was read without a
// finding.
SG_INLINE int sg_l4_checksum_valid(const __u8* frame, const struct sg_packet* packet) {
  const __u8* l3 = frame + packet->l3_offset;
  const __u8* l4 = frame + packet->l4_offset;
  if (packet->tuple.protocol == SG_PROTO_UDP && sg_load_u16(l4 + 6) == 0)
    return packet->ip_version == 4;
  __u64 sum = packet->ip_version == 4
                  ? sg_checksum_pseudo(l3 + 12, 8, packet->tuple.protocol, packet->l4_length)
                  : sg_checksum_pseudo(l3 + 8, 32, packet->tuple.protocol, packet->l4_length);
  return sg_checksum_fold(sg_checksum_add(sum, l4, packet->l4_length)) == 0;
}
