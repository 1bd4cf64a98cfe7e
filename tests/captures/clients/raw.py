# SPDX-License-Identifier: BSD-3-Clause
"""Requests whose segments are chosen by hand: one write with TCP_NODELAY is one segment, up to the MSS.

raw.py pipeline|split|bytes|chunked|halfclose|upgrade VIP
Every exchange ends with `Connection: close`, and is read to its end: so many answers must have come."""

import socket
import sys
import time

HOST = b"Host: shop.example.com\r\n"
PAUSE_S = 0.03


def get(path, extra=b"", method=b"GET"):
    return method + b" " + path + b" HTTP/1.1\r\n" + HOST + extra + b"\r\n"


def post(path, body):
    return b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (path, HOST, len(body), body)


LAST = get(b"/index.html", b"Connection: close\r\n")


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def exchange(vip, segments, answers, pause_s=PAUSE_S, half_close=False):
    with socket.create_connection((vip, 80), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for segment in segments:
            sock.sendall(segment)
            time.sleep(pause_s)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        received = b""
        while data := sock.recv(65536):
            received += data
    if received.count(b"HTTP/1.1 ") != answers:
        raise SystemExit(f"{received.count(b'HTTP/1.1 ')} answers instead of {answers}: {received[:300]!r}")


def pipeline(vip):
    five = b"".join(map(get, (b"/", b"/checkout/cart", b"/api/v1/items", b"/static/app.js")))
    exchange(vip, [five + LAST], 5)
    exchange(vip, [get(b"/", method=b"HEAD") + post(b"/login", b"user=ada&password=x") + get(b"/.env") + LAST], 4)
    third = get(b"/api/v1/items?page=3")
    exchange(vip, [get(b"/") + get(b"/index.html") + third[:25], third[25:] + LAST], 4)
    exchange(vip, [b"".join(get(b"/api/v1/items?page=%d" % n, b"Accept: */*\r\n" * 8) for n in range(20)) + LAST], 21)


def split(vip):
    head = get(b"/checkout/cart", b"User-Agent: raw/1\r\nAccept: text/html\r\nConnection: close\r\n")
    exchange(vip, [head[:20], head[20:]], 1)
    exchange(vip, [head[:3], head[3:40], head[40:]], 1)
    for cut in (-1, -2, -3):  # inside the empty line that ends the head
        exchange(vip, [head[:cut], head[cut:]], 1)
    exchange(vip, [get(b"/") + head[:30], head[30:]], 2)
    body = post(b"/login", b"user=ada&password=correct+horse")
    exchange(vip, [body[:30], body[30:-20], body[-20:] + LAST[:10], LAST[10:]], 2)
    cookie = b"Cookie: basket=" + b"0123456789abcdef" * 230 + b"\r\n"
    exchange(vip, [get(b"/api/v1/items", cookie + b"Connection: close\r\n")], 1)  # three segments: longer than two MSS


def one_byte_each(vip):
    short = b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n"
    exchange(vip, [short[i : i + 1] for i in range(len(short))], 1, pause_s=0.005)


def chunked(vip):
    head = b"POST /upload HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    body = chunk(b"hello") + chunk(b", this is a chunk of text", b";note=extension") + b"0\r\n\r\n"
    exchange(vip, [head + body + LAST], 2)
    exchange(vip, [head, b"5\r", b"\nhel", b"lo\r\n00", b"00\r\n", b"\r\n" + LAST], 2)
    long = chunk(b"x" * 3000)
    exchange(vip, [head + long, long + b"0\r\n", b"X-Checksum: 77\r\n\r\n" + LAST], 2)


def half_close(vip):
    exchange(vip, [get(b"/", b"Connection: close\r\n")], 1, half_close=True)


def upgrade(vip):
    asks = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    version = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    exchange(vip, [get(b"/ws", asks + version), LAST], 2)


def main():
    modes = {"pipeline": pipeline, "split": split, "bytes": one_byte_each, "chunked": chunked,
             "halfclose": half_close, "upgrade": upgrade}
    modes[sys.argv[1]](sys.argv[2])


main()
