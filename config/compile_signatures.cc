// SPDX-License-Identifier: BSD-3-Clause
// Signature sets, their patterns, and a database for each distinct list of sets in use.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "config/compile_draft.h"
#include "config/limits.h"
#include "config/signatures.h"

namespace surgegate {
namespace {

static_assert(int(policy::SignatureField::user_agent) == SG_FIELD_USER_AGENT &&
              int(policy::SignatureField::head) == SG_FIELD_HEAD);
static_assert(int(policy::SignatureThen::ban) == SG_THEN_BAN);

// A pattern, where it stands, and whose it is.
struct SetPatterns {
  std::vector<std::string> texts;
  std::vector<policy::Place> places;
  std::vector<uint16_t> sets;
};

SetPatterns patterns_of(const Draft& draft, std::span<const uint16_t> sets) {
  SetPatterns all;
  for (uint16_t set : sets)
    for (const auto& [text, place] : draft.policy().signatures[set].patterns) {
      all.texts.push_back(text);
      all.places.push_back(place);
      all.sets.push_back(set);
    }
  return all;
}

// Of one file as many as of any data file: who has another engine's list sees that it is.
void tell(Draft& draft, const SetPatterns& patterns, std::span<const uint16_t> sets,
          const std::vector<PatternFault>& faults) {
  std::map<uint32_t, size_t> told_by_file;
  for (const PatternFault& fault : faults) {
    if (fault.pattern == fault_of_set) {
      const policy::Name& name = draft.policy().signatures[sets.front()].name;
      draft.fault(name.place, fmt::format("the patterns of signature set {} cannot be compiled "
                                          "together: {}",
                                          name.value, fault.what));
      continue;
    }
    const policy::Place& place = patterns.places[fault.pattern];
    const size_t told = told_by_file[place.file]++;
    if (told == SG_POLICY_FILE_FINDINGS_MAX)
      draft.fault(place, fmt::format("more faults in {} are not shown",
                                     policy::quote(draft.policy().files[place.file])));
    if (told >= SG_POLICY_FILE_FINDINGS_MAX) continue;
    draft.fault(place, fmt::format("pattern {} is refused by Hyperscan: {}",
                                   policy::quote(patterns.texts[fault.pattern]), fault.what));
  }
}

uint32_t add_patterns(Draft& draft, const SetPatterns& patterns) {
  auto& records = draft.sections.patterns;
  const auto first = static_cast<uint32_t>(records.size());
  for (size_t i = 0; i < patterns.texts.size(); i++)
    records.push_back({draft.text(patterns.texts[i]), patterns.sets[i]});
  return first;
}

bool has_these_patterns(const ImageView& image, const sg_database& database,
                        const SetPatterns& patterns) {
  const auto records = image.patterns().subspan(database.pattern_first, database.pattern_count);
  return std::equal(records.begin(), records.end(), patterns.texts.begin(), patterns.texts.end(),
                    [&](const sg_pattern& record, const std::string& text) {
                      return image.text(record.text) == text;
                    });
}

// The database of the image before, where the same patterns would only be compiled again: so a
// change elsewhere in the policy costs no compilation.
std::vector<uint8_t> compiled_before(const Draft& draft, const SetPatterns& patterns) {
  if (!draft.previous()) return {};
  const ImageView& image = *draft.previous();
  for (const sg_database& database : image.databases()) {
    const auto bytes = image.database_bytes().subspan(database.bytes_first, database.bytes_count);
    if (database.field == SG_FIELD_USER_AGENT && has_these_patterns(image, database, patterns) &&
        is_database_of_this_host(bytes))
      return {bytes.begin(), bytes.end()};
  }
  return {};
}

std::vector<uint8_t> database_bytes(Draft& draft, const SetPatterns& patterns,
                                    std::span<const uint16_t> sets) {
  auto bytes = compiled_before(draft, patterns);
  if (!bytes.empty()) return bytes;
  auto compiled = compile_patterns(patterns.texts, SG_FIELD_USER_AGENT);
  if (compiled) return std::move(*compiled);
  tell(draft, patterns, sets, compiled.error());
  return {};
}

uint16_t add_database(Draft& draft, const std::vector<uint16_t>& sets) {
  const SetPatterns patterns = patterns_of(draft, sets);
  if (patterns.texts.empty()) return SG_NONE16;
  const policy::Place& place = draft.policy().signatures[sets.front()].name.place;
  const uint16_t index = draft.next_index(draft.sections.databases, "signature databases", place);
  const auto bytes = database_bytes(draft, patterns, sets);
  auto& all = draft.sections.database_bytes;
  all.resize((all.size() + 7) & ~size_t{7});  // hs_deserialize_database wants 8-byte alignment
  sg_database record{};
  record.bytes_first = all.size();
  record.bytes_count = bytes.size();
  record.pattern_first = add_patterns(draft, patterns);
  record.pattern_count = static_cast<__u32>(patterns.texts.size());
  record.field = SG_FIELD_USER_AGENT;
  all.insert(all.end(), bytes.begin(), bytes.end());
  draft.sections.databases.push_back(record);
  return index;
}

sg_signature_set set_record(Draft& draft, const policy::SignatureSet& set) {
  sg_signature_set record{};
  record.id = draft.identify("signature", set.name.value, set.name.place);
  record.name = draft.text(set.name.value);
  record.ban_ns = set.ban_ns;
  record.field = static_cast<__u8>(set.field.value);
  record.then = static_cast<__u8>(set.then.value);
  record.mode = static_cast<__u8>(set.mode);
  record.response = set.then.value == policy::SignatureThen::refuse
                        ? draft.response(set.refuse_response)
                        : SG_NONE16;
  if (set.field.value == policy::SignatureField::header)
    record.header_index = draft.header(set.header, set.field.place);
  return record;
}

// Whether the image before carries the same patterns of the same set, in no database: then they
// were checked when that one was made. (By another Hyperscan, perhaps: whoever scans them compiles
// them.)
bool were_checked_before(const Draft& draft, uint16_t set, const SetPatterns& patterns) {
  if (!draft.previous()) return false;
  const ImageView& image = *draft.previous();
  const sg_signature_set& now = draft.sections.signatures[set];
  size_t others_first = 0;
  for (const sg_database& database : image.databases())
    others_first = std::max<size_t>(others_first, database.pattern_first + database.pattern_count);
  std::vector<std::string_view> texts;
  for (const sg_pattern& pattern : image.patterns().subspan(others_first)) {
    const sg_signature_set& old = image.signatures()[pattern.set];
    if (old.id == now.id && old.field == now.field) texts.push_back(image.text(pattern.text));
  }
  return std::equal(texts.begin(), texts.end(), patterns.texts.begin(), patterns.texts.end());
}

}  // namespace

std::vector<policy::Finding> check_signatures(const policy::Policy& policy) {
  std::vector<policy::Finding> findings;
  Draft draft({policy}, findings);
  for (uint16_t set = 0; set < std::min<size_t>(policy.signatures.size(), SG_RECORDS_MAX); set++) {
    const SetPatterns patterns = patterns_of(draft, {&set, 1});
    if (patterns.texts.empty()) continue;
    const auto field = static_cast<sg_field>(policy.signatures[set].field.value);
    tell(draft, patterns, {&set, 1}, check_patterns(patterns.texts, field));
  }
  return findings;
}

void compile_signatures(Draft& draft) {
  const auto& sets = draft.policy().signatures;
  for (const policy::SignatureSet& set : sets) {
    const uint16_t index =
        draft.next_index(draft.sections.signatures, "signature sets", set.name.place);
    if (index == SG_NONE16) return;
    draft.signatures[set.name.value] = index;
    draft.sections.signatures.push_back(set_record(draft, set));
  }
}

uint16_t user_agent_database(Draft& draft, const std::vector<uint16_t>& all_sets) {
  std::vector<uint16_t> sets;
  for (uint16_t set : all_sets)
    if (draft.sections.signatures[set].field == SG_FIELD_USER_AGENT) sets.push_back(set);
  if (sets.empty()) return SG_NONE16;
  std::sort(sets.begin(), sets.end());
  auto [known, is_new] = draft.databases.try_emplace(sets, SG_NONE16);
  if (is_new) known->second = add_database(draft, sets);
  return known->second;
}

// Sets that no database holds: patterns checked now, so that a fault shows when it is written and
// not when a service first names the set, and carried for readers that scan other fields.
void compile_other_patterns(Draft& draft) {
  std::vector<bool> is_compiled(draft.sections.signatures.size());
  for (const sg_pattern& pattern : draft.sections.patterns) is_compiled[pattern.set] = true;
  for (uint16_t set = 0; set < is_compiled.size(); set++) {
    if (is_compiled[set]) continue;
    const SetPatterns patterns = patterns_of(draft, {&set, 1});
    if (patterns.texts.empty()) continue;
    const auto field = static_cast<sg_field>(draft.sections.signatures[set].field);
    if (!were_checked_before(draft, set, patterns))
      tell(draft, patterns, {&set, 1}, check_patterns(patterns.texts, field));
    add_patterns(draft, patterns);
  }
}

}  // namespace surgegate
