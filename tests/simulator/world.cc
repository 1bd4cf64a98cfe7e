// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/simulator/policies.h"

namespace surgegate::simulator {
namespace {

// A client's TCP sends a segment fifteen times again, the last after eleven minutes; and there are
// two that may be the unlucky one in a row: its SYN, and a request.
constexpr uint64_t patience_ns = 1'800 * s;

// Of 1,000 packets, in every direction.
uint32_t some_loss(Random& random) {
  static constexpr uint32_t most[] = {1, 1, 30, 150};
  return static_cast<uint32_t>(draw(random, most[draw(random, 4)]));
}

Addresses some_addresses(Random& random) {
  if (one_in(random, 2)) return {testing::ip("192.0.2.1"), testing::ip("198.51.100.10")};
  return {testing::ip("2001:db8:1::1"), testing::ip("2001:db8::10")};
}

}  // namespace

World::World(uint64_t seed, std::function<void(const std::string&)> trace)
    : random_(seed),
      policy_(draw(random_, policies().size())),
      addresses_(some_addresses(random_)),
      up_(events_, random_, some_faults(random_, some_loss(random_))),
      on_(events_, random_, some_faults(random_, some_loss(random_))),
      back_(events_, random_, some_faults(random_, some_loss(random_))),
      direct_(events_, random_, some_faults(random_, some_loss(random_))),
      trace_(std::move(trace)) {
  gate_ = std::make_unique<Gate>(events_, random_, policies()[policy_].policy, addresses_,
                                 [this](const Segment& segment) {
                                   if (segment.to_service)
                                     on_.carry([this, segment] { server_->receive(segment); });
                                   else
                                     back_.carry([this, segment] { to_client(segment); });
                                 });
  server_ = std::make_unique<Server>(events_, random_, [this](const Segment& segment) {
    direct_.carry([this, segment] { to_client(segment); });
  });
  if (trace_)
    gate_->trace = [this](const std::string& line) {
      trace_(fmt::format("{:12.6f} {}", static_cast<double>(events_.now_ns()) / 1e9, line));
    };
  const auto count = static_cast<uint16_t>(1 + draw(random_, 4));
  const auto first_port = static_cast<uint16_t>(1'024 + draw(random_, 60'000));
  for (uint16_t i = 0; i < count; i++) add_client(static_cast<uint16_t>(first_port + i));
}

void World::add_client(uint16_t port) {
  const bool may_be_wrong = one_in(random_, 2);
  clients_.push_back(std::make_unique<Client>(
      events_, random_, some_plan(random_, port, may_be_wrong),
      [this](const Segment& segment) { up_.carry([this, segment] { gate_->receive(segment); }); }));
  const uint64_t begins_ns = draw(random_, 3 * s);
  began_ns_.push_back(begins_ns);
  done_ns_.push_back(0);
  events_.after(begins_ns, [client = clients_.back().get()] { client->begin(); });
}

void World::to_client(const Segment& segment) {
  if (trace_)
    trace_(fmt::format("{:12.6f} client gets {}", static_cast<double>(events_.now_ns()) / 1e9,
                       to_text(segment)));
  for (auto& client : clients_)
    if (client->plan().port == segment.client_port) client->receive(segment);
}

void World::run() {
  while (events_.step())
    for (size_t i = 0; i < clients_.size(); i++)
      if (done_ns_[i] == 0 && clients_[i]->is_done()) done_ns_[i] = events_.now_ns();
}

// Nothing was lost, and what the gate sent on came as it was sent.
bool World::is_in_order() const {
  return tally().lost == 0 && !on_.reorders();
}

// Who asks on before he is answered may get a refusal in the middle of an answer, where the gate
// never saw both requests at once, for one of them was lost, or late on its way or in its stack:
// docs/threat-model.md, "an answer within an answer". What he reads is then no answer; but he does
// not wait for one.
bool World::is_beyond_sight(const Client& client) const {
  const bool is_late = up_.lost() > 0 || up_.reorders() || client.may_ask_late();
  return client.plan().pipelines && is_late && gate_->record(client.plan().port).answered;
}

// A request that is dropped without a word ends so. And where a server answers before it has a
// whole body, its client's acknowledgement of that is no sign that it has: what of the body was
// lost behind the gate is old_data there, once the next request has been judged.
bool World::may_give_up(const Client& client) const {
  const uint16_t port = client.plan().port;
  if (policies()[policy_].drops && gate_->record(port).refused > 0) return true;
  if (on_.lost() == 0 && !on_.reorders()) return false;
  const std::vector<const ServerRecord*> all = server_->records();
  return std::any_of(all.begin(), all.end(), [port](const ServerRecord* record) {
    return record->client_port == port && record->was_early;
  });
}

std::string World::fault() const {
  if (std::string fault = gate_->fault(); !fault.empty()) return fault;
  for (size_t i = 0; i < clients_.size(); i++) {
    const Client& client = *clients_[i];
    std::string fault = fault_of(client);
    if (!client.has_vanished() && done_ns_[i] > began_ns_[i] + patience_ns)
      fault = "it took longer than any patience lasts";
    if (!fault.empty()) return fmt::format("client {}: {}", client.plan().port, fault);
  }
  return fault_of_server();
}

std::string World::fault_of(const Client& client) const {
  const bool may_be_wrong = is_beyond_sight(client);
  if (!client.fault().empty() && !may_be_wrong) return client.fault();
  if (client.has_vanished()) return {};
  if (!client.is_done() || client.ended() == Ended::no)
    return fmt::format("hangs, with {} of {} answered", client.answered(),
                       client.plan().requests.size());
  const GateRecord& gate = gate_->record(client.plan().port);
  if (client.ended() == Ended::gave_up && !may_give_up(client)) return "its TCP gave up";
  if (client.refused_with() != 0 && !gate.answered) return "it has an answer that nobody gave";
  if (client.refused_with() != 0 && client.answered() != gate.admitted && !may_be_wrong)
    return fmt::format("it takes the refusal of request {} for that of {}", gate.admitted,
                       client.answered());
  return {};
}

std::string World::fault_of_server() const {
  for (const ServerRecord* record : server_->records()) {
    if (std::string fault = fault_of(*record); !fault.empty())
      return fmt::format("the server's end of {}: {}", record->client_port, fault);
  }
  const std::vector<Ended> ends = server_->ends();
  return std::count(ends.begin(), ends.end(), Ended::no) > 0 ? "the server keeps a connection" : "";
}

// Of each connection it saw what was admitted, in order, each once, and nothing that is wrong.
std::string World::fault_of(const ServerRecord& record) const {
  if (!record.fault.empty()) return "it read " + record.fault;
  auto is_its = [&](const auto& client) { return client->plan().port == record.client_port; };
  const Client& client = **std::find_if(clients_.begin(), clients_.end(), is_its);
  const std::vector<Request>& plan = client.plan().requests;
  const GateRecord& gate = gate_->record(record.client_port);
  if (record.requests.size() > gate.admitted)
    return fmt::format("it saw {} requests, and {} were admitted", record.requests.size(),
                       gate.admitted);
  for (size_t i = 0; i < record.requests.size(); i++) {
    if (i >= plan.size() || plan[i].id != record.requests[i])
      return fmt::format("its request {} is {}", i, record.requests[i]);
    if (plan[i].wrong != Wrong::nothing) return "it saw a wrong request whole: " + plan[i].id;
  }
  const bool may_wait = client.has_vanished() || policies()[policy_].drops;
  if (record.timed_out && is_in_order() && !may_wait) return "it had to wait for its own timeout";
  return {};
}

World::Tally World::tally() const {
  Tally tally;
  tally.runs = 1;
  for (const auto& client : clients_) {
    tally.answered += client->answered();
    tally.excused += !client->fault().empty() && is_beyond_sight(*client) ? 1 : 0;
    tally.refused += client->refused_with() != 0 ? 1 : 0;
    tally.reset += client->ended() == Ended::reset ? 1 : 0;
  }
  tally.lost = up_.lost() + on_.lost() + back_.lost() + direct_.lost();
  return tally;
}

}  // namespace surgegate::simulator
