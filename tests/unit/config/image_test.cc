// SPDX-License-Identifier: BSD-3-Clause
#include "config/image.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <functional>
#include <string>

#include "config/compile.h"
#include "tests/unit/config/policy_samples.h"

namespace surgegate {
namespace {

ImageBytes full_image() {
  static const ImageBytes bytes = compile({samples::full(), 3, nullptr}).bytes;
  return bytes;
}

std::string refusal(std::span<const std::byte> bytes) {
  auto view = ImageView::open(bytes);
  return view ? "accepted" : view.error();
}

sg_manifest& manifest_of(ImageBytes& bytes) {
  return *reinterpret_cast<sg_manifest*>(bytes.data());
}

sg_section& section_of(ImageBytes& bytes, ImageSection which) {
  auto* table = reinterpret_cast<sg_section*>(bytes.data() + sizeof(sg_manifest));
  return table[static_cast<size_t>(which)];
}

template <class T>
T& record_of(ImageBytes& bytes, ImageSection which, size_t index) {
  return reinterpret_cast<T*>(bytes.data() + section_of(bytes, which).offset_bytes)[index];
}

// What open() says of the full image after one record was changed and the checksums were made
// right.
template <class T>
std::string refusal_of(ImageSection which, size_t index, const std::function<void(T&)>& change) {
  ImageBytes bytes = full_image();
  change(record_of<T>(bytes, which, index));
  reseal_image(bytes);
  return refusal(bytes);
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "`" << text << "` lacks `" << part << "`";
}

TEST(Image, OpensWhatTheCompilerMade) {
  const ImageBytes bytes = full_image();
  auto view = ImageView::open(bytes);
  ASSERT_TRUE(view) << view.error();
  EXPECT_EQ(view->revision(), 3u);
  EXPECT_EQ(view->services().size(), 2u);
  EXPECT_EQ(view->text(view->services()[0].name), "shop");
}

TEST(Image, AnAssembledCopyOfAViewIsTheSameImage) {
  const ImageBytes bytes = full_image();
  auto view = ImageView::open(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(*assemble_image(copy_sections(*view), 3), bytes);
}

TEST(Image, OneSectionCanBeReplaced) {
  const ImageBytes bytes = full_image();
  auto view = ImageView::open(bytes);
  ImageSections sections = copy_sections(*view);
  sections.backends[0].state = SG_BACKEND_DRAIN;
  const ImageBytes refused = *assemble_image(sections, 4);
  expect_contains(refusal(refused), "takes no new flows");  // its Maglev table must go with it
  sections.pools[0].maglev_size = 0;
  const sg_pool& names = sections.pools[1];
  sections.maglev = {sections.maglev.begin() + names.maglev_first, sections.maglev.end()};
  sections.pools[1].maglev_first = 0;
  const ImageBytes replaced = *assemble_image(sections, 4);
  auto after = ImageView::open(replaced);
  ASSERT_TRUE(after) << after.error();
  EXPECT_EQ(after->backends()[0].state, SG_BACKEND_DRAIN);
  EXPECT_EQ(after->database_bytes().size(), view->database_bytes().size());
}

// Every bit of manifest, section table and a sample of the rest is covered by a checksum.
TEST(Image, RefusesEveryFlippedBit) {
  const ImageBytes whole = full_image();
  ImageBytes bytes = whole;
  const size_t head = sizeof(sg_manifest) + image_section_count * sizeof(sg_section);
  for (size_t i = 0; i < ImageView::open(whole)->bytes().size(); i += i < head ? 1 : 8191) {
    // Between two sections lie bytes that nobody reads.
    bool is_read = i < head;
    for (size_t s = 0; s < image_section_count; s++) {
      const sg_section& section = section_of(bytes, static_cast<ImageSection>(s));
      is_read =
          is_read || (i >= section.offset_bytes && i < section.offset_bytes + section.length_bytes);
    }
    if (!is_read) continue;
    bytes[i] ^= std::byte{1};
    EXPECT_NE(refusal(bytes), "accepted") << "byte " << i;
    bytes[i] = whole[i];
  }
}

TEST(Image, RefusesEveryTruncation) {
  const ImageBytes whole = full_image();
  for (size_t length = 0; length < whole.size(); length += length < 2048 ? 1 : 16381) {
    const ImageBytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_NE(refusal(cut), "accepted") << length;
  }
}

TEST(Image, RefusesAnUnalignedBase) {
  ImageBytes bytes = full_image();
  bytes.insert(bytes.begin(), 8, std::byte{});
  expect_contains(refusal(std::span(bytes).subspan(8)), "64-byte boundary");
}

TEST(Image, RefusesAnotherMagicOrVersion) {
  ImageBytes bytes = full_image();
  manifest_of(bytes).abi++;
  reseal_image(bytes);
  expect_contains(refusal(bytes), "abi");
  bytes = full_image();
  manifest_of(bytes).magic ^= 1;
  reseal_image(bytes);
  expect_contains(refusal(bytes), "not a policy image");
}

TEST(Image, AnUnknownSectionIsRefusedOnlyWhereItIsRequired) {
  const ImageBytes bytes = full_image();
  const size_t head = sizeof(sg_manifest) + image_section_count * sizeof(sg_section);
  // Everything behind the section table moves by a cache line, which gives room for one more entry.
  ImageBytes grown(bytes.size() + 64);
  std::memcpy(grown.data(), bytes.data(), head);
  std::memcpy(grown.data() + head + 64, bytes.data() + head, bytes.size() - head);
  for (size_t s = 0; s < image_section_count; s++)
    section_of(grown, static_cast<ImageSection>(s)).offset_bytes += 64;
  sg_section& added = section_of(grown, ImageSection::count);
  added = {SG_TAG('N', 'E', 'W', 'S'), 0, 0, 1, 0, (head + 127) & ~63ull, 0, 0};
  manifest_of(grown).section_count = static_cast<__u32>(image_section_count + 1);
  manifest_of(grown).length_bytes = grown.size();
  reseal_image(grown);
  EXPECT_EQ(refusal(grown), "accepted");
  added.required = 1;
  reseal_image(grown);
  expect_contains(refusal(grown), "section NEWS");
  expect_contains(refusal(grown), "newer program");
}

TEST(Image, RefusesAMissingRequiredSection) {
  ImageBytes bytes = full_image();
  manifest_of(bytes).section_count--;  // the last is penalties
  reseal_image(bytes);
  EXPECT_EQ(refusal(bytes), "section penalties: missing");
}

TEST(Image, RefusesSectionsThatDoNotFit) {
  ImageBytes bytes = full_image();
  section_of(bytes, ImageSection::vips).offset_bytes += 64;
  reseal_image(bytes);
  EXPECT_NE(refusal(bytes), "accepted");
  bytes = full_image();
  section_of(bytes, ImageSection::limits).offset_bytes =
      section_of(bytes, ImageSection::services).offset_bytes;
  reseal_image(bytes);
  expect_contains(refusal(bytes), "overlaps");
  bytes = full_image();
  section_of(bytes, ImageSection::limits).offset_bytes = ~0ull & ~63ull;
  reseal_image(bytes);
  expect_contains(refusal(bytes), "beyond the image");
  bytes = full_image();
  section_of(bytes, ImageSection::lists).tag = section_of(bytes, ImageSection::services).tag;
  reseal_image(bytes);
  expect_contains(refusal(bytes), "section services: record_bytes");
  bytes = full_image();
  section_of(bytes, ImageSection::maglev).tag = section_of(bytes, ImageSection::limit_refs).tag;
  reseal_image(bytes);
  expect_contains(refusal(bytes), "stands there twice");
}

// Each line: a change that a reader must never meet, and what the refusal names.
TEST(Image, RefusesEveryIndexOutOfRange) {
  using S = ImageSection;
  auto expect = [](const std::string& got, const std::string& where) {
    expect_contains(got, where);
  };
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.pool = 2; }),
         "section services, record 0: pool: 2 is not below 2");
  expect(refusal_of<sg_service>(S::services, 1, [](auto& s) { s.name.offset = 1u << 30; }),
         "section services, record 1: name");
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.protocol = 4; }), "protocol");
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.user_agent_database = 77; }),
         "user_agent_database");
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.limits[2].count = 9; }), "limits");
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.limits[1] = s.limits[2]; }),
         "another unit");
  expect(refusal_of<sg_service>(S::services, 1,
                                [](auto& s) {
                                  s.limits[2] = {0, 1};
                                }),
         "another service");
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.routes_count--; }), "routes_first");
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.capacity_response = 500; }),
         "capacity_response");
  expect(refusal_of<sg_service>(S::services, 0,
                                [](auto& s) { s.budgets[SG_BUDGET_STRAYS].rule.interval_ns = 0; }),
         "budgets");
  expect(refusal_of<sg_service>(S::services, 0,
                                [](auto& s) { s.budgets[SG_BUDGET_ANSWERS].units_per_charge = 7; }),
         "budgets");
  expect(refusal_of<sg_service>(S::services, 0, [](auto& s) { s.penalties_count = 7; }),
         "penalties_first");
  expect(refusal_of<__u16>(S::limit_refs, 0, [](auto& r) { r = 999; }), "limits: 999");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.rule.interval_ns = 0; }), "rule");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.rule.horizon_seen_ns = ~0ull; }),
         "rule");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.rule.horizon_seen_ns = 1; }), "rule");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.units_per_charge = 2; }), "rule");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.override_until_unix_s = 0; }),
         "override_until_unix_s");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.over_response = SG_NONE16; }),
         "over_response");
  expect(refusal_of<sg_limit>(S::limits, 0,
                              [](auto& l) {
                                l.over = SG_OVER_COOKIE;
                                l.over_response = SG_NONE16;
                              }),
         "over: a cookie");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.key_part_count = 5; }),
         "key_part_count");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.prefix_v4_bits = 33; }),
         "prefix_v4_bits");
  expect(refusal_of<sg_limit>(S::limits, 0,
                              [](auto& l) {
                                l.key[0] = {SG_KEY_HEADER, 9};
                              }),
         "header_index");
  // Before there is a request there is nothing but addresses to count by.
  for (uint8_t unit : {SG_UNIT_PACKETS, SG_UNIT_CONNECTIONS})
    for (uint8_t kind : {SG_KEY_PATH, SG_KEY_METHOD, SG_KEY_HOST, SG_KEY_HEADER})
      expect(refusal_of<sg_limit>(S::limits, 0,
                                  [&](auto& l) {
                                    l.unit = unit;
                                    l.key[0] = {kind, 0};
                                  }),
             "key: of a request");
  expect(refusal_of<sg_text>(S::key_headers, 0, [](auto& t) { t = {0, 65}; }), "text: 65");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.known_list = 0; }), "known_list");
  expect(refusal_of<sg_limit>(S::limits, 0, [](auto& l) { l.missing_limit = 0; }),
         "missing_limit: a chain");
  expect(refusal_of<sg_route>(S::routes, 0, [](auto& r) { r.cost_units = 0; }), "cost_units");
  expect(refusal_of<sg_route>(S::routes, 0, [](auto& r) { r.headers_first = 99; }),
         "headers_first");
  expect(refusal_of<sg_route_header>(S::route_headers, 0, [](auto& h) { h.header_index = 16; }),
         "header_index");
  expect(refusal_of<sg_response>(S::responses, 1, [](auto& r) { r.status = 428; }), "status");
  expect(refusal_of<sg_response>(S::responses, 3, [](auto& r) { r.body = {0, 1150}; }), "body: ");
  expect(refusal_of<sg_response>(S::responses, 1, [](auto& r) { r.retry_min_ns = ~0ull; }),
         "retry_min_ns");
  expect(refusal_of<sg_response>(S::responses, 1, [](auto& r) { r.retry_jitter_ns = ~0ull; }),
         "retry_jitter_ns");
  expect(refusal_of<sg_text>(S::key_headers, 0, [](auto& t) { t.length_bytes = 0; }), "empty");
  expect(refusal_of<sg_list>(S::lists, 0, [](auto& l) { l.is_key_list = 1; }), "is_key_list");
  expect(refusal_of<sg_list>(S::lists, 0, [](auto& l) { l.exempt_limits = 2; }), "exempt_limits");
  expect(refusal_of<sg_key_digest>(S::key_digests, 0, [](auto& k) { k.sha256[0] = 10; }),
         "do not ascend");
  expect(refusal_of<__u64>(S::list_masks, 1, [](auto& m) { m = 8; }), "a bit of no list");
  expect(refusal_of<sg_lookup_line>(S::lookup_lines, 0, [](auto& l) { l.root[0] = ~0u; }),
         "section lookup");
  expect(refusal_of<sg_client_rule>(S::clients, 0, [](auto& c) { c.list = 3; }), "list: 3");
  expect(refusal_of<sg_pool>(S::pools, 0, [](auto& p) { p.maglev_size = 65536; }), "maglev_size");
  expect(refusal_of<sg_pool>(S::pools, 0, [](auto& p) { p.maglev_size = 65521; }), "maglev_first");
  expect(refusal_of<__u16>(S::maglev, 5, [](auto& slot) { slot = 4000; }), "4000 is not below");
  expect(refusal_of<__u16>(S::maglev, 5, [](auto& slot) { slot = SG_NONE16; }), "is not below");
  expect(refusal_of<__u16>(S::maglev, 5, [](auto& slot) { slot = 2; }), "another pool");
  expect(refusal_of<__u16>(S::maglev_previous, 5, [](auto& slot) { slot = 2; }), "another pool");
  expect(refusal_of<sg_backend>(S::backends, 0, [](auto& b) { b.state = 4; }), "state");
  expect(refusal_of<sg_backend>(S::backends, 0, [](auto& b) { b.generation = 0; }), "generation");
  expect(refusal_of<sg_signature_set>(S::signatures, 0, [](auto& s) { s.response = 99; }),
         "response");
  expect(refusal_of<sg_pattern>(S::patterns, 0, [](auto& p) { p.set = 3; }), "set: 3");
  expect(refusal_of<sg_database>(S::databases, 0, [](auto& d) { d.bytes_count = 1u << 30; }),
         "bytes_first");
  expect(refusal_of<sg_database>(S::databases, 0, [](auto& d) { d.pattern_count = 99; }),
         "pattern_first");
  expect(refusal_of<sg_penalty>(S::penalties, 0, [](auto& p) { p.mode = 2; }), "mode");
}

// Entry by entry the port becomes another one, which has another home: unless the entry can be
// found from there by chance, the image is refused.
TEST(Image, RefusesAVipThatCannotBeFound) {
  const ImageBytes bytes = full_image();
  const ImageView view = *ImageView::open(bytes);
  size_t refused = 0;
  for (size_t i = 0; i < view.vips().size(); i++) {
    if (!view.vips()[i].used) continue;
    for (uint16_t port = 1000; port < 1016; port++) {
      ImageBytes changed = bytes;
      record_of<sg_vip>(changed, ImageSection::vips, i).port_be = port;
      reseal_image(changed);
      auto opened = ImageView::open(changed);
      if (!opened) {
        expect_contains(opened.error(), "cannot be found from its home");
        refused++;
        continue;
      }
      for (const sg_vip& vip : opened->vips())
        EXPECT_TRUE(!vip.used || opened->find_vip(vip.ip, vip.port_be, vip.protocol) == &vip);
    }
  }
  EXPECT_GT(refused, 20u);
}

TEST(Image, RefusesTwoEntriesForOneVip) {
  ImageBytes bytes = full_image();
  std::vector<size_t> used;
  for (size_t i = 0; i < section_of(bytes, ImageSection::vips).record_count; i++)
    if (record_of<sg_vip>(bytes, ImageSection::vips, i).used) used.push_back(i);
  ASSERT_GE(used.size(), 2u);
  record_of<sg_vip>(bytes, ImageSection::vips, used[0]) =
      record_of<sg_vip>(bytes, ImageSection::vips, used[1]);
  reseal_image(bytes);
  expect_contains(refusal(bytes), "cannot be found from its home");
}

TEST(Image, FindsVipsByAddressPortAndProtocol) {
  const ImageBytes bytes = full_image();
  const ImageView view = *ImageView::open(bytes);
  const auto v4 = samples::ipv4(198, 51, 100, 10).bytes;
  const auto v6 = samples::ipv6(0x10).bytes;
  ASSERT_NE(view.find_vip(v4.data(), sg_be16(80), IPPROTO_TCP), nullptr);
  EXPECT_EQ(view.find_vip(v4.data(), sg_be16(80), IPPROTO_TCP)->service, 0);
  EXPECT_EQ(view.find_vip(v4.data(), sg_be16(53), IPPROTO_UDP)->service, 1);
  EXPECT_EQ(view.find_vip(v6.data(), sg_be16(80), IPPROTO_TCP)->service, 0);
  EXPECT_NE(view.find_vip(v4.data(), 0, 0), nullptr);
  EXPECT_EQ(view.find_vip(v4.data(), sg_be16(53), IPPROTO_TCP), nullptr);
  EXPECT_EQ(view.find_vip(v4.data(), sg_be16(81), IPPROTO_TCP), nullptr);
  EXPECT_EQ(view.find_vip(samples::ipv6(0x11).bytes.data(), 0, 0), nullptr);
}

}  // namespace
}  // namespace surgegate
