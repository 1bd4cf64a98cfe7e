// SPDX-License-Identifier: BSD-3-Clause
// Where runs of characters end in a request head: 64 bytes at a time, by the widest vectors that
// this processor has. What stands in those runs is read in http_head.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace surgegate {

// What a byte may be part of. One row of ScanStops each.
enum class HttpChars : uint8_t {
  token,  // RFC 9110 section 5.6.2
  path,   // config/request_path.h
  query,  // visible ASCII but '#': API clients and old links encode little
  value,  // RFC 9110 section 5.5: visible, obs-text, SP, HTAB
  count
};

bool is_http_char(char c, HttpChars kind);

inline constexpr size_t scan_block_bytes = 64;

// Bit i of a row: byte i of the block does not belong to its kind, or the block ends before it.
struct ScanStops {
  std::array<uint64_t, static_cast<size_t>(HttpChars::count)> rows;

  uint64_t of(HttpChars kind) const { return rows[static_cast<size_t>(kind)]; }
};

// Scans bytes[0 .. count), 1 <= count <= scan_block_bytes, and reads nothing else.
using ScanBlock = void (*)(const char* bytes, size_t count, ScanStops& stops);

// The same three times. The first is the plain one, which the others are held to.
struct Scanner {
  std::string_view name;
  bool is_supported;  // by this processor
  ScanBlock scan;
};
std::span<const Scanner> scanners();

// The widest that is supported; found out once, before main().
extern const ScanBlock scan_block;

}  // namespace surgegate
