// SPDX-License-Identifier: BSD-3-Clause
// One JSON line for each packet, in capture order.
#pragma once

#include "config/image.h"
#include "dataplane/replay/output_file.h"
#include "dataplane/replay/replay_port.h"
#include "dataplane/worker.h"

namespace surgegate {

class VerdictLog final : public Observer {
 public:
  VerdictLog(const ImageView& image, OutputFile& file, const FateBook& fates)
      : image_(image), file_(file), fates_(fates) {}
  void see(const Lane& lane, Instant now) override;

 private:
  const ImageView& image_;
  OutputFile& file_;
  const FateBook& fates_;
};

}  // namespace surgegate
