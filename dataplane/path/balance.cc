// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/balance.h"

#include <cstring>

#include "dataplane/path/decide.h"

namespace surgegate {
namespace {

constexpr uint8_t outer_ttl = 64;  // RFC 2003 section 3.1: the tunnel's own, enough for any path

// What of the frame is Ethernet header and VLAN tags.
uint32_t l2_bytes(const Lane& lane) {
  return lane.packet.l3_offset;
}

bool is_ip4(const uint8_t* ip) {
  return sg_load_u64(ip) == 0 && sg_load_u32(ip + 8) == 0xffff0000;
}

// RFC 2003, RFC 4213 section 3.5: outer IPv4, DF set, so that the path tells when it does not fit.
// The DS field and ECN are copied: RFC 6040 section 4.1, normal mode.
void write_outer_ip4(uint8_t* ip, uint8_t inner_version, uint16_t inner_bytes, uint8_t dscp_ecn,
                     const uint8_t* src, const uint8_t* dst) {
  std::memset(ip, 0, SG_IP4_HEADER_BYTES);
  ip[0] = 0x45;
  ip[1] = dscp_ecn;
  sg_store_be16(ip + 2, static_cast<uint16_t>(inner_bytes + SG_IP4_HEADER_BYTES));
  sg_store_be16(ip + 6,
                0x4000);  // an atomic datagram needs no identification: RFC 6864 section 4.1
  ip[8] = outer_ttl;
  ip[9] = inner_version == 4 ? SG_PROTO_IPIP : SG_PROTO_IP6;
  std::memcpy(ip + 12, src, 4);
  std::memcpy(ip + 16, dst, 4);
  sg_store_u16(ip + 10, sg_checksum_fold(sg_checksum_add(0, ip, SG_IP4_HEADER_BYTES)));
}

// RFC 2473 section 5.
void write_outer_ip6(uint8_t* ip, uint8_t inner_version, uint16_t inner_bytes, uint8_t dscp_ecn,
                     const uint8_t* src, const uint8_t* dst) {
  sg_store_be32(ip, 0x60000000u | static_cast<uint32_t>(dscp_ecn) << 20);
  sg_store_be16(ip + 4, inner_bytes);
  ip[6] = inner_version == 4 ? SG_PROTO_IPIP : SG_PROTO_IP6;
  ip[7] = outer_ttl;
  std::memcpy(ip + 8, src, 16);
  std::memcpy(ip + 24, dst, 16);
}

// The frame leaves through the port that it came in by: from the address it was sent to.
void write_macs(uint8_t* frame, const MacAddress& dst) {
  std::memcpy(frame + 6, frame, 6);
  std::memcpy(frame, dst.data(), 6);
}

uint16_t ip_bytes(const uint8_t* ip) {
  return ip[0] >> 4 == 4 ? sg_load_be16(ip + 2)
                         : static_cast<uint16_t>(sg_load_be16(ip + 4) + SG_IP6_HEADER_BYTES);
}

// Moves the link header forward by the outer header's size; Ethernet's padding is left behind.
bool push_outer(Frame& frame, uint32_t l2, uint32_t outer_bytes) {
  if (frame.room_front < outer_bytes) return false;
  frame.length = static_cast<uint16_t>(l2 + ip_bytes(frame.bytes + l2) + outer_bytes);
  std::memmove(frame.bytes - outer_bytes, frame.bytes, l2);
  frame.bytes -= outer_bytes;
  frame.room_front = static_cast<uint16_t>(frame.room_front - outer_bytes);
  return true;
}

uint8_t dscp_ecn_of(const uint8_t* ip) {
  return ip[0] >> 4 == 4 ? ip[1] : static_cast<uint8_t>(sg_load_be16(ip) >> 4);
}

bool encapsulate(Frame& frame, uint32_t l2, const TunnelSource& source, const uint8_t* backend_ip) {
  bool outer_ip4 = is_ip4(backend_ip);
  if (!push_outer(frame, l2, outer_ip4 ? SG_IP4_HEADER_BYTES : SG_IP6_HEADER_BYTES)) return false;
  uint8_t* outer = frame.bytes + l2;
  uint8_t* inner = outer + (outer_ip4 ? SG_IP4_HEADER_BYTES : SG_IP6_HEADER_BYTES);
  auto version = static_cast<uint8_t>(inner[0] >> 4);
  // Of what is inside, which for a reset of ours is not what came: RFC 6040 section 4.2 has the far
  // end drop a packet that is not ECN-capable in a header that says "congestion experienced".
  uint8_t dscp_ecn = dscp_ecn_of(inner);
  if (outer_ip4)
    write_outer_ip4(outer, version, ip_bytes(inner), dscp_ecn, source.ip4.data(), backend_ip + 12);
  else
    write_outer_ip6(outer, version, ip_bytes(inner), dscp_ecn, source.ip6.data(), backend_ip);
  sg_store_be16(frame.bytes + l2 - 2, outer_ip4 ? SG_ETHERTYPE_IP4 : SG_ETHERTYPE_IP6);
  return true;
}

}  // namespace

void Balancer::balance(std::span<Lane> lanes) {
  for (Lane& lane : lanes) {
    bool forwards = lane.verdict == SG_VERDICT_forwarded;
    if (!forwards && lane.extra.bytes == nullptr) continue;
    lane.backend_slot = backend_of(lane);
    MacAddress mac;
    sg_findings fault = 0;
    if (lane.backend_slot == SG_NONE16)
      fault = SG_FOUND(no_backend);
    else if (!next_hops_.get(lane.backend_slot, mac))
      fault = SG_FOUND(no_next_hop);
    else if (!rewrite(lane, forwards ? lane.frame : lane.extra,
                      policy_.image().backends()[lane.backend_slot], mac))
      fault = SG_FOUND(no_headroom);
    if (fault == 0) continue;
    if (!forwards) {
      // Without its RST a backend's half of a refused connection times out: harmless. Sent as it is
      // it would come back to us, for it still has our own link address.
      lane.extra.length = 0;
      counters_.resets_lost++;
      continue;
    }
    lane.found = fault;
    lane.round = 0;
    decide(lane);
  }
}

// An entry remembers slot and generation: a slot that was given to another backend is not the
// flow's backend any more.
uint16_t Balancer::backend_of(Lane& lane) {
  sg_flow* flow = lane.flow;
  auto backends = policy_.image().backends();
  uint16_t pinned = flow != nullptr ? flow->backend_slot : uint16_t{SG_NONE16};
  uint16_t generation = flow != nullptr ? flow->backend_generation : uint16_t{0};
  if (pinned < backends.size()) {
    const sg_backend& backend = backends[pinned];
    bool serves = backend.state == SG_BACKEND_ACTIVE || backend.state == SG_BACKEND_DRAIN;
    if (serves && backend.generation == generation) return pinned;
    counters_.repinned++;
  }
  uint16_t slot = pick(lane);
  if (flow != nullptr && slot != SG_NONE16) {
    flow->backend_slot = slot;
    flow->backend_generation = backends[slot].generation;
  }
  return slot;
}

// The table is the same on every host of a cluster, so the hash that enters it must be too: its key
// is the pool's identity, not the host's secret.
uint16_t Balancer::pick(const Lane& lane) const {
  const sg_pool& pool = policy_.image().pools()[lane.service->pool];
  if (pool.maglev_size == 0) return SG_NONE16;
  sg_secret key{pool.id, 0x6d61676c65760001ull};
  uint64_t hash = sg_flow_hash(&key, &lane.packet.tuple);
  return policy_.image().maglev()[pool.maglev_first + hash % pool.maglev_size];
}

bool Balancer::rewrite(Lane& lane, Frame& frame, const sg_backend& backend, const MacAddress& mac) {
  // The backend's pool, which is not the service's where a flow keeps a backend over a reload that
  // gave the service another pool. One that serves has a pool.
  const sg_pool& pool = policy_.image().pools()[backend.pool];
  if (pool.forward != SG_FORWARD_L2 && !encapsulate(frame, l2_bytes(lane), source_, backend.ip))
    return false;
  write_macs(frame.bytes, mac);
  return true;
}

}  // namespace surgegate
