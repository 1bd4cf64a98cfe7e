// SPDX-License-Identifier: BSD-3-Clause
// The words with which a specification describes a frame (tests/packets/README.md).
#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <string>

#include "tests/support/frame.h"

namespace surgegate::testing {

// Who is who in a specification, in the family that a case is run in.
class Names {
 public:
  Names(const YAML::Node& hosts, int version) : hosts_(hosts), version_(version) {}

  int version() const { return version_; }
  // A name of the world, or an address as it is.
  Ip address(const std::string& name) const;

 private:
  YAML::Node hosts_;
  int version_;
};

// Sequence numbers are written as they are counted from a connection's first: 0 is the SYN.
struct InitialNumbers {
  uint32_t client = 1'000'000;
  uint32_t server = 5'000'000;
};

enum class Direction { to_server, to_client };

// What the words of `node` say, on top of what `fields` holds already. Words that depend on the
// rest of the frame (lies, cuts) come last. Throws std::runtime_error, with the line, for a word
// that is not known.
void apply(const YAML::Node& node, const Names& names, const InitialNumbers& numbers,
           Direction direction, FrameFields& fields);

// Thrown with the place in the file.
[[noreturn]] void fail_at(const YAML::Node& node, const std::string& what);

// Throws unless every key of the map is one of these.
void allow_keys(const YAML::Node& map, std::initializer_list<const char*> keys);

}  // namespace surgegate::testing
