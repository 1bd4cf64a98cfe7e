// SPDX-License-Identifier: BSD-3-Clause
#include "config/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "config/flow_hash.h"
#include "config/image_check.h"

namespace surgegate {

const std::array<ImageSectionKind, image_section_count> image_section_kinds = {{
#define SG_SECTION_KIND(name, tag, record, required) {#name, tag, sizeof(record), required != 0},
    SG_SECTIONS(SG_SECTION_KIND)
#undef SG_SECTION_KIND
}};

namespace {

// Sections start on a cache line, so that a record never shares one with another section.
constexpr uint64_t align_up(uint64_t bytes) {
  return (bytes + image_alignment_bytes - 1) & ~uint64_t{image_alignment_bytes - 1};
}

uint64_t checksum(std::span<const std::byte> bytes) {
  const sg_secret key = {0, 0};
  return sg_hash_bytes(&key, reinterpret_cast<const __u8*>(bytes.data()),
                       static_cast<__u32>(bytes.size()));
}

// As sg_hash_bytes over manifest and section table (whole words both), the checksum's own word as
// 0.
uint64_t manifest_checksum(std::span<const std::byte> head) {
  static_assert(sizeof(sg_manifest) % 8 == 0 && sizeof(sg_section) % 8 == 0);
  const sg_secret key = {0, 0};
  sg_sip sip;
  sg_sip_start(&sip, &key);
  for (size_t at = 0; at < head.size(); at += 8)
    sg_sip_word(&sip, at == offsetof(sg_manifest, checksum) ? 0 : sg_load_u64(head.data() + at));
  return sg_sip_finish(&sip, head.size(), 0);
}

struct RawRecords {
  const void* first;
  size_t count;
};

std::array<RawRecords, image_section_count> raw_records(const ImageSections& sections) {
  return {{
#define SG_SECTION_RAW(name, tag, record, required) {sections.name.data(), sections.name.size()},
      SG_SECTIONS(SG_SECTION_RAW)
#undef SG_SECTION_RAW
  }};
}

sg_manifest read_manifest(std::span<const std::byte> bytes) {
  sg_manifest manifest;
  std::memcpy(&manifest, bytes.data(), sizeof(manifest));
  return manifest;
}

sg_section read_section(std::span<const std::byte> bytes, uint32_t index) {
  sg_section section;
  std::memcpy(&section, bytes.data() + sizeof(sg_manifest) + index * sizeof(section),
              sizeof(section));
  return section;
}

std::string tag_text(uint32_t tag) {
  std::string text;
  for (int shift = 0; shift < 32; shift += 8) {
    char c = static_cast<char>(tag >> shift);
    text += c >= 'A' && c <= 'Z' ? c : '?';
  }
  return text;
}

std::optional<size_t> known_section(uint32_t tag) {
  for (size_t i = 0; i < image_section_count; i++)
    if (image_section_kinds[i].tag == tag) return i;
  return std::nullopt;
}

std::string section_name(uint32_t tag) {
  auto known = known_section(tag);
  return known ? image_section_kinds[*known].name : tag_text(tag);
}

[[noreturn]] void refuse(const std::string& what) {
  throw ImageRefused(what);
}

uint64_t head_bytes(uint32_t section_count) {
  return sizeof(sg_manifest) + uint64_t{section_count} * sizeof(sg_section);
}

void check_manifest(std::span<const std::byte> bytes) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % image_alignment_bytes != 0)
    refuse("manifest: the image does not stand on a 64-byte boundary");
  if (bytes.size() < sizeof(sg_manifest)) refuse("manifest: cut short");
  if (bytes.size() > SG_IMAGE_BYTES_MAX) refuse("manifest: larger than an image may be");
  const sg_manifest manifest = read_manifest(bytes);
  if (manifest.magic != SG_IMAGE_MAGIC) refuse("manifest: magic: this is not a policy image");
  if (manifest.abi != SG_IMAGE_ABI)
    refuse(fmt::format("manifest: abi: version {} is not {}, the one that this program reads",
                       manifest.abi, SG_IMAGE_ABI));
  if (manifest.length_bytes != bytes.size())
    refuse(fmt::format("manifest: length_bytes: {} but there are {}", manifest.length_bytes,
                       bytes.size()));
  if (head_bytes(manifest.section_count) > bytes.size())
    refuse("manifest: section_count: the section table ends beyond the image");
  if (manifest_checksum(bytes.first(head_bytes(manifest.section_count))) != manifest.checksum)
    refuse("manifest: checksum: manifest or section table is damaged");
}

void check_section(std::span<const std::byte> bytes, const sg_section& section) {
  const std::string name = section_name(section.tag);
  if (section.offset_bytes % image_alignment_bytes != 0)
    refuse(fmt::format("section {}: offset_bytes: not a multiple of 64", name));
  if (section.length_bytes != uint64_t{section.record_bytes} * section.record_count)
    refuse(fmt::format("section {}: length_bytes: not record_bytes * record_count", name));
  if (section.offset_bytes > bytes.size() ||
      section.length_bytes > bytes.size() - section.offset_bytes)
    refuse(fmt::format("section {}: offset_bytes: ends beyond the image", name));
  auto known = known_section(section.tag);
  if (!known && section.required)
    refuse(fmt::format("section {}: unknown here, and required: the image needs a newer program",
                       name));
  if (known && section.record_bytes != image_section_kinds[*known].record_bytes)
    refuse(fmt::format("section {}: record_bytes: {} is not {}", name, section.record_bytes,
                       image_section_kinds[*known].record_bytes));
}

// No byte belongs to two sections, nor to a section and the manifest.
void check_overlap(std::vector<sg_section> sections, uint64_t head_end) {
  std::sort(sections.begin(), sections.end(), [](const sg_section& a, const sg_section& b) {
    return a.offset_bytes < b.offset_bytes;
  });
  uint64_t end = head_end;
  for (const sg_section& section : sections) {
    if (section.length_bytes == 0) continue;
    if (section.offset_bytes < end)
      refuse(fmt::format("section {}: offset_bytes: overlaps what stands before it",
                         section_name(section.tag)));
    end = section.offset_bytes + section.length_bytes;
  }
}

}  // namespace

tl::expected<ImageBytes, std::string> assemble_image(const ImageSections& sections,
                                                     uint64_t revision) {
  const auto raw = raw_records(sections);
  std::array<sg_section, image_section_count> table{};
  uint64_t at = head_bytes(image_section_count);
  for (size_t i = 0; i < image_section_count; i++) {
    const ImageSectionKind& kind = image_section_kinds[i];
    const uint64_t length_bytes = uint64_t{kind.record_bytes} * raw[i].count;
    at = align_up(at);
    if (length_bytes > SG_IMAGE_BYTES_MAX - at)
      return tl::unexpected(
          fmt::format("the policy image would be larger than {} MiB at section {}",
                      SG_IMAGE_BYTES_MAX >> 20, kind.name));
    table[i].tag = kind.tag;
    table[i].required = kind.required;
    table[i].record_bytes = kind.record_bytes;
    table[i].record_count = static_cast<uint32_t>(raw[i].count);
    table[i].offset_bytes = at;
    table[i].length_bytes = length_bytes;
    at += length_bytes;
  }
  ImageBytes bytes(at);
  sg_manifest manifest{SG_IMAGE_MAGIC, SG_IMAGE_ABI, image_section_count, revision, at, 0};
  std::memcpy(bytes.data(), &manifest, sizeof(manifest));
  std::memcpy(bytes.data() + sizeof(manifest), table.data(), sizeof(table));
  for (size_t i = 0; i < image_section_count; i++)
    if (table[i].length_bytes)
      std::memcpy(bytes.data() + table[i].offset_bytes, raw[i].first, table[i].length_bytes);
  reseal_image(bytes);
  return bytes;
}

ImageSections copy_sections(const ImageView& image) {
  ImageSections sections;
#define SG_SECTION_COPY(name, tag, record, required) \
  sections.name.assign(image.name().begin(), image.name().end());
  SG_SECTIONS(SG_SECTION_COPY)
#undef SG_SECTION_COPY
  return sections;
}

void reseal_image(std::span<std::byte> bytes) {
  if (bytes.size() < sizeof(sg_manifest)) return;
  sg_manifest manifest = read_manifest(bytes);
  if (head_bytes(manifest.section_count) > bytes.size()) return;
  for (uint32_t i = 0; i < manifest.section_count; i++) {
    sg_section section = read_section(bytes, i);
    if (section.offset_bytes > bytes.size() ||
        section.length_bytes > bytes.size() - section.offset_bytes)
      continue;
    section.checksum = checksum(bytes.subspan(section.offset_bytes, section.length_bytes));
    std::memcpy(bytes.data() + sizeof(manifest) + i * sizeof(section), &section, sizeof(section));
  }
  manifest.checksum = manifest_checksum(bytes.first(head_bytes(manifest.section_count)));
  std::memcpy(bytes.data(), &manifest, sizeof(manifest));
}

void ImageView::read_sections() {
  check_manifest(bytes_);
  const sg_manifest manifest = read_manifest(bytes_);
  revision_ = manifest.revision;
  std::array<bool, image_section_count> seen{};
  std::vector<sg_section> sections;
  for (uint32_t i = 0; i < manifest.section_count; i++) {
    const sg_section section = read_section(bytes_, i);
    check_section(bytes_, section);
    sections.push_back(section);
    auto known = known_section(section.tag);
    if (!known) continue;
    if (seen[*known])
      refuse(fmt::format("section {}: stands there twice", image_section_kinds[*known].name));
    seen[*known] = true;
    records_[*known] = {bytes_.data() + section.offset_bytes, section.record_count};
  }
  for (size_t i = 0; i < image_section_count; i++)
    if (image_section_kinds[i].required && !seen[i])
      refuse(fmt::format("section {}: missing", image_section_kinds[i].name));
  check_overlap(sections, head_bytes(manifest.section_count));
  // Only now, when no byte can be asked for twice: the work is linear in the image's size.
  for (const sg_section& section : sections)
    if (checksum(bytes_.subspan(section.offset_bytes, section.length_bytes)) != section.checksum)
      refuse(
          fmt::format("section {}: checksum: the section is damaged", section_name(section.tag)));
}

tl::expected<ImageView, std::string> ImageView::open(std::span<const std::byte> bytes) {
  ImageView view;
  view.bytes_ = bytes;
  try {
    view.read_sections();
    check_image_records(view);
  } catch (const ImageRefused& refused) {
    return tl::unexpected(std::string(refused.what()));
  }
  return view;
}

}  // namespace surgegate
