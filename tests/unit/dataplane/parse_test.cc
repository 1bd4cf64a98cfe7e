// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path/parse.h"

#include <gtest/gtest.h>

#include <cstring>

#include "dataplane/path/decide.h"
#include "tests/support/buffer.h"
#include "tests/support/frame.h"

namespace surgegate {
namespace {

using testing::build;
using testing::Bytes;
using testing::bytes_of;
using testing::Extension;
using testing::FrameFields;
using testing::GuardedBuffer;
using testing::ip;

constexpr sg_secret secret = {1, 2};

std::string names_of(sg_findings found) {
  std::string names;
  for (const Rule& rule : rules())
    if (found >> rule.reason & 1) names += (names.empty() ? "" : " ") + std::string(rule.name);
  return names;
}

// The frame stands at the end of readable memory.
Lane parsed(const Bytes& bytes, bool checksum_good = false) {
  GuardedBuffer buffer(bytes.size());
  std::memcpy(buffer.begin(), bytes.data(), bytes.size());
  Lane lane;
  lane.frame.bytes = buffer.begin();
  lane.frame.length = static_cast<uint16_t>(bytes.size());
  lane.frame.checksum_good = checksum_good;
  parse({&lane, 1}, secret);
  return lane;
}

std::string found_in(const FrameFields& fields) {
  return names_of(parsed(build(fields)).found);
}

FrameFields segment(int version) {
  FrameFields f;
  f.src = ip(version == 4 ? "192.0.2.10" : "2001:db8:c::10");
  f.dst = ip(version == 4 ? "198.51.100.10" : "2001:db8::10");
  f.src_port = 40001;
  f.dst_port = 80;
  f.seq = 0x01020304;
  f.ack_seq = 0x05060708;
  f.timestamps = {0x11121314, 0x21222324};
  f.payload = bytes_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  return f;
}

FrameFields datagram(int version) {
  FrameFields f = segment(version);
  f.proto = testing::proto_udp;
  f.payload = bytes_of("odd");
  return f;
}

class BothFamilies : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Parse, BothFamilies, ::testing::Values(4, 6),
                         [](const auto& version) { return "v" + std::to_string(version.param); });

TEST_P(BothFamilies, AllOfASegmentIsRead) {
  FrameFields f = segment(GetParam());
  f.dscp_ecn = 0xb9;
  f.mss = 1440;
  f.window_scale = 7;
  Lane lane = parsed(build(f));
  const sg_packet& p = lane.packet;
  EXPECT_EQ(names_of(lane.found), "");
  EXPECT_EQ(p.ip_version, GetParam());
  EXPECT_EQ(p.seq, 0x01020304u);
  EXPECT_EQ(p.ack, 0x05060708u);
  EXPECT_EQ(p.ts_value, 0x11121314u);
  EXPECT_EQ(p.ts_echo, 0x21222324u);
  EXPECT_EQ(p.mss, 1440);
  EXPECT_EQ(p.window_scale, 7);
  EXPECT_EQ(p.dscp_ecn, 0xb9);
  EXPECT_EQ(p.tuple.src_port_be, sg_be16(40001));
  EXPECT_EQ(p.tuple.dst_port_be, sg_be16(80));
  EXPECT_EQ(p.payload_offset, testing::header_bytes(f));
  EXPECT_EQ(p.payload_length, f.payload.size());
}

TEST_P(BothFamilies, TagsMoveTheHeadersAndNothingElse) {
  FrameFields f = segment(GetParam());
  uint64_t untagged = parsed(build(f)).flow_hash;
  f.tags = {{0x8100, 0x2005}};
  Lane one = parsed(build(f));
  f.tags = {{0x88a8, 7}, {0x8100, 9}};
  Lane two = parsed(build(f));
  EXPECT_EQ(one.packet.l3_offset, 18);
  EXPECT_EQ(two.packet.l3_offset, 22);
  EXPECT_EQ(two.packet.vlan_count, 2);
  EXPECT_EQ(one.flow_hash, untagged);
  EXPECT_EQ(two.flow_hash, untagged);
}

TEST_P(BothFamilies, AThirdTagIsNotOurs) {
  FrameFields f = segment(GetParam());
  f.tags = {{0x88a8, 7}, {0x8100, 9}, {0x8100, 11}};
  EXPECT_EQ(found_in(f), "not_ip");
}

TEST_P(BothFamilies, AFrameCutAnywhereIsFoundOutAndNothingBehindItIsRead) {
  for (FrameFields f : {segment(GetParam()), datagram(GetParam())}) {
    f.tags = {{0x88a8, 7}, {0x8100, 9}};
    if (GetParam() == 6) f.extensions = {Extension::options(0), Extension::options(60, 16)};
    const size_t ip_header = GetParam() == 4 ? 20 : 40;
    const size_t whole = build(f).size();
    for (size_t length = 0; length < whole; length++) {
      f.cut = length;
      EXPECT_EQ(found_in(f), length < 22               ? "frame_cut"
                             : length < 22 + ip_header ? "ip_header_cut"
                                                       : "ip_length_lies")
          << length << " of " << whole << " bytes";
    }
  }
}

// As above, but the IP length is cut with the frame: every header is cut in turn.
TEST_P(BothFamilies, AnIpPacketCutAnywhereIsFoundOutUntilOnlyPayloadIsMissing) {
  for (const FrameFields& f : {segment(GetParam()), datagram(GetParam())}) {
    const Bytes whole = build(f);
    const size_t l3 = 14, l4 = l3 + (GetParam() == 4 ? 20 : 40);
    const size_t fixed = f.proto == testing::proto_tcp ? 20 : 8;
    for (size_t length = l4; length < whole.size(); length++) {
      FrameFields cut = f;
      cut.cut = length;
      cut.ip_length = static_cast<uint16_t>(GetParam() == 4 ? length - l3 : length - l4);
      std::string expected = "l4_checksum";  // only payload is missing
      if (length < testing::header_bytes(f)) expected = "tcp_header_invalid";
      if (f.proto == testing::proto_udp) expected = "l4_length_lies";
      if (length < l4 + fixed) expected = "l4_cut";
      EXPECT_EQ(found_in(cut), expected) << length << " of " << whole.size() << " bytes";
    }
  }
}

TEST_P(BothFamilies, PaddingIsNotPayload) {
  FrameFields f = segment(GetParam());
  f.payload.clear();
  f.padding = 20;
  Lane lane = parsed(build(f));
  EXPECT_EQ(names_of(lane.found), "");
  EXPECT_EQ(lane.packet.payload_length, 0);
}

TEST_P(BothFamilies, AnIpLengthThatLiesIsFoundOut) {
  FrameFields f = segment(GetParam());
  const auto right = static_cast<uint16_t>(build(f).size() - 14 - (GetParam() == 6 ? 40 : 0));
  f.ip_length = static_cast<uint16_t>(right + 1);
  EXPECT_EQ(found_in(f), "ip_length_lies");
  f.ip_length = 65535;
  EXPECT_EQ(found_in(f), "ip_length_lies");
  f.ip_length = 0;  // IPv6: a jumbogram's mark; there is nothing behind the header then
  EXPECT_EQ(found_in(f), GetParam() == 4 ? "ip_length_lies" : "l4_cut");
  f.ip_length = 19;
  EXPECT_EQ(found_in(f), GetParam() == 4 ? "ip_length_lies" : "l4_cut");
}

TEST_P(BothFamilies, AVersionThatContradictsTheEthertypeIsInvalid) {
  FrameFields f = segment(GetParam());
  for (uint8_t version : {0, 5, 15, GetParam() == 4 ? 6 : 4}) {
    f.ip_version = version;
    EXPECT_EQ(found_in(f), "ip_header_invalid") << int{version};
  }
}

TEST_P(BothFamilies, AWrongChecksumIsFoundOutWhateverBitIsWrong) {
  for (FrameFields f : {segment(GetParam()), datagram(GetParam())}) {
    for (int bit = 0; bit < 16; bit++) {
      f.l4_checksum_xor = static_cast<uint16_t>(1 << bit);
      EXPECT_EQ(found_in(f), "l4_checksum");
    }
  }
}

TEST_P(BothFamilies, WhatTheNicHasCheckedIsNotCheckedAgain) {
  FrameFields f = segment(GetParam());
  f.l4_checksum_xor = 1;
  EXPECT_EQ(names_of(parsed(build(f), true).found), "");
}

TEST_P(BothFamilies, ChecksumsHoldForEveryPayloadLength) {
  FrameFields f = segment(GetParam());
  f.payload.clear();
  for (int length = 0; length < 70; length++) {
    EXPECT_EQ(found_in(f), "") << length;
    f.payload.push_back(static_cast<uint8_t>(0xff - length * 7));
  }
}

// RFC 768: zero means that there is none. RFC 8200 section 8.1: over IPv6 there must be one.
TEST_P(BothFamilies, AUdpChecksumOfZero) {
  FrameFields f = datagram(GetParam());
  f.l4_checksum = 0;
  EXPECT_EQ(found_in(f), GetParam() == 4 ? "" : "l4_checksum");
}

TEST_P(BothFamilies, AUdpLengthThatLiesIsFoundOut) {
  FrameFields f = datagram(GetParam());
  for (uint16_t length : {0, 7, 8, 10, 12, 65535}) {
    f.udp_length = length;
    EXPECT_EQ(found_in(f), "l4_length_lies") << length;
  }
}

TEST_P(BothFamilies, ADataOffsetThatLiesIsFoundOut) {
  FrameFields f = segment(GetParam());
  f.payload.clear();
  for (uint8_t words : {0, 1, 4, 9, 15}) {  // the header has 8
    f.tcp_header_words = words;
    EXPECT_EQ(found_in(f), "tcp_header_invalid") << int{words};
  }
}

TEST_P(BothFamilies, OptionsThatRunOverTheirHeaderAreFoundOut) {
  const std::vector<Bytes> lists = {
      {1, 1, 1, 2},              // a kind without a length
      {2, 0, 1, 1},              // a length of zero would never end
      {2, 1, 1, 1},              // shorter than itself
      {2, 5, 5, 0xb4},           // one byte beyond
      {8, 10, 0, 0, 0, 0, 0, 0}  // timestamps cut short
  };
  for (const Bytes& list : lists) {
    FrameFields f = segment(GetParam());
    f.timestamps.reset();
    f.tcp_options = list;
    f.payload.clear();
    EXPECT_EQ(found_in(f), "tcp_header_invalid") << testing::to_hex(list);
  }
}

TEST_P(BothFamilies, OptionsBehindTheEndAreNotRead) {
  FrameFields f = segment(GetParam());
  f.timestamps.reset();
  f.tcp_options = {0, 2, 0, 255};  // RFC 9293 section 3.2: the rest of the header is padding
  Lane lane = parsed(build(f));
  EXPECT_EQ(names_of(lane.found), "");
  EXPECT_EQ(lane.packet.mss, 0);
}

TEST_P(BothFamilies, OptionsOfAnotherLengthThanTheirsAreIgnored) {
  FrameFields f = segment(GetParam());
  f.timestamps.reset();
  f.tcp_options = {2, 3, 5, 3, 4, 7, 9, 8, 6, 1, 2, 3, 4, 1, 1, 1};
  Lane lane = parsed(build(f));
  EXPECT_EQ(names_of(lane.found), "");
  EXPECT_EQ(lane.packet.mss, 0);
  EXPECT_EQ(lane.packet.window_scale, 0);
  EXPECT_EQ(lane.packet.has_timestamps, 0);
}

// SYN with FIN or RST, FIN without ACK, no flag at all, and SYN-ACK to a server come from scanners.
// PSH, URG, ECE and CWR may stand with anything.
TEST_P(BothFamilies, FlagsThatNoClientSends) {
  FrameFields f = segment(GetParam());
  for (int flags = 0; flags < 256; flags++) {
    using namespace testing;
    f.tcp_flags = static_cast<uint8_t>(flags);
    const int kind = flags & (syn | fin | rst | ack);
    const bool sane =
        kind == syn || kind == ack || kind == (fin | ack) || kind == rst || kind == (rst | ack);
    EXPECT_EQ(found_in(f), sane ? "" : "tcp_flags") << flags;
  }
}

TEST_P(BothFamilies, ASourceThatCannotHaveSentThis) {
  const std::vector<const char*> martians4 = {"0.0.0.0",   "0.1.2.3",         "127.0.0.1",
                                              "127.9.9.9", "224.0.0.1",       "239.255.255.255",
                                              "240.0.0.1", "255.255.255.255", "198.51.100.10"};
  const std::vector<const char*> martians6 = {
      "::", "::1", "ff02::1", "ff0e::1", "::ffff:192.0.2.1", "2001:db8::10"};
  for (const char* source : GetParam() == 4 ? martians4 : martians6) {
    FrameFields f = segment(GetParam());
    f.src = ip(source);
    EXPECT_EQ(found_in(f), "martian_source") << source;
  }
}

TEST_P(BothFamilies, SourcesThatMayHaveSentThis) {
  const std::vector<const char*> sources4 = {"1.0.0.0", "10.0.0.1", "126.255.255.255", "128.0.0.0",
                                             "223.255.255.255"};
  const std::vector<const char*> sources6 = {"::2", "fe80::1", "64:ff9b::1.2.3.4",
                                             "::fffe:192.0.2.1", "fd00::1"};
  for (const char* source : GetParam() == 4 ? sources4 : sources6) {
    FrameFields f = segment(GetParam());
    f.src = ip(source);
    EXPECT_EQ(found_in(f), "") << source;
  }
}

TEST_P(BothFamilies, FragmentsAreKnownByNameFirstAndLater) {
  FrameFields f = segment(GetParam());
  f.fragment = {0, true, 7};
  EXPECT_EQ(found_in(f), "fragment");
  f.fragment = {8, false, 7};
  EXPECT_EQ(found_in(f), "fragment");
  f.fragment = {65528, false, 7};
  EXPECT_EQ(found_in(f), "fragment");
}

TEST_P(BothFamilies, AFragmentsPortsAreNotRead) {
  FrameFields f = segment(GetParam());
  f.fragment = {1480, false, 7};
  EXPECT_EQ(parsed(build(f)).packet.ports_read, 0);
}

TEST_P(BothFamilies, IcmpNeedsItsHeader) {
  FrameFields f = segment(GetParam());
  f.proto = GetParam() == 4 ? testing::proto_icmp : testing::proto_icmp6;
  f.payload.clear();
  EXPECT_EQ(found_in(f), "");
  f.ip_length = GetParam() == 4 ? 27 : 7;
  EXPECT_EQ(found_in(f), "l4_cut");
}

TEST(Parse, Ip4OptionsStandBetweenTheHeaders) {
  FrameFields f = segment(4);
  f.ip4_options = Bytes(40, 1);
  Lane lane = parsed(build(f));
  EXPECT_EQ(names_of(lane.found), "");
  EXPECT_EQ(lane.packet.l4_offset, 14 + 60);
  EXPECT_EQ(lane.packet.payload_length, f.payload.size());
}

TEST(Parse, AnIp4HeaderLengthThatLies) {
  for (uint8_t words : {0, 1, 4}) {
    FrameFields f = segment(4);
    f.ip4_header_words = words;
    EXPECT_EQ(found_in(f), "ip_header_invalid") << int{words};
  }
  FrameFields f = segment(4);
  f.payload.clear();
  f.timestamps.reset();
  f.ip4_header_words = 15;  // 60 bytes of 40
  EXPECT_EQ(found_in(f), "ip_length_lies");
}

TEST(Parse, AnIp4HeaderChecksumIsCheckedOverItsOptionsToo) {
  FrameFields f = segment(4);
  f.ip4_options = {1, 1, 1, 0};
  Bytes frame = build(f);
  EXPECT_EQ(names_of(parsed(frame).found), "");
  frame[14 + 20] ^= 0x10;
  EXPECT_EQ(names_of(parsed(frame).found), "ip_checksum");
}

TEST(Parse, DontFragmentAndTheReservedBitMakeNoFragment) {
  FrameFields f = segment(4);
  Bytes frame = build(f);
  frame[14 + 6] |= 0x80;  // RFC 3514 notwithstanding
  frame[14 + 10] = frame[14 + 11] = 0;
  const uint16_t sum = testing::internet_checksum(Bytes(frame.begin() + 14, frame.begin() + 34));
  frame[14 + 10] = static_cast<uint8_t>(sum >> 8);
  frame[14 + 11] = static_cast<uint8_t>(sum);
  EXPECT_EQ(names_of(parsed(frame).found), "");
}

TEST(Parse, ExtensionHeadersAreWalkedToTheUpperLayer) {
  FrameFields f = segment(6);
  const uint64_t plain = parsed(build(f)).flow_hash;
  f.extensions = {Extension::options(0), Extension::options(60, 24), Extension::options(60),
                  Extension::options(60)};
  Lane lane = parsed(build(f));
  EXPECT_EQ(names_of(lane.found), "");
  EXPECT_EQ(lane.packet.l4_offset, 14 + 40 + 8 + 24 + 8 + 8);
  EXPECT_EQ(lane.flow_hash, plain) << "the flow is the same with and without them";
}

TEST(Parse, AChainOfExtensionHeadersHasABound) {
  FrameFields f = segment(6);
  for (int i = 0; i < 5; i++) f.extensions.push_back(Extension::options(60));
  EXPECT_EQ(found_in(f), "ip6_extensions");
}

TEST(Parse, AnExtensionHeaderLongerThanThePacket) {
  FrameFields f = segment(6);
  f.extensions = {Extension::options(60)};
  f.extensions[0].bytes[1] = 255;
  EXPECT_EQ(found_in(f), "ip6_extensions");
}

TEST(Parse, AnExtensionHeaderCutShort) {
  FrameFields f = segment(6);
  f.extensions = {Extension::options(0)};
  for (uint16_t length = 0; length < 8; length++) {
    f.ip_length = length;
    EXPECT_EQ(found_in(f), "ip6_extensions") << length;
  }
}

// RFC 8200 section 4.4: it may name another destination than the one that was classified.
TEST(Parse, ARoutingHeaderIsNotForwarded) {
  FrameFields f = segment(6);
  f.extensions = {Extension::routing()};
  EXPECT_EQ(found_in(f), "ip6_extensions");
}

TEST(Parse, AFragmentHeaderBehindOptionsIsSeen) {
  FrameFields f = segment(6);
  f.extensions = {Extension::options(0), Extension::options(60)};
  f.fragment = {0, true, 9};
  EXPECT_EQ(found_in(f), "fragment");
}

TEST(Parse, TheLargestFrameIsRead) {
  FrameFields f = segment(4);
  f.payload.assign(65535 - 20 - 32 - 14, 'x');  // as large as a Frame's length can tell
  Lane lane = parsed(build(f));
  EXPECT_EQ(names_of(lane.found), "");
  EXPECT_EQ(lane.packet.payload_length, f.payload.size());
}

TEST(Parse, WhatIsNeitherIp4NorIp6) {
  FrameFields f = segment(4);
  for (uint16_t type : {0x0806, 0x88cc, 0x8847, 0x05dc, 0x0000, 0xffff}) {
    f.ethertype = type;
    EXPECT_EQ(found_in(f), "not_ip") << type;
  }
}

TEST(Parse, BytesWithoutMeaningNeverReadBeyondTheFrame) {
  for (size_t length = 0; length < 200; length++) {
    for (uint8_t fill : {0x00, 0x45, 0x60, 0x81, 0x88, 0xff}) parsed(Bytes(length, fill));
  }
}

}  // namespace
}  // namespace surgegate
