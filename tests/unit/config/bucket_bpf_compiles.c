// SPDX-License-Identifier: BSD-3-Clause
// The shared bucket code as XDP will use it: an operation that BPF lacks is an error when this is
// compiled (clang -O2 -target bpf -mcpu=v3), and a path that the kernel's verifier cannot follow
// when tests/property/bucket_bpf.cc loads it. The packet is the question; see there.
#include <linux/bpf.h>

// After linux/bpf.h, whose types it needs.
#include <bpf/bpf_helpers.h>

#include "config/bucket.h"
#include "tests/unit/config/bucket_bpf_question.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, BUCKET_BPF_SETS);
  __type(key, __u32);
  __type(value, struct sg_bucket_set);
} sg_buckets SEC(".maps");

// Returns the sg_bucket_outcome; after it, in bit 8, whether a give-back gave something back.
SEC("xdp")
int charge(struct xdp_md* packet) {
  const struct bucket_bpf_question* asked = (void*)(long)packet->data;
  if ((void*)(asked + 1) > (void*)(long)packet->data_end) return -1;
  const struct bucket_bpf_question question = *asked;

  __u32 set_index = (__u32)sg_bucket_set_index(question.key_hash, BUCKET_BPF_SETS);
  struct sg_bucket_set* set = bpf_map_lookup_elem(&sg_buckets, &set_index);
  if (!set) return -1;
  const __u64 tag = sg_bucket_tag(question.key_hash);
  struct sg_bucket_view view;
  __u32 lost_races = 0;
  enum sg_bucket_outcome outcome = sg_bucket_charge(set, tag, &question.rule, question.units,
                                                    question.now_ns, &view, &lost_races);
  if (!question.gives_back || !sg_bucket_is_charged(outcome)) return outcome;
  int gave_back =
      sg_bucket_give_back(&set->cells[view.cell % SG_BUCKET_SET_CELLS], tag,
                          question.units * question.rule.interval_ns, question.now_ns, &lost_races);
  return outcome | gave_back << 8;
}

char program_license[] SEC("license") = "BSD";
