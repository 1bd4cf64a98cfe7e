// SPDX-License-Identifier: BSD-3-Clause
// The burst: what travels from step to step. A lane is one packet and everything found out about it
// so far; each step reads what the steps before it wrote. Lanes are the worker's own and are
// reused.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "config/flow.h"
#include "config/headers.h"
#include "config/limits.h"
#include "config/policy_abi.h"
#include "config/verdict.h"
#include "dataplane/path/http_head.h"
#include "dataplane/port.h"

namespace surgegate {

// The one clock read of a burst. monotonic_ns: CLOCK_MONOTONIC (a capture's own time in replay).
// Up to a burst's duration (some microseconds) stale, which no limit can tell: the shortest
// interval of a bucket that is not leased is 500 ns, and staleness delays a unit, it never adds
// one.
struct Instant {
  uint64_t monotonic_ns = 0;
  uint64_t unix_s = 0;
};

// What a segment's payload advances in its flow when it is forwarded.
enum class Advance : uint8_t { nothing, piece, request, position, ahead, hello };

// The request that a segment's head makes, when it is whole.
struct Request {
  HttpHead head;
  std::array<uint8_t, 16> client_ip;  // who asks: the source, or who a declared proxy says
  const sg_route* route = nullptr;    // nullptr: none matched
  uint32_t cost_units = 1;
};

// What the steps find out of a packet, each for those after it. As new when a packet is taken in.
struct Findings {
  sg_findings found = 0;  // bits of sg_reason

  // classify
  const sg_service* service = nullptr;
  uint64_t lists = 0;  // the source's list mask
  uint16_t service_index = 0;
  bool exempt_limits = false;
  bool exempt_signatures = false;

  // track
  bool opens = false;           // a SYN that opens a connection: it is counted as one
  bool reopens = false;         // .. for which the flow has an entry already
  bool waits = false;           // the head follows one of which no answer was acknowledged yet
  bool answerable = false;      // an answer put into the stream would be safe
  bool worn_out = false;        // the flow was refused in silence as often as it may be
  bool counts_request = false;  // the payload is judged as a request: `request` is set
  bool has_more = false;        // another request follows in this segment: judged in another round
  Advance advance = Advance::nothing;
  uint8_t reader_after = 0;  // the flow's reader if the packet is forwarded
  uint64_t flow_hash = 0;
  sg_flow* flow = nullptr;    // nullptr: not tracked
  uint16_t head_offset = 0;   // of the head, or of what is new of it, in the payload
  uint16_t syntax_first = 0;  // payload bytes [syntax_first, syntax_end) are no body, or not only
  uint16_t syntax_end = 0;
  // Of what was forwarded beyond a hole that this segment fills: bytes of a head that follow on its
  // last one, parts that are no body (Lane::ahead_parts), and the beginning of the next head.
  uint16_t ahead_bytes = 0;
  uint16_t ahead_parts_count = 0;
  uint16_t ahead_piece_bytes = 0;
  bool is_held = false;  // what is judged was forwarded ahead: a refusal holds all of this back
  bool next_is_held = false;    // .. in the next round
  uint16_t cut_at = SG_NONE16;  // payload bytes that go on at most; the rest is sent again
  uint16_t would_refuse_limit = SG_NONE16;  // mode count
  uint16_t round = 0;  // how many of this segment's requests were admitted before
  uint16_t requests_admitted = 0;
  uint16_t requests_refused = 0;
  uint64_t body_left_after = 0;
  uint32_t next_seq_after = 0;
  // Over all rounds: those that were admitted, and stand in the flow's memory when the last is.
  uint16_t judged_first = 0;
  uint16_t judged_end = 0;  // 0: none yet

  // police, inspect
  bool has_client = false;  // request.client_ip is that of a request of this packet
  uint16_t refusing_limit = SG_NONE16;
  uint16_t signature_set = SG_NONE16;
  uint32_t pattern = SG_NONE32;
  uint64_t wait_ns = 0;  // until the refusing limit admits again

  // decide
  sg_reason reason = SG_REASON_COUNT;
  sg_verdict verdict = SG_VERDICT_COUNT;

  // balance, respond
  uint16_t backend_slot = SG_NONE16;
  Frame extra;  // the RST for the backend; bytes == nullptr: none, length == 0: nowhere to go
};

struct StreamPart {
  uint32_t seq;
  uint32_t bytes;
};

// The packet and what is read of it are written whole before they are read (packet by parse,
// request by track where counts_request is set), so that taking a frame in clears the findings
// only: 184 bytes instead of 720, which cost more than reading the headers does.
struct Lane : Findings {
  Frame frame;
  sg_packet packet;
  Request request;
  // Of each run a head's end, chunk headers, and a head's beginning, but for where one run ends and
  // the next begins.
  std::array<StreamPart, SG_AHEAD_PARTS_APART_MAX + 2 * SG_AHEAD_RUNS_MAX + 1> ahead_parts;

  void take(const Frame& arrived) {
    static_cast<Findings&>(*this) = Findings{};
    frame = arrived;
  }
};

struct Burst {
  Instant now;
  uint32_t count = 0;
  std::array<Lane, SG_BURST_PACKETS_MAX> lanes;

  std::span<Lane> all() { return {lanes.data(), count}; }
};

// Consecutive lanes of a burst in which no flow occurs twice: what track to respond work on at a
// time, so that a packet always sees what the packet before it did to their flow.
using Part = std::span<Lane>;

inline const uint8_t* payload_of(const Lane& lane) {
  return lane.frame.bytes + lane.packet.payload_offset;
}

// offset: of the payload, at most its length.
inline std::string_view payload_from(const Lane& lane, uint32_t offset = 0) {
  return {reinterpret_cast<const char*>(payload_of(lane)) + offset,
          lane.packet.payload_length - offset};
}

}  // namespace surgegate
