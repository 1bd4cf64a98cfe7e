// SPDX-License-Identifier: BSD-3-Clause
// A second reader of request heads, and of chunks: byte by byte, without tables or vectors, written
// from the RFCs. The one that judges packets is held to it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "dataplane/path/http_head.h"

namespace surgegate::testing {

struct TwinHead {
  HeadStatus status = HeadStatus::incomplete;
  sg_reason fault = SG_REASON_COUNT;
  std::string method, target, path, host, user_agent;
  uint64_t content_length = 0;
  size_t length_bytes = 0;
  bool chunked = false, http_1_0 = false, upgrade = false;
  std::map<std::string, std::string> keys;  // of those that were asked for, in lower case
};

// key_names: in lower case, separated by single spaces.
TwinHead read_head_slowly(std::string_view bytes, std::string_view key_names, uint8_t lenient);

}  // namespace surgegate::testing
