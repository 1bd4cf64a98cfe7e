// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nic/rss.h"

#include <rte_thash.h>

#include <cstring>

namespace surgegate {
namespace {

constexpr uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                             0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                             0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                             0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

constexpr uint32_t table_entries = 128;  // the indirection table of common NICs

}  // namespace

uint32_t rss_queue(const sg_packet& packet, uint32_t queue_count) {
  if (!packet.addresses_read) return 0;
  // Input words in host order, as rte_softrss wants them: source, destination, ports.
  uint32_t words[9];
  uint32_t count = 0;
  uint32_t first = packet.ip_version == 4 ? 12 : 0;
  for (uint32_t at = first; at < 16; at += 4)
    words[count++] = sg_load_be32(packet.tuple.src_ip + at);
  for (uint32_t at = first; at < 16; at += 4)
    words[count++] = sg_load_be32(packet.tuple.dst_ip + at);
  if (packet.ports_read)
    words[count++] = static_cast<uint32_t>(sg_be16(packet.tuple.src_port_be)) << 16 |
                     sg_be16(packet.tuple.dst_port_be);
  return rte_softrss(words, count, key) % table_entries % queue_count;
}

}  // namespace surgegate
