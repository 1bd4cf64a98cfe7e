// SPDX-License-Identifier: BSD-3-Clause
// The policies of config/examples are read as they stand there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/unit/config/told.h"

namespace surgegate::policy {
namespace {

std::vector<std::filesystem::path> examples() {
  const char* root = std::getenv("SURGEGATE_SOURCE");
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path folder = std::filesystem::path(root ? root : ".") / "config/examples";
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".yaml") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(Examples, HaveNoFaultAndNothingThatIsNeverUsed) {
  DiskFiles files;
  for (const auto& path : examples()) {
    const Parsed parsed = load(path.string(), files);
    for (const Finding& finding : parsed.findings) {
      EXPECT_NE(finding.severity, Severity::fault) << to_text(finding, parsed.policy.files);
      EXPECT_EQ(finding.what.find("never used"), std::string::npos)
          << to_text(finding, parsed.policy.files);
    }
  }
}

// What a newcomer tries first must not begin with warnings.
TEST(Examples, BeginQuietly) {
  DiskFiles files;
  const auto paths = examples();
  const auto minimal = std::find_if(paths.begin(), paths.end(), [](const auto& path) {
    return path.filename() == "minimal.yaml";
  });
  ASSERT_NE(minimal, paths.end()) << "SURGEGATE_SOURCE is the folder of the sources";
  EXPECT_TRUE(load(minimal->string(), files).findings.empty());
}

}  // namespace
}  // namespace surgegate::policy
