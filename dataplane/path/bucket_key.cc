// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/bucket_key.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace surgegate {
namespace {

constexpr size_t host_bytes_max =
    255;  // of a name: RFC 1035 section 2.3.4; what follows is ignored

// An address under a prefix of 0..128 bits, as two words.
void prefix_words(const uint8_t* ip, uint32_t bits, __u64* words) {
  uint8_t masked[16] = {};
  std::memcpy(masked, ip, bits / 8);
  if (bits % 8 != 0) masked[bits / 8] = static_cast<uint8_t>(ip[bits / 8] & (0xff00 >> (bits % 8)));
  std::memcpy(words, masked, sizeof(masked));
}

// IPv4 is counted in its mapped form, so that its prefix starts behind 96 bits; the mapped marker
// keeps the two families apart.
uint32_t prefix_bits(const uint8_t* ip, const sg_limit& limit) {
  bool is_ip4 = sg_load_u64(ip) == 0 && sg_load_u32(ip + 8) == 0xffff0000;
  return is_ip4 ? 96u + limit.prefix_v4_bits : limit.prefix_v6_bits;
}

std::string_view text_of(const Lane& lane, const sg_key_part& part) {
  const HttpHead& head = lane.request.head;
  switch (part.kind) {
    case SG_KEY_PATH:
      return head.path;
    case SG_KEY_METHOD:
      return head.method;
    default:
      return head.key(part.header_index);
  }
}

// The host as routes compare it, without case: another spelling must not be another bucket.
uint64_t host_word(std::string_view host, const sg_secret& secret) {
  std::array<uint8_t, host_bytes_max> lower;
  size_t length = 0;
  for (char c : host_name(host).substr(0, host_bytes_max))
    lower[length++] = static_cast<uint8_t>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  return sg_hash_bytes(&secret, lower.data(), static_cast<uint32_t>(length));
}

bool is_address(const sg_key_part& part) {
  return part.kind == SG_KEY_SOURCE || part.kind == SG_KEY_CLIENT;
}

}  // namespace

KeyFault key_fault(const Lane& lane, const sg_limit& limit) {
  for (uint32_t i = 0; i < limit.key_part_count; i++) {
    const sg_key_part& part = limit.key[i];
    if (is_address(part)) continue;
    if (lane.request.head.length_bytes == 0) return KeyFault::no_head;
    if (part.kind == SG_KEY_HEADER && !lane.request.head.has_key(part.header_index))
      return KeyFault::header_missing;
  }
  return KeyFault::none;
}

uint64_t bucket_key(const Lane& lane, const sg_limit& limit, const sg_secret& secret) {
  __u64 words[1 + 2 * SG_LIMIT_KEY_PARTS_MAX];
  uint32_t count = 0;
  words[count++] = limit.id;
  for (uint32_t i = 0; i < limit.key_part_count; i++) {
    const sg_key_part& part = limit.key[i];
    if (is_address(part)) {
      // Before a head is read, the client is the source.
      const uint8_t* ip = part.kind == SG_KEY_CLIENT && lane.counts_request
                              ? lane.request.client_ip.data()
                              : lane.packet.tuple.src_ip;
      prefix_words(ip, prefix_bits(ip, limit), words + count);
      count += 2;
      continue;
    }
    if (part.kind == SG_KEY_HOST) {
      words[count++] = host_word(lane.request.head.host, secret);
      continue;
    }
    std::string_view text = text_of(lane, part);
    words[count++] = sg_hash_bytes(&secret, reinterpret_cast<const uint8_t*>(text.data()),
                                   static_cast<uint32_t>(text.size()));
  }
  return sg_hash_words(&secret, words, count);
}

}  // namespace surgegate
