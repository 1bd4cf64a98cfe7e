// SPDX-License-Identifier: BSD-3-Clause
// An HTTP server on the service's address: it writes down every whole request that it reads.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulator/http_reader.h"
#include "tests/simulator/random.h"
#include "tests/simulator/tcp_endpoint.h"

namespace surgegate::simulator {

// What became of one connection at the server.
struct ServerRecord {
  uint16_t client_port = 0;
  std::vector<std::string> requests;  // ids of whole ones
  std::string fault;                  // what no honest client wrote, as the server read it
  bool was_early = false;             // it answered a request before it had all of it
  bool timed_out = false;             // the server ended it, for nothing came any more
};

class Server {
 public:
  Server(Events& events, Random& random, std::function<void(const Segment&)> send)
      : events_(events), random_(random), send_(std::move(send)) {}

  void receive(const Segment& segment);

  std::vector<const ServerRecord*> records() const;
  std::vector<Ended> ends() const;

 private:
  struct Connection {
    explicit Connection(Events& events) : idle(events) {}

    ServerRecord record;
    HttpReader reader;
    std::unique_ptr<TcpEndpoint> tcp;
    Timer idle;
    struct Answer {
      std::string text;
      bool closes;
    };
    std::deque<Answer> answers;  // that are thought about, the first one at the moment
    bool closing = false;        // nothing more is read
    bool is_early = false;       // what is being read was answered already
  };

  Connection& open(uint16_t client_port);
  void read(Connection& c, std::string_view bytes);
  void read_requests(Connection& c);
  void took_head(Connection& c);
  bool read_body(Connection& c);
  void took_request(Connection& c);
  void answer(Connection& c);
  void think(Connection& c);
  void write(Connection& c);
  void wait(Connection& c);

  Events& events_;
  Random& random_;
  std::function<void(const Segment&)> send_;
  std::map<uint16_t, Connection*> by_port_;
  std::vector<std::unique_ptr<Connection>> all_;
};

}  // namespace surgegate::simulator
