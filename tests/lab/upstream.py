# SPDX-License-Identifier: BSD-3-Clause
"""A server behind another one that writes down what it was asked: a JSON line for each request, with its body's hash,
and the port of the client if the server in front tells it (X-Client-Port). The answer is the request's target and its
body's hash in a line, and behind that as many bytes more as it asks for (X-Answer-Bytes), of the hash again and again.

    python3 upstream.py PORT LOG"""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = open(sys.argv[2], "a", buffering=1)

    def __getattr__(self, name):
        if name.startswith("do_"):  # any method
            return self.answer
        raise AttributeError(name)

    def body(self):
        if (self.headers["transfer-encoding"] or "").strip().lower() != "chunked":
            return self.rfile.read(int(self.headers["content-length"] or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def answer(self):
        body = self.body()
        sha256 = hashlib.sha256(body).hexdigest()
        self.log.write(json.dumps({"line": self.requestline, "agent": self.headers["user-agent"], "bytes": len(body),
                                   "sha256": sha256, "port": self.headers["x-client-port"]}) + "\n")
        more_bytes = int(self.headers["x-answer-bytes"] or 0)
        answer = f"{self.path} {sha256}\n{(sha256 * (more_bytes // len(sha256) + 1))[:more_bytes]}".encode()
        answer = b"" if self.command == "HEAD" else answer
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


ThreadingHTTPServer.request_queue_size = 1024  # connections come in dozens at once
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
