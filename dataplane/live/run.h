// SPDX-License-Identifier: BSD-3-Clause
// `surgegate run`: the journey on a live interface. One worker on AF_PACKET.
#pragma once

#include <string>

namespace surgegate {

struct RunOptions {
  std::string policy_path;
  std::string interface;
  bool json = false;  // the account at the end
};

// Runs until SIGTERM, SIGINT or SIGHUP, then prints what was done. 0: ended on a signal; 2: could
// not start, or the interface went away, which prints what was done as well.
int run(const RunOptions& options);

}  // namespace surgegate
