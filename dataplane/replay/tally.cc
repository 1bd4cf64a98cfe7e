// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/tally.h"

#include <fmt/format.h>

#include <cstring>

#include "dataplane/conservation.h"
#include "dataplane/path/decide.h"

namespace surgegate {

void Tally::see(const Lane& lane, Instant) {
  Seen& seen = seen_[lane.frame.number];
  seen.times++;
  seen.verdict = lane.verdict;
  verdicts[lane.verdict]++;
  by_service[lane.service == nullptr ? SG_NONE16 : lane.service_index][lane.reason]++;
  bool forwarded = lane.verdict == SG_VERDICT_forwarded;
  bool opened = lane.opens && forwarded;
  connections += opened ? 1 : 0;
  requests_admitted += lane.requests_admitted;
  requests_refused += lane.requests_refused;
  if (lane.packet.addresses_read) {
    SourceTally& from = source(lane);
    from.packets++;
    from.requests_admitted += lane.requests_admitted;
    from.requests_refused += lane.requests_refused;
    from.packets_dropped += lane.verdict == SG_VERDICT_dropped ? 1 : 0;
  }
  if (!forwarded || lane.backend_slot == SG_NONE16) return;
  BackendTally& backend = backends[lane.backend_slot];
  backend.packets++;
  backend.connections += opened ? 1 : 0;
  backend.requests += lane.requests_admitted;
}

SourceTally& Tally::source(const Lane& lane) {
  SourceAddress ip;
  std::memcpy(ip.data(), lane.packet.tuple.src_ip, ip.size());
  auto found = sources.find(ip);
  if (found != sources.end()) return found->second;
  if (sources.size() >= replay_sources_max) return other_sources;
  return sources[ip];
}

bool Tally::fits(const Seen& seen, const Fate& fate) const {
  return seen.times == 1 && conserves(seen.verdict, fate.sent, fate.kernel, fate.discarded);
}

void Tally::check_conservation(uint64_t first, uint64_t last) {
  for (uint64_t number = first; number <= last; number++) {
    const Seen& seen = seen_[number];
    const Fate& fate = fates_.fate(number);
    if (violation.empty() && !fits(seen, fate))
      violation = fmt::format(
          "packet {}: {} verdicts (last: {}), {} frames sent, {} to the kernel, {} discarded",
          number, seen.times, seen.verdict < SG_VERDICT_COUNT ? name_of(seen.verdict) : "none",
          fate.sent, fate.kernel, fate.discarded);
  }
  seen_.clear();
}

}  // namespace surgegate
