// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/server.h"

#include <fmt/format.h>

#include "tests/simulator/habits.h"
#include "tests/simulator/requests.h"

namespace surgegate::simulator {

constexpr uint64_t idle_ns = 75 * s;  // nginx's keepalive_timeout

void Server::receive(const Segment& segment) {
  auto found = by_port_.find(segment.client_port);
  const bool is_known = found != by_port_.end();
  const bool opens = segment.flags == testing::syn;
  if (opens && (!is_known || found->second->tcp->ended() != Ended::no))
    return open(segment.client_port).tcp->receive(segment);
  if (is_known) return found->second->tcp->receive(segment);
  if (const std::optional<Segment> refusal = TcpEndpoint::refusal_of(segment)) send_(*refusal);
}

Server::Connection& Server::open(uint16_t client_port) {
  all_.push_back(std::make_unique<Connection>(events_));
  Connection& c = *all_.back();
  by_port_[client_port] = &c;
  c.record.client_port = client_port;
  TcpEndpoint::Hooks hooks;
  hooks.send = send_;
  hooks.opened = [this, &c] { wait(c); };
  hooks.read = [this, &c](std::string_view bytes) { read(c, bytes); };
  hooks.read_end = [&c] {
    // What is under way is answered first: a client may close its half and read on.
    c.closing = true;
    if (c.answers.empty())
      c.tcp->close();
    else
      c.answers.back().closes = true;
  };
  hooks.ended = [&c] { c.idle.stop(); };
  c.tcp = std::make_unique<TcpEndpoint>(events_, false, client_port, some_habits_of(random_),
                                        std::move(hooks));
  return c;
}

void Server::wait(Connection& c) {
  c.idle.start(idle_ns, [this, &c] {
    if (!c.answers.empty()) return wait(c);
    c.record.timed_out = true;
    c.closing = true;
    c.tcp->close();
  });
}

void Server::read(Connection& c, std::string_view bytes) {
  if (c.closing) return;
  wait(c);
  c.reader.feed(bytes);
  read_requests(c);
}

void Server::read_requests(Connection& c) {
  while (!c.closing && c.reader.fault.empty()) {
    if (!c.reader.in_body()) {
      if (!c.reader.read_head()) break;
      took_head(c);
    }
    if (!read_body(c)) break;
    took_request(c);
  }
  if (!c.reader.fault.empty()) c.record.fault = c.reader.fault;
}

void Server::took_head(Connection& c) {
  const Message& m = c.reader.message;
  if (m.field("user-agent") == "BadBot") c.record.fault = "a robot's request";
  // Some answer as soon as they have the head, and read the body all the same.
  c.is_early = m.has("content-length") && one_in(random_, 8);
  if (c.is_early) c.record.was_early = true;
  if (c.is_early) return answer(c);
  if (m.has("expect") && c.answers.empty()) c.tcp->write("HTTP/1.1 100 Continue\r\n\r\n");
}

bool Server::read_body(Connection& c) {
  const Message& m = c.reader.message;
  if (m.has("transfer-encoding")) return c.reader.read_chunks();
  return !m.has("content-length") || c.reader.read_length(std::stoul(m.field("content-length")));
}

void Server::took_request(Connection& c) {
  const Message& m = c.reader.message;
  const std::string id = m.field("x-id");
  if (m.body != body_of(id, m.body.size())) c.record.fault = "the body is not " + id + "'s";
  c.record.requests.push_back(id);
  c.reader.message_done();
  c.closing = m.field("connection") == "close";
  if (!c.is_early) answer(c);
}

void Server::answer(Connection& c) {
  const Message& m = c.reader.message;
  const std::string id = m.field("x-id");
  const bool closes = m.field("connection") == "close";
  const size_t bytes = one_in(random_, 4) ? draw(random_, 200'000)
                                          : draw(random_, one_in(random_, 4) ? 20'000 : 300);
  const std::string body = body_of(id, bytes);
  std::string text = fmt::format("HTTP/1.1 200 OK\r\nX-Answers: {}\r\nContent-Length: {}\r\n{}\r\n",
                                 id, bytes, closes ? "Connection: close\r\n" : "");
  if (m.start_line.rfind("HEAD ", 0) != 0) text += body;
  c.answers.push_back({text, closes});
  if (c.answers.size() == 1) think(c);
}

// Answers keep their order, however long each takes: the next one is thought about when the one
// before it is written.
void Server::think(Connection& c) {
  const uint64_t longest_ns = one_in(random_, 10) ? 5 * s : 100 * ms;
  events_.after(draw(random_, longest_ns), [this, &c] { write(c); });
}

// At once, or bit by bit.
void Server::write(Connection& c) {
  Connection::Answer& answer = c.answers.front();
  const bool is_whole = answer.text.empty() || !one_in(random_, 3);
  const size_t bytes = is_whole ? answer.text.size() : draw(random_, answer.text.size());
  c.tcp->write(answer.text.substr(0, bytes));
  answer.text.erase(0, bytes);
  if (!answer.text.empty()) {
    events_.after(draw(random_, 500 * ms), [this, &c] { write(c); });
    return;
  }
  if (answer.closes) c.tcp->close();
  c.answers.pop_front();
  if (!c.answers.empty()) think(c);
}

std::vector<const ServerRecord*> Server::records() const {
  std::vector<const ServerRecord*> records;
  for (const auto& c : all_) records.push_back(&c->record);
  return records;
}

std::vector<Ended> Server::ends() const {
  std::vector<Ended> ends;
  for (const auto& c : all_) ends.push_back(c->tcp->ended());
  return ends;
}

}  // namespace surgegate::simulator
