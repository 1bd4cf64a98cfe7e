// SPDX-License-Identifier: BSD-3-Clause
// What the parts of the image's check share. Internal to image_check*.cc.
#pragma once

#include <fmt/format.h>

#include <string>

#include "config/image.h"
#include "config/image_check.h"

namespace surgegate {

// Checks the fields of one record; a fault names section, record and field.
class CheckedRecord {
 public:
  CheckedRecord(const ImageView& image, const char* section, size_t index)
      : image_(image), section_(section), index_(index) {}

  void require(bool holds, const char* field, const char* what) const {
    if (!holds) refuse(field, what);
  }
  void below(const char* field, uint64_t value, uint64_t end) const {
    if (value >= end) refuse(field, fmt::format("{} is not below {}", value, end));
  }
  void below_or_none(const char* field, uint16_t value, uint64_t end) const {
    if (value != SG_NONE16) below(field, value, end);
  }
  void flag(const char* field, uint8_t value) const { below(field, value, 2); }
  void at_most(const char* field, uint64_t value, uint64_t max) const {
    if (value > max) refuse(field, fmt::format("{} is more than {}", value, max));
  }
  void run(const char* field, uint64_t first, uint64_t count, uint64_t end) const {
    if (first > end || count > end - first)
      refuse(field,
             fmt::format("{} records from {} end beyond the {} there are", count, first, end));
  }
  void text(const char* field, const sg_text& text) const {
    run(field, text.offset, text.length_bytes, image_.strings().size());
  }
  // A rule whose bucket arithmetic cannot overflow, or, where it may be absent, nothing but zeros.
  void rule(const char* field, const sg_bucket_rule& rule, uint32_t units_per_charge,
            bool may_be_absent) const {
    if (may_be_absent && rule.interval_ns == 0) {
      require(rule.horizon_ns == 0 && rule.horizon_seen_ns == 0 && units_per_charge == 0, field,
              "no interval, but not all zero");
      return;
    }
    require(rule.interval_ns >= 1, field, "an interval of 0 ns");
    require(rule.horizon_ns >= rule.interval_ns, field, "a horizon shorter than one interval");
    require(rule.horizon_seen_ns >= rule.horizon_ns, field, "a horizon beyond the horizon seen");
    at_most(field, rule.horizon_seen_ns, SG_BUCKET_HORIZON_NS_MAX);
    require(units_per_charge == 1 || units_per_charge == SG_LEASE_UNITS, field,
            "units per charge are neither one nor a lease");
  }

 private:
  [[noreturn]] void refuse(const char* field, const std::string& what) const {
    throw ImageRefused(fmt::format("section {}, record {}: {}: {}", section_, index_, field, what));
  }

  const ImageView& image_;
  const char* section_;
  size_t index_;
};

// The whole section rather than one of its records.
inline void require_section(bool holds, const char* section, const std::string& what) {
  if (!holds) throw ImageRefused(fmt::format("section {}: {}", section, what));
}

// The lists that have a bit in a source's mask.
size_t address_list_count(const ImageView& image);

void check_requests(const ImageView& image);  // VIPs, services, routes, limits, header names
void check_answers(const ImageView& image);   // responses
void check_sources(const ImageView& image);   // lists, keys, lookup, client rules
void check_pools(const ImageView& image);     // pools, backends, Maglev tables

}  // namespace surgegate
