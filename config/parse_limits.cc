// SPDX-License-Identifier: BSD-3-Clause
// Limits, and the overrides of them.
#include <fmt/format.h>

#include "config/parse_reader.h"
#include "config/words.h"

namespace surgegate::policy {
namespace {

constexpr std::string_view key_expected = "source, client, path, method, host, or \"header:NAME\"";

constexpr Word<KeyKind> key_list[] = {
    {"source", KeyKind::source}, {"client", KeyKind::client}, {"path", KeyKind::path},
    {"method", KeyKind::method}, {"host", KeyKind::host},
};
constexpr Vocabulary<KeyKind> key_words = {"limit-key", "a part of a key", key_list,
                                           "\"header:NAME\""};

constexpr Word<Unit> unit_list[] = {
    {"packets", Unit::packets}, {"connections", Unit::connections}, {"requests", Unit::requests}};
constexpr Vocabulary<Unit> unit_words = {"unit", "a unit", unit_list};

std::optional<KeyPart> key_part(Reader& reader, const Node& node) {
  constexpr std::string_view prefix = "header:";
  KeyPart part;
  part.place = node.place;
  if (node.kind != Node::Kind::scalar) {
    reader.mismatch(node, key_expected);
    return std::nullopt;
  }
  if (!node.text.starts_with(prefix)) {
    auto kind = reader.word(node, key_words);
    if (!kind) return std::nullopt;
    part.kind = *kind;
    return part;
  }
  auto header = parse_header_name(std::string_view(node.text).substr(prefix.size()));
  if (!header) {
    reader.fault(node.place, header.error());
    return std::nullopt;
  }
  part.kind = KeyKind::header;
  part.header = std::move(*header);
  return part;
}

void read_key(Reader& reader, const Node& node, Limit& out) {
  if (!reader.is_list(
          node, fmt::format("a list of {}; [] for one bucket of the whole service", key_expected)))
    return;
  if (node.items.size() > SG_LIMIT_KEY_PARTS_MAX)
    return reader.report().fault(node.place, fmt::format("a key of {} parts", node.items.size()),
                                 fmt::format("at most {}", SG_LIMIT_KEY_PARTS_MAX));
  for (const Node* item : node.items) {
    auto part = key_part(reader, *item);
    if (!part) continue;
    for (const KeyPart& other : out.key)
      if (other.kind == part->kind && other.header == part->header)
        reader.report().fault(part->place,
                              fmt::format("{} stands in this key already", describe(*item)));
    out.key.push_back(std::move(*part));
  }
}

constexpr Key<Limit> prefix_keys[] = {
    {"v4", false,
     [](Reader& reader, const Node& node, Limit& out) {
       if (auto bits = reader.integer(node, 0, 32))
         out.prefix_v4_bits = static_cast<uint8_t>(*bits);
     }},
    {"v6", false,
     [](Reader& reader, const Node& node, Limit& out) {
       if (auto bits = reader.integer(node, 0, 128))
         out.prefix_v6_bits = static_cast<uint8_t>(*bits);
     }},
};
constexpr Grammar<Limit> prefix_grammar = {"prefix", "`prefix`", prefix_keys};

void read_rate(Reader& reader, const Node& node, Placed<Rate>& out) {
  reader.read(node, parse_rate, out);
}

void read_burst(Reader& reader, const Node& node, uint64_t& out) {
  auto count = reader.scalar(node, parse_count);
  if (!count) return;
  if (*count == 0)
    return reader.report().fault(node.place, "a burst of 0 lets nothing through", "1 or more");
  out = *count;
}

void read_over(Reader& reader, const Node& node, Limit& out) {
  out.over.place = node.place;
  Over& over = out.over.value;
  if (node.kind != Node::Kind::scalar)
    return reader.mismatch(node, "drop, cookie, a response's name, or a status");
  if (node.text == "drop") {
    over.kind = OverKind::drop;
  } else if (node.text == "cookie") {
    over.kind = OverKind::cookie;
  } else if (auto response = reader.response(node)) {
    over = {OverKind::response, std::move(*response)};
  }
}

void read_missing(Reader& reader, const Node& node, Limit& out) {
  const bool is_number = node.kind == Node::Kind::scalar && !node.text.empty() &&
                         node.text[0] >= '0' && node.text[0] <= '9';
  if (is_number)
    reader.read(node, parse_status, out.missing_status.emplace());
  else
    out.missing_limit = reader.name(node);
}

// What tells a default from a word that was written: `over` depends on `unit`, and the rest is
// checked once the whole map was read.
struct LimitText {
  Limit& limit;
  const Node* prefix = nullptr;
  const Node* over = nullptr;
};

constexpr Key<LimitText> limit_keys[] = {
    {"key", true,
     [](Reader& r, const Node& node, LimitText& out) { read_key(r, node, out.limit); }},
    {"prefix", false,
     [](Reader& r, const Node& node, LimitText& out) {
       out.prefix = &node;
       r.map(node, prefix_grammar, out.limit);
     }},
    {"rate", true,
     [](Reader& r, const Node& node, LimitText& out) { read_rate(r, node, out.limit.rate); }},
    {"burst", true,
     [](Reader& r, const Node& node, LimitText& out) {
       out.limit.burst_units.place = node.place;
       read_burst(r, node, out.limit.burst_units.value);
     }},
    {"unit", false,
     [](Reader& r, const Node& node, LimitText& out) { r.read(node, unit_words, out.limit.unit); }},
    {"over", false,
     [](Reader& r, const Node& node, LimitText& out) {
       out.over = &node;
       read_over(r, node, out.limit);
     }},
    {"known", false,
     [](Reader& r, const Node& node, LimitText& out) { out.limit.known = r.name(node); }},
    {"unknown", false,
     [](Reader& r, const Node& node, LimitText& out) {
       r.read(node, parse_status, out.limit.unknown.emplace());
     }},
    {"missing", false,
     [](Reader& r, const Node& node, LimitText& out) { read_missing(r, node, out.limit); }},
    {"scope", false,
     [](Reader& r, const Node& node, LimitText& out) {
       r.read(node, scope_words, out.limit.scope);
     }},
    {"mode", false,
     [](Reader& r, const Node& node, LimitText& out) { r.read(node, mode_words, out.limit.mode); }},
};
constexpr Grammar<LimitText> limit_grammar = {"limit", "a limit", limit_keys};

bool has_part(const Limit& limit, std::initializer_list<KeyKind> kinds) {
  return std::any_of(limit.key.begin(), limit.key.end(), [&](const KeyPart& part) {
    return std::find(kinds.begin(), kinds.end(), part.kind) != kinds.end();
  });
}

// Who is counted and what is answered must be there at the time of counting.
void check_unit(Reader& reader, const Limit& limit) {
  Report& report = reader.report();
  const Over& over = limit.over.value;
  if (limit.unit == Unit::requests) {
    if (over.kind == OverKind::cookie)
      report.fault(limit.over.place, "a request cannot be answered with a SYN cookie",
                   "drop or a response, or `unit: connections`");
    return;
  }
  const std::string_view unit = limit.unit == Unit::packets ? "packets" : "connections";
  for (const KeyPart& part : limit.key) {
    if (part.kind == KeyKind::client)
      report.note(part.place, fmt::format("in a limit of {} `client` is the source: a header that "
                                          "names the client comes later",
                                          unit));
    else if (part.kind != KeyKind::source)
      report.fault(part.place,
                   fmt::format("a limit of {} cannot be keyed by what stands in a "
                               "request",
                               unit),
                   "source, or `unit: requests`");
  }
  if (over.kind == OverKind::response)
    report.fault(limit.over.place,
                 fmt::format("a limit of {} has no request that could be answered", unit),
                 limit.unit == Unit::packets ? "drop, or `unit: requests`"
                                             : "drop or cookie, or `unit: requests`");
  if (over.kind == OverKind::cookie && limit.unit == Unit::packets)
    report.fault(limit.over.place,
                 "only the start of a connection can be answered with a SYN cookie",
                 "drop, or `unit: connections`");
}

void check_keys(Reader& reader, const LimitText& text) {
  const Limit& limit = text.limit;
  Report& report = reader.report();
  const auto headers = std::count_if(limit.key.begin(), limit.key.end(), [](const KeyPart& part) {
    return part.kind == KeyKind::header;
  });
  if (text.prefix && !has_part(limit, {KeyKind::source, KeyKind::client}))
    report.fault(text.prefix->place, "`prefix` has nothing to shorten",
                 "source or client in `key`");
  if (limit.known && headers != 1)
    report.fault(limit.known->place, fmt::format("`known` with {} headers in `key`", headers),
                 "exactly one, whose value is looked up");
  if (limit.unknown && !limit.known)
    report.fault(limit.unknown->place, "`unknown` without `known`", "`known: LIST` beside it");
  if (limit.missing_limit && headers == 0)
    report.fault(limit.missing_limit->place, "`missing` without a header in `key`",
                 "\"header:NAME\" in `key`");
  if (limit.missing_status && headers == 0)
    report.fault(limit.missing_status->place, "`missing` without a header in `key`",
                 "\"header:NAME\" in `key`");
}

void read_limit(Reader& reader, const Node& node, Limit& out) {
  out.mode = reader.policy().defaults.mode;
  out.scope = reader.policy().defaults.scope;
  LimitText text{out};
  const bool is_whole = reader.map(node, limit_grammar, text);
  if (!text.over) {
    out.over.place = out.name.place;
    if (out.unit == Unit::requests) out.over.value = {OverKind::response, {"429", out.name.place}};
  }
  if (!is_whole) return;
  check_unit(reader, out);
  check_keys(reader, text);
}

// --- overrides -----------------------------------------------------------------------------------

// "shop/per-client".
void read_target(Reader& reader, const Node& node, Override& out) {
  const auto misread = [&] { reader.mismatch(node, "SERVICE/LIMIT, like shop/per-client"); };
  if (node.kind != Node::Kind::scalar) return misread();
  const std::string_view text = node.text;
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return misread();
  const auto service = parse_name(text.substr(0, slash));
  const auto limit = parse_name(text.substr(slash + 1));
  if (!service || !limit) return misread();
  out.service = {*service, node.place};
  out.limit = {*limit, node.place};
}

constexpr Key<Override> override_keys[] = {
    {"limit", true, read_target},
    {"rate", true,
     [](Reader& r, const Node& node, Override& out) { read_rate(r, node, out.rate); }},
    {"burst", false,
     [](Reader& r, const Node& node, Override& out) {
       uint64_t burst_units = 0;
       read_burst(r, node, burst_units);
       if (burst_units) out.burst_units = burst_units;
     }},
    {"until", true,
     [](Reader& r, const Node& node, Override& out) {
       r.read(node, parse_time_unix_s, out.until_unix_s);
     }},
    {"reason", false,
     [](Reader& r, const Node& node, Override& out) {
       if (auto text = r.text(node, "a text")) out.reason = std::move(*text);
     }},
};
constexpr Grammar<Override> override_grammar = {"override", "an override", override_keys};

}  // namespace

void read_limits(Reader& reader, const Node& node) {
  reader.section<Limit>(node, "limit", reader.policy().limits, read_limit);
}

void read_overrides(Reader& reader, const Node& node) {
  if (node.kind == Node::Kind::null) return;
  if (!reader.is_list(node, "a list of overrides")) return;
  for (const Node* item : node.items) {
    Override& out = reader.policy().overrides.emplace_back();
    out.place = item->place;
    reader.map(*item, override_grammar, out);
  }
}

void describe_limits(Language& language) {
  language.add(limit_grammar);
  language.add(prefix_grammar);
  language.add(override_grammar);
  language.add(key_words);
  language.add(unit_words);
}

}  // namespace surgegate::policy
