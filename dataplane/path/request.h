// SPDX-License-Identifier: BSD-3-Clause
// Who asks, and for what: the client behind a request and the route that it takes.
#pragma once

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"

namespace surgegate {

// Sets client_ip, route and cost_units of lanes that count a request. Where no head could be read
// the client is the source, and no route matches.
void identify(Lane& lane, const PolicyInForce& policy);

// IPv4 or IPv6 text to 16 bytes, IPv4 (and IPv4-mapped) as ::ffff:a.b.c.d. False: not an address.
bool parse_address(std::string_view text, std::array<uint8_t, 16>& ip);

// '*' matches any run of bytes, also of none; every other byte itself. In time O(pattern + text).
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace surgegate
