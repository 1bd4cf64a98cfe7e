// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/replay/replay.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "dataplane/link/load_policy.h"
#include "dataplane/nic/eal.h"
#include "dataplane/nic/mbuf_rings.h"
#include "dataplane/nic/rss.h"
#include "dataplane/replay/report.h"
#include "dataplane/replay/verdict_log.h"
#include "dataplane/table/scrubber.h"

namespace surgegate {
namespace {

// A NIC's poll loop under load looks at the clock some twenty thousand times a second. Replay's
// clock moves in the same steps, whatever the bursts, so that totals do not depend on how packets
// were grouped.
constexpr uint64_t tick_ns = 50'000;

constexpr size_t flows_max = 1u << 18;
constexpr size_t bucket_sets = 1u << 16;
constexpr uint32_t frame_bytes_max = 65'000;  // super-segments of hosts with receive offload
// A run's packets and a reset for each are all that is under way at once, whatever the number of
// workers; as many again, so that the pool's cache cannot hold back what is wanted.
constexpr uint32_t frames_max = 4 * SG_BURST_PACKETS_MAX;
constexpr uint32_t ring_frames = 2 * SG_BURST_PACKETS_MAX;
constexpr uint64_t progress_packets = 1u << 18;

// Fixed, so that a replay can be repeated.
constexpr sg_secret replay_secret = {0x7375726765676174ull, 0x657265706c617900ull};

volatile std::sig_atomic_t interrupted = 0;

void note_signal(int) {
  interrupted = 1;
}

// Ctrl-C must not leave files behind that nobody knows. No SA_RESTART: waiting for a pipe ends too.
void end_cleanly_on_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

int fail(const std::string& why) {
  fmt::print(stderr, "surgegate replay: {}\n", why);
  return 2;
}

// There are no neighbours in a file: each backend gets an address made from its own, and tunnels
// start at RFC 7600's dummy address (IPv6: the discard prefix of RFC 6666).
void invent_neighbours(const ImageView& image, NextHops& next_hops) {
  auto backends = image.backends();
  for (uint32_t slot = 0; slot < backends.size(); slot++) {
    const uint8_t* ip = backends[slot].ip;
    next_hops.set(slot, {0x02, 0x00, ip[12], ip[13], ip[14], ip[15]});
  }
}

constexpr TunnelSource replay_tunnel_source = {{192, 0, 0, 8},
                                               {0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

// All workers on one thread, in capture order.
class Stage {
 public:
  Stage(const PolicyInForce& policy, uint32_t workers, FramePool pool, Arena arena,
        CaptureWriter& out, Observer& observer, FateBook& fates)
      : pool_(std::move(pool)),
        rings_(workers, ring_frames),
        arena_(std::move(arena)),
        tables_(arena_, next_hops_, replay_tunnel_source),
        scrubber_(BucketTable(tables_.buckets), arena_.header()) {
    invent_neighbours(policy.image(), next_hops_);
    deal_shards(arena_, workers);
    for (uint32_t i = 0; i < workers; i++) {
      ports_.push_back(std::make_unique<ReplayPort>(pool_, &out, fates));
      workers_.push_back(std::make_unique<Worker>(i, tables_, *ports_[i],
                                                  workers > 1 ? &rings_ : nullptr, &observer));
    }
  }

  bool complete() const { return rings_.complete(); }

  bool adopt(const PolicyInForce& policy) {
    return std::all_of(workers_.begin(), workers_.end(),
                       [&](auto& worker) { return worker->adopt(policy); });
  }

  bool fill(const CapturedPacket& packet, uint64_t number, Frame& frame) {
    if (!pool_.allocate(frame)) return false;
    frame.length = static_cast<uint16_t>(std::min<size_t>(packet.bytes.size(), frame_bytes_max));
    std::memcpy(frame.bytes, packet.bytes.data(), frame.length);
    frame.room_back = static_cast<uint16_t>(frame.room_back - frame.length);
    frame.number = number;
    return true;
  }

  uint32_t arrival(const Frame& frame) const {
    sg_packet packet;
    sg_read_frame(frame.bytes, frame.bytes + frame.length, &packet);
    return rss_queue(packet, static_cast<uint32_t>(workers_.size()));
  }
  uint32_t owner(uint32_t arrival, const Frame& frame) const {
    return workers_[arrival]->owner_of(frame);
  }

  // What the supervisor of a live gate does all the time: no cell may grow so old that it looks
  // like the future. A capture may pause for days; after one that lasts as long as any bucket takes
  // to fill, all of them are full.
  void age_buckets(uint64_t paused_ns, uint64_t now_ns) {
    if (paused_ns >= SG_BUCKET_HORIZON_NS_MAX)
      std::fill(tables_.buckets.begin(), tables_.buckets.end(), sg_bucket_set{});
    if (now_ns - arena_.header().scrub_started_ns >= SG_SCRUB_PERIOD_NS)
      scrubber_.step(now_ns, std::numeric_limits<uint32_t>::max());
  }

  void push(uint32_t arrival, const Frame& frame) { ports_[arrival]->push(frame); }
  void run(uint32_t arrival, uint32_t owner, Instant now) {
    workers_[arrival]->poll(now);
    if (owner != arrival) workers_[owner]->poll(now);
  }

  std::vector<const Counters*> counters() const {
    std::vector<const Counters*> all;
    for (const auto& worker : workers_) all.push_back(&worker->counters());
    return all;
  }
  uint32_t frames_in_use() const { return pool_.frames_in_use(); }

 private:
  FramePool pool_;
  MbufRings rings_;
  NextHops next_hops_;
  Arena arena_;
  Tables tables_;
  Scrubber scrubber_;
  std::vector<std::unique_ptr<ReplayPort>> ports_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

class Observers final : public Observer {
 public:
  Observers(Tally& tally, VerdictLog* log) : tally_(tally), log_(log) {}
  void see(const Lane& lane, Instant now) override {
    tally_.see(lane, now);
    if (log_ != nullptr) log_->see(lane, now);
  }

 private:
  Tally& tally_;
  VerdictLog* log_;
};

// A run: consecutive packets that arrive at one worker, belong to one worker, and share a tick.
// Runs keep capture order whatever the number of workers.
class Replay {
 public:
  Replay(CaptureReader& in, Stage& stage, Tally& tally, FateBook& fates)
      : in_(in), stage_(stage), tally_(tally), fates_(fates) {}

  // Empty at the capture's end.
  std::string play() {
    for (;;) {
      auto packet = in_.next();
      if (interrupted) return "interrupted, nothing was written";
      if (!packet) return packet.error();
      if (!packet->has_value()) break;
      if (!take(**packet)) return "no frame left: a frame was not given back (please report this)";
      if (tally_.packets_in % progress_packets == 0 && isatty(STDERR_FILENO))
        fmt::print(stderr, "\r{} packets", tally_.packets_in);
    }
    flush();
    return {};
  }

 private:
  bool take(const CapturedPacket& packet) {
    Frame frame;
    if (!stage_.fill(packet, ++tally_.packets_in, frame)) return false;
    tally_.packets_cut += packet.cut || packet.bytes.size() > frame_bytes_max ? 1 : 0;
    tally_.packets_late += packet.time_ns + tick_ns < now_ns_ ? 1 : 0;
    uint64_t tick = std::max(now_ns_, packet.time_ns / tick_ns * tick_ns);
    uint32_t arrival = stage_.arrival(frame);
    uint32_t owner = stage_.owner(arrival, frame);
    bool same_run =
        count_ < SG_BURST_PACKETS_MAX && tick == now_ns_ && arrival == arrival_ && owner == owner_;
    if (!same_run) flush();
    if (tick != now_ns_) stage_.age_buckets(tick - now_ns_, tick);
    now_ns_ = tick;
    arrival_ = arrival;
    owner_ = owner;
    if (count_++ == 0) first_ = frame.number;
    fates_.enter(frame.number, packet.time_ns);
    stage_.push(arrival, frame);
    return true;
  }

  void flush() {
    if (count_ == 0) return;
    stage_.run(arrival_, owner_, {now_ns_, now_ns_ / 1'000'000'000});
    tally_.check_conservation(first_, first_ + count_ - 1);
    fates_.clear();
    count_ = 0;
  }

  CaptureReader& in_;
  Stage& stage_;
  Tally& tally_;
  FateBook& fates_;
  uint64_t now_ns_ = 0;
  uint64_t first_ = 0;
  uint32_t count_ = 0;
  uint32_t arrival_ = 0;
  uint32_t owner_ = 0;
};

struct Files {
  CaptureReader in;
  CaptureWriter out;
  std::optional<OutputFile> verdicts;
};

tl::expected<Files, std::string> open_files(const ReplayOptions& options) {
  auto in = CaptureReader::open(options.in_path);
  if (!in) return tl::unexpected(in.error());
  auto out = CaptureWriter::open(options.out_path);
  if (!out) return tl::unexpected(out.error());
  Files files{std::move(*in), std::move(*out), std::nullopt};
  if (options.verdicts_path.empty()) return files;
  auto verdicts = OutputFile::open(options.verdicts_path);
  if (!verdicts) return tl::unexpected(verdicts.error());
  files.verdicts.emplace(std::move(*verdicts));
  return files;
}

// All are complete before the first takes its place.
std::string commit(Files& files) {
  std::string fault = files.out.finish();
  if (fault.empty() && files.verdicts) fault = files.verdicts->finish();
  if (fault.empty()) fault = files.out.place();
  if (fault.empty() && files.verdicts) fault = files.verdicts->place();
  return fault;
}

// Empty, or which two names an operator has confused: what is read must not be overwritten.
std::string confused_files(const ReplayOptions& options) {
  struct Named {
    std::string_view option;
    const std::string& path;
  };
  const Named files[] = {{"--policy", options.policy_path},
                         {"--in", options.in_path},
                         {"--out", options.out_path},
                         {"--verdicts", options.verdicts_path}};
  for (size_t written : {2u, 3u})
    for (size_t other = 0; other < written; other++)
      if (!files[written].path.empty() && same_file(files[written].path, files[other].path))
        return fmt::format("{}: {} and {} are the same file: give one of them another name",
                           files[written].path, files[other].option, files[written].option);
  return {};
}

}  // namespace

int replay(const ReplayOptions& options) {
  end_cleanly_on_signals();
  std::string fault = confused_files(options);
  if (!fault.empty()) return fail(fault);
  auto policy = load_policy(options.policy_path, nullptr);
  if (!policy) return 2;  // the findings are printed
  auto files = open_files(options);
  if (!files) return fail(files.error());
  fault = start_eal({});
  if (!fault.empty()) return fail(fault);
  auto pool = FramePool::make(frames_max, frame_bytes_max);
  if (!pool) return fail(pool.error());
  ArenaOptions arena_options;
  arena_options.layout = state_layout(flows_max, bucket_sets);
  arena_options.secret = replay_secret;
  auto arena = Arena::open(arena_options);
  if (!arena) return fail(arena.error());
  FateBook fates;
  Tally tally(fates);
  std::optional<VerdictLog> log;
  if (files->verdicts) log.emplace(policy->image(), *files->verdicts, fates);
  Observers observers(tally, log ? &*log : nullptr);
  Stage stage(*policy, options.workers, std::move(*pool), std::move(*arena), files->out, observers,
              fates);
  if (!stage.complete()) return fail("no memory for the rings between workers");
  if (!stage.adopt(*policy)) return fail("no memory for the signatures' scratch space");
  fault = Replay(files->in, stage, tally, fates).play();
  if (!fault.empty()) return fail(fault);
  if (tally.violation.empty() && stage.frames_in_use() != 0)
    tally.violation = fmt::format("{} frames were not given back", stage.frames_in_use());
  fault = commit(*files);
  if (!fault.empty()) return fail(fault);
  auto counters = stage.counters();
  ReportInput input{policy->image(), tally, counters, options.in_path, isatty(STDOUT_FILENO) != 0};
  std::fputs((options.json ? report_json(input) : report_text(input)).c_str(), stdout);
  return tally.violation.empty() ? 0 : 1;
}

}  // namespace surgegate
