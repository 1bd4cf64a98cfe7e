#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The handshakes of real clients against a limit that admits one of each: who is refused is told so by a TLS alert,
read by tshark and by hand."""

import sys
import unittest

sys.dont_write_bytecode = True
import wire  # noqa: E402
import witness  # noqa: E402
from gate import CAPTURES, POLICY, replay  # noqa: E402
from shop import AFTERWARDS, VIPS  # noqa: E402
from wire import ACK, FIN, PSH, RST  # noqa: E402

TLS_POLICY = POLICY.with_name("tls.yaml")
TLS_CAPTURES = [capture for capture in CAPTURES if capture.stem in ("tls12", "tls13")]
ALERT = bytes([21, 3, 3, 0, 2, 2, 49])
ALERT_FIELDS = ("tcp.payload", "tls.record.content_type", "tls.record.version", "tls.alert_message.level",
                "tls.alert_message.desc")
CLIENT_HELLO = b"\x16\x03"


class TlsTest(unittest.TestCase):
    def each(self):
        for capture in TLS_CAPTURES:
            with self.subTest(capture.name):
                yield capture, replay(capture, TLS_POLICY)

    def test_the_first_hello_of_each_client_is_admitted_and_no_other(self):
        for capture, done in self.each():
            came = wire.read_capture(capture)
            first = {}
            for frame, line in zip(came, done.lines, strict=True):
                packet = frame.packet
                if packet is None or not packet.is_tcp or not packet.tcp_data or line["service"] != "tls":
                    continue
                if packet.flow not in first:  # the first data of its connection
                    self.assertTrue(packet.tcp_data.startswith(CLIENT_HELLO))
                    first[packet.flow] = line["reason"]
                else:
                    self.assertIn(line["reason"], ("segment", "closing", *AFTERWARDS))
            self.assertEqual(len(first), done.report["requests"]["admitted"] + done.report["requests"]["refused"])
            sources = {flow[0] for flow in first}
            self.assertEqual(list(first.values()).count("request"), len(sources))
            self.assertEqual(list(first.values()).count("limit_requests"), len(first) - len(sources))
            self.assertGreater(len(first), 2 * len(sources))

    def test_tshark_reads_a_fatal_alert_and_finds_nothing_malformed(self):
        for _, done in self.each():
            self.assertEqual(witness.faults(done.out), "")
            rows = witness.fields(done.out, f"tcp.len > 0 && (ip.src=={VIPS[0]} || ipv6.src=={VIPS[1]})", ALERT_FIELDS,
                                  witness.SEGMENT_BY_SEGMENT)
            self.assertGreaterEqual(len(rows), done.report["requests"]["refused"])
            for row in rows:
                self.assertEqual([row[name] for name in ALERT_FIELDS], [[ALERT.hex()], ["21"], ["0x0303"], ["2"], ["49"]])
            words = witness.tshark(done.out, f"tls.alert_message && ip.src=={VIPS[0]}")
            self.assertIn("Alert (Level: Fatal, Description: Access Denied)", words)

    def test_a_refusal_is_an_alert_with_a_fin_and_a_reset_for_the_backend(self):
        for capture, done in self.each():
            out = iter(wire.read_pcap(done.out))
            for frame, line in zip(wire.read_capture(capture), done.lines, strict=True):
                if line["verdict"] == "forwarded":
                    self.assertEqual(next(out).inner.data, frame.packet.data)
                elif line["verdict"] == "answered":
                    self.check_answer(frame.packet, line["reason"], out)
            self.assertIsNone(next(out, None))

    def check_answer(self, came, reason, out):
        answer = next(out).packet
        self.assertEqual(answer.flow, came.reverse_flow)
        self.assertIn((answer.flags, answer.tcp_data), ((FIN | PSH | ACK, ALERT), (ACK, b"")))
        if reason in AFTERWARDS:
            return
        self.assertEqual((answer.seq, answer.ack, answer.tcp_data), (came.ack, came.end_seq, ALERT))
        reset = next(out).packet
        self.assertEqual((reset.flow, reset.flags, reset.seq, reset.ack, reset.tcp_data),
                         (came.flow, RST | ACK, came.seq, came.ack, b""))


if __name__ == "__main__":
    unittest.main()
