// SPDX-License-Identifier: BSD-3-Clause
#include "tests/simulator/http_reader.h"

#include <algorithm>

namespace surgegate::simulator {
namespace {

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return text;
}

}  // namespace

int Message::status() const {
  if (start_line.rfind("HTTP/1.1 ", 0) != 0 || start_line.size() < 13 || start_line[12] != ' ')
    return 0;
  const std::string digits = start_line.substr(9, 3);
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return 0;
  return std::stoi(digits);
}

bool HttpReader::read_line(std::string& line) {
  const size_t end = waiting_.find("\r\n");
  if (end == std::string::npos) return false;
  line = waiting_.substr(0, end);
  waiting_.erase(0, end + 2);
  return true;
}

void HttpReader::read_field(const std::string& line) {
  const size_t colon = line.find(": ");
  const std::string name = line.substr(0, colon);
  if (colon == std::string::npos || !is_name(name))
    fault = "no field: " + line;
  else if (!message.fields.emplace(lower(name), line.substr(colon + 2)).second)
    fault = "a field twice: " + line;
}

bool HttpReader::read_head() {
  if (in_body_ || !fault.empty() || waiting_.find("\r\n\r\n") == std::string::npos) return false;
  message = {};
  read_line(message.start_line);
  for (std::string line; fault.empty() && read_line(line) && !line.empty();) read_field(line);
  in_body_ = fault.empty();
  return in_body_;
}

bool HttpReader::read_length(size_t bytes) {
  const size_t taken = std::min(bytes - message.body.size(), waiting_.size());
  message.body += waiting_.substr(0, taken);
  waiting_.erase(0, taken);
  return message.body.size() == bytes;
}

bool HttpReader::read_chunks() {
  while (fault.empty()) {
    std::string line;
    if (chunk_left_) {
      const size_t taken = std::min(*chunk_left_, waiting_.size());
      message.body += waiting_.substr(0, taken);
      waiting_.erase(0, taken);
      *chunk_left_ -= taken;
      if (*chunk_left_ > 0 || !read_line(line)) return false;
      if (!line.empty()) fault = "a chunk goes on: " + line;
      chunk_left_.reset();
      continue;
    }
    if (!read_line(line)) return false;
    if (in_last_ && line.empty()) {
      in_last_ = false;
      return true;
    }
    const bool is_size = !line.empty() && line.find_first_not_of("0123456789abcdef") == line.npos;
    if (in_last_ || !is_size) {
      fault = "no chunk: " + line;
      return false;
    }
    const size_t bytes = std::stoul(line, nullptr, 16);
    if (bytes == 0) in_last_ = true;
    if (bytes > 0) chunk_left_ = bytes;
  }
  return false;
}

}  // namespace surgegate::simulator
