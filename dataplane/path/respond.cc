// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/respond.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "dataplane/path/decide.h"
#include "dataplane/path/earlier.h"
#include "dataplane/path/segment.h"
#include "dataplane/path/stream.h"
#include "dataplane/path/tls.h"

namespace surgegate {
namespace {

constexpr uint16_t built_in_response(uint16_t status) {
  switch (status) {
#define SG_CASE(status) \
  case status:          \
    return SG_RESPONSE_##status;
    SG_BUILT_IN_STATUSES(SG_CASE)
#undef SG_CASE
    default:
      return SG_RESPONSE_400;
  }
}

// Ahead of any timestamp that the backend will put on a segment racing with ours (its own clock
// runs in milliseconds), so that the client's PAWS test [RFC 7323 section 5] drops the backend's,
// not ours.
constexpr uint32_t timestamp_lead = 1u << 16;

constexpr uint32_t mss_default =
    536;  // RFC 9293 section 3.7.1: what holds where no option was seen

uint8_t* put(uint8_t* to, std::string_view text) {
  // An empty text may point nowhere, which memcpy must not be given, not even for no bytes.
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

uint8_t* put_number(uint8_t* to, uint32_t number) {
  uint8_t digits[10];
  size_t count = 0;
  do digits[count++] = static_cast<uint8_t>('0' + number % 10);
  while ((number /= 10) != 0);
  while (count > 0) *to++ = digits[--count];
  return to;
}

uint32_t seconds_up(uint64_t ns) {
  uint64_t s = ns / 1'000'000'000 + (ns % 1'000'000'000 != 0 ? 1 : 0);  // ns may be SG_WAIT_NEVER
  return static_cast<uint32_t>(std::clamp<uint64_t>(s, 1, 86'400));
}

uint32_t mss_of(const sg_flow& flow) {
  return flow.mss_64 == 0 ? mss_default : static_cast<uint32_t>(flow.mss_64) * 64;
}

// The sequence number behind everything in this segment.
uint32_t end_seq(const sg_packet& packet) {
  return packet.seq + packet.payload_length + (packet.tcp_flags & SG_TCP_FIN ? 1 : 0);
}

// .. and behind what came before it and follows on it. (Behind a FIN nothing does.)
uint32_t known_end_seq(const Lane& lane) {
  bool is_last = (lane.packet.tcp_flags & SG_TCP_FIN) != 0;
  return end_seq(lane.packet) + (is_last ? 0 : lane.ahead_bytes);
}

SegmentFields to_client(const sg_packet& packet, uint32_t seq, uint32_t ack, uint8_t flags) {
  return {seq,
          ack,
          flags,
          true,
          packet.has_timestamps != 0,
          packet.ts_echo + timestamp_lead,
          packet.ts_value};
}

// Without a body, where that does not fit; and the least: the end of the connection says what a
// length and a Connection field would (RFC 9112 section 6.3, RFC 9110 section 15: the status says
// what is needed).
constexpr std::string_view bodyless_fields = "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
constexpr std::string_view least_start = "HTTP/1.1 ";
constexpr std::string_view least_date = " \r\nDate: ";
constexpr std::string_view least_end = "\r\n\r\n";
constexpr uint32_t status_digits = 3;
static_assert(least_start.size() + status_digits + least_date.size() + SG_DATE_BYTES +
                      std::string_view(SG_RETRY_AFTER_LABEL).size() + 5 + least_end.size() <=
                  SG_LEAST_ANSWER_BYTES,
              "the least answer has a wait of five digits, a day at most");

uint32_t digits_of(uint32_t number) {
  uint32_t digits = 1;
  while ((number /= 10) != 0) digits++;
  return digits;
}

// What an answer may have: the frame's bytes behind the headers, and the client's MSS, from which
// options are taken off (RFC 6691 section 2).
uint32_t content_room(const Lane& lane) {
  uint32_t header_bytes = segment_header_bytes(lane, lane.packet.has_timestamps);
  uint32_t option_bytes = lane.packet.has_timestamps ? segment_timestamp_bytes : 0;
  uint32_t frame_room = static_cast<uint32_t>(lane.frame.length) + lane.frame.room_back;
  if (frame_room <= header_bytes) return 0;
  return std::min(frame_room - header_bytes, mss_of(*lane.flow) - option_bytes);
}

// At least so many IP bytes came before on this connection: its SYN, an acknowledgement, a request
// before this one, or the pieces of it.
uint32_t received_before(const Lane& lane) {
  const sg_flow& flow = *lane.flow;
  constexpr uint32_t shortest_request = 18;  // GET / HTTP/1.0 and an empty line
  uint32_t header_bytes = answer_header_bytes(lane.packet);
  uint32_t bytes = header_bytes + (flow.mss_64 != 0 ? 4 : 0);
  if (flow.state != SG_FLOW_OPENING) bytes += header_bytes;
  if (flow.flags & SG_FLOW_HAS_REQUEST) bytes += header_bytes + shortest_request;
  if (flow.flags & SG_FLOW_IN_HEAD) bytes += header_bytes;
  return bytes;
}

}  // namespace

const char* HttpDate::at(uint64_t unix_s) {
  if (unix_s == unix_s_) return text_.data();
  static constexpr char days[] = "ThuFriSatSunMonTueWed";  // 1 January 1970 was a Thursday
  static constexpr char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  uint64_t day = unix_s / 86'400;
  // Days to a civil date: the year is counted from 1 March, so that the leap day comes last.
  uint64_t z = day + 719'468;
  uint64_t era = z / 146'097;
  uint64_t doe = z - era * 146'097;
  uint64_t yoe = (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  uint64_t mp = (5 * doy + 2) / 153;
  uint64_t dom = doy - (153 * mp + 2) / 5 + 1;
  uint64_t month = mp < 10 ? mp + 3 : mp - 9;
  uint64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  uint64_t second = unix_s % 86'400;
  auto two = [this](size_t at, uint64_t n) {
    text_[at] = static_cast<char>('0' + n / 10 % 10);
    text_[at + 1] = static_cast<char>('0' + n % 10);
  };
  std::memcpy(text_.data(), "Thu, 01 Jan 1970 00:00:00 GMT", length);
  std::memcpy(text_.data(), days + day % 7 * 3, 3);
  two(5, dom);
  std::memcpy(text_.data() + 8, months + (month - 1) * 3, 3);
  two(12, year / 100);
  two(14, year);
  two(17, second / 3600);
  two(20, second / 60 % 60);
  two(23, second % 60);
  unix_s_ = unix_s;
  return text_.data();
}

void Responder::respond(Part part) {
  for (Lane& lane : part) {
    if (lane.verdict == SG_VERDICT_forwarded) trim(lane);
    if (lane.verdict != SG_VERDICT_answered) continue;
    switch (lane.reason) {
      case SG_REASON_refused_resend:
      case SG_REASON_refused_fin:
        answer_again(lane);
        break;
      case SG_REASON_refused_beyond:
        reset_client(lane);
        break;
      case SG_REASON_unanswerable:
        if (!make_reset(lane)) counters_.no_frame_for_reset++;
        bury(lane);
        lane.flow->answers_again = SG_FLOW_RESETS;
        reset_client(lane);
        break;
      default:
        refuse(lane);
    }
  }
}

// What is cut off was not acknowledged, so that the client sends it again: what stands behind the
// admitted requests of a segment, and data in a SYN [RFC 7413], which a backend could read before
// anybody has judged it. And a backend that agreed to Multipath TCP would read bytes elsewhere in
// the stream than they stand in this connection.
void Responder::trim(Lane& lane) {
  const bool early_data = (lane.packet.tcp_flags & SG_TCP_SYN) && lane.packet.payload_length > 0;
  if (lane.reason == SG_REASON_trimmed)
    trim_payload(lane, lane.head_offset);
  else if (lane.cut_at < lane.packet.payload_length)
    trim_payload(lane, lane.cut_at);
  else if (early_data)
    trim_payload(lane, 0);
  if (lane.packet.has_multipath) take_out_multipath(lane);
}

Responder::Answer Responder::answer_for(const Lane& lane) const {
  if (lane.service->protocol == SG_TLS) return hello_answer(lane);
  bool head = lane.request.head.method == "HEAD";
  if (uint16_t status = rules()[lane.reason].status; status != 0)
    return plain_answer(policy_.image().responses()[built_in_response(status)], head);
  if (lane.reason == SG_REASON_signature) {
    const sg_signature_set& set = policy_.image().signatures()[lane.signature_set];
    return plain_answer(policy_.image().responses()[set.response], head);
  }
  const sg_limit& limit = policy_.image().limits()[lane.refusing_limit];
  const sg_response& response = policy_.image().responses()[limit.over_response];
  return {&response, ratelimit_of(limit, response), static_cast<uint32_t>(limit.id),
          seconds_up(wait_ns(lane, limit, response)), head};
}

// TLS has no words for how long to wait or why. Who did not begin with a ClientHello gets the end
// of the connection alone: what it speaks is not known, and an end is an end in every protocol.
Responder::Answer Responder::hello_answer(const Lane& lane) {
  bool is_hello = begins_client_hello(payload_from(lane));
  return {nullptr, {}, 0, 0, false, is_hello ? tls_alert : std::string_view()};
}

Responder::Answer Responder::plain_answer(const sg_response& response, bool without_body) {
  return {&response, {}, static_cast<uint32_t>(response.id), 0, without_body};
}

// While a limit is overridden the fields would tell another one.
std::string_view Responder::ratelimit_of(const sg_limit& limit, const sg_response& response) const {
  bool tells = now_.unix_s >= limit.override_until_unix_s && !response.without_ratelimit;
  return tells ? policy_.image().text(limit.ratelimit) : std::string_view();
}

// Spread by flow, so that those who were refused together do not come back together: as the policy
// says, and where one bucket serves many clients over as long again as they have to wait.
uint64_t Responder::wait_ns(const Lane& lane, const sg_limit& limit,
                            const sg_response& response) const {
  uint64_t wait = response.retry_fixed ? response.retry_min_ns : lane.wait_ns;
  if (wait == SG_WAIT_NEVER) return wait;
  uint64_t jitter = response.retry_jitter_ns;
  if (jitter == 0 && !response.retry_fixed && limit.shared) jitter = wait;
  return jitter == 0 ? wait : wait + lane.flow_hash % jitter;
}

uint32_t Responder::content_bytes(const Answer& answer, Form form) const {
  if (answer.response == nullptr) return static_cast<uint32_t>(answer.record.size());
  const sg_response& r = *answer.response;
  bool has_retry = r.retry_label.length_bytes > 0 && answer.retry_after_s > 0;
  uint32_t digits = digits_of(answer.retry_after_s);
  uint32_t retry_bytes = has_retry ? r.retry_label.length_bytes + digits : 0;
  if (form == Form::least)
    return static_cast<uint32_t>(least_start.size() + status_digits + least_date.size() +
                                 SG_DATE_BYTES + retry_bytes + least_end.size());
  uint32_t bytes = r.status_line.length_bytes + SG_DATE_BYTES + retry_bytes;
  if (form == Form::without_body) return bytes + static_cast<uint32_t>(bodyless_fields.size());
  if (form == Form::whole && !answer.ratelimit.empty())
    bytes += static_cast<uint32_t>(answer.ratelimit.size()) + digits;
  return bytes + r.fields.length_bytes + (answer.without_body ? 0 : r.body.length_bytes);
}

uint16_t Responder::write_content(uint8_t* to, const Answer& answer, Form form) {
  if (answer.response == nullptr) return static_cast<uint16_t>(put(to, answer.record) - to);
  const ImageView& image = policy_.image();
  const sg_response& r = *answer.response;
  bool is_least = form == Form::least;
  bool is_cut = is_least || form == Form::without_body;
  bool has_retry = r.retry_label.length_bytes > 0 && answer.retry_after_s > 0;
  uint8_t* at = to;
  if (is_least)
    at = put(put_number(put(at, least_start), r.status), least_date);
  else
    at = put(at, image.text(r.status_line));
  at = put(at, {date_.at(now_.unix_s), SG_DATE_BYTES});
  if (has_retry) at = put_number(put(at, image.text(r.retry_label)), answer.retry_after_s);
  if (form == Form::whole && !answer.ratelimit.empty())
    at = put_number(put(at, answer.ratelimit), answer.retry_after_s);
  at = put(at, is_least ? least_end : is_cut ? bodyless_fields : image.text(r.fields));
  if (!is_cut && !answer.without_body) at = put(at, image.text(r.body));
  return static_cast<uint16_t>(at - to);
}

// Never more than came: who forged his address must not have more sent there than he sent himself.
void Responder::refuse(Lane& lane) {
  const sg_packet packet = lane.packet;
  Answer answer = answer_for(lane);
  if (!make_reset(lane)) counters_.no_frame_for_reset++;
  uint32_t credit = received_before(lane) + bytes_that_came(packet) - answer_header_bytes(packet);
  uint32_t room = std::min(content_room(lane), credit);
  auto form = Form::whole;
  while (form != Form::none && content_bytes(answer, form) > room)
    form = static_cast<Form>(static_cast<uint8_t>(form) + 1);
  if (form >= Form::without_body) counters_.answers_cut++;
  uint8_t* to = lane.frame.bytes + segment_header_bytes(lane, packet.has_timestamps);
  uint16_t content = form == Form::none ? uint16_t{0} : write_content(to, answer, form);
  SegmentFields fields =
      to_client(packet, packet.ack, known_end_seq(lane), SG_TCP_FIN | SG_TCP_PSH | SG_TCP_ACK);
  lane.frame.length = write_segment(lane.frame.bytes, lane.frame.bytes, lane, fields, content);
  bury(lane);
  sg_flow& flow = *lane.flow;
  flow.flags |= answer.without_body ? SG_FLOW_ANSWER_HEAD : 0;
  flow.refusal_id = answer.refusal_id;
  flow.retry_after_s = answer.retry_after_s;
  flow.judged.answer_bytes = content;
  flow.judged.answer_end_seq = flow.answer_seq + content + 1;
  sg_flow_set_credit_bytes(&flow, credit - content);
}

// The entry becomes a tombstone. Another connection that the backend may be reading is not
// forgotten over this one.
void Responder::bury(Lane& lane) {
  sg_flow& flow = *lane.flow;
  uint32_t end = known_end_seq(lane);
  if (seq_distance(end, flow.next_seq) > 0) end = flow.next_seq;  // what was sent again had passed
  flow.judged.passed_64k = passed_64k_at(flow, flow.next_seq, end);
  flow.judged.linger_seq = end;
  flow.judged.answer_end_seq = lane.packet.ack;
  flow.state = SG_FLOW_REFUSED;
  flow.flags &= flags_of_other;
  flow.marks &= marks_of_other | SG_FLOW_EARLIER;
  flow.answer_seq = lane.packet.ack;
  flow.receive_next = end;
  flow.answers_again = 0;
  flow.credit_16 = 0;
  flow.judged.answer_bytes = 0;
  flow.seen_ticks = flow_ticks(now_.monotonic_ns);
}

void Responder::reset_client(Lane& lane) {
  const sg_packet packet = lane.packet;
  SegmentFields fields =
      to_client(packet, packet.ack, known_end_seq(lane), SG_TCP_RST | SG_TCP_ACK);
  lane.frame.length = write_segment(lane.frame.bytes, lane.frame.bytes, lane, fields, 0);
}

// An answer is lost now and then, and a client's TCP asks again after growing pauses. Who asks
// faster wants something else: one that is still uploading an acknowledgement, one that forged his
// address a reflector.
bool Responder::may_repeat(const sg_flow& flow) const {
  if (flow.answers_again >= SG_ANSWERS_AGAIN_MAX) return false;
  if (flow.answers_again == 0) return true;
  uint32_t age_ticks = flow_ticks(now_.monotonic_ns) - flow.seen_ticks;
  uint64_t due_ns = (SG_ANSWER_AGAIN_NS << flow.answers_again) - SG_ANSWER_AGAIN_NS;
  return age_ticks >= due_ns / SG_FLOW_TICK_NS;
}

// The largest form that fits, at most as large as before. (One answer is one segment: of two that
// differ a client takes the first that arrives, with the FIN at its end, and nothing of the other.)
uint16_t Responder::repeat_content(Lane& lane, uint32_t room) {
  const sg_flow& flow = *lane.flow;
  if (lane.service->protocol == SG_TLS) {
    // The alert, whatever a new policy says; or the end alone, if that was all.
    if (tls_alert.size() > std::min<uint32_t>(room, flow.judged.answer_bytes)) return 0;
    put(lane.frame.bytes + segment_header_bytes(lane, lane.packet.has_timestamps), tls_alert);
    return tls_alert.size();
  }
  const PolicyInForce::Refusal* refusal = policy_.refusal(flow.refusal_id);
  if (refusal == nullptr) return 0;
  const sg_response& response = *refusal->response;
  Answer answer = plain_answer(response, (flow.flags & SG_FLOW_ANSWER_HEAD) != 0);
  answer.retry_after_s = flow.retry_after_s;
  if (refusal->limit != nullptr) answer.ratelimit = ratelimit_of(*refusal->limit, response);
  uint8_t* to = lane.frame.bytes + segment_header_bytes(lane, lane.packet.has_timestamps);
  room = std::min<uint32_t>(room, flow.judged.answer_bytes);
  for (Form form : {Form::whole, Form::without_ratelimit, Form::without_body, Form::least})
    if (content_bytes(answer, form) <= room) return write_content(to, answer, form);
  return 0;
}

// The tombstone's answer to data and to FIN: the same as the first one as long as the client has
// not read that and does not ask too often; then an acknowledgement. A FIN gets the answer too:
// acknowledged alone, a client whose answer was lost would have nothing left to send again, and
// wait for ever. For the same reason a last byte stays unacknowledged while the answer is unread
// and not given. What is acknowledged alone stands where the client reads on, wherever that is:
// answers of different length may be under way. Nor is more acknowledged to a client that has read
// on: what it must send again shows whether it waits.
void Responder::answer_again(Lane& lane) {
  const sg_packet packet = lane.packet;
  sg_flow& flow = *lane.flow;
  const bool is_behind = reads_on(flow, packet.ack);
  if (!is_behind && seq_distance(flow.receive_next, packet.seq) <= 0 &&
      seq_distance(flow.receive_next, end_seq(packet)) > 0) {
    flow.judged.passed_64k = passed_64k_at(flow, flow.receive_next, end_seq(packet));
    flow.receive_next = end_seq(packet);
  }
  uint32_t credit =
      sg_flow_credit_bytes(&flow) + bytes_that_came(packet) - answer_header_bytes(packet);
  const bool asks = is_answer_unread(flow, packet.ack);
  const bool may_give = asks && may_repeat(flow);
  if (asks && !may_give) counters_.answers_withheld++;
  uint16_t content =
      may_give ? repeat_content(lane, std::min(credit, content_room(lane))) : uint16_t{0};
  bool again = content > 0 || (may_give && flow.judged.answer_bytes == 0);
  if (again) {
    flow.answers_again++;
    flow.judged.answer_bytes = content;
  }
  sg_flow_set_credit_bytes(&flow, credit - content);
  auto flags = static_cast<uint8_t>(again ? SG_TCP_FIN | SG_TCP_PSH | SG_TCP_ACK : SG_TCP_ACK);
  uint32_t ack = flow.receive_next - ((asks && !again) || is_behind ? 1 : 0);
  SegmentFields fields = to_client(packet, asks ? flow.answer_seq : packet.ack, ack, flags);
  lane.frame.length = write_segment(lane.frame.bytes, lane.frame.bytes, lane, fields, content);
}

// RST with exactly the sequence number that the backend expects: RFC 5961 section 3.2 accepts no
// other at once. It has seen nothing of this segment but what had passed before; and of a request
// that is held back nothing of what would fill the hole in front of it, though that was judged.
bool Responder::make_reset(Lane& lane) {
  if (!port_.allocate(lane.extra)) return false;
  const sg_packet& packet = lane.packet;
  const bool begins_old =
      (lane.flow->marks & SG_FLOW_HELD) == 0 && seq_distance(packet.seq, lane.flow->next_seq) > 0;
  SegmentFields fields{begins_old ? lane.flow->next_seq : packet.seq,
                       packet.ack,
                       SG_TCP_RST | SG_TCP_ACK,
                       false,
                       packet.has_timestamps != 0,
                       packet.ts_value,
                       packet.ts_echo};
  lane.extra.number = lane.frame.number;
  lane.extra.length = write_segment(lane.extra.bytes, lane.frame.bytes, lane, fields, 0);
  return true;
}

}  // namespace surgegate
