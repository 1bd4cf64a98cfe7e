#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What leaves the gate, frame by frame, against what came in: with tshark, and with a reader of our own."""

import functools
import struct
import sys
import unittest
from collections import Counter
from email.utils import parsedate_to_datetime

sys.dont_write_bytecode = True
import wire  # noqa: E402
import witness  # noqa: E402
from gate import CAPTURES, MIXED, POLICY, TIGHT_POLICY, in_parallel, replay, scratch  # noqa: E402
from shop import AFTERWARDS, BACKENDS, LINK_ADDRESSES, REFUSALS, TUNNEL_SOURCE, TUNNELLED, VIPS  # noqa: E402
from wire import ACK, FIN, PSH, RST, SYN  # noqa: E402

TIMESTAMPS = 8
ANSWER_FIELDS = ("frame.number", "http.response.code", "http.content_length", "http.date", "http.connection",
                 "http.response.line")
MOST_WORKERS = 8


def with_broken_requests(capture):
    """The same clients, who have lost the colon behind Host. No real client would do that."""
    def broken(frame):
        if frame.packet is None or not frame.packet.is_tcp:
            return frame.data
        return wire.with_tcp_data(frame, frame.packet.tcp_data.replace(b"\r\nHost: ", b"\r\nHost; "))

    path = scratch() / f"broken-{capture.stem}.pcap"
    wire.write_pcap(path, [(frame.time_ns, broken(frame)) for frame in wire.read_capture(capture)])
    return path


BROKEN = [with_broken_requests(capture) for capture in CAPTURES if capture.stem in ("curl-v4", "curl-v6", "qinq")]
CASES = [(capture, policy) for policy in (POLICY, TIGHT_POLICY) for capture in CAPTURES + BROKEN]


class Passage:
    """A packet's way through the gate: its frame, its verdict, and the frames that left because of it."""

    def __init__(self, number, frame, line, out):
        self.number, self.frame, self.line, self.out = number, frame, line, out
        self.verdict, self.reason = line["verdict"], line["reason"]

    @property
    def packet(self):
        return self.frame.packet


def frames_due(line):
    if line["verdict"] == "forwarded":
        return 1
    if line["verdict"] == "answered":
        return 1 if line["reason"] in AFTERWARDS else 2  # the answer, and the backend's reset
    return 0


@functools.cache
def passages(capture, policy=POLICY, workers=1):
    """Frames leave in the order in which their packets came, so that walking along tells whose is whose."""
    done = replay(capture, policy, workers)
    out = iter(wire.read_pcap(done.out))
    walked = [Passage(number, frame, line, [next(out, None) for _ in range(frames_due(line))])
              for number, (frame, line) in enumerate(zip(wire.read_capture(capture), done.lines, strict=True), 1)]
    if next(out, None) is not None:
        raise AssertionError(f"{capture.name}: more frames left than the verdicts account for")
    return walked


def request_of(data):
    """Method and target of the request that begins here."""
    return tuple(data.split(b"\r\n", 1)[0].split(b" ")[:2])


def setUpModule():
    in_parallel(lambda case: replay(*case), CASES)


class OutputTest(unittest.TestCase):
    def each(self, keep):
        """All passages that `keep` takes, of all captures and policies; `said` tells which one it is about."""
        seen = 0
        for capture, policy in CASES:
            for passage in filter(keep, passages(capture, policy)):
                seen += 1
                self.said = f"{capture.name}, {policy.name}: {passage.line}"
                yield passage
        self.assertGreater(seen, 0, "this test has looked at nothing")

    def same(self, first, second):
        self.assertEqual(first, second, self.said)

    def test_tshark_finds_nothing_malformed_and_no_bad_checksum(self):
        found = in_parallel(lambda case: witness.faults(replay(*case).out), CASES)
        for (capture, policy), faults in zip(CASES, found, strict=True):
            with self.subTest(f"{capture.name}, {policy.name}"):
                self.assertEqual(faults, "")
        self.assertEqual(witness.faults(replay(MIXED, POLICY, MOST_WORKERS).out), "")

    def test_every_frame_leaves_at_the_time_of_the_packet_that_caused_it(self):
        for passage in self.each(lambda p: p.out):
            self.same([f and f.time_ns for f in passage.out], [passage.frame.time_ns] * len(passage.out))

    def test_several_workers_send_the_same_frames(self):
        for one, other in zip(passages(MIXED), passages(MIXED, POLICY, MOST_WORKERS), strict=True):
            self.said = str(one.line)
            self.same(one.line, other.line)
            self.same([f.data for f in one.out], [f.data for f in other.out])

    def test_what_is_forwarded_arrives_byte_for_byte(self):
        for passage in self.each(lambda p: p.verdict == "forwarded" and p.reason != "trimmed"):
            out, = passage.out
            self.check_envelope(passage, out)
            self.same(out.inner.data, passage.packet.data)
            self.same(len(out.data), out.ip_at + len(out.packet.data))

    def check_envelope(self, passage, out):
        """Link addresses, VLAN tags and the tunnel; the IPIP header's rules are those of RFC 2003 and 6040."""
        backend = passage.line["backend"]
        self.same(out.macs, (LINK_ADDRESSES[backend], passage.frame.macs[0]))
        self.same(out.tags, passage.frame.tags)
        outer = out.packet
        if not backend.startswith(TUNNELLED):
            self.same(out.kind, passage.frame.kind)
            return
        self.same((out.kind, outer.source, outer.destination), (wire.IPV4, TUNNEL_SOURCE, BACKENDS[backend]))
        self.same(outer.protocol, wire.IPIP if passage.packet.version == 4 else wire.IPV6_IN_IP)
        self.same(outer.data[1], passage.packet.data[1] if passage.packet.version == 4 else
                  struct.unpack_from("!H", passage.packet.data)[0] >> 4 & 0xFF)
        self.same(struct.unpack_from("!H", outer.data, 6)[0], 0x4000)

    def test_what_is_trimmed_ends_with_a_whole_request(self):
        trimmed = 0
        for passage in self.each(lambda p: p.verdict == "forwarded"):
            if passage.reason != "trimmed":
                continue
            trimmed += 1
            out, = passage.out
            self.check_envelope(passage, out)
            kept, whole = out.inner, passage.packet
            self.same((kept.flow, kept.seq, kept.ack), (whole.flow, whole.seq, whole.ack))
            self.same(kept.flags, whole.flags & ~(FIN | PSH))
            self.assertLess(len(kept.tcp_data), len(whole.tcp_data), self.said)
            self.same(kept.tcp_data, whole.tcp_data[: len(kept.tcp_data)])
            self.assertRegex(whole.tcp_data[len(kept.tcp_data) :], rb"^[A-Z]+ /", self.said)
        self.assertGreater(trimmed, 0)

    def test_answers_go_back_the_way_the_packet_came(self):
        for passage in self.each(lambda p: p.verdict == "answered"):
            answer, came = passage.out[0], passage.frame
            self.same(answer.macs, came.macs[::-1])
            self.same((answer.tags, answer.kind), (came.tags, came.kind))
            self.same(answer.packet.flow, came.packet.reverse_flow)
            self.same(len(answer.data), answer.ip_at + len(answer.packet.data))
            self.check_timestamps(answer.packet, came.packet)

    def check_timestamps(self, answer, came):
        theirs, ours = came.option(TIMESTAMPS), answer.option(TIMESTAMPS)
        self.same(theirs is None, ours is None)
        if theirs:
            self.same(ours[4:], theirs[:4])
            self.assertGreater(struct.unpack("!I", ours[:4])[0] - struct.unpack("!I", theirs[4:])[0] & 0xFFFFFFFF,
                               0, "older than what the client has seen would be discarded (PAWS)")

    def test_refusals_are_complete_http(self):
        codes = Counter()
        read = in_parallel(lambda case: self.answers_in(replay(*case).out), CASES)
        for (capture, policy), rows in zip(CASES, read, strict=True):
            numbered = enumerate(((p, frame) for p in passages(capture, policy) for frame in p.out), 1)
            for number, (passage, frame) in numbered:
                if frame.packet.source in VIPS and frame.packet.tcp_data:
                    with self.subTest(f"{capture.name}, {policy.name}: {passage.line}"):
                        codes[self.check_answer(passage, frame.packet, rows.pop(number))] += 1
            self.assertEqual(rows, {}, "what tshark reads as an answer comes from a VIP")
        self.assertEqual(set(codes), set(REFUSALS.values()))
        self.assertGreater(min(codes.values()), 10, codes)

    def answers_in(self, out):
        rows = witness.fields(out, "http.response.code", ANSWER_FIELDS, witness.SEGMENT_BY_SEGMENT)
        return {int(row["frame.number"][0]): row for row in rows}

    def check_answer(self, passage, packet, row):
        head, _, body = packet.tcp_data.partition(b"\r\n\r\n")
        self.assertEqual(packet.flags, FIN | PSH | ACK)
        code = int(row["http.response.code"][0])
        if passage.reason in REFUSALS:
            self.assertEqual(code, REFUSALS[passage.reason])
            self.assertEqual((packet.seq, packet.ack), (passage.packet.ack, passage.packet.end_seq))
            without_body = request_of(passage.packet.tcp_data)[0] == b"HEAD"
            self.assertEqual(len(body), 0 if without_body else int((row["http.content_length"] or [0])[0]))
        # The least form, to who has sent little, ends with the connection and says no more of it.
        self.assertEqual(row["http.connection"], ["close"] if row["http.content_length"] else [])
        self.assertEqual(int(parsedate_to_datetime(row["http.date"][0]).timestamp()), passage.frame.time_ns // 10**9)
        retry = [line for line in row["http.response.line"] if line.lower().startswith("retry-after:")]
        if code == 429:  # tshark prints the line's end as \\r\\n
            self.assertRegex("".join(retry), r"^Retry-After: [1-9][0-9]*(\\r\\n)?$")
        self.assertTrue(head.startswith(b"HTTP/1.1 %d " % code))
        return code

    def test_each_refusal_resets_the_backend_at_the_byte_that_it_expects(self):
        resets = Counter()
        for passage in self.each(lambda p: p.out):
            if passage.reason not in REFUSALS:
                continue
            reset = passage.out[1]
            self.check_envelope(passage, reset)
            inner, came = reset.inner, passage.packet
            self.same(inner.flow, came.flow)
            self.same((inner.flags, inner.seq, inner.ack, inner.tcp_data), (RST | ACK, came.seq, came.ack, b""))
            resets[passage.reason] += 1
        self.assertEqual(set(resets), set(REFUSALS))

    def test_no_resets_but_those(self):
        def resets(frames):
            return sum(frame.inner.is_tcp and bool(frame.inner.flags & RST) for frame in frames)

        for passage in self.each(lambda p: p.out):
            passed_on = passage.verdict == "forwarded" and resets([passage.frame])
            self.same(resets(passage.out), passed_on or passage.reason in REFUSALS)

    def test_no_byte_of_a_refused_request_reaches_a_backend(self):
        for capture, policy in CASES:
            refused = {}
            for passage in passages(capture, policy):
                if passage.packet is not None and passage.packet.is_tcp:
                    with self.subTest(f"{capture.name}, {policy.name}: {passage.line}"):
                        self.check_nothing_behind_a_refusal(refused, passage)

    def check_nothing_behind_a_refusal(self, refused, passage):
        """`refused`: the first byte refused on each connection. It ends with the client's reset or another SYN."""
        packet = passage.packet
        if packet.flags & (SYN | RST) and passage.verdict == "forwarded":
            refused.pop(packet.flow, None)
        elif passage.reason in REFUSALS:
            self.assertNotIn(packet.flow, refused, "refused twice")
            refused[packet.flow] = packet.seq
        elif passage.verdict == "forwarded" and packet.flow in refused:
            data = passage.out[0].inner.tcp_data
            beyond = packet.seq + len(data) - refused[packet.flow] & 0xFFFFFFFF
            self.assertTrue(not data or beyond == 0 or beyond > 1 << 31, "bytes behind a refusal were forwarded")

    def test_nothing_leaves_for_what_is_dropped_or_not_ours(self):
        for passage in self.each(lambda p: p.verdict in ("dropped", "to_kernel")):
            self.same(passage.out, [])


if __name__ == "__main__":
    unittest.main()
