// SPDX-License-Identifier: BSD-3-Clause
#include "config/yaml_slips.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "config/findings.h"

namespace surgegate::policy {
namespace {

struct Line {
  uint32_t number = 0;    // from 1
  size_t indent = 0;      // blanks in front
  std::string_view text;  // behind them, without what follows it: blanks and a comment
};

Slip slip(const Line& line, std::string what, std::string expected) {
  return {line.number, static_cast<uint32_t>(line.indent + 1), std::move(what),
          std::move(expected)};
}

std::string blanks(size_t count) {
  return fmt::format("{} blank{}", count, count == 1 ? "" : "s");
}

std::string_view without_comment(std::string_view text) {
  size_t end = text.starts_with('#') ? 0 : text.size();
  for (const std::string_view begin : {" #", "\t#"}) end = std::min(end, text.find(begin));
  text = text.substr(0, end);
  return text.substr(0, text.find_last_not_of(" \t\r") + 1);
}

// Those with something in them, up to the one that is told of.
std::vector<Line> lines_up_to(std::string_view text, size_t line_index) {
  std::vector<Line> lines;
  for (size_t i = 0; i <= line_index && !text.empty(); i++) {
    const size_t length = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    const size_t indent = std::min(whole.find_first_not_of(' '), whole.size());
    const std::string_view rest = without_comment(whole.substr(indent));
    if (!rest.empty()) lines.push_back({static_cast<uint32_t>(i + 1), indent, rest});
  }
  return lines;
}

// YAML takes no tabs for indentation, and yaml-cpp tells of it in many ways.
std::optional<Slip> tab_in_front(const Line& line) {
  if (line.text[0] != '\t') return std::nullopt;
  return slip(line, "a tab in front of the line's text",
              "spaces: YAML takes no tabs for indentation");
}

// `pool:web`: a text of its own for YAML, and what follows it fits no more. Not what a value may
// be: `http://..`, an address with its port.
std::optional<Slip> colon_without_blank(const Line& line) {
  const size_t colon = line.text.find(':');
  const std::string_view word = line.text.substr(0, colon);
  const bool is_word = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
  if (!is_word || colon + 1 >= line.text.size()) return std::nullopt;
  const std::string_view value = line.text.substr(colon + 1);
  if (value[0] == ' ' || value[0] == '\t' || value[0] == '/') return std::nullopt;
  return slip(line, fmt::format("{} lacks a blank behind its colon", quote(line.text)),
              fmt::format("{}: {}", word, value));
}

// A value that has begun in the line of its key cannot go on in lines with keys of their own.
std::optional<Slip> deeper_than_a_value(const Line& line, const Line& above) {
  const size_t colon = above.text.find(": ");
  if (line.indent <= above.indent || line.text.find(':') == std::string_view::npos ||
      colon == std::string_view::npos)
    return std::nullopt;
  return slip(
      line,
      fmt::format("this line stands {} in, and the key above it ({} in) has its value already",
                  blanks(line.indent), above.indent),
      fmt::format("{}, as in line {}", blanks(above.indent), above.number));
}

// The indentations of what encloses the last of these lines, itself included.
std::vector<size_t> levels_of(const std::vector<Line>& lines) {
  std::vector<size_t> levels;
  for (const Line& line : lines) {
    while (!levels.empty() && levels.back() > line.indent) levels.pop_back();
    if (levels.empty() || levels.back() < line.indent) levels.push_back(line.indent);
  }
  return levels;
}

// A line that ends what stands deeper must stand as deep as something that is open.
std::optional<Slip> between_levels(const std::vector<Line>& lines) {
  const Line& line = lines.back();
  const std::vector<size_t> levels = levels_of({lines.begin(), lines.end() - 1});
  if (levels.empty() || line.indent >= levels.back() ||
      std::find(levels.begin(), levels.end(), line.indent) != levels.end())
    return std::nullopt;
  return slip(line,
              fmt::format("this line stands {} in, and nothing above it does", blanks(line.indent)),
              fmt::format("as many blanks as what it belongs to: {}", fmt::join(levels, " or ")));
}

std::optional<Slip> open_bracket(const Line& line, std::string_view why) {
  const bool is_list = why.find("sequence flow") != std::string_view::npos;
  if (!is_list && why.find("map flow") == std::string_view::npos) return std::nullopt;
  return slip(line,
              fmt::format("a `{}` above is not closed, or a comma is missing", is_list ? '[' : '{'),
              fmt::format("`{}` behind its last entry", is_list ? ']' : '}'));
}

}  // namespace

std::optional<Slip> slip_at(std::string_view text, size_t line_index, std::string_view why) {
  const std::vector<Line> lines = lines_up_to(text, line_index);
  if (lines.empty()) return std::nullopt;
  const Line& line = lines.back();
  if (auto found = tab_in_front(line)) return found;
  if (auto found = open_bracket(line, why)) return found;
  if (auto found = colon_without_blank(line)) return found;
  if (lines.size() < 2) return std::nullopt;
  const Line& above = lines[lines.size() - 2];
  if (auto found = colon_without_blank(above)) return found;
  if (auto found = deeper_than_a_value(line, above)) return found;
  return between_levels(lines);
}

}  // namespace surgegate::policy
