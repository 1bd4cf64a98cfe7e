// SPDX-License-Identifier: BSD-3-Clause
// The rule that every packet is held to, by replay and by the tests: what may become of the frames
// that were made for one packet, by the verdict on it.
#pragma once

#include <cstddef>

#include "config/verdict.h"

namespace surgegate {

constexpr bool conserves(sg_verdict verdict, size_t sent, size_t kernel, size_t discarded) {
  switch (verdict) {
    case SG_VERDICT_forwarded:
      return sent == 1 && kernel == 0 && discarded == 0;
    case SG_VERDICT_answered:  // the answer, and the backend's RST: sent, or with nowhere to go
      return sent >= 1 && kernel == 0 && sent + discarded <= 2;
    case SG_VERDICT_dropped:  // its own frame, and the RST that found no room either
      return sent == 0 && kernel == 0 && discarded >= 1 && discarded <= 2;
    case SG_VERDICT_to_kernel:
      return sent == 0 && kernel == 1 && discarded == 0;
    default:
      return false;
  }
}

}  // namespace surgegate
