// SPDX-License-Identifier: BSD-3-Clause
// What clients ask. Each request has an id, and id and length make every body, so that a byte in
// the wrong place, or of another request, shows.
#pragma once

#include <string>
#include <vector>

#include "tests/simulator/random.h"

namespace surgegate::simulator {

// What is wrong with it, so that no server may ever see it whole.
enum class Wrong : uint8_t { nothing, syntax, robot, chunk };

struct Request {
  std::string id;
  std::string head, rest;  // rest: the body as it is sent
  std::string body;        // .. and as it is meant
  bool is_head_method = false;
  bool expects_continue = false;
  bool closes = false;
  Wrong wrong = Wrong::nothing;
};

// Lower case letters, so that no head looks like one.
std::string body_of(const std::string& id, size_t bytes);

Request some_request(Random& random, const std::string& id, bool may_be_wrong);

}  // namespace surgegate::simulator
