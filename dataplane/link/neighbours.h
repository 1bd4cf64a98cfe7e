// SPDX-License-Identifier: BSD-3-Clause
// The kernel's neighbours, read over netlink: which link address answers for a backend.
#pragma once

#include <string>

#include "config/image.h"
#include "dataplane/table/next_hops.h"

namespace surgegate {

// Supervisor thread. Makes the kernel resolve backends that it does not know yet (by a datagram to
// their discard port, RFC 863), then reads its table for the interface into next_hops. Returns how
// many of the serving backends have a link address, and how many there are.
struct NeighbourCount {
  uint32_t known = 0;
  uint32_t wanted = 0;
};
NeighbourCount mirror_neighbours(const std::string& interface, const ImageView& image,
                                 NextHops& next_hops);

}  // namespace surgegate
