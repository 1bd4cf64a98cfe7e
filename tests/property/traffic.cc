// SPDX-License-Identifier: BSD-3-Clause
#include "tests/property/traffic.h"

#include <fmt/format.h>

#include <algorithm>

namespace surgegate::testing {
namespace {

const char* const sources4[] = {"192.0.2.10",  "192.0.2.20",    "192.0.2.30", "203.0.113.66",
                                "203.0.113.7", "203.0.113.200", "127.0.0.1",  "198.51.100.10"};
const char* const sources6[] = {"2001:db8:c::10",   "2001:db8:d::20", "2001:db8:bad::66", "::1",
                                "2001:db8:cd::200", "2001:db8::10"};
const char* const vips4[] = {"198.51.100.10", "198.51.100.10", "198.51.100.53", "198.51.100.99"};
const char* const vips6[] = {"2001:db8::10", "2001:db8::10", "2001:db8::53", "2001:db8::99"};
const uint16_t ports[] = {80, 80, 80, 25, 53, 443};

template <class T, size_t n>
T pick(const T (&from)[n], Random& random) {
  return from[draw(random, n)];
}

FrameFields addressed(Random& random) {
  FrameFields f;
  f.dst_mac = mac("02:00:00:00:00:02");
  f.src_mac = mac("02:00:00:00:00:01");
  const bool ip4 = one_in(random, 2);
  f.src = ip(ip4 ? pick(sources4, random) : pick(sources6, random));
  f.dst = ip(ip4 ? pick(vips4, random) : pick(vips6, random));
  f.src_port = static_cast<uint16_t>(1000 + draw(random, 6));
  f.dst_port = pick(ports, random);
  if (one_in(random, 4)) f.tags = {{0x8100, 100}};
  if (one_in(random, 8)) f.tags = {{0x88a8, 7}, {0x8100, 100}};
  return f;
}

std::string some_request(Random& random) {
  static const char* const methods[] = {"GET", "HEAD", "POST", "DELETE"};
  static const char* const agents[] = {"curl/8", "BadBot/1.0", "Mozilla/5.0", "sqlmap/1"};
  return fmt::format(
      "{} /p{} HTTP/1.{}\r\nHost: shop.example\r\nUser-Agent: {}\r\nX-Api-Key: k{}\r\n",
      pick(methods, random), draw(random, 5), draw(random, 8) == 0 ? 0 : 1, pick(agents, random),
      draw(random, 3));
}

}  // namespace

FrameFields odd_frame(Random& random) {
  FrameFields f = addressed(random);
  const uint8_t protos[] = {proto_tcp,  proto_tcp,   proto_tcp, proto_udp,
                            proto_icmp, proto_icmp6, 47,        0};
  f.proto = pick(protos, random);
  f.tcp_flags = static_cast<uint8_t>(one_in(random, 3) ? draw(random, 256) : psh | ack);
  f.seq = static_cast<uint32_t>(one_in(random, 2) ? 1'000'000 + draw(random, 200) : random());
  f.ack_seq = static_cast<uint32_t>(5'000'000 + draw(random, 4) * 100);
  f.dscp_ecn = static_cast<uint8_t>(random());
  if (one_in(random, 3)) f.timestamps = Timestamps{static_cast<uint32_t>(random()), 7};
  if (one_in(random, 4)) f.mss = static_cast<uint16_t>(draw(random, 2000));
  if (one_in(random, 6)) f.ip4_options = Bytes(1 + draw(random, 40), 1);
  if (one_in(random, 6))
    for (uint64_t i = draw(random, 6); i > 0; i--)
      f.extensions.push_back(
          Extension::options(one_in(random, 2) ? 0 : 60, 8 * (1 + draw(random, 3))));
  if (one_in(random, 20)) f.extensions.push_back(Extension::routing());
  if (one_in(random, 10))
    f.fragment = Fragment{static_cast<uint16_t>(8 * draw(random, 200)), one_in(random, 2), 7};
  if (one_in(random, 2)) f.payload = bytes_of(some_request(random) + "\r\n");
  if (one_in(random, 4)) f.payload.resize(draw(random, 1500), 'x');
  if (one_in(random, 10)) f.padding = draw(random, 40);
  if (one_in(random, 10)) f.l4_checksum_xor = 1;
  return f;
}

Bytes damaged(Bytes frame, const Bytes& other, Random& random) {
  for (uint64_t i = 1 + draw(random, 3); i > 0 && !frame.empty(); i--) {
    const size_t at = draw(random, frame.size());
    switch (draw(random, 6)) {
      case 0:
        frame[at] ^= static_cast<uint8_t>(1 << draw(random, 8));
        break;
      case 1:
        frame[at] = static_cast<uint8_t>(random());
        break;
      case 2:
        frame.resize(at);
        break;
      case 3:  // most damage in the headers
        frame[at % 60 % frame.size()] = static_cast<uint8_t>(one_in(random, 2) ? 0xff : random());
        break;
      case 4:
        frame.insert(frame.begin() + static_cast<ptrdiff_t>(at), 1 + draw(random, 20), 0);
        break;
      default:
        frame.resize(at);
        if (at < other.size())
          frame.insert(frame.end(), other.begin() + static_cast<ptrdiff_t>(at), other.end());
    }
  }
  return frame;
}

Stream::Stream(Random& random, const Shape& shape, int number) : random_(random), shape_(shape) {
  const bool ip4 = one_in(random, 2);
  fields_.dst_mac = mac("02:00:00:00:00:02");
  fields_.src_mac = mac("02:00:00:00:00:01");
  fields_.src = ip(ip4 ? fmt::format("192.0.2.{}", 1 + number % 7)
                       : fmt::format("2001:db8:c:{}::1", 1 + number % 7));
  fields_.dst = ip(ip4 ? "198.51.100.10" : "2001:db8::10");
  fields_.src_port = static_cast<uint16_t>(2000 + number);
  fields_.dst_port = 80;
  fields_.ack_seq = static_cast<uint32_t>(random());
  if (one_in(random, 2)) fields_.timestamps = Timestamps{1000, 2000};
  isn_ = static_cast<uint32_t>(one_in(random, 4) ? 0xffffff00 + draw(random, 256) : random());
  for (uint64_t i = 1 + draw(random, static_cast<uint64_t>(shape.requests_max)); i > 0; i--)
    add_request();
}

void Stream::add_request() {
  const size_t begin = text_.size();
  std::string request = some_request(random_);
  std::string body;
  const bool http_1_0 = request.find("HTTP/1.0") != std::string::npos;
  if (one_in(random_, 3)) {
    body.assign(draw(random_, 5000), 'b');
    request += fmt::format("Content-Length: {}\r\n", body.size());
  } else if (!http_1_0 && one_in(random_, 3)) {
    for (uint64_t i = draw(random_, 4); i > 0; i--) {
      const std::string chunk(1 + draw(random_, 2000), 'c');
      body += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
    }
    body += "0\r\n\r\n";
    request += "Transfer-Encoding: chunked\r\n";
  }
  text_ += request + "\r\n";
  heads_.emplace_back(begin, text_.size());
  head_ends_.push_back(text_.size());
  text_ += body;
}

bool Stream::may_cut_at(size_t at) const {
  if (!shape_.whole_heads) return true;
  return std::none_of(heads_.begin(), heads_.end(),
                      [&](const auto& head) { return at > head.first && at < head.second; });
}

// Where a segment that begins at `from` ends.
size_t Stream::cut_after(size_t from) {
  const size_t longest = 1 + draw(random_, 1460);
  size_t to = std::min(text_.size(), from + longest);
  while (to > from && !may_cut_at(to)) to--;
  while (to == from || !may_cut_at(to)) to++;
  return to;
}

Bytes Stream::data(size_t from, size_t to) {
  last_from_ = from;
  last_to_ = to;
  FrameFields f = fields_;
  f.seq = isn_ + 1 + static_cast<uint32_t>(from);
  f.tcp_flags = psh | ack;
  f.payload = bytes_of(std::string_view(text_).substr(from, to - from));
  return build(f);
}

Bytes Stream::next() {
  FrameFields f = fields_;
  last_from_ = last_to_ = sent_;
  switch (step_) {
    case 0:
      step_ = 1;
      f.seq = isn_;
      f.tcp_flags = syn;
      f.ack_seq = 0;
      f.mss = one_in(random_, 4) ? 200 : 1460;
      return build(f);
    case 1:
      step_ = 2;
      f.seq = isn_ + 1;
      return build(f);
    case 2: {
      if (sent_ > 0 && one_in(random_, 5)) {  // a resend, cut anywhere below what was sent
        const size_t from = draw(random_, sent_);
        return data(from, from + 1 + draw(random_, std::min<size_t>(sent_ - from, 1400)));
      }
      if (sent_ == text_.size()) break;
      if (one_in(random_, 3)) fields_.ack_seq += static_cast<uint32_t>(draw(random_, 500));
      const size_t from = shape_.whole_heads || !one_in(random_, 6)
                              ? sent_
                              : std::min(text_.size() - 1, sent_ + draw(random_, 300));
      const size_t to = cut_after(from);
      sent_ = std::max(sent_, to);
      return data(from, to);
    }
    default:
      return {};
  }
  step_ = 3;
  f.seq = isn_ + 1 + static_cast<uint32_t>(text_.size());
  f.tcp_flags = static_cast<uint8_t>(one_in(random_, 4) ? rst | ack : fin | ack);
  return build(f);
}

}  // namespace surgegate::testing
