// SPDX-License-Identifier: BSD-3-Clause
// YAML text as a tree in which every value knows its place.
//
// What YAML offers beyond plain data: an alias stands for the anchored value, and keeps that
// value's place; `<<` merges one map or a list of maps into the map it stands in, whose own keys
// win; a tag is a fault (`!192.0.2.7` without quotes is one, and would be an empty text); a key
// written twice is a fault; one file is one document.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "config/findings.h"
#include "config/model.h"

namespace surgegate::policy {

struct Node;

struct Entry {
  std::string key;
  Place place;  // of the key
  const Node* value = nullptr;
};

struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  Place place;
  std::string text;                // scalar
  std::vector<const Node*> items;  // list
  std::vector<Entry> entries;      // map, each key once
  uint64_t node_count = 1;         // of the tree from here, aliases expanded
};

// "a map", "a list", "nothing", or the scalar in backquotes.
std::string describe(const Node& node);

class Tree {
 public:
  // Reads one file. nodes_left: how many nodes the policy may still have; what was read is taken
  // off. False after a fault that leaves nothing to read on: what is no YAML, or too much of it.
  bool read(std::string_view text, uint32_t file, uint64_t& nodes_left, Report& report);

  // Null while nothing was read or the file is empty.
  const Node* root() const { return root_; }

 private:
  std::deque<Node> nodes_;
  const Node* root_ = nullptr;

  friend class TreeBuilder;
};

}  // namespace surgegate::policy
