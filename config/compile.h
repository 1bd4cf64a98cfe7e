// SPDX-License-Identifier: BSD-3-Clause
// The policy compiler: a checked policy becomes one policy image.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "config/image.h"
#include "config/model.h"

namespace surgegate {

// policy: parsed and checked. A name that does not resolve is a fault here too, never a crash; that
// texts hold only what HTTP allows is the parser's to see. revision: of the image that is made,
// above that of `previous`. previous: the image now in force, or null. From it come the slots and
// generations of backends, the Maglev tables before the last change, the horizons that buckets may
// still hold, and signature databases that need not be compiled again. lookup_seed: see
// build_lookup(); any number, a host's secret where lists come from feeds.
struct CompileInput {
  const policy::Policy& policy;
  uint64_t revision = 1;
  const ImageView* previous = nullptr;
  uint64_t lookup_seed = 0;
};

// bytes is empty exactly where a finding is a fault. findings also has warnings and notes.
struct Compiled {
  ImageBytes bytes;
  std::vector<policy::Finding> findings;
};

// The same input gives the same bytes, on every host with the same Hyperscan and kind of processor
// (signature databases are built for the processor that compiles). Any thread.
Compiled compile(const CompileInput& input);

// Only the patterns of all signature sets, told as compile() tells them: for a policy with faults
// of other kinds, so that its author sees all of them at once.
std::vector<policy::Finding> check_signatures(const policy::Policy& policy);

// The stable identity of what a policy names: SipHash-1-3 under a zero key of "KIND\0NAME". Kinds
// and names: "service" NAME, "limit" SERVICE/LIMIT, "penalty" SERVICE/PENALTY, "backend"
// POOL/BACKEND, "pool", "list", "client", "response", "signature" NAME, "built-in" STATUS.
uint64_t identity(std::string_view kind, std::string_view name);

}  // namespace surgegate
