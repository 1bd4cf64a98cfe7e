// SPDX-License-Identifier: BSD-3-Clause
// Signature sets and penalties.
#include <fmt/format.h>

#include "config/parse_reader.h"
#include "config/words.h"

namespace surgegate::policy {
namespace {

constexpr Word<SignatureField> field_list[] = {
    {"target", SignatureField::target}, {"path", SignatureField::path},
    {"query", SignatureField::query},   {"user-agent", SignatureField::user_agent},
    {"head", SignatureField::head},
};
constexpr Vocabulary<SignatureField> field_words = {"signature-field", "a field of a request",
                                                    field_list, "\"header:NAME\""};

void read_field(Reader& reader, const Node& node, SignatureSet& out) {
  constexpr std::string_view prefix = "header:";
  out.field.place = node.place;
  const bool is_header = node.kind == Node::Kind::scalar && node.text.starts_with(prefix);
  if (!is_header) return reader.read(node, field_words, out.field);
  auto header = parse_header_name(std::string_view(node.text).substr(prefix.size()));
  if (!header) return reader.fault(node.place, header.error());
  out.field.value = *header == "user-agent" ? SignatureField::user_agent : SignatureField::header;
  if (out.field.value == SignatureField::header) out.header = std::move(*header);
}

struct PatternsFile {
  const Node* file = nullptr;
};

constexpr Key<PatternsFile> patterns_keys[] = {
    {"file", true, [](Reader&, const Node& node, PatternsFile& out) { out.file = &node; }},
};
constexpr Grammar<PatternsFile> patterns_grammar = {"patterns-file", "a file of patterns",
                                                    patterns_keys};

// YAML's double quotes have escapes of their own, and a regular expression's mostly mean others:
// "\b" is a backspace, which no client sends. Blanks and line ends mean the same to both.
void warn_of_controls(Reader& reader, const Node& item) {
  for (const char c : item.text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || c == '\t' || c == '\n' || c == '\r') continue;
    return reader.report().warn(
        item.place,
        fmt::format("{} holds the control character 0x{:02x}, as which YAML reads a backslash "
                    "sequence in double quotes",
                    quote(item.text), byte),
        "a pattern in single quotes, where YAML leaves backslashes alone");
  }
}

void add_pattern(Reader& reader, const Node& item, SignatureSet& out) {
  if (item.kind != Node::Kind::scalar || item.text.empty())
    return reader.mismatch(item, "a regular expression, in single quotes");
  if (item.text.size() > SG_POLICY_LINE_BYTES_MAX)
    return reader.report().fault(item.place, fmt::format("a pattern of {} bytes", item.text.size()),
                                 fmt::format("at most {} bytes", SG_POLICY_LINE_BYTES_MAX));
  if (reader.patterns_left == 0)
    return reader.report().fault(
        item.place, fmt::format("the policy has more than {} patterns", SG_POLICY_PATTERNS_MAX));
  reader.patterns_left--;
  warn_of_controls(reader, item);
  out.patterns.push_back({item.text, item.place});
}

void read_patterns_value(Reader& reader, const Node& node, SignatureSet& out) {
  const size_t faults_before = reader.faults();
  if (node.kind == Node::Kind::list) {
    for (const Node* item : node.items) add_pattern(reader, *item, out);
  } else if (node.kind == Node::Kind::map) {
    PatternsFile source;
    if (reader.map(node, patterns_grammar, source))
      read_patterns(reader, *source.file, out.patterns);
  } else {
    return reader.mismatch(node, "a list of regular expressions, or {file: NAME}");
  }
  if (out.patterns.empty() && reader.faults() == faults_before)
    reader.report().fault(node.place, "no pattern at all", "one or more regular expressions");
}

void read_ban(Reader& reader, const Node& node, uint64_t& out) {
  auto ns = reader.scalar(node, parse_duration_ns);
  if (!ns) return;
  if (*ns < 1'000'000'000 || *ns > SG_POLICY_BAN_NS_MAX)
    return reader.report().fault(node.place, fmt::format("a ban of {}", quote(node.text)),
                                 "1s to 365d");
  out = *ns;
}

constexpr Key<SignatureSet> then_keys[] = {
    {"refuse", false,
     [](Reader& reader, const Node& node, SignatureSet& out) {
       out.then.value = SignatureThen::refuse;
       if (auto response = reader.response(node)) out.refuse_response = std::move(*response);
     }},
    {"ban", false,
     [](Reader& reader, const Node& node, SignatureSet& out) {
       out.then.value = SignatureThen::ban;
       read_ban(reader, node, out.ban_ns);
     }},
};
constexpr Grammar<SignatureSet> then_grammar = {"signature-then", "`then`", then_keys};

void read_then(Reader& reader, const Node& node, SignatureSet& out) {
  constexpr std::string_view wanted = "drop, {refuse: STATUS or RESPONSE}, or {ban: DURATION}";
  out.then.place = node.place;
  if (node.kind == Node::Kind::scalar && node.text == "drop") {
    out.then.value = SignatureThen::drop;
    return;
  }
  if (node.kind != Node::Kind::map) return reader.mismatch(node, wanted);
  if (reader.map(node, then_grammar, out) && node.entries.size() != 1)
    reader.report().fault(node.place,
                          fmt::format("`then` with {} consequences", node.entries.size()),
                          std::string(wanted));
}

constexpr Key<SignatureSet> signature_keys[] = {
    {"field", true, read_field},
    {"patterns", true, read_patterns_value},
    {"then", true, read_then},
    {"mode", false,
     [](Reader& r, const Node& node, SignatureSet& out) { r.read(node, mode_words, out.mode); }},
};
constexpr Grammar<SignatureSet> signature_grammar = {"signature", "a signature set",
                                                     signature_keys};

// --- penalties -----------------------------------------------------------------------------------

std::string_view without_blanks(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// "refused > 100/10s": more than 100 refusals within any 10 seconds.
void read_when(Reader& reader, const Node& node, Penalty& out) {
  const auto misread = [&] {
    reader.mismatch(node,
                    "\"refused > COUNT/DURATION\", like \"refused > 100/10s\", the duration 1s "
                    "to 24h");
  };
  if (node.kind != Node::Kind::scalar) return misread();
  const std::string_view text = node.text;
  const size_t than = text.find('>');
  const size_t slash = text.find('/');
  if (than == std::string_view::npos || slash == std::string_view::npos || slash < than)
    return misread();
  if (without_blanks(text.substr(0, than)) != "refused") return misread();
  const auto units = parse_count(without_blanks(text.substr(than + 1, slash - than - 1)));
  const auto window = parse_duration_ns(without_blanks(text.substr(slash + 1)));
  if (!units || !window || *units == 0 || *units > UINT32_MAX) return misread();
  if (*window < 1'000'000'000 || *window > SG_BUCKET_HORIZON_NS_MAX) return misread();
  out.refused_units = *units;
  out.window_ns = *window;
}

constexpr Key<Penalty> penalty_then_keys[] = {
    {"ban", true,
     [](Reader& reader, const Node& node, Penalty& out) { read_ban(reader, node, out.ban_ns); }},
};
constexpr Grammar<Penalty> penalty_then_grammar = {"penalty-then", "`then` of a penalty",
                                                   penalty_then_keys};

enum class Only { validated };
constexpr Word<Only> only_list[] = {{"validated", Only::validated}};
constexpr Vocabulary<Only> only_words = {"penalty-only", "a kind of source that can be banned",
                                         only_list};

// `only` has one value and is required all the same: who reads the policy must see that a ban never
// falls on a source that could be spoofed.
constexpr Key<Penalty> penalty_keys[] = {
    {"when", true, read_when},
    {"then", true,
     [](Reader& reader, const Node& node, Penalty& out) {
       reader.map(node, penalty_then_grammar, out);
     }},
    {"only", true,
     [](Reader& reader, const Node& node, Penalty& out) {
       out.only_validated = reader.word(node, only_words).has_value();
     }},
    {"mode", false,
     [](Reader& reader, const Node& node, Penalty& out) {
       reader.read(node, mode_words, out.mode);
     }},
};
constexpr Grammar<Penalty> penalty_grammar = {"penalty", "a penalty", penalty_keys};

}  // namespace

void read_signatures(Reader& reader, const Node& node) {
  reader.section<SignatureSet>(node, "signature set", reader.policy().signatures,
                               [](Reader& r, const Node& value, SignatureSet& out) {
                                 out.mode = r.policy().defaults.mode;
                                 r.map(value, signature_grammar, out);
                               });
}

void read_penalties(Reader& reader, const Node& node) {
  reader.section<Penalty>(node, "penalty", reader.policy().penalties,
                          [](Reader& r, const Node& value, Penalty& out) {
                            out.mode = r.policy().defaults.mode;
                            r.map(value, penalty_grammar, out);
                          });
}

void describe_signatures(Language& language) {
  language.add(signature_grammar);
  language.add(patterns_grammar);
  language.add(then_grammar);
  language.add(penalty_grammar);
  language.add(penalty_then_grammar);
  language.add(field_words);
  language.add(only_words);
}

}  // namespace surgegate::policy
