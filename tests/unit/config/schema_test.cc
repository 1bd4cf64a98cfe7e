// SPDX-License-Identifier: BSD-3-Clause
// Editors complete policies from policy.schema.json; the parser reads them by its own tables. These
// tests hold the one to the other.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "config/parse_reader.h"

namespace surgegate::policy {
namespace {

using nlohmann::json;
using Words = std::set<std::string>;

json schema() {
  const char* root = std::getenv("SURGEGATE_SOURCE");
  std::ifstream file(std::string(root ? root : ".") + "/config/policy.schema.json");
  EXPECT_TRUE(file) << "SURGEGATE_SOURCE is the folder of the sources";
  return json::parse(file);
}

const json& definition(const json& schema, std::string_view name) {
  return name == "policy" ? schema : schema.at("$defs").at(std::string(name));
}

Words keys_of(const json& object) {
  Words words;
  for (const auto& [key, value] : object.items()) words.insert(key);
  return words;
}

TEST(Schema, HasTheKeysOfTheParserAndNoOthers) {
  const json root = schema();
  for (const MapShape& shape : language().maps) {
    const json& map = definition(root, shape.name);
    Words keys, required;
    for (const KeyShape& key : shape.keys) {
      keys.emplace(key.name);
      if (key.is_required) required.emplace(key.name);
    }
    EXPECT_EQ(keys_of(map.at("properties")), keys) << shape.name;
    EXPECT_EQ(map.value("required", json::array()).get<Words>(), required) << shape.name;
    EXPECT_EQ(map.at("additionalProperties"), false) << shape.name;
  }
}

TEST(Schema, HasTheWordsOfTheParserAndNoOthers) {
  const json root = schema();
  for (const WordsShape& shape : language().vocabularies) {
    Words words;
    for (std::string_view word : shape.words) words.emplace(word);
    EXPECT_EQ(definition(root, shape.name).at("enum").get<Words>(), words) << shape.name;
  }
}

TEST(Schema, DefinesNothingThatTheParserDoesNotKnow) {
  const json root = schema();
  Words known;
  for (const MapShape& shape : language().maps) known.emplace(shape.name);
  for (const WordsShape& shape : language().vocabularies) known.emplace(shape.name);
  for (const auto& [name, value] : root.at("$defs").items()) {
    if (value.contains("properties") || value.contains("enum")) {
      EXPECT_TRUE(known.contains(name)) << name;
    }
  }
}

// What a pattern of the schema says of a text, the parser says too, but for what patterns cannot
// tell (that an octet is below 256).
TEST(Schema, SpellsScalarsAsTheParserDoes) {
  const json root = schema();
  const auto agrees = [&](const char* name, const std::vector<std::string>& texts, auto parses) {
    const json& scalar = definition(root, name);
    const json& spelled = scalar.contains("anyOf") ? scalar.at("anyOf").at(1) : scalar;
    const std::regex pattern(spelled.at("pattern").get<std::string>());
    for (const std::string& text : texts)
      EXPECT_EQ(std::regex_search(text, pattern), parses(text)) << name << ": " << text;
  };
  agrees("rate",
         {"100/s", "5/min", "1.5k/s", "2M/s", "1G/s", "1/h", "10/d", "100", "100/sec", "1K/s",
          "1./s", ".5/s", "1/10s", "1 /s", "1.0000001/s", "1234567890123/s", "-1/s"},
         [](const std::string& text) { return parse_rate(text).has_value(); });
  agrees("duration",
         {"500ms", "5s", "10m", "1.5h", "1d", "5", "5min", "1h30m", "-1s", "1.0000001s"},
         [](const std::string& text) { return parse_duration_ns(text).has_value(); });
  agrees("count", {"4k", "1.5M", "2G", "12", "4K", "1e3", "-1", ""},
         [](const std::string& text) { return parse_count(text).has_value(); });
  agrees("name", {"a", "per-client", "a.b_c", "1a", "", "a b", "a/b", std::string(65, 'a')},
         [](const std::string& text) { return parse_name(text).has_value(); });
  agrees(
      "cidr",
      {"192.0.2.0/24", "!192.0.2.7", "2001:db8::/32", "192.0.2.0/024", "host", "192.0.2.0/", "!"},
      [](const std::string& text) { return parse_cidr(text).has_value(); });
  agrees(
      "address-port",
      {"192.0.2.1:80", "[2001:db8::1]:80", "2001:db8::1:80", "192.0.2.1", "192.0.2.1:080", "h:80"},
      [](const std::string& text) { return parse_address_port(text).has_value(); });
  agrees("address", {"192.0.2.1", "2001:db8::1", "host", "192.0.2.1:80/", ""},
         [](const std::string& text) { return parse_address(text).has_value(); });
}

}  // namespace
}  // namespace surgegate::policy
