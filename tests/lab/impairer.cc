// SPDX-License-Identifier: BSD-3-Clause
// A bad path between two interfaces, for impaired_live_test.py: what arrives at one leaves by the
// other, and what each TCP connection meets on the way is impairment.h's. All else passes as it is.
// Ends with SIGTERM, and then prints as JSON what was done.
//
//     impairer SEED CLIENT_DEVICE GATE_DEVICE GATE_MAC
//
// A connection's client port says what the path is like: odd, hostile; 2 modulo 4, it loses the
// gate's first answer.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "tests/lab/impairment.h"

namespace {

using namespace surgegate;
using namespace surgegate::lab;
using Clock = std::chrono::steady_clock;

constexpr size_t delayed_max = 4096;
constexpr uint16_t server_port = 80;

volatile std::sig_atomic_t stopping = 0;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(2);
}

// Everything that arrives at a device, whoever it is for.
class Port {
 public:
  explicit Port(const char* device) : fd_(socket(AF_PACKET, SOCK_RAW, 0)) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(device));
    packet_mreq all{address.sll_ifindex, PACKET_MR_PROMISC, 0, {}};
    const int buffer_bytes = 1 << 24;
    if (fd_ < 0 || address.sll_ifindex == 0 ||
        setsockopt(fd_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0 ||
        setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) != 0 ||
        bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      fail(device);
  }

  int fd() const { return fd_; }

  // Bytes of a frame that arrived; 0: there is none.
  size_t receive(std::span<uint8_t> to) const {
    sockaddr_ll from{};
    socklen_t from_bytes = sizeof from;
    while (true) {
      const ssize_t bytes = recvfrom(fd_, to.data(), to.size(), MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&from), &from_bytes);
      if (bytes <= 0) return 0;
      if (from.sll_pkttype != PACKET_OUTGOING) return static_cast<size_t>(bytes);
    }
  }

  // A queue that is full loses the frame, as any other's would.
  void send(const Bytes& frame) const { (void)::send(fd_, frame.data(), frame.size(), 0); }

 private:
  int fd_;
};

class Impairer {
 public:
  Impairer(uint64_t seed, Port& client, Port& gate, testing::Mac gate_mac)
      : seed_(seed), client_(client), gate_(gate), gate_mac_(gate_mac) {}

  void run() {
    while (stopping == 0) {
      std::array<pollfd, 2> ready = {{{client_.fd(), POLLIN, 0}, {gate_.fd(), POLLIN, 0}}};
      poll(ready.data(), ready.size(), wait_ms());
      forward(client_, gate_);
      forward(gate_, client_);
      send_due();
    }
  }

  const Account& account() const { return account_; }

 private:
  static constexpr int frames_at_once = 64;

  int wait_ms() const {
    if (delayed_.empty()) return 100;
    const auto left = delayed_.begin()->first - Clock::now();
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::max<int64_t>(0, ms));
  }

  void forward(Port& from, Port& to) {
    std::array<uint8_t, 2048> bytes;
    for (int i = 0; i < frames_at_once; i++) {
      const size_t size = from.receive(bytes);
      if (size == 0) return;
      const std::optional<TcpFrame> tcp = read_tcp(bytes.data(), size);
      const bool is_request = tcp && &from == &client_ && tcp->dst_port() == server_port;
      const bool is_reply = tcp && &from == &gate_ && tcp->src_port() == server_port;
      if (is_request)
        send(to, of(*tcp, true).to_gate(*tcp));
      else if (is_reply)
        send(to, of(*tcp, false).to_client(*tcp, is_the_gates(*tcp)));
      else
        to.send({bytes.data(), bytes.data() + size});
    }
  }

  bool is_the_gates(const TcpFrame& frame) const {
    return std::equal(gate_mac_.begin(), gate_mac_.end(), frame.head.begin() + 6);
  }

  // The client's ports are each used once.
  Impairment& of(const TcpFrame& frame, bool is_request) {
    const uint16_t port = is_request ? frame.src_port() : frame.dst_port();
    const Traits traits{.is_hostile = port % 2 == 1, .loses_answer = port % 4 == 2};
    return by_port_.try_emplace(port, seed_ << 16 | port, traits, account_).first->second;
  }

  void send(Port& to, std::vector<Outgoing> all) {
    for (Outgoing& one : all) {
      const bool has_room = delayed_.size() < delayed_max;
      if (one.delay_us > 0 && !has_room) account_.queue_full++;
      if (one.delay_us == 0 || !has_room)
        to.send(one.frame);
      else
        delayed_.emplace(Clock::now() + std::chrono::microseconds(one.delay_us),
                         std::pair(&to, std::move(one.frame)));
    }
  }

  void send_due() {
    while (!delayed_.empty() && delayed_.begin()->first <= Clock::now()) {
      const auto& [to, frame] = delayed_.begin()->second;
      to->send(frame);
      delayed_.erase(delayed_.begin());
    }
  }

  uint64_t seed_;
  Port &client_, &gate_;
  testing::Mac gate_mac_;
  Account account_;
  std::map<uint16_t, Impairment> by_port_;
  std::multimap<Clock::time_point, std::pair<Port*, Bytes>> delayed_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  struct sigaction action {};
  action.sa_handler = [](int) { stopping = 1; };  // without SA_RESTART: poll returns
  sigaction(SIGTERM, &action, nullptr);
  Port client(argv[2]), gate(argv[3]);
  Impairer impairer(std::strtoull(argv[1], nullptr, 0), client, gate, testing::mac(argv[4]));
  fmt::print(stderr, "impairer: between {} and {}\n", argv[2], argv[3]);
  impairer.run();
  const Account& account = impairer.account();
  const nlohmann::ordered_json told = {{"frames", account.frames},
                                       {"lost", account.lost},
                                       {"delayed", account.delayed},
                                       {"doubled", account.doubled},
                                       {"cut", account.cut},
                                       {"joined", account.joined},
                                       {"overlaps", account.overlaps},
                                       {"differing", account.differing},
                                       {"answers_lost", account.answers_lost},
                                       {"queue_full", account.queue_full}};
  fmt::print("{}\n", told.dump());
  return 0;
}
