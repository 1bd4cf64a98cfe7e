// SPDX-License-Identifier: BSD-3-Clause
// A policy image that somebody changed, with all its checksums made right: ImageView::open refuses
// it, or everything that can be followed in it can be followed. An input is a list of changes to an
// image that is compiled at the start; each of eight bytes:
//   which part (a section by its place in the table, else the manifest and the table itself),
//   how (set, add, copy from another place of the part), where in it (16 bits), what (32 bits).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "config/compile.h"
#include "config/image.h"
#include "tests/unit/config/policy_samples.h"

namespace surgegate {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "policy_image_fuzz: %s\n", what);
  std::abort();
}

// Maglev tables of 13 entries instead of 65,537: what is interesting is then most of the image.
void shrink_tables(const ImageView& view, ImageSections& sections) {
  constexpr uint32_t size = 13;
  sections.maglev.clear();
  sections.maglev_previous.clear();
  for (sg_pool& pool : sections.pools) {
    const auto table = view.maglev().subspan(pool.maglev_first, size);
    pool.maglev_first = static_cast<uint32_t>(sections.maglev.size());
    pool.previous_first = static_cast<uint32_t>(sections.maglev_previous.size());
    pool.maglev_size = pool.previous_size = size;
    sections.maglev.insert(sections.maglev.end(), table.begin(), table.end());
    sections.maglev_previous.insert(sections.maglev_previous.end(), table.begin(), table.end());
  }
}

const ImageBytes& base_image() {
  static const ImageBytes bytes = [] {
    const Compiled compiled = compile({samples::full(), 1, nullptr});
    auto view = ImageView::open(compiled.bytes);
    require(view.has_value(), "the image to start from is refused");
    ImageSections sections = copy_sections(*view);
    shrink_tables(*view, sections);
    return *assemble_image(sections, 1);
  }();
  return bytes;
}

struct Change {
  uint8_t part;
  uint8_t how;
  uint16_t at;
  uint32_t what;
};
static_assert(sizeof(Change) == 8);

std::span<std::byte> part_of(std::span<std::byte> image, uint8_t part) {
  constexpr size_t head = sizeof(sg_manifest) + image_section_count * sizeof(sg_section);
  if (part >= image_section_count) return image.first(head);
  sg_section section;  // as it stands in the base: a change of the table must not redirect others
  std::memcpy(&section, base_image().data() + sizeof(sg_manifest) + part * sizeof(section),
              sizeof(section));
  return image.subspan(section.offset_bytes, section.length_bytes);
}

template <class T>
void store(std::span<std::byte> part, const Change& change) {
  if (part.size() < sizeof(T)) return;
  // Large sections: 16 bits reach everything, on multiples of the value's size.
  const size_t at = change.at * sizeof(T) % (part.size() - sizeof(T) + 1);
  T value;
  std::memcpy(&value, part.data() + at, sizeof(T));
  if (change.how & 4)
    value = static_cast<T>(value + change.what);
  else if (change.how & 8)
    std::memcpy(&value, part.data() + change.what % (part.size() - sizeof(T) + 1), sizeof(T));
  else
    value = static_cast<T>(static_cast<int32_t>(change.what));
  std::memcpy(part.data() + at, &value, sizeof(T));
}

void change_part(std::span<std::byte> image, const Change& change) {
  const auto part = part_of(image, change.part);
  switch (change.how & 3) {
    case 0:
      return store<uint8_t>(part, change);
    case 1:
      return store<uint16_t>(part, change);
    case 2:
      return store<uint32_t>(part, change);
    default:
      return store<uint64_t>(part, change);
  }
}

// Sums what it reads, so that nothing is optimised away.
class Walk {
 public:
  explicit Walk(const ImageView& image) : image_(image) {}

  void text(const sg_text& text) {
    for (char c : image_.text(text)) sum_ += static_cast<uint8_t>(c);
  }

  void run(const sg_limit_run& run) {
    require(run.count <= SG_SERVICE_LIMITS_MAX, "a run that is too long");
    for (uint16_t index : image_.limit_run(run)) limit(image_.limits()[index]);
  }

  void limit(const sg_limit& limit) {
    text(limit.name);
    for (uint8_t k = 0; k < limit.key_part_count; k++)
      if (limit.key[k].kind == SG_KEY_HEADER) text(image_.key_headers()[limit.key[k].header_index]);
    for (uint16_t index : {limit.over_response, limit.missing_response, limit.unknown_response})
      if (index != SG_NONE16) response(image_.responses()[index]);
    if (limit.known_list != SG_NONE16) list(image_.lists()[limit.known_list]);
    sum_ += limit.rule.horizon_ns / limit.rule.interval_ns * limit.units_per_charge;
    int hops = 0;
    for (uint16_t next = limit.missing_limit; next != SG_NONE16;
         next = image_.limits()[next].missing_limit)
      require(++hops <= SG_MISSING_LIMITS_MAX, "a chain of limits that is too long");
  }

  // Written as the dataplane does, into what one segment has room for.
  void response(const sg_response& response) {
    char segment[SG_RESPONSE_BYTES_MAX];
    size_t at = 0;
    const auto put = [&](const sg_text& run) {
      const auto bytes = image_.text(run);
      require(at + bytes.size() <= sizeof(segment), "an answer larger than a segment");
      std::memcpy(segment + at, bytes.data(), bytes.size());
      at += bytes.size();
    };
    put(response.status_line);
    at += SG_DATE_BYTES;
    put(response.retry_label);
    if (response.retry_label.length_bytes) at += SG_RETRY_DIGITS_MAX;
    put(response.fields);
    put(response.body);
    require(at <= sizeof(segment), "an answer larger than a segment");
    sum_ += at;
  }

  void list(const sg_list& list) {
    text(list.name);
    for (const auto& key : image_.key_digests().subspan(list.keys_first, list.keys_count))
      sum_ += key.sha256[31];
    if (list.deny_response != SG_NONE16) response(image_.responses()[list.deny_response]);
  }

  void database(uint16_t index) {
    if (index == SG_NONE16) return;
    const sg_database& database = image_.databases()[index];
    for (uint8_t byte : image_.database_bytes().subspan(database.bytes_first, database.bytes_count))
      sum_ += byte;
    for (const sg_pattern& pattern :
         image_.patterns().subspan(database.pattern_first, database.pattern_count))
      text(image_.signatures()[pattern.set].name);
  }

  void service(const sg_service& service) {
    text(service.name);
    for (const sg_limit_run& limits : service.limits) run(limits);
    pool(image_.pools()[service.pool]);
    database(service.user_agent_database);
    for (const sg_route& route :
         image_.routes().subspan(service.routes_first, service.routes_count)) {
      text(route.path);
      text(route.method);
      text(route.host);
      run(route.limits);
      database(route.user_agent_database);
      for (const sg_route_header& header :
           image_.route_headers().subspan(route.headers_first, route.headers_count)) {
        text(header.value);
        text(image_.key_headers()[header.header_index]);
      }
    }
    for (const sg_penalty& penalty :
         image_.penalties().subspan(service.penalties_first, service.penalties_count))
      text(penalty.name);
  }

  void pool(const sg_pool& pool) {
    text(pool.health_path);
    for (uint16_t slot : image_.maglev().subspan(pool.maglev_first, pool.maglev_size))
      sum_ += image_.backends()[slot].ip[15];
    for (uint16_t slot : image_.maglev_previous().subspan(pool.previous_first, pool.previous_size))
      if (slot != SG_NONE16) text(image_.backends()[slot].name);
  }

  void address(const uint8_t* ip) {
    const sg_lookup lookup = image_.lookup();
    const uint64_t mask = image_.list_masks()[sg_lookup_value(&lookup, ip)];
    for (uint16_t bit = 0; bit < 64; bit++)
      if (mask >> bit & 1) list(image_.lists()[bit]);
    const sg_vip* vip = image_.find_vip(ip, sg_be16(80), 6);
    if (vip) service(image_.services()[vip->service]);
  }

  void everything() {
    for (const sg_service& each : image_.services()) service(each);
    for (const sg_limit& each : image_.limits()) limit(each);
    for (const sg_response& each : image_.responses()) response(each);
    for (const sg_list& each : image_.lists()) list(each);
    for (const sg_pool& each : image_.pools()) pool(each);
    for (const sg_backend& each : image_.backends()) text(each.name);
    for (const sg_client_rule& each : image_.clients()) {
      list(image_.lists()[each.list]);
      text(image_.key_headers()[each.header_index]);
    }
    for (const sg_signature_set& each : image_.signatures()) {
      text(each.name);
      if (each.response != SG_NONE16) response(image_.responses()[each.response]);
    }
    for (const sg_pattern& each : image_.patterns()) text(each.text);
    for (const sg_vip& vip : image_.vips()) {
      address(vip.ip);
      require(!vip.used || image_.find_vip(vip.ip, vip.port_be, vip.protocol) == &vip,
              "a VIP that cannot be found");
    }
  }

  uint64_t sum() const { return sum_; }

 private:
  const ImageView& image_;
  uint64_t sum_ = 0;
};

// An image in force is also what the next one is compiled from.
void compile_next(const ImageView& image) {
  const Compiled next = compile({samples::small(), 2, &image});
  if (!next.bytes.empty())
    require(ImageView::open(next.bytes).has_value(),
            "the image compiled after this one is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t changes_max = 64;
  // Exactly as long as the image: what is read beyond it is AddressSanitizer's to tell.
  static ImageBytes image = base_image();
  image = base_image();
  for (size_t at = 0; at + sizeof(Change) <= size && at < changes_max * sizeof(Change);
       at += sizeof(Change)) {
    Change change;
    std::memcpy(&change, data + at, sizeof(change));
    change_part(image, change);
  }
  reseal_image(image);
  auto view = ImageView::open(image);
  if (!view) return 0;
  Walk walk(*view);
  walk.everything();
  uint8_t ip[16] = {};
  for (size_t at = 0; at + 4 <= size; at += 4) {
    std::memcpy(ip + (at * 4 % 16), data + at, 4);
    walk.address(ip);
    const auto mapped = samples::ipv4(data[at], data[at + 1], data[at + 2], data[at + 3]).bytes;
    walk.address(mapped.data());
  }
  asm volatile("" : : "r"(walk.sum()));
  if (size / sizeof(Change) == 5) compile_next(*view);
  return 0;
}

}  // namespace surgegate
