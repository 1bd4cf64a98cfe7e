// SPDX-License-Identifier: BSD-3-Clause
// The policy image (policy_abi.h) as C++ holds it: its sections while it is made, its bytes, and
// the view through which everybody reads it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/policy_abi.h"

namespace surgegate {

// Where an image must stand in memory: the lists' nodes are read by cache line. mmap gives a page,
// ImageBytes gives this; ImageView::open refuses anything else.
inline constexpr size_t image_alignment_bytes = 64;

template <class T>
struct ImageAllocator {
  using value_type = T;
  ImageAllocator() = default;
  template <class U>
  ImageAllocator(const ImageAllocator<U>&) {}
  T* allocate(size_t count) {
    return static_cast<T*>(
        ::operator new (count * sizeof(T), std::align_val_t{image_alignment_bytes}));
  }
  void deallocate(T* at, size_t) {
    ::operator delete (at, std::align_val_t{image_alignment_bytes});
  }
  friend bool operator==(const ImageAllocator&, const ImageAllocator&) { return true; }
};

using ImageBytes = std::vector<std::byte, ImageAllocator<std::byte>>;

enum class ImageSection : uint32_t {
#define SG_SECTION_ENTRY(name, tag, record, required) name,
  SG_SECTIONS(SG_SECTION_ENTRY)
#undef SG_SECTION_ENTRY
      count
};

inline constexpr size_t image_section_count = static_cast<size_t>(ImageSection::count);

struct ImageSectionKind {
  const char* name;
  uint32_t tag;
  uint32_t record_bytes;
  bool required;
};

// By ImageSection.
extern const std::array<ImageSectionKind, image_section_count> image_section_kinds;

// The sections of an image in the making: a vector of records for each.
struct ImageSections {
#define SG_SECTION_RECORDS(name, tag, record, required) std::vector<record> name;
  SG_SECTIONS(SG_SECTION_RECORDS)
#undef SG_SECTION_RECORDS
};

// The image of these sections. Same sections, same revision: same bytes. Fails only where the whole
// would exceed SG_IMAGE_BYTES_MAX.
tl::expected<ImageBytes, std::string> assemble_image(const ImageSections& sections,
                                                     uint64_t revision);

// The sections of an image, to be assembled again with some of them replaced. A section that others
// point into goes with those: ImageView::open tells.
class ImageView;
ImageSections copy_sections(const ImageView& image);

// Computes every checksum of an image anew, in place; for tests that change its bytes. Requires a
// manifest and section table that lie within the bytes, and leaves anything else alone.
void reseal_image(std::span<std::byte> bytes);

// A validated image. Non-owning: the bytes must outlive the view and every span taken from it, and
// must not change. Immutable, so any thread may read it; copying it is cheap. Every index, run,
// text and enum that a record holds is in range, so readers need not check again.
class ImageView {
 public:
  // Checks everything, in time linear in the image's size. The error names the section, record and
  // field that refused.
  static tl::expected<ImageView, std::string> open(std::span<const std::byte> bytes);

#define SG_SECTION_ACCESSOR(name, tag, record, required) \
  std::span<const record> name() const {                 \
    return section<record>(ImageSection::name);          \
  }
  SG_SECTIONS(SG_SECTION_ACCESSOR)
#undef SG_SECTION_ACCESSOR

  std::string_view text(const sg_text& text) const {
    return {strings().data() + text.offset, text.length_bytes};
  }
  std::span<const uint16_t> limit_run(const sg_limit_run& run) const {
    return limit_refs().subspan(run.first, run.count);
  }

  // The VIP entry for a 16-byte address (IPv4-mapped), port and protocol, or null.
  const sg_vip* find_vip(const uint8_t* ip, uint16_t port_be, uint8_t protocol) const {
    return sg_vip_find(vips().data(), static_cast<uint32_t>(vips().size()), ip, port_be, protocol);
  }

  // From an address to the index of its lists' mask in list_masks().
  sg_lookup lookup() const {
    return {lookup_lines().data(), lookup_buckets().data(), lookup_header().data(),
            list_masks().data()};
  }

  uint64_t revision() const {
    return revision_;
  }
  std::span<const std::byte> bytes() const {
    return bytes_;
  }

 private:
  struct Records {
    const std::byte* first = nullptr;
    size_t count = 0;
  };

  template <class T>
  std::span<const T> section(ImageSection which) const {
    const Records& records = records_[static_cast<size_t>(which)];
    return {reinterpret_cast<const T*>(records.first), records.count};
  }

  void read_sections();

  std::span<const std::byte> bytes_;
  uint64_t revision_ = 0;
  std::array<Records, image_section_count> records_{};
};

}  // namespace surgegate
