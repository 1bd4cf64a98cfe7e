// SPDX-License-Identifier: BSD-3-Clause
// A TCP segment in an Ethernet frame, taken apart and put together again. Like all of
// tests/support it shares nothing with the product.
#pragma once

#include <optional>
#include <string_view>

#include "tests/support/frame.h"

namespace surgegate::lab {

using testing::Bytes;

// Of IPv4 or of IPv6 without extension headers, without a VLAN tag. `head` is everything in front
// of the payload, Ethernet's padding is gone.
struct TcpFrame {
  Bytes head;
  Bytes payload;
  size_t tcp_at = 0;

  bool is_ip4() const { return head[12] == 0x08; }
  uint32_t seq() const { return word_at(tcp_at + 4); }
  uint32_t ack() const { return word_at(tcp_at + 8); }
  uint32_t end_seq() const { return seq() + static_cast<uint32_t>(payload.size()); }
  uint8_t flags() const { return head[tcp_at + 13]; }
  void set_seq(uint32_t seq) { set_word(tcp_at + 4, seq); }
  void set_ack(uint32_t ack) { set_word(tcp_at + 8, ack); }
  uint16_t src_port() const { return static_cast<uint16_t>(word_at(tcp_at) >> 16); }
  uint16_t dst_port() const { return static_cast<uint16_t>(word_at(tcp_at)); }
  size_t payload_room() const;  // what a link of 1,500 bytes can take behind these headers

  // The same headers with another part of the stream.
  TcpFrame with(uint32_t seq, Bytes bytes) const;
  TcpFrame part(size_t first, size_t end) const;

  // The frame, its lengths and checksums right for what is in it now.
  Bytes write() const;

 private:
  uint32_t word_at(size_t at) const;
  void set_word(size_t at, uint32_t word);
};

// Nothing, where it is something else.
std::optional<TcpFrame> read_tcp(const uint8_t* bytes, size_t size);

}  // namespace surgegate::lab
