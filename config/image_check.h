// SPDX-License-Identifier: BSD-3-Clause
// The part of ImageView::open that looks into the records.
#pragma once

#include <stdexcept>

namespace surgegate {

class ImageView;

// Thrown and caught within ImageView::open.
struct ImageRefused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Requires that every section lies within the image and has records of the right size; throws
// ImageRefused with section, record and field of the first fault.
void check_image_records(const ImageView& image);

}  // namespace surgegate
