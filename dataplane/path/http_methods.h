// SPDX-License-Identifier: BSD-3-Clause
// The methods of IANA's registry [RFC 9110 section 16.1.1], but for PRI and `*`, which are reserved
// so that nobody uses them; and QUERY, which is about to be registered.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace surgegate {

inline constexpr auto http_methods = std::to_array<std::string_view>({"ACL",
                                                                      "BASELINE-CONTROL",
                                                                      "BIND",
                                                                      "CHECKIN",
                                                                      "CHECKOUT",
                                                                      "CONNECT",
                                                                      "COPY",
                                                                      "DELETE",
                                                                      "GET",
                                                                      "HEAD",
                                                                      "LABEL",
                                                                      "LINK",
                                                                      "LOCK",
                                                                      "MERGE",
                                                                      "MKACTIVITY",
                                                                      "MKCALENDAR",
                                                                      "MKCOL",
                                                                      "MKREDIRECTREF",
                                                                      "MKWORKSPACE",
                                                                      "MOVE",
                                                                      "OPTIONS",
                                                                      "ORDERPATCH",
                                                                      "PATCH",
                                                                      "POST",
                                                                      "PROPFIND",
                                                                      "PROPPATCH",
                                                                      "PUT",
                                                                      "QUERY",
                                                                      "REBIND",
                                                                      "REPORT",
                                                                      "SEARCH",
                                                                      "TRACE",
                                                                      "UNBIND",
                                                                      "UNCHECKOUT",
                                                                      "UNLINK",
                                                                      "UNLOCK",
                                                                      "UPDATE",
                                                                      "UPDATEREDIRECTREF",
                                                                      "VERSION-CONTROL"});
static_assert(std::is_sorted(http_methods.begin(), http_methods.end()), "it is searched by halves");

inline bool is_registered_method(std::string_view method) {
  if (method == "GET" || method == "POST") return true;  // nearly all of them
  return std::binary_search(http_methods.begin(), http_methods.end(), method);
}

}  // namespace surgegate
