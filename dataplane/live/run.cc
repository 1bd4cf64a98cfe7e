// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/live/run.h"

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "dataplane/link/load_policy.h"
#include "dataplane/link/neighbours.h"
#include "dataplane/nic/eal.h"
#include "dataplane/nic/ethdev_port.h"
#include "dataplane/path/decide.h"
#include "dataplane/table/scrubber.h"
#include "dataplane/worker.h"

namespace surgegate {
namespace {

constexpr size_t flows_max = 1u << 18;
constexpr size_t bucket_sets = 1u << 17;  // 1 M cells
constexpr uint32_t frames = 8192;
constexpr uint32_t frame_bytes_max = 2048;
constexpr uint32_t idle_polls_max = 1000;  // then the core is given away for a moment
constexpr timespec idle_pause = {0, 50'000};
constexpr timespec mirror_period = {0, 200'000'000};

std::atomic<bool> stopping = false;

void stop(int) {
  stopping.store(true, std::memory_order_relaxed);
}

int fail(const std::string& why) {
  fmt::print(stderr, "surgegate run: {}\n", why);
  return 2;
}

// Empty, or which pool cannot be served: a tunnel needs an address of ours to start at.
std::string tunnel_fault(const ImageView& image) {
  for (const sg_pool& pool : image.pools())
    if (pool.forward != SG_FORWARD_L2)
      return fmt::format(
          "pool `{}` forwards through a tunnel, which would start at no address: `run` has none to "
          "give it in this version; use `forward: l2`, with backends on the interface's own link",
          image.text(pool.name));
  return {};
}

Instant read_clock() {
  timespec monotonic, real;
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  clock_gettime(CLOCK_REALTIME_COARSE, &real);
  return {static_cast<uint64_t>(monotonic.tv_sec) * 1'000'000'000 +
              static_cast<uint64_t>(monotonic.tv_nsec),
          static_cast<uint64_t>(real.tv_sec)};
}

void work(Worker& worker) {
  uint32_t idle_polls = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    idle_polls = worker.poll(read_clock()) > 0 ? 0 : idle_polls + 1;
    if (idle_polls > idle_polls_max) nanosleep(&idle_pause, nullptr);
  }
}

// The supervisor: keeps link addresses current and buckets scrubbed while the worker works.
void supervise(const std::string& interface, const ImageView& image, NextHops& next_hops,
               Scrubber& scrubber) {
  uint32_t known = UINT32_MAX;
  while (!stopping.load(std::memory_order_relaxed)) {
    NeighbourCount count = mirror_neighbours(interface, image, next_hops);
    if (count.known != known)
      fmt::print(stderr, "surgegate run: {} of {} backends have a link address on {}\n",
                 count.known, count.wanted, interface);
    known = count.known;
    scrubber.step(read_clock().monotonic_ns);
    nanosleep(&mirror_period, nullptr);
  }
}

void print_account(const Counters& counters, const EthdevPort& port, const ImageView& image,
                   bool json) {
  nlohmann::ordered_json out;
  out["packets"] = counters.packets_in;
  out["packets_for_all"] = port.frames_for_all();
  out["packets_of_others"] = port.frames_of_others();
  out["reasons"] = nlohmann::ordered_json::array();
  for (size_t service = 0; service <= SG_SERVICES_MAX; service++) {
    for (const Rule& rule : rules()) {
      uint64_t count = counters.by_service[service][rule.reason];
      if (count == 0) continue;
      std::string name = "-";
      if (service < image.services().size()) name = image.text(image.services()[service].name);
      if (!json)
        fmt::print("{:<16} {:<10} {:<24} {:>9}\n", name, name_of(rule.verdict), rule.name, count);
      out["reasons"].push_back({{"service", name},
                                {"verdict", name_of(rule.verdict)},
                                {"reason", rule.name},
                                {"packets", count}});
    }
  }
  if (json) return fmt::print("{}\n", out.dump(2));
  fmt::print("not counted above: {} frames for all stations, {} for others\n",
             port.frames_for_all(), port.frames_of_others());
}

}  // namespace

int run(const RunOptions& options) {
  if (if_nametoindex(options.interface.c_str()) == 0)
    return fail("there is no interface `" + options.interface + "` here (see `ip link`)");
  auto policy = load_policy(options.policy_path, nullptr);
  if (policy == nullptr) return 2;
  std::string fault = tunnel_fault(policy->image());
  if (!fault.empty()) return fail(fault);
  if (geteuid() != 0) return fail("raw packets need root (or CAP_NET_RAW and CAP_NET_ADMIN)");
  EalOptions eal;
  eal.virtual_devices.push_back("net_af_packet0,iface=" + options.interface);
  fault = start_eal(eal);
  if (!fault.empty()) return fail(fault);
  auto pool = FramePool::make(frames, frame_bytes_max);
  if (!pool) return fail(pool.error());
  auto port = EthdevPort::start(0, *pool);
  if (!port) return fail(options.interface + ": " + port.error());

  ArenaOptions arena_options;
  arena_options.layout = state_layout(flows_max, bucket_sets);
  arena_options.now_ns = read_clock().monotonic_ns;
  auto arena = Arena::open(arena_options);
  if (!arena) return fail(arena.error());
  deal_shards(*arena, 1);
  NextHops next_hops;
  Tables tables(*arena, next_hops, {});
  Worker worker(0, tables, **port, nullptr, nullptr);
  if (!worker.adopt(*policy)) return fail("no memory for the signatures' scratch space");

  std::signal(SIGTERM, stop);
  std::signal(SIGINT, stop);
  fmt::print(stderr, "surgegate run: on {} with {}\n", options.interface, options.policy_path);
  std::thread thread(work, std::ref(worker));
  Scrubber scrubber(BucketTable(tables.buckets), arena->header());
  supervise(options.interface, policy->image(), next_hops, scrubber);
  thread.join();
  print_account(worker.counters(), **port, policy->image(), options.json);
  return 0;
}

}  // namespace surgegate
