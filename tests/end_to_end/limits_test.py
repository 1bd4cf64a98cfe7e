#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who is refused, judged again by others: tshark reads the requests, and a GCRA of ten lines counts them.

Two comparisons. A *plain* source is one whose data segments to port 80 are each exactly one request (nothing chunked,
no pieces, no resends, as tshark sees them). For it the model below gives the verdict of every single request, and
the gate's must be the same. For all other sources, what was let through must fit its limit over every window."""

import functools
import sys
import unittest
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction

sys.dont_write_bytecode = True
import wire  # noqa: E402
import witness  # noqa: E402
from gate import CAPTURES, MIXED, POLICY, TIGHT_POLICY, in_parallel, replay, scratch  # noqa: E402
from shop import BOTS, HTTP_PORT, LIMITS, VIPS  # noqa: E402

NS_PER_S = 10**9
TICK_NS = 50_000  # replay's clock moves in these steps
TO_SHOP = "tcp.dstport==%d && (ip.dst==%s || ipv6.dst==%s)" % (HTTP_PORT, *VIPS)
SEEN = ("frame.number", "ip.src", "ipv6.src", "tcp.stream", "tcp.len", "tcp.flags.reset", "http.request.method",
        "http.user_agent", "http.transfer_encoding", "tcp.analysis.retransmission", "tcp.segments")
CURL = CAPTURES[0].parent / "curl-v4.pcap"
IMPATIENT = "192.0.2.11"
CASES = [(capture, policy) for policy in (POLICY, TIGHT_POLICY) for capture in CAPTURES]


@dataclass
class Bucket:
    """GCRA, virtual scheduling form (ITU-T I.371 annex A), in exact fractions of a second."""

    rate_per_s: int
    burst: int
    tat: Fraction = Fraction(0)

    def admits(self, now):
        after = max(self.tat, now) + Fraction(1, self.rate_per_s)
        if after > now + Fraction(self.burst, self.rate_per_s):
            return False
        self.tat = after
        return True


@functools.cache
def segments(capture):
    """What tshark sees of the clients' segments to the shop: {source: rows}."""
    by_source = defaultdict(list)
    for row in witness.fields(wire.as_pcap(capture), TO_SHOP, SEEN):
        by_source[(row["ip.src"] or row["ipv6.src"])[0]].append(row)
    return by_source


def is_plain(rows):
    def is_one_request(row):
        spoils = ("http.transfer_encoding", "tcp.analysis.retransmission", "tcp.segments")
        return len(row["http.request.method"]) == 1 and not any(row[name] for name in spoils)

    return all(is_one_request(row) for row in rows if int(row["tcp.len"][0]) > 0)


@functools.cache
def plain_sources(capture):
    return {source: rows for source, rows in segments(capture).items()
            if is_plain(rows) and any(row["http.request.method"] for row in rows)}


def time_of(capture, row):
    return Fraction(wire.read_capture(capture)[int(row["frame.number"][0]) - 1].time_ns // TICK_NS * TICK_NS, NS_PER_S)


def expected(capture, rows, limit):
    """{frame number: reason} for each request of one plain source that is judged. Behind a refusal its connection
    is judged no more, whatever the client (which, when the capture was taken, was not refused) goes on to ask."""
    bucket, refused, reasons = Bucket(*limit), set(), {}
    for row in rows:
        stream, = row["tcp.stream"]
        if stream in refused or not row["http.request.method"]:
            continue
        reason = "request" if bucket.admits(time_of(capture, row)) else "limit_requests"
        if reason == "request" and any(bot in agent for agent in row["http.user_agent"] for bot in BOTS):
            reason = "signature"  # after the limit: who is refused for his name has used up a unit too
        if reason != "request":
            refused.add(stream)
        reasons[int(row["frame.number"][0])] = reason
    return reasons


def judged(capture, policy, rows):
    """{frame number: reason} as the gate tells it, for the same requests."""
    lines = replay(capture, policy).lines
    asked = [int(row["frame.number"][0]) for row in rows if row["http.request.method"]]
    return {number: lines[number - 1]["reason"] for number in asked if lines[number - 1]["reason"] != "refused_resend"}


def setUpModule():
    in_parallel(segments, CAPTURES)
    in_parallel(lambda case: replay(*case), CASES)


class LimitsTest(unittest.TestCase):
    def test_every_request_of_plain_sources_is_judged_as_the_model_does(self):
        reasons, sources = Counter(), 0
        for capture, policy in CASES:
            for source, rows in plain_sources(capture).items():
                with self.subTest(f"{capture.name}, {policy.name}, {source}"):
                    due = expected(capture, rows, LIMITS[policy.name])
                    self.assertEqual(judged(capture, policy, rows), due)
                    reasons.update(due.values())
                    sources += 1
        self.assertGreater(sources, 40)
        self.assertGreater(min(reasons[reason] for reason in ("request", "limit_requests", "signature")), 20, reasons)

    def test_the_impatient_client_is_refused_and_none_that_keeps_to_its_rate(self):
        reasons = {source: Counter(judged(MIXED, POLICY, rows).values()) for source, rows in plain_sources(MIXED).items()}
        self.assertGreater(len(reasons), 10)
        refused = {source for source, seen in reasons.items() if seen["limit_requests"]}
        self.assertIn(IMPATIENT, refused)
        for source, rows in plain_sources(MIXED).items():
            bucket = Bucket(*LIMITS[POLICY.name])
            asks = [row for row in rows if row["http.request.method"]]
            if all([bucket.admits(time_of(MIXED, row)) for row in asks]):
                self.assertNotIn(source, refused)

    def test_over_every_window_no_source_gets_more_than_burst_and_rate(self):
        windows = 0
        let_through = in_parallel(lambda case: self.requests_let_through(replay(*case).out), CASES)
        for (capture, policy), by_source in zip(CASES, let_through, strict=True):
            rate, burst = LIMITS[policy.name]
            for source, times in by_source.items():
                for first, start in enumerate(times):
                    for count, end in enumerate(times[first:], 1):
                        self.assertLessEqual((count - burst) * NS_PER_S, rate * (end - start + TICK_NS),
                                             f"{capture.name}, {policy.name}: {source} from {start} to {end}")
                        windows += 1
        self.assertGreater(windows, 10_000)

    def test_a_bucket_is_neither_forgotten_nor_owed_for_ever_while_a_capture_pauses(self):
        """48 bits of nanoseconds come round after 78 hours: what was spent before must not look like a debt then."""
        for pause_hours, due in ((10, "limit_requests"), (25, "request"), (80, "request"), (1000, "request")):
            capture, policy = scratch() / f"pause-{pause_hours}.pcap", scratch() / "one-a-day.yaml"
            policy.write_text(POLICY.read_text().replace("rate: 20/s, burst: 40", "rate: 1/d, burst: 1"))
            self.assertIn("1/d", policy.read_text())
            frames = self.first_request()
            again = [(frame.time_ns + pause_hours * 3600 * NS_PER_S, frame.data) for frame in frames]
            wire.write_pcap(capture, [(frame.time_ns, frame.data) for frame in frames] + again)
            reasons = [line["reason"] for line in replay(capture, policy).lines]
            self.assertEqual((reasons[len(frames) - 1], reasons[-1]), ("request", due), pause_hours)

    def first_request(self):
        """The frames of one connection up to its first request."""
        source, rows = next(iter(plain_sources(CURL).items()))
        number = next(int(row["frame.number"][0]) for row in rows if row["http.request.method"])
        frames = wire.read_capture(CURL)[:number]
        return [frame for frame in frames if frame.packet and frame.packet.is_tcp
                and frame.packet.flow == frames[-1].packet.flow]

    def requests_let_through(self, out):
        """{source: times of its requests that left for a backend}, as tshark reads them; resent ones once."""
        rows = witness.fields(out, "http.request && !tcp.analysis.retransmission",
                              ("frame.number", "ip.src", "ipv6.src", "http.request.method"))
        frames, times = wire.read_pcap(out), defaultdict(list)
        for row in rows:
            frame = frames[int(row["frame.number"][0]) - 1]
            times[frame.inner.source] += [frame.time_ns] * len(row["http.request.method"])
        return times


if __name__ == "__main__":
    unittest.main()
