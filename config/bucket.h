// SPDX-License-Identifier: BSD-3-Clause
// The bucket: how many units a key may still pass. One 64-bit word, shared by all workers and XDP.
//
//   63        48 47                                            0
//   [ keyed tag ][ TAT, ns of CLOCK_MONOTONIC modulo 2^48       ]      0: an empty cell
//
// It is the virtual scheduling form of GCRA (ITU-T I.371, annex A). TAT is the theoretical arrival
// time of the next unit; n units conform at `now` iff max(TAT, now) + n * interval <= now + horizon
// with horizon = burst * interval, and then TAT becomes the left side. So over any window that
// starts at s and ends at e, (units passed) * interval <= e - s + horizon: TAT starts at s or
// later, ends at e + horizon or sooner, and every unit moves it by an interval. No refill, no
// remainder.
//
// A set is eight cells and one cache line; a key may stand in any cell of its set. Four rules, from
// which everything in docs/buckets.md follows:
//  1. A refusal writes nothing: a line is written at most as often as limits admit.
//  2. A TAT in the past is a full bucket, the same as no cell: it may be overwritten by anybody.
//  3. A key without a cell takes the one with the smallest TAT of its set (empty ones first, then
//     the lowest index) and is charged from max(that TAT, now), as if it had been there.
//  4. Every write makes a cell's TAT larger. (Give-backs and the scrubber are the exceptions; the
//     docs count what they may add.)
// Invariant: a key's TAT when it loses its cell is <= every TAT of its set from then on. It was the
// smallest (3), and none becomes smaller (4). So wherever the key returns, it is charged from
// no less than it owed; a key is never fuller than it is owed. The choice in (3) does not look at
// the clock, so this also holds between workers whose clocks differ.
// Two workers that insert one key at once choose the same word, and one CAS fails: had A chosen c1
// and B c2, then, reading before the other wrote, A saw c1 <= c2 and B, no earlier by (4), c2 <=
// c1: all equal, and the lower index is the choice of both.
//
// now_ns is always a parameter, the full 64 bits of the caller's clock. Nothing here blocks; every
// loop is bounded. Precondition of every rule: 1 <= interval_ns <= horizon_ns <= horizon_seen_ns <=
// SG_BUCKET_HORIZON_NS_MAX.
#pragma once

#include "config/limits.h"
#include "config/types.h"

#define SG_TAT_MASK ((1ull << SG_TAT_BITS) - 1)
#define SG_WAIT_NEVER (~0ull)

struct sg_bucket_rule {
  __u64 interval_ns;  // of one unit; rounded up, so that a limit is never above what was written
  __u64 horizon_ns;   // burst * interval
  __u64 horizon_seen_ns;  // the largest horizon by which a cell of this key may have been charged:
                          // of this image and the one before. Beyond it a TAT is another key's
};

struct sg_bucket_set {
  __u64 cells[SG_BUCKET_SET_CELLS];
} __attribute__((aligned(64)));

// Where a key stands at a moment. Filled by sg_bucket_read, used and refreshed by sg_bucket_commit.
struct sg_bucket_view {
  __u64 word;      // of the chosen cell as it was read
  __u64 ahead_ns;  // how far the TAT to charge from lies ahead; 0: a full bucket
  __u64 wait_ns;   // 0: the units conform. Else until they do; SG_WAIT_NEVER: more than the burst
  __u32 cell;      // index of the chosen cell in its set
  __u16 own;       // 1: the key's own cell, 0: the one it would take
  __u16 foreign;   // cells met with the key's tag that must be another's
};

enum sg_bucket_outcome {
  SG_BUCKET_CHARGED,
  SG_BUCKET_CHARGED_EVICTING,  // a live cell of another key was taken
  SG_BUCKET_REFUSED,           // wait_ns of the view
  SG_BUCKET_REFUSED_SET_FULL,  // eight live cells, and charged from the smallest it is too much
  SG_BUCKET_CONTENDED  // gave up after SG_BUCKET_TRIES_MAX lost races: refused, retry at once
};

// BPF has no atomic load in clang 14; a volatile one is what the others compile to as well. A test
// that explores interleavings puts its own here.
#ifndef SG_BUCKET_LOAD
#ifdef __bpf__
#define SG_BUCKET_LOAD(cell) (*(const volatile __u64*)(cell))
#else
#define SG_BUCKET_LOAD(cell) __atomic_load_n((cell), __ATOMIC_RELAXED)
#endif
#define SG_BUCKET_CAS(cell, expected, desired) __sync_val_compare_and_swap(cell, expected, desired)
#endif

// The set is chosen by the low bits of the key's hash and the tag is its top 16, in place: disjoint
// for tables up to 2^48 sets, so that keys of one set do not share tag bits more often than chance.
SG_INLINE __u64 sg_bucket_set_index(__u64 key_hash, __u64 set_count) {
  return key_hash & (set_count - 1);
}

SG_INLINE __u64 sg_bucket_tag(__u64 key_hash) {
  __u64 tag = key_hash & ~SG_TAT_MASK;
  return tag ? tag : 1ull << SG_TAT_BITS;  // a tag of 0 would make a word of 0
}

// Times modulo 2^48 have an order only on a stretch of the circle. Ours starts STALE before now: a
// rank up to STALE is past, one above is ahead, up to the horizon. No cell is staler (scrubber).
SG_INLINE __u64 sg_tat_rank(__u64 word, __u64 now_ns) {
  return (word - (now_ns - SG_BUCKET_STALE_NS_MAX)) & SG_TAT_MASK;
}

SG_INLINE __u64 sg_tat_ahead_ns(__u64 word, __u64 now_ns) {
  __u64 rank = sg_tat_rank(word, now_ns);
  return rank > SG_BUCKET_STALE_NS_MAX ? rank - SG_BUCKET_STALE_NS_MAX : 0;
}

// The cell that a key without one would take: rule 3.
SG_INLINE __u64 sg_bucket_find_smallest(const __u64* words, __u64 now_ns,
                                        struct sg_bucket_view* view) {
  __u64 smallest_rank = ~0ull;
  for (__u32 i = 0; i < SG_BUCKET_SET_CELLS; i++) {
    __u64 rank = words[i] ? sg_tat_rank(words[i], now_ns) : 0;
    if (rank >= smallest_rank) continue;
    smallest_rank = rank;
    view->cell = i;
    view->word = words[i];
  }
  return smallest_rank;
}

// Of several cells with the tag the one furthest ahead is taken for the key's own: a twin that
// cannot be told apart may make it wait, never make it fuller.
SG_INLINE void sg_bucket_find(const struct sg_bucket_set* set, __u64 tag,
                              const struct sg_bucket_rule* rule, __u64 now_ns,
                              struct sg_bucket_view* view) {
  const __u64 foreign_rank = SG_BUCKET_STALE_NS_MAX + rule->horizon_seen_ns + SG_BUCKET_SKEW_NS_MAX;
  __u64 words[SG_BUCKET_SET_CELLS];  // one snapshot, so that both searches speak of one state
  __u64 rank = 0;
  view->own = 0;
  view->foreign = 0;
  for (__u32 i = 0; i < SG_BUCKET_SET_CELLS; i++) {
    words[i] = SG_BUCKET_LOAD(&set->cells[i]);
    if ((words[i] ^ tag) >> SG_TAT_BITS) continue;
    __u64 rank_here = sg_tat_rank(words[i], now_ns);
    if (rank_here > foreign_rank) {
      view->foreign++;
    } else if (!view->own || rank_here > rank) {
      rank = rank_here;
      view->own = 1;
      view->cell = i;
      view->word = words[i];
    }
  }
  if (!view->own) rank = sg_bucket_find_smallest(words, now_ns, view);
  view->ahead_ns = rank > SG_BUCKET_STALE_NS_MAX ? rank - SG_BUCKET_STALE_NS_MAX : 0;
}

// Whether `units` (1 .. SG_BUCKET_UNITS_MAX) conform now, and if not, for how long. Writes nothing.
SG_INLINE int sg_bucket_read(const struct sg_bucket_set* set, __u64 tag,
                             const struct sg_bucket_rule* rule, __u32 units, __u64 now_ns,
                             struct sg_bucket_view* view) {
  sg_bucket_find(set, tag, rule, now_ns, view);
  __u64 cost_ns = units * rule->interval_ns;
  __u64 after_ns = view->ahead_ns + cost_ns;
  view->wait_ns = cost_ns > rule->horizon_ns    ? SG_WAIT_NEVER
                  : after_ns > rule->horizon_ns ? after_ns - rule->horizon_ns
                                                : 0;
  return view->wait_ns == 0;
}

SG_INLINE enum sg_bucket_outcome sg_bucket_refusal(const struct sg_bucket_view* view) {
  int set_full = !view->own && view->ahead_ns && view->wait_ns != SG_WAIT_NEVER;
  return set_full ? SG_BUCKET_REFUSED_SET_FULL : SG_BUCKET_REFUSED;
}

SG_INLINE int sg_bucket_is_charged(enum sg_bucket_outcome outcome) {
  return outcome <= SG_BUCKET_CHARGED_EVICTING;
}

// Charges what a conforming read has seen; the view may be as old as one likes, for the CAS takes
// it only if the cell is unchanged. After a lost race it reads again. *lost_races is added to.
SG_INLINE enum sg_bucket_outcome sg_bucket_commit(struct sg_bucket_set* set, __u64 tag,
                                                  const struct sg_bucket_rule* rule, __u32 units,
                                                  __u64 now_ns, struct sg_bucket_view* view,
                                                  __u32* lost_races) {
  for (__u32 i = 0; i < SG_BUCKET_TRIES_MAX; i++) {
    __u64 tat = now_ns + view->ahead_ns + units * rule->interval_ns;
    __u64* cell = &set->cells[view->cell % SG_BUCKET_SET_CELLS];
    if (SG_BUCKET_CAS(cell, view->word, tag | (tat & SG_TAT_MASK)) == view->word)
      return view->own || !view->ahead_ns ? SG_BUCKET_CHARGED : SG_BUCKET_CHARGED_EVICTING;
    ++*lost_races;
    if (!sg_bucket_read(set, tag, rule, units, now_ns, view)) return sg_bucket_refusal(view);
  }
  return SG_BUCKET_CONTENDED;
}

SG_INLINE enum sg_bucket_outcome sg_bucket_charge(struct sg_bucket_set* set, __u64 tag,
                                                  const struct sg_bucket_rule* rule, __u32 units,
                                                  __u64 now_ns, struct sg_bucket_view* view,
                                                  __u32* lost_races) {
  if (!sg_bucket_read(set, tag, rule, units, now_ns, view)) return sg_bucket_refusal(view);
  return sg_bucket_commit(set, tag, rule, units, now_ns, view, lost_races);
}

// Takes back credit_ns of a charge made at the same now_ns in this cell, if the key still has it (a
// key that lost its cell in between keeps paying: less is safe). Never lowers a TAT below now,
// where the bucket is full anyway. Returns 1 if something was given back.
SG_INLINE int sg_bucket_give_back(__u64* cell, __u64 tag, __u64 credit_ns, __u64 now_ns,
                                  __u32* lost_races) {
  for (__u32 i = 0; i < SG_BUCKET_TRIES_MAX; i++) {
    __u64 word = SG_BUCKET_LOAD(cell);
    __u64 ahead_ns = sg_tat_ahead_ns(word, now_ns);
    if ((word ^ tag) >> SG_TAT_BITS || !ahead_ns) return 0;
    __u64 tat = now_ns + ahead_ns - (credit_ns < ahead_ns ? credit_ns : ahead_ns);
    if (SG_BUCKET_CAS(cell, word, tag | (tat & SG_TAT_MASK)) == word) return 1;
    ++*lost_races;
  }
  return 0;
}

#ifdef __cplusplus
static_assert(sizeof(sg_bucket_set) == 64 && alignof(sg_bucket_set) == 64,
              "a set is one cache line: a lookup costs one miss, a charge dirties one line");
static_assert(sizeof(sg_bucket_rule) == 24, "stands in records of the policy image");
static_assert(sizeof(sg_bucket_view) == 32);
#endif
