// SPDX-License-Identifier: BSD-3-Clause
// Request heads: the reader against its slow twin, with every scanner; and a head cut anywhere.
// Chunked bodies: in one piece against byte by byte. The first byte says what is lenient, the
// second where the head is cut.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/path/http_chunks.h"
#include "dataplane/path/http_scan.h"
#include "tests/support/buffer.h"
#include "tests/support/http_head_twin.h"

namespace {

using namespace surgegate;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "http_fuzz: %s\n", what);
  std::abort();
}

void compare_readers(std::string_view bytes, uint8_t lenient) {
  std::array<std::string_view, SG_KEY_HEADERS_MAX> texts{};
  texts[0] = "x-api-key";
  const HeaderNames names(texts);
  const testing::TwinHead twin = testing::read_head_slowly(bytes, "x-api-key", lenient);
  for (const Scanner& scanner : scanners()) {
    if (!scanner.is_supported) continue;
    HttpHead head;
    require(read_http_head(bytes, {names, lenient, scanner.scan}, head) == twin.status,
            "another status");
    require(head.fault == twin.fault, "another fault");
    if (twin.status != HeadStatus::complete) continue;
    require(head.length_bytes == twin.length_bytes, "another end");
    require(head.method == twin.method && head.target == twin.target && head.path == twin.path,
            "another request line");
    require(head.host == twin.host && head.user_agent == twin.user_agent,
            "another host or user agent");
    require(head.content_length == twin.content_length && head.chunked == twin.chunked,
            "another length");
    require(head.key(0) == (twin.keys.contains("x-api-key") ? twin.keys.at("x-api-key") : ""),
            "another key");
  }
}

void cut(std::string_view bytes, size_t at, uint8_t lenient) {
  HttpHead whole, part;
  const HeaderNames names;
  const HeadStatus status = read_http_head(bytes, {names, lenient}, whole);
  const HeadStatus early = read_http_head(bytes.substr(0, at), {names, lenient}, part);
  if (early == HeadStatus::incomplete) return;
  require(early == status && part.fault == whole.fault,
          "what came later changed what had been read");
}

void follow(std::string_view bytes) {
  ChunkPosition whole, slow;
  const uint32_t read = follow_chunks(bytes, whole);
  uint32_t at = 0;
  while (at < bytes.size() && slow.reader != SG_READER_LOST && slow.reader != SG_READER_HEAD)
    at += follow_chunks(bytes.substr(at, 1), slow);
  require(at == read && slow.reader == whole.reader && slow.fault == whole.fault,
          "chunks that depend on how they are cut");
  require(whole.reader == SG_READER_LOST || slow.value == whole.value, "another size");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  testing::GuardedBuffer buffer(size - 2);
  std::memcpy(buffer.begin(), data + 2, size - 2);
  const std::string_view bytes(reinterpret_cast<const char*>(buffer.begin()), size - 2);
  const uint8_t lenient = data[0] % 8;
  compare_readers(bytes, lenient);
  cut(bytes, bytes.size() * data[1] / 256, lenient);
  follow(bytes);
  return 0;
}
