// SPDX-License-Identifier: BSD-3-Clause
#include "config/parse_reader.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "config/words.h"

namespace surgegate::policy {
namespace {

// The word of which `text` is the beginning of "word:value", for want of a blank; else none.
std::string_view word_without_blank(std::string_view text,
                                    std::span<const std::string_view> words) {
  const std::string_view word = text.substr(0, std::min(text.find(':'), text.size()));
  const bool is_word =
      word.size() < text.size() && std::find(words.begin(), words.end(), word) != words.end();
  return is_word ? word : std::string_view();
}

// "pool:web" as YAML has it: "pool: web".
std::string with_blank(std::string_view text, std::string_view word) {
  return fmt::format("{}: {}", word, text.substr(word.size() + 1));
}

}  // namespace

void Reader::fault(const Place& place, Misread misread) {
  report_.fault(place, std::move(misread.what), std::move(misread.expected),
                std::move(misread.nearest));
}

void Reader::mismatch(const Node& node, std::string_view wanted) {
  const bool is_empty = node.kind == Node::Kind::null && &node == value_.node;
  report_.fault(node.place,
                is_empty ? fmt::format("{} has no value", quote(value_.key))
                         : fmt::format("{} does not fit here", describe(node)),
                std::string(wanted));
}

bool Reader::is_map(const Node& node, std::string_view wanted) {
  if (node.kind == Node::Kind::map) return true;
  mismatch(node, wanted);
  return false;
}

bool Reader::is_list(const Node& node, std::string_view wanted) {
  if (node.kind == Node::Kind::list) return true;
  mismatch(node, wanted);
  return false;
}

std::optional<uint64_t> Reader::integer(const Node& node, uint64_t min, uint64_t max) {
  if (node.kind != Node::Kind::scalar) {
    mismatch(node, fmt::format("a number from {} to {}", min, max));
    return std::nullopt;
  }
  auto value = parse_integer(node.text, min, max);
  if (value) return *value;
  fault(node.place, value.error());
  return std::nullopt;
}

std::optional<std::string> Reader::text(const Node& node, std::string_view wanted) {
  if (node.kind != Node::Kind::scalar) {
    mismatch(node, wanted);
    return std::nullopt;
  }
  if (node.text.size() <= SG_POLICY_TEXT_BYTES_MAX) return node.text;
  report_.fault(node.place, fmt::format("a text of {} bytes", node.text.size()),
                fmt::format("at most {} bytes", SG_POLICY_TEXT_BYTES_MAX));
  return std::nullopt;
}

std::optional<Name> Reader::name(const Node& node) {
  auto value = scalar(node, parse_name);
  if (!value) return std::nullopt;
  return Name{std::move(*value), node.place};
}

std::vector<Name> Reader::names(const Node& node, std::string_view wanted) {
  std::vector<Name> names;
  std::unordered_set<std::string_view> seen;
  if (!is_list(node, wanted)) return names;
  for (const Node* item : node.items) {
    auto name = this->name(*item);
    if (!name) continue;
    if (!seen.insert(item->text).second)
      report_.fault(name->place, fmt::format("{} stands in this list already", quote(name->value)));
    else
      names.push_back(std::move(*name));
  }
  return names;
}

std::optional<Name> Reader::response(const Node& node) {
  const bool is_number = node.kind == Node::Kind::scalar && !node.text.empty() &&
                         node.text[0] >= '0' && node.text[0] <= '9';
  if (!is_number) return name(node);
  if (!scalar(node, parse_status)) return std::nullopt;
  return Name{node.text, node.place};
}

std::string Reader::advice(std::string_view word, std::span<const std::string_view> words) const {
  return faults() < SG_POLICY_ADVISED_FAULTS_MAX ? nearest_word(word, words) : std::string();
}

void Reader::not_a_word(const Node& node, std::string_view title,
                        std::span<const std::string_view> words, std::string_view besides,
                        std::span<const Meant> meant) {
  const std::string expected =
      besides.empty() ? one_of(words) : fmt::format("{}, {}", one_of(words), besides);
  if (node.kind != Node::Kind::scalar) return mismatch(node, expected);
  std::string what = fmt::format("{} is not {}", quote(node.text), title);
  const auto wanted = std::find_if(meant.begin(), meant.end(), [&](const Meant& other) {
    return other.text == lower_case(node.text);
  });
  if (wanted == meant.end())
    return report_.fault(node.place, std::move(what), expected, advice(node.text, words));
  report_.fault(node.place, fmt::format("{}: {}", what, wanted->why), expected,
                std::string(wanted->word));
}

void Reader::unknown_key(const Entry& entry, std::string_view title,
                         std::span<const std::string_view> words) {
  if (const auto word = word_without_blank(entry.key, words); !word.empty())
    report_.fault(entry.place, fmt::format("{} lacks a blank behind its colon", quote(entry.key)),
                  with_blank(entry.key, word));
  else
    report_.fault(entry.place, fmt::format("unknown key {} in {}", quote(entry.key), title),
                  one_of(words), advice(entry.key, words));
}

std::vector<const Node*> Reader::values_by_key(const Node& node, std::string_view title,
                                               std::span<const KeyShape> keys) {
  std::vector<const Node*> values(keys.size(), nullptr);
  std::vector<std::string_view> words;
  for (const KeyShape& key : keys) words.push_back(key.name);
  if (node.kind == Node::Kind::scalar)
    if (const auto word = word_without_blank(node.text, words); !word.empty()) {
      report_.fault(node.place, fmt::format("{} lacks a blank behind its colon", quote(node.text)),
                    with_blank(node.text, word));
      return values;
    }
  const std::string wanted = fmt::format("{}: a map with {}", title, fmt::join(words, ", "));
  if (!is_map(node, wanted)) return values;
  std::vector<bool> is_there(keys.size(), false);
  for (const Entry& entry : node.entries) {
    const auto known = std::find(words.begin(), words.end(), entry.key);
    const auto meant = std::find(words.begin(), words.end(), word_without_blank(entry.key, words));
    if (meant != words.end()) is_there[static_cast<size_t>(meant - words.begin())] = true;
    if (known == words.end())
      unknown_key(entry, title, words);
    else
      values[static_cast<size_t>(known - words.begin())] = entry.value;
  }
  const bool is_thing = &node == value_.node && !value_.kind.empty();
  const std::string whose =
      is_thing ? fmt::format("{} {}", value_.kind, quote(value_.key)) : std::string(title);
  for (size_t i = 0; i < keys.size(); i++)
    if (keys[i].is_required && !values[i] && !is_there[i])
      report_.fault(node.place, fmt::format("{} lacks its key `{}`", whose, keys[i].name));
  return values;
}

bool Reader::declared_name(const Entry& entry, Name& out) {
  auto name = parse_name(entry.key);
  out.place = entry.place;
  if (name) {
    out.value = std::move(*name);
    return true;
  }
  has_all_names = false;
  fault(entry.place, name.error());
  return false;
}

void Reader::claim(std::string_view kind, const Name& name) {
  auto [first, is_new] = claimed_.try_emplace(fmt::format("{} {}", kind, name.value), name.place);
  if (is_new) return;
  report_.fault(
      name.place,
      fmt::format("{} {} is written twice: the first is in {}, line {}", kind, quote(name.value),
                  quote(policy_.files[first->second.file]), first->second.line),
      "a name of its own");
}

std::optional<uint32_t> Reader::add_file(const std::string& path, const Place& place) {
  const auto index = static_cast<uint32_t>(policy_.files.size());
  auto [known, is_new] = file_indices_.try_emplace(path, index);
  if (!is_new) return known->second;
  if (index >= SG_POLICY_FILES_MAX) {
    report_.fault(place, fmt::format("the policy names more than {} files", SG_POLICY_FILES_MAX));
    file_indices_.erase(known);
    return std::nullopt;
  }
  policy_.files.push_back(path);
  return index;
}

std::optional<Reader::File> Reader::file(const Node& node, size_t bytes_max) {
  auto name = text(node, "the name of a file");
  if (!name) return std::nullopt;
  if (name->empty()) {
    mismatch(node, "the name of a file, relative to the policy's folder");
    return std::nullopt;
  }
  File file;
  file.path = path_beside(path_, *name);
  auto content = files_.read(file.path, bytes_max);
  if (!content) {
    report_.fault(node.place,
                  fmt::format("{} cannot be read: {}", quote(file.path), content.error()));
    return std::nullopt;
  }
  auto index = add_file(file.path, node.place);
  if (!index) return std::nullopt;
  file.index = *index;
  file.content = std::move(*content);
  return file;
}

}  // namespace surgegate::policy
