// SPDX-License-Identifier: BSD-3-Clause
// The sending half of a TCP: what is to be sent, what was, what of it was acknowledged, and how
// much may be under way [RFC 9293 section 3.8, RFC 5681]. Places are counted as in the inbox.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace surgegate::simulator {

// How a stack cuts what it sends again. (Never anew within a cut, but for `by_bytes`.)
enum class Resend : uint8_t {
  as_sent,    // the same segments
  collapsed,  // small ones together where they fit into one, as Linux does
  by_bytes    // as much as fits, wherever that ends, as BSD does
};

struct Piece {
  uint64_t from = 0, to = 0;  // places; to is behind the bytes, and before the FIN
  bool fin = false;
  bool is_new = false;
};

class Outbox {
 public:
  Outbox(uint32_t isn, Resend resend, bool nagle) : isn_(isn), resend_(resend), nagle_(nagle) {}

  void write(const std::string& bytes) { stream_ += bytes; }
  void finish() { finished_ = true; }
  void opened(uint16_t mss_bytes);  // the SYN was acknowledged
  void set_window(uint32_t bytes) { window_bytes_ = bytes; }

  uint32_t seq_of(uint64_t place) const { return isn_ + static_cast<uint32_t>(place); }
  // The place that an acknowledgement means: the one nearest to what is not acknowledged yet.
  uint64_t place_of(uint32_t ack_seq) const {
    return una_ + static_cast<uint64_t>(
                      static_cast<int64_t>(static_cast<int32_t>(ack_seq - seq_of(una_))));
  }
  uint64_t una() const { return una_; }
  uint64_t newest() const { return newest_; }  // behind all that was ever sent
  bool waits() const { return una_ < newest_; }
  bool has_unsent() const { return newest_ < end() + (finished_ ? 1 : 0); }
  bool is_done() const { return finished_ && una_ == end() + 1; }
  std::string bytes(const Piece& piece) const {
    return stream_.substr(piece.from - 1, piece.to - piece.from);
  }

  void acknowledged(uint64_t place);
  // What is under way counts as lost: it is sent again from the first byte that is missing.
  void lost(bool by_timeout);
  // The next piece to send, if one may go now, which is sent by that.
  std::optional<Piece> next();
  // The first piece that was not acknowledged, again.
  Piece first() { return piece_at(una_); }

 private:
  uint64_t end() const { return 1 + stream_.size(); }
  Piece piece_at(uint64_t place) const;
  Piece cut_new(uint64_t room_bytes);

  uint32_t isn_;
  Resend resend_;
  bool nagle_;
  std::string stream_;
  std::vector<uint64_t> cuts_;  // where the segments that were sent end
  uint64_t una_ = 1, next_ = 1, newest_ = 1;
  bool finished_ = false;
  uint32_t mss_bytes_ = 536, window_bytes_ = 0;
  uint32_t congestion_bytes_ = 0, slow_start_until_bytes_ = 1u << 30;
};

}  // namespace surgegate::simulator
