// SPDX-License-Identifier: BSD-3-Clause
// IPv4: rulings to runs of addresses, runs to one search tree per /16.
#include <algorithm>
#include <array>

#include "config/lookup_parts.h"

namespace surgegate::lookup {
namespace {

constexpr uint32_t address_bits_before_ipv4 = 96;
constexpr uint32_t slot_count = 1u << 16;

// Addresses after the run before, up to and including last.
struct Run {
  uint32_t last = 0;
  uint16_t value = 0;
};

class RunList {
 public:
  // Gives value to all addresses from where the list ends up to, not including, end.
  void extend(uint64_t end, uint16_t value) {
    if (end <= next_) return;
    next_ = end;
    if (!runs_.empty() && runs_.back().value == value) {
      runs_.back().last = static_cast<uint32_t>(end - 1);
    } else {
      runs_.push_back({static_cast<uint32_t>(end - 1), value});
    }
  }
  std::vector<Run> take() { return std::move(runs_); }

 private:
  std::vector<Run> runs_;
  uint64_t next_ = 0;
};

// Covers the whole address space.
std::vector<Run> runs_of(std::span<const Ruling> rulings, MaskTable& masks) {
  struct Open {
    uint64_t end;
    uint16_t value;
  };
  std::vector<Open> open{{1ull << 32, 0}};
  RunList runs;
  const auto close = [&] {
    runs.extend(open.back().end, open.back().value);
    open.pop_back();
  };
  for (const Ruling& ruling : rulings) {
    const uint64_t first = static_cast<uint32_t>(ruling.lo);
    const uint32_t length_bits = ruling.length_bits - address_bits_before_ipv4;
    while (open.back().end <= first) close();
    runs.extend(first, open.back().value);
    open.push_back({first + (1ull << (32 - length_bits)), masks.intern(ruling.mask)});
  }
  while (!open.empty()) close();
  return runs.take();
}

// A run within one /16, by the lower 16 bits.
struct Piece {
  uint16_t last = 0;
  uint16_t value = 0;
};

void write_leaf(std::span<const Piece> pieces, sg_lookup4_leaf& leaf) {
  leaf = {};
  std::fill(std::begin(leaf.last_of), std::end(leaf.last_of), uint16_t{0xffff});
  for (size_t i = 0; i < pieces.size(); i++) {
    if (i + 1 < pieces.size()) leaf.last_of[i] = pieces[i].last;
    leaf.value[i] = pieces[i].value;
  }
}

// lasts: the last key of each child.
void write_index(std::span<const uint16_t> lasts, size_t child_offset, sg_lookup4_index& index) {
  index.child_offset = static_cast<uint16_t>(child_offset);
  std::fill(std::begin(index.last_of), std::end(index.last_of), uint16_t{0xffff});
  std::copy(lasts.begin(), lasts.end() - 1, index.last_of);
}

constexpr size_t divided_up(size_t count, size_t by) {
  return (count + by - 1) / by;
}

// Appends the tree over pieces (at least two), its levels top down; returns its root entry.
uint32_t add_tree(std::span<const Piece> pieces, std::vector<sg_lookup_line>& lines) {
  std::vector<size_t> line_count{divided_up(pieces.size(), SG_LOOKUP4_LEAF_RUNS)};  // leaves first
  size_t total_count = line_count[0];
  while (line_count.back() > 1) {
    line_count.push_back(divided_up(line_count.back(), SG_LOOKUP4_INDEX_CHILDREN));
    total_count += line_count.back();
  }
  const size_t first = lines.size();
  lines.resize(first + total_count);

  std::vector<uint16_t> lasts;  // of the level written last
  size_t level_first = lines.size() - line_count[0];
  for (size_t i = 0; i < line_count[0]; i++) {
    const size_t from = i * SG_LOOKUP4_LEAF_RUNS;
    const auto part =
        pieces.subspan(from, std::min<size_t>(SG_LOOKUP4_LEAF_RUNS, pieces.size() - from));
    write_leaf(part, lines[level_first + i].leaf);
    lasts.push_back(part.back().last);
  }
  for (size_t level = 1; level < line_count.size(); level++) {
    const size_t child_level_first = level_first;
    level_first -= line_count[level];
    std::vector<uint16_t> own_lasts;
    for (size_t i = 0; i < line_count[level]; i++) {
      const size_t from = i * SG_LOOKUP4_INDEX_CHILDREN;
      const auto children = std::span<const uint16_t>(lasts).subspan(
          from, std::min<size_t>(SG_LOOKUP4_INDEX_CHILDREN, lasts.size() - from));
      write_index(children, child_level_first + from - (level_first + i),
                  lines[level_first + i].index);
      own_lasts.push_back(children.back());
    }
    lasts = std::move(own_lasts);
  }
  return static_cast<uint32_t>(line_count.size() << SG_LOOKUP4_LEVELS_SHIFT | first);
}

}  // namespace

std::vector<sg_lookup_line> build_lines(std::span<const Ruling> rulings, MaskTable& masks) {
  const std::vector<Run> runs = runs_of(rulings, masks);
  std::vector<sg_lookup_line> lines(SG_LOOKUP4_ROOT_LINES);
  std::vector<Piece> pieces;
  size_t at = 0;
  for (uint32_t slot = 0; slot < slot_count; slot++) {
    const uint32_t slot_last = slot << 16 | 0xffff;
    pieces.clear();
    for (; runs[at].last < slot_last; at++) {
      pieces.push_back({static_cast<uint16_t>(runs[at].last), runs[at].value});
    }
    pieces.push_back({0xffff, runs[at].value});
    if (runs[at].last == slot_last && slot + 1 < slot_count) at++;
    const uint32_t entry = pieces.size() == 1 ? pieces[0].value : add_tree(pieces, lines);
    lines[slot / 16].root[slot % 16] = entry;
  }
  return lines;
}

}  // namespace surgegate::lookup
