// SPDX-License-Identifier: BSD-3-Clause
#include "config/image_check_parts.h"

namespace surgegate {
namespace {

// Where a request goes that is judged by this run, or a packet or connection.
void check_limit_run(const ImageView& image, const CheckedRecord& at, const char* field,
                     const sg_limit_run& run, uint32_t service, uint8_t unit) {
  at.run(field, run.first, run.count, image.limit_refs().size());
  at.at_most(field, run.count, SG_SERVICE_LIMITS_MAX);
  for (uint16_t limit : image.limit_run(run)) {
    at.below(field, limit, image.limits().size());
    at.require(image.limits()[limit].service == service, field, "a limit of another service");
    at.require(image.limits()[limit].unit == unit, field, "a limit of another unit");
  }
}

void check_user_agent_database(const ImageView& image, const CheckedRecord& at, uint16_t database) {
  at.below_or_none("user_agent_database", database, image.databases().size());
  if (database != SG_NONE16)
    at.require(image.databases()[database].field == SG_FIELD_USER_AGENT, "user_agent_database",
               "a database of another field");
}

void check_route(const ImageView& image, const sg_route& route, size_t index, uint32_t service) {
  CheckedRecord at(image, "routes", index);
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
    CheckedRecord at(image, "services", i);
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
    at.below("lenient", service.lenient, 2 * SG_LENIENT_RAW_TARGET);
    at.at_most("head_deadline_ns", service.head_deadline_ns, SG_HEAD_DEADLINE_NS_MAX);
    for (const sg_budget& budget : service.budgets)
      at.rule("budgets", budget.rule, budget.units_per_charge, false);
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
    CheckedRecord at(image, "vips", i);
    used++;
    at.flag("used", vip.used);
    at.below("service", vip.service, image.services().size());
    at.require(image.find_vip(vip.ip, vip.port_be, vip.protocol) == &vip, "ip",
               "cannot be found from its home");
  }
  require_section(used <= count / 2, "vips", "more than half full");
}

void check_limit_key(const ImageView& image, const CheckedRecord& at, const sg_limit& limit) {
  at.at_most("key_part_count", limit.key_part_count, SG_LIMIT_KEY_PARTS_MAX);
  for (uint8_t k = 0; k < limit.key_part_count; k++) {
    at.below("key.kind", limit.key[k].kind, SG_KEY_HEADER + 1);
    at.require(limit.unit == SG_UNIT_REQUESTS || limit.key[k].kind == SG_KEY_SOURCE ||
                   limit.key[k].kind == SG_KEY_CLIENT,
               "key", "of a request, which packets and connections are not");
    if (limit.key[k].kind == SG_KEY_HEADER)
      at.below("key.header_index", limit.key[k].header_index, image.key_headers().size());
  }
  at.at_most("prefix_v4_bits", limit.prefix_v4_bits, 32);
  at.at_most("prefix_v6_bits", limit.prefix_v6_bits, 128);
}

// The chain of limits that count for each other ends, and soon.
void check_missing_limit(const ImageView& image, const CheckedRecord& at, const sg_limit& limit) {
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
    CheckedRecord at(image, "limits", i);
    at.text("name", limit.name);
    at.text("ratelimit", limit.ratelimit);
    at.at_most("ratelimit", limit.ratelimit.length_bytes, SG_RESPONSE_BYTES_MAX);
    at.flag("shared", limit.shared);
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
    at.require(limit.over != SG_OVER_COOKIE || limit.unit == SG_UNIT_CONNECTIONS, "over",
               "a cookie answers a SYN, and only connections begin with one");
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
    CheckedRecord at(image, "route_headers", i);
    at.text("value", header.value);
    at.below("header_index", header.header_index, image.key_headers().size());
  }
}

void check_key_headers(const ImageView& image) {
  require_section(image.key_headers().size() <= SG_KEY_HEADERS_MAX, "key_headers",
                  "too many records");
  for (size_t i = 0; i < image.key_headers().size(); i++) {
    CheckedRecord at(image, "key_headers", i);
    at.text("text", image.key_headers()[i]);
    at.require(image.key_headers()[i].length_bytes > 0, "text", "empty");
    at.at_most("text", image.key_headers()[i].length_bytes, SG_POLICY_NAME_BYTES_MAX);
  }
}

}  // namespace

void check_requests(const ImageView& image) {
  check_vips(image);
  check_limits(image);
  check_services(image);
  check_route_headers(image);
  check_key_headers(image);
}

}  // namespace surgegate
