// SPDX-License-Identifier: BSD-3-Clause
// The gate in the middle: what clients send goes through the journey, in bursts, and what leaves it
// to the service or back. And what the gate says of it all, by connection.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/simulator/events.h"
#include "tests/simulator/random.h"
#include "tests/simulator/segment.h"
#include "tests/support/journey.h"

namespace surgegate::simulator {

// What was decided about one connection's requests, which are judged in order.
struct GateRecord {
  uint64_t admitted = 0;
  uint64_t refused = 0;   // in silence, or with an answer
  bool answered = false;  // .. with one: the request with the number `admitted`
};

class Gate {
 public:
  Gate(Events& events, Random& random, std::shared_ptr<const PolicyInForce> policy,
       const Addresses& addresses, std::function<void(const Segment&)> send)
      : events_(events),
        random_(random),
        journey_(std::move(policy), {.workers = 2}),
        addresses_(addresses),
        send_(std::move(send)) {}

  void receive(const Segment& segment);

  const GateRecord& record(uint16_t client_port) { return records_[client_port]; }
  std::string fault() const { return fault_.empty() ? journey_.conservation_fault() : fault_; }
  // A line for each packet and what became of it.
  std::function<void(const std::string&)> trace;

 private:
  struct Offered {
    uint64_t number;
    uint16_t client_port;
    std::string text;
  };

  void poll();
  void take(const Offered& offered);
  void forward(const Bytes& frame);

  Events& events_;
  Random& random_;
  testing::Journey journey_;
  Addresses addresses_;
  std::function<void(const Segment&)> send_;
  std::vector<Offered> waiting_;
  std::map<uint16_t, GateRecord> records_;
  std::string fault_;
};

}  // namespace surgegate::simulator
