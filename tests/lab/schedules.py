# SPDX-License-Identifier: BSD-3-Clause
"""Seeded schedules of segments on many connections at once: streams of requests, cut, lost, sent again, overlapping
and out of order; in one half of them with bytes in between that differ from the stream, part of them in segments that a
backend discards. Prints, as JSON, what was sent and what became of it.

    python3 schedules.py SEED COUNT TARGET STATION_MAC OWN_MAC"""

import hashlib
import json
import random
import sys
import time

from raw_tcp import ACK, PSH, RST, Connection, Wire

AT_ONCE, PREFIX = 64, "192.0.2"
GOOD, BAD = b"AhrefsBox", b"AhrefsBot"  # one letter between them


def request(name, rng, agent):
    """A request, its body's hash, and how many bytes the body has."""
    head = b"%s /%s HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: %s\r\n"
    kind, body = rng.randrange(3), rng.randbytes(rng.choice((1, 20, 300, 2500)))
    if kind == 0:
        return head % (b"GET", name, agent) + b"\r\n", b""
    if kind == 1:
        return head % (b"POST", name, agent) + b"Content-Length: %d\r\n\r\n" % len(body) + body, body
    chunks, at = b"", 0
    while at < len(body):
        size = rng.randrange(1, 900)
        chunks += b"%x\r\n%s\r\n" % (len(body[at : at + size]), body[at : at + size])
        at += size
    return head % (b"POST", name, agent) + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", body


class Schedule:
    """One connection: the good stream, the same with another user agent, and the segments to come."""

    def __init__(self, number, rng, wire, target):
        self.rng, self.is_hostile = rng, number % 2 == 1
        self.requests, self.good, self.bad = [], b"", b""
        for i in range(rng.randrange(1, 4)):
            name, state = b"s%d-%d" % (number, i), rng.getstate()
            good, body = request(name, rng, GOOD)
            rng.setstate(state)
            bad, _ = request(name, rng, BAD)
            self.good, self.bad = self.good + good, self.bad + bad
            self.requests.append((f"/{name.decode()}", hashlib.sha256(body).hexdigest()))
        self.connection = Connection(wire, f"{PREFIX}.{100 + number // 20000 % 100}", 20000 + number % 20000, target,
                                     first_seq=rng.randrange(1 << 32), stamped=rng.randrange(2) == 1)
        self.segments = self.cut()
        self.tries = 0

    def cut(self):
        size, segments, at = self.rng.choice((7, 40, 300, 1400)), [], 0
        while at < len(self.good):
            here = self.rng.randrange(1, size + 1)
            segments.append((at, min(at + here, len(self.good)), False))
            at += here
        segments = segments[:60] if len(segments) > 60 else segments
        mixed = []
        for segment in segments:
            if self.rng.random() < 0.9:
                mixed.append(segment)  # else lost
            if self.rng.random() < 0.15:
                mixed.append(self.rng.choice(segments))
            if self.rng.random() < 0.1:
                start = self.rng.randrange(len(self.good))
                mixed.append((start, min(start + self.rng.randrange(1, 500), len(self.good)), False))
            if self.is_hostile and self.rng.random() < 0.4:
                start = max(0, segment[0] - self.rng.randrange(60))
                mixed.append((start, min(start + self.rng.randrange(1, 120), len(self.good)), True))
        for i in range(len(mixed) - 1):
            if self.rng.random() < 0.2:
                mixed[i], mixed[i + 1] = mixed[i + 1], mixed[i]
        return mixed

    def step(self):
        """Sends the next segment; when there are none left, what is not acknowledged yet. False: it is over."""
        connection = self.connection
        if connection.is_reset or connection.is_closed or connection.acked >= len(self.good):
            return False
        if self.segments:
            start, end, is_bad = self.segments.pop(0)
            stream = self.bad if is_bad else self.good
            how = {}
            if self.is_hostile and self.rng.random() < 0.4:  # the backend will not take it
                how = self.rng.choice(({"ack_ahead": 1 << 29}, {"spoil": 0x55}, {"stamp_behind": 90_000}, {"flags": PSH}))
            connection.segment(start, stream[start:end], **how)
            return True
        self.tries += 1
        at = connection.acked
        connection.segment(at, self.good[at : at + 1400])
        return self.tries < (60 if self.is_hostile else 400)

    def is_waiting(self):
        """Whether an answer is to come: a reset now could forestall the request that it is to."""
        connection = self.connection
        return (connection.is_open and not connection.is_reset and not connection.is_closed and connection.acked >= len(self.good) and
                connection.received.count(b"HTTP/1.1 ") < len(self.requests))

    def result(self):
        served = self.connection.received.count(b"HTTP/1.1 200 ")
        return {"requests": self.requests, "hostile": self.is_hostile, "whole": served == len(self.requests),
                "state": [self.connection.acked, len(self.good), served, self.connection.is_reset, self.connection.is_closed]}


def batch(numbers, seed, wire, target):
    schedules = [Schedule(n, random.Random(f"{seed}/{n}"), wire, target) for n in numbers]
    for tries in range(20):
        for schedule in schedules:
            if not schedule.connection.is_open:
                schedule.connection.open()
        wire.receive(0.02)
        if all(schedule.connection.is_open for schedule in schedules):
            break
    for schedule in schedules:
        schedule.connection.acknowledge()
    going = [schedule for schedule in schedules if schedule.connection.is_open]
    while going:
        going = [schedule for schedule in going if schedule.step()]
        idle = all(not schedule.segments for schedule in going)
        wire.receive(0.01 if idle else 0)
    began = time.monotonic()  # who plays tricks need not be waited for long
    while any(schedule.is_waiting() and time.monotonic() - began < (0.3 if schedule.is_hostile else 10)
              for schedule in schedules):
        wire.receive(0.01)
    for schedule in schedules:
        schedule.connection.segment(schedule.connection.acked, flags=RST | ACK)
        del wire.connections[(schedule.connection.source, schedule.connection.own_port)]
    return [schedule.result() for schedule in schedules if schedule.connection.is_open]


def main():
    seed, count, target, station_mac, own_mac = sys.argv[1:]
    wire = Wire("eth0", station_mac, own_mac, f"{PREFIX}.0")
    results = []
    for first in range(0, int(count), AT_ONCE):
        results += batch(range(first, min(first + AT_ONCE, int(count))), seed, wire, target)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
