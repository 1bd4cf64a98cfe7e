// SPDX-License-Identifier: BSD-3-Clause
// Numbers and words; addresses are in parse_addresses.cc, times in parse_time.cc.
#include "config/parse_scalars.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "config/findings.h"
#include "config/limits.h"
#include "config/words.h"

namespace surgegate::policy {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t ns_per_ms = 1'000'000;
constexpr uint64_t ns_per_s = 1'000'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct Unit {
  std::string_view word;
  uint64_t factor;
};

constexpr std::array<Unit, 4> multiples = {
    {{"", 1}, {"k", 1000}, {"M", 1000'000}, {"G", ns_per_s}}};
constexpr std::array<Unit, 5> durations = {{{"ms", ns_per_ms},
                                            {"s", ns_per_s},
                                            {"m", 60 * ns_per_s},
                                            {"h", 3600 * ns_per_s},
                                            {"d", 86400 * ns_per_s}}};
constexpr std::array<Unit, 4> periods = {
    {{"s", ns_per_s}, {"min", 60 * ns_per_s}, {"h", 3600 * ns_per_s}, {"d", 86400 * ns_per_s}}};

template <size_t n>
std::optional<uint64_t> factor_of(const std::array<Unit, n>& units, std::string_view word) {
  for (const Unit& unit : units)
    if (unit.word == word) return unit.factor;
  return std::nullopt;
}

template <size_t n>
std::string nearest_unit(const std::array<Unit, n>& units, std::string_view word) {
  std::array<std::string_view, n> words;
  std::transform(units.begin(), units.end(), words.begin(),
                 [](const Unit& unit) { return unit.word; });
  if (std::string nearest = nearest_word(word, words); !nearest.empty()) return nearest;
  // "sec", "minutes", "m" for a minute: what begins alike.
  for (std::string_view unit : words)
    if (!unit.empty() && !word.empty() && (word.starts_with(unit) || unit.starts_with(word)))
      return std::string(unit);
  return {};
}

// "1.5" at the start of a text: numerator / denominator, in lowest terms.
struct Decimal {
  uint64_t numerator = 0;
  uint64_t denominator = 1;
  std::string_view rest;
};

// Takes digits off the front of text and onto the end of value; how many there were.
size_t take_digits(std::string_view& text, uint64_t& value, size_t count_max) {
  size_t count = 0;
  while (count < text.size() && count < count_max && is_digit(text[count]))
    value = value * 10 + static_cast<uint64_t>(text[count++] - '0');
  text.remove_prefix(count);
  return count;
}

// 12 digits before the point and 6 behind it fit 64 bits, and their product with any unit 128.
std::optional<Decimal> take_decimal(std::string_view text) {
  Decimal decimal;
  if (take_digits(text, decimal.numerator, 12) == 0) return std::nullopt;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const size_t digits = take_digits(text, decimal.numerator, 6);
    if (digits == 0) return std::nullopt;
    for (size_t i = 0; i < digits; i++) decimal.denominator *= 10;
  }
  const uint64_t common = std::gcd(decimal.numerator, decimal.denominator);
  decimal.numerator /= common;
  decimal.denominator /= common;
  decimal.rest = text;
  return decimal;
}

// decimal * factor where that is a whole number of 64 bits.
std::optional<uint64_t> whole_product(const Decimal& decimal, uint64_t factor) {
  const Wide product = Wide{decimal.numerator} * factor;
  if (product % decimal.denominator != 0) return std::nullopt;
  const Wide whole = product / decimal.denominator;
  if (whole > UINT64_MAX) return std::nullopt;
  return static_cast<uint64_t>(whole);
}

}  // namespace

Scalar<Rate> parse_rate(std::string_view text) {
  const auto misread = [&](std::string nearest) {
    return tl::unexpected(Misread{fmt::format("{} is not a rate", quote(text)),
                                  "a rate like 100/s, 5/min, 1.5k/s, 2M/s, 1/h or 10/d",
                                  std::move(nearest)});
  };
  const auto decimal = take_decimal(text);
  if (!decimal) return misread({});
  const size_t slash = decimal->rest.find('/');
  if (slash == std::string_view::npos) return misread({});
  const std::string_view multiple = decimal->rest.substr(0, slash);
  const std::string_view period = decimal->rest.substr(slash + 1);
  const std::string_view number = text.substr(0, text.size() - decimal->rest.size());
  const auto factor = factor_of(multiples, multiple);
  const auto period_ns = factor_of(periods, period);
  if (!factor || !period_ns) {
    const std::string near_multiple =
        factor ? std::string(multiple) : nearest_unit(multiples, multiple);
    const std::string near_period = period_ns ? std::string(period) : nearest_unit(periods, period);
    if ((!factor && near_multiple.empty()) || near_period.empty()) return misread({});
    return misread(fmt::format("{}{}/{}", number, near_multiple, near_period));
  }
  if (decimal->numerator == 0)
    return tl::unexpected(
        Misread{fmt::format("{} lets nothing through", quote(text)), "a rate above 0", {}});
  const Wide units = Wide{decimal->numerator} * *factor;
  const uint64_t common =
      std::gcd(static_cast<uint64_t>(units % decimal->denominator), decimal->denominator);
  Rate rate;
  const Wide per_ns = Wide{*period_ns} * (decimal->denominator / common);
  if (units / common > UINT64_MAX || per_ns > UINT64_MAX) return misread({});
  rate.units = static_cast<uint64_t>(units / common);
  rate.per_ns = static_cast<uint64_t>(per_ns);
  return rate;
}

Scalar<uint64_t> parse_duration_ns(std::string_view text) {
  const auto misread = [&](std::string nearest) {
    return tl::unexpected(Misread{fmt::format("{} is not a duration", quote(text)),
                                  "a duration like 500ms, 5s, 10m, 1h or 1d", std::move(nearest)});
  };
  const auto decimal = take_decimal(text);
  if (!decimal) return misread({});
  const std::string_view number = text.substr(0, text.size() - decimal->rest.size());
  const auto factor = factor_of(durations, decimal->rest);
  if (!factor) {
    const std::string unit = nearest_unit(durations, decimal->rest);
    return misread(unit.empty() ? "" : fmt::format("{}{}", number, unit));
  }
  const auto ns = whole_product(*decimal, *factor);
  if (!ns) return misread({});
  return *ns;
}

Scalar<uint64_t> parse_count(std::string_view text) {
  const auto decimal = take_decimal(text);
  const auto factor = decimal ? factor_of(multiples, decimal->rest) : std::nullopt;
  const auto count = factor ? whole_product(*decimal, *factor) : std::nullopt;
  if (count) return *count;
  return tl::unexpected(
      Misread{fmt::format("{} is not a count", quote(text)), "a count like 200, 4k or 1.5M", {}});
}

Scalar<uint64_t> parse_integer(std::string_view text, uint64_t min, uint64_t max) {
  const auto misread = [&](std::string_view why) {
    return tl::unexpected(Misread{fmt::format("{} {}", quote(text), why),
                                  fmt::format("a number from {} to {}", min, max),
                                  {}});
  };
  const bool has_digits_only = !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
  if (!has_digits_only) return misread("is not a whole number");
  if (text.size() > 1 && text[0] == '0') return misread("begins with a zero");
  constexpr size_t digits_max = 18;
  if (text.size() > digits_max) return misread("is out of range");
  uint64_t value = 0;
  for (char c : text) value = value * 10 + static_cast<uint64_t>(c - '0');
  if (value < min || value > max) return misread("is out of range");
  return value;
}

Scalar<uint8_t> parse_percent(std::string_view text) {
  if (text.ends_with('%'))
    if (auto value = parse_integer(text.substr(0, text.size() - 1), 0, 100))
      return static_cast<uint8_t>(*value);
  return tl::unexpected(
      Misread{fmt::format("{} is not a percentage", quote(text)), "0% to 100%", {}});
}

Scalar<bool> parse_bool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  constexpr std::array<std::string_view, 2> words = {"true", "false"};
  return tl::unexpected(Misread{fmt::format("{} is neither true nor false", quote(text)),
                                "true or false", nearest_word(text, words)});
}

Scalar<uint16_t> parse_status(std::string_view text) {
  if (auto value = parse_integer(text, 400, 599)) return static_cast<uint16_t>(*value);
  return tl::unexpected(Misread{fmt::format("{} is not a status for a refusal", quote(text)),
                                "a status from 400 to 599",
                                {}});
}

bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || is_digit(c) || marks.find(c) != std::string_view::npos;
  });
}

bool is_field_value(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  if (!text.empty() && (is_blank(text.front()) || is_blank(text.back()))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  });
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

Scalar<std::string> parse_header_name(std::string_view text) {
  if (is_token(text) && text.size() <= SG_POLICY_NAME_BYTES_MAX) return lower_case(text);
  return tl::unexpected(
      Misread{fmt::format("{} is not the name of a header", quote(text)),
              fmt::format("a token of at most {} bytes, like x-api-key", SG_POLICY_NAME_BYTES_MAX),
              {}});
}

Scalar<std::string> parse_name(std::string_view text) {
  const bool is_name = !text.empty() && text.size() <= SG_POLICY_NAME_BYTES_MAX &&
                       is_letter(text[0]) && std::all_of(text.begin(), text.end(), [](char c) {
                         return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
                       });
  if (is_name) return std::string(text);
  return tl::unexpected(
      Misread{fmt::format("{} is not a name", quote(text)),
              fmt::format("a letter, then letters, digits, `.`, `_` or `-`; at most {} bytes",
                          SG_POLICY_NAME_BYTES_MAX),
              {}});
}

}  // namespace surgegate::policy
