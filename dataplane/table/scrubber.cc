// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/scrubber.h"

#include <algorithm>

namespace surgegate {

namespace {

// Only a cell that everybody takes for full, also whose clock is behind ours: it is then worth as
// much as an empty one. One that is neither past nor a possible future is older than it can be
// while the scrubber runs; emptied too, it does no harm for another 54 h.
bool is_spent(uint64_t word, uint64_t now_ns) {
  const uint64_t rank = sg_tat_rank(word, now_ns);
  return rank < SG_BUCKET_STALE_NS_MAX - SG_BUCKET_SKEW_NS_MAX ||
         rank > SG_BUCKET_STALE_NS_MAX + SG_BUCKET_HORIZON_NS_MAX + SG_BUCKET_SKEW_NS_MAX;
}

// A lost race means that the cell was charged a moment ago: there is nothing left to do.
bool empty_if_spent(__u64& cell, uint64_t now_ns) {
  const __u64 word = SG_BUCKET_LOAD(&cell);
  return word != 0 && is_spent(word, now_ns) && SG_BUCKET_CAS(&cell, word, 0) == word;
}

}  // namespace

Scrubber::Scrubber(BucketTable table, ArenaHeader& header) : table_(table), header_(header) {}

uint32_t Scrubber::step(uint64_t now_ns, uint32_t cells_max) {
  const uint64_t cell_count = table_.sets().size() * SG_BUCKET_SET_CELLS;
  const uint64_t ns_per_cell = std::max<uint64_t>(SG_SCRUB_PERIOD_NS / cell_count, 1);
  const uint64_t elapsed_ns = now_ns - header_.scrub_started_ns;
  const uint64_t due = std::min(elapsed_ns / ns_per_cell, cell_count);
  uint64_t cell = std::min<uint64_t>(header_.scrub_next_cell, cell_count);
  const uint64_t end = std::clamp(due, cell, cell + cells_max);
  uint32_t emptied = 0;
  for (; cell < end; cell++) {
    sg_bucket_set& set = table_.sets()[cell / SG_BUCKET_SET_CELLS];
    emptied += empty_if_spent(set.cells[cell % SG_BUCKET_SET_CELLS], now_ns);
  }
  header_.scrub_next_cell = cell;
  if (cell == cell_count) start_pass(now_ns);
  return emptied;
}

void Scrubber::start_pass(uint64_t now_ns) {
  __atomic_store_n(&header_.last_scrub_ns, header_.scrub_started_ns, __ATOMIC_RELAXED);
  header_.scrub_started_ns = now_ns;
  header_.scrub_next_cell = 0;
}

}  // namespace surgegate
