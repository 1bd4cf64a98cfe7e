// SPDX-License-Identifier: BSD-3-Clause
// Writing a TCP segment of our own, headers and checksums, in answer to one that was read.
#pragma once

#include "dataplane/burst.h"

namespace surgegate {

struct SegmentFields {
  uint32_t seq;
  uint32_t ack;
  uint8_t flags;
  bool to_client;  // else: to the backend, in the client's name
  bool has_timestamps;
  uint32_t ts_value;
  uint32_t ts_echo;
};

inline constexpr uint32_t segment_timestamp_bytes =
    12;  // two NOPs and the option: RFC 7323 appendix A

// What came and what goes are weighed by these, so that no answer is larger than what it answers:
// IP bytes of the packet that was read, and of the headers of an answer to it. Of IPv6 as of IPv4,
// whose headers are shorter: never more packets go than came.
inline uint32_t bytes_that_came(const sg_packet& packet) {
  return SG_IP4_HEADER_BYTES + uint32_t{packet.l4_length};
}
inline uint32_t answer_header_bytes(const sg_packet& packet) {
  return SG_IP4_HEADER_BYTES + SG_TCP_HEADER_BYTES +
         (packet.has_timestamps ? segment_timestamp_bytes : 0);
}

// Bytes of link, IP and TCP header (with options) of an answer to this lane.
uint32_t segment_header_bytes(const Lane& lane, bool has_timestamps);

// Writes link, IP and TCP headers in front of payload_bytes of payload that already stand at
// to + segment_header_bytes(), and the checksums over all. May write over the frame that was read:
// everything comes from the lane. l2: the link header that was read (to may be the same place).
// Returns the frame's length.
uint16_t write_segment(uint8_t* to, const uint8_t* l2, const Lane& lane,
                       const SegmentFields& fields, uint16_t payload_bytes);

// Puts NOPs in the place of the options of Multipath TCP, and mends the checksum. The frame was
// read, and its options are whole.
void take_out_multipath(Lane& lane);

// Shortens the payload of the frame that was read, and mends lengths and checksum.
void trim_payload(Lane& lane, uint16_t payload_bytes);

}  // namespace surgegate
