// SPDX-License-Identifier: BSD-3-Clause
// Registers a test for each case of each specification, in each family and over each kind of link.
#include <dirent.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <set>
#include <stdexcept>

#include "dataplane/path/decide.h"
#include "tests/packets/scene.h"
#include "tests/support/policy_text.h"

namespace surgegate::testing {
namespace {

// Reasons that no case here can have, and why.
const std::map<std::string, std::string> reasons_without_a_case = {
    {"head_evicted", "takes more heads at once than a case has packets: track_test.cc has it"}};

struct Specification {
  Subject subject;
  YAML::Node cases;
};

class Play : public ::testing::Test {
 public:
  explicit Play(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

void add_test(const std::string& suite, const std::string& name, std::function<void()> body) {
  ::testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [body]() -> ::testing::Test* { return new Play(body); });
}

std::vector<std::string> yaml_files(const std::string& folder) {
  std::vector<std::string> names;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) throw std::runtime_error(folder + " cannot be read");
  while (const dirent* entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name.ends_with(".yaml") && name != "world.yaml") names.push_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

void add_policies(const YAML::Node& policies, Subject& subject) {
  if (!policies) return;
  for (const auto& entry : policies) {
    const auto name = entry.first.as<std::string>();
    // Each is compiled as the successor of the one that it says it follows.
    const YAML::Node& value = entry.second;
    const PolicyInForce* previous = nullptr;
    if (value.IsMap()) previous = subject.policies.at(value["after"].as<std::string>()).get();
    const auto text = value.IsMap() ? value["text"].as<std::string>() : value.as<std::string>();
    try {
      subject.policies[name] = policy_in_force(text, {}, previous);
    } catch (const std::exception& error) {
      throw std::runtime_error("policy " + name + ": " + error.what());
    }
  }
}

std::string test_name(const std::string& name) {
  std::string words;
  bool capital = true;
  for (char c : name) {
    const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (letter) words += capital ? static_cast<char>(std::toupper(c)) : c;
    capital = !letter;
  }
  return words;
}

std::vector<Variant> variants_of(const YAML::Node& scene) {
  std::vector<Variant> variants;
  const std::string only = scene["only"] ? scene["only"].as<std::string>() : "";
  std::vector<std::string> links = {"untagged", "vlan", "qinq"};
  if (scene["links"]) links = scene["links"].as<std::vector<std::string>>();
  for (int version : {4, 6})
    for (const std::string& link : links)
      if (only.empty() || only == fmt::format("ipv{}", version))
        variants.push_back({version, link});
  return variants;
}

void add_case(const Subject& subject, const YAML::Node& scene) {
  if (!scene["name"] || !scene["why"]) fail_at(scene, "a case has a name and says why");
  for (const Variant& variant : variants_of(scene)) {
    const std::string name = fmt::format("{}/v{}_{}", test_name(scene["name"].as<std::string>()),
                                         variant.version, variant.link);
    add_test(subject.file, name, [&subject, scene, variant] {
      SCOPED_TRACE("why: " + scene["why"].as<std::string>());
      Scene(subject, scene, variant).play();
    });
  }
}

void collect_words(const YAML::Node& node, const std::string& key, std::set<std::string>& words) {
  if (node.IsSequence())
    for (const YAML::Node& entry : node) collect_words(entry, key, words);
  if (!node.IsMap()) return;
  for (const auto& entry : node) {
    if (entry.first.as<std::string>() == key && entry.second.IsScalar())
      words.insert(entry.second.as<std::string>());
    collect_words(entry.second, key, words);
  }
}

// A reason that no case expects is one that nobody has looked at.
void every_reason_has_a_case(const std::deque<Specification>& all) {
  std::set<std::string> expected;
  for (const Specification& specification : all)
    collect_words(specification.cases, "reason", expected);
  for (const Rule& rule : rules()) {
    const std::string name(rule.name);
    EXPECT_EQ(expected.count(name) + reasons_without_a_case.count(name), 1u) << name;
  }
}

void names_are_unique(const std::deque<Specification>& all) {
  for (const Specification& specification : all) {
    std::set<std::string> names;
    for (const YAML::Node& scene : specification.cases)
      EXPECT_TRUE(names.insert(test_name(scene["name"].as<std::string>())).second)
          << specification.subject.file << ": " << scene["name"];
  }
}

void load(const std::string& folder, std::deque<Specification>& all) {
  const YAML::Node world = YAML::LoadFile(folder + "/world.yaml");
  allow_keys(world, {"hosts", "policies"});
  Subject shared{"world", world["hosts"], {}};
  add_policies(world["policies"], shared);
  for (const std::string& file : yaml_files(folder)) {
    try {
      const YAML::Node root = YAML::LoadFile(folder + "/" + file);
      allow_keys(root, {"about", "texts", "policies", "cases"});
      all.push_back({shared, root["cases"]});
      Subject& subject = all.back().subject;
      subject.file = file.substr(0, file.size() - 5);
      add_policies(root["policies"], subject);
      for (const YAML::Node& scene : root["cases"]) add_case(subject, scene);
    } catch (const std::exception& error) {
      throw std::runtime_error(file + ": " + error.what());
    }
  }
}

int run(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const char* folder = std::getenv("SURGEGATE_PACKETS");
  if (argc > 1) folder = argv[1];
  if (folder == nullptr) throw std::runtime_error("usage: packets FOLDER");
  static std::deque<Specification> all;
  load(folder, all);
  add_test("specifications", "EveryReasonHasACase", [] { every_reason_has_a_case(all); });
  add_test("specifications", "NamesAreUnique", [] { names_are_unique(all); });
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace surgegate::testing

int main(int argc, char** argv) {
  try {
    return surgegate::testing::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "packets: %s\n", error.what());
    return 2;
  }
}
