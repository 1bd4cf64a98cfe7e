// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <array>

#include "config/findings.h"
#include "config/parse_scalars.h"

namespace surgegate::policy {
namespace {

// A cursor over fixed-width digits and marks; once something is not as expected it stays failed.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  int64_t digits(size_t count, int64_t min, int64_t max) {
    int64_t value = 0;
    if (rest_.size() < count) return fail();
    for (char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return fail();
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return value < min || value > max ? fail() : value;
  }

  bool take(char mark) {
    if (rest_.empty() || rest_[0] != mark) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void need(char mark) {
    if (!take(mark)) fail();
  }

  void skip_fraction() {
    if (!take('.')) return;
    size_t count = 0;
    while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') count++;
    if (count == 0) fail();
    rest_.remove_prefix(count);
  }

  int64_t fail() {
    is_good_ = false;
    return 0;
  }

  bool ended_well() const { return is_good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_good_ = true;
};

bool is_leap_year(int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int64_t days_in_month(int64_t year, int64_t month) {
  constexpr std::array<int64_t, 12> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap_year(year) ? 29 : days[static_cast<size_t>(month - 1)];
}

int64_t days_since_1970(int64_t year, int64_t month, int64_t day) {
  const auto leap_days = [](int64_t before) {
    return (before - 1) / 4 - (before - 1) / 100 + (before - 1) / 400;
  };
  int64_t days = (year - 1970) * 365 + leap_days(year) - leap_days(1970);
  for (int64_t m = 1; m < month; m++) days += days_in_month(year, m);
  return days + day - 1;
}

// "Z" or "+01:30": in seconds east of UTC.
int64_t offset_s(Cursor& at) {
  if (at.take('Z') || at.take('z')) return 0;
  const bool is_west = at.take('-');
  if (!is_west) at.need('+');
  const int64_t hours = at.digits(2, 0, 23);
  at.need(':');
  const int64_t minutes = at.digits(2, 0, 59);
  return (is_west ? -1 : 1) * (hours * 3600 + minutes * 60);
}

}  // namespace

Scalar<uint64_t> parse_time_unix_s(std::string_view text) {
  const auto misread = [&] {
    return tl::unexpected(Misread{
        fmt::format("{} is not a time", quote(text)), "a time like 2026-11-29T23:59:00Z", {}});
  };
  Cursor at(text);
  const int64_t year = at.digits(4, 1970, 9999);
  at.need('-');
  const int64_t month = at.digits(2, 1, 12);
  at.need('-');
  const int64_t day = at.digits(2, 1, 31);
  if (!at.take('t')) at.need('T');
  const int64_t hour = at.digits(2, 0, 23);
  at.need(':');
  const int64_t minute = at.digits(2, 0, 59);
  at.need(':');
  const int64_t second = at.digits(2, 0, 60);  // 60: a leap second [RFC 3339 section 5.7]
  at.skip_fraction();
  const int64_t east_s = offset_s(at);
  if (!at.ended_well() || day > days_in_month(year, month)) return misread();
  const int64_t unix_s =
      days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east_s;
  if (unix_s < 0) return misread();
  return static_cast<uint64_t>(unix_s);
}

}  // namespace surgegate::policy
