// SPDX-License-Identifier: BSD-3-Clause
// The little that is known of TLS here: how a connection begins, and how a server ends one before
// anything is agreed.
#pragma once

#include <string_view>

namespace surgegate {

// A record of one alert: type alert(21), version, length 2, level fatal(2), description.
//
// The version is what RFC 8446 section 5.1 has in every record but a client's first one, 0x0303,
// which receivers ignore. (A client that offers nothing above TLS 1.1 knows no such version; before
// one is negotiated it looks at the major part, as RFC 5246 appendix E.1 has servers do.)
//
// The description is access_denied(49): "when access control was applied, the sender decided not to
// proceed" [RFC 8446 section 6.2]. docs/decisions/0004-tls-alert.md has what clients make of it.
inline constexpr std::string_view tls_alert{"\x15\x03\x03\x00\x02\x02\x31", 7};

// Whether these first bytes of a connection begin a ClientHello, as far as they go: a record of
// type handshake(22) and any version 3.x [RFC 8446 section 5.1], in it a client_hello(1) [section
// 4]. Whoever sends anything else would not know what an alert is.
inline bool begins_client_hello(std::string_view bytes) {
  return bytes.starts_with('\x16') && (bytes.size() <= 1 || bytes[1] == '\x03') &&
         (bytes.size() <= 5 || bytes[5] == '\x01');
}

}  // namespace surgegate
