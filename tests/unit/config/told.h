// SPDX-License-Identifier: BSD-3-Clause
// What the author of a policy is told about it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/parse.h"

namespace surgegate::policy {

inline Parsed load_text(const std::string& text, std::map<std::string, std::string> files = {}) {
  files["p.yaml"] = text;
  MemoryFiles memory(std::move(files));
  return load("p.yaml", memory);
}

// The findings of this severity, a line each, without the severity, and without the file where that
// is p.yaml: "3:5: unknown key `rat` in a limit; ...\n"; ": the policy is empty; ...\n".
inline std::string told(const Parsed& parsed, Severity severity = Severity::fault) {
  std::string lines;
  for (const Finding& finding : parsed.findings) {
    if (finding.severity != severity) continue;
    std::string line = to_text(finding, parsed.policy.files);
    if (line.starts_with("p.yaml")) line.erase(0, line[6] == ':' && line[7] != ' ' ? 7 : 6);
    for (const std::string word : {": fault: ", ": warning: ", ": note: "})
      if (const size_t at = line.find(word); at != std::string::npos) {
        line = line.substr(0, at) + ": " + line.substr(at + word.size());
        break;
      }
    lines += line + "\n";
  }
  return lines;
}

inline std::string faults_of(const std::string& text,
                             std::map<std::string, std::string> files = {}) {
  return told(load_text(text, std::move(files)));
}

inline std::string warnings_of(const std::string& text,
                               std::map<std::string, std::string> files = {}) {
  return told(load_text(text, std::move(files)), Severity::warning);
}

inline std::string notes_of(const std::string& text,
                            std::map<std::string, std::string> files = {}) {
  return told(load_text(text, std::move(files)), Severity::note);
}

// A policy of which there is nothing to tell; its last section is `limits`.
inline constexpr std::string_view quiet_policy =
    R"(version: 1
pools: {web: {forward: ipip, backends: {web1: {address: 10.0.0.1}}}}
services:
  shop: {vips: ["192.0.2.1:80"], protocol: http, pool: web, limits: [per-client]}
limits:
  per-client: {key: [client], rate: 100/s, burst: 200}
)";

}  // namespace surgegate::policy
