// SPDX-License-Identifier: BSD-3-Clause
// What bucket_bpf_compiles.c is asked in a packet.
#pragma once

#include "config/bucket.h"

#define BUCKET_BPF_SETS 4

struct bucket_bpf_question {
  __u64 key_hash;
  __u64 now_ns;
  struct sg_bucket_rule rule;
  __u32 units;
  __u32 gives_back;
};
