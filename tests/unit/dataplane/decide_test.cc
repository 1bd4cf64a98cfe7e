// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/decide.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace surgegate {
namespace {

sg_reason reason_named(std::string_view name) {
  for (const Rule& rule : rules())
    if (rule.name == name) return rule.reason;
  ADD_FAILURE() << "no reason is named " << name;
  return SG_REASON_COUNT;
}

std::string decided(std::initializer_list<const char*> found, bool answerable = true,
                    uint8_t round = 0, uint16_t head_offset = 0) {
  Lane lane;
  lane.head_offset = head_offset;
  lane.answerable = answerable;
  lane.round = round;
  for (const char* name : found) lane.found |= sg_finding(reason_named(name));
  decide(lane);
  return std::string(rules()[lane.reason].name);
}

// Written out here, not taken from the list: what a reason does to a packet is a promise.
TEST(Decide, EachReasonHasItsVerdict) {
  const std::map<std::string, sg_verdict> promised = {
      {"ring_full", SG_VERDICT_dropped},
      {"tx_full", SG_VERDICT_dropped},
      {"frame_cut", SG_VERDICT_dropped},
      {"not_ip", SG_VERDICT_to_kernel},
      {"ip_header_cut", SG_VERDICT_dropped},
      {"not_vip", SG_VERDICT_to_kernel},
      {"icmp", SG_VERDICT_to_kernel},
      {"ip_header_invalid", SG_VERDICT_dropped},
      {"ip_length_lies", SG_VERDICT_dropped},
      {"ip_checksum", SG_VERDICT_dropped},
      {"martian_source", SG_VERDICT_dropped},
      {"ip6_extensions", SG_VERDICT_dropped},
      {"denied", SG_VERDICT_dropped},
      {"fragment", SG_VERDICT_dropped},
      {"l4_cut", SG_VERDICT_dropped},
      {"tcp_header_invalid", SG_VERDICT_dropped},
      {"l4_length_lies", SG_VERDICT_dropped},
      {"l4_checksum", SG_VERDICT_dropped},
      {"tcp_flags", SG_VERDICT_dropped},
      {"refused_resend", SG_VERDICT_answered},
      {"refused_fin", SG_VERDICT_answered},
      {"refused_beyond", SG_VERDICT_answered},
      {"refused_unpaid", SG_VERDICT_dropped},
      {"unanswerable", SG_VERDICT_answered},
      {"refused_ack", SG_VERDICT_dropped},
      {"answers_spent", SG_VERDICT_dropped},
      {"strays_spent", SG_VERDICT_dropped},
      {"refused_rst", SG_VERDICT_forwarded},
      {"limit_packets", SG_VERDICT_dropped},
      {"limit_connections", SG_VERDICT_dropped},
      {"tcp_urgent", SG_VERDICT_dropped},
      {"syn_in_stream", SG_VERDICT_dropped},
      {"out_of_order", SG_VERDICT_dropped},
      {"old_data", SG_VERDICT_dropped},
      {"resend_differs", SG_VERDICT_dropped},
      {"tcp_signed", SG_VERDICT_dropped},
      {"tcp_multipath", SG_VERDICT_dropped},
      {"tcp_old_timestamp", SG_VERDICT_dropped},
      {"head_evicted", SG_VERDICT_dropped},
      {"http_line", SG_VERDICT_answered},
      {"http_method", SG_VERDICT_answered},
      {"http_connect", SG_VERDICT_answered},
      {"http_target", SG_VERDICT_answered},
      {"http_target_long", SG_VERDICT_answered},
      {"http_absolute_target", SG_VERDICT_answered},
      {"http_host_differs", SG_VERDICT_answered},
      {"http_0_9", SG_VERDICT_answered},
      {"http_2", SG_VERDICT_answered},
      {"http_version", SG_VERDICT_answered},
      {"http_line_end", SG_VERDICT_answered},
      {"http_control", SG_VERDICT_answered},
      {"http_field_name", SG_VERDICT_answered},
      {"http_space_before_colon", SG_VERDICT_answered},
      {"http_folded", SG_VERDICT_answered},
      {"http_field_twice", SG_VERDICT_answered},
      {"http_no_host", SG_VERDICT_answered},
      {"http_host_twice", SG_VERDICT_answered},
      {"http_host", SG_VERDICT_answered},
      {"http_length", SG_VERDICT_answered},
      {"http_length_twice", SG_VERDICT_answered},
      {"http_length_and_chunked", SG_VERDICT_answered},
      {"http_coding", SG_VERDICT_answered},
      {"http_chunked_1_0", SG_VERDICT_answered},
      {"http_head_long", SG_VERDICT_answered},
      {"http_fields_many", SG_VERDICT_answered},
      {"http_slow", SG_VERDICT_answered},
      {"http_chunk_size", SG_VERDICT_answered},
      {"http_chunk_extension", SG_VERDICT_answered},
      {"http_chunk_end", SG_VERDICT_answered},
      {"http_trailer", SG_VERDICT_answered},
      {"http_fault_silent", SG_VERDICT_dropped},
      {"http_upgraded", SG_VERDICT_dropped},
      {"limit_requests", SG_VERDICT_answered},
      {"limit_requests_drop", SG_VERDICT_dropped},
      {"limit_requests_silent", SG_VERDICT_dropped},
      {"signature", SG_VERDICT_answered},
      {"signature_drop", SG_VERDICT_dropped},
      {"signature_silent", SG_VERDICT_dropped},
      {"no_backend", SG_VERDICT_dropped},
      {"no_next_hop", SG_VERDICT_dropped},
      {"no_headroom", SG_VERDICT_dropped},
      {"trimmed", SG_VERDICT_forwarded},
      {"request", SG_VERDICT_forwarded},
      {"head_piece", SG_VERDICT_forwarded},
      {"piece_ahead", SG_VERDICT_forwarded},
      {"resend", SG_VERDICT_forwarded},
      {"body", SG_VERDICT_forwarded},
      {"syn", SG_VERDICT_forwarded},
      {"syn_untracked", SG_VERDICT_forwarded},
      {"closing", SG_VERDICT_forwarded},
      {"stray", SG_VERDICT_forwarded},
      {"segment", SG_VERDICT_forwarded},
      {"datagram", SG_VERDICT_forwarded},
  };
  EXPECT_EQ(promised.size(), rules().size());
  for (const Rule& rule : rules()) {
    auto found = promised.find(std::string(rule.name));
    ASSERT_NE(found, promised.end()) << "no promise about " << rule.name;
    EXPECT_EQ(rule.verdict, found->second) << rule.name;
    Lane lane;
    lane.answerable = true;
    lane.found = sg_finding(rule.reason);
    decide(lane);
    EXPECT_EQ(lane.reason, rule.reason);
    EXPECT_EQ(lane.verdict, rule.verdict);
  }
}

TEST(Decide, WhatIsNotForUsGoesToTheKernelHoweverBrokenItIs) {
  EXPECT_EQ(decided({"not_vip", "ip_checksum", "tcp_flags"}), "not_vip");
  EXPECT_EQ(decided({"icmp", "martian_source"}), "icmp");
}

TEST(Decide, ADeniedSourceIsDroppedUnderThatName) {
  EXPECT_EQ(decided({"denied", "fragment", "l4_checksum"}), "denied");
  EXPECT_EQ(decided({"denied", "request"}), "denied");
}

TEST(Decide, ARefusalWinsOverTheRequestThatItIsOf) {
  EXPECT_EQ(decided({"request", "limit_requests", "limit_requests_silent"}), "limit_requests");
  EXPECT_EQ(decided({"request", "closing", "signature", "signature_silent"}), "signature");
  EXPECT_EQ(decided({"request", "limit_packets"}), "limit_packets");
  EXPECT_EQ(decided({"request", "limit_requests_drop"}), "limit_requests_drop");
}

// An answer that lands inside another answer's body is corruption.
TEST(Decide, WhereAnAnswerIsNotSafeThereIsNone) {
  EXPECT_EQ(decided({"request", "limit_requests", "limit_requests_silent"}, false),
            "limit_requests_silent");
  EXPECT_EQ(decided({"request", "signature", "signature_silent"}, false), "signature_silent");
  EXPECT_EQ(decided({"http_folded", "http_fault_silent"}, false), "http_fault_silent");
}

TEST(Decide, WhatATombstoneAnswersDependsOnNothingElse) {
  EXPECT_EQ(decided({"refused_resend"}, false), "refused_resend");
  EXPECT_EQ(decided({"refused_fin"}, false), "refused_fin");
}

// Found of whatever would be answered; and no ground to give the connection up.
TEST(Decide, WithoutABudgetNothingIsAnswered) {
  for (const Rule& rule : rules()) {
    if (rule.verdict != SG_VERDICT_answered) continue;
    EXPECT_EQ(decided({"answers_spent", rule.name.data()}), "answers_spent") << rule.name;
  }
  Lane lane;
  lane.worn_out = true;
  lane.found = SG_FOUND(limit_requests_silent) | SG_FOUND(answers_spent);
  decide(lane);
  EXPECT_EQ(lane.reason, SG_REASON_answers_spent);
}

// The requests before it in the segment were admitted and charged.
TEST(Decide, ARefusalBehindAdmittedRequestsTrims) {
  for (const char* refusal : {"limit_requests_silent", "limit_requests_drop", "signature_drop",
                              "signature_silent", "http_fault_silent"})
    EXPECT_EQ(decided({"request", refusal}, false, 1), "trimmed") << refusal;
  EXPECT_EQ(decided({"request", "limit_requests", "limit_requests_silent"}, true, 1), "trimmed");
  EXPECT_EQ(decided({"request"}, false, 1), "request");
}

TEST(Decide, ARefusalBehindABodyOrAResendTrims) {
  EXPECT_EQ(decided({"request", "limit_requests_silent"}, false, 0, 5), "trimmed");
  EXPECT_EQ(decided({"request", "limit_requests_drop"}, false, 0, 5), "trimmed");
}

// A packet over its limit goes nowhere, whatever stands in it.
TEST(Decide, ARefusedPacketIsNotTrimmed) {
  EXPECT_EQ(decided({"request", "limit_packets"}, false, 0, 5), "limit_packets");
  EXPECT_EQ(decided({"no_next_hop"}, false, 0, 5), "no_next_hop");
}

TEST(Decide, EveryWordIsKnown) {
  for (int v = 0; v < SG_VERDICT_COUNT; v++) {
    EXPECT_FALSE(name_of(static_cast<sg_verdict>(v)).empty());
    EXPECT_FALSE(meaning_of(static_cast<sg_verdict>(v)).empty());
  }
  EXPECT_EQ(name_of(SG_VERDICT_to_kernel), "to_kernel");
  EXPECT_EQ(name_of(SG_STEP_police), "police");
}

}  // namespace
}  // namespace surgegate
