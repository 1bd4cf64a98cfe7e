// SPDX-License-Identifier: BSD-3-Clause
// Streams of requests that somebody made up to be read in two ways, and how the gate reads them;
// for smuggling_hunt_test.py, which gives them to real servers. A JSON line each:
//   passed    what the gate would let pass, in hex: all up to the first request that it refuses
//   requests  those that it reads in that, each with method, target and bytes of its body
//
//     reading SEED COUNT
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "dataplane/path/decide.h"
#include "dataplane/path/http_chunks.h"
#include "dataplane/path/http_head.h"
#include "tests/support/http_samples.h"

namespace {

using namespace surgegate;
using nlohmann::ordered_json;
using Random = std::mt19937_64;

std::string some_body(Random& random) {
  const std::string data(random() % 40, 'b');
  switch (random() % 6) {
    case 0:
      return fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", data.size(), data);
    case 1:
      return fmt::format("{:x}{}{}{}{}0{}{}", data.size(), random() % 2 ? ";a=b" : " ",
                         random() % 4 ? "\r\n" : "\n", data, random() % 4 ? "\r\n" : "",
                         random() % 4 ? "\r\n" : ";x\r\n", random() % 2 ? "T: x\r\n\r\n" : "\r\n");
    case 2:
      return "hello";
    default:
      return "";
  }
}

// A request whose body is a request, so that whoever reads its length otherwise reads another one.
std::string some_riddle(Random& random) {
  const std::string inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string n = std::to_string(inner.size()), hex = fmt::format("{:x}", inner.size());
  const std::vector<std::string> framings = {
      "Content-Length: " + n,
      "Content-Length: 0",
      "Content-Length: 0" + n,
      "Content-Length: +" + n,
      "Content-Length: " + n + "\r\nContent-Length: " + n,
      "Content-Length: 0\r\nContent-Length: " + n,
      "Content-Length: " + n + ", " + n,
      "Content-Length : " + n,
      "Content_Length: " + n,
      "X: y\r\n Content-Length: " + n,
      "Content-Length:\t" + n + " \t",
      "Transfer-Encoding: chunked",
      "Transfer-Encoding: Chunked",
      "Transfer-Encoding:\tchunked \t",
      "Transfer-Encoding: chunked\r\nContent-Length: " + n,
      "Content-Length: " + n + "\r\nTransfer-Encoding: chunked",
      "Transfer-Encoding: xchunked",
      "Transfer-Encoding: chunked, identity",
      "Transfer-Encoding: identity",
      "Transfer-Encoding : chunked",
      "Transfer-Encoding:\r\n chunked",
      "Transfer_Encoding: chunked",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
      "Transfer-Encoding: \vchunked",
      "TE: chunked",
      "X: y"};
  const std::vector<std::string> bodies = {
      inner,
      hex + "\r\n" + inner + "\r\n0\r\n\r\n",
      "0\r\n\r\n" + inner,
      "0" + hex + ";a=b\r\n" + inner + "\r\n00\r\nT: u\r\n\r\n",
      hex + " \r\n" + inner + "\r\n0\r\n\r\n",
      hex + "\n" + inner + "\n0\n\n",
      "0\n\n" + inner,
      "0;\n\r\n\r\n" + inner,
      "0\r\nX: \n\r\n\r\n" + inner,
      "1\r\nZ\r\n0\r\n\r\n" + inner,
      "1\r\nZZ0\r\n\r\n" + inner,
      "+1\r\nZ\r\n0\r\n\r\n" + inner,
      "0x1\r\nZ\r\n0\r\n\r\n" + inner,
      "10000000000000001\r\nZ\r\n0\r\n\r\n" + inner,
      "-1\r\n\r\n" + inner,
      "0\r\n" + inner};
  const char* version = random() % 8 != 0 ? "1.1" : "1.0";
  const char* method = random() % 4 != 0 ? "POST" : "GET";
  return fmt::format("{} /outer HTTP/{}\r\nHost: a\r\n{}\r\n\r\n{}", method, version,
                     framings[random() % framings.size()], bodies[random() % bodies.size()]);
}

struct Reading {
  size_t passed = 0;
  ordered_json requests = ordered_json::array();
  std::string ended_by = "the end";
};

// Bytes of the chunked body that begins here; SIZE_MAX: it is not read to its end.
size_t chunked_end(std::string_view bytes, uint64_t& body_bytes, Reading& reading) {
  ChunkPosition position;
  size_t at = 0;
  while (at < bytes.size() && position.reader != SG_READER_HEAD &&
         position.reader != SG_READER_LOST) {
    const bool is_data = position.reader == SG_READER_DATA_CR && position.value > 0;
    at += follow_chunks(bytes.substr(at, 1), position);
    body_bytes += is_data ? 1 : 0;
  }
  if (position.reader == SG_READER_HEAD) return at;
  if (position.reader == SG_READER_LOST) reading.ended_by = rules()[position.fault].name;
  return SIZE_MAX;
}

Reading read(std::string_view stream) {
  Reading reading;
  const HeaderNames names;
  while (reading.passed < stream.size()) {
    HttpHead head;
    const std::string_view rest = stream.substr(reading.passed);
    const HeadStatus status = read_http_head(rest, {names}, head);
    if (status == HeadStatus::malformed) reading.ended_by = rules()[head.fault].name;
    if (status == HeadStatus::incomplete) reading.passed = stream.size();
    if (status != HeadStatus::complete) return reading;
    uint64_t body_bytes = head.content_length;
    size_t end = head.length_bytes + head.content_length;
    if (head.chunked) {
      end = chunked_end(rest.substr(head.length_bytes), body_bytes, reading);
      if (end != SIZE_MAX) end += head.length_bytes;
    }
    if (end > rest.size()) {  // the rest is to come, or is refused with its head
      if (reading.ended_by == "the end") reading.passed = stream.size();
      return reading;
    }
    reading.requests.push_back(
        {{"method", head.method}, {"target", head.target}, {"bytes", body_bytes}});
    reading.passed += end;
  }
  return reading;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const uint64_t seed = std::strtoull(argv[1], nullptr, 0),
                 count = std::strtoull(argv[2], nullptr, 0);
  for (uint64_t i = 0; i < count; i++) {
    Random random(seed + i);
    std::string stream;
    for (uint64_t n = 1 + random() % 3; n > 0; n--)
      stream +=
          random() % 3 != 0 ? some_riddle(random) : testing::some_head(random) + some_body(random);
    const Reading reading = read(stream);
    ordered_json line = {{"passed", hex(std::string_view(stream).substr(0, reading.passed))},
                         {"requests", reading.requests},
                         {"ended_by", reading.ended_by}};
    fmt::print("{}\n", line.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  }
  return 0;
}
