// SPDX-License-Identifier: BSD-3-Clause
// The account of a replay, and that of a live gate, for people and for machines.
#pragma once

#include <string>

#include "config/image.h"
#include "dataplane/replay/tally.h"

namespace surgegate {

struct ReportInput {
  const ImageView& image;
  const Tally& tally;
  std::span<const Counters* const> counters;  // of each worker
  const std::string& in_path;                 // or the interface's name
  bool colour;
  bool is_live = false;
};

std::string report_text(const ReportInput& input);
std::string report_json(const ReportInput& input);

// for_all, of_others: frames that the port left to the kernel, or to nobody.
std::string live_report_text(const ReportInput& input, uint64_t for_all, uint64_t of_others);
std::string live_report_json(const ReportInput& input, uint64_t for_all, uint64_t of_others);

}  // namespace surgegate
