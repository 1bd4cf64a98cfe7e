// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "config/findings.h"
#include "config/parse_scalars.h"

namespace surgegate::policy {
namespace {

// Both in the form that inet_pton takes: four decimal octets without leading zeros (which some
// readers take for octal), and all of RFC 4291's without a zone.
std::optional<Address> read_address(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() > INET6_ADDRSTRLEN) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  if (text.find(':') == std::string_view::npos) {
    std::array<uint8_t, 4> octets{};
    if (inet_pton(AF_INET, terminated, octets.data()) != 1) return std::nullopt;
    return Address::of_ipv4(octets);
  }
  Address address;
  if (inet_pton(AF_INET6, terminated, address.bytes.data()) != 1) return std::nullopt;
  return address;
}

// Clears what lies beyond length; true where something was set there.
bool mask(Cidr& cidr) {
  bool had_bits = false;
  for (size_t i = cidr.length / 8; i < cidr.address.bytes.size(); i++) {
    const size_t kept = i == cidr.length / 8u ? cidr.length % 8u : 0;
    const auto keep = static_cast<uint8_t>(0xff00u >> kept);
    had_bits |= (cidr.address.bytes[i] & ~keep) != 0;
    cidr.address.bytes[i] &= keep;
  }
  return had_bits;
}

}  // namespace

Scalar<Address> parse_address(std::string_view text) {
  if (auto address = read_address(text)) return *address;
  return tl::unexpected(Misread{fmt::format("{} is not an address", quote(text)),
                                "an address like 192.0.2.1 or 2001:db8::1",
                                {}});
}

Scalar<AddressPort> parse_address_port(std::string_view text) {
  const auto misread = [&](std::string nearest = {}) {
    return tl::unexpected(Misread{fmt::format("{} is not an address with a port", quote(text)),
                                  "192.0.2.1:80 or \"[2001:db8::1]:80\"", std::move(nearest)});
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return misread();
  std::string_view host = text.substr(0, colon);
  const bool has_brackets = host.starts_with('[') && host.ends_with(']');
  if (has_brackets) host = host.substr(1, host.size() - 2);
  const auto address = read_address(host);
  const auto port = parse_integer(text.substr(colon + 1), 1, 65535);
  const bool has_colons = host.find(':') != std::string_view::npos;
  if (!address || !port) return misread();
  if (has_colons != has_brackets)
    return misread(has_colons ? fmt::format("[{}]:{}", host, *port)
                              : fmt::format("{}:{}", host, *port));
  return AddressPort{*address, static_cast<uint16_t>(*port)};
}

Scalar<ParsedCidr> parse_cidr(std::string_view text) {
  const auto misread = [&](std::string expected = {}) {
    if (expected.empty()) expected = "a prefix like 192.0.2.0/24 or 2001:db8::/32, or an address";
    return tl::unexpected(
        Misread{fmt::format("{} is not a prefix", quote(text)), std::move(expected), {}});
  };
  ParsedCidr parsed;
  std::string_view rest = text;
  parsed.cidr.except = rest.starts_with('!');
  if (parsed.cidr.except) rest.remove_prefix(1);
  const size_t slash = rest.find('/');
  const std::string_view host = rest.substr(0, slash);
  const auto address = read_address(host);
  if (!address) return misread();
  parsed.cidr.address = *address;
  if (slash == std::string_view::npos) return parsed;
  const bool is_ipv4_text = host.find(':') == std::string_view::npos;
  const uint64_t length_max = is_ipv4_text ? 32 : 128;
  const auto length = parse_integer(rest.substr(slash + 1), 0, length_max);
  if (!length) return misread(fmt::format("a length from 0 to {} after the slash", length_max));
  parsed.cidr.length = static_cast<uint8_t>(*length + (is_ipv4_text ? 96 : 0));
  if (address->is_ipv4() && parsed.cidr.length < 96)
    return misread("a length of 96 or more for an IPv4-mapped prefix, or the IPv4 prefix itself");
  parsed.had_host_bits = mask(parsed.cidr);
  return parsed;
}

}  // namespace surgegate::policy
