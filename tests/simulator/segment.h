// SPDX-License-Identifier: BSD-3-Clause
// A TCP segment between one of the clients and the service, and the frame that carries it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/frame.h"

namespace surgegate::simulator {

using testing::Bytes;
using testing::Ip;
using testing::Timestamps;

struct Segment {
  bool to_service = true;
  uint16_t client_port = 0;
  uint32_t seq = 0, ack_seq = 0;
  uint8_t flags = 0;
  uint16_t window = 0;
  std::optional<uint16_t> mss;
  std::optional<Timestamps> stamps;
  std::string payload;

  bool has(uint8_t flag) const { return (flags & flag) != 0; }
};

// Who talks to whom, below the ports.
struct Addresses {
  Ip client, service;
};

constexpr uint16_t service_port = 80;

Bytes frame_of(const Segment& segment, const Addresses& addresses);

// Nothing where the frame is not one whole TCP segment between these two, checksums included.
std::optional<Segment> segment_in(const Bytes& frame, const Addresses& addresses);

std::string to_text(const Segment& segment);

}  // namespace surgegate::simulator
