#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the gate lets pass, nginx and HAProxy read as the gate did: made-up streams of requests, given to both. Needs root.

SURGEGATE_SEED repeats a run; SURGEGATE_LONG=1 tries 50,000 streams instead of 2,000."""

import json
import os
import random
import subprocess
import sys
import unittest
from collections import Counter, defaultdict
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
from netns import Lab, Nginx, wait_until  # noqa: E402

READING = HERE.parents[1] / "build/tests/lab/reading"
STREAMS = 50_000 if os.environ.get("SURGEGATE_LONG") else 2_000
SEED = int(os.environ.get("SURGEGATE_SEED", "0"), 0) or random.SystemRandom().randrange(1, 1 << 32)
NGINX_PORT, HAPROXY_PORT, BEHIND_NGINX, BEHIND_HAPROXY = 8001, 8002, 8003, 8004
SERVERS = f"""
server {{
  listen 127.0.0.1:{NGINX_PORT} backlog=1024;
  location / {{
    proxy_pass http://127.0.0.1:{BEHIND_NGINX}; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header X-Client-Port $remote_port;
  }}
}}
"""
HAPROXY = f"""
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend front
  bind 127.0.0.1:{HAPROXY_PORT} backlog 1024
  http-request set-header X-Client-Port %[src_port]
  default_backend behind
backend behind
  server one 127.0.0.1:{BEHIND_HAPROXY}
"""


class World(Lab):
    """One namespace with both servers, and behind each one that writes down what it was asked."""

    def build(self):
        self.host = self.namespace("host")
        self.host.ip("link", "set", "lo", "up")
        self.host.sysctl(net__ipv4__ip_local_port_range="1024 19999")  # the others are the streams'
        self.logs = {}
        for name, port in (("nginx", BEHIND_NGINX), ("haproxy", BEHIND_HAPROXY)):
            self.logs[name] = self.tmp / f"{name}.log"
            self.host.start(sys.executable, HERE / "upstream.py", str(port), self.logs[name], stderr=subprocess.DEVNULL)
        Nginx(self.host, SERVERS)
        config = self.tmp / "haproxy.cfg"
        config.write_text(HAPROXY)
        self.host.start("haproxy", "-db", "-f", config, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for port in (NGINX_PORT, HAPROXY_PORT, BEHIND_NGINX, BEHIND_HAPROXY):
            wait_until(lambda: f":{port} " in self.host.run("ss", "-Htln").stdout, f"port {port}")

    def asked(self, name, port, first_port, streams):
        """What each stream was to the server behind: a list of method, target and bytes for each."""
        self.host.run(sys.executable, "-B", HERE / "send_streams.py", "127.0.0.1", str(port), str(first_port),
                      input="\n".join(streams) + "\n", timeout_s=3000)
        by_port = defaultdict(list)
        for line in self.logs[name].read_text().splitlines():
            asked = json.loads(line)
            method, target = asked["line"].split(" ")[:2]
            by_port[asked["port"]].append((method, target, asked["bytes"]))
        self.logs[name].write_text("")
        return [by_port[str(first_port + i)] for i in range(len(streams))]


class SmugglingHuntTest(unittest.TestCase):
    def test_what_passes_is_read_as_it_was_judged(self):
        print(f"streams: {STREAMS}, SURGEGATE_SEED={SEED}", file=sys.stderr)
        with World() as world:
            seen = Counter()
            for first in range(0, STREAMS, 2_000):
                lines = subprocess.run([READING, str(SEED + first), "2000"], check=True, stdout=subprocess.PIPE).stdout
                readings = [reading for reading in map(json.loads, lines.splitlines()) if reading["passed"]]
                first_port = 20_000 + first % 40_000  # the next round's are others: these wait for a minute
                streams = [reading["passed"] for reading in readings]
                for name, port in (("nginx", NGINX_PORT), ("haproxy", HAPROXY_PORT)):
                    for reading, asked in zip(readings, world.asked(name, port, first_port, streams), strict=True):
                        judged = [(r["method"], r["target"], r["bytes"]) for r in reading["requests"]]
                        self.assertEqual(asked, judged[: len(asked)],
                                         f"{name} reads another thing in {bytes.fromhex(reading['passed'])}; "
                                         f"SURGEGATE_SEED={SEED + first}")
                        seen[name] += len(asked)
                        seen["judged"] += len(judged)
            self.assertGreater(min(seen["nginx"], seen["haproxy"]), STREAMS // 20, seen)


if __name__ == "__main__":
    unittest.main()
