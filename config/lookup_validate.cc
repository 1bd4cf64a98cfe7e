// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "config/lookup_build.h"

namespace surgegate {
namespace {

using Fault = std::optional<std::string>;

Fault at_record(const char* what, uint64_t record) {
  return std::string(what) + std::to_string(record);
}

bool is_aligned(const void* records) {
  return reinterpret_cast<uintptr_t>(records) % 64 == 0;
}

// Follows every line that a root entry leads to. A line has one parent in what the builder makes;
// that is asked of foreign arrays too, or 65,536 root entries could share one tree of 4,000 lines.
class LineCheck {
 public:
  LineCheck(std::span<const sg_lookup_line> lines, size_t mask_count)
      : lines_(lines), mask_count_(mask_count) {}

  Fault check() {
    if (lines_.size() < SG_LOOKUP4_ROOT_LINES) return "the IPv4 lines do not hold a whole root";
    for (uint32_t slot = 0; slot < SG_LOOKUP4_ROOT_LINES * 16; slot++) {
      const uint32_t entry = lines_[slot / 16].root[slot % 16];
      const uint32_t levels = entry >> SG_LOOKUP4_LEVELS_SHIFT;
      if (levels > SG_LOOKUP4_LEVELS_MAX) return at_record("too many levels in root entry ", slot);
      if (levels == 0 && entry >= mask_count_) return at_record("no such mask: root entry ", slot);
      if (levels == 0) continue;
      if (Fault fault = check_line(entry & SG_LOOKUP4_LINE_MASK, levels)) return fault;
    }
    return {};
  }

 private:
  Fault check_line(uint64_t at, uint32_t levels) {
    if (at < SG_LOOKUP4_ROOT_LINES || at >= lines_.size()) {
      return at_record("an IPv4 line that is not there: ", at);
    }
    if (++visited_count_ > lines_.size()) return at_record("shared by two parents: IPv4 line ", at);
    return levels == 1 ? check_leaf(at) : check_index(at, levels);
  }

  Fault check_leaf(uint64_t at) {
    const sg_lookup4_leaf& leaf = lines_[at].leaf;
    for (const uint32_t value : leaf.value) {
      if (value >= mask_count_) return at_record("no such mask: IPv4 leaf ", at);
    }
    return {};
  }

  Fault check_index(uint64_t at, uint32_t levels) {
    const sg_lookup4_index& index = lines_[at].index;
    if (!std::is_sorted(std::begin(index.last_of), std::end(index.last_of))) {
      return at_record("keys not in order: IPv4 index line ", at);
    }
    const auto unused = std::find(std::begin(index.last_of), std::end(index.last_of), 0xffff);
    const uint64_t rank_max = static_cast<uint64_t>(unused - std::begin(index.last_of));
    for (uint64_t rank = 0; rank <= rank_max; rank++) {
      if (Fault fault = check_line(at + index.child_offset + rank, levels - 1)) return fault;
    }
    return {};
  }

  std::span<const sg_lookup_line> lines_;
  size_t mask_count_;
  size_t visited_count_ = 0;
};

Fault check_header(const sg_lookup_header& header, size_t bucket_count, size_t mask_count) {
  if (header.bucket_count == 0 || header.bucket_count != bucket_count) {
    return "the IPv6 header and the buckets disagree on their count";
  }
  if (header.default_value >= mask_count) return "no such mask: the IPv6 default";
  if (header.length_count > SG_LOOKUP6_LENGTHS_MAX) return "too many IPv6 prefix lengths";
  uint32_t shorter_bits = 0;
  for (uint32_t i = 0; i < header.length_count; i++) {
    if (header.length[i] <= shorter_bits || header.length[i] > 128) {
      return at_record("IPv6 prefix lengths not in order: number ", i);
    }
    shorter_bits = header.length[i];
  }
  return {};
}

Fault check_buckets(std::span<const sg_lookup_bucket> buckets, size_t mask_count) {
  for (size_t b = 0; b < buckets.size(); b++) {
    for (const uint32_t value : buckets[b].value) {
      if (value >= mask_count) return at_record("no such mask: IPv6 bucket ", b);
    }
  }
  return {};
}

}  // namespace

std::optional<std::string> validate_lookup(const LookupArrays& arrays) {
  if (arrays.header == nullptr) return "no IPv6 header";
  if (arrays.masks.empty() || arrays.masks.size() > SG_LIST_MASKS_MAX || arrays.masks[0] != 0) {
    return "the masks are none, too many, or do not start with the empty one";
  }
  if (!is_aligned(arrays.lines.data()) || !is_aligned(arrays.buckets.data())) {
    return "the lines or buckets are not aligned to 64 bytes";
  }
  const size_t mask_count = arrays.masks.size();
  if (Fault fault = LineCheck(arrays.lines, mask_count).check()) return fault;
  if (Fault fault = check_header(*arrays.header, arrays.buckets.size(), mask_count)) return fault;
  return check_buckets(arrays.buckets, mask_count);
}

}  // namespace surgegate
