// SPDX-License-Identifier: BSD-3-Clause
// One side of a TCP connection, or a UDP socket, as the gate sees it: frames from a client to a
// VIP.
#pragma once

#include <string>
#include <string_view>

#include "tests/support/frame.h"

namespace surgegate::testing {

class Client {
 public:
  Client(std::string_view src, uint16_t src_port, std::string_view dst = "198.51.100.10",
         uint16_t dst_port = 80) {
    fields.dst_mac = mac("02:00:00:00:00:02");
    fields.src_mac = mac("02:00:00:00:00:01");
    fields.src = ip(src);
    fields.dst = ip(dst);
    fields.src_port = src_port;
    fields.dst_port = dst_port;
    fields.seq = 1'000'000;
    fields.ack_seq = 5'000'001;
  }

  FrameFields fields;  // of the next frame; seq is the next number of the stream

  Bytes open() {
    FrameFields f = fields;
    f.tcp_flags = syn;
    f.ack_seq = 0;
    f.mss = 1460;
    fields.seq++;
    return build(f);
  }
  Bytes acknowledge() { return segment(ack, {}); }
  Bytes send(std::string_view payload) { return segment(psh | ack, payload); }
  Bytes close() {
    Bytes frame = segment(fin | ack, {});
    fields.seq++;
    return frame;
  }
  Bytes reset() { return segment(rst, {}); }
  // The backend has answered, and this client has read it.
  void read(uint32_t bytes = 300) { fields.ack_seq += bytes; }

  Bytes datagram(std::string_view payload) {
    FrameFields f = fields;
    f.proto = proto_udp;
    f.payload = bytes_of(payload);
    return build(f);
  }

 private:
  Bytes segment(int flags, std::string_view payload) {
    FrameFields f = fields;
    f.tcp_flags = static_cast<uint8_t>(flags);
    f.payload = bytes_of(payload);
    fields.seq += static_cast<uint32_t>(payload.size());
    return build(f);
  }
};

inline std::string get(std::string_view path = "/") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: shop.example\r\n\r\n";
}

}  // namespace surgegate::testing
