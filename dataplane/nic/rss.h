// SPDX-License-Identifier: BSD-3-Clause
// Receive-side scaling as a NIC does it: the Toeplitz hash with the key that Microsoft published
// and most drivers set, over addresses and ports.
#pragma once

#include <cstdint>

#include "config/headers.h"

namespace surgegate {

// The queue, of queue_count, on which a NIC would put this packet. 0 for what is not IP.
uint32_t rss_queue(const sg_packet& packet, uint32_t queue_count);

}  // namespace surgegate
