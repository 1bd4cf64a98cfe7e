// SPDX-License-Identifier: BSD-3-Clause
// The scrubber: empties cells whose bucket has long been full again, so that none grows so old that
// its 48-bit time would come round and look like the future.
#pragma once

#include <cstdint>

#include "config/limits.h"
#include "dataplane/table/arena.h"
#include "dataplane/table/buckets.h"

namespace surgegate {

// One per arena, stepped by one thread (the supervisor's) while workers charge the same cells.
class Scrubber {
 public:
  // header: of the arena that the table lies in; holds how far the pass is.
  Scrubber(BucketTable table, ArenaHeader& header);

  // Visits the cells that are due at now_ns for a pass to take SG_SCRUB_PERIOD_NS, cells_max at the
  // most; a late one catches up from call to call. Returns how many cells it emptied.
  uint32_t step(uint64_t now_ns, uint32_t cells_max = SG_SCRUB_STEP_CELLS_MAX);

 private:
  void start_pass(uint64_t now_ns);

  BucketTable table_;
  ArenaHeader& header_;
};

}  // namespace surgegate
