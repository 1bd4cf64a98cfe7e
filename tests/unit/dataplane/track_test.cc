// SPDX-License-Identifier: BSD-3-Clause
// What the flow's entry remembers of a connection; what that does to packets is in tests/packets.
#include "dataplane/path/track.h"

#include <gtest/gtest.h>

#include "tests/support/client.h"
#include "tests/support/journey.h"
#include "tests/support/policy_text.h"
#include "tests/unit/dataplane/policies.h"

namespace surgegate {
namespace {

using testing::Bytes;
using testing::Client;
using testing::get;
using testing::Journey;
using testing::policy_in_force;

class Track : public ::testing::Test {
 protected:
  const sg_flow* entry() {
    const sg_flow* found = nullptr;
    for (const sg_flow& flow : journey_.flows())
      if (flow.hash != 0) {
        EXPECT_EQ(found, nullptr) << "one connection, one entry";
        found = &flow;
      }
    return found;
  }
  sg_reason reason(const Bytes& frame) { return journey_.send(frame).reason; }

  Journey journey_{policy_in_force(testing::shop())};
  Client client_{"192.0.2.1", 4000};
};

TEST_F(Track, AConnectionGoesFromOpeningToEstablishedToClosing) {
  reason(client_.open());
  ASSERT_NE(entry(), nullptr);
  EXPECT_EQ(entry()->state, SG_FLOW_OPENING);
  EXPECT_EQ(entry()->next_seq, client_.fields.seq);
  EXPECT_EQ(entry()->mss_64, 1460 / 64);
  reason(client_.acknowledge());
  EXPECT_EQ(entry()->state, SG_FLOW_ESTABLISHED);
  reason(client_.close());
  EXPECT_EQ(entry()->state, SG_FLOW_CLOSING);
}

TEST_F(Track, TheNextHeadIsAwaitedBehindEachRequest) {
  reason(client_.open());
  reason(client_.acknowledge());
  for (int i = 0; i < 3; i++) {
    reason(client_.send(get()));
    EXPECT_EQ(entry()->next_seq, client_.fields.seq);
    EXPECT_EQ(entry()->reader, SG_READER_HEAD);
    client_.read();
  }
  EXPECT_EQ(entry()->flags & SG_FLOW_PIPELINED, 0);
}

TEST_F(Track, ARequestBeforeTheAnswerToTheLastOneIsPipelined) {
  reason(client_.open());
  reason(client_.acknowledge());
  reason(client_.send(get()));
  reason(client_.send(get()));
  EXPECT_NE(entry()->flags & SG_FLOW_PIPELINED, 0);
}

TEST_F(Track, APacketThatWasDroppedLeavesTheFlowAsItWas) {
  reason(client_.open());
  reason(client_.acknowledge());
  reason(client_.send(get()));
  const sg_flow before = *entry();
  testing::FrameFields spoiled = client_.fields;
  spoiled.tcp_flags = testing::psh | testing::ack;
  spoiled.payload = testing::bytes_of(get());
  spoiled.l4_checksum_xor = 1;
  ASSERT_EQ(reason(build(spoiled)), SG_REASON_l4_checksum);
  spoiled.l4_checksum_xor = 0;
  spoiled.payload = testing::bytes_of("GET  / HTTP/1.1\r\n\r\n");
  ASSERT_EQ(reason(build(spoiled)), SG_REASON_http_fault_silent);
  sg_flow after = *entry();
  EXPECT_EQ(after.silent_refusals, 1);
  after.silent_refusals = 0;
  EXPECT_EQ(after.flags, before.flags | SG_FLOW_PIPELINED) << "it did not wait for an answer";
  after.flags = before.flags;
  EXPECT_EQ(std::memcmp(&before, &after, sizeof(before)), 0);
}

// Whatever a body's length claims, its end is found, behind as many bytes; and they may come in any
// order within a window.
TEST_F(Track, TheRequestBehindABodyOfMoreThanFourGigabytesIsFound) {
  reason(client_.open());
  reason(client_.acknowledge());
  const uint64_t length = (1ull << 32) + 12345;
  const std::string head =
      "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
  ASSERT_EQ(reason(client_.send(head)), SG_REASON_request);
  const std::string block(60'000, 'b');
  uint64_t left = length;
  for (; left >= 2 * block.size(); left -= 2 * block.size()) {
    const uint32_t here = client_.fields.seq;
    client_.fields.seq = here + static_cast<uint32_t>(block.size());
    ASSERT_EQ(reason(client_.send(block)), SG_REASON_body) << left;
    client_.fields.seq = here;
    ASSERT_EQ(reason(client_.send(block)), SG_REASON_body) << left;
    client_.fields.seq += static_cast<uint32_t>(block.size());
  }
  client_.fields.seq += static_cast<uint32_t>(left);
  client_.read();
  EXPECT_EQ(reason(client_.send(get())), SG_REASON_request);
  EXPECT_EQ(entry()->next_seq, client_.fields.seq);
}

// A length that nobody sends bytes of moves nothing: else numbers would come round to where they
// were, and what the backend waits for there would pass as body.
TEST_F(Track, ABodyThatDoesNotComeDoesNotPass) {
  reason(client_.open());
  reason(client_.acknowledge());
  ASSERT_EQ(
      reason(client_.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n")),
      SG_REASON_request);
  for (int i = 0; i < 3; i++) {
    client_.fields.seq += 1u << 30;
    const sg_reason there = reason(client_.send("b"));
    EXPECT_TRUE(there == SG_REASON_out_of_order || there == SG_REASON_old_data) << there;
  }
}

// Every way to cut a chunked body, with a request behind it, into three segments.
TEST_F(Track, AChunkedBodyMayBeCutAnywhere) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body = "5;e=x\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nT: r\r\n\r\n";
  uint16_t port = 10;
  for (size_t a = 1; a < body.size(); a += 3) {
    for (size_t b = a + 1; b < body.size(); b += 2) {
      Client client("192.0.2.7", port++);
      reason(client.open());
      reason(client.acknowledge());
      ASSERT_EQ(reason(client.send(head)), SG_REASON_request);
      ASSERT_EQ(reason(client.send(body.substr(0, a))), SG_REASON_body);
      ASSERT_EQ(reason(client.send(body.substr(a, b - a))), SG_REASON_body);
      ASSERT_EQ(reason(client.send(body.substr(b))), SG_REASON_body);
      client.read();
      ASSERT_EQ(reason(client.send(get())), SG_REASON_request) << "cut at " << a << " and " << b;
    }
  }
}

// The same with the whole of it behind its head, cut once, and the next head in the last segment.
TEST_F(Track, ARequestBehindAChunkedBodyIsFoundInItsSegment) {
  const std::string all =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" +
      get();
  const size_t head = all.find("5\r\n");
  uint16_t port = 10;
  for (size_t cut = head; cut + get().size() <= all.size(); cut++) {
    Client client("192.0.2.7", port++);
    reason(client.open());
    reason(client.acknowledge());
    const uint32_t first = journey_.send(client.send(all.substr(0, cut))).requests_admitted;
    const uint32_t second = journey_.send(client.send(all.substr(cut))).requests_admitted;
    EXPECT_EQ(first, 1u) << cut;
    EXPECT_EQ(second, 1u) << cut;
  }
}

// Where the connection stands is untouched; the SYN's number waits beside it.
TEST_F(Track, ASynOnAnEstablishedConnectionOnlyWaits) {
  reason(client_.open());
  reason(client_.acknowledge());
  const sg_flow before = *entry();
  Client again("192.0.2.1", 4000);
  again.fields.seq += 5'000'000;
  EXPECT_EQ(reason(again.open()), SG_REASON_syn);
  sg_flow after = *entry();
  EXPECT_EQ(after.other_seq, before.next_seq + 5'000'000);
  after.other_seq = before.other_seq;
  after.other_since = before.other_since;
  after.flags = before.flags;
  EXPECT_EQ(std::memcmp(&before, &after, sizeof(before)), 0);
}

// Of an upload that is thrown away here the beginning stays known: the backend may wait there.
TEST_F(Track, WhereARefusedUploadBeganIsKnown) {
  reason(client_.open());
  reason(client_.acknowledge());
  const uint32_t begin_seq = client_.fields.seq;
  ASSERT_EQ(reason(client_.send(
                "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 9000000\r\n\r\n")),
            SG_REASON_http_host_twice);
  ASSERT_EQ(entry()->state, SG_FLOW_REFUSED);
  for (int i = 0; i < 200; i++) reason(client_.send(std::string(1000, 'x')));
  ASSERT_EQ(entry()->receive_next, client_.fields.seq);
  Client next("192.0.2.1", 4000);
  next.fields.seq = begin_seq + 100;
  EXPECT_EQ(reason(next.open()), SG_REASON_syn_in_stream);
  next.fields.seq = begin_seq + 1'000'000;
  EXPECT_EQ(reason(next.open()), SG_REASON_syn);
}

// Who sends his heads slowly loses them to those who do not; what then follows of them is dropped,
// for nobody could judge it.
TEST_F(Track, TheOldestHeadInPiecesMakesRoom) {
  constexpr uint16_t heads = 257;  // a worker of the journey keeps 256
  std::vector<Client> clients;
  for (uint16_t i = 0; i < heads; i++) {
    Client& client = clients.emplace_back("192.0.2.7", static_cast<uint16_t>(2000 + i));
    reason(client.open());
    reason(client.acknowledge());
    ASSERT_EQ(reason(client.send(get().substr(0, 9))), SG_REASON_head_piece);
  }
  EXPECT_EQ(reason(clients[0].send(get().substr(9))), SG_REASON_head_evicted);
  for (uint16_t i = 1; i < heads; i++)
    ASSERT_EQ(reason(clients[i].send(get().substr(9))), SG_REASON_request) << i;
  EXPECT_EQ(journey_.worker().counters().track.heads_evicted, 1u);
}

// Within one burst, too, after the flow's segment was read by its record: what was read so is not
// used, in bytes that are another flow's by then, and nothing of the flow goes on any more.
class RoomWithinABurst : public ::testing::Test {
 protected:
  static constexpr uint16_t heads = 4;

  void open(Client& client) {
    journey_.send(client.open());
    journey_.send(client.acknowledge());
  }
  // The oldest record is client_'s; another flow's first piece comes in one burst with this.
  void make_room_before(const Bytes& frame) {
    for (uint16_t i = 1; i < heads; i++) {
      Client other("192.0.2.7", static_cast<uint16_t>(2000 + i));
      open(other);
      journey_.send(other.send("GET /"));
    }
    Client last("192.0.2.8", 2000);
    open(last);
    journey_.offer(last.send("GET /"));
    number_ = journey_.offer(frame);
    journey_.poll();
    EXPECT_EQ(journey_.worker().counters().track.heads_evicted, 1u);
  }
  sg_reason reason(const Bytes& frame) { return journey_.send(frame).reason; }
  Bytes ahead(uint32_t distance_bytes, std::string_view payload) const {
    Client later = client_;
    later.fields.seq += distance_bytes;
    return later.send(payload);
  }

  Journey journey_{policy_in_force(testing::shop()), {.kept_heads_max = heads}};
  Client client_{"192.0.2.1", 4000};
  uint64_t number_ = 0;
};

TEST_F(RoomWithinABurst, OfAHeadInPieces) {
  open(client_);
  ASSERT_EQ(reason(client_.send("GET / HTTP/1.1\r\n")), SG_REASON_head_piece);
  make_room_before(Client(client_).send("Host: a\r\n"));
  EXPECT_EQ(journey_.fate(number_).reason, SG_REASON_head_piece);
  EXPECT_EQ(reason(client_.send("Host: a\r\n\r\n")), SG_REASON_head_evicted);
}

TEST_F(RoomWithinABurst, OfBytesAhead) {
  open(client_);
  ASSERT_EQ(reason(ahead(100, "x")), SG_REASON_piece_ahead);
  make_room_before(ahead(300, "y"));
  EXPECT_EQ(journey_.fate(number_).reason, SG_REASON_piece_ahead);
  EXPECT_EQ(reason(client_.send(get())), SG_REASON_head_evicted);
}

TEST_F(RoomWithinABurst, OfWhatFillsAHole) {
  open(client_);
  const std::string rest = "Host: a\r\n\r\n", line = "GET / HTTP/1.1\r\n";
  ASSERT_EQ(reason(ahead(static_cast<uint32_t>(line.size()), rest)), SG_REASON_piece_ahead);
  make_room_before(Client(client_).send(line));
  EXPECT_EQ(journey_.fate(number_).reason, SG_REASON_request);
  client_.fields.seq += static_cast<uint32_t>(line.size() + rest.size());
  EXPECT_EQ(reason(client_.send(get())), SG_REASON_head_evicted);
}

// Of a judged head in pieces whose record had to make room only the last piece can be compared, by
// its hash; what came before it is not taken any more, whatever it is.
TEST_F(Track, OfAHeadThatIsKeptNoMoreTheLastPieceIsCompared) {
  reason(client_.open());
  reason(client_.acknowledge());
  Client again = client_;
  reason(client_.send(get("/a").substr(0, 9)));
  ASSERT_EQ(reason(client_.send(get("/a").substr(9))), SG_REASON_request);
  ASSERT_EQ(reason(Client(again).send(get("/a").substr(0, 9))), SG_REASON_resend);
  for (uint16_t i = 0; i < 256; i++) {
    Client other("192.0.2.7", static_cast<uint16_t>(2000 + i));
    reason(other.open());
    reason(other.acknowledge());
    reason(other.send(get().substr(0, 9)));
  }
  EXPECT_EQ(reason(Client(again).send(get("/a"))), SG_REASON_old_data);
  EXPECT_EQ(reason(Client(again).send(get("/a").substr(0, 9))), SG_REASON_old_data);
  Client last = again;
  last.fields.seq += 9;
  EXPECT_EQ(reason(Client(last).send("x" + get("/a").substr(10))), SG_REASON_resend_differs);
  EXPECT_EQ(reason(Client(last).send(get("/a").substr(9))), SG_REASON_resend);
}

TEST_F(Track, DatagramsTakeNoEntry) {
  EXPECT_EQ(reason(Client("192.0.2.1", 5, "198.51.100.53", 53).datagram("q")), SG_REASON_datagram);
  EXPECT_EQ(entry(), nullptr);
}

TEST_F(Track, WhatIsMetIsKnownAfterTwoSegmentsInARow) {
  reason(client_.acknowledge());
  EXPECT_EQ(entry(), nullptr) << "without data there is nothing to go on from";
  reason(client_.send("ello"));
  ASSERT_NE(entry(), nullptr);
  EXPECT_EQ(entry()->state, SG_FLOW_MET);
  EXPECT_EQ(entry()->next_seq, client_.fields.seq);
  EXPECT_NE(entry()->backend_slot, SG_NONE16);
  reason(client_.send("ello"));
  EXPECT_EQ(entry()->state, SG_FLOW_MET) << "it follows, but is no request";
  reason(client_.send(get()));
  EXPECT_EQ(entry()->state, SG_FLOW_ESTABLISHED);
  EXPECT_EQ(entry()->marks, SG_FLOW_STRAY);
  EXPECT_EQ(entry()->flags, SG_FLOW_PIPELINED) << "and it never gets an answer";
  reason(client_.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello"));
  EXPECT_EQ(entry()->state, SG_FLOW_MET);
  EXPECT_EQ(sg_flow_body_left(entry()), 0u) << "a body never passes unread";
  EXPECT_EQ(entry()->next_seq, client_.fields.seq);
}

TEST_F(Track, WhatWasCutOffOfAStrayIsAwaited) {
  const uint32_t begin_seq = client_.fields.seq;
  reason(client_.send("a\r\n\r\nb"));
  EXPECT_EQ(entry()->next_seq, begin_seq + 5);
}

TEST_F(Track, AStrayThatWasDroppedIsNotMet) {
  Journey journey(
      policy_in_force(testing::limited("{key: [client], rate: 1/min, burst: 1, over: drop}")));
  Client other("192.0.2.1", 4001);
  journey.send(client_.send("ello"));
  EXPECT_EQ(journey.send(other.send("ello")).reason, SG_REASON_limit_requests_drop);
  int entries = 0;
  for (const sg_flow& flow : journey.flows()) entries += flow.hash != 0;
  EXPECT_EQ(entries, 1);
}

// The record of a head in pieces is not held by a flow that reads none.
TEST_F(Track, AHeadInPiecesThatIsGivenUpGivesItsRecordBack) {
  reason(client_.send(get()));
  reason(client_.send(get()));
  EXPECT_EQ(reason(client_.send("GET /x")), SG_REASON_head_piece);
  EXPECT_NE(entry()->kept_index, SG_NONE16);
  EXPECT_NE(entry()->flags & SG_FLOW_IN_HEAD, 0);
  EXPECT_EQ(reason(client_.send("\x01")), SG_REASON_stray);
  EXPECT_EQ(entry()->kept_index, SG_NONE16);
  EXPECT_EQ(entry()->flags, SG_FLOW_PIPELINED);
}

}  // namespace
}  // namespace surgegate
