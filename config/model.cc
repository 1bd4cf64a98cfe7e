// SPDX-License-Identifier: BSD-3-Clause
#include "config/model.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace surgegate::policy {
namespace {

constexpr std::array<uint8_t, 12> mapped_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

Address Address::of_ipv4(const std::array<uint8_t, 4>& octets) {
  Address address;
  std::copy(mapped_prefix.begin(), mapped_prefix.end(), address.bytes.begin());
  std::copy(octets.begin(), octets.end(), address.bytes.begin() + 12);
  return address;
}

bool Address::is_ipv4() const {
  return std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes.begin());
}

std::string to_text(const Address& address) {
  const auto& b = address.bytes;
  if (address.is_ipv4()) return fmt::format("{}.{}.{}.{}", b[12], b[13], b[14], b[15]);
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, b.data(), text, sizeof(text));
  return text;
}

std::string to_text(const Cidr& cidr) {
  const bool is_ipv4 = cidr.address.is_ipv4() && cidr.length >= 96;
  return fmt::format("{}{}/{}", cidr.except ? "!" : "", to_text(cidr.address),
                     is_ipv4 ? cidr.length - 96 : cidr.length);
}

std::string to_text(const AddressPort& at) {
  const std::string host = to_text(at.address);
  return at.address.is_ipv4() ? fmt::format("{}:{}", host, at.port)
                              : fmt::format("[{}]:{}", host, at.port);
}

}  // namespace surgegate::policy
