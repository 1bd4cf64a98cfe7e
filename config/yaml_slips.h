// SPDX-License-Identifier: BSD-3-Clause
// What was probably meant where a text is no YAML. Internal to yaml_tree.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace surgegate::policy {

// line and column count from 1.
struct Slip {
  uint32_t line = 0;
  uint32_t column = 0;
  std::string what;
  std::string expected;
};

// why: yaml-cpp's word for it, which it says of line line_index (from 0). Nothing where none of the
// usual slips is seen there: tabs, a colon without a blank, a line that is indented as none above
// it, a bracket that is not closed.
std::optional<Slip> slip_at(std::string_view text, size_t line_index, std::string_view why);

}  // namespace surgegate::policy
