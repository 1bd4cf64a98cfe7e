// SPDX-License-Identifier: BSD-3-Clause
// An HTTP client: one connection, some requests, and what it made of each answer.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulator/http_reader.h"
#include "tests/simulator/requests.h"
#include "tests/simulator/tcp_endpoint.h"

namespace surgegate::simulator {

struct ClientPlan {
  uint16_t port = 0;
  std::vector<Request> requests;
  bool pipelines = false;    // does not wait for an answer before it asks again
  bool in_pieces = false;    // writes heads a few bytes at a time
  uint64_t vanishes_ns = 0;  // it is switched off so long after it began; 0: never
};

ClientPlan some_plan(Random& random, uint16_t port, bool may_be_wrong);

class Client {
 public:
  Client(Events& events, Random& random, const ClientPlan& plan,
         std::function<void(const Segment&)> send);

  void begin();
  void receive(const Segment& segment);

  const ClientPlan& plan() const { return plan_; }
  bool has_vanished() const { return vanished_; }
  // Every request was answered, or the connection visibly ended.
  bool is_done() const { return done_; }
  Ended ended() const { return tcp_->ended(); }
  size_t answered() const { return answered_; }       // by the server
  int refused_with() const { return refused_with_; }  // the status of the gate's answer; 0: none
  // A request may have gone out long after the one before it, though not for its answer.
  bool may_ask_late() const { return plan_.pipelines && (plan_.in_pieces || tcp_->held_back()); }
  const std::string& fault() const { return fault_; }  // what no answer may be

 private:
  void opened();
  void ask();
  void send_held();
  void write(const std::string& bytes, bool in_pieces);
  void write_some();
  void read(std::string_view bytes);
  bool read_answer();
  bool take_servers();
  bool take_gates();
  void read_end();
  void finish();

  Events& events_;
  Random& random_;
  ClientPlan plan_;
  HttpReader reader_;
  std::deque<std::string> pieces_;  // to be written one after the other
  std::string held_;                // a body that waits for 100
  Timer piece_timer_, continue_timer_;
  size_t asked_ = 0, answered_ = 0;
  int refused_with_ = 0;
  bool done_ = false, vanished_ = false;
  std::string fault_;
  std::unique_ptr<TcpEndpoint> tcp_;
};

}  // namespace surgegate::simulator
