// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/tcp_outbox.h"

#include <algorithm>

namespace surgegate::simulator {

void Outbox::opened(uint16_t mss_bytes) {
  mss_bytes_ = mss_bytes;
  congestion_bytes_ = 10 * mss_bytes_;  // RFC 6928
}

// RFC 5681 section 3.1.
void Outbox::acknowledged(uint64_t place) {
  const auto bytes = static_cast<uint32_t>(place - una_);
  una_ = place;
  next_ = std::max(next_, una_);
  if (congestion_bytes_ < slow_start_until_bytes_)
    congestion_bytes_ += std::min(bytes, mss_bytes_);
  else
    congestion_bytes_ += std::max(1u, mss_bytes_ * mss_bytes_ / congestion_bytes_);
}

void Outbox::lost(bool by_timeout) {
  slow_start_until_bytes_ = std::max(static_cast<uint32_t>(newest_ - una_) / 2, 2 * mss_bytes_);
  congestion_bytes_ = by_timeout ? mss_bytes_ : slow_start_until_bytes_;
  if (by_timeout) next_ = una_;
}

Piece Outbox::piece_at(uint64_t place) const {
  const uint64_t sent_bytes_end = std::min(newest_, end());
  const uint64_t fits = std::min(place + mss_bytes_, sent_bytes_end);
  Piece piece{place, fits};
  if (resend_ != Resend::by_bytes) {
    auto cut = std::upper_bound(cuts_.begin(), cuts_.end(), place);
    if (cut != cuts_.end()) piece.to = *cut;
    while (resend_ == Resend::collapsed && cut != cuts_.end() && *cut <= fits) piece.to = *cut++;
  }
  piece.fin = newest_ > end() && piece.to == end();
  return piece;
}

Piece Outbox::cut_new(uint64_t room_bytes) {
  Piece piece{newest_, std::min({newest_ + mss_bytes_, end(), newest_ + room_bytes})};
  piece.is_new = true;
  piece.fin = finished_ && piece.to == end();
  if (piece.to > piece.from) cuts_.push_back(piece.to);
  newest_ = piece.to + (piece.fin ? 1 : 0);
  return piece;
}

std::optional<Piece> Outbox::next() {
  const uint64_t allowed = una_ + std::min(window_bytes_, congestion_bytes_);
  if (next_ < newest_) {
    if (next_ >= allowed) return {};
    const Piece piece = piece_at(next_);
    next_ = piece.to + (piece.fin ? 1 : 0);
    return piece;
  }
  if (!has_unsent()) return {};
  const uint64_t left = end() - std::min(newest_, end());
  const uint64_t room = allowed > newest_ ? allowed - newest_ : 0;
  if (left > 0 && room == 0) return {};
  // RFC 9293 section 3.7.4: a small one waits for the acknowledgement of what is under way.
  if (nagle_ && !finished_ && waits() && left < mss_bytes_) return {};
  const Piece piece = cut_new(room);
  next_ = newest_;
  return piece;
}

}  // namespace surgegate::simulator
