// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/http_samples.h"

#include <array>
#include <string_view>

namespace surgegate::testing {
namespace {

using Random = std::mt19937_64;

template <size_t n>
std::string one_of(Random& random, const std::array<std::string_view, n>& all) {
  return std::string(all[random() % n]);
}

// The first of them most of the time.
template <size_t n>
std::string mostly_first(Random& random, const std::array<std::string_view, n>& all) {
  return random() % 16 != 0 ? std::string(all[0]) : one_of(random, all);
}

std::string request_line(Random& random) {
  constexpr auto methods =
      std::to_array<std::string_view>({"GET", "POST", "HEAD", "OPTIONS", "get", "PRI", "CONNECT",
                                       "PURGE", "VERSION-CONTROL", "G(T", ""});
  constexpr auto targets = std::to_array<std::string_view>(
      {"/a/b?c=d", "/", "*", "/a#b", "/a\\b", "/\xc3\xa4?\xff", "http://a/x", "HTTP://A:80",
       "http://b?x", "http://u@a/", "https://a/", "a:80", "", "/a b", "//x/../y", "/%2e%00",
       "/\"<>{}`|^[]"});
  constexpr auto versions =
      std::to_array<std::string_view>({"HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9",
                                       "http/1.1", "HTTP/1.10", "HTTP/1", "", "HTTP/1.1 "});
  constexpr auto spaces = std::to_array<std::string_view>({" ", "  ", "\t", ""});
  return mostly_first(random, methods) + mostly_first(random, spaces) +
         mostly_first(random, targets) + mostly_first(random, spaces) +
         mostly_first(random, versions);
}

std::string field(Random& random) {
  constexpr auto names = std::to_array<std::string_view>(
      {"Accept", "User-Agent", "Content-Length", "Transfer-Encoding", "Host", "X-Api-Key",
       "Upgrade", "Expect", "x_y", "X A", "", " Folded", "\tFolded", "Content-length",
       "TRANSFER-ENCODING", "X\xe4"});
  constexpr auto values = std::to_array<std::string_view>({"text/html", "",
                                                           "chunked",   "5",
                                                           "0",         "+5",
                                                           "5, 5",      "1099511627776",
                                                           "0x5",       "gzip, chunked",
                                                           "Chunked",   "identity",
                                                           "a",         "a:80",
                                                           "[::1]:80",  "[::1",
                                                           "a/b",       "\xc3\xa4",
                                                           "x\ty",      "100-continue",
                                                           "websocket", " padded \t"});
  constexpr auto colons = std::to_array<std::string_view>({": ", ":", " :", ":\t", ";"});
  const std::string name = random() % 3 != 0 ? mostly_first(random, names) : one_of(random, names);
  return name + mostly_first(random, colons) + one_of(random, values);
}

void spoil(Random& random, std::string& head) {
  const size_t at = random() % head.size();
  switch (random() % 4) {
    case 0:
      head[at] = static_cast<char>(random());
      break;
    case 1:
      head.erase(at, 1 + random() % 3);
      break;
    case 2:
      head.insert(at, head, at, 1 + random() % 4);
      break;
    default:
      constexpr std::string_view odd("\r\n\0\t :;\x7f\xff", 9);
      head.insert(at, 1, odd[random() % odd.size()]);
  }
}

}  // namespace

std::string some_head(Random& random) {
  constexpr auto ends = std::to_array<std::string_view>({"\r\n", "\n", "\r", "\r\r\n", "\n\r"});
  const auto end = [&] { return random() % 40 != 0 ? std::string(ends[0]) : one_of(random, ends); };
  std::string head = random() % 10 == 0 ? "\r\n" : "";
  head += request_line(random) + end();
  if (random() % 8 != 0) head += "Host: a" + end();
  for (uint64_t n = random() % (random() % 50 == 0 ? 120 : 8); n > 0; n--)
    head += field(random) + end();
  head += end();
  if (random() % 4 == 0) spoil(random, head);
  return head;
}

}  // namespace surgegate::testing
