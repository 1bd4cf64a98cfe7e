// SPDX-License-Identifier: BSD-3-Clause
// The hash table from address, port and protocol to service.
#include <fmt/format.h>
#include <netinet/in.h>

#include <cstring>
#include <map>
#include <tuple>

#include "config/compile_draft.h"

namespace surgegate {
namespace {

sg_vip vip_entry(const policy::Address& address, uint16_t port, uint8_t protocol,
                 uint16_t service) {
  sg_vip vip{};
  std::memcpy(vip.ip, address.bytes.data(), sizeof(vip.ip));
  vip.port_be = sg_be16(port);
  vip.protocol = protocol;
  vip.used = 1;
  vip.service = service;
  return vip;
}

// Every VIP, and every address of one once more with port and protocol 0.
std::vector<sg_vip> wanted_vips(Draft& draft) {
  std::vector<sg_vip> wanted;
  std::map<std::tuple<std::array<uint8_t, 16>, uint16_t, uint8_t>, uint16_t> owners;
  const auto& services = draft.policy().services;
  for (uint16_t i = 0; i < services.size(); i++) {
    const uint8_t protocol =
        services[i].protocol.value == policy::Protocol::udp ? IPPROTO_UDP : IPPROTO_TCP;
    for (const auto& [vip, place] : services[i].vips) {
      if (vip.port == 0) {
        draft.fault(place, "a VIP needs a port from 1 to 65535");
        continue;
      }
      auto [owner, is_new] = owners.try_emplace({vip.address.bytes, vip.port, protocol}, i);
      if (!is_new) {
        draft.fault(place, fmt::format("this VIP belongs to service {} already",
                                       services[owner->second].name.value));
        continue;
      }
      wanted.push_back(vip_entry(vip.address, vip.port, protocol, i));
      if (owners.try_emplace({vip.address.bytes, 0, 0}, i).second)
        wanted.push_back(vip_entry(vip.address, 0, 0, i));
    }
  }
  return wanted;
}

bool place_vip(std::vector<sg_vip>& table, const sg_vip& vip) {
  const uint32_t home = sg_vip_home(vip.ip, vip.port_be, vip.protocol);
  for (uint32_t probe = 0; probe < SG_VIP_PROBES_MAX; probe++) {
    sg_vip& entry = table[(home + probe) & (table.size() - 1)];
    if (entry.used) continue;
    entry = vip;
    return true;
  }
  return false;
}

}  // namespace

void compile_vips(Draft& draft) {
  const std::vector<sg_vip> wanted = wanted_vips(draft);
  size_t vip_count = 0;
  for (const sg_vip& vip : wanted) vip_count += vip.port_be != 0;
  if (vip_count > SG_VIPS_MAX)
    return draft.fault(
        {}, fmt::format("{} VIPs are too many: an image holds {}", vip_count, SG_VIPS_MAX));
  size_t size = 2;
  while (size < 2 * wanted.size()) size *= 2;
  for (; size <= SG_VIP_TABLE_MAX; size *= 2) {
    std::vector<sg_vip> table(size);
    bool all_placed = true;
    for (const sg_vip& vip : wanted) all_placed = all_placed && place_vip(table, vip);
    if (!all_placed) continue;
    draft.sections.vips = std::move(table);
    return;
  }
  draft.fault({}, fmt::format("the VIPs do not fit a table of {} entries: too many of them fall on "
                              "one place; another port or address for some helps",
                              SG_VIP_TABLE_MAX));
}

}  // namespace surgegate
