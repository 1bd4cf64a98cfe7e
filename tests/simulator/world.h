// SPDX-License-Identifier: BSD-3-Clause
// Clients, a gate and a server, with four links between them, all of it from one seed:
//
//   client --up--> gate --on--> server
//      ^            |              |
//      +---back-----+              |
//      +-----------direct----------+
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/simulator/client.h"
#include "tests/simulator/gate.h"
#include "tests/simulator/link.h"
#include "tests/simulator/server.h"

namespace surgegate::simulator {

class World {
 public:
  explicit World(uint64_t seed, std::function<void(const std::string&)> trace = {});

  void run();

  // Empty, or what must not be, in words.
  std::string fault() const;

  // That runs are what they should be: something is answered, refused, and reset.
  struct Tally {
    uint64_t runs = 0, answered = 0, refused = 0, reset = 0, lost = 0;
    uint64_t excused = 0;  // clients that could not read what they got, and may not have

    void operator+=(const Tally& more) {
      runs += more.runs;
      answered += more.answered;
      refused += more.refused;
      reset += more.reset;
      lost += more.lost;
      excused += more.excused;
    }
  };
  Tally tally() const;

 private:
  void add_client(uint16_t port);
  void to_client(const Segment& segment);
  std::string fault_of(const Client& client) const;
  std::string fault_of_server() const;
  std::string fault_of(const ServerRecord& record) const;
  bool is_in_order() const;
  bool may_give_up(const Client& client) const;
  bool is_beyond_sight(const Client& client) const;

  Random random_;
  size_t policy_;
  Addresses addresses_;
  Events events_;
  Link up_, on_, back_, direct_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<uint64_t> began_ns_, done_ns_;  // of each client; 0: not yet
  std::function<void(const std::string&)> trace_;
};

}  // namespace surgegate::simulator
