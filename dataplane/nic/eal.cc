// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nic/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace surgegate {
namespace {

// EAL keeps its sockets and locks under XDG_RUNTIME_DIR; where a user has none it wants /var/run.
void provide_runtime_directory() {
  if (getenv("XDG_RUNTIME_DIR") != nullptr || geteuid() == 0) return;
  std::error_code error;
  auto directory =
      std::filesystem::temp_directory_path(error) / ("surgegate-" + std::to_string(geteuid()));
  std::filesystem::create_directories(directory, error);
  if (!error) setenv("XDG_RUNTIME_DIR", directory.c_str(), 0);
}

}  // namespace

std::string start_eal(const EalOptions& options) {
  provide_runtime_directory();
  std::vector<std::string> words = {"surgegate", "--no-pci", "--no-shconf", "--no-telemetry",
                                    "--log-level=error"};
  if (options.hugepages) {
    words.push_back("--in-memory");
  } else {
    words.push_back("--no-huge");
    words.push_back("-m");
    words.push_back(std::to_string(options.memory_mib));
  }
  for (const std::string& device : options.virtual_devices) words.push_back("--vdev=" + device);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0) return {};
  return std::string("DPDK could not start: ") + rte_strerror(rte_errno) +
         (options.hugepages ? "; are hugepages reserved (/proc/sys/vm/nr_hugepages)?"
                            : "; is there enough free memory, and may XDG_RUNTIME_DIR be written?");
}

void stop_eal() {
  rte_eal_cleanup();
}

}  // namespace surgegate
