// SPDX-License-Identifier: BSD-3-Clause
// Reading frames without any of the product's code, not even its checksum: what both get wrong
// would otherwise look right.
#pragma once

#include <optional>
#include <string>

#include "tests/support/frame.h"

namespace surgegate::testing {

// An IP packet that is whole and right, as RFC 791, 8200, 9293 and 768 want it.
struct Packet {
  size_t ip = 0, l4 = 0, payload = 0, end = 0;
  uint32_t version = 0, proto = 0, traffic_class = 0, ttl = 0;
  Bytes src, dst;
  uint32_t src_port = 0, dst_port = 0, seq = 0, ack = 0, flags = 0;

  size_t payload_bytes() const { return end - payload; }
  uint32_t end_seq() const {
    return seq + static_cast<uint32_t>(payload_bytes()) + (flags & fin ? 1 : 0);
  }
  std::string flow() const;  // its addresses and ports
};

// Nothing where it is not one. A packet in a tunnel's header is its payload.
std::optional<Packet> read_frame(const Bytes& frame);
std::optional<Packet> read_packet(const Bytes& frame, size_t ip);

Bytes cut_out(const Bytes& bytes, size_t from, size_t to);

}  // namespace surgegate::testing
