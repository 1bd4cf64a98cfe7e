// SPDX-License-Identifier: BSD-3-Clause
// police: token buckets. Which limits a packet meets, what it costs there, and whether they admit
// it. And the budgets of services: what each may take of this host, whoever asks for it.
#pragma once

#include <array>
#include <span>

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"
#include "dataplane/table/buckets.h"

namespace surgegate {

struct Counters;

class Policer {
 public:
  Policer(std::span<sg_bucket_set> buckets, const sg_secret& secret, Counters& counters)
      : table_(buckets), secret_(secret), counters_(counters) {}

  void police(Part part, const PolicyInForce& policy, Instant now);

  // Charges every packet that is to be made for a client. Those beyond their service's budget are
  // not: to be called when verdicts are known, and before anything comes of them.
  void charge_answers(Part part, Instant now);

 private:
  // The limits of one unit that a lane meets: those that are enforced, then those that only count,
  // which so see what would have passed.
  struct Bill {
    static constexpr size_t entries_max = SG_SERVICE_LIMITS_MAX + 1;  // one for the budget

    std::array<BucketCharge, entries_max> charges;
    std::array<uint16_t, entries_max> limits;  // SG_NONE16: the budget
    uint32_t enforced = 0;
    uint32_t count = 0;
  };
  using Bills = std::array<Bill, SG_UNIT_COUNT>;

  void gather(Lane& lane, Bills& bills, const PolicyInForce& policy, Instant now);
  void add_run(const Lane& lane, Bill& bill, const sg_limit_run& run, const PolicyInForce& policy,
               uint32_t units, Instant now);
  void add_limit(const Lane& lane, Bill& bill, uint16_t index, const PolicyInForce& policy,
                 uint32_t units, Instant now);
  BucketCharge budget(const sg_service& service, sg_budget_kind kind) const;
  void add_strays(const Lane& lane, Bill& bill) const;
  bool settle(Lane& lane, Bill& bill, const PolicyInForce& policy, Instant now);
  void refuse(Lane& lane, const sg_limit& limit);

  BucketTable table_;
  Leases leases_;
  sg_secret secret_;
  Counters& counters_;
  std::array<Bills, SG_BURST_PACKETS_MAX> bills_;
};

}  // namespace surgegate
