// SPDX-License-Identifier: BSD-3-Clause
#include "config/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace surgegate::policy {
namespace {

constexpr size_t word_bytes_max = 64;
// Advice, not a search engine: among more names than this the first thousand are looked at.
constexpr size_t candidates_max = 1000;

using Row = std::array<size_t, word_bytes_max + 1>;

char folded(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return c == '_' ? '-' : c;
}

bool is_same(char a, char b) {
  return folded(a) == folded(b);
}

size_t shared_start(std::string_view a, std::string_view b) {
  size_t length = 0;
  while (length < std::min(a.size(), b.size()) && is_same(a[length], b[length])) length++;
  return length;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b, size_t distance_max) {
  const size_t too_far = distance_max + 1;
  if (a.size() > word_bytes_max || b.size() > word_bytes_max) return too_far;
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > distance_max) return too_far;
  Row before{}, above{}, row{};
  for (size_t j = 0; j <= b.size(); j++) above[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    row[0] = i;
    size_t least = i;
    for (size_t j = 1; j <= b.size(); j++) {
      const size_t substituted = above[j - 1] + (is_same(a[i - 1], b[j - 1]) ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, substituted});
      if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    // A swap reaches back two rows, so that one row beyond the maximum does not end the search.
    if (least > too_far) return too_far;
    before = above;
    above = row;
  }
  return std::min(above[b.size()], too_far);
}

std::string nearest_word(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty()) return {};
  size_t best = std::clamp<size_t>(word.size() / 3, 1, 3);
  size_t best_shared = 0;
  std::string_view nearest;
  for (std::string_view candidate : candidates.first(std::min(candidates.size(), candidates_max))) {
    const size_t distance = edit_distance(word, candidate, best);
    if (distance > best || distance >= candidate.size()) continue;
    const size_t shared = shared_start(word, candidate);
    if (distance == best && !nearest.empty() && shared <= best_shared) continue;
    best = distance;
    best_shared = shared;
    nearest = candidate;
  }
  return std::string(nearest);
}

std::string one_of(std::span<const std::string_view> words) {
  constexpr size_t shown_max = 20;
  if (words.size() == 1) return std::string(words[0]);
  const auto shown = words.first(std::min(words.size(), shown_max));
  return fmt::format("one of {}{}", fmt::join(shown, ", "),
                     words.size() > shown_max ? ", ..." : "");
}

}  // namespace surgegate::policy
