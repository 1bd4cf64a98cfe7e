// SPDX-License-Identifier: BSD-3-Clause
// The key of a bucket: which source, client, header value, path ... a limit counts apart.
#pragma once

#include "dataplane/burst.h"

namespace surgegate {

// Whether a limit's key asks for something that this lane does not have: a header that is missing,
// or anything of a request where no head was read.
enum class KeyFault : uint8_t { none, header_missing, no_head };
KeyFault key_fault(const Lane& lane, const sg_limit& limit);

// hash(secret, limit's id, each part's value): where the bucket stands and how it is told from
// others. A missing header counts as the empty value.
uint64_t bucket_key(const Lane& lane, const sg_limit& limit, const sg_secret& secret);

}  // namespace surgegate
