// SPDX-License-Identifier: BSD-3-Clause
// The shared reading of headers as XDP will use it. The frame that the program is given is read
// into a map; tests/property/headers_bpf.cc loads it and compares. Without the L4 checksum: the
// verifier follows no sum over a length that a packet names, and XDP leaves it to the workers.
#include <linux/bpf.h>

// After linux/bpf.h, whose types it needs.
#include <bpf/bpf_helpers.h>

#include "config/headers.h"
#include "tests/unit/config/headers_bpf_answer.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct headers_bpf_answer);
} answers SEC(".maps");

SEC("xdp")
int read_headers(struct xdp_md* frame) {
  __u32 key = 0;
  struct headers_bpf_answer* answer = bpf_map_lookup_elem(&answers, &key);
  if (!answer) return -1;
  struct sg_packet packet;
  answer->found = sg_read_frame((void*)(long)frame->data, (void*)(long)frame->data_end, &packet);
  answer->packet = packet;
  return 0;
}

char program_license[] SEC("license") = "BSD";
