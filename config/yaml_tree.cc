// SPDX-License-Identifier: BSD-3-Clause
#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "config/limits.h"
#include "config/utf8.h"
#include "config/yaml_slips.h"

namespace surgegate::policy {

// Reading cannot go on; the report already says why.
struct Stop {};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(Tree& tree, uint32_t file, uint64_t& nodes_left, Report& report)
      : tree_(tree), file_(file), nodes_left_(nodes_left), report_(report) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (has_document_) stop(place_of(mark), "a second YAML document", "one document in one file");
    has_document_ = true;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node& node = add_node(Node::Kind::null, mark, anchor);
    // An empty value has no place of its own: yaml-cpp tells that of whatever comes next.
    if (pending_key()) node.place = open_.back().key->place;
    finish(node);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node& node = add_node(Node::Kind::scalar, mark, anchor);
    node.text = value;
    // `!192.0.2.7`: it is told as a tag, and read on as what was meant.
    if (check_tag(node.place, tag) && value.empty()) node.text = tag;
    is_plain_ = tag == "?";
    finish(node);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto anchored = anchors_.find(anchor);
    if (anchored == anchors_.end()) stop(place_of(mark), "an alias to an unknown anchor", "");
    const Node* node = anchored->second;
    const bool is_open = std::any_of(open_.begin(), open_.end(),
                                     [&](const Open& open) { return open.node == node; });
    if (is_open) stop(place_of(mark), "an alias inside the value that it stands for", "");
    take(node->node_count, place_of(mark));
    is_plain_ = false;
    finish(*node);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(add_node(Node::Kind::list, mark, anchor), tag);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(add_node(Node::Kind::map, mark, anchor), tag);
  }
  void OnMapEnd() override {
    unite(*open_.back().node);
    close();
  }

 private:
  struct Key {
    std::string text;
    Place place;
    bool is_merge = false;
    bool is_usable = true;
  };
  // A list or map whose end was not seen yet.
  struct Open {
    Node* node;
    std::optional<Key> key;                // of a map, between a key and its value
    std::vector<const Node*> merged = {};  // of a map, in the order in which they win
  };

  Place place_of(const YAML::Mark& mark) const {
    if (mark.is_null()) return {file_, 0, 0};
    return {file_, static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
  }

  [[noreturn]] void stop(const Place& place, std::string what, std::string expected) {
    report_.fault(place, std::move(what), std::move(expected));
    throw Stop{};
  }

  void take(uint64_t count, const Place& place) {
    if (count > nodes_left_)
      stop(place, fmt::format("the policy has more than {} values", SG_POLICY_NODES_MAX),
           "large lists in files of their own (`file: ...`)");
    nodes_left_ -= count;
  }

  Node& add_node(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    take(1, place_of(mark));
    Node& node = tree_.nodes_.emplace_back();
    node.kind = kind;
    node.place = place_of(mark);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = &node;
    return node;
  }

  // True after a fault.
  bool check_tag(const Place& place, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return false;
    report_.fault(place, fmt::format("{} is a YAML tag, and the policy has none", quote(tag)),
                  "quotes around a value that starts with `!`");
    return true;
  }

  void open(Node& node, const std::string& tag) {
    check_tag(node.place, tag);
    if (open_.size() >= SG_POLICY_DEPTH_MAX)
      stop(node.place, fmt::format("nested deeper than {} levels", SG_POLICY_DEPTH_MAX), "");
    open_.push_back({&node, std::nullopt});
  }

  void close() {
    const Node& node = *open_.back().node;
    open_.pop_back();
    is_plain_ = false;
    finish(node);
  }

  bool pending_key() const { return !open_.empty() && open_.back().key.has_value(); }

  // A whole value: it goes into what is open.
  void finish(const Node& node) {
    if (open_.empty()) {
      tree_.root_ = &node;
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == Node::Kind::list) {
      parent.node->items.push_back(&node);
      parent.node->node_count += node.node_count;
    } else if (!parent.key) {
      parent.key = key_of(node);
    } else {
      add_entry(parent, node);
    }
  }

  Key key_of(const Node& node) {
    Key key{node.text, node.place, is_plain_ && node.text == "<<", true};
    if (node.kind == Node::Kind::scalar) return key;
    report_.fault(node.place, fmt::format("{} as a key", describe(node)), "a word");
    key.is_usable = false;
    return key;
  }

  void add_entry(Open& parent, const Node& node) {
    Key key = std::move(*parent.key);
    parent.key.reset();
    if (key.is_merge) return add_merged(parent, key.place, node);
    if (!key.is_usable) return;
    parent.node->entries.push_back({std::move(key.text), key.place, &node});
    parent.node->node_count += node.node_count;
  }

  void add_merged(Open& parent, const Place& place, const Node& node) {
    const bool is_list = node.kind == Node::Kind::list;
    const auto items = is_list ? node.items : std::vector<const Node*>{&node};
    for (const Node* item : items) {
      if (item->kind == Node::Kind::map)
        parent.merged.push_back(item);
      else
        report_.fault(place, fmt::format("`<<` with {}", describe(*item)),
                      "an alias of a map, or a list of such");
    }
  }

  // A key written twice is a fault; then come the merged maps, each with the keys not yet there.
  void unite(Node& node) {
    std::unordered_map<std::string, Place> seen;
    std::vector<Entry> entries;
    for (Entry& entry : node.entries) {
      auto [first, is_new] = seen.try_emplace(entry.key, entry.place);
      if (is_new)
        entries.push_back(std::move(entry));
      else
        report_.fault(entry.place,
                      fmt::format("key {} is written twice: the first is at line {}, "
                                  "column {}",
                                  quote(entry.key), first->second.line, first->second.column));
    }
    for (const Node* merged : open_.back().merged) {
      take(merged->entries.size(), node.place);
      for (const Entry& entry : merged->entries) {
        if (!seen.try_emplace(entry.key, entry.place).second) continue;
        entries.push_back(entry);
        node.node_count += entry.value->node_count;
      }
    }
    node.entries = std::move(entries);
  }

  Tree& tree_;
  uint32_t file_;
  uint64_t& nodes_left_;
  Report& report_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, const Node*> anchors_;
  bool has_document_ = false;
  bool is_plain_ = false;  // of the scalar just seen: written without quotes
};

namespace {

// YAML's characters, before yaml-cpp sees them: it takes U+0004 for the end of the file, and what
// is not UTF-8 for something else.
bool check_characters(std::string_view text, uint32_t file, Report& report) {
  Place place{file, 1, 1};
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_length(text.substr(i, 4));
    const bool is_control =
        (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
    if (length == 0 || is_control) {
      report.fault(place, fmt::format("byte 0x{:02x} does not belong into a policy", byte),
                   "text in UTF-8");
      return false;
    }
    i += length;
    place.column += static_cast<uint32_t>(length);
    if (byte == '\n') place = {file, place.line + 1, 1};
  }
  return true;
}

// What is probably wrong, or else what yaml-cpp says.
void tell(const YAML::Exception& error, std::string_view text, uint32_t file, Report& report) {
  const bool has_place = !error.mark.is_null();
  if (has_place)
    if (auto slip = slip_at(text, static_cast<size_t>(error.mark.line), error.msg))
      return report.fault({file, slip->line, slip->column}, std::move(slip->what),
                          std::move(slip->expected));
  report.fault({file, has_place ? static_cast<uint32_t>(error.mark.line + 1) : 0,
                has_place ? static_cast<uint32_t>(error.mark.column + 1) : 0},
               fmt::format("this is not YAML: {}", error.msg),
               "YAML, in which a value with special characters stands in quotes");
}

}  // namespace

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return quote(node.text);
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "nothing";
}

bool Tree::read(std::string_view text, uint32_t file, uint64_t& nodes_left, Report& report) {
  if (!check_characters(text, file, report)) return false;
  TreeBuilder builder(*this, file, nodes_left, report);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return true;
  } catch (const Stop&) {
    return false;
  } catch (const YAML::Exception& error) {
    tell(error, text, file, report);
    return false;
  }
}

}  // namespace surgegate::policy
