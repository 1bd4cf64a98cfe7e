# SPDX-License-Identifier: BSD-3-Clause
"""A server behind nginx that writes down what it was asked: a JSON line for each request, with its body's hash.

    python3 upstream.py PORT LOG"""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = open(sys.argv[2], "a", buffering=1)

    def do_GET(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        self.log.write(json.dumps({"line": self.requestline, "agent": self.headers["user-agent"], "bytes": len(body),
                                   "sha256": hashlib.sha256(body).hexdigest()}) + "\n")
        answer = b"served\n"
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *_):
        pass


ThreadingHTTPServer.request_queue_size = 1024  # connections come in dozens at once
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
