// SPDX-License-Identifier: BSD-3-Clause
// The one keyed hash: SipHash-1-3 [Aumasson, Bernstein 2012, with the round counts that Rust and
// Linux's hsiphash family settled on for tables]. It places flows, buckets and fragments; its key
// is the arena's secret, so that nobody outside can aim at a set. Shared by C++ and BPF.
#pragma once

#include "config/types.h"

struct sg_secret {
  __u64 k0;
  __u64 k1;
};

struct sg_sip {
  __u64 v0, v1, v2, v3;
};

SG_INLINE __u64 sg_rotl64(__u64 x, int bits) {
  return (x << bits) | (x >> (64 - bits));
}

SG_INLINE void sg_sip_round(struct sg_sip* s) {
  s->v0 += s->v1;
  s->v1 = sg_rotl64(s->v1, 13) ^ s->v0;
  s->v0 = sg_rotl64(s->v0, 32);
  s->v2 += s->v3;
  s->v3 = sg_rotl64(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = sg_rotl64(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = sg_rotl64(s->v1, 17) ^ s->v2;
  s->v2 = sg_rotl64(s->v2, 32);
}

SG_INLINE void sg_sip_start(struct sg_sip* s, const struct sg_secret* secret) {
  s->v0 = 0x736f6d6570736575ull ^ secret->k0;
  s->v1 = 0x646f72616e646f6dull ^ secret->k1;
  s->v2 = 0x6c7967656e657261ull ^ secret->k0;
  s->v3 = 0x7465646279746573ull ^ secret->k1;
}

SG_INLINE void sg_sip_word(struct sg_sip* s, __u64 word) {
  s->v3 ^= word;
  sg_sip_round(s);
  s->v0 ^= word;
}

// length_bytes: of the whole message, as the last word's top byte asks.
SG_INLINE __u64 sg_sip_finish(struct sg_sip* s, __u64 length_bytes, __u64 tail) {
  sg_sip_word(s, (length_bytes << 56) | tail);
  s->v2 ^= 0xff;
  sg_sip_round(s);
  sg_sip_round(s);
  sg_sip_round(s);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

// Of whole 64-bit words: the form for fixed-size keys (unrolled when word_count is a constant).
SG_INLINE __u64 sg_hash_words(const struct sg_secret* secret, const __u64* words,
                              __u32 word_count) {
  struct sg_sip s;
  sg_sip_start(&s, secret);
  for (__u32 i = 0; i < word_count; i++) sg_sip_word(&s, words[i]);
  return sg_sip_finish(&s, (__u64)word_count * 8, 0);
}

// Of bytes of any length; reads exactly [bytes, bytes + length).
SG_INLINE __u64 sg_hash_bytes(const struct sg_secret* secret, const __u8* bytes, __u32 length) {
  struct sg_sip s;
  sg_sip_start(&s, secret);
  __u32 at = 0;
  for (; at + 8 <= length; at += 8) sg_sip_word(&s, sg_load_u64(bytes + at));
  __u64 tail = 0;
  for (__u32 i = 0; at + i < length; i++) tail |= (__u64)bytes[at + i] << (8 * i);
  return sg_sip_finish(&s, length, tail);
}

// A flow in the one direction that the gate sees: client to VIP. 40 bytes, no padding.
struct sg_flow_tuple {
  __u8 src_ip[16];  // network order, IPv4 as ::ffff:a.b.c.d
  __u8 dst_ip[16];
  __u16 src_port_be;
  __u16 dst_port_be;
  __u8 protocol;
  __u8 zero[3];
};

// Identity of the flow (64 keyed bits: two of 10 M live flows share one with p < 3e-6), its shard
// (top 8 bits) and its set (bits below): one hash, computed once.
SG_INLINE __u64 sg_flow_hash(const struct sg_secret* secret, const struct sg_flow_tuple* tuple) {
  __u64 words[5];
  __builtin_memcpy(words, tuple, sizeof(words));
  return sg_hash_words(secret, words, 5);
}

SG_INLINE __u32 sg_flow_shard(__u64 flow_hash) {
  return (__u32)(flow_hash >> 56);
}

#ifdef __cplusplus
static_assert(sizeof(sg_flow_tuple) == 40, "hashed as five words: no padding may hide in it");
#endif
