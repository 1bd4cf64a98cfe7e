// SPDX-License-Identifier: BSD-3-Clause
#include "tests/lab/differing.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

namespace surgegate::lab {
namespace {

constexpr std::string_view target = " /good/", other_target = " /evil/",
                           length = "Content-Length: ";

void add_targets(const std::string& text, std::vector<Differing>& all) {
  for (size_t at = text.find(target); at != text.npos; at = text.find(target, at + 1)) {
    std::string other = text;
    other.replace(at, other_target.size(), other_target);
    all.push_back({testing::bytes_of(other), at + other_target.size(), true});
  }
}

// Another digit where one is.
void add_digit(const std::string& text, size_t at, std::vector<Differing>& all) {
  std::string other = text;
  other[at] = other[at] == '1' ? '2' : '1';
  all.push_back({testing::bytes_of(other), at + 1, false});
}

void add_lengths(const std::string& text, std::vector<Differing>& all) {
  for (size_t at = text.find(length); at != text.npos; at = text.find(length, at + 1))
    if (const size_t digit = at + length.size(); digit < text.size()) add_digit(text, digit, all);
}

bool is_hex(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}

// A line of hexadecimal digits alone is a chunk's.
void add_chunks(const std::string& text, std::vector<Differing>& all) {
  for (size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) {
    size_t end = at + 1;
    while (end < text.size() && is_hex(text[end])) end++;
    if (end > at + 1 && text.compare(end, 2, "\r\n") == 0) add_digit(text, end - 1, all);
  }
}

}  // namespace

std::optional<Differing> some_differing(const Bytes& payload, std::mt19937_64& random) {
  const std::string text(payload.begin(), payload.end());
  std::vector<Differing> all;
  add_targets(text, all);
  add_lengths(text, all);
  add_chunks(text, all);
  if (all.empty()) return {};
  return all[random() % all.size()];
}

bool begins_request_inside(const Bytes& payload) {
  const std::string text(payload.begin(), payload.end());
  const size_t at = std::min(text.find("GET /"), text.find("POST /"));
  return at != text.npos && at > 0;
}

}  // namespace surgegate::lab
