// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/parse.h"

namespace surgegate {
namespace {

// A miss to DRAM takes some 80 ns and parsing a frame some 15: five frames ahead hide it.
constexpr size_t prefetch_ahead = 5;

constexpr sg_findings l4_unread =
    SG_FOUND(fragment) | SG_FOUND(l4_cut) | SG_FOUND(tcp_header_invalid) | SG_FOUND(l4_length_lies);

void parse_lane(Lane& lane, const sg_secret& secret) {
  const Frame& frame = lane.frame;
  lane.found |= sg_read_frame(frame.bytes, frame.bytes + frame.length, &lane.packet);
  if (!lane.packet.ports_read) return;
  lane.flow_hash = sg_flow_hash(&secret, &lane.packet.tuple);
  bool checkable = (lane.found & l4_unread) == 0 && !frame.checksum_good;
  if (checkable && !sg_l4_checksum_valid(frame.bytes, &lane.packet))
    lane.found |= SG_FOUND(l4_checksum);
}

}  // namespace

void parse(std::span<Lane> lanes, const sg_secret& secret) {
  for (size_t i = 0; i < std::min(prefetch_ahead, lanes.size()); i++)
    __builtin_prefetch(lanes[i].frame.bytes);
  for (size_t i = 0; i < lanes.size(); i++) {
    if (i + prefetch_ahead < lanes.size())
      __builtin_prefetch(lanes[i + prefetch_ahead].frame.bytes);
    parse_lane(lanes[i], secret);
  }
}

}  // namespace surgegate
