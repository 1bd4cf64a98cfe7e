// SPDX-License-Identifier: BSD-3-Clause
// `surgegate run`: the journey on a live interface. One worker on AF_PACKET.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace surgegate {

// What `run` remembers, whatever the policy. `check --sizes` tells of it.
inline constexpr size_t run_flows_max = 1u << 18;
inline constexpr size_t run_bucket_sets = 1u << 17;  // 1 M cells
inline constexpr uint32_t run_kept_heads = 4096;     // of a worker

struct RunOptions {
  std::string policy_path;
  std::string interface;
  bool json = false;  // the account at the end
};

// Runs until SIGTERM, SIGINT or SIGHUP, then prints what was done. 0: ended on a signal; 2: could
// not start, or the interface went away, which prints what was done as well.
int run(const RunOptions& options);

}  // namespace surgegate
