#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TLS clients over their limit, before nginx behind `surgegate run`: each is told at once, in its own words. Needs root.

    sudo python3 tests/lab/tls_live_test.py     SURGEGATE is the program, build/dataplane/surgegate by default"""

import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "end_to_end")]
import live_test  # noqa: E402
import witness  # noqa: E402
from segment import CLIENT_NET4, CLIENT_NET6, GATE_MAC, VIP4, VIP6, Segment  # noqa: E402

POLICY = HERE / "policies/tls.yaml"
BURST, SILENT_PORT, SSL_CONNECT_ERROR, TIMED_OUT = 5, 8443, 35, 28
CLIENTS = 10
SERVERS = f"""
server {{
  listen {VIP4}:443 ssl; listen [{VIP6}]:443 ssl; listen {VIP4}:{SILENT_PORT} ssl;
  ssl_certificate TMP/certificate.pem; ssl_certificate_key TMP/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3;
  location / {{ return 200 "served\\n"; }}
}}
"""
ALERT = "15030300020231"  # fatal, access_denied


class TlsLiveTest(live_test.OnTheWire, unittest.TestCase):
    """One gate for all; each test has a client address of its own, and so buckets of its own."""

    numbers = iter(range(11, 11 + CLIENTS))

    @classmethod
    def setUpClass(cls):
        cls.segment = cls.enterClassContext(Segment(addresses=CLIENTS))
        tmp = cls.segment.tmp
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=shop.example", "-keyout", tmp / "key.pem", "-out", tmp / "certificate.pem"],
                       check=True, capture_output=True)
        cls.nginx = cls.segment.serve(SERVERS.replace("TMP", str(tmp)))
        cls.gate = live_test.Gate(cls.segment, POLICY)

    def check_the_wire(self):
        self.capture.stop()
        self.assertEqual(witness.faults(self.seen), "")
        self.assertEqual(witness.fields(self.seen, f"tcp.flags.reset==1 && eth.src=={GATE_MAC}", ("frame.number",)), [])
        self.check_that_no_more_goes_than_came()

    def alerts(self):
        """The payloads of the gate's answers, as tshark reads them off the client's wire."""
        self.capture.stop()
        rows = witness.fields(self.seen, f"tls.alert_message && eth.src=={GATE_MAC}",
                              ("tcp.payload", "tls.alert_message.level", "tls.alert_message.desc"), witness.SEGMENT_BY_SEGMENT)
        for row in rows:
            self.assertEqual((row["tls.alert_message.level"], row["tls.alert_message.desc"]), (["2"], ["49"]))
        return [row["tcp.payload"][0] for row in rows]

    def hellos_sent(self):
        rows = witness.fields(self.seen, "tls.handshake.type==1", ("frame.number",), witness.SEGMENT_BY_SEGMENT)
        return len(rows)

    def address(self, vip=VIP4):
        return f"{CLIENT_NET6}:{self.number}" if vip == VIP6 else f"{CLIENT_NET4}.{self.number}"

    def curl(self, path, vip=VIP4, port=443, wait_s=10):
        """Returns exit status, HTTP status, and what curl said."""
        host = f"[{vip}]" if vip == VIP6 else vip
        done = self.segment.client.run("curl", "-sSk", "--noproxy", "*", "-m", wait_s, "--interface", self.address(vip), "-o",
                                       "/dev/null", "-w", "%{http_code}", f"https://{host}:{port}{path}", check=False)
        return done.returncode, done.stdout, done.stderr

    def served(self, vip=VIP4):
        """The targets that nginx has logged for this test's address."""
        lines = [line.split() for line in self.nginx.requests()]
        return [words[2] for words in lines if words[0] == self.address(vip)]

    def use_up(self):
        for n in range(BURST):
            self.assertEqual(self.curl(f"/used{n}")[:2], (0, "200"))

    def test_curl(self):
        for vip in (VIP4, VIP6):
            answers = [self.curl(f"/new{n}", vip) for n in range(BURST + 3)]
            self.assertEqual([answer[:2] for answer in answers], [(0, "200")] * BURST + [(SSL_CONNECT_ERROR, "000")] * 3)
            for _, _, said in answers[BURST:]:
                self.assertIn("tlsv1 alert access denied", said)
            self.assertEqual(self.served(vip), [f"/new{n}" for n in range(BURST)])
        self.assertEqual(self.alerts(), [ALERT] * 6)
        self.assertEqual(self.hellos_sent(), 2 * (BURST + 3), "no hello was sent twice: each was answered at once")

    def test_python(self):
        self.use_up()
        done = self.segment.client.run(sys.executable, "-c", """if True:
            import json, socket, ssl, sys
            vip, own = sys.argv[1:]
            context = ssl._create_unverified_context()
            said = []
            for _ in range(3):
                with socket.create_connection((vip, 443), 10, (own, 0)) as plain:
                    try:
                        context.wrap_socket(plain)
                    except ssl.SSLError as error:
                        said.append([type(error).__name__, error.reason])
            print(json.dumps(said))""", VIP4, self.address())
        self.assertEqual(json.loads(done.stdout), [["SSLError", "TLSV1_ALERT_ACCESS_DENIED"]] * 3)
        self.assertEqual(len(self.served()), BURST)
        self.assertEqual(self.alerts(), [ALERT] * 3)

    def test_node(self):
        self.use_up()
        done = self.segment.client.run("node", "-e", """
            const [host, localAddress] = process.argv.slice(1);
            require("node:https").get({host, localAddress, rejectUnauthorized: false, timeout: 10000})
                .on("error", (error) => console.log(error.code, error.message));""", VIP4, self.address())
        self.assertRegex(done.stdout, "^EPROTO .*tlsv1 alert access denied")
        self.assertEqual(len(self.served()), BURST)

    def s_client(self, *words):
        done = self.segment.client.run("openssl", "s_client", "-connect", f"{VIP4}:443", "-bind", self.address(), *words,
                                       check=False)
        return done.stdout + done.stderr

    def test_each_version_of_tls(self):
        """Also those that had no version 3.3: before one is agreed, a client minds the first digit only."""
        self.use_up()
        for version in ("-tls1", "-tls1_1", "-tls1_2", "-tls1_3"):
            self.assertIn("tlsv1 alert access denied", self.s_client(version, "-cipher", "ALL:@SECLEVEL=0"), version)
        self.assertEqual(self.alerts(), [ALERT] * 4)

    def test_a_hello_of_several_segments(self):
        long = ",".join(letter * 250 for letter in "abcdefghijkl") + ",http/1.1"  # 3,000 bytes
        self.assertIn("Server certificate", self.s_client("-alpn", long))
        for n in range(1, BURST):
            self.assertEqual(self.curl(f"/used{n}")[:2], (0, "200"))
        self.assertIn("tlsv1 alert access denied", self.s_client("-alpn", long))
        self.assertEqual(set(self.alerts()), {ALERT})

    def test_a_lost_alert_is_given_again(self):
        self.use_up()
        self.segment.client.run("nft", "-f", "-", input="""
            table inet lossy {
              chain input {
                type filter hook input priority 0;
                tcp sport 443 @ih,0,8 0x15 limit rate 1/day burst 1 packets counter drop
              }
            }""")
        self.addCleanup(self.segment.client.run, "nft", "delete", "table", "inet", "lossy")
        status, _, said = self.curl("/lost")
        self.assertEqual(status, SSL_CONNECT_ERROR)
        self.assertIn("tlsv1 alert access denied", said)
        self.assertIn("packets 1 ", self.segment.client.run("nft", "list", "table", "inet", "lossy").stdout)
        self.assertEqual(self.alerts(), [ALERT] * 2, "asked twice, answered twice")

    def test_what_is_no_hello_is_met_by_the_end(self):
        self.use_up()
        done = self.segment.client.run(sys.executable, "-c", """if True:
            import socket, sys
            with socket.create_connection((sys.argv[1], 443), 10, (sys.argv[2], 0)) as plain:
                plain.sendall(b"GET / HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n")
                print(plain.recv(1000))""", VIP4, self.address())
        self.assertEqual(done.stdout, "b''\n")
        self.assertEqual(len(self.served()), BURST)

    def test_over_drop_is_silent(self):
        self.assertEqual(self.curl("/first", port=SILENT_PORT)[:2], (0, "200"))
        self.assertEqual(self.curl("/second", port=SILENT_PORT, wait_s=1)[:2], (TIMED_OUT, "000"))
        self.assertEqual((self.served(), self.alerts()), (["/first"], []))


if __name__ == "__main__":
    unittest.main()
