// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/inspect.h"

#include <algorithm>

#include "dataplane/counters.h"

namespace surgegate {
namespace {

constexpr sg_findings refused = SG_FOUND(limit_packets) | SG_FOUND(limit_requests) |
                                SG_FOUND(limit_requests_drop) | SG_FOUND(limit_requests_silent) |
                                SG_FOUND(strays_spent);

// The pattern of the policy's order that matched first among those in force, and whether any of a
// set that only counts did.
struct Matches {
  const ImageView& image;
  const sg_database& database;
  Counters& counters;
  uint32_t first = SG_NONE32;
};

int on_match(unsigned int id, unsigned long long, unsigned long long, unsigned int, void* context) {
  auto& matches = *static_cast<Matches*>(context);
  // The database is bytes from the image: whoever made it, what it reports is not trusted.
  if (id >= matches.database.pattern_count) return 0;
  uint32_t pattern = matches.database.pattern_first + id;
  uint32_t set_index = matches.image.patterns()[pattern].set;
  if (matches.image.signatures()[set_index].mode == SG_COUNT)
    matches.counters.signatures[set_index].would_match++;
  else
    matches.first = std::min(matches.first, pattern);
  return 0;
}

}  // namespace

bool Inspector::adopt(const PolicyInForce& policy) {
  for (hs_database_t* database : policy.databases())
    if (hs_alloc_scratch(database, &scratch_) != HS_SUCCESS) return false;
  return true;
}

void Inspector::inspect(Part part, const PolicyInForce& policy) {
  for (Lane& lane : part) {
    bool readable = lane.counts_request && !lane.request.head.user_agent.empty();
    if (!readable || lane.exempt_signatures || (lane.found & refused) != 0) continue;
    uint16_t database = lane.request.route != nullptr ? lane.request.route->user_agent_database
                                                      : lane.service->user_agent_database;
    if (database != SG_NONE16) scan(lane, database, policy);
  }
}

void Inspector::scan(Lane& lane, uint32_t database_index, const PolicyInForce& policy) {
  const ImageView& image = policy.image();
  Matches matches{image, image.databases()[database_index], counters_};
  std::string_view text = lane.request.head.user_agent;
  hs_scan(policy.databases()[database_index], text.data(), static_cast<unsigned>(text.size()), 0,
          scratch_, on_match, &matches);
  if (matches.first == SG_NONE32) return;
  lane.pattern = matches.first;
  lane.signature_set = static_cast<uint16_t>(image.patterns()[matches.first].set);
  const sg_signature_set& set = image.signatures()[lane.signature_set];
  counters_.signatures[lane.signature_set].matched++;
  lane.found |= set.then == SG_THEN_REFUSE ? SG_FOUND(signature) | SG_FOUND(signature_silent)
                                           : SG_FOUND(signature_drop);
}

}  // namespace surgegate
