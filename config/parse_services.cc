// SPDX-License-Identifier: BSD-3-Clause
// Services: addresses, capacity, and what judges their traffic. Routes are in parse_routes.cc.
#include <fmt/format.h>

#include "config/parse_reader.h"
#include "config/words.h"

namespace surgegate::policy {
namespace {

constexpr Word<Protocol> protocol_list[] = {{"http", Protocol::http},
                                            {"tls", Protocol::tls},
                                            {"tcp", Protocol::tcp},
                                            {"udp", Protocol::udp}};
constexpr std::string_view within_tls = "what is within TLS passes unread";
constexpr std::string_view http2_within_tls =
    "HTTP/2 passes within TLS, unread (in the clear as `tcp`)";
constexpr std::string_view in_datagrams = "QUIC is datagrams, which pass unread";
constexpr std::string_view begins_as_http =
    "WebSocket begins as HTTP, and goes on where a route has `upgrade: tunnel`";
constexpr Meant protocols_meant[] = {
    {"https", "tls", within_tls},
    {"ssl", "tls", within_tls},
    {"wss", "tls", within_tls},
    {"http2", "tls", http2_within_tls},
    {"http/2", "tls", http2_within_tls},
    {"h2", "tls", http2_within_tls},
    {"grpc", "tls", http2_within_tls},
    {"h2c", "tcp", http2_within_tls},
    {"http3", "udp", in_datagrams},
    {"http/3", "udp", in_datagrams},
    {"h3", "udp", in_datagrams},
    {"quic", "udp", in_datagrams},
    {"websocket", "http", begins_as_http},
    {"ws", "http", begins_as_http},
};
constexpr Vocabulary<Protocol> protocol_words = {
    "protocol", "a protocol", protocol_list, {}, protocols_meant};

constexpr Word<ShedBy> shed_by_list[] = {{"class", ShedBy::klass}, {"client", ShedBy::client}};
constexpr Vocabulary<ShedBy> shed_by_words = {"shed-by", "something to shed by", shed_by_list};

void read_shed_by(Reader& reader, const Node& node, Capacity& out) {
  if (!reader.is_list(node, "a list of class and client")) return;
  for (const Node* item : node.items) {
    auto word = reader.word(*item, shed_by_words);
    if (!word) continue;
    if (std::find(out.shed_by.begin(), out.shed_by.end(), *word) != out.shed_by.end())
      reader.report().fault(item->place,
                            fmt::format("{} stands in this list already", describe(*item)));
    else
      out.shed_by.push_back(*word);
  }
  if (node.items.empty()) reader.mismatch(node, "class, client, or both");
}

void read_hold(Reader& reader, const Node& node, Capacity& out) {
  auto ns = reader.scalar(node, parse_duration_ns);
  if (!ns) return;
  if (*ns < 1'000'000'000 || *ns > SG_BUCKET_HORIZON_NS_MAX)
    reader.report().fault(
        node.place, fmt::format("{} is no time to hold an admission", describe(node)), "1s to 24h");
  else
    out.hold_ns = *ns;
}

constexpr Key<Capacity> shed_keys[] = {{"by", true, read_shed_by}, {"hold", true, read_hold}};
constexpr Grammar<Capacity> shed_grammar = {"shed", "`shed`", shed_keys};

constexpr Key<Capacity> capacity_keys[] = {
    {"rate", true,
     [](Reader& r, const Node& node, Capacity& out) { r.read(node, parse_rate, out.rate); }},
    {"burst", false,
     [](Reader& r, const Node& node, Capacity& out) {
       auto count = r.scalar(node, parse_count);
       if (count && *count == 0)
         r.report().fault(node.place, "a burst of 0 lets nothing through", "1 or more");
       else
         out.burst_units = count;
     }},
    {"scope", false,
     [](Reader& r, const Node& node, Capacity& out) {
       out.scope_place = node.place;
       r.read(node, scope_words, out.scope);
     }},
    {"over", false,
     [](Reader& r, const Node& node, Capacity& out) { out.over = r.response(node); }},
    {"shed", false,
     [](Reader& r, const Node& node, Capacity& out) {
       out.shed_place = node.place;
       r.map(node, shed_grammar, out);
     }},
};
constexpr Grammar<Capacity> capacity_grammar = {"capacity", "a capacity", capacity_keys};

void read_vips(Reader& reader, const Node& node, Service& out) {
  constexpr std::string_view wanted =
      "a list of addresses with ports, like [\"192.0.2.1:80\", \"[2001:db8::1]:80\"]";
  if (!reader.is_list(node, wanted)) return;
  for (const Node* item : node.items) {
    Placed<AddressPort> vip{{}, item->place};
    if (auto at = reader.scalar(*item, parse_address_port)) {
      vip.value = *at;
      out.vips.push_back(vip);
    }
  }
  if (node.items.empty()) reader.mismatch(node, wanted);
}

constexpr Word<Lenient> lenient_list[] = {{"any-method", Lenient::any_method},
                                          {"absolute-target", Lenient::absolute_target},
                                          {"raw-target", Lenient::raw_target}};
constexpr Vocabulary<Lenient> lenient_words = {"lenient", "something to be lenient about",
                                               lenient_list};

void read_lenient(Reader& reader, const Node& node, Service& out) {
  if (!reader.is_list(node, "a list of any-method, absolute-target and raw-target")) return;
  if (!node.items.empty()) out.lenient_place = node.place;
  for (const Node* item : node.items)
    if (auto word = reader.word(*item, lenient_words)) out.lenient.push_back(*word);
}

// A head of two segments on a bad line takes some seconds, for resends come after 1, 2, 4 s.
void read_head_deadline(Reader& reader, const Node& node, Service& out) {
  out.head_deadline_place = node.place;
  auto ns = reader.scalar(node, parse_duration_ns);
  if (!ns) return;
  constexpr uint64_t ns_per_s = 1'000'000'000;
  if (*ns < ns_per_s || *ns > SG_HEAD_DEADLINE_NS_MAX)
    reader.report().fault(
        node.place, fmt::format("{} is no time for a request head", describe(node)), "1s to 10m");
  else
    out.head_deadline_ns = *ns;
}

void read_budget(Reader& reader, const Node& node, std::optional<Placed<Rate>>& out) {
  Placed<Rate> rate;
  reader.read(node, parse_rate, rate);
  if (rate.value.units != 0) out = rate;
}

void read_capacity(Reader& reader, const Node& node, Service& out) {
  auto& capacity = out.capacity.emplace();
  capacity.place = node.place;
  capacity.value.scope = reader.policy().defaults.scope.value;
  capacity.value.scope_place = reader.policy().defaults.scope.place;
  reader.map(node, capacity_grammar, capacity.value);
}

constexpr Key<Service> service_keys[] = {
    {"vips", true, read_vips},
    {"protocol", true,
     [](Reader& r, const Node& node, Service& out) { r.read(node, protocol_words, out.protocol); }},
    {"pool", true,
     [](Reader& r, const Node& node, Service& out) {
       if (auto name = r.name(node)) out.pool = std::move(*name);
     }},
    {"capacity", false, read_capacity},
    {"limits", false,
     [](Reader& r, const Node& node, Service& out) {
       out.limits = r.names(node, "a list of names of limits");
     }},
    {"signatures", false,
     [](Reader& r, const Node& node, Service& out) {
       out.signatures = r.names(node, "a list of names of signature sets");
     }},
    {"penalties", false,
     [](Reader& r, const Node& node, Service& out) {
       out.penalties = r.names(node, "a list of names of penalties");
     }},
    {"routes", false, read_routes},
    {"lenient", false, read_lenient},
    {"head_deadline", false, read_head_deadline},
    {"answers", false,
     [](Reader& r, const Node& node, Service& out) { read_budget(r, node, out.answers); }},
    {"strays", false,
     [](Reader& r, const Node& node, Service& out) { read_budget(r, node, out.strays); }},
};
constexpr Grammar<Service> service_grammar = {"service", "a service", service_keys};

}  // namespace

void read_services(Reader& reader, const Node& node) {
  reader.section<Service>(
      node, "service", reader.policy().services,
      [](Reader& r, const Node& value, Service& out) { r.map(value, service_grammar, out); });
}

void describe_services(Language& language) {
  language.add(service_grammar);
  language.add(capacity_grammar);
  language.add(shed_grammar);
  language.add(protocol_words);
  language.add(shed_by_words);
  language.add(lenient_words);
}

}  // namespace surgegate::policy
