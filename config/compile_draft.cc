// SPDX-License-Identifier: BSD-3-Clause
#include "config/compile_draft.h"

#include <fmt/format.h>

#include <charconv>

#include "config/flow_hash.h"

namespace surgegate {

uint64_t identity(std::string_view kind, std::string_view name) {
  std::string bytes(kind);
  bytes += '\0';
  bytes += name;
  const sg_secret key = {0, 0};
  return sg_hash_bytes(&key, reinterpret_cast<const __u8*>(bytes.data()),
                       static_cast<__u32>(bytes.size()));
}

std::optional<std::string> Identities::claim(uint64_t id, std::string_view kind,
                                             std::string_view name) {
  auto [owner, is_new] = owners_.emplace(id, fmt::format("{} {}", kind, name));
  if (is_new) return std::nullopt;
  return owner->second;
}

void Draft::too_many(const char* what, const policy::Place& place) {
  fault(place, fmt::format("too many {}: an image holds {}", what, SG_RECORDS_MAX));
}

sg_text Draft::text(std::string_view text) {
  if (text.empty()) return {0, 0};
  auto [known, is_new] = texts_.try_emplace(std::string(text));
  if (!is_new) return known->second;
  std::vector<char>& strings = sections.strings;
  if (strings.size() + text.size() > SG_IMAGE_BYTES_MAX) {
    fault({}, "the texts of the policy are larger than an image may be");
    return {0, 0};
  }
  known->second = {static_cast<__u32>(strings.size()), static_cast<__u32>(text.size())};
  strings.insert(strings.end(), text.begin(), text.end());
  return known->second;
}

uint64_t Draft::identify(std::string_view kind, std::string_view name, const policy::Place& place) {
  const uint64_t id = identity(kind, name);
  if (auto owner = identities_.claim(id, kind, name))
    fault(place, fmt::format("{} {} has the same identity as {}", kind, name, *owner),
          "another name for one of the two");
  return id;
}

uint8_t Draft::header(const std::string& name, const policy::Place& place) {
  if (auto known = headers_.find(name); known != headers_.end()) return known->second;
  const size_t index = sections.key_headers.size();
  if (index >= SG_KEY_HEADERS_MAX) {
    headers_[name] = 0;  // told once
    fault(place, fmt::format("header {} is one too many: a policy may ask for {} header names in "
                             "keys, routes, client rules and signatures together",
                             name, SG_KEY_HEADERS_MAX));
    return 0;
  }
  sections.key_headers.push_back(text(name));
  headers_[name] = static_cast<uint8_t>(index);
  return static_cast<uint8_t>(index);
}

uint16_t Draft::response(const policy::Name& name) {
  if (auto known = responses.find(name.value); known != responses.end()) return known->second;
  uint16_t status = 0;
  const char* end = name.value.data() + name.value.size();
  auto [rest, error] = std::from_chars(name.value.data(), end, status);
  if (error == std::errc() && rest == end) return response({status, name.place});
  fault(name.place, fmt::format("no response is named {}", name.value),
        "a name under `responses`, or a bare status");
  return SG_NONE16;
}

uint16_t Draft::response(const policy::Placed<uint16_t>& status) {
  if (is_bare_status(status.value)) return built_in_response(status.value);
  fault(status.place, fmt::format("{} cannot be a bare answer", status.value),
        "400 to 599 without 405, 407 and 426; others can be given under `responses`");
  return SG_NONE16;
}

}  // namespace surgegate
