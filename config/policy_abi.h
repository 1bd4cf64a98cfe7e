// SPDX-License-Identifier: BSD-3-Clause
// The policy image: what the policy becomes for those who judge packets. One flat run of bytes, a
// manifest over sections; each section is an array of fixed-size records, so that a section can be
// mapped as it is by the dataplane and copied record by record into a BPF array map. No pointers:
// records name each other by index, texts by offset into the strings section. Little-endian.
//
// A reader validates everything once (image.cc) and then trusts every index.
#pragma once

#include "config/bucket.h"
#include "config/limits.h"
#include "config/lookup.h"
#include "config/types.h"

#define SG_IMAGE_MAGIC 0x314547414d494753ull  // "SGIMAGE1" read as little-endian
#define SG_IMAGE_ABI 2u
#define SG_NONE16 0xffffu
#define SG_NONE32 0xffffffffu

#define SG_TAG(a, b, c, d) \
  ((__u32)(a) | ((__u32)(b) << 8) | ((__u32)(c) << 16) | ((__u32)(d) << 24))

// X(name, tag, record type, required). A reader refuses an image that lacks a required section, and
// one that carries an unknown section whose `required` flag is set: an older dataplane must not
// pretend to enforce what it has never heard of.
#define SG_SECTIONS(X)                                                      \
  X(strings, SG_TAG('S', 'T', 'R', 'S'), char, 1)                           \
  X(services, SG_TAG('S', 'E', 'R', 'V'), struct sg_service, 1)             \
  X(vips, SG_TAG('V', 'I', 'P', 'S'), struct sg_vip, 1)                     \
  X(limits, SG_TAG('L', 'I', 'M', 'T'), struct sg_limit, 1)                 \
  X(limit_refs, SG_TAG('L', 'R', 'E', 'F'), __u16, 1)                       \
  X(routes, SG_TAG('R', 'O', 'U', 'T'), struct sg_route, 1)                 \
  X(route_headers, SG_TAG('R', 'H', 'D', 'R'), struct sg_route_header, 1)   \
  X(responses, SG_TAG('R', 'E', 'S', 'P'), struct sg_response, 1)           \
  X(key_headers, SG_TAG('K', 'H', 'D', 'R'), struct sg_text, 1)             \
  X(lists, SG_TAG('L', 'I', 'S', 'T'), struct sg_list, 1)                   \
  X(key_digests, SG_TAG('K', 'S', 'H', 'A'), struct sg_key_digest, 1)       \
  X(list_masks, SG_TAG('L', 'M', 'S', 'K'), __u64, 1)                       \
  X(lookup_lines, SG_TAG('L', 'K', 'L', 'N'), struct sg_lookup_line, 1)     \
  X(lookup_buckets, SG_TAG('L', 'K', 'B', 'K'), struct sg_lookup_bucket, 1) \
  X(lookup_header, SG_TAG('L', 'K', 'H', 'D'), struct sg_lookup_header, 1)  \
  X(clients, SG_TAG('C', 'L', 'N', 'T'), struct sg_client_rule, 1)          \
  X(pools, SG_TAG('P', 'O', 'O', 'L'), struct sg_pool, 1)                   \
  X(backends, SG_TAG('B', 'K', 'N', 'D'), struct sg_backend, 1)             \
  X(maglev, SG_TAG('M', 'A', 'G', 'L'), __u16, 1)                           \
  X(maglev_previous, SG_TAG('M', 'A', 'G', 'P'), __u16, 1)                  \
  X(signatures, SG_TAG('S', 'I', 'G', 'S'), struct sg_signature_set, 1)     \
  X(patterns, SG_TAG('P', 'A', 'T', 'N'), struct sg_pattern, 1)             \
  X(databases, SG_TAG('H', 'S', 'D', 'B'), struct sg_database, 1)           \
  X(database_bytes, SG_TAG('H', 'S', 'B', 'L'), __u8, 1)                    \
  X(penalties, SG_TAG('P', 'E', 'N', 'L'), struct sg_penalty, 1)
// lookup_*, with list_masks: the arrays of config/lookup.h; lookup_header has one record.

struct sg_section {
  __u32 tag;
  __u16 required;
  __u16 reserved;
  __u32 record_bytes;
  __u32 record_count;
  __u64 offset_bytes;  // from the image's start, a multiple of 64
  __u64 length_bytes;  // record_bytes * record_count
  __u64 checksum;      // sg_hash_bytes with a zero key over the section's bytes
};

// At offset 0, followed by section_count sg_section.
struct sg_manifest {
  __u64 magic;
  __u32 abi;
  __u32 section_count;
  __u64 revision;      // grows with every image of one policy
  __u64 length_bytes;  // of the whole image
  __u64 checksum;      // over manifest and section table, with this field zero
};

// A text in the strings section; not NUL-terminated.
struct sg_text {
  __u32 offset;
  __u32 length_bytes;
};

enum sg_protocol { SG_HTTP, SG_TLS, SG_TCP, SG_UDP };
enum sg_unit { SG_UNIT_PACKETS, SG_UNIT_CONNECTIONS, SG_UNIT_REQUESTS, SG_UNIT_COUNT };
enum sg_mode { SG_ENFORCE, SG_COUNT };
enum sg_scope { SG_SCOPE_HOST, SG_SCOPE_CLUSTER };
enum sg_over { SG_OVER_RESPONSE, SG_OVER_DROP, SG_OVER_COOKIE };
enum sg_forward { SG_FORWARD_L2, SG_FORWARD_IPIP, SG_FORWARD_GUE };
enum sg_challenge { SG_CHALLENGE_NONE, SG_CHALLENGE_RESYNC, SG_CHALLENGE_ACCEPT };
enum sg_class { SG_CLASS_CRITICAL, SG_CLASS_NORMAL, SG_CLASS_BACKGROUND };
enum sg_key_kind {
  SG_KEY_SOURCE,
  SG_KEY_CLIENT,
  SG_KEY_PATH,
  SG_KEY_METHOD,
  SG_KEY_HOST,
  SG_KEY_HEADER
};
enum sg_path_match { SG_PATH_ANY, SG_PATH_EXACT, SG_PATH_PREFIX, SG_PATH_GLOB };
enum sg_field {
  SG_FIELD_TARGET,
  SG_FIELD_PATH,
  SG_FIELD_QUERY,
  SG_FIELD_USER_AGENT,
  SG_FIELD_HEADER,
  SG_FIELD_HEAD
};
enum sg_then { SG_THEN_REFUSE, SG_THEN_DROP, SG_THEN_BAN };
enum sg_health_kind { SG_HEALTH_NONE, SG_HEALTH_TCP, SG_HEALTH_HTTP, SG_HEALTH_TLS };
enum sg_lenient {
  SG_LENIENT_ANY_METHOD = 1,
  SG_LENIENT_ABSOLUTE_TARGET = 2,
  SG_LENIENT_RAW_TARGET = 4
};
enum sg_backend_state { SG_BACKEND_FREE, SG_BACKEND_ACTIVE, SG_BACKEND_DRAIN, SG_BACKEND_GONE };

// A run of records in limit_refs: limit indices in the order in which they are charged.
struct sg_limit_run {
  __u32 first;
  __u32 count;
};

// What a service may take of its host, in packets: the answers that are made for it, and the
// packets of connections whose beginning was not seen.
enum sg_budget_kind { SG_BUDGET_ANSWERS, SG_BUDGET_STRAYS, SG_BUDGET_COUNT };
struct sg_budget {
  struct sg_bucket_rule rule;
  __u32 units_per_charge;  // 1, or SG_LEASE_UNITS: the rule's interval is of that many
  __u32 reserved;
};

// An id is a 64-bit hash of kind and name (compile.cc): it survives any re-ordering of the policy,
// and everything that must outlive an image (buckets, flows) refers to it.
struct sg_service {
  __u64 id;
  struct sg_text name;
  struct sg_limit_run limits[SG_UNIT_COUNT];  // by unit; requests: where no route matches
  __u32 routes_first;
  __u32 routes_count;
  __u16 pool;
  __u16 user_agent_database;  // SG_NONE16: nothing to scan
  __u8 protocol;              // sg_protocol
  __u8 capacity_scope;        // sg_scope
  __u8 capacity_shed_by_class;
  __u8 capacity_shed_by_client;
  struct sg_bucket_rule capacity_rule;  // interval_ns 0: no capacity given
  __u64 capacity_hold_ns;
  __u32 capacity_units_per_charge;
  __u16 capacity_response;  // SG_NONE16: no capacity given
  __u16 penalties_first;    // one record for each (service, penalty)
  __u16 penalties_count;
  __u8 lenient;  // bits of sg_lenient
  __u8 reserved[5];
  __u64 head_deadline_ns;  // from a head's first byte to its last
  struct sg_budget budgets[SG_BUDGET_COUNT];
};

// Open addressing over a power of two at most half full; an entry with used == 0 ends a probe.
// port 0 and protocol 0: "some service has this address" (the first that names it). The compiler
// makes the table as large as it takes for every entry to lie within SG_VIP_PROBES_MAX of its home.
struct sg_vip {
  __u8 ip[16];
  __u16 port_be;
  __u8 protocol;  // IPPROTO_TCP, IPPROTO_UDP
  __u8 used;
  __u16 service;
  __u16 reserved;
};

struct sg_key_part {
  __u8 kind;          // sg_key_kind
  __u8 header_index;  // kind header: into key_headers
};

// A limit of one service: "limits are counted per (service, limit)".
struct sg_limit {
  __u64 id;
  struct sg_text name;       // "shop/per-client"
  struct sg_text ratelimit;  // as sg_response, before the seconds; empty: no such fields
  struct sg_bucket_rule rule;
  struct sg_bucket_rule override_rule;
  __u64 override_until_unix_s;  // 0: no override
  __u32 units_per_charge;       // 1, or SG_LEASE_UNITS: the rule's interval is of that many
  __u32 override_units_per_charge;
  __u16 service;
  __u16 over_response;     // SG_NONE16 unless over == SG_OVER_RESPONSE
  __u16 missing_limit;     // counts instead where a header of the key is missing (once, if it is in
                           // the run anyway); SG_NONE16: the missing value is the empty one
  __u16 missing_response;  // answers instead where a header of the key is missing; SG_NONE16: none
  __u16 unknown_response;  // to a key that is not in known_list; SG_NONE16: none
  __u16 known_list;        // a key list; SG_NONE16: none
  __u8 unit;               // sg_unit
  __u8 over;               // sg_over
  __u8 mode;               // sg_mode
  __u8 scope;              // sg_scope
  __u8 prefix_v4_bits;     // 0..32
  __u8 prefix_v6_bits;     // 0..128
  __u8 key_part_count;
  __u8 shared;  // one bucket for many clients: those that it refuses together come back apart
  __u8 reserved[4];
  struct sg_key_part key[SG_LIMIT_KEY_PARTS_MAX];
};

struct sg_route_header {
  struct sg_text value;
  __u32 header_index;  // into key_headers
};

// First match wins. limits is the whole run for this route: the service's and its own.
struct sg_route {
  struct sg_text path;    // SG_PATH_PREFIX: without the star
  struct sg_text method;  // empty: any
  struct sg_text host;    // lower case; empty: any
  struct sg_limit_run limits;
  __u32 headers_first;
  __u32 headers_count;
  __u32 cost_units;  // what one request counts for, >= 1
  __u16 user_agent_database;
  __u8 path_match;  // sg_path_match
  __u8 klass;       // sg_class
  __u8 upgrade_tunnel;
  __u8 reserved[7];
};

// The answer in four runs of bytes; the dataplane writes between them the date (29 bytes, RFC 9110
// section 5.6.7) and, where retry_label is not empty, the seconds to wait:
//   status_line DATE [retry_label SECONDS] [a limit's ratelimit SECONDS] fields body
// All of it is at most SG_RESPONSE_BYTES_MAX with SG_RETRY_DIGITS_MAX digits. Where there is no
// wait to tell, label and digits are left out together, and the rest is still a whole answer. The
// first records of the section are the built-in ones.
#define SG_BUILT_IN_STATUSES(X) \
  X(400) X(405) X(408) X(414) X(421) X(429) X(431) X(501) X(503) X(505)
#define SG_ENUM_ENTRY(status) SG_RESPONSE_##status,
enum sg_built_in_response { SG_BUILT_IN_STATUSES(SG_ENUM_ENTRY) SG_RESPONSES_BUILT_IN };
#undef SG_ENUM_ENTRY
#define SG_DATE_BYTES 29
#define SG_RETRY_DIGITS_MAX 10
#define SG_RETRY_AFTER_LABEL "\r\nRetry-After: "
struct sg_response {
  __u64 id;
  struct sg_text name;
  struct sg_text status_line;  // "HTTP/1.1 429 Too Many Requests\r\nDate: "
  struct sg_text retry_label;  // SG_RETRY_AFTER_LABEL, or empty
  struct sg_text
      fields;  // "\r\nContent-Type: ...\r\nContent-Length: 12\r\nConnection: close\r\n\r\n"
  struct sg_text body;
  __u64 retry_min_ns;  // retry_fixed: what Retry-After says, before jitter
  __u64 retry_jitter_ns;
  __u16 status;
  __u8 retry_fixed;  // 0: the wait comes from the bucket
  __u8 without_ratelimit;
  __u8 reserved[4];
};

// The lists that a source can be in come first and are numbered as the bits of its mask: the
// policy's lists of addresses, then one for the peers of each client rule; then the lists of keys.
struct sg_list {
  __u64 id;
  struct sg_text name;
  struct sg_bucket_rule ceiling_rule;  // of each exempt source; interval_ns 0: none
  __u32 ceiling_units_per_charge;
  __u32 keys_first;  // of a list of keys: into key_digests, in ascending order
  __u32 keys_count;
  __u8 exempt_limits;
  __u8 exempt_signatures;
  __u8 exempt_penalties;
  __u8 deny;  // 1: drop
  __u8 mode;  // sg_mode
  __u8 is_key_list;
  __u16 deny_response;  // SG_NONE16: none
  __u32 reserved;
};

// What denies with a response drops as well: nothing is answered before a request is read.
SG_INLINE int sg_list_denies(const struct sg_list* list) {
  return list->deny || list->deny_response != SG_NONE16;
}

// Whether it matters to a packet that its source is in the list.
SG_INLINE int sg_list_acts(const struct sg_list* list) {
  return sg_list_denies(list) || list->exempt_limits || list->exempt_signatures;
}

// SHA-256 of a key: the policy need not hold the keys themselves.
struct sg_key_digest {
  __u8 sha256[32];
};

// Peers of this rule (bit `list` of a source's mask) speak for the client named in a header.
struct sg_client_rule {
  struct sg_text name;
  __u16 list;
  __u16 header_index;
  __u32 reserved;
};

struct sg_pool {
  __u64 id;
  struct sg_text name;
  __u32 maglev_first;  // into maglev; entries are backend slots or SG_NONE16
  __u32 maglev_size;   // prime, or 0: no backend takes new flows
  __u32 previous_first;
  __u32 previous_size;
  __u8 forward;    // sg_forward
  __u8 challenge;  // sg_challenge
  __u8 health_kind;
  __u8 min_healthy_percent;
  __u16 health_port;
  __u16 reserved;
  struct sg_text health_path;
  __u64 health_interval_ns;
  __u64 health_timeout_ns;
  __u32 health_fall;
  __u32 health_rise;
};

// A slot. A backend keeps its slot and generation from image to image; a slot given to another
// backend gets the next generation, so that a flow pinned to its predecessor can tell.
struct sg_backend {
  __u64 id;
  struct sg_text name;  // "pool/backend"
  __u64 gone_revision;  // SG_BACKEND_GONE: the first image without it; the longest gone is reused
                        // first
  __u8 ip[16];
  __u16 pool;  // SG_NONE16: its pool is gone too
  __u16 weight;
  __u16 generation;  // 0: the slot was never used
  __u8 state;        // sg_backend_state
  __u8 reserved;
};

struct sg_signature_set {
  __u64 id;
  struct sg_text name;
  __u64 ban_ns;
  __u16 response;
  __u8 field;  // sg_field
  __u8 then;   // sg_then
  __u8 mode;   // sg_mode
  __u8 header_index;
  __u16 reserved;
};

struct sg_pattern {
  struct sg_text text;
  __u32 set;  // into signatures
};

// One serialized Hyperscan database: the patterns of all sets that a service (or route) names for
// one field; the id that a match reports counts from pattern_first.
struct sg_database {
  __u64 bytes_first;  // into database_bytes
  __u64 bytes_count;
  __u32 pattern_first;
  __u32 pattern_count;
  __u32 field;  // sg_field
  __u32 reserved;
};

struct sg_penalty {
  __u64 id;
  struct sg_text name;
  __u64 window_ns;
  __u64 ban_ns;
  __u32 refused_units;
  __u8 only_validated;
  __u8 mode;  // sg_mode
  __u16 reserved;
};

SG_INLINE __u32 sg_vip_home(const __u8* ip, __u16 port_be, __u8 protocol) {
  // Unkeyed on purpose: the table holds what the operator wrote, and a stranger's address can only
  // be compared against it. The last octets of an address lie in the top bits of the loaded word,
  // and a product carries bits upwards only: so the high half is folded down before each
  // multiplication.
  __u64 h = sg_load_u64(ip) * 0x9e3779b97f4a7c15ull ^ sg_load_u64(ip + 8);
  h ^= h >> 32;
  h ^= ((__u64)port_be << 8 | protocol) << 40;
  h *= 0xc2b2ae3d27d4eb4full;
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15ull;
  return (__u32)(h >> 32);
}

SG_INLINE int sg_vip_matches(const struct sg_vip* vip, const __u8* ip, __u16 port_be,
                             __u8 protocol) {
  return vip->port_be == port_be && vip->protocol == protocol &&
         sg_load_u64(vip->ip) == sg_load_u64(ip) && sg_load_u64(vip->ip + 8) == sg_load_u64(ip + 8);
}

// The entry for address (16 bytes, IPv4-mapped), port and protocol, or null. vip_count is a power
// of two. For a table in memory; over a BPF array map the same loop looks each entry up.
SG_INLINE const struct sg_vip* sg_vip_find(const struct sg_vip* vips, __u32 vip_count,
                                           const __u8* ip, __u16 port_be, __u8 protocol) {
  __u32 home = sg_vip_home(ip, port_be, protocol);
  for (__u32 probe = 0; probe < SG_VIP_PROBES_MAX; probe++) {
    const struct sg_vip* vip = &vips[(home + probe) & (vip_count - 1)];
    if (!vip->used) return 0;
    if (sg_vip_matches(vip, ip, port_be, protocol)) return vip;
  }
  return 0;
}

#ifdef __cplusplus
static_assert(sizeof(sg_section) == 40 && sizeof(sg_manifest) == 40);
static_assert(sizeof(sg_vip) == 24 && sizeof(sg_limit_run) == 8 && sizeof(sg_text) == 8);
static_assert(
    sizeof(sg_service) == 176 && sizeof(sg_limit) == 120 && sizeof(sg_route) == 56 &&
        sizeof(sg_response) == 72 && sizeof(sg_list) == 64 && sizeof(sg_pool) == 72 &&
        sizeof(sg_backend) == 48 && sizeof(sg_client_rule) == 16 &&
        sizeof(sg_signature_set) == 32 && sizeof(sg_database) == 32 && sizeof(sg_penalty) == 40,
    "records stand in arrays in a BPF map: eight-byte multiples, no padding that is not a "
    "named field (the image's checksum covers every byte)");
static_assert(sizeof(sg_route_header) == 12 && sizeof(sg_pattern) == 12 &&
              sizeof(sg_key_digest) == 32);
#endif
