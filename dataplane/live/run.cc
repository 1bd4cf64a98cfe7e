// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/live/run.h"

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <thread>

#include "dataplane/link/interface.h"
#include "dataplane/link/load_policy.h"
#include "dataplane/link/neighbours.h"
#include "dataplane/nic/eal.h"
#include "dataplane/nic/ethdev_port.h"
#include "dataplane/path/decide.h"
#include "dataplane/replay/report.h"
#include "dataplane/table/scrubber.h"
#include "dataplane/worker.h"

namespace surgegate {
namespace {

constexpr uint32_t frames = 8192;
constexpr uint32_t frame_bytes_max = 2048;
constexpr uint32_t idle_polls_max = 1000;  // then the core is given away for a moment
constexpr timespec idle_pause = {0, 50'000};
constexpr timespec mirror_period = {0, 200'000'000};
constexpr uint32_t resolving_looks =
    20;  // longer than the kernel asks for an address: 3 times, 1 s each

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

// The supervisor: keeps link addresses current and buckets scrubbed while the worker works, and
// tells of the interface. Returns when the worker is to end: on a signal, or without an interface.
void supervise(const std::string& interface, LinkWatch& link, const ImageView& image,
               NextHops& next_hops, Scrubber& scrubber) {
  uint32_t known = UINT32_MAX, looks = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    if (const std::string change = link.look(); !change.empty())
      fmt::print(stderr, "surgegate run: {}\n", change);
    if (link.is_gone()) return stopping.store(true, std::memory_order_relaxed);
    NeighbourCount count = mirror_neighbours(interface, image, next_hops);
    looks = count.known == known ? looks + 1 : 0;
    known = count.known;
    if (looks == 0)
      fmt::print(stderr, "surgegate run: {} of {} backends have a link address on {}\n",
                 count.known, count.wanted, interface);
    if (looks == resolving_looks && count.known < count.wanted)
      fmt::print(stderr,
                 "surgegate run: packets for the rest are dropped (no_next_hop): a backend must "
                 "be up, and on the segment of {}; see `ip neigh show dev {}`\n",
                 interface, interface);
    scrubber.step(read_clock().monotonic_ns);
    nanosleep(&mirror_period, nullptr);
  }
}

// SIGHUP, which will once mean to read the policy again, ends a gate like the others: its account
// is not lost with the terminal. But not for who said that a hangup should not (nohup).
void await_signals() {
  std::signal(SIGTERM, stop);
  std::signal(SIGINT, stop);
  if (std::signal(SIGHUP, stop) == SIG_IGN) std::signal(SIGHUP, SIG_IGN);
}

// What the worker has counted, as replay's report takes it.
void tell(const Counters& counters, const EthdevPort& port, const ImageView& image,
          const RunOptions& options) {
  FateBook no_fates;
  Tally tally(no_fates);
  tally.packets_in = counters.packets_in;
  for (size_t service = 0; service <= SG_SERVICES_MAX; service++) {
    for (const Rule& rule : rules()) {
      const uint64_t packets = counters.by_service[service][rule.reason];
      if (packets == 0) continue;
      tally.verdicts[rule.verdict] += packets;
      tally.by_service[service == SG_SERVICES_MAX ? SG_NONE16 : static_cast<uint32_t>(service)]
                      [rule.reason] = packets;
    }
  }
  for (uint16_t slot = 0; slot < image.backends().size(); slot++)
    if (const BackendCounts& backend = counters.backends[slot]; backend.packets > 0)
      tally.backends[slot] = {backend.packets, backend.connections, 0};
  const Counters* const all[] = {&counters};
  ReportInput input{image, tally, all, options.interface, isatty(STDOUT_FILENO) != 0, true};
  const auto report = options.json ? live_report_json : live_report_text;
  std::fputs(report(input, port.frames_for_all(), port.frames_of_others()).c_str(), stdout);
}

}  // namespace

int run(const RunOptions& options) {
  const unsigned index = if_nametoindex(options.interface.c_str());
  if (index == 0)
    return fail("there is no interface `" + options.interface + "` here (see `ip link`)");
  auto policy = load_policy(options.policy_path, nullptr);
  if (policy == nullptr) return 2;
  std::string fault = tunnel_fault(policy->image());
  if (!fault.empty()) return fail(fault);
  fault = interface_fault(options.interface);
  if (!fault.empty()) return fail(fault);
  EalOptions eal;
  eal.virtual_devices.push_back("net_af_packet0,iface=" + options.interface);
  fault = start_eal(eal);
  if (!fault.empty()) return fail(fault);
  auto pool = FramePool::make(frames, frame_bytes_max);
  if (!pool) return fail(pool.error());
  auto port = EthdevPort::start(0, *pool);
  if (!port) return fail(options.interface + ": " + port.error());

  ArenaOptions arena_options;
  arena_options.layout = state_layout(run_flows_max, run_bucket_sets);
  arena_options.now_ns = read_clock().monotonic_ns;
  auto arena = Arena::open(arena_options);
  if (!arena) return fail(arena.error());
  deal_shards(*arena, 1);
  NextHops next_hops;
  Tables tables(*arena, next_hops, {});
  tables.kept_heads_max = run_kept_heads;
  Worker worker(0, tables, **port, nullptr, nullptr);
  if (!worker.adopt(*policy)) return fail("no memory for the signatures' scratch space");

  await_signals();
  fmt::print(stderr, "surgegate run: on {} with {}\n", options.interface, options.policy_path);
  std::thread thread(work, std::ref(worker));
  Scrubber scrubber(BucketTable(tables.buckets), arena->header());
  LinkWatch link(options.interface, static_cast<int>(index));
  supervise(options.interface, link, policy->image(), next_hops, scrubber);
  thread.join();
  tell(worker.counters(), **port, policy->image(), options);
  return link.is_gone() ? 2 : 0;
}

}  // namespace surgegate
