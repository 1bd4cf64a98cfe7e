// SPDX-License-Identifier: BSD-3-Clause
// parse: from bytes to headers, checksums and the flow's hash. Trusts nothing.
#pragma once

#include "dataplane/burst.h"

namespace surgegate {

void parse(std::span<Lane> lanes, const sg_secret& secret);

}  // namespace surgegate
