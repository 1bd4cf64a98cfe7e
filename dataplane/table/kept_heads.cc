// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/kept_heads.h"

#include <sys/mman.h>

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
    bool is_older = static_cast<int32_t>(this->range(0).start_seq - start_seq) > 0;
    if (is_older) length_bytes = 0;
  }
  ranges[(ranges_first + ranges_count) % SG_KEPT_RANGES_MAX] = range;
  ranges_count++;
  return is_full;
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
