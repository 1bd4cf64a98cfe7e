// SPDX-License-Identifier: BSD-3-Clause
// Fixed-width types and the few helpers that headers shared between C++ and BPF need.
#pragma once

#include <linux/types.h>

#define SG_INLINE static inline __attribute__((always_inline, unused))

// Loads that promise nothing about alignment: packet bytes and keys stand at any address.
SG_INLINE __u16 sg_load_u16(const void* at) {
  __u16 value;
  __builtin_memcpy(&value, at, sizeof(value));
  return value;
}

SG_INLINE __u32 sg_load_u32(const void* at) {
  __u32 value;
  __builtin_memcpy(&value, at, sizeof(value));
  return value;
}

SG_INLINE __u64 sg_load_u64(const void* at) {
  __u64 value;
  __builtin_memcpy(&value, at, sizeof(value));
  return value;
}

SG_INLINE __u16 sg_be16(__u16 host) {
  return __builtin_bswap16(host);
}
SG_INLINE __u32 sg_be32(__u32 host) {
  return __builtin_bswap32(host);
}

SG_INLINE __u16 sg_load_be16(const void* at) {
  return __builtin_bswap16(sg_load_u16(at));
}
SG_INLINE __u32 sg_load_be32(const void* at) {
  return __builtin_bswap32(sg_load_u32(at));
}

SG_INLINE void sg_store_u16(void* at, __u16 value) {
  __builtin_memcpy(at, &value, sizeof(value));
}
SG_INLINE void sg_store_u32(void* at, __u32 value) {
  __builtin_memcpy(at, &value, sizeof(value));
}
SG_INLINE void sg_store_be16(void* at, __u16 host) {
  sg_store_u16(at, sg_be16(host));
}
SG_INLINE void sg_store_be32(void* at, __u32 host) {
  sg_store_u32(at, sg_be32(host));
}

#ifdef __cplusplus
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "sg_be16 and sg_be32 swap unconditionally: both targets are little-endian");
#endif
