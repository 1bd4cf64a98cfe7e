// SPDX-License-Identifier: BSD-3-Clause
// Which bytes the path of a request is made of; what a route's path can therefore match.
#pragma once

#include <string_view>

namespace surgegate {

// What RFC 3986 section 3.3 allows, and of the rest what clients send all the same. `#` would begin
// a fragment, at which nginx cuts: it is in no target. `\` is `/` to some backends, and browsers
// never send it, nor `"`, `<`, `>`, backtick, `{` and `}`, which the URL Standard has them encode
// in a path. They do send `[`, `]`, `|` and (until 2023) `^` as they are: those are let through, as
// every backend reads them as themselves.
constexpr bool is_path_char(char c) {
  constexpr std::string_view never = "\"#<>?\\`{}";
  return c > 0x20 && c < 0x7f && never.find(c) == std::string_view::npos;
}

}  // namespace surgegate
