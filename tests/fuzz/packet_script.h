// SPDX-License-Identifier: BSD-3-Clause
// What packet_fuzz plays, from bytes: a byte of setup (workers, policy, whether arrivals keep their
// order) and then steps, each of a byte that says which, and its operands:
//   0 .. 3  a segment of one of 256 connections: connection, TCP flags, distance from its next
//           sequence number, advance of its acknowledgement, extras, text;
//   4       a frame: which worker it arrives at, what is to be made right in it, text;
//   5       time passes; 6: the surroundings change (which, how); 7: another policy.
// Text ends at a backslash (two stand for one), so that a byte more in it leaves the next steps as
// they are. Segments are there because a random frame never has a right checksum, and hardly ever
// belongs to a connection. tests/fuzz/packet_seeds.py writes this form.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tests/support/frame.h"

namespace surgegate::testing {

enum class Kind { packet, time, surroundings, policy };

struct Step {
  Kind kind;
  Bytes frame;
  uint32_t worker = 0;
  uint8_t which = 0, value = 0;
};

struct Script {
  uint32_t workers = 1;
  uint8_t policy = 0;
  bool keeps_order = true;  // else the verdicts depend on who is asked first
  std::vector<Step> steps;
};

Script read_script(std::span<const uint8_t> bytes);

}  // namespace surgegate::testing
