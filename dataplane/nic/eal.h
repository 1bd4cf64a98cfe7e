// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment abstraction layer, started once per process.
#pragma once

#include <string>
#include <vector>

namespace surgegate {

struct EalOptions {
  bool hugepages = false;                    // false: plain memory, needs no root
  unsigned memory_mib = 256;                 // without hugepages: all that EAL may use
  std::vector<std::string> virtual_devices;  // "net_af_packet0,iface=eth0"
};

// Empty on success, else what went wrong and what to do. One call per process, on the main thread,
// before any other object of nic/.
std::string start_eal(const EalOptions& options);
void stop_eal();

}  // namespace surgegate
