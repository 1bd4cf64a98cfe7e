// SPDX-License-Identifier: BSD-3-Clause
// What the parts of the parser share: the tables of keys and words that are the language, and the
// reading of maps, lists and scalars by them. Internal to parse*.cc and to the test that holds
// policy.schema.json to these tables.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/files.h"
#include "config/findings.h"
#include "config/limits.h"
#include "config/model.h"
#include "config/parse_scalars.h"
#include "config/yaml_tree.h"

namespace surgegate::policy {

class Reader;

// A key of a map that becomes a T. Keys are read in the order of their table, wherever they stand.
template <class T>
struct Key {
  std::string_view name;
  bool is_required = false;
  void (*read)(Reader& reader, const Node& value, T& out) = nullptr;
};

// name: of the definition in policy.schema.json. title: in a finding, "a limit".
template <class T>
struct Grammar {
  std::string_view name;
  std::string_view title;
  std::span<const Key<T>> keys;
};

template <class E>
struct Word {
  std::string_view text;
  E value;
};

// A word that many would write, which is none, the one that they want, and why: said behind a
// colon.
struct Meant {
  std::string_view text;  // lower case
  std::string_view word;
  std::string_view why;
};

template <class E>
struct Vocabulary {
  std::string_view name;
  std::string_view title;  // "a protocol"
  std::span<const Word<E>> words;
  std::string_view besides = {};  // what may stand there and is no word, as an expectation tells it
  std::span<const Meant> meant = {};
};

// The language as data.
struct KeyShape {
  std::string_view name;
  bool is_required;
};
struct MapShape {
  std::string_view name;
  std::vector<KeyShape> keys;
};
struct WordsShape {
  std::string_view name;
  std::vector<std::string_view> words;
};
struct Language {
  std::vector<MapShape> maps;
  std::vector<WordsShape> vocabularies;

  template <class T>
  void add(const Grammar<T>& grammar) {
    MapShape& shape = maps.emplace_back(MapShape{grammar.name, {}});
    for (const Key<T>& key : grammar.keys) shape.keys.push_back({key.name, key.is_required});
  }
  template <class E>
  void add(const Vocabulary<E>& vocabulary) {
    WordsShape& shape = vocabularies.emplace_back(WordsShape{vocabulary.name, {}});
    for (const Word<E>& word : vocabulary.words) shape.words.push_back(word.text);
  }
};

// One policy being read. Everything that reads goes through it, so that places, maxima and findings
// are in one hand.
class Reader {
 public:
  Reader(std::string_view path, Files& files, Policy& policy, std::vector<Finding>& findings)
      : path_(path), files_(files), policy_(policy), report_(findings) {}

  Report& report() { return report_; }
  Policy& policy() { return policy_; }
  Files& files() { return files_; }
  const std::string& path() const { return path_; }

  uint64_t nodes_left = SG_POLICY_NODES_MAX;
  uint64_t cidrs_left = SG_POLICY_CIDRS_MAX;
  uint64_t keys_left = SG_POLICY_KEYS_MAX;
  uint64_t patterns_left = SG_POLICY_PATTERNS_MAX;

  // See Parsed::has_all_names.
  bool has_all_names = true;

  void fault(const Place& place, Misread misread);

  // A fault "FOUND instead of WANTED".
  void mismatch(const Node& node, std::string_view wanted);

  // False after a fault.
  bool is_map(const Node& node, std::string_view wanted);
  bool is_list(const Node& node, std::string_view wanted);

  // The value of a scalar, or nothing after a fault.
  template <class T>
  std::optional<T> scalar(const Node& node, Scalar<T> (*parse)(std::string_view)) {
    // What is expected is what the parser of scalars says of a text that has nothing in it.
    if (node.kind != Node::Kind::scalar) {
      mismatch(node, parse({}).error().expected);
      return std::nullopt;
    }
    Scalar<T> value = parse(node.text);
    if (value) return std::move(*value);
    fault(node.place, value.error());
    return std::nullopt;
  }

  template <class T>
  void read(const Node& node, Scalar<T> (*parse)(std::string_view), T& out) {
    if (auto value = scalar(node, parse)) out = std::move(*value);
  }

  template <class T>
  void read(const Node& node, Scalar<T> (*parse)(std::string_view), Placed<T>& out) {
    out.place = node.place;
    read(node, parse, out.value);
  }

  std::optional<uint64_t> integer(const Node& node, uint64_t min, uint64_t max);

  // A text of at most SG_POLICY_TEXT_BYTES_MAX.
  std::optional<std::string> text(const Node& node, std::string_view wanted);

  // A name where something is referred to.
  std::optional<Name> name(const Node& node);
  std::vector<Name> names(const Node& node, std::string_view wanted);

  // The name of a response, or a bare status.
  std::optional<Name> response(const Node& node);

  template <class E>
  std::optional<E> word(const Node& node, const Vocabulary<E>& vocabulary) {
    std::vector<std::string_view> words;
    for (const Word<E>& word : vocabulary.words) {
      if (node.kind == Node::Kind::scalar && word.text == node.text) return word.value;
      words.push_back(word.text);
    }
    not_a_word(node, vocabulary.title, words, vocabulary.besides, vocabulary.meant);
    return std::nullopt;
  }

  template <class E>
  void read(const Node& node, const Vocabulary<E>& vocabulary, E& out) {
    if (auto value = word(node, vocabulary)) out = *value;
  }

  template <class E>
  void read(const Node& node, const Vocabulary<E>& vocabulary, Placed<E>& out) {
    out.place = node.place;
    read(node, vocabulary, out.value);
  }

  // Reads a map by its grammar; true if that gave no fault.
  template <class T>
  bool map(const Node& node, const Grammar<T>& grammar, T& out) {
    const size_t faults_before = faults();
    std::vector<KeyShape> keys;
    for (const Key<T>& key : grammar.keys) keys.push_back({key.name, key.is_required});
    const std::vector<const Node*> values = values_by_key(node, grammar.title, keys);
    for (size_t i = 0; i < values.size(); i++) {
      if (!values[i]) continue;
      const Reading reading(value_, {values[i], {}, grammar.keys[i].name});
      grammar.keys[i].read(*this, *values[i], out);
    }
    return faults() == faults_before;
  }

  // Reads a map of named things: `read_one` fills one from its value.
  template <class T>
  void named(const Node& node, std::string_view kind, std::vector<T>& out,
             void (*read_one)(Reader& reader, const Node& value, T& out)) {
    if (!is_map(node, std::string("a map of names, each with a ").append(kind))) return;
    for (const Entry& entry : node.entries) {
      T item;
      if (!declared_name(entry, item.name)) continue;
      const Reading reading(value_, {entry.value, kind, entry.key});
      read_one(*this, *entry.value, item);
      out.push_back(std::move(item));
    }
  }

  // The same for a section of the policy, which may go on in another file. Empty is allowed, so
  // that the last entry can be commented out.
  template <class T>
  void section(const Node& node, std::string_view kind, std::vector<T>& out,
               void (*read_one)(Reader& reader, const Node& value, T& out)) {
    if (node.kind == Node::Kind::null) return;
    if (node.kind != Node::Kind::map) has_all_names = false;
    const size_t first = out.size();
    named(node, kind, out, read_one);
    for (size_t i = first; i < out.size(); i++) claim(kind, out[i].name);
  }

  // The index in Policy::files of a file that the policy names; nothing after a fault at place
  // (there are too many files).
  std::optional<uint32_t> add_file(const std::string& path, const Place& place);

  // The content of a data file, named by the scalar `node`, and its index; nothing after a fault.
  struct File {
    uint32_t index = 0;
    std::string path;
    std::string content;
  };
  std::optional<File> file(const Node& node, size_t bytes_max);

  size_t faults() const { return report_.fault_count(); }

 private:
  // The value that is being read and its key; `kind` where that names a thing, "limit".
  struct Value {
    const Node* node = nullptr;
    std::string_view kind;
    std::string_view key;
  };
  class Reading {
   public:
    Reading(Value& at, const Value& value) : at_(at), before_(std::exchange(at, value)) {}
    ~Reading() { at_ = before_; }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    Value& at_;
    Value before_;
  };

  std::string advice(std::string_view word, std::span<const std::string_view> words) const;
  void not_a_word(const Node& node, std::string_view title, std::span<const std::string_view> words,
                  std::string_view besides, std::span<const Meant> meant);
  std::vector<const Node*> values_by_key(const Node& node, std::string_view title,
                                         std::span<const KeyShape> keys);
  void unknown_key(const Entry& entry, std::string_view title,
                   std::span<const std::string_view> words);
  bool declared_name(const Entry& entry, Name& out);
  void claim(std::string_view kind, const Name& name);

  std::string path_;
  Files& files_;
  Policy& policy_;
  Report report_;
  Value value_;
  std::map<std::string, Place> claimed_;
  std::map<std::string, uint32_t> file_indices_;
};

// The sections, each in its own file.
void read_clients(Reader& reader, const Node& node);
void read_lists(Reader& reader, const Node& node);
void read_responses(Reader& reader, const Node& node);
void read_limits(Reader& reader, const Node& node);
void read_signatures(Reader& reader, const Node& node);
void read_penalties(Reader& reader, const Node& node);
void read_services(Reader& reader, const Node& node);
void read_overrides(Reader& reader, const Node& node);
void read_pools(Reader& reader, const Node& node);

// Routes of a service (parse_routes.cc).
void read_routes(Reader& reader, const Node& node, Service& service);

// Words that several sections use.
inline constexpr Word<Mode> mode_word_list[] = {{"enforce", Mode::enforce}, {"count", Mode::count}};
inline constexpr Vocabulary<Mode> mode_words = {"mode", "a mode", mode_word_list};
inline constexpr Word<Scope> scope_word_list[] = {{"host", Scope::host},
                                                  {"cluster", Scope::cluster}};
inline constexpr Vocabulary<Scope> scope_words = {"scope", "a scope", scope_word_list};

// The language of each part, and of all of them.
void describe_top(Language& language);
void describe_lists(Language& language);
void describe_responses(Language& language);
void describe_limits(Language& language);
void describe_signatures(Language& language);
void describe_services(Language& language);
void describe_routes(Language& language);
void describe_pools(Language& language);
Language language();

// Data files (parse_data.cc).

// Prefixes, one a line or one an item; `!` makes an exception. Exceptions that except nothing, and
// prefixes both contained and excepted, are told at their places.
void read_cidrs(Reader& reader, const Node* items, const Node* file, std::vector<Cidr>& out);

// Lines of 64 hex digits, each the SHA-256 of a key; what follows after a blank is a label.
void read_keys(Reader& reader, const Node& file, std::vector<std::array<uint8_t, 32>>& out);

// Regular expressions, one a line; a line that begins with `#` is a comment.
void read_patterns(Reader& reader, const Node& file, std::vector<Placed<std::string>>& out);

}  // namespace surgegate::policy
