// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/client.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/simulator/habits.h"

namespace surgegate::simulator {
namespace {

// curl's patience for `100 Continue`.
constexpr uint64_t continue_ns = 1 * s;

TcpEndpoint::Hooks no_hooks() {
  return {[](const Segment&) {}, [] {}, [](std::string_view) {}, [] {}, [] {}};
}

}  // namespace

ClientPlan some_plan(Random& random, uint16_t port, bool may_be_wrong) {
  ClientPlan plan;
  plan.port = port;
  plan.pipelines = one_in(random, 4);
  plan.in_pieces = one_in(random, 3);
  if (one_in(random, 20)) plan.vanishes_ns = draw(random, 2 * s);
  const uint64_t count = 1 + draw(random, 6);
  for (uint64_t i = 0; i < count; i++) {
    plan.requests.push_back(some_request(random, fmt::format("{}-{}", port, i), may_be_wrong));
    // Who does not wait for answers does not wait for leave either, though it was asked for.
    if (plan.pipelines) plan.requests.back().expects_continue = false;
    if (plan.requests.back().closes) break;
  }
  return plan;
}

Client::Client(Events& events, Random& random, const ClientPlan& plan,
               std::function<void(const Segment&)> send)
    : events_(events), random_(random), plan_(plan), piece_timer_(events), continue_timer_(events) {
  TcpEndpoint::Hooks hooks = no_hooks();
  hooks.send = [this, send = std::move(send)](const Segment& segment) {
    if (!vanished_) send(segment);
  };
  hooks.opened = [this] { opened(); };
  hooks.read = [this](std::string_view bytes) { read(bytes); };
  hooks.read_end = [this] { read_end(); };
  hooks.ended = [this] { done_ = true; };
  tcp_ = std::make_unique<TcpEndpoint>(events, true, plan.port, some_habits_of(random),
                                       std::move(hooks));
}

void Client::begin() {
  if (plan_.vanishes_ns > 0) events_.after(plan_.vanishes_ns, [this] { vanished_ = true; });
  tcp_->connect();
}

void Client::receive(const Segment& segment) {
  if (!vanished_) tcp_->receive(segment);
}

void Client::opened() {
  do ask();
  while (plan_.pipelines && asked_ < plan_.requests.size());
}

void Client::ask() {
  const Request& request = plan_.requests[asked_++];
  write(request.head, plan_.in_pieces);
  if (!request.expects_continue) return write(request.rest, false);
  held_ = request.rest;
  continue_timer_.start(continue_ns, [this] { send_held(); });
}

void Client::send_held() {
  continue_timer_.stop();
  write(std::exchange(held_, ""), false);
}

void Client::write(const std::string& bytes, bool in_pieces) {
  for (size_t at = 0; at < bytes.size();) {
    const size_t most = in_pieces ? 1 + draw(random_, 60) : bytes.size();
    pieces_.push_back(bytes.substr(at, most));
    at += most;
  }
  if (!piece_timer_.runs()) write_some();
}

void Client::write_some() {
  while (!pieces_.empty()) {
    tcp_->write(pieces_.front());
    pieces_.pop_front();
    if (plan_.in_pieces && one_in(random_, 2))
      return piece_timer_.start(draw(random_, 30 * ms), [this] { write_some(); });
  }
}

void Client::read(std::string_view bytes) {
  if (done_ || !fault_.empty()) return;
  reader_.feed(bytes);
  while (!done_ && read_answer()) {
  }
  if (!reader_.fault.empty()) fault_ = reader_.fault;
  // As clients do with what they cannot read.
  if (!fault_.empty()) tcp_->abort();
}

// False: there is no whole one.
bool Client::read_answer() {
  if (!reader_.in_body() && !reader_.read_head()) return false;
  if (answered_ == asked_) {
    fault_ = "an answer that was not asked for: " + reader_.message.start_line;
    return false;
  }
  if (reader_.message.status() == 100) {
    reader_.message_done();
    send_held();
    return true;
  }
  return reader_.message.has("x-answers") ? take_servers() : take_gates();
}

bool Client::take_servers() {
  const Request& request = plan_.requests[answered_];
  const Message& m = reader_.message;
  if (m.field("x-answers") != request.id) {
    fault_ = fmt::format("{} is answered as {}", request.id, m.field("x-answers"));
    return false;
  }
  const size_t bytes = std::stoul(m.field("content-length"));
  if (!request.is_head_method) {
    const bool whole = reader_.read_length(bytes);
    if (!body_of(request.id, bytes).starts_with(m.body))
      fault_ = "another body than " + request.id + "'s";
    if (!whole || !fault_.empty()) return false;
  }
  reader_.message_done();
  answered_++;
  send_held();  // an early answer does not end the request
  if (answered_ == plan_.requests.size())
    finish();
  else if (asked_ == answered_)
    ask();
  return true;
}

// Its end is the connection's: whether it is whole is known when that comes.
bool Client::take_gates() {
  const Message& m = reader_.message;
  refused_with_ = m.status();
  if (refused_with_ < 400 || !m.has("date")) fault_ = "no answer: " + m.start_line;
  if (m.has("content-length") && !plan_.requests[answered_].is_head_method)
    reader_.read_length(std::stoul(m.field("content-length")));
  return false;
}

void Client::read_end() {
  if (done_) return;
  const Message& m = reader_.message;
  if (refused_with_ != 0) {
    const std::string length = m.has("content-length") ? m.field("content-length") : "0";
    const bool has_body = !plan_.requests[answered_].is_head_method && length != "0";
    if (has_body ? m.body.size() != std::stoul(length) : !m.body.empty())
      fault_ = fmt::format("a refusal of {} bytes that has {}", length, m.body.size());
    reader_.message_done();
  }
  if (fault_.empty() && !reader_.is_between()) fault_ = "an answer ends too early";
  finish();
}

void Client::finish() {
  done_ = true;
  piece_timer_.stop();
  continue_timer_.stop();
  pieces_.clear();
  tcp_->close();
}

}  // namespace surgegate::simulator
