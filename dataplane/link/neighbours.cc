// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/link/neighbours.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <vector>

#include "config/headers.h"

namespace surgegate {
namespace {

using Ip = std::array<uint8_t, 16>;
using Neighbours = std::map<Ip, MacAddress>;

constexpr uint16_t discard_port = 9;
constexpr size_t dump_bytes = 32'768;  // what the kernel fills at a time when it dumps
constexpr uint16_t usable =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

struct Dump {
  uint32_t interface_index;
  Neighbours found;
};

int read_neighbour(const nlmsghdr* message, void* data) {
  auto& dump = *static_cast<Dump*>(data);
  const auto* entry = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
  if (static_cast<uint32_t>(entry->ndm_ifindex) != dump.interface_index) return MNL_CB_OK;
  if ((entry->ndm_state & usable) == 0) return MNL_CB_OK;
  Ip ip{};
  MacAddress mac{};
  bool has_ip = false, has_mac = false;
  // mnl_attr_for_each is C: it assigns void pointers.
  auto* attribute =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(*entry)));
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(attribute));
    size_t length = mnl_attr_get_payload_len(attribute);
    if (mnl_attr_get_type(attribute) == NDA_DST && (length == 4 || length == 16)) {
      if (length == 4)
        sg_map_ip4(ip.data(), bytes);
      else
        std::memcpy(ip.data(), bytes, 16);
      has_ip = true;
    }
    if (mnl_attr_get_type(attribute) == NDA_LLADDR && length == mac.size()) {
      std::memcpy(mac.data(), bytes, mac.size());
      has_mac = true;
    }
    attribute = mnl_attr_next(attribute);
  }
  if (has_ip && has_mac) dump.found[ip] = mac;
  return MNL_CB_OK;
}

Neighbours read_table(uint32_t interface_index) {
  Dump dump{interface_index, {}};
  std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket(mnl_socket_open(NETLINK_ROUTE),
                                                           mnl_socket_close);
  if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return {};
  std::vector<char> buffer(dump_bytes);
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETNEIGH;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = 1;
  mnl_nlmsg_put_extra_header(request, sizeof(ndmsg));
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return {};
  unsigned port_id = mnl_socket_get_portid(socket.get());
  for (;;) {
    ssize_t bytes = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (bytes <= 0) break;
    int status =
        mnl_cb_run(buffer.data(), static_cast<size_t>(bytes), 1, port_id, read_neighbour, &dump);
    if (status <= MNL_CB_STOP) break;
  }
  return dump.found;
}

void ask_for(const Ip& ip) {
  bool is_ip4 = sg_load_u64(ip.data()) == 0 && sg_load_u32(ip.data() + 8) == 0xffff0000;
  int fd = socket(is_ip4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  sockaddr_in to4{};
  to4.sin_family = AF_INET;
  to4.sin_port = htons(discard_port);
  std::memcpy(&to4.sin_addr, ip.data() + 12, 4);
  sockaddr_in6 to6{};
  to6.sin6_family = AF_INET6;
  to6.sin6_port = htons(discard_port);
  std::memcpy(&to6.sin6_addr, ip.data(), 16);
  const auto* to =
      is_ip4 ? reinterpret_cast<const sockaddr*>(&to4) : reinterpret_cast<const sockaddr*>(&to6);
  // Whether it arrives does not matter: asking for the address is what it is for.
  [[maybe_unused]] ssize_t sent = sendto(fd, "", 0, 0, to, is_ip4 ? sizeof(to4) : sizeof(to6));
  close(fd);
}

}  // namespace

NeighbourCount mirror_neighbours(const std::string& interface, const ImageView& image,
                                 NextHops& next_hops) {
  Neighbours neighbours = read_table(if_nametoindex(interface.c_str()));
  NeighbourCount count;
  auto backends = image.backends();
  for (uint32_t slot = 0; slot < backends.size(); slot++) {
    if (backends[slot].state != SG_BACKEND_ACTIVE && backends[slot].state != SG_BACKEND_DRAIN) {
      next_hops.forget(slot);
      continue;
    }
    Ip ip;
    std::memcpy(ip.data(), backends[slot].ip, ip.size());
    auto found = neighbours.find(ip);
    count.wanted++;
    if (found == neighbours.end()) {
      ask_for(ip);
      continue;
    }
    next_hops.set(slot, found->second);
    count.known++;
  }
  return count;
}

}  // namespace surgegate
