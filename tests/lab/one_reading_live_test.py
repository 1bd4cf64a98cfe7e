#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a real backend reads is what the gate judged: segments that no stack sends, against Linux and nginx. Needs root.

SURGEGATE_SEED repeats a run; SURGEGATE_LONG=1 does 10,000 schedules instead of 600."""

import json
import os
import random
import subprocess
import sys
import unittest
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "end_to_end")]
import live_test  # noqa: E402
from netns import wait_until  # noqa: E402
from segment import BACKEND_MAC, CLIENT_MAC, GATE_MAC, VIP4, VIP6, Segment  # noqa: E402

SCHEDULES = 10_000 if os.environ.get("SURGEGATE_LONG") else 600
SEED = int(os.environ.get("SURGEGATE_SEED", "0"), 0) or random.SystemRandom().randrange(1, 1 << 32)
UPSTREAM_PORT = 8081
SERVERS = f"""
upstream writer {{ server 127.0.0.1:{UPSTREAM_PORT}; keepalive 32; }}
server {{
  listen {VIP4}:80; listen [{VIP6}]:80;
  client_header_timeout 20; client_body_timeout 20; keepalive_requests 1000;
  location / {{ proxy_pass http://writer; proxy_http_version 1.1; proxy_set_header Connection ""; }}
}}
"""


class World(Segment):
    """The segment with nginx, and behind it a server that writes down what it was asked. Raw clients have addresses that
    are nobody's, for which the backend needs no resolution."""

    def build(self):
        super().build()
        self.log = self.tmp / "upstream.log"
        self.backend.start(sys.executable, HERE / "upstream.py", str(UPSTREAM_PORT), self.log, stderr=subprocess.DEVNULL)
        self.nginx = self.serve(SERVERS)
        for number in (99, 100, 101):
            self.backend.ip("neigh", "replace", f"192.0.2.{number}", "lladdr", CLIENT_MAC, "nud", "permanent", "dev", "eth0")
        wait_until(self.log.exists, "the server behind nginx")

    def asked(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def raw(self, script, *words, timeout_s=60.0):
        return json.loads(self.client.run(sys.executable, "-B", HERE / script, *words, timeout_s=timeout_s).stdout)


class OneReadingLiveTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.gate = live_test.Gate(cls.world, HERE / "policies/open.yaml")

    def test_heads_that_the_backend_discards(self):
        answers = self.world.raw("tricks.py", VIP4, GATE_MAC, CLIENT_MAC, "30000")
        asked = [line["line"].split()[1] for line in self.world.asked()]
        self.assertEqual([path for path in asked if path.startswith(("/evil", "/urgent"))], [])
        for trick, answer in answers.items():
            with self.subTest(trick):
                # What the gate itself drops was not the first head; then the next one is, and that is refused.
                dropped = ("a bad checksum", "no acknowledgement", "an old timestamp", "an MD5 option")
                self.assertEqual(answer, "" if trick == "an urgent byte" else
                                 "HTTP/1.1 403 Forbidden" if trick in dropped else "HTTP/1.1 200 OK")

    def test_without_the_gate_those_tricks_work(self):
        """Or the test above shows nothing."""
        before = len(self.world.asked())
        self.world.raw("tricks.py", VIP4, BACKEND_MAC, CLIENT_MAC, "31000")
        asked = [line["line"].split()[1] for line in self.world.asked()[before:]]
        self.assertEqual([path for path in asked if path.startswith("/evil")], [f"/evil{n}" for n in range(5)])
        self.assertIn("AhrefsBot", [line["agent"] for line in self.world.asked() if line["line"].startswith("GET /urgent ")])

    def test_schedules(self):
        before = len(self.world.asked())
        print(f"schedules: {SCHEDULES}, SURGEGATE_SEED={SEED}", file=sys.stderr)
        results = self.world.raw("schedules.py", str(SEED), str(SCHEDULES), VIP4, GATE_MAC, CLIENT_MAC, timeout_s=3000)
        lines = self.world.asked()[before:]
        self.assertEqual([line for line in lines if line["agent"] != "AhrefsBox"][:5], [], f"SURGEGATE_SEED={SEED}")
        asked = Counter((line["line"].split()[1], line["sha256"]) for line in lines)
        meant = Counter(tuple(request) for result in results for request in result["requests"])
        self.assertEqual(list(asked - meant)[:5], [], f"what nobody meant, or twice; SURGEGATE_SEED={SEED}")
        whole = [result for result in results if result["whole"]]
        missing = [request for result in whole for request in result["requests"] if tuple(request) not in asked]
        self.assertEqual(missing[:5], [], f"acknowledged, and never asked; SURGEGATE_SEED={SEED}")
        cut = [result for result in results if not result["whole"] and not result["hostile"]]
        self.assertEqual(cut[:5], [], f"honest, and did not come to the end; SURGEGATE_SEED={SEED}")
        self.assertGreater(len(results), SCHEDULES * 0.99)
        self.assertGreater(sum(result["whole"] for result in results if result["hostile"]), SCHEDULES // 20)


if __name__ == "__main__":
    unittest.main()
