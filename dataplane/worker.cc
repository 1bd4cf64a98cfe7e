// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.h"

#include <algorithm>

#include "dataplane/path/classify.h"
#include "dataplane/path/decide.h"
#include "dataplane/path/parse.h"
#include "dataplane/path/segment.h"

namespace surgegate {

Worker::Worker(uint32_t index, const Tables& tables, Port& port, Rings* rings, Observer* observer)
    : index_(index),
      tables_(tables),
      port_(port),
      rings_(rings),
      observer_(observer),
      flows_(tables.flows),
      heads_(tables.kept_heads_max),
      policer_(tables.buckets, tables.secret, counters_),
      inspector_(counters_),
      burst_(std::make_unique<Burst>()) {}

bool Worker::adopt(const PolicyInForce& policy) {
  if (!inspector_.adopt(policy)) return false;
  policy_ = &policy;
  return true;
}

uint32_t Worker::poll(Instant now) {
  burst_->now = now;
  uint32_t handled = receive();
  hand_over();
  journey();
  handled += receive_crossed();
  journey();
  return handled;
}

// The journey. Up to classify nothing changes anything; from track to balance a packet must see
// what the one before it did to their flow, so that the burst is judged part by part.
void Worker::journey() {
  if (burst_->count == 0) return;
  classify(burst_->all(), *policy_, counters_.lists);
  judge();
  transmit();
  account();
  burst_->count = 0;
}

void Worker::judge() {
  Tracker tracker({flows_, heads_, tables_.secret}, *policy_, burst_->now, counters_.track);
  Responder responder(*policy_, port_, burst_->now, date_, counters_.respond);
  Balancer balancer(*policy_, tables_.next_hops, tables_.tunnel_source, counters_.balance);
  for (const Lane& lane : burst_->all())
    if (lane.service != nullptr) flows_.prefetch(lane.flow_hash);
  for (std::span<Lane> left = burst_->all(); !left.empty();) {
    Part part = tracker.take(left);
    policer_.police(part, *policy_, burst_->now);
    inspector_.inspect(part, *policy_);
    for (Lane& lane : part) decide(lane);
    policer_.charge_answers(part, burst_->now);
    responder.respond(part);
    tracker.settle(part);
    // A lane that has more is judged again. The others go while their flows' entries are theirs:
    // the next part may give one up, or to another flow.
    const size_t judged = part.size() - (part.back().has_more ? 1 : 0);
    balancer.balance(part.first(judged));
    left = left.subspan(judged);
  }
}

uint32_t Worker::receive() {
  Frame frames[SG_BURST_PACKETS_MAX];
  uint32_t count = port_.receive(frames);
  for (uint32_t i = 0; i < count; i++) burst_->lanes[burst_->count++].take(frames[i]);
  counters_.packets_in += count;
  parse(burst_->all(), tables_.secret);
  return count;
}

uint32_t Worker::receive_crossed() {
  if (rings_ == nullptr) return 0;
  Frame frames[SG_BURST_PACKETS_MAX];
  uint32_t count = rings_->pop(index_, frames);
  for (uint32_t i = 0; i < count; i++) burst_->lanes[burst_->count++].take(frames[i]);
  parse(burst_->all(), tables_.secret);
  return count;
}

// A flow has one owner. What arrived here and is another's crosses to him; what does not fit into
// his ring is dropped here, by name.
void Worker::hand_over() {
  if (rings_ == nullptr) return;
  uint32_t kept = 0;
  for (Lane& lane : burst_->all()) {
    uint32_t owner = tables_.shard_owner[sg_flow_shard(lane.flow_hash)];
    bool crosses = lane.packet.ports_read && owner != index_;
    if (crosses && rings_->push(index_, owner, lane.frame)) {
      counters_.packets_crossed++;
      continue;
    }
    if (crosses) lane.found |= SG_FOUND(ring_full);
    if (&lane != &burst_->lanes[kept]) burst_->lanes[kept] = lane;
    kept++;
  }
  burst_->count = kept;
}

uint32_t Worker::owner_of(const Frame& frame) const {
  sg_packet packet;
  sg_read_frame(frame.bytes, frame.bytes + frame.length, &packet);
  if (!packet.ports_read) return index_;
  return tables_.shard_owner[sg_flow_shard(sg_flow_hash(&tables_.secret, &packet.tuple))];
}

// Frames leave in the order in which their packets came. What the port does not take is dropped.
void Worker::transmit() {
  Frame out[2 * SG_BURST_PACKETS_MAX];
  Lane* lane_of[2 * SG_BURST_PACKETS_MAX];
  Frame kernel[SG_BURST_PACKETS_MAX];
  Frame drop[2 * SG_BURST_PACKETS_MAX];
  uint32_t outs = 0, kernels = 0, drops = 0;
  for (Lane& lane : burst_->all()) {
    bool leaves = lane.verdict == SG_VERDICT_forwarded || lane.verdict == SG_VERDICT_answered;
    if (leaves) {
      lane_of[outs] = &lane;
      out[outs++] = lane.frame;
    } else if (lane.verdict == SG_VERDICT_to_kernel) {
      kernel[kernels++] = lane.frame;
    } else {
      drop[drops++] = lane.frame;
    }
    if (lane.extra.bytes == nullptr) continue;
    if (lane.extra.length == 0) {
      drop[drops++] = lane.extra;
      continue;
    }
    lane_of[outs] = nullptr;
    out[outs++] = lane.extra;
  }
  uint32_t sent = port_.transmit({out, outs});
  counters_.frames_out += sent;
  counters_.resets_out += static_cast<uint64_t>(std::count(lane_of, lane_of + sent, nullptr));
  for (uint32_t i = sent; i < outs; i++) {
    drop[drops++] = out[i];
    if (lane_of[i] == nullptr) continue;
    lane_of[i]->reason = SG_REASON_tx_full;
    lane_of[i]->verdict = SG_VERDICT_dropped;
  }
  if (kernels > 0) port_.to_kernel({kernel, kernels});
  if (drops > 0) port_.discard({drop, drops});
}

void Worker::account() {
  for (const Lane& lane : burst_->all()) {
    size_t service = lane.service == nullptr ? SG_SERVICES_MAX : lane.service_index;
    counters_.by_service[service][lane.reason]++;
    if (lane.verdict == SG_VERDICT_forwarded && lane.backend_slot != SG_NONE16) {
      BackendCounts& backend = counters_.backends[lane.backend_slot];
      backend.packets++;
      backend.bytes += lane.frame.length;
      backend.connections += lane.opens ? 1 : 0;
    }
    if (observer_ != nullptr) observer_->see(lane, burst_->now);
  }
}

}  // namespace surgegate
