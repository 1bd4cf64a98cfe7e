// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/http_head.h"

#include <algorithm>
#include <cstring>

#include "dataplane/path/http_methods.h"
#include "dataplane/path/http_scan.h"

namespace surgegate {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool equals_caseless(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (size_t i = 0; i < text.size(); i++)
    if (lower(text[i]) != lower_case[i]) return false;
  return true;
}

bool same_caseless(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view value) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_control(char c) {
  return static_cast<uint8_t>(c) < 0x20 || c == 0x7f;
}

// 1*DIGIT below the maximum. A list ("5, 5") is not a number: RFC 9110 section 8.6 lets a recipient
// reject it.
bool parse_content_length(std::string_view value, uint64_t& length) {
  if (value.empty() || value.size() > SG_HTTP_LENGTH_DIGITS_MAX) return false;
  length = 0;
  for (char c : value) {
    if (!is_digit(c)) return false;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  return length < SG_HTTP_LENGTH_MAX;
}

bool is_reg_name_char(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
         std::string_view("-._~%!$&'()*+,;=").find(c) != std::string_view::npos;
}

bool is_ip_literal_char(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') || c == ':' || c == '.';
}

// uri-host [ ":" port ] [RFC 9110 section 7.2]. The host is not empty [section 4.2.1].
bool is_host(std::string_view value) {
  size_t end = 0;
  if (value.starts_with('[')) {
    end = value.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    if (!std::all_of(value.begin() + 1, value.begin() + static_cast<ptrdiff_t>(end),
                     is_ip_literal_char))
      return false;
    end++;
  } else {
    while (end < value.size() && is_reg_name_char(value[end])) end++;
    if (end == 0) return false;
  }
  std::string_view port = value.substr(end);
  if (port.empty()) return true;
  return port[0] == ':' && std::all_of(port.begin() + 1, port.end(), is_digit);
}

class Reader {
 public:
  Reader(std::string_view bytes, const HeadRules& rules, HttpHead& head)
      : bytes_(bytes), rules_(rules), head_(head) {}

  HeadStatus read() {
    head_.clear();
    HeadStatus status = skip_empty_line();
    if (status == HeadStatus::complete) status = read_request_line();
    while (status == HeadStatus::complete) {
      if (at_ == bytes_.size()) {
        status = HeadStatus::incomplete;
      } else if (bytes_[at_] == '\r') {
        status = read_line_end(SG_REASON_http_line_end);
        if (status == HeadStatus::complete) return finish();
      } else {
        status = read_field();
      }
    }
    if (status == HeadStatus::incomplete && bytes_.size() >= SG_HEAD_BYTES_MAX)
      return fault(SG_REASON_http_head_long);
    return status;
  }

 private:
  HeadStatus fault(sg_reason reason) {
    head_.fault = reason;
    return HeadStatus::malformed;
  }

  // The fault that the byte at at_ is, which ends a run: `otherwise` where nothing else is known.
  HeadStatus stopped(sg_reason otherwise) {
    char c = bytes_[at_];
    if (c == '\n') return fault(SG_REASON_http_line_end);
    if (c != '\r' && c != '\t' && is_control(c)) return fault(SG_REASON_http_control);
    return fault(otherwise);
  }

  // Where the run of characters of one kind that starts at at_ ends. Blocks are scanned as they are
  // reached, each once.
  size_t run_end(HttpChars kind) {
    for (size_t at = at_; at < bytes_.size(); at = (at / scan_block_bytes + 1) * scan_block_bytes) {
      size_t block = at / scan_block_bytes;
      if (block != block_) {
        block_ = block;
        size_t start = block * scan_block_bytes;
        rules_.scan(bytes_.data() + start, std::min(bytes_.size() - start, scan_block_bytes),
                    stops_);
      }
      uint64_t stops = stops_.of(kind) >> (at % scan_block_bytes);
      if (stops != 0) return at + static_cast<size_t>(__builtin_ctzll(stops));
    }
    return bytes_.size();
  }

  std::string_view take(HttpChars kind) {
    size_t start = at_;
    at_ = run_end(kind);
    return bytes_.substr(start, at_ - start);
  }

  // RFC 9112 section 2.2: CR LF, and nothing that another reader takes for it.
  HeadStatus read_line_end(sg_reason otherwise) {
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    if (bytes_[at_] != '\r') return stopped(otherwise);
    if (at_ + 1 == bytes_.size()) return HeadStatus::incomplete;
    if (bytes_[at_ + 1] != '\n') return fault(SG_REASON_http_line_end);
    at_ += 2;
    return HeadStatus::complete;
  }

  // RFC 9112 section 2.2: one empty line that a client sent behind the request before, which is not
  // of it, is none of ours either.
  HeadStatus skip_empty_line() {
    bool there = !bytes_.empty() && bytes_[0] == '\r';
    return there ? read_line_end(SG_REASON_http_line_end) : HeadStatus::complete;
  }

  // RFC 9112 section 3: one space between the parts, nothing else.
  HeadStatus read_request_line() {
    HeadStatus status = read_method();
    if (status == HeadStatus::complete) status = read_target();
    if (status == HeadStatus::complete) status = read_version();
    return status == HeadStatus::complete ? read_line_end(SG_REASON_http_line) : status;
  }

  HeadStatus read_method() {
    head_.method = take(HttpChars::token);
    if (head_.method.size() > SG_HTTP_METHOD_BYTES_MAX) return fault(SG_REASON_http_method);
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    if (head_.method.empty() || bytes_[at_] != ' ') return fault(SG_REASON_http_line);
    at_++;
    if (head_.method == "PRI") return fault(SG_REASON_http_2);  // RFC 9113 section 3.4
    if (head_.method == "CONNECT") return fault(SG_REASON_http_connect);
    bool known = is_registered_method(head_.method) || (rules_.lenient & SG_LENIENT_ANY_METHOD);
    return known ? HeadStatus::complete : fault(SG_REASON_http_method);
  }

  HeadStatus read_target() {
    size_t start = at_;
    head_.path = take_path();
    if (at_ < bytes_.size() && bytes_[at_] == '?') take_raw(HttpChars::query);
    head_.target = bytes_.substr(start, at_ - start);
    if (head_.target.size() > SG_HTTP_TARGET_BYTES_MAX) return fault(SG_REASON_http_target_long);
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    if (head_.target.empty()) return stopped(SG_REASON_http_line);
    if (bytes_[at_] == '\r' || bytes_[at_] == '\n') return fault(SG_REASON_http_0_9);
    if (bytes_[at_] != ' ') return stopped(SG_REASON_http_target);
    at_++;
    return note_target_form();
  }

  std::string_view take_path() {
    size_t start = at_;
    take_raw(HttpChars::path);
    return bytes_.substr(start, at_ - start);
  }

  // A run of this kind; of a service that is lenient about it with all that browsers of old did not
  // encode [RFC 3986 section 2], but for what ends a path or target.
  void take_raw(HttpChars kind) {
    at_ = run_end(kind);
    if ((rules_.lenient & SG_LENIENT_RAW_TARGET) == 0) return;
    while (at_ < bytes_.size() && is_raw(bytes_[at_], kind)) {
      at_++;
      at_ = run_end(kind);
    }
  }

  static bool is_raw(char c, HttpChars kind) {
    if (kind == HttpChars::path && c == '?') return false;
    return is_http_char(c, HttpChars::query) || static_cast<uint8_t>(c) >= 0x80;
  }

  // RFC 9112 section 3.2. Of a whole URL only the part behind the host goes on to those who read
  // targets; that its host is the Host field's is seen when that was read.
  HeadStatus note_target_form() {
    std::string_view target = head_.target;
    if (target[0] == '/' || (target == "*" && head_.method == "OPTIONS"))
      return HeadStatus::complete;
    constexpr std::string_view scheme = "http://";
    if (target.size() <= scheme.size() || !equals_caseless(target.substr(0, scheme.size()), scheme))
      return fault(SG_REASON_http_target);
    size_t path_at = std::min(target.find_first_of("/?", scheme.size()), target.size());
    authority_ = target.substr(scheme.size(), path_at - scheme.size());
    if (!is_host(authority_)) return fault(SG_REASON_http_target);
    bool has_path = path_at < target.size() && target[path_at] == '/';
    if (!has_path && path_at < target.size()) return fault(SG_REASON_http_target);
    head_.target = has_path ? target.substr(path_at) : std::string_view("/");
    head_.path = has_path ? head_.path.substr(path_at) : head_.target;
    return HeadStatus::complete;
  }

  HeadStatus read_version() {
    for (char wanted : std::string_view("HTTP/")) {
      if (at_ == bytes_.size()) return HeadStatus::incomplete;
      if (bytes_[at_] != wanted) return stopped(SG_REASON_http_line);
      at_++;
    }
    char digits[3] = {};
    for (char& digit : digits) {
      if (at_ == bytes_.size()) return HeadStatus::incomplete;
      digit = bytes_[at_];
      bool fits = &digit == &digits[1] ? digit == '.' : is_digit(digit);
      if (!fits) return stopped(SG_REASON_http_line);
      at_++;
    }
    if (digits[0] != '1' || digits[2] > '1') return fault(SG_REASON_http_version);
    head_.http_1_0 = digits[2] == '0';
    return HeadStatus::complete;
  }

  // RFC 9112 section 5: no space before the colon, no line folding.
  HeadStatus read_field() {
    std::string_view name = take(HttpChars::token);
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    char c = bytes_[at_];
    if (c == ' ' || c == '\t')
      return fault(name.empty() ? SG_REASON_http_folded : SG_REASON_http_space_before_colon);
    if (name.empty() || c != ':') return stopped(SG_REASON_http_field_name);
    at_++;
    std::string_view value = trim(take(HttpChars::value));
    HeadStatus status = read_line_end(SG_REASON_http_control);
    if (status != HeadStatus::complete) return status;
    if (++fields_ > SG_HTTP_FIELDS_MAX) return fault(SG_REASON_http_fields_many);
    sg_reason wrong = note_field(name, value);
    return wrong == SG_REASON_COUNT ? HeadStatus::complete : fault(wrong);
  }

  // What is wrong with the field; SG_REASON_COUNT: nothing.
  sg_reason note_field(std::string_view name, std::string_view value) {
    uint32_t key = rules_.names.find(name);
    if (key < SG_KEY_HEADERS_MAX) {
      // A bucket's key must not depend on which of two values a backend prefers.
      if (head_.has_key(key)) return SG_REASON_http_field_twice;
      head_.set_key(key, value);
    }
    switch (name.size()) {
      case 4:
        return equals_caseless(name, "host") ? set_host(value) : SG_REASON_COUNT;
      case 7:
        head_.upgrade = head_.upgrade || equals_caseless(name, "upgrade");
        return SG_REASON_COUNT;
      case 10:
        return equals_caseless(name, "user-agent") ? set_user_agent(value) : SG_REASON_COUNT;
      case 14:
        return equals_caseless(name, "content-length") ? set_content_length(value)
                                                       : SG_REASON_COUNT;
      case 17:
        return equals_caseless(name, "transfer-encoding") ? set_transfer_encoding(value)
                                                          : SG_REASON_COUNT;
      default:
        return SG_REASON_COUNT;
    }
  }

  sg_reason set_host(std::string_view value) {
    if (has_host_) return SG_REASON_http_host_twice;  // RFC 9112 section 3.2
    has_host_ = true;
    head_.host = value;
    return is_host(value) ? SG_REASON_COUNT : SG_REASON_http_host;
  }

  // Two of them, and the one that is scanned need not be the one that the backend believes.
  sg_reason set_user_agent(std::string_view value) {
    if (has_user_agent_) return SG_REASON_http_field_twice;
    has_user_agent_ = true;
    head_.user_agent = value;
    return SG_REASON_COUNT;
  }

  sg_reason set_content_length(std::string_view value) {
    if (has_length_) return SG_REASON_http_length_twice;
    has_length_ = true;
    return parse_content_length(value, head_.content_length) ? SG_REASON_COUNT
                                                             : SG_REASON_http_length;
  }

  sg_reason set_transfer_encoding(std::string_view value) {
    if (head_.chunked || !equals_caseless(value, "chunked")) return SG_REASON_http_coding;
    head_.chunked = true;
    return SG_REASON_COUNT;
  }

  // What can be said of the head as a whole.
  HeadStatus finish() {
    head_.length_bytes = static_cast<uint32_t>(at_);
    if (at_ > SG_HEAD_BYTES_MAX) return fault(SG_REASON_http_head_long);
    if (!has_host_ && !head_.http_1_0) return fault(SG_REASON_http_no_host);
    if (!authority_.empty()) {
      // RFC 9112 section 3.2.2 has the URL's host count; not every server does.
      if (!has_host_ || !same_caseless(authority_, head_.host))
        return fault(SG_REASON_http_host_differs);
      if ((rules_.lenient & SG_LENIENT_ABSOLUTE_TARGET) == 0)
        return fault(SG_REASON_http_absolute_target);
    }
    // RFC 9112 section 6.1: both lengths, or chunks in HTTP/1.0, are how requests are smuggled.
    if (head_.chunked && has_length_) return fault(SG_REASON_http_length_and_chunked);
    if (head_.chunked && head_.http_1_0) return fault(SG_REASON_http_chunked_1_0);
    return HeadStatus::complete;
  }

  std::string_view bytes_;
  const HeadRules& rules_;
  HttpHead& head_;
  size_t at_ = 0;
  size_t block_ = SIZE_MAX;  // the one that stops_ are of
  ScanStops stops_;
  uint32_t fields_ = 0;
  bool has_host_ = false;
  bool has_length_ = false;
  bool has_user_agent_ = false;
  std::string_view authority_;  // of a whole URL
};

}  // namespace

std::string_view host_name(std::string_view field) {
  if (field.starts_with('[')) {  // an IPv6 address: its colons are not the port's
    size_t end = field.find(']');
    return end == std::string_view::npos ? field : field.substr(0, end + 1);
  }
  std::string_view name = field.substr(0, field.find(':'));
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

HeaderNames::HeaderNames(const std::array<std::string_view, SG_KEY_HEADERS_MAX>& names)
    : names_(names) {
  for (uint32_t i = 0; i < names_.size(); i++)
    if (!names_[i].empty() && names_[i].size() < by_length_.size())
      by_length_[names_[i].size()] |= static_cast<uint16_t>(1u << i);
}

uint32_t HeaderNames::find(std::string_view name) const {
  if (name.size() >= by_length_.size()) return SG_KEY_HEADERS_MAX;
  for (uint32_t left = by_length_[name.size()]; left != 0; left &= left - 1) {
    auto i = static_cast<uint32_t>(__builtin_ctz(left));
    if (equals_caseless(name, names_[i])) return i;
  }
  return SG_KEY_HEADERS_MAX;
}

HeadStatus read_http_head(std::string_view bytes, const HeadRules& rules, HttpHead& head) {
  HeadStatus status = Reader(bytes, rules, head).read();
  if (status == HeadStatus::complete) return status;
  std::string_view method = head.method;
  sg_reason fault = head.fault;
  head.clear();
  head.fault = fault;
  if (status == HeadStatus::malformed) head.method = method;
  return status;
}

HeadEnd find_head_end(std::string_view bytes, size_t from) {
  for (size_t i = from; i < bytes.size(); i++) {
    bool after_cr = i > 0 && bytes[i - 1] == '\r';
    bool is_lf = bytes[i] == '\n';
    if (is_lf != after_cr) return {HeadStatus::malformed, 0};
    // The empty line that may stand before a head (skip_empty_line) ends none.
    if (is_lf && i >= 3 && bytes[i - 2] == '\n')
      return {HeadStatus::complete, static_cast<uint32_t>(i + 1)};
  }
  return {HeadStatus::incomplete, 0};
}

}  // namespace surgegate
