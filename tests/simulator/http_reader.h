// SPDX-License-Identifier: BSD-3-Clause
// Readers of HTTP/1.1 messages that take nothing but what the other side of this simulator, or a
// gate that does what it says, would write. Bytes go in as they come; what is whole comes out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace surgegate::simulator {

struct Message {
  std::string start_line;
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;

  std::string field(const std::string& name) const {
    auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
  bool has(const std::string& name) const { return fields.count(name) != 0; }
  int status() const;  // of an answer: its number, or 0
};

class HttpReader {
 public:
  void feed(std::string_view bytes) { waiting_ += bytes; }

  // The next head, once; then its body must be read before the next one.
  bool read_head();
  // A body of this kind is whole. (Reads on where it is not.)
  bool read_length(size_t bytes);
  bool read_chunks();

  Message message;    // as far as it came
  std::string fault;  // what was wrong first; nothing is read any more
  bool in_body() const { return in_body_; }
  bool is_between() const { return !in_body_ && waiting_.empty(); }
  void message_done() { in_body_ = false; }

 private:
  bool read_line(std::string& line);
  void read_field(const std::string& line);

  std::string waiting_;
  bool in_body_ = false;
  std::optional<size_t> chunk_left_;
  bool in_last_ = false;
};

}  // namespace surgegate::simulator
