// SPDX-License-Identifier: BSD-3-Clause
// Following a chunked body [RFC 9112 section 7.1] from chunk header to chunk header, byte by byte.
#pragma once

#include <cstdint>
#include <string_view>

#include "config/flow.h"
#include "config/verdict.h"

namespace surgegate {

struct ChunkPosition {
  uint8_t reader = SG_READER_CHUNK_FIRST;  // sg_reader
  // CHUNK_SIZE, CHUNK_EXT, CHUNK_LF: the size so far; DATA_CR: data bytes ahead
  uint64_t value = 0;
  sg_reason fault = SG_REASON_COUNT;  // LOST: what does not fit
  bool stops_at_data = false;         // else what is here of a chunk's data is read too
  // Of the bytes that were read last: those that are no data lie in [syntax_first, syntax_end).
  uint32_t syntax_first = UINT32_MAX;
  uint32_t syntax_end = 0;
};

// Reads from the position on until the bytes end, chunk data begins that is not all here, or the
// body ends (reader is SG_READER_HEAD then). Returns how many bytes were read, chunk data included.
// A byte that does not fit the grammar leaves reader SG_READER_LOST.
uint32_t follow_chunks(std::string_view bytes, ChunkPosition& position);

}  // namespace surgegate
