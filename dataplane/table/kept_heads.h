// SPDX-License-Identifier: BSD-3-Clause
// What is kept of a flow beyond its entry: the bytes of a request head that comes in pieces, until
// its last piece is judged, those that were forwarded beyond a hole, and the parts of the stream
// that were judged before the last one, as long as they may be sent again. One pool for a worker,
// of records of one size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "config/flow.h"
#include "config/limits.h"
#include "config/policy_abi.h"

namespace surgegate {

struct KeptRange {
  uint32_t start_seq;
  uint32_t hash;
  uint16_t length_bytes;
  uint16_t reserved;
};

// bytes[first, last) of a record.
struct KeptRun {
  uint16_t first;
  uint16_t last;
};

struct KeptHead {
  uint64_t flow_hash;  // 0: free
  uint32_t start_seq;  // of bytes[0]
  uint32_t head_began_ticks;
  uint16_t length_bytes;  // of the head so far
  uint16_t older;         // neighbours among the records in use, by the time of taking
  uint16_t newer;
  uint16_t ranges_first;  // of a ring
  uint16_t ranges_count;
  uint16_t runs_count;
  KeptRun runs[SG_AHEAD_RUNS_MAX];  // in order, none touches another, all lie behind the head
  // Where the segments that the runs are of begin and end, in order, all behind the head's end: a
  // segment that is lost behind the gate is sent again from edge to edge, and what is remembered of
  // it must begin and end there too.
  uint16_t edges[SG_AHEAD_EDGES_MAX];
  uint16_t edges_count;
  char bytes[SG_HEAD_BYTES_MAX];
  KeptRange ranges[SG_KEPT_RANGES_MAX];

  // Where it has no bytes start_seq means nothing.
  bool has_bytes() const { return length_bytes > 0 || runs_count > 0; }
  uint32_t end_seq() const { return start_seq + length_bytes; }
  // The empty line that may stand before a head [RFC 9112 section 2.2].
  bool has_empty_line_only() const { return length_bytes == 2 && bytes[0] == '\r'; }
  uint32_t room_bytes() const { return SG_HEAD_BYTES_MAX - length_bytes; }

  // Whether all of the range lies in the bytes of the head.
  bool has_head_bytes(const KeptRange& range) const {
    uint32_t at = range.start_seq - start_seq;
    return at < length_bytes && range.length_bytes <= length_bytes - at;
  }

  // In the order of the stream. i < ranges_count.
  const KeptRange& range(uint32_t i) const {
    return ranges[(ranges_first + i) % SG_KEPT_RANGES_MAX];
  }
  // Behind all others. When there is no room the oldest goes: then true.
  bool add_range(const KeptRange& range);

  // Whether these bytes of the stream are the same as those beyond holes, where they overlap.
  bool agrees(uint32_t seq, std::string_view fresh) const;
  // What was forwarded from here on, up to the next hole.
  std::string_view run_from(uint32_t seq) const;
  bool has_run_behind(uint32_t seq) const;
  // How many bytes from seq on come before the next edge, at most so many.
  uint32_t bytes_to_edge(uint32_t seq, uint32_t most_bytes) const;
  // Whether bytes[first, last) can be a run, or part of one: a segment's, whose edges are kept.
  bool has_room_for_run(uint32_t first, uint32_t last) const;
  // Copies fresh to bytes[first ..], where it may come to be a run, and returns what it would be
  // part of: has_room_for_run(), and what is overlapped agrees.
  std::string_view try_run(uint32_t first, std::string_view fresh);
  // Makes it one: try_run() has copied it.
  void add_run(uint32_t first, uint32_t last);
  // Lets go of all in front of seq, which bytes[0] is from now on, and of the head.
  void begin_at(uint32_t seq);
  // Counts bytes[0, end) no more as ahead of what is read.
  void pass_runs(uint32_t end);
  // .. but as of the head.
  void extend_head(uint32_t end) {
    pass_runs(end);
    length_bytes = static_cast<uint16_t>(end);
  }
  void forget_runs() { runs_count = edges_count = 0; }

 private:
  bool has_edge(uint32_t at) const;
  void add_edge(uint32_t at);
};

static_assert(sizeof(KeptHead) == 5 * 4096, "whole pages, so that an idle record costs no memory");
static_assert(SG_HEAD_BYTES_MAX <= 0xffff, "lengths of kept bytes are 16 bits");
static_assert(SG_KEPT_HEADS_MAX < 0xffff, "an entry names its record in 16 bits; 0xffff is none");

class KeptHeads {
 public:
  // count: 1 .. SG_KEPT_HEADS_MAX.
  explicit KeptHeads(uint32_t count);

  // The flow's record, or nullptr: it has none, or lost it.
  KeptHead* of(const sg_flow& flow) const;

  // An empty record for a flow that has none. When all are in use, the one that was taken longest
  // ago changes hands: who sends his head slowly loses it to those who do not.
  KeptHead& take(sg_flow& flow);

  void give_back(sg_flow& flow);

  uint64_t evicted() const { return evicted_; }

 private:
  struct Unmap {
    size_t bytes = 0;
    void operator()(KeptHead* records) const;
  };
  void unlink(uint16_t index);
  void link_newest(uint16_t index);

  uint32_t count_;
  std::unique_ptr<KeptHead[], Unmap> records_;
  std::vector<uint16_t> free_;  // a stack
  uint16_t oldest_ = SG_NONE16;
  uint16_t newest_ = SG_NONE16;
  uint64_t evicted_ = 0;
};

}  // namespace surgegate
