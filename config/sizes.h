// SPDX-License-Identifier: BSD-3-Clause
// What a policy costs in memory: what `surgegate check --sizes` prints.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config/image.h"

namespace surgegate {

// count: records, or how many of the thing there are. bytes: of all of them together. where:
// "image" for a section of it, "host" for what a host needs once, "worker" for what each worker
// needs; "wanted" for what would be right where the size does not follow the policy yet.
struct SizeRow {
  std::string where;
  std::string what;
  uint64_t count = 0;
  uint64_t bytes = 0;
};

// The image's sections in their order, then what reading it costs besides: a second image while a
// change is adopted, the opened signature databases, the scratch that each worker scans with, and
// the bucket cells that a million sources take. Fails where a signature database cannot be opened.
tl::expected<std::vector<SizeRow>, std::string> sizes_of(const ImageView& image);

// A table for people, with a line for each row.
std::string to_text(std::span<const SizeRow> rows);

// [{"where", "what", "count", "bytes"}, ...]
nlohmann::json to_json(std::span<const SizeRow> rows);

}  // namespace surgegate
