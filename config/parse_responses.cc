// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <array>

#include "config/parse_reader.h"

namespace surgegate::policy {
namespace {

struct Body {
  std::string text;
  std::string content_type;
};

// By the file's ending; what is not known is not claimed.
std::string_view content_type_of(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> types = {{
      {".json", "application/json"},
      {".html", "text/html; charset=utf-8"},
      {".htm", "text/html; charset=utf-8"},
      {".txt", "text/plain; charset=utf-8"},
      {".xml", "application/xml"},
      {".svg", "image/svg+xml"},
  }};
  for (const auto& [ending, type] : types)
    if (path.ends_with(ending)) return type;
  return "application/octet-stream";
}

constexpr Key<Body> body_keys[] = {
    {"file", true,
     [](Reader& reader, const Node& node, Body& out) {
       auto file = reader.file(node, SG_RESPONSE_BYTES_MAX);
       if (!file) return;
       out.content_type = content_type_of(file->path);
       out.text = std::move(file->content);
     }},
};
constexpr Grammar<Body> body_grammar = {"body-file", "a body", body_keys};

void read_body(Reader& reader, const Node& node, Response& out) {
  Body body;
  if (node.kind == Node::Kind::map) {
    reader.map(node, body_grammar, body);
  } else if (auto text = reader.text(node, "a text, or {file: NAME}")) {
    body = {std::move(*text), "text/plain; charset=utf-8"};
  }
  out.body = std::move(body.text);
  if (out.content_type.empty() && !out.body.empty()) out.content_type = body.content_type;
}

// What frames the message, or what the gate writes itself: a second one would let two readers read
// two messages [RFC 9112 section 11.2].
std::string_view why_refused(std::string_view header) {
  if (header == "content-length") return "the gate counts the body itself";
  if (header == "transfer-encoding") return "the answer is one segment with a Content-Length";
  if (header == "connection" || header == "keep-alive" || header == "upgrade")
    return "the gate closes the connection with the answer";
  if (header == "trailer" || header == "te") return "the answer has no trailers";
  if (header == "date") return "the gate writes the date itself";
  if (header == "ratelimit" || header == "ratelimit-policy")
    return "the gate writes it itself, from the limit";
  if (header == "retry-after")
    return "the gate writes it itself, from the bucket or from `retry_after` of the response";
  return {};
}

void read_header(Reader& reader, const Entry& entry, Response& out) {
  auto name = parse_header_name(entry.key);
  if (!name) return reader.fault(entry.place, name.error());
  if (auto why = why_refused(*name); !why.empty())
    return reader.report().fault(entry.place,
                                 fmt::format("header {} cannot be set: {}", quote(*name), why));
  const auto value = reader.text(*entry.value, "the header's value");
  if (!value) return;
  if (!is_field_value(*value))
    return reader.report().fault(entry.value->place,
                                 fmt::format("{} cannot be the value of a header", quote(*value)),
                                 "no line breaks, no controls, no blanks at its ends");
  for (const auto& [other, unused] : out.headers)
    if (other == *name)
      return reader.report().fault(entry.place,
                                   fmt::format("header {} is given twice", quote(*name)));
  if (*name == "content-type") out.content_type = *value;
  out.headers.emplace_back(std::move(*name), *value);
}

void read_headers(Reader& reader, const Node& node, Response& out) {
  if (!reader.is_map(node, "a map of header names and values")) return;
  if (node.entries.size() > SG_POLICY_HEADERS_MAX)
    return reader.report().fault(node.place, fmt::format("{} headers", node.entries.size()),
                                 fmt::format("at most {}", SG_POLICY_HEADERS_MAX));
  for (const Entry& entry : node.entries) read_header(reader, entry, out);
}

constexpr Key<RetryAfter> retry_keys[] = {
    {"min", false,
     [](Reader& reader, const Node& node, RetryAfter& out) {
       reader.read(node, parse_duration_ns, out.min_ns);
     }},
    {"jitter", false,
     [](Reader& reader, const Node& node, RetryAfter& out) {
       reader.read(node, parse_duration_ns, out.jitter_ns);
     }},
};
constexpr Grammar<RetryAfter> retry_grammar = {"retry-after", "`retry_after`", retry_keys};

void read_retry_after(Reader& reader, const Node& node, Response& out) {
  RetryAfter& retry = out.retry_after.emplace();
  constexpr uint64_t ns_max = 30ull * 86400 * 1'000'000'000;
  if (!reader.map(node, retry_grammar, retry)) return;
  if (node.entries.empty())
    reader.report().fault(node.place, "`retry_after` says nothing", "`min`, `jitter` or both");
  if (retry.min_ns > ns_max || retry.jitter_ns > ns_max)
    reader.report().fault(node.place, "`retry_after` tells clients to wait longer than 30 days",
                          "30d at most");
}

constexpr Key<Response> response_keys[] = {
    {"status", true,
     [](Reader& reader, const Node& node, Response& out) {
       reader.read(node, parse_status, out.status);
     }},
    {"headers", false, read_headers},
    {"body", false, read_body},
    {"retry_after", false, read_retry_after},
    {"rate_limit_fields", false,
     [](Reader& reader, const Node& node, Response& out) {
       reader.read(node, parse_bool, out.rate_limit_fields);
     }},
};
constexpr Grammar<Response> response_grammar = {"response", "a response", response_keys};

void read_response(Reader& reader, const Node& node, Response& out) {
  if (out.name.value == "drop" || out.name.value == "cookie")
    reader.report().fault(
        out.name.place,
        fmt::format("a response cannot be named `{}`: `over` and `deny` have that "
                    "word already",
                    out.name.value),
        "another name");
  reader.map(node, response_grammar, out);
}

}  // namespace

void read_responses(Reader& reader, const Node& node) {
  reader.section<Response>(node, "response", reader.policy().responses, read_response);
}

void describe_responses(Language& language) {
  language.add(response_grammar);
  language.add(body_grammar);
  language.add(retry_grammar);
}

}  // namespace surgegate::policy
