// SPDX-License-Identifier: BSD-3-Clause
#include "tests/fuzz/packet_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <set>

#include "config/headers.h"
#include "dataplane/path/decide.h"
#include "tests/fuzz/packet_read.h"

namespace surgegate::testing {
namespace {

// Found by balance and transmit, when the flow has already learnt of the packet.
bool lost_on_the_way_out(sg_reason reason) {
  return reason == SG_REASON_tx_full || reason == SG_REASON_no_backend ||
         reason == SG_REASON_no_next_hop || reason == SG_REASON_no_headroom;
}

// A peer of `clients:` in all policies of packet_policies.cc.
bool is_proxy(const Bytes& ip) {
  const Ip proxy4 = testing::ip("203.0.113.200"), proxy6 = testing::ip("2001:db8:cd::");
  return ip.size() == 4 ? std::equal(ip.begin(), ip.end(), proxy4.bytes.begin())
                        : std::equal(ip.begin(), ip.begin() + 6, proxy6.bytes.begin());
}

class FateCheck {
 public:
  FateCheck(const Played& played, const Fate& fate, const Policies& policies)
      : played_(played), in_(played.frame), fate_(fate), policies_(policies) {}

  std::string fault() {
    if (std::string what = requests_fault(); !what.empty()) return what;
    if (fate_.verdict == SG_VERDICT_to_kernel && fate_.kernel[0] != in_)
      return "what the kernel got is not what came";
    if (fate_.sent.empty()) return {};
    const auto packet = read_frame(in_);
    if (!packet) return "something was sent for a frame that is not right";
    if (fate_.verdict == SG_VERDICT_forwarded) return forwarded_fault(*packet, fate_.sent[0]);
    if (fate_.sent.size() > 1)
      if (std::string what = reset_fault(*packet, fate_.sent[1]); !what.empty()) return what;
    return answer_fault(*packet, fate_.sent[0]);
  }

 private:
  std::string requests_fault() const {
    const uint64_t admitted = fate_.requests_admitted, refused = fate_.requests_refused;
    // 16 bytes is the shortest head; the first of a segment, or the last, may be a piece.
    if (admitted + refused > in_.size() / 16 + 1) return "more requests than have room in a frame";
    if (refused > 1) return "more than one request of a frame refused";
    if (fate_.service.empty() && admitted + refused > 0) return "a request of no service";
    switch (fate_.reason) {
      case SG_REASON_trimmed:  // by a chunk that cannot be read, nothing is refused but bytes
        return {};
      case SG_REASON_limit_requests:
      case SG_REASON_limit_requests_drop:
      case SG_REASON_limit_requests_silent:
        if (fate_.limit.empty()) return "refused by no limit";
        [[fallthrough]];
      case SG_REASON_signature:
      case SG_REASON_signature_drop:
      case SG_REASON_signature_silent:
        return admitted == 0 && refused == 1 ? "" : "a refusal that does not count as one";
      default:
        if (rules()[fate_.reason].status != 0)
          return admitted == 0 && refused == 1 ? "" : "a fault that does not count as one";
        return fate_.verdict != SG_VERDICT_forwarded || refused == 0
                   ? ""
                   : "a refused request forwarded";
    }
  }

  // To a backend: by its link address, from ours, tags as they were. Takes a tunnel header off.
  std::string unwrap(const Packet& packet, Bytes& out) const {
    if (out.size() < packet.ip || out[0] != 2 || out[1] != 0) return "not to a backend";
    if (!std::equal(in_.begin(), in_.begin() + 6, out.begin() + 6)) return "not from our address";
    const auto outer = read_frame(out);
    if (!outer) return "a frame that is not right went to a backend";
    if (outer->ip != packet.ip) return "tags were changed";
    const bool in_tunnel = outer->proto == proto_ipip || outer->proto == proto_ip6;
    if (in_tunnel != fate_.backend.starts_with("far/")) return "not the way to this backend's pool";
    if (!in_tunnel) return {};
    const auto inner = read_packet(out, outer->l4);
    if (!inner || outer->end != out.size() || inner->end != out.size())
      return "the packet in the tunnel is not right";
    if (outer->traffic_class != inner->traffic_class)  // RFC 6040 section 4.1
      return "a tunnel header with other DSCP or ECN than what is in it";
    out.erase(out.begin() + static_cast<ptrdiff_t>(packet.ip),
              out.begin() + static_cast<ptrdiff_t>(outer->l4));
    out[packet.ip - 2] = in_[packet.ip - 2], out[packet.ip - 1] = in_[packet.ip - 1];
    return {};
  }

  std::string forwarded_fault(const Packet& packet, Bytes out) const {
    if (std::string what = unwrap(packet, out); !what.empty()) return what;
    const bool early_data = (packet.flags & syn) && packet.payload_bytes() > 0;
    // A stray goes no further than one request.
    const bool may_be_cut = fate_.reason == SG_REASON_stray || fate_.reason == SG_REASON_request;
    const bool is_cut = may_be_cut && out.size() < packet.end;
    if (fate_.reason != SG_REASON_trimmed && !early_data && !is_cut) {
      const bool same = std::equal(
          in_.begin() + 12, in_.begin() + static_cast<ptrdiff_t>(packet.end), out.begin() + 12);
      return same && out.size() <= in_.size() ? "" : "a packet was changed on its way";
    }
    const auto left = read_frame(out);
    if (!left || left->end != out.size()) return "what was cut off left a packet that is not right";
    if (left->payload_bytes() >= packet.payload_bytes()) return "nothing was cut off";
    if (left->payload != packet.payload || left->flow() != packet.flow()) return "headers changed";
    if (left->seq != packet.seq || left->ack != packet.ack) return "sequence numbers changed";
    if (left->flags & fin) return "the end of a stream goes before its middle";
    return std::equal(out.begin() + static_cast<ptrdiff_t>(left->payload), out.end(),
                      in_.begin() + static_cast<ptrdiff_t>(packet.payload))
               ? ""
               : "the cut payload is not the beginning of what came";
  }

  std::string reset_fault(const Packet& packet, Bytes out) const {
    if (std::string what = unwrap(packet, out); !what.empty()) return what;
    const auto reset = read_frame(out);
    if (!reset || reset->end != out.size()) return "a reset that is not right";
    if (reset->flow() != packet.flow()) return "a reset of another connection";
    if (reset->flags != (rst | ack) || reset->payload_bytes() > 0) return "a reset that is none";
    return reset->seq == packet.seq && reset->ack == packet.ack ? "" : "a reset out of sequence";
  }

  std::string answer_fault(const Packet& packet, const Bytes& out) const {
    const auto answer = read_frame(out);
    if (!answer || answer->end != out.size()) return "an answer that is not right";
    sg_packet own;
    if (sg_read_frame(out.data(), out.data() + out.size(), &own) != 0 ||
        !sg_l4_checksum_valid(out.data(), &own))
      return "an answer that the gate itself would refuse";
    if (is_proxy(packet.src)) return "an answer that a proxy may hand to somebody else";
    if (packet.flags & (rst | syn) || !(packet.flags & ack))  // RFC 9293 section 3.10.7
      return "an answer to a segment that has no answer";
    if (answer->src != packet.dst || answer->dst != packet.src ||
        answer->src_port != packet.dst_port || answer->dst_port != packet.src_port)
      return "an answer to somebody else";
    const Bytes macs = cut_out(in_, 6, 12), tags = cut_out(in_, 12, packet.ip);
    if (cut_out(out, 0, 6) != macs || cut_out(out, 6, 12) != cut_out(in_, 0, 6) ||
        cut_out(out, 12, answer->ip) != tags)
      return "an answer that takes another way back";
    return content_fault(packet, *answer, out);
  }

  std::string content_fault(const Packet& packet, const Packet& answer, const Bytes& out) const {
    const bool again =
        fate_.reason == SG_REASON_refused_resend || fate_.reason == SG_REASON_refused_fin;
    const std::string text(out.begin() + static_cast<ptrdiff_t>(answer.payload), out.end());
    if (fate_.reason == SG_REASON_refused_beyond || fate_.reason == SG_REASON_unanswerable)
      return answer.flags == (rst | ack) && text.empty() ? "" : "another thing than a reset";
    if (answer.flags == ack) return again && text.empty() ? "" : "an acknowledgement for an answer";
    if (answer.flags != (fin | psh | ack)) return "an answer with odd flags";
    // A late segment of before the refused request acknowledges less than that did.
    const auto ahead = static_cast<int32_t>(answer.seq - packet.ack);
    if (ahead != 0 && !(again && ahead > 0))
      return "an answer that does not stand where the client reads";
    if (!again && answer.ack != packet.end_seq()) return "an answer that misses what it answers";
    if (text.empty()) return {};
    for (const auto& policy : policies_)
      for (const sg_response& response : policy->image().responses())
        if (is_text_of(policy->image(), response, text)) return {};
    return "an answer that no policy has: " + text;
  }

  bool is_text_of(const ImageView& image, const sg_response& response,
                  std::string_view text) const {
    const auto take = [&](std::string_view part) {
      const bool there = text.starts_with(part);
      if (there) text.remove_prefix(part.size());
      return there;
    };
    char date[64];
    const auto seconds = static_cast<time_t>(played_.unix_s);
    std::strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", std::gmtime(&seconds));
    const auto take_number = [&] {
      const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
      text.remove_prefix(digits);
      return digits > 0;
    };
    const bool is_least = take("HTTP/1.1 " + std::to_string(response.status) + " \r\nDate: ");
    if (!is_least && !take(image.text(response.status_line))) return false;
    if (!take(date)) return false;
    const std::string_view label = image.text(response.retry_label);
    if (!label.empty() && take(label) && !take_number()) return false;
    if (is_least) return text == "\r\n\r\n";
    for (const sg_limit& limit : image.limits())
      if (limit.ratelimit.length_bytes > 0 && take(image.text(limit.ratelimit)))
        return take_number() && take(image.text(response.fields)) &&
               (text.empty() || text == image.text(response.body));
    if (text == "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") return true;
    return take(image.text(response.fields)) && (text.empty() || text == image.text(response.body));
  }

  const Played& played_;
  const Bytes& in_;
  const Fate& fate_;
  const Policies& policies_;
};

}  // namespace

using Connections = std::set<std::string>;  // whose SYN was seen

// What must hold between a packet and those before it.
std::string connection_fault(const Fate& fate, const Packet& packet, Connections& connections) {
  const bool passed = fate.verdict == SG_VERDICT_forwarded || lost_on_the_way_out(fate.reason);
  if (passed && (packet.flags & syn)) connections.insert(packet.flow());
  return fate.verdict == SG_VERDICT_answered && !connections.contains(packet.flow())
             ? "an answer, and its SYN was not seen"
             : "";
}

std::string fate_fault(const std::vector<Played>& played, const Journey& journey,
                       const Policies& policies, bool in_order) {
  Connections connections;
  for (uint64_t number = 1; number <= played.size(); number++) {
    const Fate& fate = journey.fate(number);
    std::string what = FateCheck(played[number - 1], fate, policies).fault();
    if (what.empty() && in_order)
      if (const auto packet = read_frame(played[number - 1].frame))
        what = connection_fault(fate, *packet, connections);
    if (what.empty()) continue;
    what = fmt::format("packet {} ({}, {}): {}\n{}", number, name_of(fate.verdict),
                       rules()[fate.reason].name, what, describe(played[number - 1].frame));
    for (const Bytes& sent : fate.sent) what += "\nsent:\n" + describe(sent);
    return what;
  }
  return {};
}

}  // namespace surgegate::testing
