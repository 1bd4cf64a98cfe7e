// SPDX-License-Identifier: BSD-3-Clause
// The policy as a whole: its sections, and the files that it includes.
#include "config/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/check.h"
#include "config/parse_reader.h"
#include "config/words.h"

namespace surgegate::policy {
namespace {

void read_version(Reader& reader, const Node& node, Policy&) {
  if (node.kind != Node::Kind::scalar || node.text != "1")
    reader.report().fault(node.place, fmt::format("version {} is not known here", describe(node)),
                          "1");
}

constexpr Key<Defaults> defaults_keys[] = {
    {"mode", false,
     [](Reader& reader, const Node& node, Defaults& out) {
       reader.read(node, mode_words, out.mode);
     }},
    {"scope", false,
     [](Reader& reader, const Node& node, Defaults& out) {
       reader.read(node, scope_words, out.scope);
     }},
};
constexpr Grammar<Defaults> defaults_grammar = {"defaults", "the defaults", defaults_keys};

void read_defaults(Reader& reader, const Node& node, Policy& policy) {
  reader.map(node, defaults_grammar, policy.defaults);
}

template <void (*read_section)(Reader&, const Node&)>
void section(Reader& reader, const Node& node, Policy&) {
  read_section(reader, node);
}

// `include` is acted on before: the sections of all files are read together.
void skip(Reader&, const Node&, Policy&) {}

#define SECTIONS                                                                                  \
  {"clients", false, section<read_clients>}, {"lists", false, section<read_lists>},               \
      {"responses", false, section<read_responses>}, {"limits", false, section<read_limits>},     \
      {"signatures", false, section<read_signatures>},                                            \
      {"penalties", false, section<read_penalties>}, {"services", false, section<read_services>}, \
      {"overrides", false, section<read_overrides>}, {"pools", false, section<read_pools>},

constexpr Key<Policy> policy_keys[] = {{"version", true, read_version},
                                       {"include", false, skip},
                                       {"defaults", false, read_defaults},
                                       SECTIONS};
constexpr Grammar<Policy> policy_grammar = {"policy", "the policy", policy_keys};

// An included file has sections only: what holds for the whole policy stands in the policy itself.
constexpr Key<Policy> included_keys[] = {{"version", false, read_version}, SECTIONS};
constexpr Grammar<Policy> included_grammar = {"included", "an included file", included_keys};
#undef SECTIONS

const Node* value_of(const Node& map, std::string_view key) {
  for (const Entry& entry : map.entries)
    if (entry.key == key) return entry.value;
  return nullptr;
}

// Reads one YAML file; null after a fault, or where it is empty.
const Node* read_tree(Reader& reader, const std::string& path, const Place& named_at, Tree& tree) {
  auto content = reader.files().read(path, SG_POLICY_YAML_BYTES_MAX);
  auto index = content ? reader.add_file(path, named_at) : std::nullopt;
  if (!content)
    // The policy itself is named in front already; an include is named where it is asked for.
    reader.report().fault(named_at,
                          fmt::format("{}cannot be read: {}",
                                      named_at.line == 0 ? "" : quote(path) + " ", content.error()),
                          path == "-" ? "the name of a file: standard input is not read here" : "");
  if (!index || !tree.read(*content, *index, reader.nodes_left, reader.report())) {
    reader.has_all_names = false;
    return nullptr;
  }
  return tree.root();
}

// A key that nobody knows may be a section that was meant to declare names. Where it is clearly a
// typo for something else, the names are all there.
void note_unknown_sections(Reader& reader, const Node& root) {
  constexpr std::array<std::string_view, 4> nameless = {"version", "include", "defaults",
                                                        "overrides"};
  std::vector<std::string_view> known;
  for (const Key<Policy>& key : policy_keys) known.push_back(key.name);
  for (const Entry& entry : root.entries) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    const std::string meant = nearest_word(entry.key, known);
    if (std::find(nameless.begin(), nameless.end(), meant) != nameless.end()) continue;
    reader.has_all_names = false;
    return;
  }
}

std::vector<std::string> included_paths(Reader& reader, const Node& pattern) {
  auto text = reader.text(pattern, "a path or a pattern like lists.d/*.yaml");
  if (!text) return {};
  if (text->empty() || std::count(text->begin(), text->end(), '*') > SG_POLICY_GLOB_STARS_MAX) {
    reader.mismatch(pattern, fmt::format("a path or a pattern like lists.d/*.yaml with at most {} "
                                         "stars",
                                         SG_POLICY_GLOB_STARS_MAX));
    return {};
  }
  const std::string path = path_beside(reader.path(), *text);
  auto paths = reader.files().glob(path);
  if (!paths) {
    reader.report().fault(pattern.place,
                          fmt::format("{} cannot be read: {}", quote(path), paths.error()));
    return {};
  }
  if (paths->empty())
    reader.report().warn(pattern.place, fmt::format("{} names no file", quote(path)));
  return *paths;
}

// A file is included once, whatever patterns name it; the policy itself never.
void read_included(Reader& reader, const Node& include, std::deque<Tree>& trees,
                   std::vector<const Node*>& roots) {
  if (!reader.is_list(include, "a list of paths or patterns")) return;
  std::vector<std::string> seen = {reader.path()};
  for (const Node* pattern : include.items) {
    for (const std::string& path : included_paths(reader, *pattern)) {
      if (std::find(seen.begin(), seen.end(), path) != seen.end()) continue;
      if (seen.size() > SG_POLICY_FILES_MAX) return;
      seen.push_back(path);
      const Node* root = read_tree(reader, path, pattern->place, trees.emplace_back());
      if (root) roots.push_back(root);
    }
  }
}

void read_policy(Reader& reader) {
  std::deque<Tree> trees;
  const Node* root = read_tree(reader, reader.path(), {}, trees.emplace_back());
  if (!root) {
    if (reader.has_all_names) reader.report().fault({}, "the policy is empty", "version: 1");
    reader.has_all_names = false;
    return;
  }
  std::vector<const Node*> included;
  if (const Node* include = value_of(*root, "include"))
    read_included(reader, *include, trees, included);
  note_unknown_sections(reader, *root);
  reader.map(*root, policy_grammar, reader.policy());
  for (const Node* tree : included) {
    note_unknown_sections(reader, *tree);
    reader.map(*tree, included_grammar, reader.policy());
  }
}

}  // namespace

void describe_top(Language& language) {
  language.add(policy_grammar);
  language.add(included_grammar);
  language.add(defaults_grammar);
  language.add(mode_words);
  language.add(scope_words);
}

Language language() {
  Language language;
  describe_top(language);
  describe_lists(language);
  describe_responses(language);
  describe_limits(language);
  describe_signatures(language);
  describe_services(language);
  describe_routes(language);
  describe_pools(language);
  return language;
}

Parsed parse(std::string_view path, Files& files) {
  Parsed parsed;
  Reader reader(path, files, parsed.policy, parsed.findings);
  read_policy(reader);
  if (parsed.policy.files.empty()) parsed.policy.files.emplace_back(path);
  parsed.has_all_names = reader.has_all_names;
  sort_findings(parsed.findings);
  return parsed;
}

Parsed load(std::string_view path, Files& files) {
  Parsed parsed = parse(path, files);
  if (parsed.has_all_names) check(parsed.policy, parsed.findings);
  sort_findings(parsed.findings);
  return parsed;
}

}  // namespace surgegate::policy
