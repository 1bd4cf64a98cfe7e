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

#define SG_FLOW_TICK_NS (1u << 20)  // 1.05 ms: a flow's age in 32 bits, for 52 days
#define SG_FLOW_SET_ENTRIES 4
// A SYN that nothing followed: after 10 s its entry may be given to another flow, until 150 s it is
// still known while nobody took it (Linux takes the acknowledgement of a SYN cookie for 120 s).
#define SG_FLOW_OPENING_NS_MAX (10ull * 1000000000)
#define SG_FLOW_OPENING_KNOWN_NS_MAX (150ull * 1000000000)
// A handshake to an HTTP service behind which no request came: it may never have been the client's
// who has that address. (Browsers open connections ahead of need, and close them after a while.)
#define SG_FLOW_UNUSED_NS_MAX (90ull * 1000000000)
#define SG_FLOW_IDLE_NS_MAX (900ull * 1000000000)  // an established connection without a packet
// After FIN or RST, and of a tombstone: then another flow may have the entry; until it is taken it
// is known as long as an idle one. The backend may not have taken what closed it, and wait for
// more.
#define SG_FLOW_CLOSING_NS_MAX SG_FLOW_SERVER_WAIT_NS
#define SG_FLOW_REFUSED_NS_MAX SG_FLOW_SERVER_WAIT_NS
// So long servers wait for the next bytes of a connection, and longer (75 s is nginx's, and the
// longest that is usual).
#define SG_FLOW_SERVER_WAIT_NS (90ull * 1000000000)
// Where another connection may be opened by a SYN, or taken up again, that is watched for: as long
// as a SYN cookie is good, and anew from each packet on that stands there (an acknowledgement opens
// it at the backend, which then waits).
#define SG_FLOW_OTHER_NS_MAX SG_FLOW_OPENING_KNOWN_NS_MAX
// A port that is used again and again leaves one stream after the other behind. Those of three
// periods of 52 s (six units of sg_earlier.since) are borne in mind, the last one included: for 94
// s at least. No longer than 155 s: a stack goes round its sequence numbers in 274 s [Linux], and
// would find no place where a connection may begin.
#define SG_FLOW_EARLIER_PERIODS 3
#define SG_FLOW_EARLIER_PERIOD_UNITS 6
// How long a connection must have been silent before another may go on in its place: at a request's
// beginning, and elsewhere.
#define SG_FLOW_SILENT_NS (20ull * 1000000000)
#define SG_FLOW_SILENT_WITHIN_NS (90ull * 1000000000)
// A stack begins farther ahead of the connection before [RFC 6528 section 3: its clock ticks every
// 4 us; this is 4 s].
#define SG_FLOW_SYN_AHEAD_BYTES (1u << 20)

// Sequence numbers compare correctly within 2^31, and no window is larger than 2^30 [RFC 7323
// section 2.3]: what lies farther ahead of the bytes that have passed no backend takes, and it is
// dropped as out_of_order.
#define SG_WINDOW_BYTES_MAX (1ull << 30)
// So many multiples of 2^16 of a stream are counted, 2 GiB. Of a longer one it is not known where
// it began, and it is taken to have begun there.
#define SG_FLOW_PASSED_64K_MAX 0x7fff

// --- HTTP --------------------------------------------------------------------------------------
#define SG_HTTP_FIELDS_MAX 100
// A record for what is kept of a flow is five pages. Four are for the bytes of a head in pieces:
// twice what nginx takes for one line, and all of what most servers take for a head. One is for
// judged ranges: of a chunked upload with a chunk header in every segment they reach half a MB
// back. The oldest make room (ranges_forgotten); what is sent again from before them is old_data.
#define SG_HEAD_BYTES_MAX 16352
#define SG_KEPT_RANGES_MAX 329
// Runs of bytes beyond holes that one flow may have forwarded. Who loses or overtakes more often
// within one head, or farther than SG_HEAD_BYTES_MAX, sends the rest again (ahead_full).
#define SG_AHEAD_RUNS_MAX 4
// Places in them where a segment begins or ends, at which TCP may cut what it sends again: of 60
// segments in 4 runs, twice the 31 of 536 bytes that fill SG_HEAD_BYTES_MAX. Who sends smaller ones
// sends those that are too many again (ahead_full), when the hole is filled.
#define SG_AHEAD_EDGES_MAX 64
// Heads and chunk headers in them that are remembered one by one when a hole is filled: a window of
// 16 KB in chunks of 700 bytes. Of more those of one run are one part (ahead_parts_joined).
#define SG_AHEAD_PARTS_APART_MAX 24
#define SG_HEAD_DEADLINE_NS_MAX (600ull * 1000000000)
#define SG_KEPT_HEADS_MAX 32768  // of one worker: 640 MiB
// A tombstone gives its answer again at most so often, each time after twice the pause: a resend
// comes after 200 ms, 400 ms .. (RFC 6298), what comes faster only gets an acknowledgement.
#define SG_ANSWERS_AGAIN_MAX 8
#define SG_ANSWER_AGAIN_NS (100ull * 1000000)
// The least answer: a status, the date, and a wait of five digits.
#define SG_LEAST_ANSWER_BYTES 75
// So much of what came on a refused connection and was not matched by an answer is remembered. More
// would be of no use: no answer is larger.
#define SG_CREDIT_BYTES_MAX 4080
// What is read and thrown away of an upload that was refused, so that its client comes to read the
// answer [RFC 9112 section 9.6]; then it is reset.
#define SG_LINGER_BYTES_MAX (16u << 20)
// Where an answer would not be safe a request is only dropped, and TCP sends it again, after 0.2,
// 0.4, 0.8 s ..: so often, then both sides are reset.
#define SG_SILENT_REFUSALS_MAX 5
// What a server sends before it hears of the client again [RFC 6928]: of an answer of which more
// was acknowledged since the request there may be more to come, and only a client's silence tells.
#define SG_ANSWER_FLIGHT_BYTES 14600
#define SG_HTTP_METHOD_BYTES_MAX 32      // IANA's longest is UPDATEREDIRECTREF, of 17
#define SG_HTTP_TARGET_BYTES_MAX 8000    // RFC 9112 section 3: request lines of at least so many
#define SG_HTTP_LENGTH_MAX (1ull << 40)  // of a body or chunk: 1 TiB
#define SG_HTTP_LENGTH_DIGITS_MAX 13     // 2^40 has 13 digits

// A client may send so much before the first acknowledgement of its data: the window that came with
// the SYN-ACK, which is never scaled [RFC 7323 section 2.2].
#define SG_FIRST_WINDOW_BYTES 65535u

// --- Buckets -----------------------------------------------------------------------------------
// The cell keeps 48 bits of nanoseconds (78.2 h). A TAT is at most 24 h ahead, and a cell is
// visited by the scrubber at least every hour, so that past and future can always be told apart:
// 78.2 - 24 = 54.2 h is how old a cell may get before it would look like the future.
#define SG_TAT_BITS 48
#define SG_BUCKET_HORIZON_NS_MAX (24ull * 3600 * 1000000000)
#define SG_BUCKET_STALE_NS_MAX (54ull * 3600 * 1000000000)
#define SG_SCRUB_PERIOD_NS (3600ull * 1000000000)
// How far the clocks of two who use one table may differ. A worker reads its clock once per burst
// and may then lose its core for a while; a second is far beyond any scheduler's slice.
#define SG_BUCKET_SKEW_NS_MAX 1000000000ull
#define SG_BUCKET_SET_CELLS 8
#define SG_BUCKET_UNITS_MAX 65535u  // of one charge: what a route may cost
// Every lost race is somebody else's charge. 32 in a row on one line take longer than a burst.
// BPF's verifier walks through every try (6,000 steps of its million), so there are fewer of them.
#ifdef __bpf__
#define SG_BUCKET_TRIES_MAX 8
#else
#define SG_BUCKET_TRIES_MAX 32
#endif
// Above this rate the nanosecond interval rounds too coarsely (1/500 = 0.2 %), and one line is
// written too often: such limits are charged 1,024 units at a time.
#define SG_LEASE_RATE_PER_S 2000000ull
#define SG_LEASE_UNITS 1024
// Per worker, direct-mapped. Limits this fast are few (whole services); two in one slot work too,
// at the price of an unleased charge.
#define SG_LEASE_SLOTS 256
// What a service may take of its host where its policy does not say (docs/policy.md). A million
// answers a second are a third of a 10 Gbit/s port with what an answer usually has (400 bytes in
// all), and a tenth of a 100 Gbit/s port with the largest ones. 200,000 strays a second are a
// million connections that send a packet every five seconds, met all at once; and where all of them
// are forged, one reset each, which a pool of backends does not feel.
#define SG_ANSWERS_PER_S_DEFAULT 1000000ull
#define SG_STRAYS_PER_S_DEFAULT 200000ull
// The burst of such a budget, in time at its rate: longer than the clumps in which packets come
// (interrupts, round trips), and shorter than TCP's first pause [RFC 6298: 200 ms at least], after
// which what was too much comes again. So no second holds more than 1.1 times the rate.
#define SG_BUDGET_BURST_NS (100ull * 1000000)
// A step of the scrubber: 512 lines, a few tens of microseconds.
#define SG_SCRUB_STEP_CELLS_MAX 4096

// --- The policy image --------------------------------------------------------------------------
#define SG_SERVICES_MAX 4096
#define SG_VIPS_MAX 16384
#define SG_VIP_PROBES_MAX 16  // the compiler grows the table until no entry is further from home
#define SG_VIP_TABLE_MAX (1 << 20)
#define SG_LISTS_MAX 64          // a source's lists are one 64-bit mask
#define SG_SERVICE_LIMITS_MAX 8  // of one unit, service and route together
#define SG_LIMIT_KEY_PARTS_MAX 4
#define SG_MISSING_LIMITS_MAX 4  // limits asked one after the other because headers are missing
#define SG_KEY_HEADERS_MAX 16    // header names that any policy may ask the reader to find
#define SG_ROUTES_MAX 1024       // of one service
#define SG_BACKENDS_MAX 4096     // slots, over all pools
#define SG_RECORDS_MAX 65535     // of a section named by 16-bit indices: 65,535 itself means none
#define SG_POOLS_MAX 1024
#define SG_RESPONSE_BYTES_MAX \
  1200  // one segment within IPv6's minimum MTU: 1280 - 40 - 20 - 12 = 1208
#define SG_IMAGE_BYTES_MAX (1ull << 31)

// --- Lists -------------------------------------------------------------------------------------
// What config/lookup_build.cc accepts, over all lists. A prefix ends at most two runs of addresses
// (IPv4) or needs an entry and seven markers (IPv6, one per other length its search path probes).
#define SG_LIST_PREFIXES_MAX (1u << 22)
#define SG_LIST_MASKS_MAX 65536  // distinct sets of lists that an address can be in: 16-bit indices

// --- Policy text -------------------------------------------------------------------------------
// What the parser reads of one policy, all files together where nothing else is said. One that goes
// beyond is refused at the line that does.
#define SG_POLICY_YAML_BYTES_MAX (4u << 20)   // of one YAML file: seconds at the worst
#define SG_POLICY_DATA_BYTES_MAX (64u << 20)  // of one list file: a million lines of 64 bytes
#define SG_POLICY_LINE_BYTES_MAX 8192         // of one line of a data file: a long pattern
#define SG_POLICY_FILES_MAX 1024              // the policy, what it includes, its data files
#define SG_POLICY_GLOB_STARS_MAX 8    // in one pattern: matching takes exponential time in them
#define SG_POLICY_PATH_STARS_MAX 8    // in a route's path: a piece is searched for behind each
#define SG_POLICY_DEPTH_MAX 32        // of nesting; the language itself needs eight
#define SG_POLICY_NODES_MAX 2000000u  // YAML values, each alias counted as what it stands for
#define SG_POLICY_CIDRS_MAX 1000000u
#define SG_POLICY_KEYS_MAX 1000000u       // digests in lists of keys
#define SG_POLICY_PATTERNS_MAX 20000u     // in all signature sets: twice what crawler lists hold
#define SG_POLICY_NAME_BYTES_MAX 64       // of a limit, pool, list ...
#define SG_POLICY_TEXT_BYTES_MAX 1024     // of a path, header value or reason
#define SG_POLICY_HEADERS_MAX 64          // of one response
#define SG_POLICY_ADVISED_FAULTS_MAX 100  // the nearest word is looked for that often
#define SG_POLICY_FINDINGS_MAX 1000       // kept, of each severity
#define SG_POLICY_FILE_FINDINGS_MAX 100   // kept of one data file, of each severity
#define SG_POLICY_WEIGHT_MAX 65534u       // of a backend
#define SG_POLICY_RATE_PER_S_MAX 1000000000ull  // of a limit: a unit each nanosecond
#define SG_POLICY_BAN_NS_MAX (365ull * 86400 * 1000000000)

#ifdef __cplusplus
static_assert(SG_BUCKET_HORIZON_NS_MAX + SG_BUCKET_STALE_NS_MAX + 2 * SG_BUCKET_SKEW_NS_MAX <
                  (1ull << SG_TAT_BITS),
              "a future TAT and a stale one must not share a 48-bit value");
static_assert(SG_BUCKET_UNITS_MAX <= (1ull << 63) / SG_BUCKET_HORIZON_NS_MAX,
              "units * interval_ns must not overflow, for no interval is longer than the horizon");
static_assert(SG_SCRUB_PERIOD_NS < SG_BUCKET_STALE_NS_MAX, "a cell is scrubbed before it is stale");
static_assert(SG_RESPONSE_BYTES_MAX <= SG_CREDIT_BYTES_MAX, "every answer can be saved up for");
static_assert(SG_RESPONSE_BYTES_MAX <= 1280 - 40 - 20 - 12, "an answer is one segment everywhere");
static_assert(SG_LIST_PREFIXES_MAX * 8ull * 64 / 3 * 10 / 6 < SG_IMAGE_BYTES_MAX,
              "the widest IPv6 list (8 entries a prefix, 3 in 64 bytes, 60 % full) fits an image");
static_assert(SG_POLICY_CIDRS_MAX <= SG_LIST_PREFIXES_MAX, "what is parsed can be compiled");
#endif
