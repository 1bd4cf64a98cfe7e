// SPDX-License-Identifier: BSD-3-Clause
// What of the language this version enforces. All of it is parsed, checked and carried in the
// image; a policy that asks for what is not enforced yet is told so, by line.
#pragma once

#include <string_view>

namespace surgegate::policy {

// X(feature, enforced, what happens until then)
#define SG_POLICY_FEATURES(X)                                                          \
  X(challenge, false, "SYNs are forwarded as they come")                               \
  X(health, false, "every backend counts as healthy")                                  \
  X(forward_gue, false, "packets are encapsulated as with `forward: ipip`")            \
  X(drain, false,                                                                      \
    "the backend gets nothing new, and a policy is read at the start alone, where no " \
    "connection is known: its old ones go to others")                                  \
  X(scope_cluster, false, "each host counts for itself")                               \
  X(known_keys, false, "every key passes as if it were known")                         \
  X(missing_status, false, "requests without the header share a bucket of their own")  \
  X(penalties, false, "nobody is banned by them")                                      \
  X(exempt_penalties, false, "nobody is banned yet")                                   \
  X(signature_ban, false, "the request is dropped instead")                            \
  X(signature_fields, false, "only `field: user-agent` is looked at")                  \
  X(capacity, false, "the service has no limit of its own")                            \
  X(shed, false, "nobody is shed")                                                     \
  X(route_class, false, "requests of all classes are treated alike")                   \
  X(over_cookie, false, "SYNs over the limit are dropped")                             \
  X(identity_chain, false, "only a header with a single address names the client")     \
  X(ceiling, false, "the exempt are not limited at all")                               \
  X(deny_response, false, "packets from these sources are dropped instead")

enum class Feature {
#define SG_FEATURE(name, enforced, until_then) name,
  SG_POLICY_FEATURES(SG_FEATURE)
#undef SG_FEATURE
};

bool is_enforced(Feature feature);

// What happens while the feature is not enforced.
std::string_view until_then(Feature feature);

}  // namespace surgegate::policy
