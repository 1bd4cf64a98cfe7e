// SPDX-License-Identifier: BSD-3-Clause
// Lists of addresses and keys, and the rules for who "client" is behind a proxy.
#include <fmt/format.h>

#include "config/parse_reader.h"
#include "config/words.h"

namespace surgegate::policy {
namespace {

// --- clients -------------------------------------------------------------------------------------

struct PeersSource {
  const Node* file = nullptr;
};

constexpr Key<PeersSource> file_keys[] = {
    {"file", true, [](Reader&, const Node& node, PeersSource& out) { out.file = &node; }},
};
constexpr Grammar<PeersSource> file_grammar = {"data-file", "a data file", file_keys};

// "peers: [..]" or "peers: {file: F}".
void read_peers(Reader& reader, const Node& node, ClientRule& out) {
  PeersSource source;
  if (node.kind == Node::Kind::list) return read_cidrs(reader, &node, nullptr, out.peers);
  if (node.kind != Node::Kind::map)
    return reader.mismatch(node, "a list of prefixes, or {file: NAME}");
  if (reader.map(node, file_grammar, source)) read_cidrs(reader, nullptr, source.file, out.peers);
}

void read_identity(Reader& reader, const Node& node, ClientRule& out) {
  constexpr std::string_view prefix = "header:";
  if (node.kind != Node::Kind::scalar || !node.text.starts_with(prefix))
    return reader.mismatch(node,
                           "\"header:NAME\", the header in which these peers name the client");
  auto name = parse_header_name(std::string_view(node.text).substr(prefix.size()));
  if (!name) return reader.fault(node.place, name.error());
  out.identity_header = {std::move(*name), node.place};
}

constexpr Key<ClientRule> client_keys[] = {
    {"peers", true, read_peers},
    {"identity", true, read_identity},
};
constexpr Grammar<ClientRule> client_grammar = {"client", "a client rule", client_keys};

// --- lists ---------------------------------------------------------------------------------------

constexpr Word<ListKind> list_kind_list[] = {{"cidr", ListKind::cidr}, {"key", ListKind::key}};
constexpr Vocabulary<ListKind> list_kind_words = {"list-kind", "a kind of list", list_kind_list};

enum class Exempt { limits, signatures, penalties, all };
constexpr Word<Exempt> exempt_list[] = {{"limits", Exempt::limits},
                                        {"signatures", Exempt::signatures},
                                        {"penalties", Exempt::penalties},
                                        {"all", Exempt::all}};
constexpr Vocabulary<Exempt> exempt_words = {"exempt", "something to be exempt from", exempt_list};

// A list as its map is read: where its prefixes come from is known when all keys were seen.
struct ListText {
  List list;
  const Node* cidrs = nullptr;
  const Node* file = nullptr;
  const Node* exempt = nullptr;
  const Node* deny = nullptr;
};

void read_exempt(Reader& reader, const Node& node, ListText& out) {
  out.exempt = &node;
  if (!reader.is_list(node, "a list of limits, signatures, penalties, or all")) return;
  List& list = out.list;
  for (const Node* item : node.items) {
    auto word = reader.word(*item, exempt_words);
    if (!word) continue;
    const bool is_all = *word == Exempt::all;
    if (is_all) list.exempt_all_place = item->place;
    if (*word == Exempt::penalties) list.exempt_penalties_place = item->place;
    list.exempt_limits |= is_all || *word == Exempt::limits;
    list.exempt_signatures |= is_all || *word == Exempt::signatures;
    list.exempt_penalties |= is_all || *word == Exempt::penalties;
  }
}

void read_deny(Reader& reader, const Node& node, ListText& out) {
  out.deny = &node;
  if (node.kind == Node::Kind::scalar && node.text == "drop") {
    out.list.deny_drop = true;
    return;
  }
  if (node.kind != Node::Kind::scalar)
    return reader.mismatch(node, "drop, a response's name, or a status");
  out.list.deny_response = reader.response(node);
}

constexpr Key<ListText> list_keys[] = {
    {"kind", false,
     [](Reader& reader, const Node& node, ListText& out) {
       reader.read(node, list_kind_words, out.list.kind);
     }},
    {"cidrs", false, [](Reader&, const Node& node, ListText& out) { out.cidrs = &node; }},
    {"file", false, [](Reader&, const Node& node, ListText& out) { out.file = &node; }},
    {"exempt", false, read_exempt},
    {"deny", false, read_deny},
    {"ceiling", false,
     [](Reader& reader, const Node& node, ListText& out) {
       reader.read(node, parse_rate, out.list.ceiling.emplace());
     }},
    {"mode", false,
     [](Reader& reader, const Node& node, ListText& out) {
       reader.read(node, mode_words, out.list.mode);
     }},
};
constexpr Grammar<ListText> list_grammar = {"list", "a list", list_keys};

void read_key_list(Reader& reader, const Place& place, ListText& text) {
  for (const Node* node : {text.cidrs, text.exempt, text.deny})
    if (node)
      reader.report().fault(node->place, "a list of keys has no addresses: it cannot do this",
                            "`kind: key` with `file` alone");
  if (text.list.ceiling)
    reader.report().fault(text.list.ceiling->place, "a list of keys has no ceiling");
  if (!text.file)
    reader.report().fault(place, "a list of keys lacks its key `file`");
  else
    read_keys(reader, *text.file, text.list.key_sha256);
}

void read_cidr_list(Reader& reader, const Place& place, ListText& text) {
  if (!text.cidrs && !text.file)
    reader.report().fault(place, "a list has no addresses", "`cidrs: [..]`, `file: NAME`, or both");
  read_cidrs(reader, text.cidrs, text.file, text.list.cidrs);
  if (text.exempt && text.deny)
    reader.report().fault(text.deny->place, "a list is either denied or exempt, not both",
                          "two lists");
  if (text.list.ceiling && !text.exempt)
    reader.report().fault(text.list.ceiling->place,
                          "a ceiling is what exempt sources may still use", "`exempt` beside it");
}

void read_list(Reader& reader, const Node& node, List& out) {
  ListText text;
  text.list.name = out.name;
  text.list.mode = reader.policy().defaults.mode;
  const bool is_whole = reader.map(node, list_grammar, text);
  if (node.kind != Node::Kind::map) return;
  if (text.list.kind == ListKind::key)
    read_key_list(reader, node.place, text);
  else if (is_whole || text.cidrs || text.file)
    read_cidr_list(reader, node.place, text);
  out = std::move(text.list);
}

}  // namespace

void read_clients(Reader& reader, const Node& node) {
  reader.section<ClientRule>(
      node, "client rule", reader.policy().clients,
      [](Reader& r, const Node& value, ClientRule& out) { r.map(value, client_grammar, out); });
}

void read_lists(Reader& reader, const Node& node) {
  reader.section<List>(node, "list", reader.policy().lists, read_list);
}

void describe_lists(Language& language) {
  language.add(client_grammar);
  language.add(file_grammar);
  language.add(list_grammar);
  language.add(list_kind_words);
  language.add(exempt_words);
}

}  // namespace surgegate::policy
