// SPDX-License-Identifier: BSD-3-Clause
// What headers_bpf_compiles.c has read.
#pragma once

#include "config/headers.h"

struct headers_bpf_answer {
  __u64 found;
  struct sg_packet packet;
};
