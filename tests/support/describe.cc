// SPDX-License-Identifier: BSD-3-Clause
// What a frame holds, in words. For people who read a failure; decides nothing.
#include <arpa/inet.h>
#include <fmt/format.h>

#include "tests/support/frame.h"

namespace surgegate::testing {
namespace {

class Description {
 public:
  explicit Description(const Bytes& frame) : frame_(frame) {}

  std::string text() {
    if (link()) ip();
    return text_ + to_hex(frame_);
  }

 private:
  bool has(size_t count) const { return at_ + count <= frame_.size(); }
  uint32_t u8(size_t at) const { return frame_[at_ + at]; }
  uint32_t u16(size_t at) const { return u8(at) << 8 | u8(at + 1); }
  uint32_t u32(size_t at) const { return u16(at) << 16 | u16(at + 2); }

  bool link() {
    if (!has(14)) return false;
    const Bytes& b = frame_;
    text_ += fmt::format(
        "  {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} > {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        b[6], b[7], b[8], b[9], b[10], b[11], b[0], b[1], b[2], b[3], b[4], b[5]);
    at_ = 12;
    while (has(6) && (u16(0) == 0x8100 || u16(0) == 0x88a8)) {
      text_ += fmt::format(" tag {:#x}", u16(2));
      at_ += 4;
    }
    type_ = u16(0);
    at_ += 2;
    text_ += fmt::format(" type {:#06x}, {} bytes\n", type_, frame_.size());
    return true;
  }

  void ip() {
    if (type_ == 0x0800 && has(20)) {
      text_ += fmt::format(
          "  IPv4 {} > {} tos {:#x} length {} id {} flags {:#x} ttl {} proto {} sum {:#x}\n",
          address(AF_INET, 12), address(AF_INET, 16), u8(1), u16(2), u16(4), u16(6), u8(8), u8(9),
          u16(10));
      uint32_t proto = u8(9);
      at_ += (u8(0) & 15) * 4;
      upper(proto);
    } else if (type_ == 0x86dd && has(40)) {
      text_ += fmt::format("  IPv6 {} > {} class {:#x} length {} next {} hops {}\n",
                           address(AF_INET6, 8), address(AF_INET6, 24), u32(0) >> 20 & 255, u16(4),
                           u8(6), u8(7));
      uint32_t proto = u8(6);
      at_ += 40;
      upper(proto);
    }
  }

  void upper(uint32_t proto) {
    if (proto == proto_ipip || proto == proto_ip6) {
      type_ = proto == proto_ipip ? 0x0800 : 0x86dd;
      return ip();
    }
    if (proto == proto_udp && has(8))
      text_ += fmt::format("  UDP {} > {} length {} sum {:#x}\n", u16(0), u16(2), u16(4), u16(6));
    if (proto != proto_tcp || !has(20)) return;
    text_ +=
        fmt::format("  TCP {} > {} seq {} ack {} header {} flags {:#x} window {} sum {:#x}\n",
                    u16(0), u16(2), u32(4), u32(8), (u8(12) >> 4) * 4, u8(13), u16(14), u16(16));
    at_ += (u8(12) >> 4) * 4;
    if (!has(1)) return;
    std::string payload;
    for (size_t i = at_; i < frame_.size(); i++) {
      char c = static_cast<char>(frame_[i]);
      payload += c == '\r'             ? "\\r"
                 : c == '\n'           ? "\\n\n   "
                 : c >= ' ' && c < 127 ? std::string(1, c)
                                       : ".";
    }
    text_ += "  : " + payload + "\n";
  }

  std::string address(int family, size_t at) const {
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(family, frame_.data() + at_ + at, text, sizeof(text));
  }

  const Bytes& frame_;
  std::string text_;
  size_t at_ = 0;
  uint32_t type_ = 0;
};

}  // namespace

std::string describe(const Bytes& frame) {
  return Description(frame).text();
}

}  // namespace surgegate::testing
