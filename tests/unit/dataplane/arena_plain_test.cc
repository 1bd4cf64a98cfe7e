// SPDX-License-Identifier: BSD-3-Clause
// Arenas in memory and in plain files, and what can be wrong with one: needs no root.
#include <fstream>
#include <string>

#include "tests/unit/dataplane/arena_ground.h"

namespace surgegate::testing_arena {
namespace {

INSTANTIATE_TEST_SUITE_P(Places, ArenaTest, testing::Values(Place::memory, Place::file),
                         place_name);

TEST(ArenaErrors, AFileThatIsSomethingElseIsLeftAlone) {
  const Ground ground(Place::file);
  std::ofstream(ground.path()) << "somebody's letters";
  ArenaOptions options;
  options.kind = ArenaKind::huge_file;
  options.path = ground.path();
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find(ground.path()), std::string::npos);
  std::string text;
  std::getline(std::ifstream(ground.path()), text);
  EXPECT_EQ(text, "somebody's letters");
}

TEST(ArenaErrors, APlaceThatIsNotThereIsNamed) {
  ArenaOptions options;
  for (const ArenaKind kind : {ArenaKind::huge_file, ArenaKind::bpf_maps}) {
    options.kind = kind;
    options.path = "/nowhere/arena";
    const auto arena = Arena::open(options);
    ASSERT_FALSE(arena.has_value());
    EXPECT_NE(arena.error().find("/nowhere"), std::string::npos) << arena.error();
  }
}

TEST(ArenaErrors, MapsCannotBePinnedOutsideABpffs) {
  const Ground ground(Place::file);
  ArenaOptions options;
  options.kind = ArenaKind::bpf_maps;
  options.path = ground.path();
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find("mount -t bpf"), std::string::npos) << arena.error();
  EXPECT_FALSE(std::filesystem::exists(ground.path())) << "nothing is left behind";
}

TEST(ArenaErrors, ARecordThatABpfArrayWouldPadIsRefused) {
  ArenaOptions options;
  options.layout[Region::bans] = {20, 10};
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find("bans"), std::string::npos) << arena.error();
}

}  // namespace
}  // namespace surgegate::testing_arena
