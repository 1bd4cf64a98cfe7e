// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/tcp_inbox.h"

#include <algorithm>

namespace surgegate::simulator {

// What was queued first stays: a resend that differs changes nothing that is here already.
std::string Inbox::take(uint64_t place, std::string_view bytes, bool fin) {
  if (fin) fin_at_ = std::min(fin_at_, place + bytes.size());
  if (static_cast<int64_t>(place) < static_cast<int64_t>(next_)) {
    const auto old = std::min<uint64_t>(next_ - place, bytes.size());
    bytes.remove_prefix(old);
    place += old;
  }
  const uint64_t end = next_ + window_bytes_;
  if (place < end && !bytes.empty())
    early_.emplace(place, bytes.substr(0, std::min<uint64_t>(bytes.size(), end - place)));
  std::string in_order;
  while (!early_.empty() && early_.begin()->first <= next_) {
    auto first = early_.extract(early_.begin());
    const uint64_t old = next_ - first.key();
    if (old >= first.mapped().size()) continue;
    in_order += first.mapped().substr(old);
    next_ += first.mapped().size() - old;
  }
  if (next_ == fin_at_ && !finished_) {
    finished_ = true;
    next_++;
  }
  return in_order;
}

}  // namespace surgegate::simulator
