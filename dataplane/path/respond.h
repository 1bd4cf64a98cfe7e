// SPDX-License-Identifier: BSD-3-Clause
// respond: the answer to a refused request, made in the request's own frame, and the RST that
// closes the backend's half of the connection.
#pragma once

#include <array>
#include <string_view>

#include "dataplane/burst.h"
#include "dataplane/link/policy_in_force.h"
#include "dataplane/port.h"
#include "dataplane/table/flows.h"

namespace surgegate {

struct RespondCounters {
  uint64_t no_frame_for_reset = 0;  // the backend's half was left to time out
  uint64_t answers_withheld = 0;    // asked for again too often, or too fast: acknowledged only
  uint64_t answers_cut = 0;  // without a body, to fit the client's MSS or what it has sent itself
};

// The date of RFC 9110 section 5.6.7, rewritten when the second changes.
class HttpDate {
 public:
  static constexpr size_t length = SG_DATE_BYTES;
  const char* at(uint64_t unix_s);

 private:
  std::array<char, length + 1> text_{};
  uint64_t unix_s_ = UINT64_MAX;
};

class Responder {
 public:
  Responder(const PolicyInForce& policy, Port& port, Instant now, HttpDate& date,
            RespondCounters& counters)
      : policy_(policy), port_(port), now_(now), date_(date), counters_(counters) {}

  // For lanes whose verdict is `answered`: rewrites lane.frame into the answer, sets lane.extra to
  // the backend's RST where one is due, and turns the flow into a tombstone. Of lanes that are
  // forwarded it cuts off what must not reach the backend.
  void respond(Part part);

 private:
  struct Answer {
    const sg_response* response;  // nullptr: `record` is all of it
    std::string_view ratelimit;   // empty: no such fields
    uint32_t refusal_id;          // of PolicyInForce::Refusal
    uint32_t retry_after_s;
    bool without_body;
    std::string_view record = {};  // of TLS; empty: the end of the connection has to say it
  };

  // From the whole answer to the least that says what happened: the first that fits is sent.
  enum class Form : uint8_t { whole, without_ratelimit, without_body, least, none };

  static void trim(Lane& lane);
  void refuse(Lane& lane);
  void answer_again(Lane& lane);
  void reset_client(Lane& lane);
  void bury(Lane& lane);
  Answer answer_for(const Lane& lane) const;
  static Answer hello_answer(const Lane& lane);
  static Answer plain_answer(const sg_response& response, bool without_body);
  std::string_view ratelimit_of(const sg_limit& limit, const sg_response& response) const;
  uint64_t wait_ns(const Lane& lane, const sg_limit& limit, const sg_response& response) const;
  uint32_t content_bytes(const Answer& answer, Form form) const;
  uint16_t write_content(uint8_t* to, const Answer& answer, Form form);
  uint16_t repeat_content(Lane& lane, uint32_t room);
  bool make_reset(Lane& lane);
  bool may_repeat(const sg_flow& flow) const;

  const PolicyInForce& policy_;
  Port& port_;
  Instant now_;
  HttpDate& date_;
  RespondCounters& counters_;
};

}  // namespace surgegate
