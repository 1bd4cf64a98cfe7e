// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/names.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <vector>

namespace surgegate {
namespace {

constexpr uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_ip4(const uint8_t* ip) {
  return std::equal(mapped_prefix, mapped_prefix + 12, ip);
}

std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case SG_PROTO_TCP:
      return "tcp";
    case SG_PROTO_UDP:
      return "udp";
    case SG_PROTO_ICMP:
    case SG_PROTO_ICMP6:
      return "icmp";
    default:
      return fmt::format("protocol {}", protocol);
  }
}

}  // namespace

std::string address_name(const uint8_t* ip) {
  char text[INET6_ADDRSTRLEN];
  if (is_ip4(ip)) return inet_ntop(AF_INET, ip + 12, text, sizeof(text));
  return inet_ntop(AF_INET6, ip, text, sizeof(text));
}

std::string endpoint_name(const uint8_t* ip, uint16_t port_be) {
  return is_ip4(ip) ? fmt::format("{}:{}", address_name(ip), sg_be16(port_be))
                    : fmt::format("[{}]:{}", address_name(ip), sg_be16(port_be));
}

std::string flow_name(const sg_packet& packet) {
  if (!packet.addresses_read) return "-";
  const sg_flow_tuple& t = packet.tuple;
  if (!packet.ports_read)
    return fmt::format("{} > {} {}", address_name(t.src_ip), address_name(t.dst_ip),
                       protocol_name(t.protocol));
  return fmt::format("{} > {} {}", endpoint_name(t.src_ip, t.src_port_be),
                     endpoint_name(t.dst_ip, t.dst_port_be), protocol_name(t.protocol));
}

std::string vip_names(const ImageView& image, size_t names_max) {
  std::vector<const sg_vip*> vips;
  for (const sg_vip& vip : image.vips())
    if (vip.used && vip.protocol != 0) vips.push_back(&vip);  // not the records of whole addresses
  auto rank = [](const sg_vip* vip) {
    return std::tuple(vip->service, std::string_view(reinterpret_cast<const char*>(vip->ip), 16),
                      sg_be16(vip->port_be), vip->protocol);
  };
  std::sort(vips.begin(), vips.end(), [&](auto* a, auto* b) { return rank(a) < rank(b); });
  std::string names;
  for (size_t i = 0; i < std::min(vips.size(), names_max); i++)
    names +=
        fmt::format("{}{} {}", i == 0 ? "" : ", ", endpoint_name(vips[i]->ip, vips[i]->port_be),
                    protocol_name(vips[i]->protocol));
  if (vips.size() > names_max) names += fmt::format(" and {} more", vips.size() - names_max);
  return names;
}

std::string backend_name(const ImageView& image, uint16_t slot) {
  return std::string(image.text(image.backends()[slot].name));
}

std::string service_name(const ImageView& image, uint32_t index) {
  return index < image.services().size() ? std::string(image.text(image.services()[index].name))
                                         : "-";
}

}  // namespace surgegate
