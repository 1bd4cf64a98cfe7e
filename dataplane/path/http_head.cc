// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/http_head.h"

#include <cstring>

#include "config/request_path.h"

namespace surgegate {
namespace {

constexpr uint8_t token_char = 1;  // RFC 9110 section 5.6.2
constexpr uint8_t path_char = 2;
constexpr uint8_t query_char = 4;  // visible ASCII but '#': API clients and old links encode little
constexpr uint8_t value_char = 8;  // RFC 9110 section 5.5: visible, obs-text, SP, HTAB

constexpr std::array<uint8_t, 256> make_classes() {
  std::array<uint8_t, 256> classes{};
  for (int c = 0x21; c < 0x7f; c++) {
    classes[c] = token_char | value_char;
    if (c != '#') classes[c] |= query_char;
    if (is_path_char(static_cast<char>(c))) classes[c] |= path_char;
  }
  for (char c : std::string_view("\"(),/:;<=>?@[\\]{}"))
    classes[static_cast<uint8_t>(c)] &= static_cast<uint8_t>(~token_char);
  classes[' '] |= value_char;
  classes['\t'] |= value_char;
  for (int c = 0x80; c < 0x100; c++) classes[c] = value_char;
  return classes;
}

constexpr std::array<uint8_t, 256> classes = make_classes();

bool is(char c, uint8_t kind) {
  return (classes[static_cast<uint8_t>(c)] & kind) != 0;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool equals_caseless(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (size_t i = 0; i < text.size(); i++)
    if (lower(text[i]) != lower_case[i]) return false;
  return true;
}

std::string_view trim(std::string_view value) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value;
}

// 1*DIGIT that fits 63 bits. A list ("5, 5") is not a number: RFC 9110 section 8.6 lets a recipient
// reject it.
bool parse_content_length(std::string_view value, uint64_t& length) {
  if (value.empty() || value.size() > 18) return false;  // 10^18 - 1 < 2^63
  length = 0;
  for (char c : value) {
    if (c < '0' || c > '9') return false;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

class Reader {
 public:
  Reader(std::string_view bytes, const HeaderNames& names, HttpHead& head)
      : bytes_(bytes), names_(names), head_(head) {}

  HeadStatus read() {
    head_.clear();
    HeadStatus status = skip_empty_line();
    if (status == HeadStatus::complete) status = read_request_line();
    while (status == HeadStatus::complete) {
      if (at_ + 2 > bytes_.size()) {
        bool may_become_crlf =
            at_ == bytes_.size() || bytes_[at_] == '\r' || is(bytes_[at_], token_char);
        return may_become_crlf ? HeadStatus::incomplete : HeadStatus::malformed;
      }
      if (bytes_[at_] == '\r') return finish();
      status = read_field();
    }
    return status;
  }

 private:
  // Takes the run of characters of one kind that starts here.
  std::string_view take(uint8_t kind) {
    size_t start = at_;
    while (at_ < bytes_.size() && is(bytes_[at_], kind)) at_++;
    return bytes_.substr(start, at_ - start);
  }

  // Takes exactly `text`; incomplete where the bytes end within it.
  HeadStatus expect(std::string_view text) {
    size_t there = std::min(text.size(), bytes_.size() - at_);
    if (std::memcmp(bytes_.data() + at_, text.data(), there) != 0) return HeadStatus::malformed;
    at_ += there;
    return there == text.size() ? HeadStatus::complete : HeadStatus::incomplete;
  }

  // RFC 9112 section 2.2: one empty line that a client sent behind the request before, which is not
  // of it, is none of ours either.
  HeadStatus skip_empty_line() {
    bool there = !bytes_.empty() && bytes_[0] == '\r';
    return there ? expect("\r\n") : HeadStatus::complete;
  }

  // RFC 9112 section 3: one space between the parts, nothing else. Only origin-form and "*".
  HeadStatus read_request_line() {
    head_.method = take(token_char);
    if (head_.method.size() > SG_HTTP_METHOD_BYTES_MAX) return HeadStatus::malformed;
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    if (head_.method.empty() || bytes_[at_++] != ' ') return HeadStatus::malformed;
    take_target();
    if (!head_.target.empty() && !target_form_known()) return HeadStatus::malformed;
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    if (head_.target.empty() || bytes_[at_++] != ' ') return HeadStatus::malformed;
    HeadStatus status = expect("HTTP/1.");
    if (status != HeadStatus::complete) return status;
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    char minor = bytes_[at_++];
    if (minor != '0' && minor != '1') return HeadStatus::malformed;
    head_.http_1_0 = minor == '0';
    return expect("\r\n");
  }

  void take_target() {
    size_t start = at_;
    head_.path = take(path_char);
    if (at_ < bytes_.size() && bytes_[at_] == '?') take(query_char);
    head_.target = bytes_.substr(start, at_ - start);
  }

  bool target_form_known() const {
    return head_.target[0] == '/' || (head_.target == "*" && head_.method == "OPTIONS");
  }

  // RFC 9112 section 5: no space before the colon, no line folding.
  HeadStatus read_field() {
    std::string_view name = take(token_char);
    if (at_ == bytes_.size()) return HeadStatus::incomplete;
    if (name.empty() || bytes_[at_++] != ':') return HeadStatus::malformed;
    std::string_view value = trim(take(value_char));
    HeadStatus status = expect("\r\n");
    if (status != HeadStatus::complete) return status;
    if (++fields_ > SG_HTTP_FIELDS_MAX) return HeadStatus::malformed;
    return note_field(name, value) ? HeadStatus::complete : HeadStatus::malformed;
  }

  bool note_field(std::string_view name, std::string_view value) {
    uint32_t key = names_.find(name);
    if (key < SG_KEY_HEADERS_MAX) {
      // A bucket's key must not depend on which of two values a backend prefers.
      if (head_.has_key(key)) return false;
      head_.set_key(key, value);
    }
    switch (name.size()) {
      case 4:
        return !equals_caseless(name, "host") || set_host(value);
      case 7:
        head_.upgrade = head_.upgrade || equals_caseless(name, "upgrade");
        return true;
      case 10:
        return !equals_caseless(name, "user-agent") || set_user_agent(value);
      case 14:
        return !equals_caseless(name, "content-length") || set_content_length(value);
      case 17:
        return !equals_caseless(name, "transfer-encoding") || set_transfer_encoding(value);
      default:
        return true;
    }
  }

  bool set_host(std::string_view value) {
    if (has_host_) return false;  // RFC 9112 section 3.2: more than one is an error
    has_host_ = true;
    head_.host = value;
    return true;
  }

  // Two of them, and the one that is scanned need not be the one that the backend believes.
  bool set_user_agent(std::string_view value) {
    if (has_user_agent_) return false;
    has_user_agent_ = true;
    head_.user_agent = value;
    return true;
  }

  bool set_content_length(std::string_view value) {
    if (has_length_) return false;
    has_length_ = true;
    return parse_content_length(value, head_.content_length);
  }

  bool set_transfer_encoding(std::string_view value) {
    if (head_.chunked || !equals_caseless(value, "chunked")) return false;
    head_.chunked = true;
    return true;
  }

  HeadStatus finish() {
    if (bytes_[at_ + 1] != '\n') return HeadStatus::malformed;
    at_ += 2;
    head_.length_bytes = static_cast<uint32_t>(at_);
    if (!has_host_ && !head_.http_1_0) return HeadStatus::malformed;  // RFC 9112 section 3.2
    // RFC 9112 section 6.1: both lengths, or chunks in HTTP/1.0, are how requests are smuggled.
    if (head_.chunked && (has_length_ || head_.http_1_0)) return HeadStatus::malformed;
    return HeadStatus::complete;
  }

  std::string_view bytes_;
  const HeaderNames& names_;
  HttpHead& head_;
  size_t at_ = 0;
  uint32_t fields_ = 0;
  bool has_host_ = false;
  bool has_length_ = false;
  bool has_user_agent_ = false;
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

HeadStatus read_http_head(std::string_view bytes, const HeaderNames& names, HttpHead& head) {
  HeadStatus status = Reader(bytes, names, head).read();
  if (status != HeadStatus::complete) head.clear();
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
