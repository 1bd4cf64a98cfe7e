// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/http_scan.h"

#include <cstring>

#include "config/request_path.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace surgegate {
namespace {

constexpr size_t kinds = static_cast<size_t>(HttpChars::count);

constexpr bool belongs(uint8_t c, HttpChars kind) {
  const bool visible = c > 0x20 && c < 0x7f;
  switch (kind) {
    case HttpChars::token:
      return visible && std::string_view("\"(),/:;<=>?@[\\]{}").find(static_cast<char>(c)) ==
                            std::string_view::npos;
    case HttpChars::path:
      return is_path_char(static_cast<char>(c));
    case HttpChars::query:
      return visible && c != '#';
    default:
      return visible || c >= 0x80 || c == ' ' || c == '\t';
  }
}

using Table = std::array<uint8_t, 256>;

// Bit k: the byte belongs to kind k.
constexpr Table make_kinds_of() {
  Table table{};
  for (size_t c = 0; c < table.size(); c++)
    for (size_t k = 0; k < kinds; k++)
      if (belongs(static_cast<uint8_t>(c), static_cast<HttpChars>(k)))
        table[c] |= static_cast<uint8_t>(1u << k);
  return table;
}

constexpr Table kinds_of = make_kinds_of();

void scan_plain(const char* bytes, size_t count, ScanStops& stops) {
  stops.rows.fill(~0ull);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < kinds; k++)
      stops.rows[k] &= ~(uint64_t{kinds_of[static_cast<uint8_t>(bytes[i])] >> k & 1u} << i);
}

#ifdef __x86_64__

// ASCII is eight columns of sixteen. A byte's low half chooses in a row of the table of its kind,
// where bit h says whether the kind has the byte (h << 4 | low); its high half chooses that bit.
// (The method of Mula and Langdale.) Of the bytes beyond ASCII a kind has all or none: only value
// has them.
// A table is repeated over the whole vector, for shuffles look up within 16 bytes.
struct alignas(64) Nibbles {
  uint8_t of[64];
};

constexpr Nibbles make_low_nibbles(HttpChars kind) {
  Nibbles table{};
  for (uint8_t c = 0; c < 0x80; c++)
    for (size_t repeat = 0; belongs(c, kind) && repeat < 64; repeat += 16)
      table.of[repeat + (c & 15)] |= static_cast<uint8_t>(1u << (c >> 4));
  return table;
}

constexpr Nibbles make_high_nibbles() {
  Nibbles table{};
  for (size_t i = 0; i < 64; i++)
    if (i % 16 < 8) table.of[i] = static_cast<uint8_t>(1u << i % 16);
  return table;
}

constexpr std::array<Nibbles, kinds> low_nibbles = {
    make_low_nibbles(HttpChars::token), make_low_nibbles(HttpChars::path),
    make_low_nibbles(HttpChars::query), make_low_nibbles(HttpChars::value)};
constexpr Nibbles high_nibbles = make_high_nibbles();
constexpr size_t value_row = static_cast<size_t>(HttpChars::value);

__attribute__((target("avx2"))) void scan_avx2(const char* bytes, size_t count, ScanStops& stops) {
  alignas(32) char copy[scan_block_bytes];
  if (count < scan_block_bytes) {
    std::memset(copy, 0, sizeof(copy));  // NUL belongs to no kind: it stops all
    std::memcpy(copy, bytes, count);
    bytes = copy;
  }
  const __m256i low_half = _mm256_set1_epi8(0x0f);
  const __m256i columns = _mm256_load_si256(reinterpret_cast<const __m256i*>(&high_nibbles));
  stops.rows.fill(0);
  for (unsigned at = 0; at < scan_block_bytes; at += 32) {
    const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + at));
    const __m256i low = _mm256_and_si256(block, low_half);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(block, 4), low_half);
    const __m256i column = _mm256_shuffle_epi8(columns, high);
    for (size_t k = 0; k < kinds; k++) {
      const __m256i row = _mm256_load_si256(reinterpret_cast<const __m256i*>(&low_nibbles[k]));
      const __m256i has = _mm256_and_si256(_mm256_shuffle_epi8(row, low), column);
      const __m256i none = _mm256_cmpeq_epi8(has, _mm256_setzero_si256());
      stops.rows[k] |= uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(none))} << at;
    }
    stops.rows[value_row] &= ~(uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(block))} << at);
  }
}

__attribute__((target("avx512f,avx512bw"))) void scan_avx512(const char* bytes, size_t count,
                                                             ScanStops& stops) {
  const __mmask64 there = ~0ull >> (scan_block_bytes - count);
  const __m512i block = _mm512_maskz_loadu_epi8(there, bytes);
  const __m512i low_half = _mm512_set1_epi8(0x0f);
  const __m512i columns = _mm512_load_si512(&high_nibbles);
  const __m512i low = _mm512_and_si512(block, low_half);
  const __m512i high = _mm512_and_si512(_mm512_srli_epi16(block, 4), low_half);
  const __m512i column = _mm512_shuffle_epi8(columns, high);
  for (size_t k = 0; k < kinds; k++) {
    const __m512i row = _mm512_load_si512(&low_nibbles[k]);
    stops.rows[k] = ~_mm512_test_epi8_mask(_mm512_shuffle_epi8(row, low), column);
  }
  stops.rows[value_row] &= ~_mm512_movepi8_mask(block);
}

#endif

const std::array all_scanners = {
    Scanner{"plain", true, scan_plain},
#ifdef __x86_64__
    Scanner{"avx2", __builtin_cpu_supports("avx2") != 0, scan_avx2},
    Scanner{"avx512", __builtin_cpu_supports("avx512bw") != 0, scan_avx512},
#endif
};

ScanBlock widest() {
  ScanBlock best = scan_plain;
  for (const Scanner& scanner : all_scanners)
    if (scanner.is_supported) best = scanner.scan;
  return best;
}

}  // namespace

bool is_http_char(char c, HttpChars kind) {
  return (kinds_of[static_cast<uint8_t>(c)] >> static_cast<size_t>(kind) & 1) != 0;
}

std::span<const Scanner> scanners() {
  return all_scanners;
}

const ScanBlock scan_block = widest();

}  // namespace surgegate
