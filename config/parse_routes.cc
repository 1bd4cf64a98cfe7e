// SPDX-License-Identifier: BSD-3-Clause
// Routes: which requests of a service they mean, and what holds for those.
#include <fmt/format.h>

#include "config/parse_reader.h"
#include "config/request_path.h"
#include "config/words.h"

namespace surgegate::policy {
namespace {

constexpr Word<Class> class_list[] = {
    {"critical", Class::critical}, {"normal", Class::normal}, {"background", Class::background}};
constexpr Vocabulary<Class> class_words = {"class", "a class", class_list};

// Matched against the bytes of the request target up to `?`: what is in no path could never match.
void read_path(Reader& reader, const Node& node, Route& out) {
  constexpr std::string_view wanted =
      "/exact, /prefix/* or a glob like /a/*/b, where * is any run of bytes, also of none";
  auto path = reader.text(node, wanted);
  if (!path) return;
  if (!path->starts_with('/')) return reader.mismatch(node, wanted);
  const auto bad =
      std::find_if(path->begin(), path->end(), [](char c) { return !is_path_char(c); });
  if (bad != path->end())
    return reader.report().fault(node.place,
                                 fmt::format("{} cannot be the path of a request", quote(*path)),
                                 "a path without query and fragment, other bytes percent-encoded");
  const auto stars = std::count(path->begin(), path->end(), '*');
  if (stars > SG_POLICY_PATH_STARS_MAX)
    return reader.report().fault(node.place, fmt::format("{} stars in one path", stars),
                                 fmt::format("at most {}", SG_POLICY_PATH_STARS_MAX));
  const size_t star = path->find('*');
  if (star == std::string::npos) {
    out.path_match = PathMatch::exact;
  } else if (star == path->size() - 1) {
    out.path_match = PathMatch::prefix;
    path->pop_back();
  } else {
    out.path_match = PathMatch::glob;
  }
  out.path = std::move(*path);
}

void read_method(Reader& reader, const Node& node, Route& out) {
  static const std::string wanted =
      fmt::format("a method of at most {} bytes, like POST", SG_HTTP_METHOD_BYTES_MAX);
  auto method = reader.text(node, wanted);
  if (!method) return;
  if (!is_token(*method) || method->size() > SG_HTTP_METHOD_BYTES_MAX)
    return reader.mismatch(node, wanted);
  const bool has_lower =
      std::any_of(method->begin(), method->end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (has_lower)
    reader.report().warn(node.place,
                         fmt::format("methods are case-sensitive: {} is not what "
                                     "clients send",
                                     quote(*method)),
                         "upper case");
  out.method = std::move(*method);
}

void read_host(Reader& reader, const Node& node, Route& out) {
  constexpr std::string_view wanted =
      "one host name, without port and wildcard, like api.example.com";
  auto host = reader.text(node, wanted);
  if (!host) return;
  const bool is_literal = host->starts_with('[') && host->ends_with(']') &&
                          parse_address(std::string_view(*host).substr(1, host->size() - 2));
  const bool is_name =
      !host->empty() && host->size() <= 253 && std::all_of(host->begin(), host->end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-' || c == '_';
      });
  if (!is_name && !is_literal) return reader.mismatch(node, wanted);
  out.host = lower_case(*host);
  if (out.host.ends_with('.')) out.host.pop_back();  // the same host: so it is matched, too
}

void read_match_headers(Reader& reader, const Node& node, Route& out) {
  if (!reader.is_map(node, "a map of header names and the values that they must have")) return;
  if (node.entries.size() > SG_KEY_HEADERS_MAX)
    return reader.report().fault(node.place, fmt::format("{} headers", node.entries.size()),
                                 fmt::format("at most {}", SG_KEY_HEADERS_MAX));
  for (const Entry& entry : node.entries) {
    auto name = parse_header_name(entry.key);
    if (!name) {
      reader.fault(entry.place, name.error());
      continue;
    }
    auto value = reader.text(*entry.value, "the header's value");
    if (!value) continue;
    if (!is_field_value(*value))
      reader.report().fault(entry.value->place,
                            fmt::format("{} cannot be the value of a header", quote(*value)),
                            "no line breaks, no controls, no blanks at its ends");
    for (const auto& [other, unused] : out.headers)
      if (other == *name)
        reader.report().fault(entry.place, fmt::format("header {} is given twice", quote(*name)));
    out.headers.emplace_back(std::move(*name), std::move(*value));
  }
}

constexpr Key<Route> match_keys[] = {
    {"path", false, read_path},
    {"method", false, read_method},
    {"host", false, read_host},
    {"headers", false, read_match_headers},
};
constexpr Grammar<Route> match_grammar = {"match", "`match`", match_keys};

enum class Upgrade { tunnel };
constexpr Word<Upgrade> upgrade_list[] = {{"tunnel", Upgrade::tunnel}};
constexpr Vocabulary<Upgrade> upgrade_words = {"upgrade", "something to do with an upgrade",
                                               upgrade_list};

void read_cost(Reader& reader, const Node& node, Route& out) {
  out.cost.place = node.place;
  if (auto cost = reader.integer(node, 1, SG_BUCKET_UNITS_MAX))
    out.cost.value = static_cast<uint32_t>(*cost);
}

constexpr Key<Route> route_keys[] = {
    {"match", true,
     [](Reader& r, const Node& node, Route& out) { r.map(node, match_grammar, out); }},
    {"class", false,
     [](Reader& r, const Node& node, Route& out) {
       r.read(node, class_words, out.klass.emplace());
     }},
    {"limits", false,
     [](Reader& r, const Node& node, Route& out) {
       out.limits = r.names(node, "a list of names of limits");
     }},
    {"signatures", false,
     [](Reader& r, const Node& node, Route& out) {
       out.signatures = r.names(node, "a list of names of signature sets");
     }},
    {"cost", false, read_cost},
    {"upgrade", false,
     [](Reader& r, const Node& node, Route& out) {
       if (r.word(node, upgrade_words)) out.upgrade_tunnel = node.place;
     }},
};
constexpr Grammar<Route> route_grammar = {"route", "a route", route_keys};

}  // namespace

void read_routes(Reader& reader, const Node& node, Service& service) {
  if (!reader.is_list(node, "a list of routes, each {match: {..}, ..}")) return;
  if (node.items.size() > SG_ROUTES_MAX) {
    reader.report().fault(node.items[SG_ROUTES_MAX]->place,
                          fmt::format("{} routes in one service", node.items.size()),
                          fmt::format("at most {}", SG_ROUTES_MAX));
    return;
  }
  for (const Node* item : node.items) {
    Route& route = service.routes.emplace_back();
    route.place = item->place;
    reader.map(*item, route_grammar, route);
  }
}

void describe_routes(Language& language) {
  language.add(route_grammar);
  language.add(match_grammar);
  language.add(class_words);
  language.add(upgrade_words);
}

}  // namespace surgegate::policy
