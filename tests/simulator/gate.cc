// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/gate.h"

#include <fmt/format.h>

#include "dataplane/path/decide.h"

namespace surgegate::simulator {

// What arrives within 50 us is one burst. A NIC hands a connection to one queue, whoever owns it.
void Gate::receive(const Segment& segment) {
  const uint32_t worker = segment.client_port % journey_.workers();
  const uint64_t number = journey_.offer(frame_of(segment, addresses_), worker);
  if (waiting_.empty()) events_.after(draw(random_, 50 * us), [this] { poll(); });
  waiting_.push_back({number, segment.client_port, trace ? to_text(segment) : ""});
}

void Gate::poll() {
  journey_.at(events_.now_ns());
  // A poll takes so many packets at most.
  for (const Offered& offered : waiting_)
    while (journey_.fate(offered.number).verdicts == 0) journey_.poll_all();
  for (const Offered& offered : std::exchange(waiting_, {})) take(offered);
}

void Gate::take(const Offered& offered) {
  const testing::Fate& fate = journey_.fate(offered.number);
  GateRecord& record = records_[offered.client_port];
  record.admitted += fate.requests_admitted;
  record.refused += fate.requests_refused;
  const bool is_answered = fate.verdict == SG_VERDICT_answered;
  record.answered |= is_answered && fate.requests_refused > 0;
  if (trace) trace(fmt::format("{} {}", offered.text, rules()[fate.reason].name));
  for (const Bytes& frame : fate.sent) forward(frame);
}

void Gate::forward(const Bytes& frame) {
  const std::optional<Segment> segment = segment_in(frame, addresses_);
  if (!segment) {
    fault_ = "no segment of this service left the gate:\n" + testing::describe(frame);
    return;
  }
  if (trace) trace("      " + to_text(*segment));
  send_(*segment);
}

}  // namespace surgegate::simulator
