// SPDX-License-Identifier: BSD-3-Clause
// Other connections of the same addresses and ports. A backend holds one at a time, but which one
// cannot be seen here: it may not have got what closed the one before, nor the SYN of the next. So
// no stream may begin where it may be waiting for a byte of another one, nor reach there: what is a
// body here could be a request there.
#pragma once

#include <algorithm>
#include <cstdint>

#include "config/flow.h"
#include "dataplane/path/stream.h"

namespace surgegate {

// All that an entry says of the other connection, but for where and when.
inline constexpr uint8_t flags_of_other = SG_FLOW_OTHER | SG_FLOW_OTHER_SYN | SG_FLOW_OTHER_LATER;
inline constexpr uint8_t marks_of_other =
    SG_FLOW_OTHER_TUNNEL | SG_FLOW_OTHER_MET | SG_FLOW_OTHER_UPGRADE;

// For times of things that are noted now: flow.other_since, flow.earlier.since. ticks:
// flow_ticks().
inline uint8_t other_ticks(uint32_t ticks) {
  return static_cast<uint8_t>(ticks >> SG_FLOW_OTHER_TICK_BITS);
}

// Whether so much time has passed since then, and a unit: both ends are rounded down.
inline bool is_past(uint8_t since, uint64_t ns, uint32_t ticks) {
  return static_cast<uint8_t>(other_ticks(ticks) - since) > ns / SG_FLOW_OTHER_TICK_NS + 1;
}

// Whole periods since the last one of flow.earlier began.
inline uint32_t earlier_periods(const sg_flow& flow, uint32_t ticks) {
  uint8_t units = static_cast<uint8_t>(other_ticks(ticks) - flow.earlier.since);
  return units / SG_FLOW_EARLIER_PERIOD_UNITS;
}

// Where those begin that are left when the first so many periods are let go of.
inline uint32_t earlier_begin_seq(const sg_earlier& earlier, uint32_t periods) {
  uint32_t behind = periods == 0 ? 0u : periods == 1 ? earlier.periods & 15u : earlier.periods >> 4;
  return (uint32_t{earlier.begin_64k} << 16) + (behind << 28);
}

// flow.earlier where all that is borne in mind lies behind this place, from now on.
inline sg_earlier earlier_from(uint32_t begin_seq, uint32_t ticks) {
  return {static_cast<__u16>(begin_seq >> 16), other_ticks(ticks), 0};
}

// flow.earlier of a connection that begins now in the place of this one. (Rounded down, a period
// only seems to begin sooner.)
inline sg_earlier earlier_with_this(const sg_flow& flow, uint32_t ticks) {
  const uint32_t begin_seq = stream_begin_seq(flow);
  const bool has_earlier = (flow.marks & SG_FLOW_EARLIER) != 0;
  const uint32_t gone = has_earlier ? earlier_periods(flow, ticks) : SG_FLOW_EARLIER_PERIODS;
  if (gone == 0) return flow.earlier;
  if (gone >= SG_FLOW_EARLIER_PERIODS) return earlier_from(begin_seq, ticks);
  const uint32_t first_seq = earlier_begin_seq(flow.earlier, gone);
  const uint32_t last = (begin_seq - first_seq) >> 28;
  const uint32_t second = gone == 1 ? (earlier_begin_seq(flow.earlier, 2) - first_seq) >> 28 : last;
  return {static_cast<__u16>(first_seq >> 16),
          static_cast<__u8>(flow.earlier.since + gone * SG_FLOW_EARLIER_PERIOD_UNITS),
          static_cast<__u8>(last << 4 | second)};
}

// flow.earlier when the other connection goes on in the place of this one. Of one that was here
// before only that is known, that it began behind all earlier ones: those, and this one, now lie
// between where this one began and where that one did.
inline sg_earlier earlier_of_other(const sg_flow& flow, uint32_t ticks) {
  const bool is_new = (flow.flags & SG_FLOW_OTHER_SYN) != 0;
  return is_new ? earlier_with_this(flow, ticks) : earlier_from(stream_begin_seq(flow), ticks);
}

// Whether a backend may wait for this byte, in the stream of this connection or of an earlier one;
// or, of a connection that was not closed, for one so little behind it that no stack would begin
// another one there. In a body bytes may have passed in any order, up to a window ahead; of one
// that goes on nothing may begin within it.
inline bool is_in_stream(const sg_flow& flow, uint32_t seq, uint32_t ticks) {
  const bool is_live = flow.state == SG_FLOW_ESTABLISHED;
  const uint32_t periods = earlier_periods(flow, ticks);
  const bool has_earlier = (flow.marks & SG_FLOW_EARLIER) != 0 && periods < SG_FLOW_EARLIER_PERIODS;
  uint64_t ahead = flow.state == SG_FLOW_REFUSED ? 0 : sg_flow_body_left(&flow);
  if (is_live && ahead >= SG_WINDOW_BYTES_MAX) return true;
  ahead = std::min<uint64_t>(ahead, SG_WINDOW_BYTES_MAX) + (is_live ? SG_FLOW_SYN_AHEAD_BYTES : 0);
  const uint32_t at = passed_seq(flow);
  const uint32_t begin_seq =
      has_earlier ? earlier_begin_seq(flow.earlier, periods) : stream_begin_seq(flow);
  const bool is_full = has_earlier && at == begin_seq;  // it came round to where those begin
  return is_full || uint64_t{seq - begin_seq} <= uint64_t{at - begin_seq} + ahead;
}

// Whether this is a byte of an earlier stream, or lies between two, or is what closed the last one:
// of a connection of which nothing was read yet, or nothing is read, as of TLS, and of a tombstone.
inline bool is_of_earlier(const sg_flow& flow, uint32_t seq) {
  if ((flow.marks & SG_FLOW_EARLIER) == 0) return false;
  const uint32_t begin_seq = earlier_begin_seq(flow.earlier, 0);
  const uint32_t end_seq =
      flow.state == SG_FLOW_REFUSED ? stream_begin_seq(flow) : flow.judged.start_seq;
  return seq - begin_seq < end_seq - begin_seq;
}

// How far the stream may go on from next_seq before it comes to where another one may be read.
inline uint64_t room_bytes(const sg_flow& flow) {
  uint64_t room = UINT64_MAX;
  if (flow.flags & SG_FLOW_OTHER) room = flow.other_seq - flow.next_seq;
  if (flow.marks & SG_FLOW_EARLIER)
    room = std::min<uint64_t>(room, earlier_begin_seq(flow.earlier, 0) - flow.next_seq);
  return room;
}

}  // namespace surgegate
