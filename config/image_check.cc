// SPDX-License-Identifier: BSD-3-Clause
#include "config/image_check.h"

#include <array>

#include "config/image_check_parts.h"

namespace surgegate {
namespace {

void check_signatures(const ImageView& image) {
  require_section(image.signatures().size() <= SG_RECORDS_MAX, "signatures", "too many records");
  for (size_t i = 0; i < image.signatures().size(); i++) {
    const sg_signature_set& set = image.signatures()[i];
    CheckedRecord at(image, "signatures", i);
    at.text("name", set.name);
    at.below("field", set.field, SG_FIELD_HEAD + 1);
    at.below("then", set.then, SG_THEN_BAN + 1);
    at.below("mode", set.mode, SG_COUNT + 1);
    at.below_or_none("response", set.response, image.responses().size());
    at.require((set.then == SG_THEN_REFUSE) == (set.response != SG_NONE16), "response",
               "does not go with `then`");
    if (set.field == SG_FIELD_HEADER)
      at.below("header_index", set.header_index, image.key_headers().size());
  }
  for (size_t i = 0; i < image.patterns().size(); i++) {
    CheckedRecord at(image, "patterns", i);
    at.text("text", image.patterns()[i].text);
    at.below("set", image.patterns()[i].set, image.signatures().size());
  }
}

void check_databases(const ImageView& image) {
  require_section(image.databases().size() <= SG_RECORDS_MAX, "databases", "too many records");
  for (size_t i = 0; i < image.databases().size(); i++) {
    const sg_database& database = image.databases()[i];
    CheckedRecord at(image, "databases", i);
    at.run("bytes_first", database.bytes_first, database.bytes_count,
           image.database_bytes().size());
    at.run("pattern_first", database.pattern_first, database.pattern_count,
           image.patterns().size());
    at.below("field", database.field, SG_FIELD_HEAD + 1);
  }
}

void check_penalties(const ImageView& image) {
  require_section(image.penalties().size() <= SG_RECORDS_MAX, "penalties", "too many records");
  for (size_t i = 0; i < image.penalties().size(); i++) {
    const sg_penalty& penalty = image.penalties()[i];
    CheckedRecord at(image, "penalties", i);
    at.text("name", penalty.name);
    at.flag("only_validated", penalty.only_validated);
    at.below("mode", penalty.mode, SG_COUNT + 1);
  }
}

}  // namespace

void check_answers(const ImageView& image) {
  const auto responses = image.responses();
  require_section(responses.size() <= SG_RECORDS_MAX, "responses", "too many records");
#define SG_STATUS(status) status,
  constexpr std::array<uint16_t, SG_RESPONSES_BUILT_IN> built_in = {
      SG_BUILT_IN_STATUSES(SG_STATUS)};
#undef SG_STATUS
  require_section(responses.size() >= built_in.size(), "responses", "a built-in one is missing");
  for (size_t i = 0; i < responses.size(); i++) {
    const sg_response& response = responses[i];
    CheckedRecord at(image, "responses", i);
    uint64_t bytes = SG_DATE_BYTES + (response.retry_label.length_bytes ? SG_RETRY_DIGITS_MAX : 0);
    for (auto [field, run] :
         {std::pair{"status_line", &response.status_line},
          std::pair{"retry_label", &response.retry_label}, std::pair{"fields", &response.fields},
          std::pair{"body", &response.body}}) {
      at.text(field, *run);
      bytes += run->length_bytes;
    }
    at.text("name", response.name);
    at.at_most("body", bytes, SG_RESPONSE_BYTES_MAX);
    at.require(response.status >= 200 && response.status <= 599, "status", "not a final status");
    if (i < built_in.size())
      at.require(response.status == built_in[i], "status", "not the built-in one of this place");
    at.flag("retry_fixed", response.retry_fixed);
    at.flag("without_ratelimit", response.without_ratelimit);
    // What is to be told in SG_RETRY_DIGITS_MAX digits of seconds.
    constexpr uint64_t retry_ns_max = 9'999'999'999'000'000'000ull;
    at.at_most("retry_min_ns", response.retry_min_ns, retry_ns_max);
    at.at_most("retry_jitter_ns", response.retry_jitter_ns, retry_ns_max - response.retry_min_ns);
  }
}

void check_image_records(const ImageView& image) {
  check_requests(image);
  check_answers(image);
  check_sources(image);
  check_pools(image);
  check_signatures(image);
  check_databases(image);
  check_penalties(image);
}

}  // namespace surgegate
