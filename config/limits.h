// SPDX-License-Identifier: BSD-3-Clause
// Every maximum of the system in one place, with the relations between them. A maximum is a number
// of things (…_max), never "as much as there is": what happens when one is reached is stated here
// or beside the counter that counts it. C, because BPF reads it too.
#pragma once

// --- The burst ---------------------------------------------------------------------------------
// 32 lanes: one AVX-512 register of 16-bit indices, and 32 x 2 KiB of frames stay within L2.
#define SG_BURST_PACKETS_MAX 32

// --- Headers -----------------------------------------------------------------------------------
#define SG_IP6_EXTENSIONS_MAX 4  // hop-by-hop, destination, and room for two more

// --- Flow table --------------------------------------------------------------------------------
#define SG_SHARDS 256
#define SG_WORKERS_MAX 128

// --- Buckets -----------------------------------------------------------------------------------
// The cell keeps 48 bits of nanoseconds (78.2 h). A TAT is at most 24 h ahead, and a cell is visited
// by the scrubber at least every hour, so that past and future can always be told apart:
// 78.2 - 24 = 54.2 h is how old a cell may get before it would look like the future.
#define SG_BUCKET_HORIZON_NS_MAX (24ull * 3600 * 1000000000)
#define SG_BUCKET_STALE_NS_MAX (54ull * 3600 * 1000000000)
#define SG_SCRUB_PERIOD_NS (3600ull * 1000000000)
#define SG_BUCKET_SET_CELLS 8
// Above this rate the nanosecond interval rounds too coarsely (1/500 = 0.2 %), and one line is
// written too often: such limits are charged 1,024 units at a time.
#define SG_LEASE_RATE_PER_S 2000000ull
#define SG_LEASE_UNITS 1024

// --- The policy image --------------------------------------------------------------------------
#define SG_SERVICES_MAX 4096
#define SG_VIPS_MAX 16384
#define SG_LISTS_MAX 64           // a source's lists are one 64-bit mask
#define SG_SERVICE_LIMITS_MAX 8   // of one unit, service and route together
#define SG_LIMIT_KEY_PARTS_MAX 4
#define SG_KEY_HEADERS_MAX 16     // header names that any policy may ask the reader to find
#define SG_ROUTES_MAX 1024        // of one service
#define SG_BACKENDS_MAX 4096      // slots, over all pools
#define SG_POOLS_MAX 1024
#define SG_RESPONSE_BYTES_MAX 1200  // one segment within IPv6's minimum MTU: 1280 - 40 - 20 - 12 = 1208
#define SG_IMAGE_BYTES_MAX (1ull << 31)

#ifdef __cplusplus
static_assert(SG_BUCKET_HORIZON_NS_MAX + SG_BUCKET_STALE_NS_MAX < (1ull << 48),
              "a future TAT and a stale one must not share a 48-bit value");
static_assert(SG_SCRUB_PERIOD_NS < SG_BUCKET_STALE_NS_MAX, "a cell is scrubbed before it is stale");
static_assert(SG_RESPONSE_BYTES_MAX <= 1280 - 40 - 20 - 12, "an answer is one segment everywhere");
#endif
