// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace surgegate::simulator {
namespace {

std::string in_chunks(Random& random, const std::string& body) {
  std::string text;
  for (size_t at = 0; at < body.size();) {
    const size_t bytes = std::min<size_t>(1 + draw(random, 2'000), body.size() - at);
    text += fmt::format("{:x}\r\n{}\r\n", bytes, body.substr(at, bytes));
    at += bytes;
  }
  return text;
}

size_t some_body_bytes(Random& random) {
  switch (draw(random, 4)) {
    case 0:
      return 0;
    case 1:
      return draw(random, 20'000);
    default:
      return draw(random, 200);
  }
}

std::string fields_of(const Request& request) {
  std::string fields = "Host: shop.example\r\nX-Id: " + request.id + "\r\n";
  fields += request.wrong == Wrong::robot ? "User-Agent: BadBot\r\n" : "User-Agent: Browser\r\n";
  if (request.wrong == Wrong::syntax) fields += "X-Space : before the colon\r\n";
  if (request.closes) fields += "Connection: close\r\n";
  if (request.expects_continue) fields += "Expect: 100-continue\r\n";
  return fields;
}

}  // namespace

std::string body_of(const std::string& id, size_t bytes) {
  uint64_t state = 0x9e3779b97f4a7c15 + bytes;
  for (char c : id) state = (state ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  std::string body(bytes, ' ');
  for (char& c : body) {
    state = state * 6364136223846793005 + 1442695040888963407;
    c = static_cast<char>('a' + (state >> 33) % 26);
  }
  return body;
}

Request some_request(Random& random, const std::string& id, bool may_be_wrong) {
  Request request;
  request.id = id;
  request.closes = one_in(random, 8);
  if (may_be_wrong && one_in(random, 6)) request.wrong = static_cast<Wrong>(1 + draw(random, 3));
  const uint64_t kind = request.wrong == Wrong::chunk ? 3 : draw(random, 4);
  const char* const methods[] = {"GET", "HEAD", "POST", "POST"};
  request.is_head_method = kind == 1;
  if (kind >= 2) {
    request.expects_continue = one_in(random, 4);
    request.body = body_of(id, some_body_bytes(random));
  }
  request.head =
      fmt::format("{} /{} HTTP/1.1\r\n{}", methods[kind], draw(random, 3), fields_of(request));
  if (kind == 2) {
    request.head += fmt::format("Content-Length: {}\r\n", request.body.size());
    request.rest = request.body;
  }
  if (kind == 3) {
    request.head += "Transfer-Encoding: chunked\r\n";
    request.rest = in_chunks(random, request.body);
    request.rest += request.wrong == Wrong::chunk ? "no size\r\n\r\n" : "0\r\n\r\n";
  }
  request.head += "\r\n";
  return request;
}

}  // namespace surgegate::simulator
