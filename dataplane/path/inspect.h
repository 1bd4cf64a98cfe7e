// SPDX-License-Identifier: BSD-3-Clause
// inspect: signatures over the requests that are within their limits.
#pragma once

#include <hs/hs.h>

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"

namespace surgegate {

struct Counters;

class Inspector {
 public:
  explicit Inspector(Counters& counters) : counters_(counters) {}
  ~Inspector() { hs_free_scratch(scratch_); }
  Inspector(const Inspector&) = delete;
  Inspector& operator=(const Inspector&) = delete;

  // Grows the scratch to what the policy's databases need. Between bursts; allocates.
  bool adopt(const PolicyInForce& policy);
  void inspect(Part part, const PolicyInForce& policy);

 private:
  void scan(Lane& lane, uint32_t database_index, const PolicyInForce& policy);

  Counters& counters_;
  hs_scratch_t* scratch_ = nullptr;
};

}  // namespace surgegate
