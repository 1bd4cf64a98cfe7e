// SPDX-License-Identifier: BSD-3-Clause
// Where a head may end for any reader, in bytes of which nobody knows yet what they are.
#pragma once

#include <string_view>

namespace surgegate {

// The line feed behind which the first empty line stands, or npos. (Of several carriage returns
// some readers take all for a part of the line's end.)
inline size_t find_empty_line(std::string_view text) {
  size_t at = text.find('\n');
  for (; at != std::string_view::npos; at = text.find('\n', at + 1)) {
    size_t next = text.find_first_not_of('\r', at + 1);
    if (next != std::string_view::npos && text[next] == '\n') return at;
  }
  return at;
}

// Behind the empty line that find_empty_line() found.
inline size_t empty_line_end(std::string_view text, size_t at) {
  return text.find('\n', at + 1) + 1;
}

}  // namespace surgegate
