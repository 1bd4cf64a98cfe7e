// SPDX-License-Identifier: BSD-3-Clause
// The account of a replay, for people and for machines.
#pragma once

#include <string>

#include "config/image.h"
#include "dataplane/replay/tally.h"

namespace surgegate {

struct ReportInput {
  const ImageView& image;
  const Tally& tally;
  std::span<const Counters* const> counters;  // of each worker
  const std::string& in_path;
  const std::string& out_path;
  bool colour;
};

std::string report_text(const ReportInput& input);
std::string report_json(const ReportInput& input);

}  // namespace surgegate
