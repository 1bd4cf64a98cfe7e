# SPDX-License-Identifier: BSD-3-Clause
"""Many clients at once, as the kernel's TCP and Python's http.client make them: each a connection of its own with a few
requests, by a schedule that the seed gives. Prints, as JSON, what each asked and what became of it.

    python3 impaired_client.py SEED COUNT FIRST_PORT VIP4 OWN4 VIP6 OWN6"""

import hashlib
import http.client
import json
import random
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

AT_ONCE, TIMEOUT_S = 64, 30.0
ADMITTED_MAX = 3  # what the policy lets an account have
# On a hostile path the gate may have refused what only the path sent. Nobody need wait for that answer.
HOSTILE_TIMEOUT_S = 4.0
LETTERS = bytes(b"ghijklmnopqrstuvwxyz"[i % 20] for i in range(256))  # neither digits nor line ends: see differing.h


@dataclass
class Request:
    target: str
    fields: list
    body: bytes
    chunk_sizes: list | None

    @property
    def sha256(self):
        return hashlib.sha256(self.body).hexdigest()

    def parts(self):
        """The body in chunks."""
        at = 0
        for size in self.chunk_sizes:
            yield self.body[at : at + size]
            at += size

    def wire(self):
        method = "POST" if self.body else "GET"
        head = f"{method} {self.target} HTTP/1.1\r\nHost: shop.example\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        if self.chunk_sizes is not None:
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in self.parts())
            return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        if self.body:
            head += f"Content-Length: {len(self.body)}\r\n"
        return head.encode() + b"\r\n" + self.body


class Client:
    """Of kind `library` (http.client), `written` (writes of any size) or `pipelined` (all requests at once)."""

    def __init__(self, seed, number):
        self.number, self.rng = number, random.Random(f"{seed}/{number}")
        self.kind = self.rng.choice(("library", "written", "pipelined"))
        self.is_ip6 = self.rng.random() < 0.5
        count = self.rng.choice((1, 2, 3, 3, 4, 5))
        # Who pipelines too many loses his connection with answers on their way: how far the backend got, nobody can say.
        place = "over" if self.kind == "pipelined" and count > ADMITTED_MAX else "good"
        self.requests = [self.request(f"/{place}/{number}-{i}") for i in range(count)]
        self.answers, self.end = [], "open"

    def request(self, target):
        rng = self.rng
        fields = [("X-Account", str(self.number)), ("X-Answer-Bytes", str(rng.choice((0, 0, 10, 3000, 40_000))))]
        for i in range(rng.choice((0, 0, 0, 1, 4))):
            fields.append((f"X-Pad-{i}", rng.randbytes(rng.randrange(1, 3000)).translate(LETTERS).decode()))
        body = rng.randbytes(rng.choice((0, 0, 1, 300, 2500, 30_000))).translate(LETTERS)
        chunk_sizes, left = None, len(body)
        if body and rng.random() < 0.5:
            chunk_sizes = []
            while left > 0:
                chunk_sizes.append(min(left, rng.randrange(1, rng.choice((20, 900, 6000)))))
                left -= chunk_sizes[-1]
        return Request(target, fields, body, chunk_sizes)

    def run(self, own_port, vip, own):
        try:
            with socket.create_connection((vip, 80), TIMEOUT_S, (own, own_port)) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.kind == "library":
                    self.ask_by_library(sock)
                else:
                    self.ask_by_writing(sock)
        except TimeoutError:
            self.end = "timeout"
        except (ConnectionError, http.client.HTTPException) as error:
            self.end = type(error).__name__

    def limit_time(self, sock, index):
        sock.settimeout(HOSTILE_TIMEOUT_S if self.number % 2 == 1 and index >= ADMITTED_MAX else TIMEOUT_S)

    def ask_by_library(self, sock):
        connection = http.client.HTTPConnection("shop.example")
        connection.sock, connection.auto_open = sock, 0
        for index, request in enumerate(self.requests):
            self.limit_time(sock, index)
            body = request.body or None
            if request.chunk_sizes is not None:
                body = request.parts()
            try:
                connection.request("POST" if body else "GET", request.target, body, dict(request.fields),
                                   encode_chunked=request.chunk_sizes is not None)
            except ConnectionError:
                pass  # the answer may be there all the same
            answer = connection.getresponse()
            if not self.take(request, answer.status, answer.headers["retry-after"], answer.read()):
                return
        self.end = "answered"

    def ask_by_writing(self, sock):
        is_pipelined = self.kind == "pipelined"
        with sock.makefile("rb") as answers:
            if is_pipelined:
                self.write(sock, b"".join(request.wire() for request in self.requests))
            for index, request in enumerate(self.requests):
                self.limit_time(sock, index)
                if not is_pipelined:
                    self.write(sock, request.wire())
                if not self.read(request, answers):
                    return
        self.end = "answered"

    def write(self, sock, wire):
        """With TCP_NODELAY each write is a segment, unless the window makes it wait for others."""
        size_max, at = self.rng.choice((30, 700, 5000, 100_000)), 0
        try:
            while at < len(wire):
                size = self.rng.randrange(1, size_max + 1)
                sock.sendall(wire[at : at + size])
                at += size
        except ConnectionError:
            pass  # the answer may be there all the same

    def read(self, request, answers):
        line = answers.readline()
        if not line:
            self.end = "closed"
            return False
        fields = http.client.parse_headers(answers)
        body = answers.read(int(fields["content-length"] or 0))
        return self.take(request, int(line.split()[1]), fields["retry-after"], body)

    def take(self, request, status, retry_after, body):
        """Notes an answer. False: it is the last one."""
        line, _, rest = body.partition(b"\n")
        more_bytes = int(dict(request.fields)["X-Answer-Bytes"])
        more = (request.sha256 * (more_bytes // 64 + 1))[:more_bytes].encode()
        is_whole = line.endswith(b" " + request.sha256.encode()) and rest == more
        self.answers.append({"status": status, "retry_after": retry_after, "whole": is_whole,
                             "text": line.split(b" ")[0].decode() if status == 200 else body.decode()})
        if status != 200:
            self.end = "refused"
        return status == 200

    def result(self):
        return {"number": self.number, "kind": self.kind, "end": self.end, "answers": self.answers,
                "requests": [[request.target, request.sha256] for request in self.requests]}


def main():
    seed, count, first_port, vip4, own4, vip6, own6 = sys.argv[1:]

    def run(number):
        client = Client(seed, number)
        client.run(int(first_port) + number, *((vip6, own6) if client.is_ip6 else (vip4, own4)))
        return client.result()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        print(json.dumps(list(pool.map(run, range(int(count))))))


if __name__ == "__main__":
    main()
