// SPDX-License-Identifier: BSD-3-Clause
// Words for people and machines: addresses, services, backends, limits as the policy calls them.
#pragma once

#include <string>

#include "config/image.h"
#include "dataplane/burst.h"

namespace surgegate {

std::string address_name(const uint8_t* ip);                      // 16 bytes, IPv4-mapped as IPv4
std::string endpoint_name(const uint8_t* ip, uint16_t port_be);   // "192.0.2.1:80", "[::1]:80"
std::string vip_names(const ImageView& image, size_t names_max);  // the first ones, with commas
std::string flow_name(const sg_packet& packet);
std::string backend_name(const ImageView& image, uint16_t slot);   // "web/web1"
std::string service_name(const ImageView& image, uint32_t index);  // "-" for none

}  // namespace surgegate
