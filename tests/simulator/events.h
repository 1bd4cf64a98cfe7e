// SPDX-License-Identifier: BSD-3-Clause
// Virtual time: what is to happen, in order. Nothing here waits.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace surgegate::simulator {

constexpr uint64_t us = 1'000, ms = 1'000 * us, s = 1'000 * ms;  // in nanoseconds

class Events {
 public:
  uint64_t now_ns() const { return now_ns_; }

  void after(uint64_t delay_ns, std::function<void()> what) {
    queue_.push({now_ns_ + delay_ns, count_++, std::move(what)});
  }

  // The next event happens. False: there is none.
  bool step() {
    if (queue_.empty()) return false;
    const Event next = queue_.top();
    queue_.pop();
    now_ns_ = next.at_ns;
    next.what();
    return true;
  }

 private:
  struct Event {
    uint64_t at_ns;
    uint64_t number;  // what is due at once happens in the order in which it was asked for
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::pair(at_ns, number) > std::pair(other.at_ns, other.number);
    }
  };

  std::priority_queue<Event> queue_;
  uint64_t now_ns_ = 0, count_ = 0;
};

// One thing that is due later, unless it is stopped or started anew. Must live as long as events
// happen.
class Timer {
 public:
  explicit Timer(Events& events) : events_(events) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start(uint64_t delay_ns, std::function<void()> what) {
    const uint64_t mine = ++newest_;
    runs_ = true;
    events_.after(delay_ns, [this, mine, what = std::move(what)] {
      if (!runs_ || mine != newest_) return;
      runs_ = false;
      what();
    });
  }
  void stop() { runs_ = false; }
  bool runs() const { return runs_; }

 private:
  Events& events_;
  uint64_t newest_ = 0;
  bool runs_ = false;
};

}  // namespace surgegate::simulator
