// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "dataplane/path/decide.h"
#include "dataplane/replay/names.h"

namespace surgegate {
namespace {

constexpr size_t top_sources = 10;
constexpr size_t vips_told = 4;

struct TopSource {
  std::string address;
  SourceTally tally;
};

// The sources with the largest `count` of requests (those with none are left out), then packets.
std::vector<TopSource> top_by(uint64_t SourceTally::*count, const Tally& tally) {
  std::vector<TopSource> all;
  for (const auto& [ip, source] : tally.sources)
    if (source.*count > 0) all.push_back({address_name(ip.data()), source});
  auto rank = [&](const TopSource& s) { return std::tuple(s.tally.*count, s.tally.packets); };
  std::sort(all.begin(), all.end(), [&](const TopSource& a, const TopSource& b) {
    return rank(a) != rank(b) ? rank(a) > rank(b) : a.address < b.address;
  });
  all.resize(std::min(all.size(), top_sources));
  return all;
}

// The lists that do something to a packet of theirs, by their bit in a source's mask.
std::vector<size_t> acting_lists(const ImageView& image) {
  std::vector<size_t> bits;
  for (size_t i = 0; i < image.lists().size() && !image.lists()[i].is_key_list; i++)
    if (sg_list_acts(&image.lists()[i])) bits.push_back(i);
  return bits;
}

struct Sums {
  std::vector<LimitCounts> limits;
  std::vector<SignatureCounts> signatures;
  std::vector<ListCounts> lists;  // by bit of a source's mask
  std::array<uint64_t, exhaustion_counters.size()> exhausted{};
  uint64_t frames_out = 0, resets_out = 0, crossed = 0;
};

Sums sum(const ReportInput& input) {
  Sums sums;
  sums.limits.resize(input.image.limits().size());
  sums.signatures.resize(input.image.signatures().size());
  sums.lists.resize(SG_LISTS_MAX);
  for (const Counters* counters : input.counters) {
    for (size_t i = 0; i < sums.limits.size(); i++) {
      sums.limits[i].admitted_units += counters->limits[i].admitted_units;
      sums.limits[i].refused_units += counters->limits[i].refused_units;
      sums.limits[i].would_refuse_units += counters->limits[i].would_refuse_units;
    }
    for (size_t i = 0; i < sums.signatures.size(); i++) {
      sums.signatures[i].matched += counters->signatures[i].matched;
      sums.signatures[i].would_match += counters->signatures[i].would_match;
    }
    for (size_t i = 0; i < sums.lists.size(); i++) {
      sums.lists[i].packets += counters->lists[i].packets;
      sums.lists[i].would_packets += counters->lists[i].would_packets;
    }
    sums.frames_out += counters->frames_out;
    sums.resets_out += counters->resets_out;
    sums.crossed += counters->packets_crossed;
    for (size_t i = 0; i < sums.exhausted.size(); i++)
      sums.exhausted[i] += exhaustion_counters[i].read(*counters);
  }
  return sums;
}

class Text {
 public:
  explicit Text(const ReportInput& input) : in_(input), sums_(sum(input)) {}

  std::string print() {
    totals();
    reasons();
    tables();
    sources("refused", &SourceTally::requests_refused);
    sources("admitted", &SourceTally::requests_admitted);
    if (in_.tally.other_sources.packets > 0)
      line("  {} packets came from sources beyond the first {}, which are not told apart",
           in_.tally.other_sources.packets, replay_sources_max);
    exhaustion();
    conservation();
    return out_;
  }

  // Of a live gate, which looks at no single packet: no sources, and nothing to be conserved.
  std::string print_live(uint64_t for_all, uint64_t of_others) {
    heading("At " + in_.in_path);
    line("  packets      {:>10}   not counted: {} frames for all stations, {} for others",
         in_.tally.packets_in, for_all, of_others);
    reasons();
    tables();
    exhaustion();
    line("");
    return out_;
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    out_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  void heading(std::string_view title) {
    line("");
    line("{}{}{}", in_.colour ? "\x1b[1m" : "", title, in_.colour ? "\x1b[0m" : "");
  }
  std::string_view colour_of(sg_verdict verdict) const {
    if (!in_.colour) return "";
    switch (verdict) {
      case SG_VERDICT_forwarded:
        return "\x1b[32m";
      case SG_VERDICT_answered:
        return "\x1b[33m";
      case SG_VERDICT_dropped:
        return "\x1b[31m";
      default:
        return "\x1b[36m";
    }
  }
  std::string_view plain() const { return in_.colour ? "\x1b[0m" : ""; }

  void totals() {
    const Tally& t = in_.tally;
    heading("Replay of " + in_.in_path);
    line("  packets      {:>10}", t.packets_in);
    line("  connections  {:>10}", t.connections);
    line("  requests     {:>10}   admitted {}, refused {}",
         t.requests_admitted + t.requests_refused, t.requests_admitted, t.requests_refused);
    if (t.packets_cut > 0)
      line(
          "  {} packets are cut short in the capture, or longer than 65,000 bytes, and cannot be "
          "read: capture with -s 0",
          t.packets_cut);
    if (t.packets_late > 0)
      line(
          "  {} packets bear times before the packets in front of them, and were judged at those "
          "packets' time: is one clock wrong? `reordercap` sorts a capture",
          t.packets_late);
  }

  // Of a column of names: those of a policy may be long, and the figures stay below each other.
  template <class Names>
  static size_t width(size_t least, const Names& names) {
    for (const auto& name : names) least = std::max(least, name.size());
    return least;
  }

  void reasons() {
    heading("Verdicts");
    std::vector<std::string> services;
    for (const auto& [service, counts] : in_.tally.by_service)
      services.push_back(service_name(in_.image, service));
    const size_t wide = width(16, services);
    line("  {:<{}} {:<10} {:<24} {:<9} {:>9}", "service", wide, "verdict", "reason", "step",
         "packets");
    for (const auto& [service, counts] : in_.tally.by_service) {
      for (const Rule& rule : rules()) {
        if (counts[rule.reason] == 0) continue;
        line("  {:<{}} {}{:<10}{} {:<24} {:<9} {:>9}", service_name(in_.image, service), wide,
             colour_of(rule.verdict), name_of(rule.verdict), plain(), rule.name, name_of(rule.step),
             counts[rule.reason]);
      }
    }
    bool of_services = std::any_of(in_.tally.by_service.begin(), in_.tally.by_service.end(),
                                   [](const auto& row) { return row.first != SG_NONE16; });
    if (!of_services && in_.tally.packets_in > 0)
      line("  no packet was for a service; the policy's are at {}",
           vip_names(in_.image, vips_told));
    if (of_services && in_.tally.by_service.count(SG_NONE16) != 0)
      line("  (-: packets that are for no service)");
  }

  void tables() {
    limits();
    lists();
    backends();
  }

  template <class... Records>
  std::vector<std::string_view> names_of(std::span<const Records>... records) const {
    std::vector<std::string_view> names;
    const auto add = [&](const auto& all) {
      for (const auto& record : all) names.push_back(in_.image.text(record.name));
    };
    (add(records), ...);
    return names;
  }

  void limits() {
    if (sums_.limits.empty()) return;
    heading("Limits and signatures");
    const size_t wide = width(28, names_of(in_.image.limits(), in_.image.signatures()));
    line("  {:<{}} {:>10} {:>10} {:>14}", "", wide, "admitted", "refused", "would refuse");
    for (size_t i = 0; i < sums_.limits.size(); i++)
      line("  {:<{}} {:>10} {:>10} {:>14}", in_.image.text(in_.image.limits()[i].name), wide,
           sums_.limits[i].admitted_units, sums_.limits[i].refused_units,
           sums_.limits[i].would_refuse_units);
    for (size_t i = 0; i < sums_.signatures.size(); i++)
      line("  {:<{}} {:>10} {:>10} {:>14}", in_.image.text(in_.image.signatures()[i].name), wide,
           "", sums_.signatures[i].matched, sums_.signatures[i].would_match);
  }

  void lists() {
    if (acting_lists(in_.image).empty()) return;
    heading("Lists");
    const size_t wide = width(28, names_of(in_.image.lists()));
    line("  {:<{}} {:>10} {:>14}", "", wide, "packets", "would match");
    for (size_t i : acting_lists(in_.image))
      line("  {:<{}} {:>10} {:>14}", in_.image.text(in_.image.lists()[i].name), wide,
           sums_.lists[i].packets, sums_.lists[i].would_packets);
  }

  void backends() {
    if (in_.tally.backends.empty()) return;
    heading("Backends");
    // Requests are told apart by what looks at every packet, which is replay's.
    std::vector<std::string> names;
    for (const auto& [slot, backend] : in_.tally.backends)
      names.push_back(backend_name(in_.image, slot));
    const size_t wide = width(28, names);
    line("  {:<{}} {:>10} {:>12}{}", "", wide, "packets", "connections",
         in_.is_live ? "" : "   requests");
    for (const auto& [slot, backend] : in_.tally.backends)
      line("  {:<{}} {:>10} {:>12}{}", backend_name(in_.image, slot), wide, backend.packets,
           backend.connections, in_.is_live ? "" : fmt::format(" {:>10}", backend.requests));
  }

  void sources(std::string_view what, uint64_t SourceTally::*count) {
    heading(fmt::format("Top sources by requests {} (of {})", what, in_.tally.sources.size()));
    line("  {:<40} {:>9} {:>9} {:>9}", "", "packets", "admitted", "refused");
    for (const TopSource& top : top_by(count, in_.tally))
      line("  {:<40} {:>9} {:>9} {:>9}", top.address, top.tally.packets,
           top.tally.requests_admitted, top.tally.requests_refused);
  }

  void exhaustion() {
    if (std::all_of(sums_.exhausted.begin(), sums_.exhausted.end(), [](auto n) { return n == 0; }))
      return;
    heading("What ran out, or was done otherwise (docs/architecture.md)");
    for (size_t i = 0; i < sums_.exhausted.size(); i++)
      if (sums_.exhausted[i] > 0)
        line("  {:<28} {:>10}", exhaustion_counters[i].name, sums_.exhausted[i]);
  }

  void conservation() {
    const auto& v = in_.tally.verdicts;
    heading("Conservation");
    line("  in {} = forwarded {} + answered {} + dropped {} + to kernel {}", in_.tally.packets_in,
         v[SG_VERDICT_forwarded], v[SG_VERDICT_answered], v[SG_VERDICT_dropped],
         v[SG_VERDICT_to_kernel]);
    line("  out {} = forwarded {} + answered {} + resets to backends {}", sums_.frames_out,
         v[SG_VERDICT_forwarded], v[SG_VERDICT_answered], sums_.resets_out);
    if (in_.tally.violation.empty())
      line("  {}holds{}: every packet has one verdict, every frame out one packet in",
           colour_of(SG_VERDICT_forwarded), plain());
    else
      line("  {}VIOLATED{}: {} (a fault of ours: please report it)", colour_of(SG_VERDICT_dropped),
           plain(), in_.tally.violation);
    line("");
  }

  const ReportInput& in_;
  Sums sums_;
  std::string out_;
};

nlohmann::ordered_json sources_json(const std::vector<TopSource>& sources) {
  auto out = nlohmann::ordered_json::array();
  for (const TopSource& top : sources)
    out.push_back({{"address", top.address},
                   {"packets", top.tally.packets},
                   {"admitted", top.tally.requests_admitted},
                   {"refused", top.tally.requests_refused}});
  return out;
}

// What a replay and a live gate both count.
void add_tables(nlohmann::ordered_json& out, const ReportInput& input, const Sums& sums) {
  using nlohmann::ordered_json;
  const Tally& tally = input.tally;
  const ImageView& image = input.image;
  for (size_t v = 0; v < SG_VERDICT_COUNT; v++)
    out["verdicts"][std::string(name_of(static_cast<sg_verdict>(v)))] = tally.verdicts[v];
  out["reasons"] = ordered_json::array();
  for (const auto& [service, counts] : tally.by_service)
    for (const Rule& rule : rules())
      if (counts[rule.reason] > 0)
        out["reasons"].push_back({{"service", service_name(image, service)},
                                  {"verdict", name_of(rule.verdict)},
                                  {"reason", rule.name},
                                  {"step", name_of(rule.step)},
                                  {"packets", counts[rule.reason]}});
  out["limits"] = ordered_json::array();
  for (size_t i = 0; i < sums.limits.size(); i++)
    out["limits"].push_back({{"limit", image.text(image.limits()[i].name)},
                             {"admitted", sums.limits[i].admitted_units},
                             {"refused", sums.limits[i].refused_units},
                             {"would_refuse", sums.limits[i].would_refuse_units}});
  out["signatures"] = ordered_json::array();
  for (size_t i = 0; i < sums.signatures.size(); i++)
    out["signatures"].push_back({{"signature", image.text(image.signatures()[i].name)},
                                 {"matched", sums.signatures[i].matched},
                                 {"would_match", sums.signatures[i].would_match}});
  out["lists"] = ordered_json::array();
  for (size_t i : acting_lists(image))
    out["lists"].push_back({{"list", image.text(image.lists()[i].name)},
                            {"packets", sums.lists[i].packets},
                            {"would_match", sums.lists[i].would_packets}});
  out["backends"] = ordered_json::array();
  for (const auto& [slot, backend] : tally.backends) {
    ordered_json row = {{"backend", backend_name(image, slot)},
                        {"packets", backend.packets},
                        {"connections", backend.connections}};
    if (!input.is_live) row["requests"] = backend.requests;
    out["backends"].push_back(std::move(row));
  }
}

void add_exhaustion(nlohmann::ordered_json& out, const Sums& sums) {
  for (size_t i = 0; i < sums.exhausted.size(); i++)
    out["exhaustion"][std::string(exhaustion_counters[i].name)] = sums.exhausted[i];
}

// A path need not be UTF-8; JSON must be.
std::string dump(const nlohmann::ordered_json& out) {
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string report_text(const ReportInput& input) {
  return Text(input).print();
}

std::string live_report_text(const ReportInput& input, uint64_t for_all, uint64_t of_others) {
  return Text(input).print_live(for_all, of_others);
}

std::string live_report_json(const ReportInput& input, uint64_t for_all, uint64_t of_others) {
  nlohmann::ordered_json out;
  out["interface"] = input.in_path;
  out["packets"] = input.tally.packets_in;
  out["packets_for_all"] = for_all;
  out["packets_of_others"] = of_others;
  const Sums sums = sum(input);
  add_tables(out, input, sums);
  add_exhaustion(out, sums);
  return dump(out);
}

std::string report_json(const ReportInput& input) {
  using nlohmann::ordered_json;
  const Tally& tally = input.tally;
  Sums sums = sum(input);
  ordered_json out;
  out["capture"] = input.in_path;
  out["packets"] = tally.packets_in;
  out["packets_cut"] = tally.packets_cut;
  out["packets_late"] = tally.packets_late;
  out["connections"] = tally.connections;
  out["requests"] = {{"admitted", tally.requests_admitted}, {"refused", tally.requests_refused}};
  add_tables(out, input, sums);
  out["sources"] = {{"count", tally.sources.size()},
                    {"packets_of_others", tally.other_sources.packets},
                    {"top_refused", sources_json(top_by(&SourceTally::requests_refused, tally))},
                    {"top_admitted", sources_json(top_by(&SourceTally::requests_admitted, tally))}};
  add_exhaustion(out, sums);
  out["packets_out"] = sums.frames_out;
  out["resets_out"] = sums.resets_out;
  out["packets_crossed"] = sums.crossed;
  out["conserved"] = tally.violation.empty();
  if (!tally.violation.empty()) out["violation"] = tally.violation;
  return dump(out);
}

}  // namespace surgegate
