// SPDX-License-Identifier: BSD-3-Clause
// Where the stream of a flow begins and ends, as far as its entry tells. (earlier.h: and those of
// the connections before it.)
#pragma once

#include <algorithm>
#include <cstdint>

#include "config/flow.h"
#include "config/headers.h"
#include "dataplane/path/seq.h"

namespace surgegate {

// Behind what has passed, or what a tombstone has taken.
inline uint32_t passed_seq(const sg_flow& flow) {
  return flow.state == SG_FLOW_REFUSED ? flow.receive_next : flow.next_seq;
}

// Where the body ends that next_seq lies in, or next_seq. For a tombstone: what it has taken.
inline uint32_t stream_end_seq(const sg_flow& flow) {
  const uint64_t body = flow.state == SG_FLOW_REFUSED ? 0 : sg_flow_body_left(&flow);
  return passed_seq(flow) + static_cast<uint32_t>(body);
}

// Whether what acknowledges this shows nothing of a tombstone's answer having arrived. A late
// segment from before the refused request acknowledges less than that did.
inline bool is_answer_unread(const sg_flow& flow, uint32_t ack) {
  return seq_distance(flow.answer_seq, ack) <= 0;
}

// Whether the client of a tombstone has read on behind the place of every answer. (Where another
// connection may be, what is acknowledged may be of that.)
inline bool reads_on(const sg_flow& flow, uint32_t ack) {
  return (flow.flags & SG_FLOW_OTHER) == 0 && seq_distance(flow.judged.answer_end_seq, ack) > 0;
}

// Whether body_left is that of a body that passes unread.
inline bool in_body(uint8_t reader) {
  return reader == SG_READER_HEAD || reader == SG_READER_DATA_CR;
}

// Where the next head or chunk header is read, or the rest of one. Of a body that is larger than a
// window nobody asks.
inline uint32_t next_syntax_seq(const sg_flow& flow) {
  uint64_t body = in_body(flow.reader) ? sg_flow_body_left(&flow) : 0;
  return flow.next_seq + static_cast<uint32_t>(body);
}

// A backend's PAWS test [RFC 7323 section 5.3] would discard the segment.
inline bool is_stale(const sg_flow& flow, const sg_packet& packet) {
  return packet.has_timestamps && flow.newest_stamp != 0 &&
         seq_distance(flow.newest_stamp, packet.ts_value) < 0;
}

// What judged.passed_64k becomes when a stream goes on from one place to another in front of it, by
// less than 2^32.
inline uint16_t passed_64k_at(const sg_flow& flow, uint32_t from_seq, uint32_t seq) {
  uint32_t more = ((seq >> 16) - (from_seq >> 16)) & 0xffff;
  return static_cast<uint16_t>(
      std::min<uint32_t>(flow.judged.passed_64k + more, SG_FLOW_PASSED_64K_MAX));
}

// A place before which the stream did not begin, and by at most 2^16 bytes. (Of one that is longer
// than SG_FLOW_PASSED_64K_MAX says: as far back as that.)
inline uint32_t stream_begin_seq(const sg_flow& flow) {
  return ((passed_seq(flow) >> 16) - flow.judged.passed_64k) << 16;
}

}  // namespace surgegate
