// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/names.h"

#include <arpa/inet.h>
#include <fmt/format.h>

namespace surgegate {
namespace {

constexpr uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_ip4(const uint8_t* ip) {
  return std::equal(mapped_prefix, mapped_prefix + 12, ip);
}

std::string endpoint(const uint8_t* ip, uint16_t port_be) {
  return is_ip4(ip) ? fmt::format("{}:{}", address_name(ip), sg_be16(port_be))
                    : fmt::format("[{}]:{}", address_name(ip), sg_be16(port_be));
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

std::string flow_name(const sg_packet& packet) {
  if (!packet.addresses_read) return "-";
  const sg_flow_tuple& t = packet.tuple;
  if (!packet.ports_read)
    return fmt::format("{} > {} {}", address_name(t.src_ip), address_name(t.dst_ip),
                       protocol_name(t.protocol));
  return fmt::format("{} > {} {}", endpoint(t.src_ip, t.src_port_be),
                     endpoint(t.dst_ip, t.dst_port_be), protocol_name(t.protocol));
}

std::string backend_name(const ImageView& image, uint16_t slot) {
  return std::string(image.text(image.backends()[slot].name));
}

std::string service_name(const ImageView& image, uint32_t index) {
  return index < image.services().size() ? std::string(image.text(image.services()[index].name))
                                         : "-";
}

}  // namespace surgegate
