// SPDX-License-Identifier: BSD-3-Clause
// Arenas on hugetlbfs and in BPF maps: needs root.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/unit/dataplane/arena_ground.h"

namespace surgegate::testing_arena {
namespace {

INSTANTIATE_TEST_SUITE_P(Places, ArenaTest, testing::Values(Place::hugetlbfs, Place::bpffs),
                         place_name);

TEST(ArenaErrors, TooFewHugePagesAreCounted) {
  const Ground ground(Place::hugetlbfs);
  ArenaOptions options;
  options.kind = ArenaKind::huge_file;
  options.path = ground.path();
  options.layout[Region::flows] = {64, 1u << 31};  // 128 GiB
  const auto arena = Arena::open(options);
  ASSERT_FALSE(arena.has_value());
  EXPECT_NE(arena.error().find("65537 huge pages"), std::string::npos) << arena.error();
  EXPECT_FALSE(std::filesystem::exists(ground.path())) << "nothing is left behind";
}

std::string huge_pages() {
  std::string count;
  std::ifstream(huge_pages_path) >> count;
  return count;
}

pid_t tests_process = 0;
void end_tests(int) {
  kill(tests_process, SIGKILL);
}

}  // namespace
}  // namespace surgegate::testing_arena

// The tests run in a child: however it ends, the machine has the huge pages back that it had
// before.
int main(int argc, char** argv) {
  using namespace surgegate::testing_arena;
  testing::InitGoogleTest(&argc, argv);
  const std::string before = huge_pages();
  tests_process = fork();
  if (tests_process == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return RUN_ALL_TESTS();
  }
  for (const int ending : {SIGINT, SIGTERM, SIGHUP}) signal(ending, end_tests);
  int status = 0;
  while (waitpid(tests_process, &status, 0) == -1 && errno == EINTR) {
  }
  if (huge_pages() != before) std::ofstream(huge_pages_path) << before;
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  std::fprintf(stderr, "the tests were ended by signal %d\n", WTERMSIG(status));
  return 1;
}
