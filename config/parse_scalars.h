// SPDX-License-Identifier: BSD-3-Clause
// What a single value of the policy means: text in, value out, no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "config/model.h"

namespace surgegate::policy {

// Why a text is not such a value, in the words of a finding.
struct Misread {
  std::string what;
  std::string expected;
  std::string nearest;
};

template <class T>
using Scalar = tl::expected<T, Misread>;

// "100/s", "5/min", "2k/s", "1.5M/s", "1/h", "10/d": exactly, in lowest terms where the number has
// a fraction.
Scalar<Rate> parse_rate(std::string_view text);

// "500ms", "5s", "10m", "1.5h", "1d": in nanoseconds, exactly.
Scalar<uint64_t> parse_duration_ns(std::string_view text);

// "200", "4k", "1.5M", "1G": a count, k is 1,000.
Scalar<uint64_t> parse_count(std::string_view text);

// Decimal digits only, without leading zeros.
Scalar<uint64_t> parse_integer(std::string_view text, uint64_t min, uint64_t max);

// "30%".
Scalar<uint8_t> parse_percent(std::string_view text);

// "true", "false".
Scalar<bool> parse_bool(std::string_view text);

// 400 to 599.
Scalar<uint16_t> parse_status(std::string_view text);

Scalar<Address> parse_address(std::string_view text);

// "192.0.2.1:80", "[2001:db8::1]:80"; the port is 1 to 65535.
Scalar<AddressPort> parse_address_port(std::string_view text);

// "192.0.2.0/24", "2001:db8::/32", "192.0.2.7" (one address), "!192.0.2.7" (an exception). cidr has
// no bits beyond its length; had_host_bits tells that the text had some.
struct ParsedCidr {
  Cidr cidr;
  bool had_host_bits = false;
};
Scalar<ParsedCidr> parse_cidr(std::string_view text);

// RFC 3339, "2026-11-29T23:59:00Z" or with an offset, from 1970 on: in seconds since 1970,
// fractions cut off.
Scalar<uint64_t> parse_time_unix_s(std::string_view text);

// A token [RFC 9110 section 5.6.2], made lower case.
Scalar<std::string> parse_header_name(std::string_view text);

bool is_token(std::string_view text);

// No CR, LF, NUL or other control but tab, no blank at either end [RFC 9110 section 5.5].
bool is_field_value(std::string_view text);

// Of a limit, list, pool ...: a letter, then letters, digits, `.`, `_` or `-`.
Scalar<std::string> parse_name(std::string_view text);

std::string lower_case(std::string_view text);

}  // namespace surgegate::policy
