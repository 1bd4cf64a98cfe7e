// SPDX-License-Identifier: BSD-3-Clause
// The shared bucket code as XDP will use it. Built with clang -O2 -target bpf -mcpu=v3, which is
// all the test there is: an operation that BPF lacks is an error here.
#include <linux/bpf.h>

#include "config/bucket.h"

int charge(struct sg_bucket_set* set, const struct sg_bucket_rule* rule, __u64 key_hash,
           __u64 now_ns) {
  struct sg_bucket_view view;
  __u32 lost_races = 0;
  __u64 tag = sg_bucket_tag(key_hash);
  enum sg_bucket_outcome outcome = sg_bucket_charge(set, tag, rule, 1, now_ns, &view, &lost_races);
  if (!sg_bucket_is_charged(outcome)) return 0;
  return sg_bucket_give_back(&set->cells[view.cell % SG_BUCKET_SET_CELLS], tag, rule->interval_ns,
                             now_ns, &lost_races);
}
