// SPDX-License-Identifier: BSD-3-Clause
// `surgegate replay`: the journey over a capture file. Time is the capture's own, so that the same
// input gives the same output to the byte.
#pragma once

#include <string>

namespace surgegate {

struct ReplayOptions {
  std::string policy_path;
  std::string in_path;
  std::string out_path;
  std::string verdicts_path;  // empty: none
  bool json = false;
  uint32_t workers = 1;
};

// The process's exit status: 0, 1 when packets were not conserved, 2 when it could not be done (one
// line on stderr says why; no output file was touched).
int replay(const ReplayOptions& options);

}  // namespace surgegate
