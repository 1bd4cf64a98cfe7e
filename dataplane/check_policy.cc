// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "config/check.h"
#include "config/compile.h"
#include "config/files.h"
#include "config/findings.h"
#include "config/parse.h"
#include "config/sizes.h"
#include "dataplane/commands.h"
#include "dataplane/live/run.h"
#include "dataplane/table/kept_heads.h"
#include "dataplane/table/state.h"

namespace surgegate {
namespace {

using policy::Finding;
using policy::Severity;

size_t count(const std::vector<Finding>& findings, Severity severity) {
  return static_cast<size_t>(std::count_if(
      findings.begin(), findings.end(), [=](const Finding& f) { return f.severity == severity; }));
}

std::string several(size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void print_text(const policy::Policy& policy, const std::vector<Finding>& findings,
                const std::vector<SizeRow>& sizes) {
  for (const Finding& finding : findings)
    fmt::print("{}\n", policy::to_text(finding, policy.files));
  if (!sizes.empty()) fmt::print("{}", to_text(sizes));
  size_t faults = count(findings, Severity::fault);
  size_t notes = count(findings, Severity::note);
  fmt::print("{}: {}, {}{}: {}\n", policy.files.empty() ? "" : policy.files[0],
             several(faults, "fault"), several(count(findings, Severity::warning), "warning"),
             notes == 0 ? "" : ", " + several(notes, "note"),
             faults == 0 ? "can be used" : "cannot be used");
}

void print_json(const policy::Policy& policy, const std::vector<Finding>& findings,
                const std::vector<SizeRow>& sizes) {
  nlohmann::ordered_json out;
  out["ok"] = count(findings, Severity::fault) == 0;
  out["findings"] = nlohmann::ordered_json::array();
  for (const Finding& finding : findings)
    out["findings"].push_back(nlohmann::ordered_json(policy::to_json(finding, policy.files)));
  if (!sizes.empty()) out["sizes"] = to_json(sizes);
  fmt::print("{}\n", out.dump(2));
}

// The tables that a gate has whatever its policy is: without them the sum would say too little.
void add_tables(std::vector<SizeRow>& rows) {
  const ArenaLayout layout = state_layout(run_flows_max, run_bucket_sets);
  const RegionSize& flows = layout[Region::flows];
  const RegionSize& sets = layout[Region::buckets];
  rows.push_back({"host", "flows of `run`", flows.record_count, flows.bytes()});
  rows.push_back({"host", "bucket cells of `run`",
                  uint64_t{sets.record_count} * SG_BUCKET_SET_CELLS, sets.bytes()});
  rows.push_back({"worker", "heads in pieces of `run`, at most", run_kept_heads,
                  run_kept_heads * sizeof(KeptHead)});
}

}  // namespace

int check(const CheckOptions& options) {
  policy::DiskFiles files;
  policy::Parsed parsed = policy::load(options.policy_path, files);
  std::vector<Finding> findings = std::move(parsed.findings);
  policy::check_ended(parsed.policy, static_cast<uint64_t>(std::time(nullptr)), findings);
  std::vector<SizeRow> sizes;
  if (count(findings, Severity::fault) == 0) {
    Compiled compiled = compile({parsed.policy});
    findings.insert(findings.end(), compiled.findings.begin(), compiled.findings.end());
    if (options.sizes && !compiled.bytes.empty()) {
      auto rows = sizes_of(*ImageView::open(compiled.bytes));
      if (!rows) {
        fmt::print(stderr, "surgegate check: {}\n", rows.error());
        return 2;
      }
      sizes = std::move(*rows);
      add_tables(sizes);
    }
  }
  policy::sort_findings(findings);
  (options.json ? print_json : print_text)(parsed.policy, findings, sizes);
  return count(findings, Severity::fault) == 0 ? 0 : 2;
}

}  // namespace surgegate
