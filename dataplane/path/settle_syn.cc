// SPDX-License-Identifier: BSD-3-Clause
// What SYNs do to an entry, and one connection to another of the same addresses and ports
// (earlier.h).
#include <algorithm>

#include "dataplane/path/earlier.h"
#include "dataplane/path/track.h"

namespace surgegate {
namespace {

// The entry as a SYN leaves it, its backend, its MSS and the other connection aside.
void open_entry(sg_flow& flow, uint32_t first_seq, uint8_t reader) {
  flow.next_seq = first_seq;
  flow.newest_stamp = 0;
  sg_flow_set_body_left(&flow, 0);
  flow.state = SG_FLOW_OPENING;
  flow.reader = reader;
  flow.flags = 0;
  flow.judged = {};
  flow.judged.start_seq = first_seq;
  flow.silent_refusals = 0;
  flow.marks = 0;
}

// Rounded down, but never to 0, which means that none was given.
uint8_t mss_64_of(const sg_packet& packet) {
  if (packet.mss == 0) return 0;
  return static_cast<uint8_t>(std::clamp(packet.mss / 64, 1, 255));
}

uint8_t first_reader(const Lane& lane) {
  switch (lane.service->protocol) {
    case SG_HTTP:
      return SG_READER_HEAD;
    case SG_TLS:
      return SG_READER_HELLO;
    default:
      return SG_READER_NONE;
  }
}

}  // namespace

void Tracker::settle_syn(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const sg_packet& packet = lane.packet;
  uint32_t first_seq = packet.seq + 1;
  if (!lane.reopens || flow.state == SG_FLOW_CLOSING) {
    if (lane.reopens)
      replace_closed(lane);
    else
      open_entry(flow, first_seq, first_reader(lane));
    flow.mss_64 = mss_64_of(packet);
    note_stamp(flow, packet);
    flow.backend_slot = SG_NONE16;
    return;
  }
  flow.other_seq = first_seq;
  flow.other_since = other_ticks(ticks_);
  flow.flags |= SG_FLOW_OTHER | SG_FLOW_OTHER_SYN;
  flow.marks &= static_cast<uint8_t>(~SG_FLOW_OTHER_MET);
}

// The backend may have opened with this one only: it is from now on that the other is watched for.
void Tracker::settle_syn_again(const Lane& lane) {
  sg_flow& flow = *lane.flow;
  if ((flow.flags & SG_FLOW_OTHER_SYN) && flow.other_seq == lane.packet.seq + 1)
    flow.other_since = other_ticks(ticks_);
}

// A SYN in place of a connection that was closed. Another one that a SYN wanted to open stays to be
// watched for; but not where this one begins behind it, for then it lies among the earlier ones,
// and nothing of those is taken. (Of TLS, where nothing is read, it does not matter where it lies.)
void Tracker::replace_closed(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const uint32_t first_seq = lane.packet.seq + 1;
  const uint8_t flags = flow.flags & flags_of_other;
  const uint8_t marks = flow.marks & marks_of_other;
  const sg_earlier earlier = earlier_with_this(flow, ticks_);
  const uint32_t begin_seq = earlier_begin_seq(earlier, 0);
  const bool is_ahead = flow.other_seq - begin_seq > first_seq - begin_seq;
  replace(flow, first_seq, first_reader(lane), earlier);
  const bool stays = lane.service->protocol == SG_TLS || is_ahead;
  if (flags == 0 || !stays) return;
  flow.flags |= flags;
  flow.marks |= marks;
}

// Begins another connection in this entry. What the backend may have of the old one is borne in
// mind, and where that can be read on it may be taken up again: but not behind a close or a
// refusal, which its own client brought about, and not where earlier ones lie so far back that
// passed_64k would not reach there; and of a TLS connection while its first byte has not come, for
// behind that nothing is judged.
void Tracker::replace(sg_flow& flow, uint32_t first_seq, uint8_t reader, sg_earlier earlier) {
  const uint32_t end_seq = stream_end_seq(flow);
  const bool is_tls = reader == SG_READER_HELLO;
  const bool is_tunnel = flow.reader == SG_READER_TUNNEL;
  const bool at_head = flow.reader == SG_READER_HEAD && end_seq == flow.next_seq &&
                       (flow.flags & SG_FLOW_IN_HEAD) == 0 && (flow.marks & SG_FLOW_AHEAD) == 0;
  const bool is_live = flow.state == SG_FLOW_ESTABLISHED || flow.state == SG_FLOW_OPENING;
  const bool is_near = end_seq - earlier_begin_seq(earlier, 0) < uint32_t{SG_FLOW_PASSED_64K_MAX}
                                                                     << 16;
  const bool may_go_on =
      is_live && (is_tls ? flow.reader == SG_READER_HELLO : (at_head || is_tunnel) && is_near);
  constexpr uint8_t upgrade = SG_FLOW_UPGRADE | SG_FLOW_TUNNEL;
  const bool is_upgraded = (flow.flags & upgrade) == upgrade;
  heads_.give_back(flow);
  open_entry(flow, first_seq, reader);
  flow.seen_ticks = ticks_;
  flow.earlier = earlier;
  flow.marks |= SG_FLOW_EARLIER;
  if (!may_go_on) return;
  flow.other_seq = end_seq;
  flow.other_since = other_ticks(ticks_);
  flow.flags |= SG_FLOW_OTHER;
  if (is_tunnel) flow.marks |= SG_FLOW_OTHER_TUNNEL;
  if (is_upgraded) flow.marks |= SG_FLOW_OTHER_UPGRADE;
}

// The connection that a SYN wanted to open in place of this one has begun, or the one goes on that
// was replaced. It keeps the backend, to which its SYN went. Whoever knows addresses and ports can
// make it look so: the old one goes on with its next segment, and nothing is answered, but for
// where nothing had begun or a tombstone was, which nobody but its own client can end.
//
// Where one that is taken up again began is taken to be where the earliest one did: what passed_64k
// reaches (replace).
void Tracker::begin_other(Lane& lane) {
  sg_flow& flow = *lane.flow;
  const bool is_new = (flow.flags & SG_FLOW_OTHER_SYN) != 0;
  const bool may_answer =
      flow.state == SG_FLOW_OPENING || (is_new && flow.state == SG_FLOW_REFUSED);
  const bool was_first = !is_new && (flow.flags & SG_FLOW_OTHER_LATER) == 0;
  const bool is_tunnel = (flow.marks & SG_FLOW_OTHER_TUNNEL) != 0;
  const bool is_upgraded = (flow.marks & SG_FLOW_OTHER_UPGRADE) != 0;
  const bool has_earlier = (flow.marks & SG_FLOW_EARLIER) != 0;
  const auto other_64k = static_cast<__u16>(flow.other_seq >> 16);
  const auto passed_64k = static_cast<__u16>(has_earlier ? other_64k - flow.earlier.begin_64k : 0);
  replace(flow, lane.packet.seq, is_tunnel ? uint8_t{SG_READER_TUNNEL} : first_reader(lane),
          earlier_of_other(flow, ticks_));
  flow.judged.passed_64k = is_new ? 0 : std::min<__u16>(passed_64k, SG_FLOW_PASSED_64K_MAX);
  if (was_first && (flow.flags & SG_FLOW_OTHER)) flow.flags |= SG_FLOW_OTHER_LATER;
  note_stamp(flow, lane.packet);
  if (!may_answer) flow.flags |= SG_FLOW_PIPELINED;
  if (is_upgraded) flow.flags |= SG_FLOW_UPGRADE | SG_FLOW_TUNNEL;
}

}  // namespace surgegate
