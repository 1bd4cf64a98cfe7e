// SPDX-License-Identifier: BSD-3-Clause
#include "config/sizes.h"

#include <fmt/format.h>
#include <hs/hs.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/signatures.h"

namespace surgegate {
namespace {

void add_sections(const ImageView& image, std::vector<SizeRow>& rows) {
#define SG_SECTION_SIZE(name, tag, record, required) \
  rows.push_back({"image", #name, image.name().size(), image.name().size_bytes()});
  SG_SECTIONS(SG_SECTION_SIZE)
#undef SG_SECTION_SIZE
}

struct ScratchDeleter {
  void operator()(hs_scratch_t* scratch) const { hs_free_scratch(scratch); }
};
using Scratch = std::unique_ptr<hs_scratch_t, ScratchDeleter>;

// Makes the scratch large enough for this database too.
bool grow(Scratch& scratch, const hs_database_t* database) {
  hs_scratch_t* grown = scratch.release();
  const bool has_grown = hs_alloc_scratch(database, &grown) == HS_SUCCESS;
  scratch.reset(grown);
  return has_grown;
}

// One scratch serves a worker for all databases: it grows to what the hungriest needs.
tl::expected<void, std::string> add_signatures(const ImageView& image, std::vector<SizeRow>& rows) {
  uint64_t database_bytes = 0;
  Scratch scratch;
  for (const sg_database& record : image.databases()) {
    auto database =
        open_database(image.database_bytes().subspan(record.bytes_first, record.bytes_count));
    if (!database) return tl::unexpected(database.error());
    size_t bytes = 0;
    if (!grow(scratch, database->get()) || hs_database_size(database->get(), &bytes) != HS_SUCCESS)
      return tl::unexpected<std::string>("no memory to open a signature database");
    database_bytes += bytes;
  }
  size_t scratch_bytes = 0;
  if (scratch) hs_scratch_size(scratch.get(), &scratch_bytes);
  rows.push_back({"host", "signature databases, opened", image.databases().size(), database_bytes});
  rows.push_back({"worker", "scratch for signatures", scratch ? 1u : 0u, scratch_bytes});
  return {};
}

bool is_counted_by_source(const sg_limit& limit) {
  return std::any_of(limit.key, limit.key + limit.key_part_count, [](const sg_key_part& part) {
    return part.kind == SG_KEY_SOURCE || part.kind == SG_KEY_CLIENT;
  });
}

// A source takes a cell for each limit that counts it alone, and the table should be twice what is
// live: then few sets are full. It is what such a policy wants, not what a host takes: that has a
// table of its own size.
void add_buckets(const ImageView& image, std::vector<SizeRow>& rows) {
  constexpr uint64_t sources = 1'000'000;
  const auto limits = image.limits();
  const auto by_source =
      static_cast<uint64_t>(std::count_if(limits.begin(), limits.end(), is_counted_by_source));
  const uint64_t cells = 2 * by_source * sources;
  rows.push_back({"wanted", "bucket cells for a million sources", cells, cells * sizeof(__u64)});
  const uint64_t budgets = 2 * SG_BUDGET_COUNT * image.services().size();
  rows.push_back({"wanted", "bucket cells for budgets", budgets, budgets * sizeof(__u64)});
}

// "12.3 MiB"; bytes as they are below a KiB.
std::string bytes_text(uint64_t bytes) {
  constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (value /= 1024; value >= 1024 && unit + 1 < std::size(units); unit++) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace

tl::expected<std::vector<SizeRow>, std::string> sizes_of(const ImageView& image) {
  std::vector<SizeRow> rows;
  add_sections(image, rows);
  rows.push_back({"host", "image in force", 1, image.bytes().size()});
  rows.push_back({"host", "a second image while a change is adopted", 1, image.bytes().size()});
  if (auto added = add_signatures(image, rows); !added) return tl::unexpected(added.error());
  add_buckets(image, rows);
  return rows;
}

std::string to_text(std::span<const SizeRow> rows) {
  size_t what_width = 0;
  uint64_t host_bytes = 0;
  for (const SizeRow& row : rows) {
    what_width = std::max(what_width, row.what.size());
    host_bytes += row.where == "host" ? row.bytes : 0;
  }
  std::string text =
      fmt::format("{:<6}  {:<{}}  {:>10}  {:>10}\n", "where", "what", what_width, "count", "size");
  for (const SizeRow& row : rows)
    text += fmt::format("{:<6}  {:<{}}  {:>10}  {:>10}\n", row.where, row.what, what_width,
                        row.count, bytes_text(row.bytes));
  // The image's sections are in `image in force`, and workers are as many as they are.
  text += fmt::format("{:<6}  {:<{}}  {:>10}  {:>10}\n", "host", "in all", what_width, "",
                      bytes_text(host_bytes));
  return text;
}

nlohmann::json to_json(std::span<const SizeRow> rows) {
  nlohmann::json array = nlohmann::json::array();
  for (const SizeRow& row : rows)
    array.push_back(
        {{"where", row.where}, {"what", row.what}, {"count", row.count}, {"bytes", row.bytes}});
  return array;
}

}  // namespace surgegate
