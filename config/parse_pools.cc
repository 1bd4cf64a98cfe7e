// SPDX-License-Identifier: BSD-3-Clause
// Pools: their backends, how those are reached, and how their health is asked for.
#include <fmt/format.h>

#include "config/parse_reader.h"

namespace surgegate::policy {
namespace {

constexpr Word<Forward> forward_list[] = {
    {"l2", Forward::l2}, {"ipip", Forward::ipip}, {"gue", Forward::gue}};
constexpr Vocabulary<Forward> forward_words = {"forward", "a way to forward", forward_list};

constexpr Word<Challenge> challenge_list[] = {
    {"none", Challenge::none}, {"resync", Challenge::resync}, {"accept", Challenge::accept}};
constexpr Vocabulary<Challenge> challenge_words = {"challenge", "a challenge", challenge_list};

// --- health --------------------------------------------------------------------------------------

void read_http_path(Reader& reader, const Node& node, Health& out) {
  constexpr std::string_view wanted = "the path to ask for, like /healthz";
  out.kind = HealthKind::http;
  auto path = reader.text(node, wanted);
  if (!path) return;
  const bool is_path = path->starts_with('/') &&
                       std::all_of(path->begin(), path->end(),
                                   [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (!is_path) return reader.mismatch(node, wanted);
  out.path = std::move(*path);
}

// "tcp: true", "tls: true".
template <HealthKind kind>
void read_health_kind(Reader& reader, const Node& node, Health& out) {
  if (auto is_wanted = reader.scalar(node, parse_bool); is_wanted && *is_wanted)
    out.kind = kind;
  else if (is_wanted)
    reader.mismatch(node, "true, or no such key");
}

template <uint64_t Health::*member>
void read_health_time(Reader& reader, const Node& node, Health& out) {
  auto ns = reader.scalar(node, parse_duration_ns);
  if (!ns) return;
  constexpr uint64_t ns_per_ms = 1'000'000;
  if (*ns < 10 * ns_per_ms || *ns > 3'600'000 * ns_per_ms)
    reader.report().fault(
        node.place, fmt::format("{} between checks of health, or to wait for one", describe(node)),
        "10ms to 1h");
  else
    out.*member = *ns;
}

template <uint32_t Health::*member>
void read_health_count(Reader& reader, const Node& node, Health& out) {
  if (auto count = reader.integer(node, 1, 100)) out.*member = static_cast<uint32_t>(*count);
}

constexpr Key<Health> health_keys[] = {
    {"http", false, read_http_path},
    {"tcp", false, read_health_kind<HealthKind::tcp>},
    {"tls", false, read_health_kind<HealthKind::tls>},
    {"port", true,
     [](Reader& r, const Node& node, Health& out) {
       if (auto port = r.integer(node, 1, 65535)) out.port = static_cast<uint16_t>(*port);
     }},
    {"interval", false, read_health_time<&Health::interval_ns>},
    {"timeout", false, read_health_time<&Health::timeout_ns>},
    {"fall", false, read_health_count<&Health::fall>},
    {"rise", false, read_health_count<&Health::rise>},
    {"min_healthy", false,
     [](Reader& r, const Node& node, Health& out) {
       r.read(node, parse_percent, out.min_healthy_percent);
     }},
};
constexpr Grammar<Health> health_grammar = {"health", "a health check", health_keys};

void read_health(Reader& reader, const Node& node, Pool& out) {
  auto& health = out.health.emplace();
  health.place = node.place;
  if (!reader.map(node, health_grammar, health.value)) return;
  const auto kinds =
      std::count_if(node.entries.begin(), node.entries.end(), [](const Entry& entry) {
        return entry.key == "http" || entry.key == "tcp" || entry.key == "tls";
      });
  if (kinds != 1)
    reader.report().fault(node.place, fmt::format("a health check of {} kinds", kinds),
                          "one of `http: PATH`, `tcp: true`, `tls: true`");
}

// --- backends ------------------------------------------------------------------------------------

constexpr Key<Backend> backend_keys[] = {
    {"address", true,
     [](Reader& r, const Node& node, Backend& out) { r.read(node, parse_address, out.address); }},
    {"weight", false,
     [](Reader& r, const Node& node, Backend& out) {
       if (auto weight = r.integer(node, 0, SG_POLICY_WEIGHT_MAX))
         out.weight = static_cast<uint32_t>(*weight);
     }},
    {"drain", false,
     [](Reader& r, const Node& node, Backend& out) { r.read(node, parse_bool, out.drain); }},
};
constexpr Grammar<Backend> backend_grammar = {"backend", "a backend", backend_keys};

void read_backends(Reader& reader, const Node& node, Pool& out) {
  reader.named<Backend>(node, "backend", out.backends,
                        [](Reader& r, const Node& value, Backend& backend) {
                          r.map(value, backend_grammar, backend);
                        });
  if (node.kind == Node::Kind::map && node.entries.empty())
    reader.report().fault(node.place, "a pool without backends",
                          "one or more, like {web1: {address: 10.0.0.1}}");
}

constexpr Key<Pool> pool_keys[] = {
    {"forward", true,
     [](Reader& r, const Node& node, Pool& out) { r.read(node, forward_words, out.forward); }},
    {"challenge", false,
     [](Reader& r, const Node& node, Pool& out) { r.read(node, challenge_words, out.challenge); }},
    {"health", false, read_health},
    {"backends", true, read_backends},
};
constexpr Grammar<Pool> pool_grammar = {"pool", "a pool", pool_keys};

}  // namespace

void read_pools(Reader& reader, const Node& node) {
  reader.section<Pool>(
      node, "pool", reader.policy().pools,
      [](Reader& r, const Node& value, Pool& out) { r.map(value, pool_grammar, out); });
}

void describe_pools(Language& language) {
  language.add(pool_grammar);
  language.add(health_grammar);
  language.add(backend_grammar);
  language.add(forward_words);
  language.add(challenge_words);
}

}  // namespace surgegate::policy
