#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`surgegate run` between real clients and nginx, on AF_PACKET in network namespaces. Needs root.

    sudo python3 tests/lab/live_test.py     SURGEGATE is the program, build/dataplane/surgegate by default"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "end_to_end")]
import witness  # noqa: E402
from netns import wait_until  # noqa: E402
from segment import CLIENT_NET4, CLIENT_NET6, GATE_MAC, SERVERS, VIP4, VIP6, Segment  # noqa: E402

PROGRAM = Path(os.environ.get("SURGEGATE") or HERE.parents[1] / "build/dataplane/surgegate").resolve()
POLICY = HERE / "policies/live.yaml"
BURST, PATIENT_PORT = 5, 8080
RETRY_AFTER_S = "60"  # one more request a minute
BODY = '{"error": "slow down"}\n'
LISTENING = SERVERS.replace(":80;", f":80; listen {VIP4}:{PATIENT_PORT};", 1).replace(
    "]:80;", f"]:80; listen [{VIP6}]:{PATIENT_PORT};", 1)
ANSWERS = "http.response.code==429 || http.response.code==403 || http.response.code==400"
ANSWER_FIELDS = ("http.response.code", "http.content_length", "http.connection", "http.response.line", "tcp.payload")
CLIENTS = 20
LONG = "x" * 300  # a cookie: who sends so much may have the whole answer


BIG = bytes(range(256)) * 4096  # a megabyte


class Gate:
    """A running `surgegate run` in the segment's gate namespace; it knows its backend when this returns."""

    def __init__(self, segment, policy=POLICY, before=(), program=PROGRAM):
        self.segment, self.said, self.told = segment, segment.tmp / "gate.err", segment.tmp / "gate.json"
        with open(self.said, "w") as err, open(self.told, "w") as out:
            self.process = segment.gate.start(*before, program, "run", "--policy", policy, "--interface", "eth0",
                                              "--json", stdout=out, stderr=err)
        wait_until(lambda: "1 of 1 backends" in self.said.read_text() or self.process.poll() is not None, "the gate")
        if self.process.poll() is not None:
            raise AssertionError(f"the gate ended: {self.said.read_text()}")

    def stop(self, number=signal.SIGTERM):
        """Returns the exit status and the account."""
        return self.segment.end(self.process, number), json.loads(self.told.read_text())

    def says(self, line):
        wait_until(lambda: f"surgegate run: {line}" in self.said.read_text().splitlines(), line)


class OnTheWire:
    """For tests that have a `segment` and `numbers` of clients: `seen` is a capture of what passed by the client."""

    def setUp(self):
        self.number = next(self.numbers)
        self.seen = self.segment.tmp / f"{self.id()}.pcap"
        self.capture = self.segment.capture(self.segment.client, "eth0", self.seen)
        self.addCleanup(self.check_the_wire)

    def check_that_no_more_goes_than_came(self):
        """Of each connection: what the gate itself sends to the client, against what the client has sent so far."""
        came, went = Counter(), Counter()
        fields = ("tcp.stream", "eth.src", "eth.dst", "ip.len", "ipv6.plen")
        for row in witness.fields(self.seen, "tcp", fields, witness.SEGMENT_BY_SEGMENT):
            stream = row["tcp.stream"][0]
            size = int(row["ip.len"][0]) if row["ip.len"] else 40 + int(row["ipv6.plen"][0])
            if row["eth.src"] == [GATE_MAC]:
                went[stream] += size
                self.assertLessEqual(went[stream], came[stream])
            elif row["eth.dst"] == [GATE_MAC]:
                came[stream] += size
        self.assertGreater(len(came), 0)


class LiveTest(OnTheWire, unittest.TestCase):
    """One gate for all; each test has a client address of its own, and so buckets of its own. What passes by the
    client while a test runs is looked at by tshark afterwards."""

    numbers = iter(range(11, 11 + CLIENTS))

    @classmethod
    def setUpClass(cls):
        cls.segment = cls.enterClassContext(Segment(addresses=CLIENTS))
        (cls.segment.tmp / "big").write_bytes(BIG)
        cls.nginx = cls.segment.serve(LISTENING.replace("location /", f"location /big {{ root {cls.segment.tmp}; }} location /", 1))
        cls.gate = Gate(cls.segment)

    def check_the_wire(self):
        self.capture.stop()
        self.assertEqual(witness.faults(self.seen), "")
        for row in witness.fields(self.seen, ANSWERS, ANSWER_FIELDS, witness.SEGMENT_BY_SEGMENT):
            body = bytes.fromhex(row["tcp.payload"][0]).partition(b"\r\n\r\n")[2]
            length = (row["http.content_length"] or ["0"])[0]
            self.assertIn(str(len(body)), (length, "0"), "an answer is one whole segment")
            self.assertEqual(row["http.connection"], ["close"] if row["http.content_length"] else [])
            if row["http.response.code"] == ["429"]:
                self.assertRegex("".join(row["http.response.line"]), r"Retry-After: [1-9][0-9]*\\r\\n")

        self.check_that_no_more_goes_than_came()
    def address(self, vip):
        return f"{CLIENT_NET6}:{self.number}" if vip == VIP6 else f"{CLIENT_NET4}.{self.number}"

    def curl(self, vip, *words, port=80):
        """A curl from this test's address. Returns for each transfer: status, connections opened, Retry-After."""
        where = f"http://[{vip}]:{port}" if vip == VIP6 else f"http://{vip}:{port}"
        urls = [word for word in words if word.startswith("/")]
        words = [where + word if word.startswith("/") else word for word in words]
        outputs = [word for _ in urls for word in ("-o", "/dev/null")]
        told = "%{http_code} %{num_connects} %header{retry-after}\\n"
        done = self.segment.client.run("curl", "-sS", "--noproxy", "*", "-m", "10", "--interface", self.address(vip),
                                       "-w", told, *outputs, *words)
        return [tuple(line.split(" ")) for line in done.stdout.splitlines()]

    def script(self, program, text, *words):
        """Runs a client's script from this test's address (as its last arguments are: VIP, own address)."""
        done = self.segment.client.run(*program, text, *words, VIP4, self.address(VIP4))
        return json.loads(done.stdout)

    def served(self, vip=VIP4):
        """The targets that nginx has logged for this test's address, with their status."""
        lines = [line.split() for line in self.nginx.requests()]
        return [(words[2], words[4]) for words in lines if words[0] == self.address(vip)]

    def test_new_connections(self):
        for vip in (VIP4, VIP6):
            asked = [f"/new{n}" for n in range(BURST + 3)]
            answers = [self.curl(vip, path)[0] for path in asked]
            self.assertEqual(answers, [("200", "1", "")] * BURST + [("429", "1", RETRY_AFTER_S)] * 3)
            self.assertEqual(self.served(vip), [(path, "200") for path in asked[:BURST]])

    def test_kept_alive_connections_of_curl(self):
        for vip in (VIP4, VIP6):
            asked = [f"/kept{n}" for n in range(BURST + 3)]
            answers = self.curl(vip, *asked)
            self.assertEqual(answers[: BURST + 1],
                             [("200", "1", "")] + [("200", "0", "")] * (BURST - 1) + [("429", "0", RETRY_AFTER_S)])
            self.assertEqual(answers[BURST + 1 :], [("429", "1", RETRY_AFTER_S)] * 2, "we close: curl connects anew")
            self.assertEqual(self.served(vip), [(path, "200") for path in asked[:BURST]])

    def test_kept_alive_connections_of_python(self):
        answers = self.script([sys.executable, "-c"], """if True:
            import http.client, json, sys
            cookie, vip, own = sys.argv[1:]
            connection = http.client.HTTPConnection(vip, 80, 10, source_address=(own, 0))
            seen = []
            for n in range(8):
                connection.request("GET", f"/python{n}", headers={"cookie": cookie})
                port = connection.sock.getsockname()[1]
                answer = connection.getresponse()
                seen.append([answer.status, answer.headers["retry-after"], answer.read().decode(), port])
            print(json.dumps(seen))""", LONG)
        self.assertEqual([answer[:3] for answer in answers], [[200, None, "served\n"]] * BURST +
                         [[429, RETRY_AFTER_S, BODY]] * 3)
        ports = [answer[3] for answer in answers]
        self.assertEqual(len(set(ports[: BURST + 1])), 1, "the first refusal came on the connection of the others")
        self.assertEqual(len(set(ports[BURST:])), 3)
        self.assertEqual(self.served(), [(f"/python{n}", "200") for n in range(BURST)])

    def use_up(self, port=80, count=BURST):
        self.assertEqual([answer[0] for answer in self.curl(VIP4, *["/used"] * count, port=port)], ["200"] * count)

    def test_curl_waits_as_long_as_it_is_told_and_succeeds(self):
        self.use_up(PATIENT_PORT, 1)
        done = self.segment.client.run("curl", "-sS", "--noproxy", "*", "--retry", "3", "--interface", self.address(VIP4),
                                       "-o", self.segment.tmp / "again", "-w", "%{http_code}",
                                       f"http://{VIP4}:{PATIENT_PORT}/again")
        self.assertEqual(done.stdout, "200")
        self.assertEqual(self.served()[1:], [("/again", "200")])
        self.capture.stop()
        tries = witness.fields(self.seen, 'http.request.uri=="/again"', ("frame.number",))
        self.assertEqual(len(tries), 2, "without Retry-After curl tries after a second, too early, and then again")

    def test_urllib(self):
        self.use_up()
        answer = self.script([sys.executable, "-c"], """if True:
            import http.client, json, sys, urllib.error, urllib.request
            vip, own = sys.argv[1:]
            class Handler(urllib.request.HTTPHandler):
                def http_open(self, request):
                    return self.do_open(lambda host, **more: http.client.HTTPConnection(
                        host, source_address=(own, 0), **more), request)
            try:
                urllib.request.build_opener(Handler).open(f"http://{vip}/urllib", timeout=10)
            except urllib.error.HTTPError as error:
                print(json.dumps([error.code, error.reason, dict(error.headers), error.read().decode()]))""")
        self.assertEqual((answer[0], answer[1], answer[3]), (429, "Too Many Requests", BODY))
        self.assertEqual((answer[2]["Retry-After"], answer[2]["Content-Length"]), (RETRY_AFTER_S, str(len(BODY))))
        self.assertEqual(len(self.served()), BURST)

    def test_node(self):
        answers = self.script(["node", "-e"], """
            const http = require("node:http");
            const [cookie, vip, own] = process.argv.slice(1);
            const agent = new http.Agent({keepAlive: true, maxSockets: 1});
            const ask = (path) => new Promise((resolve, reject) => http.get(
                {host: vip, path, agent, localAddress: own, timeout: 10000, headers: {cookie}},
                (answer) => {
                  let body = "";
                  answer.on("data", (part) => body += part);
                  answer.on("end", () => resolve([answer.statusCode, answer.headers["retry-after"] ?? null, body]));
                }).on("error", reject));
            (async () => {
              const seen = [];
              for (let n = 0; n < 7; n++) seen.push(await ask(`/node${n}`));
              console.log(JSON.stringify(seen));
              agent.destroy();
            })();""", LONG)
        self.assertEqual(answers, [[200, None, "served\n"]] * BURST + [[429, RETRY_AFTER_S, BODY]] * 2)
        self.assertEqual(self.served(), [(f"/node{n}", "200") for n in range(BURST)])

    def test_a_bot_is_refused_by_name(self):
        self.assertEqual(self.curl(VIP4, "-A", "Mozilla/5.0 (compatible; AhrefsBot/7.0)", "/bot"), [("403", "1", "")])
        self.assertEqual(self.curl(VIP4, "-A", "Mozilla/5.0", "/human"), [("200", "1", "")])
        self.assertEqual(self.served(), [("/human", "200")])

    def test_a_refused_head_request_has_no_body(self):
        self.use_up()
        self.assertEqual(self.curl(VIP4, "-I", "/head"), [("429", "1", RETRY_AFTER_S)])
        self.assertEqual(len(self.served()), BURST)

    def test_refused_uploads(self):
        """The answer comes while the client still writes; whether it reads it is what makes the difference."""
        upload = self.segment.tmp / "upload"
        upload.write_bytes(bytes(range(256)) * 20_000)
        self.use_up()
        for words in (["--data", "user=ada"], ["--data-binary", f"@{upload}"],
                      ["--data-binary", f"@{upload}", "-H", "Transfer-Encoding: chunked"],
                      ["--data-binary", f"@{upload}", "-H", "Expect: 100-continue"]):
            self.assertEqual(self.curl(VIP4, "/upload", *words), [("429", "1", RETRY_AFTER_S)], words)
        answer = self.script([sys.executable, "-c"], """if True:
            import http.client, json, sys
            path, cookie, vip, own = sys.argv[1:]
            connection = http.client.HTTPConnection(vip, 80, 10, source_address=(own, 0))
            connection.request("POST", "/upload", open(path, "rb").read(), {"cookie": cookie})
            answer = connection.getresponse()
            print(json.dumps([answer.status, answer.read().decode()]))""", upload, LONG)
        self.assertEqual(answer, [429, BODY])
        answer = self.script([sys.executable, "-c"], """if True:
            import http.client, json, sys, urllib.error, urllib.request
            path, cookie, vip, own = sys.argv[1:]
            class Handler(urllib.request.HTTPHandler):
                def http_open(self, request):
                    return self.do_open(lambda host, **more: http.client.HTTPConnection(
                        host, source_address=(own, 0), **more), request)
            try:
                request = urllib.request.Request(f"http://{vip}/upload", open(path, "rb").read(), {"cookie": cookie})
                urllib.request.build_opener(Handler).open(request, timeout=10)
            except urllib.error.HTTPError as error:
                print(json.dumps([error.code, error.read().decode()]))""", upload, LONG)
        self.assertEqual(answer, [429, BODY])
        answer = self.script(["node", "-e"], """
            const [path, cookie, vip, own] = process.argv.slice(1);
            const options = {host: vip, path: "/upload", method: "POST", localAddress: own, timeout: 10000, headers: {cookie}};
            const request = require("node:http").request(options, (answer) => {
              let body = "";
              answer.on("data", (part) => body += part);
              answer.on("end", () => console.log(JSON.stringify([answer.statusCode, body])));
            });
            request.end(require("node:fs").readFileSync(path));""", upload, LONG)
        self.assertEqual(answer, [429, BODY])
        self.assertEqual(len(self.served()), BURST)

    def test_nothing_of_ours_lands_in_a_long_answer(self):
        """The next request comes when a tenth of a megabyte is read, and would be refused."""
        self.use_up(count=BURST - 1)
        received = self.script([sys.executable, "-c"], """if True:
            import hashlib, json, socket, sys, time
            vip, own = sys.argv[1:]
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            sock.bind((own, 0))
            sock.connect((vip, 80))
            sock.sendall(b"GET /big HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n")
            received, asked = b"", False
            while len(received) < 1 << 20 or b"\\r\\n\\r\\n" not in received[1 << 20 :]:
                if len(received) > 100_000 and not asked:
                    asked = sock.sendall(b"GET /next HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n") is None
                part = sock.recv(8192)
                received += part
                if not part:
                    break
                time.sleep(0.005)
            head, _, body = received.partition(b"\\r\\n\\r\\n")
            print(json.dumps([hashlib.sha256(body[: 1 << 20]).hexdigest(), body[1 << 20 :].decode()[:13]]))""")
        self.assertEqual(received, [hashlib.sha256(BIG).hexdigest(), "HTTP/1.1 429 "])
        self.assertEqual(self.served()[-1], ("/big", "200"))

    def test_pipelined_requests_are_answered_up_to_the_limit_and_by_the_backend_alone(self):
        received = self.script([sys.executable, "-c"], """if True:
            import json, socket, sys
            vip, own = sys.argv[1:]
            with socket.create_connection((vip, 80), 10, (own, 0)) as sock:
                sock.sendall(b"".join(b"GET /pipe%d HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n" % n for n in range(8)))
                received = b""
                while received.count(b"served") < 5:
                    received += sock.recv(65536)
                sock.settimeout(0.5)  # two resends of what was cut off
                try:
                    received += sock.recv(65536)
                except TimeoutError:
                    pass
            print(json.dumps(received.decode()))""")
        self.assertEqual((received.count("HTTP/1.1 200"), received.count("HTTP/1.1")), (BURST, BURST))
        self.assertEqual(self.served(), [(f"/pipe{n}", "200") for n in range(BURST)])

    def test_multipath_tcp(self):
        """A client that offers it is served, and refused, by TCP; a backend that would agree to it is not asked."""
        behind = self.segment.tmp / f"{self.id()}.backend.pcap"
        capture = self.segment.capture(self.segment.backend, "eth0", behind)
        codes = self.script([sys.executable, "-c"], """if True:
            import json, socket, sys
            vip, own = sys.argv[1:]
            codes = []
            for n in range(6):
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP) as sock:
                    sock.settimeout(10)
                    sock.bind((own, 0))
                    sock.connect((vip, 80))
                    sock.sendall(b"GET /%d HTTP/1.1\\r\\nHost: shop\\r\\nConnection: close\\r\\n\\r\\n" % n)
                    codes.append(sock.makefile("rb").readline().split()[1].decode())
            print(json.dumps(codes))""")
        capture.stop()
        self.assertEqual(codes, ["200"] * BURST + ["429"])
        self.capture.stop()
        offers = f"tcp.option_kind==30 && ip.src=={self.address(VIP4)}"
        self.assertEqual(len(witness.fields(self.seen, offers, ("tcp.seq_raw",))), 6, "a SYN each")
        self.assertEqual(witness.fields(behind, offers, ("tcp.seq_raw",)), [])
        self.assertEqual(witness.faults(behind), "")

    def test_a_lost_answer_is_given_again(self):
        self.use_up()
        code_429 = "@ih,72,24 0x343239"  # behind "HTTP/1.1 "
        once = "limit rate 1/day burst 1 packets"
        self.segment.client.run("nft", "-f", "-", input=f"""
            table inet lossy {{
              chain input {{
                type filter hook input priority 0;
                tcp sport 80 {code_429} {once} counter drop
              }}
            }}""")
        self.addCleanup(self.segment.client.run, "nft", "delete", "table", "inet", "lossy")
        self.assertEqual(self.curl(VIP4, "/lost"), [("429", "1", RETRY_AFTER_S)])
        self.assertIn("packets 1 ", self.segment.client.run("nft", "list", "table", "inet", "lossy").stdout)
        self.assertEqual(len(self.served()), BURST)
        self.check_resend()

    def check_resend(self):
        self.capture.stop()
        asked = witness.fields(self.seen, 'http.request.uri=="/lost"', ("tcp.seq_raw", "tcp.payload"), witness.SEGMENT_BY_SEGMENT)
        given = witness.fields(self.seen, ANSWERS, ("tcp.seq_raw", "tcp.ack_raw", "tcp.payload"), witness.SEGMENT_BY_SEGMENT)
        for row in given:
            row["tcp.payload"] = re.sub(rb"Date: [^\r]*", b"", bytes.fromhex(row["tcp.payload"][0]))
        self.assertEqual((len(asked), len(given)), (2, 2), "asked twice, answered twice")
        self.assertEqual(asked[0], asked[1])
        self.assertEqual([given[0][name] for name in ("tcp.seq_raw", "tcp.ack_raw")],
                         [given[1][name] for name in ("tcp.seq_raw", "tcp.ack_raw")])


class StrangersTest(unittest.TestCase):
    """Frames that a switch floods because it does not know where their station is."""

    def test_what_is_for_another_station_is_not_forwarded(self):
        with Segment() as segment:
            nginx = segment.serve()
            gate = Gate(segment)
            self.assertEqual(segment.get(VIP4), 200)
            segment.client.ip("neigh", "replace", VIP4, "lladdr", "02:00:00:00:77:77", "nud", "permanent", "dev", "eth0")
            self.assertEqual(segment.get(VIP4, timeout_s=2), 0)
            status, account = gate.stop()
            self.assertEqual((status, len(nginx.requests())), (0, 1))
            self.assertEqual([row["packets"] for row in account["reasons"] if row["reason"] == "syn"], [1])
            self.assertGreater(account["packets_of_others"], 0)


class EndsTest(unittest.TestCase):
    """What ends a gate, or stops its traffic, is said; and its account is never lost."""

    def forwarded(self, account):
        return sum(row["packets"] for row in account["reasons"] if row["verdict"] == "forwarded")

    def test_every_signal_that_ends_it_leaves_an_account(self):
        with Segment() as segment:
            segment.serve()
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                with self.subTest(number.name):
                    gate = Gate(segment)
                    self.assertEqual(segment.get(VIP4), 200)
                    status, account = gate.stop(number)
                    self.assertEqual(status, 0)
                    self.assertGreater(self.forwarded(account), 4)

    def test_a_hangup_that_is_ignored_stays_so(self):
        with Segment() as segment:
            segment.serve()
            gate = Gate(segment, before=["nohup"])
            gate.process.send_signal(signal.SIGHUP)
            self.assertEqual(segment.get(VIP4), 200)
            self.assertEqual(gate.stop()[0], 0)

    def test_who_is_not_root_may_have_the_capabilities(self):
        capable = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+net_raw,+net_admin",
                   "--ambient-caps=+net_raw,+net_admin"]
        with Segment() as segment, tempfile.TemporaryDirectory() as open_to_all:
            os.chmod(open_to_all, 0o755)
            segment.serve()
            gate = Gate(segment, shutil.copy(POLICY, open_to_all), capable, shutil.copy(PROGRAM, open_to_all))
            self.assertEqual(segment.get(VIP4), 200)
            self.assertEqual(gate.stop()[0], 0)

    def test_an_interface_that_goes_down_and_away(self):
        with Segment() as segment:
            segment.serve()
            gate = Gate(segment)
            self.assertEqual(segment.get(VIP4), 200)
            segment.gate.ip("link", "set", "eth0", "down")
            gate.says("eth0 is down: nothing passes until `ip link set eth0 up`")
            segment.gate.ip("link", "set", "eth0", "up")
            gate.says("eth0 is up again")
            segment.switch.ip("link", "set", "gate", "down")
            gate.says("eth0 has no carrier: nothing passes until its link is back")
            segment.switch.ip("link", "set", "gate", "up")
            wait_until(lambda: gate.said.read_text().count("eth0 is up again") == 2, "the link to be back")
            wait_until(lambda: segment.get(VIP4, timeout_s=1) == 200, "the gate to forward again")
            segment.gate.ip("link", "delete", "eth0")
            self.assertEqual(gate.process.wait(10), 2)
            gate.says("eth0 is gone (removed, renamed or moved): start again when it is there (see `ip link`)")
            self.assertGreater(self.forwarded(json.loads(gate.told.read_text())), 4)


class AccountTest(unittest.TestCase):
    """What the gate says at its end about what passed, against what tcpdump saw arrive and leave."""

    def test_the_account_is_what_arrived(self):
        with Segment(addresses=2) as segment:
            nginx = segment.serve()
            gate = Gate(segment)
            seen = segment.tmp / "gate.pcap"
            with segment.capture(segment.switch, "gate", seen):  # what AF_PACKET sends, its own host does not see
                for vip in (VIP4, VIP6):
                    for number in (11, 11, 11, 11, 11, 11, 11, 12):
                        segment.get(vip, number=number)
                    segment.get(vip, "/", "-A", "AhrefsBot", number=12)
                wait_until(lambda: not self.open_connections(segment), "the connections to end")
            status, account = gate.stop()
            self.check(status, account, seen, nginx.requests())
            self.assertRegex(gate.said.read_text(), rf"^surgegate run: on eth0 with {POLICY}\n"
                                                    r"(surgegate run: [01] of 1 backends have a link address on eth0\n)+$")
            self.assertEqual({row["backend"] for row in account["backends"]}, {"web/web1"})
            self.assertEqual(sum(row["packets"] for row in account["backends"]),
                             sum(row["packets"] for row in account["reasons"] if row["verdict"] == "forwarded"))

    def open_connections(self, segment):
        return segment.client.run("ss", "-Htan", "exclude", "time-wait").stdout

    def check(self, status, account, seen, requests):
        self.assertEqual(status, 0)
        arrived = f"(ip.dst=={VIP4} || ipv6.dst=={VIP6}) && eth.dst==02:00:00:00:00:10"
        count = {name: len(witness.fields(seen, filter, ("frame.number",))) for name, filter in {
            "arrived": arrived,
            "opened": f"{arrived} && tcp.flags.syn==1",
            "reset": "tcp.flags.reset==1 && eth.src==02:00:00:00:00:10",
            "refused": "http.response.code==429",
            "forbidden": "http.response.code==403",
        }.items()}
        reasons = {row["reason"]: row["packets"] for row in account["reasons"] if row["service"] == "shop"}
        verdicts = Counter()
        for row in account["reasons"]:
            verdicts[row["verdict"]] += row["packets"]
        self.assertEqual(sum(reasons.values()), count["arrived"])
        self.assertEqual(sum(verdicts.values()), account["packets"])
        self.assertEqual(reasons["syn"], count["opened"])
        self.assertEqual((reasons["limit_requests"], reasons["signature"]), (4, 2))
        self.assertEqual((count["refused"], count["forbidden"], count["reset"]), (4, 2, 6))
        self.assertEqual(reasons["request"], len(requests))
        self.assertEqual(reasons["request"], 12)


if __name__ == "__main__":
    unittest.main()
