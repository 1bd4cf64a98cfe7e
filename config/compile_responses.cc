// SPDX-License-Identifier: BSD-3-Clause
// Responses as the exact bytes that go on the wire.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/compile_draft.h"

namespace surgegate {
namespace {

struct Reason {
  uint16_t status;
  const char* phrase;
};

// RFC 9110 section 15, RFC 6585 (428, 429, 431, 511), RFC 7725 (451), RFC 8470 (425).
constexpr std::array reasons = {
    Reason{200, "OK"},
    Reason{201, "Created"},
    Reason{202, "Accepted"},
    Reason{203, "Non-Authoritative Information"},
    Reason{206, "Partial Content"},
    Reason{300, "Multiple Choices"},
    Reason{301, "Moved Permanently"},
    Reason{302, "Found"},
    Reason{303, "See Other"},
    Reason{307, "Temporary Redirect"},
    Reason{308, "Permanent Redirect"},
    Reason{400, "Bad Request"},
    Reason{401, "Unauthorized"},
    Reason{402, "Payment Required"},
    Reason{403, "Forbidden"},
    Reason{404, "Not Found"},
    Reason{405, "Method Not Allowed"},
    Reason{406, "Not Acceptable"},
    Reason{407, "Proxy Authentication Required"},
    Reason{408, "Request Timeout"},
    Reason{409, "Conflict"},
    Reason{410, "Gone"},
    Reason{411, "Length Required"},
    Reason{412, "Precondition Failed"},
    Reason{413, "Content Too Large"},
    Reason{414, "URI Too Long"},
    Reason{415, "Unsupported Media Type"},
    Reason{416, "Range Not Satisfiable"},
    Reason{417, "Expectation Failed"},
    Reason{421, "Misdirected Request"},
    Reason{422, "Unprocessable Content"},
    Reason{425, "Too Early"},
    Reason{426, "Upgrade Required"},
    Reason{428, "Precondition Required"},
    Reason{429, "Too Many Requests"},
    Reason{431, "Request Header Fields Too Large"},
    Reason{451, "Unavailable For Legal Reasons"},
    Reason{500, "Internal Server Error"},
    Reason{501, "Not Implemented"},
    Reason{502, "Bad Gateway"},
    Reason{503, "Service Unavailable"},
    Reason{504, "Gateway Timeout"},
    Reason{505, "HTTP Version Not Supported"},
    Reason{511, "Network Authentication Required"},
};

// An empty phrase is allowed where a status has none registered [RFC 9112 section 4].
std::string_view phrase_of(uint16_t status) {
  for (const Reason& reason : reasons)
    if (reason.status == status) return reason.phrase;
  return {};
}

constexpr char problem_type[] = "application/problem+json";

// RFC 9457: "about:blank" says that the problem is the status itself; the title is its phrase.
std::string problem_json(uint16_t status) {
  const std::string_view phrase = phrase_of(status);
  if (phrase.empty()) return fmt::format(R"({{"type":"about:blank","status":{}}})", status);
  return fmt::format(R"({{"type":"about:blank","title":"{}","status":{}}})", phrase, status);
}

// Where a Retry-After has a meaning for the client [RFC 9110 section 10.2.3, RFC 6585 section 4].
bool may_retry_after(uint16_t status) {
  return status == 429 || status == 503;
}

// A final answer that carries a length: 1xx is not final, 204, 205 and 304 have no content
// [RFC 9110 sections 8.6, 15.3.5, 15.3.6, 15.4.5]; 426 needs `Connection: upgrade`, and the
// connection ends here [section 7.8].
bool may_answer(uint16_t status) {
  return status >= 200 && status <= 599 && status != 204 && status != 205 && status != 304 &&
         status != 426;
}

// What a status must come with [RFC 9110 sections 15.5.2, 15.5.6, 15.5.8].
std::string_view required_field(uint16_t status) {
  if (status == 401) return "www-authenticate";
  if (status == 405) return "allow";
  if (status == 407) return "proxy-authenticate";
  return {};
}

struct Answer {
  std::string name;
  policy::Place place;
  uint16_t status = 0;
  std::string content_type;
  std::string fields;  // the policy's own, each "name: value\r\n"
  std::string body;
  std::optional<policy::RetryAfter> retry_after;
  bool rate_limit_fields = true;
};

std::string own_header_lines(const policy::Response& response) {
  std::string lines;
  for (const auto& [name, value] : response.headers)
    if (name != "content-type") lines += fmt::format("{}: {}\r\n", name, value);
  return lines;
}

// The largest that the answer can become on the wire.
size_t wire_bytes(std::initializer_list<std::string_view> runs, bool has_retry) {
  size_t bytes = SG_DATE_BYTES + (has_retry ? SG_RETRY_DIGITS_MAX : 0);
  for (std::string_view run : runs) bytes += run.size();
  return bytes;
}

uint16_t add_answer(Draft& draft, std::string_view kind, const Answer& answer) {
  const uint16_t index = draft.next_index(draft.sections.responses, "responses", answer.place);
  const std::string status_line =
      fmt::format("HTTP/1.1 {} {}\r\nDate: ", answer.status, phrase_of(answer.status));
  const std::string retry_label = may_retry_after(answer.status) ? SG_RETRY_AFTER_LABEL : "";
  std::string fields = "\r\n";
  if (!answer.content_type.empty())
    fields += fmt::format("Content-Type: {}\r\n", answer.content_type);
  fields += fmt::format("Content-Length: {}\r\n{}Connection: close\r\n\r\n", answer.body.size(),
                        answer.fields);
  const size_t bytes =
      wire_bytes({status_line, retry_label, fields, answer.body}, !retry_label.empty());
  if (bytes > SG_RESPONSE_BYTES_MAX)
    draft.fault(
        answer.place,
        fmt::format("response {} is {} bytes on the wire and must fit one segment of {}",
                    answer.name, bytes, SG_RESPONSE_BYTES_MAX),
        fmt::format("a body or headers that are {} bytes shorter", bytes - SG_RESPONSE_BYTES_MAX));
  sg_response record{};
  record.id = draft.identify(kind, answer.name, answer.place);
  record.name = draft.text(answer.name);
  record.status_line = draft.text(status_line);
  record.retry_label = draft.text(retry_label);
  record.fields = draft.text(fields);
  record.body = draft.text(answer.body);
  record.status = answer.status;
  record.without_ratelimit = !answer.rate_limit_fields;
  if (answer.retry_after && !retry_label.empty()) {
    record.retry_fixed = answer.retry_after->min_ns > 0;
    record.retry_min_ns = answer.retry_after->min_ns;
    record.retry_jitter_ns = answer.retry_after->jitter_ns;
  }
  draft.sections.responses.push_back(record);
  return index;
}

// Retry-After has SG_RETRY_DIGITS_MAX digits: also the longest wait with jitter must fit them.
void check_retry_after(Draft& draft, const policy::Response& response) {
  if (!response.retry_after) return;
  if (!may_retry_after(response.status.value)) {
    draft.report().warn(
        response.name.place,
        fmt::format("response {}: retry_after is not sent with status {}: it has a meaning "
                    "in 429 and 503",
                    response.name.value, response.status.value));
    return;
  }
  constexpr uint64_t seconds_max = 9'999'999'999;
  constexpr uint64_t ns_per_s = 1'000'000'000;
  if (response.retry_after->min_ns / ns_per_s + response.retry_after->jitter_ns / ns_per_s >=
      seconds_max)
    draft.fault(response.name.place,
                fmt::format("response {}: retry_after is too far ahead", response.name.value));
}

void check_required_field(Draft& draft, const policy::Response& response) {
  const std::string_view field = required_field(response.status.value);
  const bool is_there = std::any_of(response.headers.begin(), response.headers.end(),
                                    [&](const auto& header) { return header.first == field; });
  if (field.empty() || is_there) return;
  draft.report().warn(
      response.name.place,
      fmt::format("response {}: a {} must have the header {} [RFC 9110 section 15.5]",
                  response.name.value, response.status.value, field));
}

void compile_response(Draft& draft, const policy::Response& response) {
  const uint16_t status = response.status.value;
  if (!may_answer(status)) {
    draft.fault(response.status.place,
                fmt::format("status {} cannot answer a refused request", status),
                "a status from 400 to 599 without 426, which an Upgrade must follow");
    draft.responses[response.name.value] = SG_NONE16;  // there is one of that name: told once
    return;
  }
  check_retry_after(draft, response);
  check_required_field(draft, response);
  Answer answer{response.name.value,   response.name.place,        status,
                response.content_type, own_header_lines(response), response.body,
                response.retry_after,  response.rate_limit_fields};
  if (answer.body.empty() && answer.content_type.empty()) {
    answer.body = problem_json(status);
    answer.content_type = problem_type;
  }
  draft.responses[response.name.value] = add_answer(draft, "response", answer);
}

}  // namespace

// A bare 401 must name a scheme, and the gate knows of none but the policy's own keys. A 405 is to
// a method that no server here has; what they have, they know better.
uint16_t Draft::built_in_response(uint16_t status) {
  if (auto known = built_in_responses_.find(status); known != built_in_responses_.end())
    return known->second;
  Answer answer;
  answer.name = fmt::format("{}", status);
  answer.status = status;
  answer.content_type = problem_type;
  if (status == 401) answer.fields = "WWW-Authenticate: ApiKey\r\n";
  if (status == 405) answer.fields = "Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS\r\n";
  answer.body = problem_json(status);
  const uint16_t index = add_answer(*this, "built-in", answer);
  built_in_responses_[status] = index;
  return index;
}

bool is_bare_status(uint16_t status) {
  return status >= 400 && may_answer(status) && (status == 401 || required_field(status).empty());
}

void compile_responses(Draft& draft) {
#define SG_BUILD_IN(status) draft.built_in_response(status);
  SG_BUILT_IN_STATUSES(SG_BUILD_IN)
#undef SG_BUILD_IN
  for (const policy::Response& response : draft.policy().responses)
    compile_response(draft, response);
}

}  // namespace surgegate
