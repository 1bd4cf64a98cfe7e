// SPDX-License-Identifier: BSD-3-Clause
// Reading one HTTP/1.x request head [RFC 9112 sections 2 to 6, RFC 9110 section 5], strictly: where
// two readers could differ, the head is malformed, and the reason says in what. What a service lets
// pass on top (`lenient`) still has one reading.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "config/limits.h"
#include "config/policy_abi.h"
#include "config/verdict.h"
#include "dataplane/path/http_scan.h"

namespace surgegate {

enum class HeadStatus : uint8_t { complete, incomplete, malformed };

// Views into the segment; valid as long as its bytes are.
class HttpHead {
 public:
  std::string_view method;
  std::string_view target;  // origin-form, or "*"; of a whole URL what follows its host
  std::string_view path;    // target up to '?'
  std::string_view host;
  std::string_view user_agent;
  uint64_t content_length = 0;
  uint32_t length_bytes = 0;  // of the head, its empty line included; 0: none was read
  bool chunked = false;
  bool http_1_0 = false;
  bool upgrade = false;               // there is an Upgrade field
  sg_reason fault = SG_REASON_COUNT;  // what makes it malformed

  // The headers that the policy asks for, by index of HeaderNames. An empty value is a value.
  bool has_key(uint32_t index) const { return (keys_found_ >> index & 1) != 0; }
  std::string_view key(uint32_t index) const {
    return has_key(index) ? keys_[index] : std::string_view();
  }
  void set_key(uint32_t index, std::string_view value) {
    keys_found_ |= static_cast<uint16_t>(1u << index);
    keys_[index] = value;
  }

  // As new. Leaves alone what nobody reads unless keys_found_ says so: 256 bytes a request.
  void clear() {
    method = target = path = host = user_agent = {};
    content_length = 0;
    length_bytes = 0;
    chunked = http_1_0 = upgrade = false;
    fault = SG_REASON_COUNT;
    keys_found_ = 0;
  }

 private:
  uint16_t keys_found_ = 0;
  std::array<std::string_view, SG_KEY_HEADERS_MAX> keys_;
  static_assert(SG_KEY_HEADERS_MAX <= 16, "keys_found_ has a bit for each");
};

// The host that a Host field names: without its port, which says where the request was sent and not
// for whom [RFC 9110 section 7.2], and without one dot at its end, which means the same host and is
// dropped by backends too (nginx).
std::string_view host_name(std::string_view field);

// The header names that a policy asks for, looked up by length first: most fields of most requests
// end there.
class HeaderNames {
 public:
  HeaderNames() = default;
  // names: lower case, of at most SG_POLICY_NAME_BYTES_MAX bytes; the texts must outlive this
  // object.
  explicit HeaderNames(const std::array<std::string_view, SG_KEY_HEADERS_MAX>& names);
  // Index of the name, or SG_KEY_HEADERS_MAX. name in any case.
  uint32_t find(std::string_view name) const;

 private:
  std::array<std::string_view, SG_KEY_HEADERS_MAX> names_{};
  std::array<uint16_t, SG_POLICY_NAME_BYTES_MAX + 1>
      by_length_{};  // bit i: names_[i] has this length
};

// What the policy says about heads.
struct HeadRules {
  const HeaderNames& names;
  uint8_t lenient = 0;  // bits of sg_lenient
  ScanBlock scan = scan_block;
};

// Reads the head that starts at bytes[0]; looks at no byte at or beyond bytes.size(). On `complete`
// all of head is set; on `malformed` only its fault, and its method if that was read; on
// `incomplete` nothing. What is malformed is so as soon as the byte that makes it so is there, and
// stays so whatever follows.
HeadStatus read_http_head(std::string_view bytes, const HeadRules& rules, HttpHead& head);

// Where a head that comes in pieces ends. Lines end in CR LF and in nothing else: what another
// reader might take for a line's end is malformed as soon as it is there, for it could end the head
// for him while we wait. (The reader then says what is.)
struct HeadEnd {
  HeadStatus status;
  uint32_t bytes;  // complete: of the head, its empty line included
};

// bytes: the head so far; those below from were looked at before and found incomplete.
HeadEnd find_head_end(std::string_view bytes, size_t from);

}  // namespace surgegate
