// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "dataplane/commands.h"
#include "dataplane/path/decide.h"

namespace surgegate {
namespace {

void print_json() {
  auto out = nlohmann::ordered_json::array();
  for (const Rule& rule : rules())
    out.push_back({{"reason", rule.name},
                   {"verdict", name_of(rule.verdict)},
                   {"step", name_of(rule.step)},
                   {"only_where_answerable", rule.needs_answerable},
                   {"meaning", rule.meaning}});
  fmt::print("{}\n", out.dump(2));
}

void print_markdown() {
  fmt::print("| rank | reason | verdict | found by | meaning |\n|---|---|---|---|---|\n");
  for (const Rule& rule : rules())
    fmt::print("| {} | `{}` | {} | {} | {}{} |\n", rule.reason + 1, rule.name,
               name_of(rule.verdict), name_of(rule.step), rule.meaning,
               rule.needs_answerable ? " (only where an answer is safe)" : "");
}

void print_text() {
  fmt::print("Of all that is found about a packet, what stands first here decides.\n\n");
  for (const Rule& rule : rules())
    fmt::print("{:>3}  {:<24} {:<10} {:<9} {}{}\n", rule.reason + 1, rule.name,
               name_of(rule.verdict), name_of(rule.step), rule.meaning,
               rule.needs_answerable ? " *" : "");
  fmt::print(
      "\n  *  only where an answer in the stream is safe; else its silent twin below counts.\n"
      "     In a segment that began with admitted requests a refusal becomes `trimmed`.\n");
}

}  // namespace

int explain_rules(const ExplainRulesOptions& options) {
  if (options.json)
    print_json();
  else if (options.markdown)
    print_markdown();
  else
    print_text();
  return 0;
}

}  // namespace surgegate
