// SPDX-License-Identifier: BSD-3-Clause
// One case of a specification, played: packets in, verdicts and packets out compared with what is
// written.
#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/packets/fields.h"
#include "tests/support/journey.h"

namespace surgegate::testing {

// How a case is varied: the family of its addresses, and the tags that its frames carry.
struct Variant {
  int version = 4;
  std::string link = "untagged";
};

// What a file of cases shares.
struct Subject {
  std::string file;  // its name without folder and ending
  YAML::Node hosts;
  std::map<std::string, std::shared_ptr<const PolicyInForce>> policies;
};

class Scene {
 public:
  Scene(const Subject& subject, const YAML::Node& scene, const Variant& variant);

  // Throws std::runtime_error where the specification itself is wrong. What does not hold is a
  // failure of the running test.
  void play();

 private:
  struct Stream {  // one client's connection, as far as the case has told
    uint32_t next_seq = 0;
    uint32_t ack = 0;
  };
  struct Sent {
    YAML::Node node;
    FrameFields fields;
    Bytes bytes;
    uint64_t number;
  };

  void step(const YAML::Node& node);
  void connect(const YAML::Node& node);
  void burst(const std::vector<YAML::Node>& packets);
  void change_world(const YAML::Node& node);
  void check_counts(const YAML::Node& node);
  uint64_t count_named(const std::string& name, const YAML::Node& node) const;

  Sent offer(const YAML::Node& packet);
  FrameFields fields_of(const YAML::Node& in);
  uint32_t arrival(const YAML::Node& packet, const Bytes& frame);
  void check(const Sent& sent);
  std::vector<Bytes> expected_out(const Sent& sent);
  Bytes expected_frame(const Sent& sent, const YAML::Node& out);
  FrameFields forwarded(const FrameFields& in, const YAML::Node& backend);
  FrameFields tunnelled(FrameFields inner, const YAML::Node& backend);
  FrameFields answered(const FrameFields& in);
  FrameFields reset(const FrameFields& in, const YAML::Node& backend);
  const sg_backend& backend_named(const YAML::Node& node) const;
  Ip backend_address(const YAML::Node& node) const;
  YAML::Node only_backend() const;

  const Subject& subject_;
  YAML::Node scene_;
  Names names_;
  std::vector<VlanTag> tags_;
  InitialNumbers numbers_;
  std::map<std::string, Stream> streams_;
  std::unique_ptr<Journey> journey_;
};

}  // namespace surgegate::testing
