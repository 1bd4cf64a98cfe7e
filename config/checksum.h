// SPDX-License-Identifier: BSD-3-Clause
// The internet checksum [RFC 1071] and its incremental form [RFC 1624], shared by C++ and BPF.
// Sums are kept unfolded in 64 bits: 2^32 words can be added before one could overflow.
#pragma once

#include "config/types.h"

SG_INLINE __u16 sg_checksum_fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)~sum;
}

// One's complement addition does not care about byte order [RFC 1071 section 2 (B)], so words are
// added as they lie and the result is stored as it is. An odd last byte is padded with a zero.
SG_INLINE __u64 sg_checksum_add(__u64 sum, const __u8* bytes, __u32 length) {
  while (length >= 8) {
    __u64 word = sg_load_u64(bytes);
    sum += (word & 0xffffffff) + (word >> 32);
    bytes += 8;
    length -= 8;
  }
  while (length >= 2) {
    sum += sg_load_u16(bytes);
    bytes += 2;
    length -= 2;
  }
  if (length) sum += *bytes;
  return sum;
}

// The pseudo-header of TCP and UDP [RFC 9293 section 3.1, RFC 8200 section 8.1]. addresses: source
// then destination as they stand in the IP header (2 x 4 or 2 x 16 bytes).
SG_INLINE __u64 sg_checksum_pseudo(const __u8* addresses, __u32 addresses_bytes, __u8 protocol,
                                   __u32 l4_length) {
  __u64 sum = sg_checksum_add(0, addresses, addresses_bytes);
  return sum + sg_be32(l4_length) + sg_be16(protocol);
}
