// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/packet_script.h"

#include <array>
#include <map>
#include <utility>

namespace surgegate::testing {
namespace {

constexpr size_t packets_max = 256;  // of an input: longer ones find nothing that these do not
constexpr size_t frame_bytes_max = 2048;

// One byte after the other; 0 behind the end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

  bool empty() const { return at_ == end_; }
  uint8_t byte() { return empty() ? 0 : *at_++; }
  Bytes text() {
    Bytes text;
    while (!empty() && text.size() < frame_bytes_max) {
      const uint8_t c = byte();
      if (c == '\\' && byte() != '\\') break;
      text.push_back(c);
    }
    return text;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

// What the client of a connection knows.
struct Client {
  uint32_t next_seq = 0, ack_seq = 0;
};

// Up to 100 bytes aside as they are; beyond that, far away: 2^25 bytes each, up to 27 * 2^25.
uint32_t distance(uint8_t byte) {
  const auto near = static_cast<int8_t>(byte);
  const int32_t far = near > 100 ? near - 100 : near < -100 ? near + 100 : 0;
  return static_cast<uint32_t>(far != 0 ? far * (1 << 25) : near);
}

FrameFields addressed(uint8_t connection) {
  static const std::array<std::array<const char*, 2>, 4> sources = {
      {{"192.0.2.10", "2001:db8:c::10"},
       {"192.0.2.20", "2001:db8:d::20"},
       {"203.0.113.200", "2001:db8:cd::200"},  // the proxy
       {"203.0.113.7", "2001:db8:0ff1::7"}}};  // the office
  static const std::array<std::array<const char*, 2>, 4> services = {
      {{"198.51.100.10", "2001:db8::10"},
       {"198.51.100.11", "2001:db8::11"},
       {"198.51.100.10", "2001:db8::10"},
       {"198.51.100.53", "2001:db8::53"}}};
  static constexpr std::array<uint16_t, 4> ports = {80, 80, 25, 53};
  const size_t family = connection >> 2 & 1, service = connection >> 3 & 3;
  FrameFields f;
  f.dst_mac = mac("02:00:00:00:00:10");
  f.src_mac = mac("06:00:00:00:00:01");
  f.src = ip(sources[connection & 3][family]);
  f.dst = ip(services[service][family]);
  f.src_port = static_cast<uint16_t>(2000 + (connection >> 5));
  f.dst_port = ports[service];
  if (service == 3) f.proto = proto_udp;
  return f;
}

void add_extras(FrameFields& f, uint8_t extras) {
  if (extras & 1) f.timestamps = Timestamps{7000, 9000};
  if (extras & 2) f.tags = {{0x8100, 100}};
  if (extras & 4) f.tags.insert(f.tags.begin(), {0x88a8, 7});
  if (extras & 8) f.ip4_options = {1, 1, 1, 0}, f.extensions = {Extension::options(0)};
  if (extras & 16) f.dscp_ecn = 0xbb;  // congestion was experienced
  if (f.tcp_flags & syn) f.mss = extras & 32 ? 100 : 1460;
  if (extras & 64) f.padding = 6;
}

Bytes take_segment(Input& in, std::map<uint8_t, Client>& clients) {
  const uint8_t connection = in.byte();
  FrameFields f = addressed(connection);
  const uint32_t first = connection & 1 ? 0xfffffff0 : 1'000'000;  // sequence numbers come round
  Client& client = clients.try_emplace(connection, Client{first, 5'000'000}).first->second;
  f.tcp_flags = in.byte();
  if (f.tcp_flags & syn) client.next_seq = first;
  f.seq = client.next_seq + distance(in.byte());
  f.ack_seq = client.ack_seq += in.byte();
  const uint8_t extras = in.byte();
  add_extras(f, extras);
  f.payload = in.text();
  if (extras & 128) f.payload.resize(1300, 'x');
  const auto length = static_cast<uint32_t>(f.payload.size());
  const uint32_t end = f.seq + (f.tcp_flags & syn ? 1 : length + (f.tcp_flags & fin));
  if (static_cast<int32_t>(end - client.next_seq) > 0) client.next_seq = end;
  return build(f);
}

void put16(Bytes& in, size_t at, size_t value) {
  in[at] = static_cast<uint8_t>(value >> 8);
  in[at + 1] = static_cast<uint8_t>(value);
}

// Makes the sum over [from, end) of the frame, and over what stands before it in `sum`, right.
void mend_sum(Bytes& frame, size_t at, size_t from, size_t end, Bytes sum) {
  if (at + 2 > end) return;
  put16(frame, at, 0);
  sum.insert(sum.end(), frame.begin() + static_cast<ptrdiff_t>(from),
             frame.begin() + static_cast<ptrdiff_t>(end));
  put16(frame, at, internet_checksum(sum));
}

// what: 1 lengths, 2 the IPv4 header's checksum, 4 that of TCP or UDP. Only of plain headers.
void mend(Bytes& frame, uint8_t what) {
  size_t ip = 14;
  while (frame.size() > ip + 4 && frame[ip - 2] == 0x81 && frame[ip - 1] == 0) ip += 4;
  if (frame.size() < ip + 40) return;
  const bool ip4 = frame[ip] >> 4 == 4;
  if (what & 1) put16(frame, ip + (ip4 ? 2 : 4), frame.size() - ip - (ip4 ? 0 : 40));
  const size_t l4 = ip + (ip4 ? (frame[ip] & 15u) * 4 : 40);
  if (l4 > frame.size()) return;
  if (ip4 && (what & 2)) mend_sum(frame, ip + 10, ip, l4, {});
  if (!(what & 4)) return;
  const uint8_t proto = frame[ip + (ip4 ? 9 : 6)];
  Bytes pseudo(frame.begin() + static_cast<ptrdiff_t>(ip + (ip4 ? 12 : 8)),
               frame.begin() + static_cast<ptrdiff_t>(ip + (ip4 ? 20 : 40)));
  pseudo.resize(pseudo.size() + 4);
  put16(pseudo, pseudo.size() - 4, frame.size() - l4);
  pseudo[pseudo.size() - 1] = proto;
  mend_sum(frame, l4 + (proto == proto_udp ? 6 : 16), l4, frame.size(), pseudo);
}

Step take_step(Input& in, std::map<uint8_t, Client>& clients, Script& script) {
  const uint8_t kind = in.byte() & 7;
  if (kind < 4) {
    Bytes frame = take_segment(in, clients);
    return {Kind::packet, std::move(frame), kind % script.workers};
  }
  if (kind == 4) {
    Step step{Kind::packet, {}, in.byte() % script.workers};
    const uint8_t what = in.byte();
    step.frame = in.text();
    mend(step.frame, what);
    return step;
  }
  Step step{static_cast<Kind>(kind - 4), {}};
  if (kind == 6) step.which = in.byte();
  step.value = in.byte();
  return step;
}

}  // namespace

Script read_script(std::span<const uint8_t> bytes) {
  Input in(bytes.data(), bytes.size());
  Script script;
  const uint8_t setup = in.byte();
  script.workers = 1 + setup % 3;
  script.keeps_order = setup / 3 % 2 == 0;
  script.policy = setup / 6;
  std::map<uint8_t, Client> clients;
  while (!in.empty() && script.steps.size() < packets_max)
    script.steps.push_back(take_step(in, clients, script));
  return script;
}

}  // namespace surgegate::testing
