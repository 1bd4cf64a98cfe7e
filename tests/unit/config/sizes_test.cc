// SPDX-License-Identifier: BSD-3-Clause
#include "config/sizes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "config/compile.h"
#include "tests/unit/config/policy_samples.h"

namespace surgegate {
namespace {

const SizeRow* row_named(const std::vector<SizeRow>& rows, std::string_view what) {
  for (const SizeRow& row : rows)
    if (row.what == what) return &row;
  return nullptr;
}

std::vector<SizeRow> sizes_of_policy(const policy::Policy& policy) {
  const Compiled compiled = compile({policy});
  return *sizes_of(*ImageView::open(compiled.bytes));
}

TEST(Sizes, SectionsAddUpToTheImage) {
  const Compiled compiled = compile({samples::full()});
  const auto rows = *sizes_of(*ImageView::open(compiled.bytes));
  uint64_t sum = 0;
  size_t sections = 0;
  for (const SizeRow& row : rows) {
    if (row.where != "image") continue;
    sum += row.bytes;
    sections++;
  }
  EXPECT_EQ(sections, image_section_count);
  EXPECT_LE(sum, compiled.bytes.size());
  EXPECT_GT(sum + (sections + 20) * image_alignment_bytes, compiled.bytes.size());
  EXPECT_EQ(row_named(rows, "image in force")->bytes, compiled.bytes.size());
  EXPECT_EQ(row_named(rows, "maglev")->count, 2u * 65537);
}

TEST(Sizes, SignaturesCostDatabasesAndScratch) {
  const auto with = sizes_of_policy(samples::full());
  EXPECT_EQ(row_named(with, "signature databases, opened")->count, 2u);
  EXPECT_GT(row_named(with, "signature databases, opened")->bytes, 1000u);
  EXPECT_GT(row_named(with, "scratch for signatures")->bytes, 100u);
  const auto without = sizes_of_policy(samples::small());
  EXPECT_EQ(row_named(without, "signature databases, opened")->bytes, 0u);
  EXPECT_EQ(row_named(without, "scratch for signatures")->bytes, 0u);
}

// per-client, login and handshakes count each source alone, per-key does not; twice that many
// cells.
TEST(Sizes, BucketsForAMillionSources) {
  const auto rows = sizes_of_policy(samples::full());
  const SizeRow* row = row_named(rows, "bucket cells for a million sources");
  EXPECT_EQ(row->count, 6'000'000u);
  EXPECT_EQ(row->bytes, 48'000'000u);
  // Answers and strays, of two services.
  EXPECT_EQ(row_named(rows, "bucket cells for budgets")->count, 8u);
}

TEST(Sizes, RowsAreATableAndJson) {
  const std::vector<SizeRow> rows = {{"image", "vips", 2, 48}, {"host", "image in force", 1, 1536}};
  EXPECT_EQ(to_text(rows),
            "where   what                 count        size\n"
            "image   vips                     2        48 B\n"
            "host    image in force           1     1.5 KiB\n"
            "host    in all                         1.5 KiB\n");
  EXPECT_EQ(to_json(rows).dump(),
            R"([{"bytes":48,"count":2,"what":"vips","where":"image"},)"
            R"({"bytes":1536,"count":1,"what":"image in force","where":"host"}])");
}

}  // namespace
}  // namespace surgegate
