// SPDX-License-Identifier: BSD-3-Clause
// What the parts of the compiler share: the sections in the making, the findings, and the names
// that have an index already. Internal to compile*.cc.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/compile.h"
#include "config/compile_rules.h"
#include "config/findings.h"

namespace surgegate {

// Which identity belongs to whom: a second owner of the same 64 bits is told about the first.
class Identities {
 public:
  // Null, or the kind and name ("limit shop/a") that has this identity already.
  std::optional<std::string> claim(uint64_t id, std::string_view kind, std::string_view name);

 private:
  std::unordered_map<uint64_t, std::string> owners_;
};

class Draft {
 public:
  // findings: where everything that is found goes; outlives the draft.
  Draft(const CompileInput& input, std::vector<policy::Finding>& findings)
      : input_(input), report_(findings) {}

  const policy::Policy& policy() const { return input_.policy; }
  const ImageView* previous() const { return input_.previous; }
  uint64_t revision() const { return input_.revision; }
  uint64_t lookup_seed() const { return input_.lookup_seed; }

  policy::Report& report() { return report_; }
  void fault(const policy::Place& place, std::string what, std::string expected = {}) {
    report_.fault(place, std::move(what), std::move(expected));
  }

  // Interned: the same text stands in the strings section once.
  sg_text text(std::string_view text);

  // The identity of a new thing; a collision is a fault that names both.
  uint64_t identify(std::string_view kind, std::string_view name, const policy::Place& place);

  // The index of a header that the reader of requests must find. 0 after a fault.
  uint8_t header(const std::string& name, const policy::Place& place);

  // SG_NONE16 after a fault.
  uint16_t response(const policy::Name& name);
  uint16_t response(const policy::Placed<uint16_t>& status);
  uint16_t built_in_response(uint16_t status);

  // Of a section that is named by 16-bit indices: the next record's index.
  template <class T>
  uint16_t next_index(const std::vector<T>& records, const char* what, const policy::Place& place) {
    if (records.size() < SG_RECORDS_MAX) return static_cast<uint16_t>(records.size());
    too_many(what, place);
    return SG_NONE16;
  }

  ImageSections sections;

  // Names to indices, each filled by the part that owns the section.
  std::map<std::string, uint16_t, std::less<>> responses;
  std::map<std::string, uint16_t, std::less<>> lists;
  std::map<std::string, uint16_t, std::less<>> pools;
  std::map<std::string, uint16_t, std::less<>> signatures;
  std::map<std::pair<uint16_t, std::string>, uint16_t> limits;   // by service index and name
  std::map<std::string, CompiledRule, std::less<>> limit_rules;  // by the limit's own name
  std::map<std::vector<uint16_t>, uint16_t> databases;           // by sorted set indices

 private:
  void too_many(const char* what, const policy::Place& place);

  CompileInput input_;
  policy::Report report_;
  Identities identities_;
  std::unordered_map<std::string, sg_text> texts_;
  std::map<std::string, uint8_t, std::less<>> headers_;
  std::map<uint16_t, uint16_t> built_in_responses_;  // by status
};

// The parts, in the order in which they need each other.
void compile_responses(Draft& draft);
void compile_lists(Draft& draft);
void compile_pools(Draft& draft);
void compile_signatures(Draft& draft);
void compile_limit_rules(Draft& draft);
void compile_services(Draft& draft);  // and their limits, routes and penalties
void compile_vips(Draft& draft);
void compile_overrides(Draft& draft);
void compile_other_patterns(Draft& draft);
void remember_horizons(Draft& draft);

// Whether the gate can answer with this status without being told more.
bool is_bare_status(uint16_t status);

// The index of the limit of this service, made where it is new, with those that count for it where
// a header is missing. SG_NONE16 after a fault.
uint16_t service_limit(Draft& draft, uint16_t service_index, const policy::Name& limit);

// A run of limit indices.
sg_limit_run limit_run(Draft& draft, const std::vector<uint16_t>& limits);

// The user-agent database of these signature sets (those of other fields are passed over), or
// SG_NONE16 where none of them reads the user agent.
uint16_t user_agent_database(Draft& draft, const std::vector<uint16_t>& sets);

}  // namespace surgegate
