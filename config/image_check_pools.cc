// SPDX-License-Identifier: BSD-3-Clause
#include "config/image_check_parts.h"
#include "config/maglev.h"

namespace surgegate {
namespace {

// Of the current table every entry is a backend that takes new flows; of the previous one it may
// have gone, and then the entry is its slot until that is reused, SG_NONE16 afterwards.
void check_table(const ImageView& image, const CheckedRecord& at, const char* field, size_t pool,
                 std::span<const uint16_t> table, bool is_current) {
  const auto backends = image.backends();
  for (uint16_t slot : table) {
    if (slot == SG_NONE16 && !is_current) continue;
    at.below(field, slot, backends.size());
    const sg_backend& backend = backends[slot];
    at.require(backend.pool == pool, field, "an entry with a backend of another pool");
    at.require(backend.state != SG_BACKEND_FREE, field, "an entry with a free slot");
    at.require(!is_current || backend.state == SG_BACKEND_ACTIVE, field,
               "an entry with a backend that takes no new flows");
  }
}

void check_tables(const ImageView& image) {
  require_section(image.pools().size() <= SG_POOLS_MAX, "pools", "too many records");
  uint64_t current_seen = 0;
  uint64_t previous_seen = 0;
  for (size_t i = 0; i < image.pools().size(); i++) {
    const sg_pool& pool = image.pools()[i];
    CheckedRecord at(image, "pools", i);
    at.text("name", pool.name);
    at.text("health_path", pool.health_path);
    at.below("forward", pool.forward, SG_FORWARD_GUE + 1);
    at.below("challenge", pool.challenge, SG_CHALLENGE_ACCEPT + 1);
    at.below("health_kind", pool.health_kind, SG_HEALTH_TLS + 1);
    at.at_most("min_healthy_percent", pool.min_healthy_percent, 100);
    at.require(pool.maglev_first == current_seen && pool.previous_first == previous_seen,
               "maglev_first", "does not begin where the tables of the pool before it end");
    at.run("maglev_first", pool.maglev_first, pool.maglev_size, image.maglev().size());
    at.run("previous_first", pool.previous_first, pool.previous_size,
           image.maglev_previous().size());
    at.require(pool.maglev_size == 0 || is_prime(pool.maglev_size), "maglev_size", "not a prime");
    at.require(pool.previous_size == 0 || is_prime(pool.previous_size), "previous_size",
               "not a prime");
    check_table(image, at, "maglev_first", i,
                image.maglev().subspan(pool.maglev_first, pool.maglev_size), true);
    check_table(image, at, "previous_first", i,
                image.maglev_previous().subspan(pool.previous_first, pool.previous_size), false);
    current_seen += pool.maglev_size;
    previous_seen += pool.previous_size;
  }
  require_section(current_seen == image.maglev().size(), "maglev", "entries of no pool");
  require_section(previous_seen == image.maglev_previous().size(), "maglev_previous",
                  "entries of no pool");
}

void check_backends(const ImageView& image) {
  require_section(image.backends().size() <= SG_BACKENDS_MAX, "backends", "too many records");
  for (size_t i = 0; i < image.backends().size(); i++) {
    const sg_backend& backend = image.backends()[i];
    CheckedRecord at(image, "backends", i);
    at.text("name", backend.name);
    at.below("state", backend.state, SG_BACKEND_GONE + 1);
    const bool lives = backend.state == SG_BACKEND_ACTIVE || backend.state == SG_BACKEND_DRAIN;
    if (lives || backend.pool != SG_NONE16) at.below("pool", backend.pool, image.pools().size());
    at.require((backend.generation == 0) == (backend.state == SG_BACKEND_FREE), "generation",
               "0 is that of a slot never used, and only of that");
  }
}

}  // namespace

void check_pools(const ImageView& image) {
  check_backends(image);
  check_tables(image);
}

}  // namespace surgegate
