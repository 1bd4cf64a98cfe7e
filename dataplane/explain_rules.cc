// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config/findings.h"
#include "config/words.h"
#include "dataplane/commands.h"
#include "dataplane/path/decide.h"

namespace surgegate {
namespace {

using Rows = std::vector<Rule>;

// Of the answer: the reason's own, or the key of the policy that has it; empty where there is none,
// or it is the one of an earlier answer.
std::string status_of(const Rule& rule) {
  if (rule.status != 0) return fmt::format("{}", rule.status);
  if (rule.reason == SG_REASON_limit_requests) return "over";
  return rule.reason == SG_REASON_signature ? "then" : "";
}

void print_json(const Rows& rows) {
  auto out = nlohmann::ordered_json::array();
  for (const Rule& rule : rows)
    out.push_back({{"reason", rule.name},
                   {"verdict", name_of(rule.verdict)},
                   {"status", rule.status == 0 ? nlohmann::ordered_json()
                                               : nlohmann::ordered_json(rule.status)},
                   {"step", name_of(rule.step)},
                   {"only_where_answerable", rule.needs_answerable},
                   {"meaning", rule.meaning}});
  fmt::print("{}\n", out.dump(2));
}

void print_markdown(const Rows& rows) {
  fmt::print(
      "| rank | reason | verdict | status | found by | meaning |\n|---|---|---|---|---|---|\n");
  for (const Rule& rule : rows)
    fmt::print("| {} | `{}` | {} | {} | {} | {}{} |\n", rule.reason + 1, rule.name,
               name_of(rule.verdict), status_of(rule), name_of(rule.step), rule.meaning,
               rule.needs_answerable ? " (only where an answer is safe)" : "");
}

void print_text(const Rows& rows) {
  fmt::print("Of all that is found about a packet, what stands first here decides.\n\n");
  for (const Rule& rule : rows)
    fmt::print("{:>3}  {:<24} {:<10} {:<4} {:<9} {}{}\n", rule.reason + 1, rule.name,
               name_of(rule.verdict), status_of(rule), name_of(rule.step), rule.meaning,
               rule.needs_answerable ? " *" : "");
  fmt::print(
      "\n  In front of the step that finds it: the answer's status, or the key of the policy that "
      "has it.\n  *  only where an answer in the stream is safe; else its silent twin below "
      "counts.\n"
      "     In a segment that began with admitted requests a refusal becomes `trimmed`.\n");
}

bool is_wanted(const Rule& rule, const std::vector<std::string>& names) {
  return names.empty() || std::find(names.begin(), names.end(), rule.name) != names.end();
}

// In the order of the table, whatever theirs; or what is wrong with the names.
tl::expected<Rows, std::string> rows_named(const std::vector<std::string>& names) {
  std::vector<std::string_view> known;
  for (const Rule& rule : rules()) known.push_back(rule.name);
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (name == "-")
      return tl::unexpected<std::string>("`-` in a report is what is for no service, no reason");
    const std::string nearest = policy::nearest_word(name, known);
    return tl::unexpected(fmt::format(
        "there is no reason {}{} (without a name, all of them are printed)", policy::quote(name),
        nearest.empty() ? "" : fmt::format("; did you mean `{}`?", nearest)));
  }
  Rows rows;
  for (const Rule& rule : rules())
    if (is_wanted(rule, names)) rows.push_back(rule);
  return rows;
}

}  // namespace

int explain_rules(const ExplainRulesOptions& options) {
  auto rows = rows_named(options.reasons);
  if (!rows) {
    fmt::print(stderr, "surgegate explain-rules: {}\n", rows.error());
    return 2;
  }
  if (options.json)
    print_json(*rows);
  else if (options.markdown)
    print_markdown(*rows);
  else
    print_text(*rows);
  return 0;
}

}  // namespace surgegate
