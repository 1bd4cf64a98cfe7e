// SPDX-License-Identifier: BSD-3-Clause
#include "config/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace surgegate::policy {
namespace {

namespace fs = std::filesystem;

class DiskFilesTest : public ::testing::Test {
 protected:
  DiskFilesTest() {
    char name[] = "/tmp/surgegate-files-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~DiskFilesTest() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  fs::path folder_;
  DiskFiles files_;
};

TEST_F(DiskFilesTest, ReadsAWholeFileUpToItsMaximum) {
  std::string content(200'000, 'x');
  content[5] = '\0';
  const std::string path = write("a", content);
  EXPECT_EQ(files_.read(path, 200'000).value(), content);
  EXPECT_EQ(files_.read(path, 199'999).error(), "it is larger than 199999 bytes");
  EXPECT_EQ(files_.read(write("empty", ""), 0).value(), "");
}

// A file may grow while it is read, and those of /proc tell a size of 0.
TEST_F(DiskFilesTest, HoldsTheMaximumWhateverSizeAFileTells) {
  EXPECT_EQ(files_.read("/proc/self/maps", 10).error(), "it is larger than 10 bytes");
}

TEST_F(DiskFilesTest, SaysWhyAFileCannotBeRead) {
  EXPECT_EQ(files_.read((folder_ / "none").string(), 10).error(), "No such file or directory");
  EXPECT_EQ(files_.read(folder_.string(), 10).error(), "it is a folder");
  EXPECT_EQ(files_.read(std::string("/dev/null\0x", 11), 10).error(), "its name has a NUL byte");
}

TEST_F(DiskFilesTest, NeverWaitsForAPipeOrReadsADevice) {
  const std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(files_.read(pipe, 10).error(), "it is not a regular file");
  EXPECT_EQ(files_.read("/dev/zero", 10).error(), "it is not a regular file");
}

TEST_F(DiskFilesTest, FindsWhatAPatternNamesInOrder) {
  write("lists.d/b.yaml", "");
  write("lists.d/a.yaml", "");
  write("lists.d/B.yaml", "");
  write("lists.d/a.txt", "");
  write("lists.d/deep/c.yaml", "");
  const auto paths = files_.glob((folder_ / "lists.d/*.yaml").string()).value();
  std::string names;
  for (const std::string& path : paths) names += fs::path(path).filename().string() + " ";
  EXPECT_EQ(names, "B.yaml a.yaml b.yaml ") << "by bytes, whatever the locale";
  EXPECT_TRUE(files_.glob((folder_ / "none.d/*.yaml").string()).value().empty());
  EXPECT_EQ(files_.glob("plain.yaml").value(), std::vector<std::string>{"plain.yaml"});
}

TEST(MemoryFiles, BehaveLikeThoseOnDisk) {
  MemoryFiles files({{"d/b.yaml", "b"}, {"d/a.yaml", "a"}, {"d/x/c.yaml", "c"}, {"d/.h.yaml", ""}});
  EXPECT_EQ(files.read("d/a.yaml", 1).value(), "a");
  EXPECT_EQ(files.read("d/a.yaml", 0).error(), "it is larger than 0 bytes");
  EXPECT_EQ(files.read("d/none", 1).error(), "No such file or directory");
  EXPECT_EQ(files.glob("d/*.yaml").value(), (std::vector<std::string>{"d/a.yaml", "d/b.yaml"}));
}

TEST(Files, StandBesideThePolicyThatNamesThem) {
  EXPECT_EQ(path_beside("policy.yaml", "lists/a.txt"), "lists/a.txt");
  EXPECT_EQ(path_beside("/etc/surgegate/policy.yaml", "lists/a.txt"), "/etc/surgegate/lists/a.txt");
  EXPECT_EQ(path_beside("/policy.yaml", "a.txt"), "/a.txt");
  EXPECT_EQ(path_beside("conf/policy.yaml", "/srv/a.txt"), "/srv/a.txt");
}

}  // namespace
}  // namespace surgegate::policy
