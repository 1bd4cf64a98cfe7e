#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Seeds for packet_fuzz: the beginnings of the captures, and scenes of our own. packet_fuzz.cc has the form.

    tests/fuzz/packet_seeds.py DIRECTORY
    packet_fuzz -merge=1 tests/fuzz/corpus/packet DIRECTORY    # adds those that reach something new
"""

import pathlib
import struct
import sys

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
V6, OPEN, MAIL, NAMES = 4, 8, 16, 24  # of a connection: its family, its service
STAMPS, TAG, QINQ, OPTIONS, MARKED, SMALL, PADDED, LONG = (1 << bit for bit in range(8))
LENGTHS, IP_SUM, L4_SUM = 1, 2, 4
SHOP_HOST = "Host: shop.example\r\n"


def setup(workers=1, free=False, policy=0):
    return bytes([workers - 1 + 3 * free + 6 * policy])


def text(content):
    if isinstance(content, str):
        content = content.encode("latin-1")
    return content.replace(b"\\", b"\\\\") + b"\\\n"


def segment(connection, flags=PSH | ACK, content="", shift=0, ack=0, extras=0, worker=0):
    return bytes([worker, connection, flags, shift & 255, ack, extras]) + text(content)


def frame(content, worker=0, mend=0):
    return bytes([4, worker, mend]) + text(content)


def wait(which):  # 50 us, 0.1, 1, 11, 31, 61, 901 s, a day
    return bytes([5, which])


def world(which, value):  # tx room, spare, room in front, behind, rings, forget, learn, full table
    return bytes([6, which, value])


def reload(policy):
    return bytes([7, policy])


def connect(connection, extras=0, worker=0):
    return segment(connection, SYN, extras=extras, worker=worker) + segment(connection, ACK, extras=extras & ~SMALL)


def head(start="GET / HTTP/1.1", *fields):
    return f"{start}\r\n{SHOP_HOST}" + "".join(f"{field}\r\n" for field in fields) + "\r\n"


def refused(connection, extras=0, path="/k", times=3):
    """Asks, each time after the answer, until there is one from the gate."""
    ask = segment(connection, content=head(f"GET {path} HTTP/1.1"), ack=100, extras=extras)
    return connect(connection, extras) + ask * times


def scenes():
    chunked = "Transfer-Encoding: chunked"
    for connection in (0, V6):
        get, kind = head(), "v6" if connection else "v4"
        c = connection
        for name, extras in (("plain", 0), ("stamps", STAMPS), ("tag", TAG | SMALL), ("qinq", TAG | QINQ | OPTIONS),
                             ("marked", MARKED | PADDED)):
            for policy in range(3):
                yield f"refused-{kind}-{name}-{policy}", setup(policy=policy) + refused(c, extras) + \
                    segment(c, ACK, ack=0) + segment(c, content=get, shift=-40) + segment(c, FIN | ACK) + \
                    segment(c, ACK, ack=200) + segment(c, RST | ACK) + segment(c, content=get)
        yield f"pipelined-{kind}", setup() + connect(c) + segment(c, content=get * 7) + segment(c, content=get, shift=-50) + \
            segment(c, content=get * 2, ack=9)
        yield f"bodies-{kind}", setup() + connect(c) + \
            segment(c, content=head("POST /c/a HTTP/1.1", "Content-Length: 5") + "ab") + segment(c, content="cde" + get) + \
            segment(c, content=head("POST / HTTP/1.0", "Content-Length: 4000000000"), ack=9) + \
            segment(c, content="x", shift=110) + segment(c, content="x", shift=125) + segment(c, content=get, shift=119)
        yield f"chunks-{kind}", setup() + connect(c) + segment(c, content=head("POST / HTTP/1.1", chunked) + "4;a=b\r") + \
            segment(c, content="\nabcd\r\n1") + segment(c, content="0\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n" + get) + \
            segment(c, content=head("POST / HTTP/1.1", chunked) + "1 \r\nx\r\n0\r\n\r\n" + get * 2, ack=5) + \
            segment(c, content=head("POST / HTTP/1.1", chunked) + "1\r\nxyz", ack=5) + segment(c, content="z\r\n" + get)
        yield f"pieces-{kind}", setup() + connect(c) + segment(c, content=get[:9]) + segment(c, content=get[9:]) + \
            segment(c, content=get, ack=3) + segment(c, content=get, shift=50) + segment(c, content=get, shift=-90)
        yield f"stray-{kind}", setup() + segment(c, content=get) * 7 + segment(c, content="POST") + segment(c, ACK) + \
            segment(c, FIN | ACK) + segment(c, RST)
        yield f"ends-{kind}", setup() + connect(c) + segment(c, FIN | ACK, get) + segment(c, RST | ACK, get * 2) + \
            segment(c, SYN, get) + segment(c, RST, head("GET / HTTP/2.0")) + segment(c, RST, get * 5)
        yield f"reload-{kind}", setup() + connect(c) + connect(c + OPEN) + segment(c, content=get) + reload(1) + \
            segment(c, content=get, ack=1) * 4 + segment(c + OPEN, content=get) + reload(2) + segment(c, ACK) + \
            segment(c, content=get, shift=-40) + segment(c + OPEN, content=get) + connect(c + 32) + reload(0) + connect(c)
        yield f"reused-port-{kind}", setup() + connect(c) + reload(1) + segment(c, FIN | ACK) + segment(c, SYN) + \
            segment(c, ACK) + reload(0) + segment(c, RST | ACK) + connect(c) + wait(4) + segment(c, SYN)
        yield f"refused-and-reset-{kind}", setup() + refused(c, times=2) + reload(1) + \
            segment(c, content=head("GET /k HTTP/1.1"), ack=9) + segment(c, RST | ACK) + connect(c + 32) + wait(1)
        for service in (MAIL, NAMES):
            yield f"service-{service}-{kind}", setup() + connect(c + service) + \
                segment(c + service, content="EHLO x") * 30 + segment(c + service + 32, SYN, "early")
        yield f"proxy-{kind}", setup() + connect(c + 2) + b"".join(
            segment(c + 2, content=head("GET / HTTP/1.1", f"X-Client: {who}"), ack=9)
            for who in ("192.0.2.1", "2001:db8::9", "::ffff:192.0.2.1", "nobody", "192.0.2.1") * 2)
        yield f"office-{kind}", setup() + connect(c + 3) + segment(c + 3, content=get, ack=9) * 9
        yield f"handshakes-{kind}", setup() + b"".join(segment(c + 32 * n, SYN) for n in range(8)) * 2 + wait(3) + connect(c)
        yield f"ages-{kind}", setup() + segment(c, SYN) + wait(3) + segment(c, ACK) + connect(c) + wait(6) + \
            segment(c, content=get) + refused(c + 32) + wait(5) + segment(c + 32, content=get) + world(7, 255) + \
            segment(c + 64, SYN) + segment(c + 64, content=get)
        yield f"short-of-everything-{kind}", setup() + connect(c) + world(0, 1) + segment(c, content=get) * 2 + \
            world(0, 0) + refused(c + 32) + world(0, 255) + world(1, 0) + refused(c + 64) + world(1, 255) + \
            world(2, 30) + connect(c + OPEN) + world(2, 10) + connect(c + OPEN + 32) + world(3, 0) + \
            segment(c + OPEN, content=head("G")) + world(5, 0) + world(5, 1) + world(5, 2) + segment(c, ACK) + \
            connect(c + 96) + world(6, 0) + segment(c, ACK)
        heads = ["G", "GET", "GET x HTTP/1.1\r\n", "GET  / HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\n\r\n",
                 head("GET / HTTP/1.0"), head("GET / HTTP/1.1", "host: b"), head("GET / HTTP/1.1", "Content-Length: 5, 5"),
                 head("GET / HTTP/1.1", chunked, "Content-Length: 1"), head("GET / HTTP/1.1", "Transfer-Encoding: gzip"),
                 head("GET / HTTP/1.1", "Content-Length: 1", "Content-Length: 1"), head("GET / HTTP/1.0", chunked),
                 head("HEAD /k?q HTTP/1.1", "X-Api-Key: a"), head("GET /k HTTP/1.1", "X-Api-Key: a", "X-Api-Key: b"),
                 head("GET / HTTP/1.1", "User-Agent: BadBot"), head("GET / HTTP/1.1", "User-Agent: sqlmap/1"),
                 head("HEAD / HTTP/1.1", "User-Agent: badbot"), head("GET / HTTP/1.1", "User-Agent: curl", "user-agent: x"),
                 head("GET /gaz HTTP/1.1", "User-Agent: curl"), head("GET /g*y HTTP/1.1"),
                 "GET / HTTP/1.1\r\nHost: API.example:80\r\nX-V: 2\r\n\r\n", "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n",
                 head("GET / HTTP/1.1", *["a:"] * 100), "GET / HTTP/1.1\r\nHost: a\r\n" + "x" * 20, "A" * 40 + " / HTTP/1.1"]
        for which, lines in enumerate(heads):
            yield f"head-{which}-{kind}", setup(policy=which % 3) + connect(c + 32) + connect(c + OPEN) + \
                segment(c + 32, content=lines) + (segment(c + OPEN, content=lines, ack=9) + wait(0)) * 4
        chunks = ["g", "\n", "1\rx", "1;\x01", "1 \x01", "1;a\r\na\r\n0\r\n\r\n", "1\r\naX", "1\r\na\rX", "0\r\n\x01", "0\r\nA\x01",
                  "0\r\nA: b\rX", "0\r\nA: b\r\nC:\td\r\n\r\n", "0\r\n\rX", "f" * 17, "A\r\n0123456789\r\nb\r\n0123"]
        for which, lines in enumerate(chunks):
            yield f"chunk-{which}-{kind}", setup(policy=which % 3) + connect(c) + segment(c, content=head("POST / HTTP/1.1", chunked)) + \
                segment(c, content=lines) + segment(c, content=get) + connect(c + OPEN) + segment(c + OPEN, content=get) + \
                segment(c + OPEN, content=head("POST / HTTP/1.1", chunked) + lines + get)
        for workers in (2, 3):
            mixed = b"".join(segment(c + 32 * n, SYN, worker=n % 3) for n in range(6))
            mixed += b"".join(segment(c + 32 * n, content=get * 2, worker=(n + 1) % 3) for n in range(6)) * 2
            yield f"workers-{workers}-{kind}", setup(workers) + mixed
            yield f"rings-{workers}-{kind}", setup(workers, free=True) + world(4, 1) + mixed + world(4, 8) + mixed


def frames_of(capture):
    data = capture.read_bytes()
    if capture.suffix == ".pcap":
        at = 24
        while at < len(data):
            length = struct.unpack_from("<8xI", data, at)[0]
            yield data[at + 16 : at + 16 + length]
            at += 16 + length
        return
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 6:  # an enhanced packet block
            length = struct.unpack_from("<I", data, at + 20)[0]
            yield data[at + 28 : at + 28 + length]
        at += size


def captured():
    """From several places of each capture, as many frames as an input of libFuzzer's 4,096 bytes holds."""
    for capture in sorted(pathlib.Path(__file__).resolve().parent.parent.glob("captures/*.pcap*")):
        if capture.name.startswith(("both-", "tls", "mixed")):
            continue
        frames = list(frames_of(capture))
        for part in range(3):
            seed = setup(workers=1 + part, policy=part)
            for content in frames[len(frames) * part // 3 :]:
                step = frame(content, mend=(0, LENGTHS | IP_SUM | L4_SUM)[part % 2])
                if len(seed) + len(step) > 4096:
                    break
                seed += step
            yield f"{capture.stem}-{part}", seed


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, seed in [*scenes(), *captured()]:
        (directory / name).write_bytes(seed)


if __name__ == "__main__":
    main()
