// SPDX-License-Identifier: BSD-3-Clause
// Bytes that differ from the client's where a backend would read another request.
#pragma once

#include <optional>
#include <random>

#include "tests/lab/tcp_frame.h"

namespace surgegate::lab {

struct Differing {
  Bytes bytes;     // as many as the client's
  size_t end = 0;  // behind the last one that differs
  // Another target only: a backend that reads it reads all that follows as the client meant it.
  bool is_same_length_request = false;
};

// Nothing, where there is nothing of the kind in it. The client of impaired_live_test.py asks for
// /good/..., and puts neither digits nor line ends into bodies.
std::optional<Differing> some_differing(const Bytes& payload, std::mt19937_64& random);

// Whether the end of one request, or of its body, and the beginning of another stand in it.
bool begins_request_inside(const Bytes& payload);

}  // namespace surgegate::lab
