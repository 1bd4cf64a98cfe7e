// SPDX-License-Identifier: BSD-3-Clause
// The nearest valid word to a typo.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace surgegate::policy {

// How many insertions, deletions, substitutions and swaps of neighbours make one word the other
// (Damerau-Levenshtein, each part edited once); any number above distance_max is told as
// distance_max + 1. Letters that differ in case only, and `-` and `_`, count as equal.
size_t edit_distance(std::string_view a, std::string_view b, size_t distance_max);

// The candidate that `word` is most likely meant to be; of several equally near ones that which
// begins most like it, then the first. Empty where none is near: at most one edit in three letters,
// and at most three.
std::string nearest_word(std::string_view word, std::span<const std::string_view> candidates);

// "one of a, b, c"; only the first twenty of many.
std::string one_of(std::span<const std::string_view> words);

}  // namespace surgegate::policy
