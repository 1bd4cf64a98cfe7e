// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/journey.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "dataplane/conservation.h"
#include "dataplane/path/decide.h"

namespace surgegate::testing {
namespace {

template <class Counts>
uint64_t sum_of(const Counts& counts) {
  uint64_t sum = 0;
  for (uint64_t count : counts) sum += count;
  return sum;
}

bool fits(const Fate& fate) {
  return fate.verdicts == 1 &&
         conserves(fate.verdict, fate.sent.size(), fate.kernel.size(), fate.discarded.size());
}

Arena open_arena(const JourneyOptions& options) {
  ArenaOptions arena;
  arena.layout = state_layout(FlowTable::entries_for(options.flows_min), options.bucket_sets);
  arena.secret = options.secret;
  arena.boot_id = "00000000-0000-0000-0000-000000000001";
  auto opened = Arena::open(arena);
  if (!opened) throw std::runtime_error(opened.error());
  return std::move(*opened);
}

}  // namespace

Journey::Journey(std::shared_ptr<const PolicyInForce> policy, const JourneyOptions& options)
    : policy_(policy),
      rings_(options.workers),
      arena_(open_arena(options)),
      tables_(arena_, next_hops_, options.tunnel_source) {
  deal_shards(arena_, options.workers);
  tables_.kept_heads_max = options.kept_heads_max;
  for (uint32_t i = 0; i < options.workers; i++) {
    ports_.push_back(std::make_unique<FakePort>(pool_));
    workers_.push_back(std::make_unique<Worker>(i, tables_, *ports_[i],
                                                options.workers > 1 ? &rings_ : nullptr, this));
  }
  adopt(std::move(policy));
}

void Journey::start_over(std::shared_ptr<const PolicyInForce> policy) {
  std::fill(tables_.flows.begin(), tables_.flows.end(), sg_flow{});
  std::fill(tables_.buckets.begin(), tables_.buckets.end(), sg_bucket_set{});
  for (auto& port : ports_) {
    port->forget_what_left();
    port->room = {};
    port->tx_room = port->spare = FakePort::unlimited;
  }
  rings_.frames_max = FakeRings(0).frames_max;
  fates_.clear();
  before_ = totals();
  clock_ns_ = 0;
  policies_.clear();
  adopt(std::move(policy));
}

void Journey::adopt(std::shared_ptr<const PolicyInForce> policy) {
  policy_ = policy;
  services_max_ = std::max<size_t>(services_max_, policy->image().services().size());
  policies_.push_back(std::move(policy));
  learn_next_hops();
  for (auto& worker : workers_)
    if (!worker->adopt(*policy_)) throw std::runtime_error("the policy was not adopted");
}

Mac Journey::backend_mac(const Ip& ip) {
  const uint8_t* last = ip.bytes.data() + ip.size() - 4;
  return {0x02, 0x00, last[0], last[1], last[2], last[3]};
}

void Journey::learn_next_hops() {
  auto backends = policy_->image().backends();
  for (uint32_t slot = 0; slot < backends.size(); slot++) {
    const uint8_t* last = backends[slot].ip + 12;
    next_hops_.set(slot, {0x02, 0x00, last[0], last[1], last[2], last[3]});
  }
}

Instant Journey::now() const {
  return {start_ns + clock_ns_, start_unix_s + clock_ns_ / 1'000'000'000};
}

uint64_t Journey::offer(const Bytes& frame, uint32_t worker) {
  fates_.emplace_back();
  fates_.back().number = fates_.size();
  ports_[worker]->push(frame, fates_.size());
  return fates_.size();
}

void Journey::poll_all() {
  for (int round = 0; round < 2; round++)
    for (uint32_t i = 0; i < workers(); i++) poll(i);
  collect();
}

const Fate& Journey::send(const Bytes& frame, uint32_t worker) {
  const uint64_t number = offer(frame, worker);
  poll_all();
  return fate(number);
}

void Journey::see(const Lane& lane, Instant) {
  Fate& fate = fates_.at(lane.frame.number - 1);
  const ImageView& image = policy_->image();
  fate.verdicts++;
  fate.verdict = lane.verdict;
  fate.reason = lane.reason;
  fate.requests_admitted = lane.requests_admitted;
  fate.requests_refused = lane.requests_refused;
  if (lane.service != nullptr) fate.service = image.text(image.services()[lane.service_index].name);
  if (lane.refusing_limit != SG_NONE16)
    fate.limit = image.text(image.limits()[lane.refusing_limit].name);
  if (lane.signature_set != SG_NONE16)
    fate.signature = image.text(image.signatures()[lane.signature_set].name);
  if (lane.backend_slot != SG_NONE16)
    fate.backend = image.text(image.backends()[lane.backend_slot].name);
}

void Journey::collect() {
  for (auto& port : ports_) {
    for (Left& left : port->sent) fates_.at(left.number - 1).sent.push_back(std::move(left.bytes));
    for (Left& left : port->kernel)
      fates_.at(left.number - 1).kernel.push_back(std::move(left.bytes));
    for (Left& left : port->discarded)
      fates_.at(left.number - 1).discarded.push_back(std::move(left.bytes));
    port->forget_what_left();
  }
}

std::string Journey::conservation_fault() const {
  if (!pool_.fault().empty()) return pool_.fault();
  if (pool_.lent() != 0) return fmt::format("{} frames were not given back", pool_.lent());
  for (const Fate& fate : fates_) {
    if (fits(fate)) continue;
    return fmt::format(
        "packet {}: {} verdicts (the last: {}, {}), {} frames sent, {} to the kernel, "
        "{} discarded",
        fate.number, fate.verdicts, fate.verdicts == 0 ? "none" : name_of(fate.verdict),
        fate.verdicts == 0 ? "none" : rules()[fate.reason].name, fate.sent.size(),
        fate.kernel.size(), fate.discarded.size());
  }
  const Totals now = totals();
  const uint64_t in = now.in - before_.in, counted = now.counted - before_.counted;
  const uint64_t out = now.out - before_.out, resets = now.resets - before_.resets;
  uint64_t frames = 0;
  for (const Fate& fate : fates_) frames += fate.sent.size();
  if (in != fates_.size() || counted != in)
    return fmt::format("{} packets in, {} counted as such, {} verdicts", fates_.size(), in,
                       counted);
  if (frames != out)
    return fmt::format("{} frames left, {} counted, {} resets among them", frames, out, resets);
  return {};
}

Journey::Totals Journey::totals() const {
  Totals sum;
  for (const auto& worker : workers_) {
    const Counters& counters = worker->counters();
    sum.in += counters.packets_in;
    sum.out += counters.frames_out;
    sum.resets += counters.resets_out;
    for (size_t i = 0; i < services_max_; i++) sum.counted += sum_of(counters.by_service[i]);
    sum.counted += sum_of(counters.by_service.back());
  }
  return sum;
}

uint32_t Journey::owner_of(const Bytes& frame, uint32_t arrives_at) {
  Frame lent = pool_.lend(frame, 1, {});
  const uint32_t owner = workers_[arrives_at]->owner_of(lent);
  pool_.take_back(lent);
  return owner;
}

void Journey::fill_flow_table() {
  uint64_t hash = 1;
  for (sg_flow& flow : flows()) {
    flow = sg_flow{};
    flow.hash = hash++;  // of nobody: the keyed hash of a tuple is one of these with p = 2^-54
    flow.state = SG_FLOW_ESTABLISHED;
    flow.seen_ticks = flow_ticks(now().monotonic_ns);
    flow.backend_slot = SG_NONE16;
  }
}

uint64_t Journey::total(sg_reason reason) const {
  uint64_t sum = 0;
  for (const auto& worker : workers_)
    for (const ReasonCounts& service : worker->counters().by_service) sum += service[reason];
  return sum;
}

}  // namespace surgegate::testing
