// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/http_chunks.h"

#include <algorithm>

#include "config/limits.h"
#include "dataplane/path/http_scan.h"

namespace surgegate {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

uint8_t lose(ChunkPosition& position, char c, sg_reason otherwise) {
  position.fault = c == '\n' ? SG_REASON_http_line_end : otherwise;
  return SG_READER_LOST;
}

uint8_t after_size_digit(char c, ChunkPosition& position) {
  int digit = hex_digit(c);
  if (digit >= 0) {
    position.value = position.value * 16 + static_cast<uint64_t>(digit);
    if (position.value >= SG_HTTP_LENGTH_MAX) return lose(position, c, SG_REASON_http_chunk_size);
    return SG_READER_CHUNK_SIZE;
  }
  if (position.reader == SG_READER_CHUNK_FIRST) return lose(position, c, SG_REASON_http_chunk_size);
  if (c == '\r') return SG_READER_CHUNK_LF;
  if (c == ';' || c == ' ' || c == '\t') return SG_READER_CHUNK_EXT;
  return lose(position, c, SG_REASON_http_chunk_size);
}

// Inside extensions and trailers: anything but a control character, which one reader may take for
// the end of the line and another not.
uint8_t stay_unless_control(char c, uint8_t reader, ChunkPosition& position, sg_reason fault) {
  bool control = (static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7f;
  return control ? lose(position, c, fault) : reader;
}

// Trailers are fields [RFC 9112 section 7.1.2]. What reads only the empty line in their place takes
// the first one for a request, if it looks like one.
uint8_t in_trailer_name(char c, ChunkPosition& position) {
  return is_http_char(c, HttpChars::token) ? static_cast<uint8_t>(SG_READER_TRAILER_NAME)
                                           : lose(position, c, SG_REASON_http_trailer);
}

// The LF behind a CR.
uint8_t after_cr(char c, uint8_t reader, ChunkPosition& position) {
  return c == '\n' ? reader : lose(position, c, SG_REASON_http_line_end);
}

uint8_t next_reader(char c, ChunkPosition& position) {
  switch (position.reader) {
    case SG_READER_CHUNK_FIRST:
    case SG_READER_CHUNK_SIZE:
      return after_size_digit(c, position);
    case SG_READER_CHUNK_EXT:
      if (c == '\r') return SG_READER_CHUNK_LF;
      return stay_unless_control(c, SG_READER_CHUNK_EXT, position, SG_REASON_http_chunk_extension);
    case SG_READER_CHUNK_LF:
      return after_cr(c, position.value == 0 ? SG_READER_TRAILER : SG_READER_DATA_CR, position);
    case SG_READER_DATA_CR:
      return c == '\r' ? static_cast<uint8_t>(SG_READER_DATA_LF)
                       : lose(position, c, SG_REASON_http_chunk_end);
    case SG_READER_DATA_LF:
      return after_cr(c, SG_READER_CHUNK_FIRST, position);
    case SG_READER_TRAILER:
      return c == '\r' ? static_cast<uint8_t>(SG_READER_LAST_LF) : in_trailer_name(c, position);
    case SG_READER_TRAILER_NAME:
      return c == ':' ? static_cast<uint8_t>(SG_READER_TRAILER_LINE) : in_trailer_name(c, position);
    case SG_READER_TRAILER_LINE:
      if (c == '\r') return SG_READER_TRAILER_LF;
      return stay_unless_control(c, SG_READER_TRAILER_LINE, position, SG_REASON_http_trailer);
    case SG_READER_TRAILER_LF:
      return after_cr(c, SG_READER_TRAILER, position);
    case SG_READER_LAST_LF:
      return after_cr(c, SG_READER_HEAD, position);
    default:
      return lose(position, c, SG_REASON_http_chunk_end);
  }
}

bool ended(uint8_t reader) {
  return reader == SG_READER_HEAD || reader == SG_READER_LOST;
}

}  // namespace

uint32_t follow_chunks(std::string_view bytes, ChunkPosition& position) {
  size_t at = 0;
  while (at < bytes.size() && !ended(position.reader)) {
    if (position.reader == SG_READER_DATA_CR && position.value > 0) {
      if (position.stops_at_data) break;
      size_t data = std::min<uint64_t>(position.value, bytes.size() - at);
      position.value -= data;
      at += data;
      continue;
    }
    position.syntax_first = std::min(position.syntax_first, static_cast<uint32_t>(at));
    position.reader = next_reader(bytes[at++], position);
    position.syntax_end = static_cast<uint32_t>(at);
    if (position.reader == SG_READER_CHUNK_FIRST) position.value = 0;
  }
  return static_cast<uint32_t>(at);
}

}  // namespace surgegate
