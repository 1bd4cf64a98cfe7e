// SPDX-License-Identifier: BSD-3-Clause
// Random traffic for properties: streams of clients that speak TCP, frames that are odd but valid,
// and frames that were damaged in every way.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/frame.h"
#include "tests/support/random.h"

namespace surgegate::testing {

// A valid frame of some kind: UDP, ICMP, fragments, extension headers, options, tags, odd flags, to
// VIPs and to others.
FrameFields odd_frame(Random& random);

// Bytes of a frame changed, cut off, put in or taken from another frame.
Bytes damaged(Bytes frame, const Bytes& other, Random& random);

// One connection: a stream of requests that was thought out beforehand, cut into segments.
class Stream {
 public:
  struct Shape {
    bool whole_heads = true;  // no segment ends inside a head, and none comes before its time
    int requests_max = 6;
  };

  Stream(Random& random, const Shape& shape, int number);

  // The next segment: SYN, ACK, data, a resend, FIN. Empty when the connection is over.
  Bytes next();

  // What was sent from here on (bytes from the stream's start) did not get through: it is sent
  // again before anything else, as TCP does.
  void go_back_to(size_t at) {
    sent_ = std::min(sent_, at);
    if (step_ == 3) step_ = 2;
  }
  // Where the last segment's data stood.
  size_t last_from() const { return last_from_; }
  size_t last_to() const { return last_to_; }

  const FrameFields& fields() const { return fields_; }
  // Where each request's head ends, in bytes from the stream's start.
  const std::vector<size_t>& head_ends() const { return head_ends_; }
  uint32_t first_data_seq() const { return isn_ + 1; }

 private:
  void add_request();
  size_t cut_after(size_t from);
  Bytes data(size_t from, size_t to);
  bool may_cut_at(size_t at) const;

  Random& random_;
  Shape shape_;
  FrameFields fields_;
  std::string text_;
  std::vector<std::pair<size_t, size_t>> heads_;  // [begin, end)
  std::vector<size_t> head_ends_;
  uint32_t isn_ = 0;
  size_t sent_ = 0;
  size_t last_from_ = 0;
  size_t last_to_ = 0;
  int step_ = 0;
};

}  // namespace surgegate::testing
