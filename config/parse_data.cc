// SPDX-License-Identifier: BSD-3-Clause
// Data files: prefixes, digests of keys, patterns; one a line, so that hundreds of thousands are
// read in a fraction of a second.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "config/parse_reader.h"

namespace surgegate::policy {
namespace {

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The findings of one file: enough to see what is wrong with it, not one for each of a million
// lines.
class FileReport {
 public:
  FileReport(Reader& reader, std::string path) : reader_(reader), path_(std::move(path)) {}

  void fault(const Place& place, Misread misread) {
    if (admit(faults_)) return reader_.fault(place, std::move(misread));
    if (faults_ == SG_POLICY_FILE_FINDINGS_MAX + 1)
      reader_.report().fault(place, fmt::format("more faults in {} are not shown", quote(path_)));
  }

  void warn(const Place& place, std::string what) {
    if (admit(warnings_)) return reader_.report().warn(place, std::move(what));
    if (warnings_ == SG_POLICY_FILE_FINDINGS_MAX + 1)
      reader_.report().warn(place, fmt::format("more warnings on {} are not shown", quote(path_)));
  }

 private:
  static bool admit(size_t& count) { return ++count <= SG_POLICY_FILE_FINDINGS_MAX; }

  Reader& reader_;
  std::string path_;
  size_t faults_ = 0;
  size_t warnings_ = 0;
};

enum class Comments { anywhere, whole_lines };

// Calls take_line(place, text) for each line that has something but blanks and a comment; it
// returns false to end the reading.
template <class TakeLine>
void each_line(const Reader::File& file, FileReport& report, Comments comments,
               TakeLine take_line) {
  std::string_view rest = file.content;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  for (uint32_t line = 1; !rest.empty(); line++) {
    const size_t length = std::min(rest.find('\n'), rest.size());
    std::string_view text = rest.substr(0, length);
    rest.remove_prefix(std::min(length + 1, rest.size()));
    const char* const begin = text.data();
    if (comments == Comments::anywhere) text = text.substr(0, text.find('#'));
    text = without_blanks(text);
    if (text.empty() || text[0] == '#') continue;
    const Place place{file.index, line, static_cast<uint32_t>(text.data() - begin + 1)};
    if (text.size() > SG_POLICY_LINE_BYTES_MAX)
      report.fault(place, {fmt::format("a line of {} bytes", text.size()),
                           fmt::format("at most {} bytes", SG_POLICY_LINE_BYTES_MAX),
                           {}});
    else if (!take_line(place, text))
      return;
  }
}

struct PlacedCidr {
  Cidr cidr;
  Place place;
};

// IPv6 prefixes say nothing about IPv4 addresses, though those are kept among them.
bool is_ipv4(const Cidr& cidr) {
  return cidr.address.is_ipv4() && cidr.length >= 96;
}

// IPv4 first, then by address, the wider first: what contains a prefix comes before it.
bool stands_before(const PlacedCidr& a, const PlacedCidr& b) {
  if (is_ipv4(a.cidr) != is_ipv4(b.cidr)) return is_ipv4(a.cidr);
  const int order = std::memcmp(a.cidr.address.bytes.data(), b.cidr.address.bytes.data(), 16);
  if (order != 0) return order < 0;
  if (a.cidr.length != b.cidr.length) return a.cidr.length < b.cidr.length;
  return a.cidr.except < b.cidr.except;
}

bool covers(const Cidr& wide, const Cidr& narrow) {
  if (is_ipv4(wide) != is_ipv4(narrow) || wide.length > narrow.length) return false;
  const size_t whole_bytes = wide.length / 8;
  if (std::memcmp(wide.address.bytes.data(), narrow.address.bytes.data(), whole_bytes) != 0)
    return false;
  const auto bits = static_cast<uint8_t>(0xff00u >> (wide.length % 8));
  return wide.length % 8 == 0 ||
         ((wide.address.bytes[whole_bytes] ^ narrow.address.bytes[whole_bytes]) & bits) == 0;
}

// around: the longest prefix of the list that covers the exception, or null.
void check_exception(FileReport& report, const PlacedCidr& at, const PlacedCidr* around) {
  const bool is_same_prefix = around && around->cidr.length == at.cidr.length;
  if (!around || around->cidr.except) {
    if (!is_same_prefix)  // else the line is merely repeated
      report.warn(at.place, fmt::format("{} excepts nothing: what is around it is not in this list",
                                        to_text(at.cidr)));
  } else if (is_same_prefix) {
    report.fault(at.place, {fmt::format("{} is in this list and excepted from it (line {})",
                                        to_text(around->cidr), around->place.line),
                            "one of the two",
                            {}});
  }
}

// Inside a list the longest prefix decides, so that an exception works only within something wider.
void check_exceptions(FileReport& report, std::vector<PlacedCidr> cidrs) {
  const bool has_exception =
      std::any_of(cidrs.begin(), cidrs.end(), [](const PlacedCidr& at) { return at.cidr.except; });
  if (!has_exception) return;
  std::stable_sort(cidrs.begin(), cidrs.end(), stands_before);
  std::vector<const PlacedCidr*> around;  // what covers the current prefix, the widest first
  for (const PlacedCidr& at : cidrs) {
    while (!around.empty() && !covers(around.back()->cidr, at.cidr)) around.pop_back();
    if (at.cidr.except) check_exception(report, at, around.empty() ? nullptr : around.back());
    around.push_back(&at);
  }
}

class CidrReader {
 public:
  CidrReader(Reader& reader, FileReport& report) : reader_(reader), report_(report) {}

  // False where the policy may have no more.
  bool take(const Place& place, std::string_view text) {
    if (reader_.cidrs_left == 0) {
      report_.fault(
          place,
          {fmt::format("the policy has more than {} prefixes", SG_POLICY_CIDRS_MAX), {}, {}});
      return false;
    }
    reader_.cidrs_left--;
    auto parsed = parse_cidr(text);
    if (!parsed) {
      report_.fault(place, parsed.error());
      return true;
    }
    if (parsed->had_host_bits)
      report_.warn(place, fmt::format("{} has bits beyond its length: it is read as {}",
                                      quote(text), to_text(parsed->cidr)));
    cidrs_.push_back({parsed->cidr, place});
    return true;
  }

  void finish(std::vector<Cidr>& out) {
    out.reserve(out.size() + cidrs_.size());
    for (const PlacedCidr& at : cidrs_) out.push_back(at.cidr);
    check_exceptions(report_, std::move(cidrs_));
  }

 private:
  Reader& reader_;
  FileReport& report_;
  std::vector<PlacedCidr> cidrs_;
};

std::optional<uint8_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

std::optional<std::array<uint8_t, 32>> digest_of(std::string_view line) {
  constexpr size_t digits = 64;
  if (line.size() < digits) return std::nullopt;
  if (line.size() > digits && line[digits] != ' ' && line[digits] != '\t') return std::nullopt;
  std::array<uint8_t, 32> digest{};
  for (size_t i = 0; i < digits; i++) {
    const auto digit = hex_digit(line[i]);
    if (!digit) return std::nullopt;
    digest[i / 2] = static_cast<uint8_t>(digest[i / 2] << 4 | *digit);
  }
  return digest;
}

}  // namespace

void read_cidrs(Reader& reader, const Node* items, const Node* file, std::vector<Cidr>& out) {
  std::optional<Reader::File> content;
  if (file) content = reader.file(*file, SG_POLICY_DATA_BYTES_MAX);
  FileReport report(reader, content ? content->path : reader.path());
  CidrReader cidrs(reader, report);
  if (items && reader.is_list(*items, "a list of prefixes")) {
    for (const Node* item : items->items) {
      if (item->kind != Node::Kind::scalar)
        reader.mismatch(*item, "a prefix like 192.0.2.0/24 or \"2001:db8::/32\"");
      else if (!cidrs.take(item->place, item->text))
        break;
    }
  }
  if (content)
    each_line(*content, report, Comments::anywhere,
              [&](const Place& place, std::string_view text) { return cidrs.take(place, text); });
  cidrs.finish(out);
}

void read_keys(Reader& reader, const Node& node, std::vector<std::array<uint8_t, 32>>& out) {
  auto file = reader.file(node, SG_POLICY_DATA_BYTES_MAX);
  if (!file) return;
  FileReport report(reader, file->path);
  each_line(*file, report, Comments::anywhere, [&](const Place& place, std::string_view text) {
    if (reader.keys_left == 0) {
      report.fault(place,
                   {fmt::format("the policy has more than {} keys", SG_POLICY_KEYS_MAX), {}, {}});
      return false;
    }
    reader.keys_left--;
    // The line is not shown: it may be the key itself, in a file that should not have it.
    if (auto digest = digest_of(text))
      out.push_back(*digest);
    else
      report.fault(place, {"this line is not the SHA-256 of a key",
                           "64 hex digits, then nothing, or a blank and a label",
                           {}});
    return true;
  });
}

void read_patterns(Reader& reader, const Node& node, std::vector<Placed<std::string>>& out) {
  auto file = reader.file(node, SG_POLICY_YAML_BYTES_MAX);
  if (!file) return;
  FileReport report(reader, file->path);
  each_line(*file, report, Comments::whole_lines, [&](const Place& place, std::string_view text) {
    if (reader.patterns_left == 0) {
      report.fault(
          place,
          {fmt::format("the policy has more than {} patterns", SG_POLICY_PATTERNS_MAX), {}, {}});
      return false;
    }
    reader.patterns_left--;
    out.push_back({std::string(text), place});
    return true;
  });
}

}  // namespace surgegate::policy
