// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/kept_heads.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace surgegate {
namespace {

// Pages of zeros that cost nothing until they are written.
KeptHead* map_records(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<KeptHead*>(memory);
}

}  // namespace

bool KeptHead::add_range(const KeptRange& range) {
  const bool is_full = ranges_count == SG_KEPT_RANGES_MAX;
  if (is_full) {
    ranges_first = static_cast<uint16_t>((ranges_first + 1) % SG_KEPT_RANGES_MAX);
    ranges_count--;
  }
  ranges[(ranges_first + ranges_count) % SG_KEPT_RANGES_MAX] = range;
  ranges_count++;
  return is_full;
}

bool KeptHead::agrees(uint32_t seq, std::string_view fresh) const {
  const int64_t at = static_cast<int32_t>(seq - start_seq);
  for (uint32_t i = 0; i < runs_count; i++) {
    int64_t first = std::max<int64_t>(at, runs[i].first);
    int64_t last = std::min<int64_t>(at + static_cast<int64_t>(fresh.size()), runs[i].last);
    if (first >= last) continue;
    if (std::memcmp(bytes + first, fresh.data() + (first - at), static_cast<size_t>(last - first)))
      return false;
  }
  return true;
}

std::string_view KeptHead::run_from(uint32_t seq) const {
  const uint32_t at = seq - start_seq;
  for (uint32_t i = 0; i < runs_count; i++)
    if (runs[i].first <= at && at < runs[i].last) return {bytes + at, runs[i].last - at};
  return {};
}

bool KeptHead::has_run_behind(uint32_t seq) const {
  return runs_count > 0 && seq - start_seq < runs[runs_count - 1].last;
}

uint32_t KeptHead::bytes_to_edge(uint32_t seq, uint32_t most_bytes) const {
  const int64_t at = static_cast<int32_t>(seq - start_seq);
  const uint16_t* next = std::upper_bound(edges, edges + edges_count, at);
  if (next == edges + edges_count) return most_bytes;
  return static_cast<uint32_t>(std::min<int64_t>(most_bytes, *next - at));
}

bool KeptHead::has_edge(uint32_t at) const {
  return std::binary_search(edges, edges + edges_count, at);
}

void KeptHead::add_edge(uint32_t at) {
  if (has_edge(at)) return;
  uint16_t* place = std::upper_bound(edges, edges + edges_count, at);
  std::copy_backward(place, edges + edges_count, edges + edges_count + 1);
  *place = static_cast<uint16_t>(at);
  edges_count++;
}

bool KeptHead::has_room_for_run(uint32_t first, uint32_t last) const {
  if (last > SG_HEAD_BYTES_MAX) return false;
  uint32_t apart = 0;
  for (uint32_t i = 0; i < runs_count; i++)
    if (runs[i].last < first || last < runs[i].first) apart++;
  const uint32_t new_edges = (has_edge(first) ? 0u : 1u) + (has_edge(last) ? 0u : 1u);
  return apart < SG_AHEAD_RUNS_MAX && edges_count + new_edges <= SG_AHEAD_EDGES_MAX;
}

std::string_view KeptHead::try_run(uint32_t first, std::string_view fresh) {
  std::memcpy(bytes + first, fresh.data(), fresh.size());
  uint32_t last = first + static_cast<uint32_t>(fresh.size());
  uint32_t all_first = first, all_last = last;
  for (uint32_t i = 0; i < runs_count; i++) {
    if (runs[i].last < first || last < runs[i].first) continue;
    all_first = std::min<uint32_t>(all_first, runs[i].first);
    all_last = std::max<uint32_t>(all_last, runs[i].last);
  }
  return {bytes + all_first, all_last - all_first};
}

void KeptHead::add_run(uint32_t first, uint32_t last) {
  KeptRun all{static_cast<uint16_t>(first), static_cast<uint16_t>(last)};
  uint32_t before = 0;
  while (before < runs_count && runs[before].last < all.first) before++;
  uint32_t behind = before;
  for (; behind < runs_count && runs[behind].first <= all.last; behind++)
    all = {std::min(all.first, runs[behind].first), std::max(all.last, runs[behind].last)};
  std::memmove(runs + before + 1, runs + behind, (runs_count - behind) * sizeof(KeptRun));
  runs[before] = all;
  runs_count = static_cast<uint16_t>(runs_count - (behind - before) + 1);
  add_edge(first);
  add_edge(last);
}

void KeptHead::begin_at(uint32_t seq) {
  const uint32_t cut = std::min<uint32_t>(seq - start_seq, SG_HEAD_BYTES_MAX);
  start_seq = seq;
  pass_runs(cut);
  for (uint32_t i = 0; i < runs_count; i++) {
    runs[i].first = static_cast<uint16_t>(runs[i].first - cut);
    runs[i].last = static_cast<uint16_t>(runs[i].last - cut);
  }
  for (uint32_t i = 0; i < edges_count; i++) edges[i] = static_cast<uint16_t>(edges[i] - cut);
  length_bytes = 0;
  if (runs_count > 0) std::memmove(bytes, bytes + cut, runs[runs_count - 1].last);
}

void KeptHead::pass_runs(uint32_t end) {
  uint32_t gone = 0;
  while (gone < runs_count && runs[gone].last <= end) gone++;
  runs_count = static_cast<uint16_t>(runs_count - gone);
  std::memmove(runs, runs + gone, runs_count * sizeof(KeptRun));
  if (runs_count > 0) runs[0].first = std::max(runs[0].first, static_cast<uint16_t>(end));
  uint16_t* behind = std::upper_bound(edges, edges + edges_count, end);
  edges_count = static_cast<uint16_t>(std::copy(behind, edges + edges_count, edges) - edges);
}

void KeptHeads::Unmap::operator()(KeptHead* records) const {
  munmap(records, bytes);
}

KeptHeads::KeptHeads(uint32_t count)
    : count_(count), records_(map_records(count * sizeof(KeptHead)), {count * sizeof(KeptHead)}) {
  free_.reserve(count);
  while (count > 0) free_.push_back(static_cast<uint16_t>(--count));
}

KeptHead* KeptHeads::of(const sg_flow& flow) const {
  if (flow.kept_index == SG_NONE16 || flow.hash == 0) return nullptr;
  // An arena kept from another process may name a record that this one never had.
  if (flow.kept_index >= count_) return nullptr;
  KeptHead& record = records_[flow.kept_index];
  return record.flow_hash == flow.hash ? &record : nullptr;
}

KeptHead& KeptHeads::take(sg_flow& flow) {
  uint16_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    index = oldest_;
    unlink(index);
    evicted_++;
  }
  link_newest(index);
  KeptHead& record = records_[index];
  record.flow_hash = flow.hash;
  record.length_bytes = record.ranges_count = 0;
  record.forget_runs();
  flow.kept_index = index;
  return record;
}

void KeptHeads::give_back(sg_flow& flow) {
  KeptHead* record = of(flow);
  if (record != nullptr) {
    record->flow_hash = 0;
    unlink(flow.kept_index);
    free_.push_back(flow.kept_index);
  }
  flow.kept_index = SG_NONE16;
}

void KeptHeads::unlink(uint16_t index) {
  const KeptHead& record = records_[index];
  (record.older == SG_NONE16 ? oldest_ : records_[record.older].newer) = record.newer;
  (record.newer == SG_NONE16 ? newest_ : records_[record.newer].older) = record.older;
}

void KeptHeads::link_newest(uint16_t index) {
  records_[index].older = newest_;
  records_[index].newer = SG_NONE16;
  (newest_ == SG_NONE16 ? oldest_ : records_[newest_].newer) = index;
  newest_ = index;
}

}  // namespace surgegate
