// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/classify.h"

#include <array>

namespace surgegate {
namespace {

// The longest prefix of each list decides whether the source is in it.
void find_lists(std::span<Lane> lanes, const ImageView& image) {
  std::array<const uint8_t*, SG_BURST_PACKETS_MAX> sources;
  std::array<Lane*, SG_BURST_PACKETS_MAX> lane_of;
  uint32_t count = 0;
  for (Lane& lane : lanes) {
    if (lane.service == nullptr) continue;
    lane_of[count] = &lane;
    sources[count++] = lane.packet.tuple.src_ip;
  }
  std::array<uint16_t, SG_BURST_PACKETS_MAX> masks;
  const sg_lookup lookup = image.lookup();
  sg_lookup_burst(&lookup, sources.data(), count, masks.data());
  for (uint32_t i = 0; i < count; i++) lane_of[i]->lists = image.list_masks()[masks[i]];
}

void find_service(Lane& lane, const ImageView& image) {
  const sg_packet& packet = lane.packet;
  if (!packet.addresses_read) return;
  const sg_flow_tuple& t = packet.tuple;
  const sg_vip* vip =
      packet.ports_read ? image.find_vip(t.dst_ip, t.dst_port_be, t.protocol) : nullptr;
  if (vip != nullptr) {
    lane.service_index = vip->service;
    lane.service = &image.services()[vip->service];
    return;
  }
  // Without ports (a fragment, a cut header) the address alone tells whether it is ours to drop.
  bool of_vip_address = image.find_vip(t.dst_ip, 0, 0) != nullptr;
  bool is_icmp = t.protocol == SG_PROTO_ICMP || t.protocol == SG_PROTO_ICMP6;
  if (!of_vip_address || packet.ports_read)
    lane.found |= SG_FOUND(not_vip);
  else if (is_icmp)
    lane.found |= SG_FOUND(icmp);
  else if (lane.found == 0)
    lane.found |= SG_FOUND(not_vip);  // a protocol that no service speaks
}

// Few sources are in any list that denies or exempts: the loop is over the bits that are set.
void count_lists(uint64_t lists, const PolicyInForce& policy, std::span<ListCounts> counts) {
  for (uint64_t left = lists & policy.counted_mask(); left != 0; left &= left - 1) {
    auto bit = static_cast<size_t>(__builtin_ctzll(left));
    bool in_force = (policy.enforced_mask() >> bit & 1) != 0;
    (in_force ? counts[bit].packets : counts[bit].would_packets)++;
  }
}

}  // namespace

void classify(std::span<Lane> lanes, const PolicyInForce& policy, std::span<ListCounts> counts) {
  const ImageView& image = policy.image();
  for (Lane& lane : lanes) find_service(lane, image);
  find_lists(lanes, image);
  for (Lane& lane : lanes) {
    if (lane.service == nullptr) continue;
    count_lists(lane.lists, policy, counts);
    if (lane.lists & policy.deny_mask()) lane.found |= SG_FOUND(denied);
    lane.exempt_limits = (lane.lists & policy.exempt_limits_mask()) != 0;
    lane.exempt_signatures = (lane.lists & policy.exempt_signatures_mask()) != 0;
  }
}

}  // namespace surgegate
