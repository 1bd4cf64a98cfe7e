// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/link/interface.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace surgegate {
namespace {

// Questions to the kernel about one interface; the answer to the last one is in `answer`.
class Inquiry {
 public:
  explicit Inquiry(const std::string& interface)
      : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    interface.copy(answer.ifr_name, IFNAMSIZ - 1);
  }
  ~Inquiry() {
    if (socket_ >= 0) close(socket_);
  }
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  bool ask(unsigned long what) { return ioctl(socket_, what, &answer) == 0; }

  ifreq answer{};

 private:
  int socket_;
};

// Root has them; so may others. DPDK takes the raw socket, and sets the interface's address (to
// what it is) and mode, which is the administrator's.
bool may_use_interfaces() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, sets) != 0) return false;
  constexpr uint32_t needed = 1u << CAP_NET_RAW | 1u << CAP_NET_ADMIN;
  return (sets[0].effective & needed) == needed;
}

// `before` where the kernel cannot be asked, for want of a file descriptor, say.
LinkState state_of(const std::string& interface, int index, LinkState before) {
  Inquiry inquiry(interface);
  if (!inquiry.ask(SIOCGIFINDEX)) return errno == ENODEV ? LinkState::gone : before;
  if (inquiry.answer.ifr_ifindex != index) return LinkState::gone;
  if (!inquiry.ask(SIOCGIFFLAGS)) return errno == ENODEV ? LinkState::gone : before;
  if ((inquiry.answer.ifr_flags & IFF_UP) == 0) return LinkState::down;
  return (inquiry.answer.ifr_flags & IFF_RUNNING) == 0 ? LinkState::no_carrier : LinkState::up;
}

}  // namespace

std::string interface_fault(const std::string& interface) {
  if (!may_use_interfaces()) return "raw packets need root (or CAP_NET_RAW and CAP_NET_ADMIN)";
  Inquiry inquiry(interface);
  const bool has_flags = inquiry.ask(SIOCGIFFLAGS);
  const bool is_up = has_flags && (inquiry.answer.ifr_flags & IFF_UP) != 0;
  const bool is_ethernet =
      inquiry.ask(SIOCGIFHWADDR) && inquiry.answer.ifr_hwaddr.sa_family == ARPHRD_ETHER;
  if (!is_ethernet) return "`" + interface + "` is not one: `run` needs an Ethernet interface";
  if (!is_up) return fmt::format("`{0}` is down: ip link set {0} up", interface);
  return {};
}

std::string LinkWatch::look() {
  const LinkState before = std::exchange(state_, state_of(interface_, index_, state_));
  if (state_ == before) return {};
  switch (state_) {
    case LinkState::up:
      return fmt::format("{} is up again", interface_);
    case LinkState::no_carrier:
      return fmt::format("{} has no carrier: nothing passes until its link is back", interface_);
    case LinkState::down:
      return fmt::format("{0} is down: nothing passes until `ip link set {0} up`", interface_);
    case LinkState::gone:
      return fmt::format(
          "{} is gone (removed, renamed or moved): start again when it is there (see `ip link`)",
          interface_);
  }
  return {};
}

}  // namespace surgegate
