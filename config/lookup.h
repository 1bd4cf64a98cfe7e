// SPDX-License-Identifier: BSD-3-Clause
// From an address to the lists it is in: flat arrays of 64-byte records, indices instead of
// pointers, so that each array is an image section and a BPF array map as it stands.
// lookup_build.cc makes the arrays, validate_lookup() checks foreign ones,
// docs/decisions/0002-list-lookup.md has the figures.
//
// An address's lists are a 64-bit mask; distinct masks are interned, and a lookup gives the index
// of one (16 bits, 0 is "in no list"). A lookup is a walk from line to line: start() names the
// first line, step() reads it and names the next, so that a burst can prefetch between two steps
// and a BPF program can fetch each line from its map:
//
//   int is_done = sg_lookup_start(&walk, header, ip);
//   while (!is_done) {fetch line walk.at; is_done = sg_lookup4_step(&walk, line);}
//   walk.value is the answer
//
// IPv4 (::ffff:a.b.c.d) and IPv6 are two worlds: an IPv6 prefix wide enough to cover the mapped
// range (::/0, say) says nothing about IPv4 addresses.
#pragma once

#include "config/limits.h"
#include "config/types.h"

#define SG_CACHE_LINE_ALIGNED __attribute__((aligned(64)))

// --- IPv4: a root by the upper 16 bits, below it a static search tree over runs -----------------
// The addresses of a /16 fall into runs of equal value. A run is known by its last address's lower
// 16 bits; up to 16 runs are one leaf, up to 32 children one index line [after Rizzo and Carpa's
// DXR, and the static B-trees of Rao and Ross, "Making B+-trees cache conscious", SIGMOD'00]. Hence
// the lines read below the root's: 1 for up to 16 runs in a /16, 2 for 512, 3 for 16,384, 4 for
// 65,536. Unused places hold last_of 0xffff, which is never below a key: so ranks stay within what
// is used.

#define SG_LOOKUP4_ROOT_LINES 4096  // 65,536 entries of 32 bits, 256 KiB: it stays in a core's L2
#define SG_LOOKUP4_LEVELS_MAX 4
#define SG_LOOKUP4_LEVELS_SHIFT 29  // of a root entry; 0 levels: bits 0..15 are the value itself
#define SG_LOOKUP4_LINE_MASK ((1u << SG_LOOKUP4_LEVELS_SHIFT) - 1)
#define SG_LOOKUP4_LEAF_RUNS 16
#define SG_LOOKUP4_INDEX_CHILDREN 32

struct sg_lookup4_leaf {
  __u16 reserved;
  __u16 last_of[SG_LOOKUP4_LEAF_RUNS - 1];  // ascending; the last run ends at 0xffff or at the
                                            // parent's separator, so that it needs no entry
  __u16 value[SG_LOOKUP4_LEAF_RUNS];
};

struct sg_lookup4_index {
  __u16 child_offset;  // in lines, from this line to its first child; children are neighbours
  __u16 last_of[SG_LOOKUP4_INDEX_CHILDREN - 1];  // ascending: the last key of each child but one
};

// Lines 0..4095 are the root.
struct SG_CACHE_LINE_ALIGNED sg_lookup_line {
  union {
    __u32 root[16];
    struct sg_lookup4_index index;
    struct sg_lookup4_leaf leaf;
  };
};

// --- IPv6: binary search over the prefix lengths ------------------------------------------------
// [Waldvogel, Varghese, Turner, Plattner, SIGCOMM'97]: one hash table for the prefixes of all
// lengths present; shorter ones on the search path of a longer one are put in as markers, and each
// entry carries the best match of its own bits, so that the search never turns back. A key is in
// its home bucket or, if that one says `spilled`, in its other one: the builder sees to it, so a
// probe is one line, at times two, whatever address a stranger sends.

#define SG_LOOKUP6_BUCKET_ENTRIES 3
#define SG_LOOKUP6_LENGTHS_MAX 128  // 1..128; ::/0 is the header's default_value
#define SG_LOOKUP6_PROBES_MAX 8     // ceil(log2(128 + 1))
#define SG_LOOKUP6_HASH_WORDS 5

// hi and lo are the address's halves as numbers in host order, cut to length bits.
struct SG_CACHE_LINE_ALIGNED sg_lookup_bucket {
  __u64 hi[SG_LOOKUP6_BUCKET_ENTRIES];
  __u64 lo[SG_LOOKUP6_BUCKET_ENTRIES];
  __u16 value[SG_LOOKUP6_BUCKET_ENTRIES];
  __u8 length[SG_LOOKUP6_BUCKET_ENTRIES];      // in bits; 0: no entry
  __u8 has_longer[SG_LOOKUP6_BUCKET_ENTRIES];  // 1: a longer prefix may match, go on
  __u8 spilled;  // 1: a key whose home this is stands in its other bucket
  __u8 reserved[3];
};

struct sg_lookup_header {
  __u64 seed[2][SG_LOOKUP6_HASH_WORDS];  // [0] for the home bucket, [1] for the other
  __u32 bucket_count;                    // >= 1
  __u16 default_value;                   // what ::/0 says
  __u8 length_count;
  __u8 reserved;
  __u8 length[SG_LOOKUP6_LENGTHS_MAX];  // those present, ascending
};

// --- The walk -----------------------------------------------------------------------------------

// Where a lookup stands. at: the line (IPv4) or bucket (IPv6) to read next. value: the answer, an
// index into the masks, once a step returned 1.
struct sg_lookup_walk {
  __u64 hi;  // the whole address
  __u64 lo;
  __u64 key_hi;  // IPv6: cut to the length that is probed
  __u64 key_lo;
  __u32 at;
  __u16 value;
  __u8 is_ipv4;
  __u8 levels;  // IPv4: lines left to read below the root; 0xff: the root itself is next
  __u8 low;     // IPv6: the lengths not yet decided are [low, high)
  __u8 high;
  __u8 is_other;  // IPv6: at is the key's other bucket
};

#define SG_LOOKUP4_AT_ROOT 0xffu

// 1 where last < key, else 0: both are below 2^16, so the difference is negative, and its top bit
// set, just then. Branch-free, since which run an address falls into cannot be predicted.
SG_INLINE __u32 sg_lookup4_is_past(__u16 last, __u32 key) {
  return ((__u32)last - key) >> 31;
}

// How many of 15 ascending places are below key, by binary search.
SG_INLINE __u32 sg_lookup4_rank_of_16(const __u16* last_of, __u32 key) {
  __u32 rank = sg_lookup4_is_past(last_of[7], key) * 8;
  rank += sg_lookup4_is_past(last_of[rank + 3], key) * 4;
  rank += sg_lookup4_is_past(last_of[rank + 1], key) * 2;
  rank += sg_lookup4_is_past(last_of[rank], key);
  return rank;
}

// Likewise of 31.
SG_INLINE __u32 sg_lookup4_rank_of_32(const __u16* last_of, __u32 key) {
  const __u32 half = sg_lookup4_is_past(last_of[15], key) * 16;
  return half + sg_lookup4_rank_of_16(last_of + half, key);
}

// Reads line number walk->at. Returns 1 when walk->value is the answer, else walk->at is the next.
SG_INLINE int sg_lookup4_step(struct sg_lookup_walk* walk, const struct sg_lookup_line* line) {
  const __u32 ip = (__u32)walk->lo;
  if (walk->levels == SG_LOOKUP4_AT_ROOT) {
    const __u32 entry = line->root[(ip >> 16) & 15];
    walk->levels = (__u8)(entry >> SG_LOOKUP4_LEVELS_SHIFT);
    walk->at = entry & SG_LOOKUP4_LINE_MASK;
    walk->value = (__u16)entry;
    return walk->levels == 0;
  }
  const __u32 key = ip & 0xffff;
  if (walk->levels > 1) {
    walk->at += line->index.child_offset + sg_lookup4_rank_of_32(line->index.last_of, key);
    walk->levels--;
    return 0;
  }
  walk->value = line->leaf.value[sg_lookup4_rank_of_16(line->leaf.last_of, key)];
  return 1;
}

// Pair-multiply-shift [Thorup, "High speed hashing for integers and strings", 2015, section 3.5]:
// for any two keys chosen without knowing the seed, the upper 32 bits collide with p = 2^-32. That
// is all that placing needs: lookups never insert, so nobody can make them longer by choosing
// addresses, and a list that will not fit is the builder's to see (it takes another seed). Two
// multiplications and a third for the length, where SipHash takes a hundred operations.
SG_INLINE __u32 sg_lookup6_bucket(const __u64* seed, __u32 bucket_count, __u64 hi, __u64 lo,
                                  __u32 length_bits) {
  const __u64 sum = (seed[0] + (hi >> 32)) * (seed[1] + (__u32)hi) +
                    (seed[2] + (lo >> 32)) * (seed[3] + (__u32)lo) + seed[4] * length_bits;
  return (__u32)(((sum >> 32) * bucket_count) >> 32);
}

// length_bits in 1..128.
SG_INLINE __u64 sg_lookup6_cut_hi(__u64 hi, __u32 length_bits) {
  return length_bits >= 64 ? hi : hi & (~0ull << (64 - length_bits));
}
SG_INLINE __u64 sg_lookup6_cut_lo(__u64 lo, __u32 length_bits) {
  return length_bits <= 64 ? 0 : lo & (~0ull << (128 - length_bits));
}

// Which of the lengths [low, high), not empty, is probed next: of two middles the shorter, because
// an address in no list goes to the shorter half every time, and there are more of those.
SG_INLINE __u32 sg_lookup6_middle(__u32 low, __u32 high) {
  return (low + high - 1) / 2;
}

// Aims the walk at the middle of the lengths left. Returns 1 when none is.
SG_INLINE int sg_lookup6_aim(struct sg_lookup_walk* walk, const struct sg_lookup_header* header) {
  if (walk->low >= walk->high) return 1;
  const __u32 length_bits =
      header->length[sg_lookup6_middle(walk->low, walk->high) % SG_LOOKUP6_LENGTHS_MAX];
  walk->key_hi = sg_lookup6_cut_hi(walk->hi, length_bits);
  walk->key_lo = sg_lookup6_cut_lo(walk->lo, length_bits);
  walk->at = sg_lookup6_bucket(header->seed[0], header->bucket_count, walk->key_hi, walk->key_lo,
                               length_bits);
  walk->is_other = 0;
  return 0;
}

// Reads bucket number walk->at; otherwise as sg_lookup4_step.
SG_INLINE int sg_lookup6_step(struct sg_lookup_walk* walk, const struct sg_lookup_header* header,
                              const struct sg_lookup_bucket* bucket) {
  const __u32 middle = sg_lookup6_middle(walk->low, walk->high);
  const __u32 length_bits = header->length[middle % SG_LOOKUP6_LENGTHS_MAX];
  for (__u32 i = 0; i < SG_LOOKUP6_BUCKET_ENTRIES; i++) {
    if (bucket->hi[i] != walk->key_hi || bucket->lo[i] != walk->key_lo ||
        bucket->length[i] != length_bits) {
      continue;
    }
    walk->value = bucket->value[i];
    if (!bucket->has_longer[i]) return 1;
    walk->low = (__u8)(middle + 1);
    return sg_lookup6_aim(walk, header);
  }
  if (bucket->spilled && !walk->is_other) {
    walk->at = sg_lookup6_bucket(header->seed[1], header->bucket_count, walk->key_hi, walk->key_lo,
                                 length_bits);
    walk->is_other = 1;
    return 0;
  }
  walk->high = (__u8)middle;
  return sg_lookup6_aim(walk, header);
}

// ip: 16 bytes in network order, at any alignment. Returns 1 when no line needs to be read.
SG_INLINE int sg_lookup_start(struct sg_lookup_walk* walk, const struct sg_lookup_header* header,
                              const __u8* ip) {
  walk->hi = __builtin_bswap64(sg_load_u64(ip));
  walk->lo = __builtin_bswap64(sg_load_u64(ip + 8));
  walk->is_ipv4 = walk->hi == 0 && walk->lo >> 32 == 0xffff;
  walk->key_hi = 0;
  walk->key_lo = 0;
  walk->at = (__u32)walk->lo >> 20;
  walk->value = 0;
  walk->levels = SG_LOOKUP4_AT_ROOT;
  walk->low = 0;
  walk->high = 0;
  walk->is_other = 0;
  if (walk->is_ipv4) return 0;
  walk->value = header->default_value;
  walk->high = header->length_count;
  return sg_lookup6_aim(walk, header);
}

#ifndef __bpf__
// --- Where the arrays are memory ----------------------------------------------------------------

// A view: it owns nothing. The arrays come from the builder or passed validate_lookup(), are
// 64-byte aligned, and outlive the view.
struct sg_lookup {
  const struct sg_lookup_line* lines;
  const struct sg_lookup_bucket* buckets;
  const struct sg_lookup_header* header;
  const __u64* masks;
};

SG_INLINE void sg_lookup_prefetch(const struct sg_lookup* lookup,
                                  const struct sg_lookup_walk* walk) {
  if (walk->is_ipv4) {
    __builtin_prefetch(&lookup->lines[walk->at]);
  } else {
    __builtin_prefetch(&lookup->buckets[walk->at]);
  }
}

SG_INLINE int sg_lookup_step(const struct sg_lookup* lookup, struct sg_lookup_walk* walk) {
  return walk->is_ipv4 ? sg_lookup4_step(walk, &lookup->lines[walk->at])
                       : sg_lookup6_step(walk, lookup->header, &lookup->buckets[walk->at]);
}

// The index into masks for one address.
SG_INLINE __u16 sg_lookup_value(const struct sg_lookup* lookup, const __u8* ip) {
  struct sg_lookup_walk walk;
  int is_done = sg_lookup_start(&walk, lookup->header, ip);
  while (!is_done) is_done = sg_lookup_step(lookup, &walk);
  return walk.value;
}

// The same for a burst, in waves: every walk's next line is under way before the first is read.
// ips[i]: 16 bytes, network order; count <= SG_BURST_PACKETS_MAX; values[i] gets the index.
SG_INLINE void sg_lookup_burst(const struct sg_lookup* lookup, const __u8* const* ips, __u32 count,
                               __u16* values) {
  struct sg_lookup_walk walks[SG_BURST_PACKETS_MAX];
  __u8 pending[SG_BURST_PACKETS_MAX];
  __u32 pending_count = 0;
  for (__u32 i = 0; i < count; i++) {
    if (sg_lookup_start(&walks[i], lookup->header, ips[i])) {
      values[i] = walks[i].value;
      continue;
    }
    sg_lookup_prefetch(lookup, &walks[i]);
    pending[pending_count++] = (__u8)i;
  }
  while (pending_count != 0) {
    __u32 still_count = 0;
    for (__u32 p = 0; p < pending_count; p++) {
      const __u8 i = pending[p];
      if (sg_lookup_step(lookup, &walks[i])) {
        values[i] = walks[i].value;
        continue;
      }
      sg_lookup_prefetch(lookup, &walks[i]);
      pending[still_count++] = i;
    }
    pending_count = still_count;
  }
}
#endif

#ifdef __cplusplus
static_assert(sizeof(sg_lookup_line) == 64 && sizeof(sg_lookup_bucket) == 64,
              "a record is a cache line, and a value of a BPF array map");
static_assert(sizeof(sg_lookup4_leaf) == 64 && sizeof(sg_lookup4_index) == 64);
static_assert(sizeof(sg_lookup_header) == 216,
              "no padding: its bytes are checksummed and compared");
static_assert(SG_LOOKUP4_ROOT_LINES * 16 == 1 << 16, "one root entry per /16");
static_assert(16 * 32 * 32 * 32 >= 1 << 16, "four levels hold every run that a /16 can have");
static_assert(SG_LOOKUP4_LEVELS_MAX < 1 << (32 - SG_LOOKUP4_LEVELS_SHIFT));
static_assert((1 << SG_LOOKUP6_PROBES_MAX) > SG_LOOKUP6_LENGTHS_MAX,
              "a binary search over n lengths takes at most ceil(log2(n + 1)) probes");
#endif
