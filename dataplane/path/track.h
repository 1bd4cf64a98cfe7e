// SPDX-License-Identifier: BSD-3-Clause
// track: what a segment is to its flow, and where in it a request head stands. settle: what the
// verdict then means for the flow. Before its packet's verdict a flow changes only where nothing is
// lost by it: it is seen, a new one is entered, bytes of a head are laid behind those that are
// kept, and a connection that another one goes on in the place of is replaced.
//
// One invariant carries all of it: of a flow whose SYN was seen, everything below next_seq was
// judged, and a backend can have read nothing else there. So heads and chunk headers are read in
// order only, what came before its time from a copy when its turn has come; what is sent again is
// compared with what was judged; what can be neither is dropped, by name, and TCP sends it again or
// does not.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"
#include "dataplane/path/http_chunks.h"
#include "dataplane/path/stream.h"
#include "dataplane/table/flows.h"
#include "dataplane/table/kept_heads.h"

namespace surgegate {

struct TrackCounters {
  uint64_t flow_set_full = 0;       // SYNs for which the table had no room
  uint64_t met_set_full = 0;        // .. strays
  uint64_t heads_evicted = 0;       // kept bytes that made room for another flow's
  uint64_t ranges_forgotten = 0;    // judged parts of streams that made room for later ones
  uint64_t ahead_full = 0;          // segments beyond holes for which there was no room
  uint64_t ahead_parts_joined = 0;  // .. of which parts are remembered as one
  uint64_t tls_runs_forgotten = 0;  // of TLS: beyond a second hole, where one run is kept
};

// What track keeps of flows, all of it the worker's own.
struct Tracked {
  FlowTable& flows;
  KeptHeads& heads;
  const sg_secret& secret;  // of the hashes by which resends are compared
};

// What a resend is compared by.
inline uint32_t judged_hash(const sg_secret& secret, const uint8_t* bytes, uint32_t length) {
  return static_cast<uint32_t>(sg_hash_bytes(&secret, bytes, length));
}

// Flows occur twice in a burst when a client sends several segments in a row. A small bitmap tells
// in one bit test; two flows that share a bit only cut the part early.
class Occurrences {
 public:
  bool add(uint64_t hash) {
    bool seen = has(hash);
    words_[(hash >> 6) % words_.size()] |= 1ull << (hash & 63);
    return seen;
  }
  bool has(uint64_t hash) const {
    return (words_[(hash >> 6) % words_.size()] >> (hash & 63) & 1) != 0;
  }

 private:
  std::array<uint64_t, 32> words_{};  // 2,048 bits: 32 lanes meet by chance once in four bursts
};

// Tracks lanes from the first on, and returns those that may be judged together: it stops before a
// lane whose flow already occurs, and after a lane that holds more than one request. In the second
// case the caller judges the part and comes again, beginning with that same lane (has_more).
class Tracker {
 public:
  Tracker(const Tracked& tracked, const PolicyInForce& policy, Instant now, TrackCounters& counters)
      : flows_(tracked.flows),
        heads_(tracked.heads),
        secret_(tracked.secret),
        policy_(policy),
        now_(now),
        ticks_(flow_ticks(now.monotonic_ns)),
        counters_(counters) {}

  Part take(std::span<Lane> lanes);
  void settle(Part part);

 private:
  // track.cc: the connection
  void track(Lane& lane);
  void track_tcp(Lane& lane);
  void track_syn(Lane& lane);
  void track_first_syn(Lane& lane);
  void track_refused(Lane& lane);
  bool may_open_another(const Lane& lane, uint32_t first_seq) const;
  bool begins_other(const Lane& lane) const;
  bool is_of_another(const Lane& lane) const;
  bool takes_entry_of(const Lane& lane, const Occurrences& others) const;
  uint64_t silent_ns(const sg_flow& flow) const;
  static void forget_other(sg_flow& flow);
  void forget_lost(sg_flow& flow);

  // track_stray.cc: a connection whose beginning was not seen
  static bool is_met(const Lane& lane);
  void track_stray(Lane& lane);
  bool read_on(Lane& lane);
  void end_at_request(Lane& lane) const;
  void judge_alone(Lane& lane);
  void settle_stray(Lane& lane);
  bool meet(Lane& lane);

  // track_data.cc: the stream
  void read_data(Lane& lane);
  void read_tunnel(Lane& lane, int64_t start);
  void read_syntax(Lane& lane);
  bool passes_as_body(Lane& lane, int64_t start, uint64_t body) const;
  void read_head(Lane& lane);
  void read_kept_head(Lane& lane);
  void read_chunks(Lane& lane);
  void found_piece(Lane& lane, uint32_t end_seq);
  void found_head(Lane& lane, uint32_t end_seq);
  bool found_chunks(Lane& lane, uint32_t offset, ChunkPosition position);
  void found_fault(Lane& lane, sg_reason fault);
  void note_more(Lane& lane);
  bool waits_for_answer(const Lane& lane) const;
  HeadRules head_rules(const Lane& lane) const;
  bool request_line_holds(const Lane& lane, std::string_view bytes, size_t known_bytes) const;
  bool answerable(const Lane& lane) const;
  bool reaches_over_other(const Lane& lane) const;

  // track_ahead.cc: what comes before that which is in front of it
  void read_ahead(Lane& lane, uint32_t distance_bytes);
  sg_reason ahead_fault(const Lane& lane, uint32_t distance_bytes) const;
  sg_reason no_room_ahead() const;
  bool may_be_piece(const Lane& lane, std::string_view run) const;
  bool read_on_ahead(Lane& lane);
  void note_held(Lane& lane, std::string_view bytes) const;
  void read_held(Lane& lane);
  void note_head_ahead(Lane& lane, uint32_t seq, uint32_t end_seq) const;
  void note_ahead(Lane& lane, uint32_t seq, uint32_t bytes) const;
  void keep_ahead(const Lane& lane);
  void settle_ahead(const Lane& lane);
  void begin_head_ahead(sg_flow& flow, KeptHead& kept);
  void begin_record(const sg_flow& flow, KeptHead& kept) const;
  void make_room_ahead(const Lane& lane, KeptHead& kept) const;
  void remember_ahead(const Lane& lane);

  // track_hello.cc: the beginning of a TLS connection
  void read_hello(Lane& lane);
  void pass_beside_hello(Lane& lane);
  void settle_hello(const Lane& lane);
  void note_run(const Lane& lane);
  void change_places(sg_flow& flow);
  bool may_open_another_hello(const sg_flow& flow, uint32_t first_seq) const;
  static void count_stray_hello(Lane& lane);

  // resend.cc: what was judged before
  bool differs_ahead(const Lane& lane, uint32_t offset) const;
  enum class Comparison : uint8_t { none, same, differs };
  sg_findings compare_old(Lane& lane, uint32_t end_seq) const;
  Comparison compare_bytes(const Lane& lane, uint32_t end_seq) const;
  Comparison compare_ranges(Lane& lane, uint32_t end_seq) const;
  uint32_t floor_seq(const sg_flow& flow) const;

  // settle.cc
  void settle_forwarded(Lane& lane);
  void settle_request(Lane& lane);
  static void settle_refused_rst(const Lane& lane);
  void move_on(const Lane& lane);
  void keep_piece(Lane& lane);
  static void go_on_at(sg_flow& flow, uint32_t seq);
  void forget(sg_flow& flow);
  static void note_refusal(const Lane& lane);
  static void add_credit(const Lane& lane);

  // settle_syn.cc: one connection and another
  void settle_syn(Lane& lane);
  void settle_syn_again(const Lane& lane);
  void replace(sg_flow& flow, uint32_t first_seq, uint8_t reader, sg_earlier earlier);
  void replace_closed(Lane& lane);
  void begin_other(Lane& lane);

  // remember.cc: what was judged
  void note_syntax(Lane& lane);
  static void note_stamp(sg_flow& flow, const sg_packet& packet);
  void remember(Lane& lane);
  void remember_parts(sg_flow& flow, uint32_t seq, std::string_view bytes);
  void remember_part(sg_flow& flow, uint32_t seq, std::string_view bytes);
  void begin_memory_at(sg_flow& flow, uint32_t head_seq);
  void release(sg_flow& flow, uint32_t from_seq);
  void forget_ranges(sg_flow& flow);

  FlowTable& flows_;
  KeptHeads& heads_;
  const sg_secret& secret_;
  const PolicyInForce& policy_;
  Instant now_;
  uint32_t ticks_;
  TrackCounters& counters_;
};

}  // namespace surgegate
