// SPDX-License-Identifier: BSD-3-Clause
#include "config/image_check.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "config/image.h"
#include "config/lookup_build.h"
#include "config/maglev.h"

namespace surgegate {
namespace {

// Checks the fields of one record; a fault names section, record and field.
class Record {
 public:
  Record(const ImageView& image, const char* section, size_t index)
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
void require_section(bool holds, const char* section, const std::string& what) {
  if (!holds) throw ImageRefused(fmt::format("section {}: {}", section, what));
}

size_t address_list_count(const ImageView& image) {
  size_t count = 0;
  for (const sg_list& list : image.lists()) count += !list.is_key_list;
  return count;
}

// Where a request goes that is judged by this run, or a packet or connection.
void check_limit_run(const ImageView& image, const Record& at, const char* field,
                     const sg_limit_run& run, uint32_t service, uint8_t unit) {
  at.run(field, run.first, run.count, image.limit_refs().size());
  at.at_most(field, run.count, SG_SERVICE_LIMITS_MAX);
  for (uint16_t limit : image.limit_run(run)) {
    at.below(field, limit, image.limits().size());
    at.require(image.limits()[limit].service == service, field, "a limit of another service");
    at.require(image.limits()[limit].unit == unit, field, "a limit of another unit");
  }
}

void check_user_agent_database(const ImageView& image, const Record& at, uint16_t database) {
  at.below_or_none("user_agent_database", database, image.databases().size());
  if (database != SG_NONE16)
    at.require(image.databases()[database].field == SG_FIELD_USER_AGENT, "user_agent_database",
               "a database of another field");
}

void check_route(const ImageView& image, const sg_route& route, size_t index, uint32_t service) {
  Record at(image, "routes", index);
  at.text("path", route.path);
  at.text("method", route.method);
  at.text("host", route.host);
  check_limit_run(image, at, "limits", route.limits, service, SG_UNIT_REQUESTS);
  at.run("headers_first", route.headers_first, route.headers_count, image.route_headers().size());
  at.at_most("headers_count", route.headers_count, SG_KEY_HEADERS_MAX);
  at.require(route.cost_units >= 1, "cost_units", "a request costs at least one unit");
  check_user_agent_database(image, at, route.user_agent_database);
  at.below("path_match", route.path_match, SG_PATH_GLOB + 1);
  at.below("klass", route.klass, SG_CLASS_BACKGROUND + 1);
  at.flag("upgrade_tunnel", route.upgrade_tunnel);
}

void check_services(const ImageView& image) {
  require_section(image.services().size() <= SG_SERVICES_MAX, "services", "too many records");
  uint64_t routes_seen = 0;
  for (uint32_t i = 0; i < image.services().size(); i++) {
    const sg_service& service = image.services()[i];
    Record at(image, "services", i);
    at.text("name", service.name);
    for (uint8_t unit = 0; unit < SG_UNIT_COUNT; unit++)
      check_limit_run(image, at, "limits", service.limits[unit], i, unit);
    // Routes stand service by service, so that each is checked once and belongs to one service.
    at.require(service.routes_first == routes_seen, "routes_first",
               "does not begin where the routes of the service before it end");
    at.run("routes_first", service.routes_first, service.routes_count, image.routes().size());
    at.at_most("routes_count", service.routes_count, SG_ROUTES_MAX);
    routes_seen += service.routes_count;
    for (uint32_t k = 0; k < service.routes_count; k++)
      check_route(image, image.routes()[service.routes_first + k], service.routes_first + k, i);
    at.below("pool", service.pool, image.pools().size());
    check_user_agent_database(image, at, service.user_agent_database);
    at.below("protocol", service.protocol, SG_UDP + 1);
    at.below("capacity_scope", service.capacity_scope, SG_SCOPE_CLUSTER + 1);
    at.flag("capacity_shed_by_class", service.capacity_shed_by_class);
    at.flag("capacity_shed_by_client", service.capacity_shed_by_client);
    at.rule("capacity_rule", service.capacity_rule, service.capacity_units_per_charge, true);
    at.below_or_none("capacity_response", service.capacity_response, image.responses().size());
    at.run("penalties_first", service.penalties_first, service.penalties_count,
           image.penalties().size());
  }
  require_section(routes_seen == image.routes().size(), "routes", "records of no service");
}

// Every used entry must be found by the probe that readers do; that also excludes a second entry
// for the same VIP. Half of the entries are free, so that most misses end at once.
void check_vips(const ImageView& image) {
  const auto vips = image.vips();
  const size_t count = vips.size();
  require_section(
      count >= 2 && count <= SG_VIP_TABLE_MAX && (count & (count - 1)) == 0, "vips",
      fmt::format("{} entries are not a power of two between 2 and {}", count, SG_VIP_TABLE_MAX));
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    const sg_vip& vip = vips[i];
    if (!vip.used) continue;
    Record at(image, "vips", i);
    used++;
    at.flag("used", vip.used);
    at.below("service", vip.service, image.services().size());
    at.require(image.find_vip(vip.ip, vip.port_be, vip.protocol) == &vip, "ip",
               "cannot be found from its home");
  }
  require_section(used <= count / 2, "vips", "more than half full");
}

void check_limit_key(const ImageView& image, const Record& at, const sg_limit& limit) {
  at.at_most("key_part_count", limit.key_part_count, SG_LIMIT_KEY_PARTS_MAX);
  for (uint8_t k = 0; k < limit.key_part_count; k++) {
    at.below("key.kind", limit.key[k].kind, SG_KEY_HEADER + 1);
    if (limit.key[k].kind == SG_KEY_HEADER)
      at.below("key.header_index", limit.key[k].header_index, image.key_headers().size());
  }
  at.at_most("prefix_v4_bits", limit.prefix_v4_bits, 32);
  at.at_most("prefix_v6_bits", limit.prefix_v6_bits, 128);
}

// The chain of limits that count for each other ends, and soon.
void check_missing_limit(const ImageView& image, const Record& at, const sg_limit& limit) {
  const auto limits = image.limits();
  const sg_limit* link = &limit;
  for (int hops = 0; link->missing_limit != SG_NONE16; hops++) {
    at.require(hops < SG_MISSING_LIMITS_MAX, "missing_limit", "a chain that is too long");
    at.below("missing_limit", link->missing_limit, limits.size());
    link = &limits[link->missing_limit];
    at.require(link->service == limit.service, "missing_limit", "a limit of another service");
    at.require(link->unit == limit.unit, "missing_limit", "a limit of another unit");
  }
}

void check_limits(const ImageView& image) {
  require_section(image.limits().size() <= SG_RECORDS_MAX, "limits", "too many records");
  for (size_t i = 0; i < image.limits().size(); i++) {
    const sg_limit& limit = image.limits()[i];
    Record at(image, "limits", i);
    at.text("name", limit.name);
    at.rule("rule", limit.rule, limit.units_per_charge, false);
    at.rule("override_rule", limit.override_rule, limit.override_units_per_charge, true);
    at.require((limit.override_until_unix_s == 0) == (limit.override_rule.interval_ns == 0),
               "override_until_unix_s", "an override needs both a rule and an end");
    at.below("service", limit.service, image.services().size());
    at.below("unit", limit.unit, SG_UNIT_COUNT);
    at.below("over", limit.over, SG_OVER_COOKIE + 1);
    at.below("mode", limit.mode, SG_COUNT + 1);
    at.below("scope", limit.scope, SG_SCOPE_CLUSTER + 1);
    at.below_or_none("over_response", limit.over_response, image.responses().size());
    at.require((limit.over == SG_OVER_RESPONSE) == (limit.over_response != SG_NONE16),
               "over_response", "does not go with `over`");
    at.below_or_none("missing_response", limit.missing_response, image.responses().size());
    at.below_or_none("unknown_response", limit.unknown_response, image.responses().size());
    at.below_or_none("known_list", limit.known_list, image.lists().size());
    if (limit.known_list != SG_NONE16)
      at.require(image.lists()[limit.known_list].is_key_list, "known_list", "not a list of keys");
    check_limit_key(image, at, limit);
    check_missing_limit(image, at, limit);
  }
}

void check_route_headers(const ImageView& image) {
  for (size_t i = 0; i < image.route_headers().size(); i++) {
    const sg_route_header& header = image.route_headers()[i];
    Record at(image, "route_headers", i);
    at.text("value", header.value);
    at.below("header_index", header.header_index, image.key_headers().size());
  }
}

void check_key_headers(const ImageView& image) {
  require_section(image.key_headers().size() <= SG_KEY_HEADERS_MAX, "key_headers",
                  "too many records");
  for (size_t i = 0; i < image.key_headers().size(); i++) {
    Record at(image, "key_headers", i);
    at.text("text", image.key_headers()[i]);
    at.require(image.key_headers()[i].length_bytes > 0, "text", "empty");
  }
}

void check_responses(const ImageView& image) {
  const auto responses = image.responses();
  require_section(responses.size() <= SG_RECORDS_MAX, "responses", "too many records");
  constexpr std::array<uint16_t, SG_RESPONSES_BUILT_IN> built_in = {400, 429, 503};
  require_section(responses.size() >= built_in.size(), "responses", "a built-in one is missing");
  for (size_t i = 0; i < responses.size(); i++) {
    const sg_response& response = responses[i];
    Record at(image, "responses", i);
    uint64_t bytes = SG_DATE_BYTES + (response.retry_label.length_bytes ? SG_RETRY_DIGITS_MAX : 0);
    for (auto [field, run] :
         {std::pair{"status_line", &response.status_line},
          std::pair{"retry_label", &response.retry_label}, std::pair{"fields", &response.fields},
          std::pair{"body", &response.body}}) {
      at.text(field, *run);
      bytes += run->length_bytes;
    }
    at.text("name", response.name);
    at.at_most("body", bytes, SG_RESPONSE_BYTES_MAX);
    at.require(response.status >= 200 && response.status <= 599, "status", "not a final status");
    if (i < built_in.size())
      at.require(response.status == built_in[i], "status", "not the built-in one of this place");
    at.flag("retry_fixed", response.retry_fixed);
    // What is to be told in SG_RETRY_DIGITS_MAX digits of seconds.
    constexpr uint64_t retry_ns_max = 9'999'999'999'000'000'000ull;
    at.at_most("retry_min_ns", response.retry_min_ns, retry_ns_max);
    at.at_most("retry_jitter_ns", response.retry_jitter_ns, retry_ns_max - response.retry_min_ns);
  }
}

void check_list_keys(const ImageView& image, const Record& at, const sg_list& list) {
  at.run("keys_first", list.keys_first, list.keys_count, image.key_digests().size());
  if (list.keys_count == 0) return;
  at.require(list.is_key_list, "keys_count", "keys in a list of addresses");
  const auto digests = image.key_digests().subspan(list.keys_first, list.keys_count);
  for (size_t k = 1; k < digests.size(); k++)
    at.require(std::memcmp(&digests[k - 1], &digests[k], sizeof(sg_key_digest)) < 0, "keys_first",
               "the keys do not ascend");
}

void check_lists(const ImageView& image) {
  require_section(image.lists().size() <= SG_RECORDS_MAX, "lists", "too many records");
  require_section(address_list_count(image) <= SG_LISTS_MAX, "lists",
                  "more lists of addresses than bits in a mask");
  uint64_t keys_seen = 0;
  for (size_t i = 0; i < image.lists().size(); i++) {
    const sg_list& list = image.lists()[i];
    Record at(image, "lists", i);
    at.text("name", list.name);
    at.rule("ceiling_rule", list.ceiling_rule, list.ceiling_units_per_charge, true);
    at.flag("exempt_limits", list.exempt_limits);
    at.flag("exempt_signatures", list.exempt_signatures);
    at.flag("exempt_penalties", list.exempt_penalties);
    at.flag("deny", list.deny);
    at.flag("is_key_list", list.is_key_list);
    at.below("mode", list.mode, SG_COUNT + 1);
    at.below_or_none("deny_response", list.deny_response, image.responses().size());
    at.require(i == 0 || list.is_key_list >= image.lists()[i - 1].is_key_list, "is_key_list",
               "a list of addresses behind a list of keys");
    at.require(list.keys_first == keys_seen, "keys_first",
               "does not begin where the keys of the list before it end");
    check_list_keys(image, at, list);
    keys_seen += list.keys_count;
  }
  require_section(keys_seen == image.key_digests().size(), "key_digests", "records of no list");
}

void check_lookup(const ImageView& image) {
  require_section(image.lookup_header().size() == 1, "lookup_header", "not exactly one record");
  LookupArrays arrays{image.lookup_lines(), image.lookup_buckets(), image.lookup_header().data(),
                      image.list_masks()};
  if (auto fault = validate_lookup(arrays)) require_section(false, "lookup", *fault);
  const size_t lists = address_list_count(image);
  for (size_t i = 0; i < image.list_masks().size(); i++) {
    Record at(image, "list_masks", i);
    at.require(lists == 64 || image.list_masks()[i] >> lists == 0, "mask", "a bit of no list");
  }
}

void check_clients(const ImageView& image) {
  for (size_t i = 0; i < image.clients().size(); i++) {
    const sg_client_rule& rule = image.clients()[i];
    Record at(image, "clients", i);
    at.text("name", rule.name);
    at.below("list", rule.list, address_list_count(image));
    at.below("header_index", rule.header_index, image.key_headers().size());
  }
}

// Of the current table every entry is a backend that takes new flows; of the previous one it may
// have gone, and then the entry is its slot until that is reused, SG_NONE16 afterwards.
void check_table(const ImageView& image, const Record& at, const char* field, size_t pool,
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

void check_pools(const ImageView& image) {
  require_section(image.pools().size() <= SG_POOLS_MAX, "pools", "too many records");
  uint64_t current_seen = 0;
  uint64_t previous_seen = 0;
  for (size_t i = 0; i < image.pools().size(); i++) {
    const sg_pool& pool = image.pools()[i];
    Record at(image, "pools", i);
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
    Record at(image, "backends", i);
    at.text("name", backend.name);
    at.below("state", backend.state, SG_BACKEND_GONE + 1);
    const bool lives = backend.state == SG_BACKEND_ACTIVE || backend.state == SG_BACKEND_DRAIN;
    if (lives || backend.pool != SG_NONE16) at.below("pool", backend.pool, image.pools().size());
    at.require((backend.generation == 0) == (backend.state == SG_BACKEND_FREE), "generation",
               "0 is that of a slot never used, and only of that");
  }
}

void check_signatures(const ImageView& image) {
  require_section(image.signatures().size() <= SG_RECORDS_MAX, "signatures", "too many records");
  for (size_t i = 0; i < image.signatures().size(); i++) {
    const sg_signature_set& set = image.signatures()[i];
    Record at(image, "signatures", i);
    at.text("name", set.name);
    at.below("field", set.field, SG_FIELD_HEAD + 1);
    at.below("then", set.then, SG_THEN_BAN + 1);
    at.below("mode", set.mode, SG_COUNT + 1);
    at.below_or_none("response", set.response, image.responses().size());
    at.require((set.then == SG_THEN_REFUSE) == (set.response != SG_NONE16), "response",
               "does not go with `then`");
    if (set.field == SG_FIELD_HEADER)
      at.below("header_index", set.header_index, image.key_headers().size());
  }
  for (size_t i = 0; i < image.patterns().size(); i++) {
    Record at(image, "patterns", i);
    at.text("text", image.patterns()[i].text);
    at.below("set", image.patterns()[i].set, image.signatures().size());
  }
}

void check_databases(const ImageView& image) {
  require_section(image.databases().size() <= SG_RECORDS_MAX, "databases", "too many records");
  for (size_t i = 0; i < image.databases().size(); i++) {
    const sg_database& database = image.databases()[i];
    Record at(image, "databases", i);
    at.run("bytes_first", database.bytes_first, database.bytes_count,
           image.database_bytes().size());
    at.run("pattern_first", database.pattern_first, database.pattern_count,
           image.patterns().size());
    at.below("field", database.field, SG_FIELD_HEAD + 1);
  }
}

void check_penalties(const ImageView& image) {
  require_section(image.penalties().size() <= SG_RECORDS_MAX, "penalties", "too many records");
  for (size_t i = 0; i < image.penalties().size(); i++) {
    const sg_penalty& penalty = image.penalties()[i];
    Record at(image, "penalties", i);
    at.text("name", penalty.name);
    at.flag("only_validated", penalty.only_validated);
    at.below("mode", penalty.mode, SG_COUNT + 1);
  }
}

}  // namespace

void check_image_records(const ImageView& image) {
  check_vips(image);
  check_limits(image);
  check_services(image);
  check_route_headers(image);
  check_key_headers(image);
  check_responses(image);
  check_lists(image);
  check_lookup(image);
  check_clients(image);
  check_backends(image);
  check_pools(image);
  check_signatures(image);
  check_databases(image);
  check_penalties(image);
}

}  // namespace surgegate
