// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/arena.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "config/limits.h"

namespace surgegate {

namespace {

constexpr const char* boot_id_path = "/proc/sys/kernel/random/boot_id";

using BootId = std::array<uint8_t, 16>;

tl::expected<BootId, std::string> parse_boot_id(const std::string& text) {
  BootId id{};
  size_t digits = 0;
  for (const char c : text) {
    if (c == '-' || c == '\n') continue;
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0 || digits == 32)
      return tl::unexpected(fmt::format("arena: the boot id \"{}\" is not a UUID", text));
    id[digits / 2] = static_cast<uint8_t>(id[digits / 2] << 4 | value);
    digits++;
  }
  if (digits == 32) return id;
  return tl::unexpected(fmt::format("arena: the boot id \"{}\" is not a UUID", text));
}

tl::expected<BootId, std::string> boot_id_of(const ArenaOptions& options) {
  if (!options.boot_id.empty()) return parse_boot_id(options.boot_id);
  std::string text;
  if (!std::getline(std::ifstream(boot_id_path), text))
    return tl::unexpected(fmt::format(
        "arena: cannot read {}; without it nobody can tell whether the state is of this boot: "
        "mount /proc",
        boot_id_path));
  return parse_boot_id(text);
}

tl::expected<sg_secret, std::string> random_secret() {
  sg_secret secret{};
  if (getrandom(&secret, sizeof(secret), 0) == sizeof(secret)) return secret;
  return tl::unexpected(
      fmt::format("arena: cannot draw a secret: getrandom: {}; give one with the "
                  "options, the same on every start",
                  strerror(errno)));
}

uint64_t hash_of(const ArenaLayout& layout) {
  std::array<__u64, region_count + 1> words{arena_abi};
  for (size_t i = 0; i < region_count; i++) {
    const RegionSize& size = layout.sizes()[i];
    words[i + 1] = uint64_t{size.record_bytes} << 32 | size.record_count;
  }
  const sg_secret no_secret{};
  return sg_hash_words(&no_secret, words.data(), words.size());
}

tl::expected<void, std::string> check(const ArenaLayout& layout) {
  for (size_t i = 0; i < region_count; i++) {
    const RegionSize& size = layout.sizes()[i];
    if (size.record_count != 0 && (size.record_bytes == 0 || size.record_bytes % 8 != 0))
      return tl::unexpected(
          fmt::format("arena: the region {} has records of {} bytes; they must be a multiple of 8",
                      region_names[i], size.record_bytes));
  }
  return {};
}

template <typename T>
T& first_record(const ArenaMemory& memory, Region region) {
  return *reinterpret_cast<T*>(memory.region(region).data());
}

// Why memory of the right sizes is still not the arena that is wanted; empty: it is.
std::string unfit(const ArenaMemory& memory, uint64_t layout_hash, const BootId& boot_id,
                  const std::optional<sg_secret>& wanted_secret) {
  const ArenaHeader& header = first_record<ArenaHeader>(memory, Region::header);
  if (__atomic_load_n(&header.magic, __ATOMIC_ACQUIRE) != arena_magic)
    return "it was left unfinished when it was made";
  if (header.layout_hash != layout_hash) return "it was made for another layout";
  if (!std::equal(boot_id.begin(), boot_id.end(), header.boot_id))
    return "it is from before the last boot, and its times mean nothing now";
  if (header.secret_id != secret_id_of(first_record<sg_secret>(memory, Region::secret)))
    return "its secret is not the one that it was made with";
  if (wanted_secret && header.secret_id != secret_id_of(*wanted_secret))
    return "it was made with another secret";
  return {};
}

void write_header(const ArenaMemory& memory, uint64_t layout_hash, const BootId& boot_id,
                  const sg_secret& secret, uint64_t now_ns) {
  first_record<sg_secret>(memory, Region::secret) = secret;
  ArenaHeader& header = first_record<ArenaHeader>(memory, Region::header);
  header.layout_hash = layout_hash;
  std::copy(boot_id.begin(), boot_id.end(), header.boot_id);
  header.secret_id = secret_id_of(secret);
  header.created_ns = now_ns;
  header.last_scrub_ns = header.scrub_started_ns = now_ns;
  __atomic_store_n(&header.magic, arena_magic, __ATOMIC_RELEASE);
}

// Cells older than SG_BUCKET_STALE_NS_MAX would look like the future. Word by word: XDP may be at
// work on the same cells, and must never see a torn one. Returns why, or nothing if all is well.
std::string clear_stale_buckets(const ArenaMemory& memory, uint64_t now_ns) {
  ArenaHeader& header = first_record<ArenaHeader>(memory, Region::header);
  const uint64_t age_ns = now_ns - header.last_scrub_ns;
  if (age_ns <= SG_BUCKET_STALE_NS_MAX) return {};
  const std::span<std::byte> buckets = memory.region(Region::buckets);
  __u64* words = reinterpret_cast<__u64*>(buckets.data());
  for (size_t i = 0; i < buckets.size() / sizeof(__u64); i++)
    __atomic_store_n(&words[i], 0, __ATOMIC_RELAXED);
  header.last_scrub_ns = header.scrub_started_ns = now_ns;
  header.scrub_next_cell = 0;
  constexpr uint64_t ns_per_hour = 3600ull * 1000000000;
  return fmt::format("its buckets were last scrubbed {} h ago, and {} h is the most they may be",
                     age_ns / ns_per_hour, SG_BUCKET_STALE_NS_MAX / ns_per_hour);
}

std::unique_ptr<ArenaBacking> backing_for(const ArenaOptions& options) {
  switch (options.kind) {
    case ArenaKind::huge_file:
      return huge_file_backing(options.path);
    case ArenaKind::bpf_maps:
      return bpf_maps_backing(options.path);
    case ArenaKind::memory:
      break;
  }
  return plain_memory_backing();
}

}  // namespace

uint64_t secret_id_of(const sg_secret& secret) {
  const __u64 word = arena_magic;
  return sg_hash_words(&secret, &word, 1);
}

tl::expected<Arena, std::string> Arena::open(ArenaOptions options) {
  options.layout[Region::header] = {sizeof(ArenaHeader), 1};
  options.layout[Region::secret] = {sizeof(sg_secret), 1};
  if (auto checked = check(options.layout); !checked) return tl::unexpected(checked.error());
  const uint64_t layout_hash = hash_of(options.layout);
  const auto boot_id = boot_id_of(options);
  if (!boot_id) return tl::unexpected(boot_id.error());

  const std::unique_ptr<ArenaBacking> backing = backing_for(options);
  if (auto locked = backing->lock(); !locked) return tl::unexpected(locked.error());
  auto found = backing->find(options.layout);
  if (!found) return tl::unexpected(found.error());
  if (found->memory) found->unfit = unfit(*found->memory, layout_hash, *boot_id, options.secret);
  if (found->memory && found->unfit.empty()) {
    std::string reason = clear_stale_buckets(*found->memory, options.now_ns);
    const ArenaState state = reason.empty() ? ArenaState::kept : ArenaState::buckets_cleared;
    first_record<ArenaHeader>(*found->memory, Region::header).generation++;
    return Arena(std::move(*found->memory), state, std::move(reason));
  }

  found->memory.reset();  // its huge pages are needed for the new one
  const auto secret =
      options.secret ? tl::expected<sg_secret, std::string>(*options.secret) : random_secret();
  if (!secret) return tl::unexpected(secret.error());
  auto memory = backing->create(options.layout);
  if (!memory) return tl::unexpected(memory.error());
  write_header(*memory, layout_hash, *boot_id, *secret, options.now_ns);
  first_record<ArenaHeader>(*memory, Region::header).generation = 1;
  const ArenaState state = found->unfit.empty() ? ArenaState::created : ArenaState::recreated;
  return Arena(std::move(*memory), state, std::move(found->unfit));
}

}  // namespace surgegate
