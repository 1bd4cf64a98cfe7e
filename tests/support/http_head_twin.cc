// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/http_head_twin.h"

#include <cctype>

namespace surgegate::testing {
namespace {

bool visible(unsigned char c) {
  return c >= 0x21 && c <= 0x7e;
}
bool tchar(unsigned char c) {  // RFC 9110 section 5.6.2
  return c < 0x80 && (std::isalnum(c) ||
                      (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                     std::string_view::npos));
}
bool field_vchar(unsigned char c) {  // RFC 9110 section 5.5
  return visible(c) || c >= 0x80 || c == ' ' || c == '\t';
}
bool control(unsigned char c) {
  return (c < 0x20 && c != '\t' && c != '\r') || c == 0x7f;
}

std::string lowered(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

bool registered(const std::string& method) {
  static const std::string all =
      " ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY DELETE GET HEAD LABEL LINK LOCK MERGE "
      "MKACTIVITY MKCALENDAR MKCOL "
      "MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PROPFIND PROPPATCH PUT QUERY "
      "REBIND REPORT SEARCH TRACE "
      "UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL ";
  return all.find(" " + method + " ") != std::string::npos;
}

// uri-host [ ":" port ], of which the host is not empty.
bool host_and_port(const std::string& text) {
  size_t at = 0;
  if (!text.empty() && text[0] == '[') {
    for (at = 1; at < text.size() && text[at] != ']'; at++)
      if (!std::isxdigit(static_cast<unsigned char>(text[at])) && text[at] != ':' &&
          text[at] != '.')
        return false;
    if (at == text.size() || at == 1) return false;
    at++;
  } else {
    while (at < text.size() && text[at] != ':') {
      const auto c = static_cast<unsigned char>(text[at++]);
      if (c >= 0x80 ||
          (!std::isalnum(c) && std::string_view("-._~%!$&'()*+,;=").find(static_cast<char>(c)) ==
                                   std::string_view::npos))
        return false;
    }
    if (at == 0) return false;
  }
  if (at == text.size()) return true;
  if (text[at++] != ':') return false;
  while (at < text.size())
    if (!std::isdigit(static_cast<unsigned char>(text[at++]))) return false;
  return true;
}

enum class At {
  start,
  method,
  target,
  version,
  line_cr,
  line_lf,
  field,
  name,
  value,
  value_lf,
  end_lf
};

class Slow {
 public:
  Slow(std::string_view key_names, uint8_t lenient, TwinHead& head)
      : keys_(" " + std::string(key_names) + " "), lenient_(lenient), head_(head) {}

  // False: nothing further is to be read.
  bool take(char ch, size_t index) {
    const auto c = static_cast<unsigned char>(ch);
    switch (at_) {
      case At::start:
        if (index == 0 && c == '\r') return true;
        if (index == 1 && previous_ == '\r') return c == '\n' || fail(SG_REASON_http_line_end);
        at_ = At::method;
        [[fallthrough]];
      case At::method:
        return method(ch);
      case At::target:
        return target(ch);
      case At::version:
        return version(ch);
      case At::line_cr:
        at_ = At::line_lf;
        return c == '\r' || stop(c, SG_REASON_http_line);
      case At::line_lf:
      case At::value_lf:
        if (c != '\n') return fail(SG_REASON_http_line_end);
        if (at_ == At::value_lf && !field_ended()) return false;
        at_ = At::field;
        return true;
      case At::field:
        if (c == '\r') {
          at_ = At::end_lf;
          return true;
        }
        if (c == ' ' || c == '\t') return fail(SG_REASON_http_folded);
        name_.clear();
        value_.clear();
        at_ = At::name;
        [[fallthrough]];
      case At::name:
        if (tchar(c)) {
          name_ += ch;
          return true;
        }
        if (c == ' ' || c == '\t') return fail(SG_REASON_http_space_before_colon);
        if (name_.empty() || c != ':') return stop(c, SG_REASON_http_field_name);
        at_ = At::value;
        return true;
      case At::value:
        if (field_vchar(c)) {
          value_ += ch;
          return true;
        }
        at_ = At::value_lf;
        return c == '\r' || stop(c, SG_REASON_http_control);
      default:
        if (c != '\n') return fail(SG_REASON_http_line_end);
        head_.length_bytes = index + 1;
        return whole();
    }
  }

  void remember(char c) { previous_ = c; }

 private:
  bool fail(sg_reason reason) {
    head_.status = HeadStatus::malformed;
    head_.fault = reason;
    return false;
  }
  bool stop(unsigned char c, sg_reason otherwise) {
    return fail(c == '\n'    ? SG_REASON_http_line_end
                : control(c) ? SG_REASON_http_control
                             : otherwise);
  }

  bool method(char c) {
    if (tchar(static_cast<unsigned char>(c))) {
      head_.method += c;
      return head_.method.size() <= SG_HTTP_METHOD_BYTES_MAX || fail(SG_REASON_http_method);
    }
    if (head_.method.empty() || c != ' ') return fail(SG_REASON_http_line);
    at_ = At::target;
    if (head_.method == "PRI") return fail(SG_REASON_http_2);
    if (head_.method == "CONNECT") return fail(SG_REASON_http_connect);
    return (lenient_ & SG_LENIENT_ANY_METHOD) != 0 || registered(head_.method) ||
           fail(SG_REASON_http_method);
  }

  bool target_char(unsigned char c) const {
    if (c == '#') return false;
    if (target_.find('?') != std::string::npos)
      return visible(c) || ((lenient_ & SG_LENIENT_RAW_TARGET) != 0 && c >= 0x80);
    if ((lenient_ & SG_LENIENT_RAW_TARGET) != 0 && (c >= 0x80 || visible(c))) return true;
    return visible(c) &&
           std::string_view("\"<>\\`{}").find(static_cast<char>(c)) == std::string_view::npos;
  }

  bool target(char ch) {
    const auto c = static_cast<unsigned char>(ch);
    if (target_char(c)) {
      target_ += ch;
      return target_.size() <= SG_HTTP_TARGET_BYTES_MAX || fail(SG_REASON_http_target_long);
    }
    if (target_.empty()) return stop(c, SG_REASON_http_line);
    if (c == '\r' || c == '\n') return fail(SG_REASON_http_0_9);
    if (c != ' ') return stop(c, SG_REASON_http_target);
    at_ = At::version;
    return form();
  }

  bool form() {
    std::string rest = target_;
    if (rest[0] != '/' && !(rest == "*" && head_.method == "OPTIONS")) {
      if (rest.size() < 8 || lowered(rest.substr(0, 7)) != "http://")
        return fail(SG_REASON_http_target);
      rest.erase(0, 7);
      authority_ = rest.substr(0, rest.find_first_of("/?"));
      rest.erase(0, authority_.size());
      if (!host_and_port(authority_) || (!rest.empty() && rest[0] == '?'))
        return fail(SG_REASON_http_target);
      if (rest.empty()) rest = "/";
    }
    head_.target = rest;
    head_.path = rest.substr(0, rest.find('?'));
    return true;
  }

  bool version(char c) {
    const std::string pattern = "HTTP/d.d";
    const char wanted = pattern[version_.size()];
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (wanted == 'd' ? !digit : c != wanted)
      return stop(static_cast<unsigned char>(c), SG_REASON_http_line);
    version_ += c;
    if (version_.size() < pattern.size()) return true;
    at_ = At::line_cr;
    if (version_ != "HTTP/1.0" && version_ != "HTTP/1.1") return fail(SG_REASON_http_version);
    head_.http_1_0 = version_ == "HTTP/1.0";
    return true;
  }

  bool field_ended() {
    if (++fields_ > SG_HTTP_FIELDS_MAX) return fail(SG_REASON_http_fields_many);
    const std::string name = lowered(name_);
    const size_t first = value_.find_first_not_of(" \t"), last = value_.find_last_not_of(" \t");
    const std::string value =
        first == std::string::npos ? "" : value_.substr(first, last - first + 1);
    if (keys_.find(" " + name + " ") != std::string::npos &&
        !head_.keys.emplace(name, value).second)
      return fail(SG_REASON_http_field_twice);
    if (name == "host") {
      if (has_host_) return fail(SG_REASON_http_host_twice);
      has_host_ = true;
      head_.host = value;
      return host_and_port(value) || fail(SG_REASON_http_host);
    }
    if (name == "user-agent") {
      if (has_agent_) return fail(SG_REASON_http_field_twice);
      has_agent_ = true;
      head_.user_agent = value;
    }
    if (name == "upgrade") head_.upgrade = true;
    if (name == "content-length") return length(value);
    if (name == "transfer-encoding") {
      if (head_.chunked || lowered(value) != "chunked") return fail(SG_REASON_http_coding);
      head_.chunked = true;
    }
    return true;
  }

  bool length(const std::string& value) {
    if (has_length_) return fail(SG_REASON_http_length_twice);
    has_length_ = true;
    if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos ||
        value.size() > 13)
      return fail(SG_REASON_http_length);
    head_.content_length = std::stoull(value);
    return head_.content_length < (1ull << 40) || fail(SG_REASON_http_length);
  }

  bool whole() {
    if (head_.length_bytes > SG_HEAD_BYTES_MAX) return fail(SG_REASON_http_head_long);
    if (!has_host_ && !head_.http_1_0) return fail(SG_REASON_http_no_host);
    if (!authority_.empty()) {
      if (!has_host_ || lowered(authority_) != lowered(head_.host))
        return fail(SG_REASON_http_host_differs);
      if ((lenient_ & SG_LENIENT_ABSOLUTE_TARGET) == 0) return fail(SG_REASON_http_absolute_target);
    }
    if (head_.chunked && has_length_) return fail(SG_REASON_http_length_and_chunked);
    if (head_.chunked && head_.http_1_0) return fail(SG_REASON_http_chunked_1_0);
    head_.status = HeadStatus::complete;
    return false;
  }

  std::string keys_;
  uint8_t lenient_;
  TwinHead& head_;
  At at_ = At::start;
  char previous_ = 0;
  std::string target_, version_, name_, value_, authority_;
  unsigned fields_ = 0;
  bool has_host_ = false, has_agent_ = false, has_length_ = false;
};

}  // namespace

TwinHead read_head_slowly(std::string_view bytes, std::string_view key_names, uint8_t lenient) {
  TwinHead head;
  Slow slow(key_names, lenient, head);
  for (size_t i = 0; i < bytes.size(); i++) {
    if (!slow.take(bytes[i], i)) return head;
    slow.remember(bytes[i]);
  }
  if (bytes.size() >= SG_HEAD_BYTES_MAX) {
    head.status = HeadStatus::malformed;
    head.fault = SG_REASON_http_head_long;
  }
  return head;
}

}  // namespace surgegate::testing
