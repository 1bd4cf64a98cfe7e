// SPDX-License-Identifier: BSD-3-Clause
#include "tests/lab/tcp_frame.h"

namespace surgegate::lab {
namespace {

constexpr size_t link_bytes = 14, ip4_bytes = 20, ip6_bytes = 40, tcp_bytes_min = 20;
constexpr size_t mtu_bytes = 1500;

uint16_t half_at(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

void set_half(Bytes& bytes, size_t at, size_t half) {
  bytes[at] = static_cast<uint8_t>(half >> 8);
  bytes[at + 1] = static_cast<uint8_t>(half);
}

// Over the pseudo header [RFC 9293 section 3.1, RFC 8200 section 8.1] and the segment. Of the
// addresses only the sum counts, so that both versions can be written in one way.
uint16_t tcp_checksum(const Bytes& frame, size_t tcp_at, bool is_ip4) {
  const size_t addresses_at = link_bytes + (is_ip4 ? 12 : 8);
  const size_t tcp_bytes = frame.size() - tcp_at;
  auto begin = frame.begin();
  Bytes summed(begin + static_cast<ptrdiff_t>(addresses_at),
               begin + static_cast<ptrdiff_t>(tcp_at));
  summed.insert(summed.end(), {0, testing::proto_tcp, static_cast<uint8_t>(tcp_bytes >> 8),
                               static_cast<uint8_t>(tcp_bytes)});
  summed.insert(summed.end(), begin + static_cast<ptrdiff_t>(tcp_at), frame.end());
  return testing::internet_checksum(summed);
}

}  // namespace

uint32_t TcpFrame::word_at(size_t at) const {
  return static_cast<uint32_t>(half_at(&head[at])) << 16 | half_at(&head[at + 2]);
}

void TcpFrame::set_word(size_t at, uint32_t word) {
  set_half(head, at, word >> 16);
  set_half(head, at + 2, word & 0xFFFF);
}

size_t TcpFrame::payload_room() const {
  return link_bytes + mtu_bytes - head.size();
}

TcpFrame TcpFrame::with(uint32_t seq, Bytes bytes) const {
  TcpFrame other{head, std::move(bytes), tcp_at};
  other.set_seq(seq);
  return other;
}

TcpFrame TcpFrame::part(size_t first, size_t end) const {
  return with(seq() + static_cast<uint32_t>(first),
              Bytes(payload.begin() + static_cast<ptrdiff_t>(first),
                    payload.begin() + static_cast<ptrdiff_t>(end)));
}

Bytes TcpFrame::write() const {
  Bytes frame = head;
  frame.insert(frame.end(), payload.begin(), payload.end());
  if (is_ip4()) {
    set_half(frame, link_bytes + 2, frame.size() - link_bytes);
    set_half(frame, link_bytes + 10, 0);
    const Bytes ip(frame.begin() + link_bytes, frame.begin() + link_bytes + ip4_bytes);
    set_half(frame, link_bytes + 10, testing::internet_checksum(ip));
  } else {
    set_half(frame, link_bytes + 4, frame.size() - link_bytes - ip6_bytes);
  }
  set_half(frame, tcp_at + 16, 0);
  set_half(frame, tcp_at + 16, tcp_checksum(frame, tcp_at, is_ip4()));
  return frame;
}

std::optional<TcpFrame> read_tcp(const uint8_t* bytes, size_t size) {
  if (size < link_bytes + ip4_bytes) return {};
  const uint8_t* ip = bytes + link_bytes;
  const bool is_ip4 = half_at(bytes + 12) == 0x0800 && ip[0] == 0x45 && ip[9] == testing::proto_tcp;
  const bool is_ip6 = half_at(bytes + 12) == 0x86DD && ip[6] == testing::proto_tcp;
  if (!is_ip4 && !is_ip6) return {};
  const size_t tcp_at = link_bytes + (is_ip4 ? ip4_bytes : ip6_bytes);
  const size_t end = link_bytes + (is_ip4 ? half_at(ip + 2) : ip6_bytes + half_at(ip + 4));
  if (end > size || tcp_at + tcp_bytes_min > end) return {};
  const size_t head_bytes = tcp_at + size_t{4} * (bytes[tcp_at + 12] >> 4);
  if (head_bytes < tcp_at + tcp_bytes_min || head_bytes > end) return {};
  return TcpFrame{Bytes(bytes, bytes + head_bytes), Bytes(bytes + head_bytes, bytes + end), tcp_at};
}

}  // namespace surgegate::lab
