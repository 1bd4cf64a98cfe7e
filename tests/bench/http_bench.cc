// SPDX-License-Identifier: BSD-3-Clause
// Reading one request head of so many bytes, with each scanner; beside the slow twin, which reads
// byte by byte.
#include <benchmark/benchmark.h>

#include "dataplane/path/http_chunks.h"
#include "dataplane/path/http_head.h"
#include "tests/support/http_head_twin.h"

namespace surgegate::bench {
namespace {

// What a browser sends, with a cookie of the length that makes it so long.
std::string head_of(size_t bytes) {
  const std::string start =
      "GET /products/chairs?page=2&sort=price HTTP/1.1\r\nHost: shop.example\r\n"
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n";
  const size_t rest = bytes - start.size() - 4;
  std::string fields;
  for (size_t n = 0; fields.size() + 60 < rest && n < 40; n++)
    fields += "X-Field-" + std::to_string(n % 10) + ": a value of some length, as they are\r\n";
  const size_t left = rest - fields.size();
  if (left > 10) fields += "Cookie: " + std::string(left - 10, 'c') + "\r\n";
  return start + fields + "\r\n";
}

void per_head(benchmark::State& state, size_t bytes) {
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["ns_per_head"] =
      benchmark::Counter(static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Argument 1: which scanner, in the order of scanners(): plain, AVX2, AVX-512.
void read_head(benchmark::State& state) {
  const Scanner& scanner = scanners()[static_cast<size_t>(state.range(0))];
  state.SetLabel(std::string(scanner.name));
  if (!scanner.is_supported) return state.SkipWithError("this processor does not have it");
  const std::string text = head_of(static_cast<size_t>(state.range(1)));
  const HeaderNames names;
  const HeadRules rules{names, 0, scanner.scan};
  HttpHead head;
  for (auto _ : state) {
    if (read_http_head(text, rules, head) != HeadStatus::complete)
      return state.SkipWithError("not read");
    benchmark::DoNotOptimize(head);
  }
  per_head(state, text.size());
}
BENCHMARK(read_head)->ArgsProduct({{0, 1, 2}, {200, 500, 2'000, 8'000}});

void read_head_slowly(benchmark::State& state) {
  const std::string text = head_of(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(testing::read_head_slowly(text, "", 0));
  per_head(state, text.size());
}
BENCHMARK(read_head_slowly)->Arg(200)->Arg(500)->Arg(2'000)->Arg(8'000);

}  // namespace
}  // namespace surgegate::bench
