#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`surgegate replay`: its report, its verdicts and its order, for every capture in the repository."""

import json
import re
import sys
import unittest
from collections import Counter

sys.dont_write_bytecode = True
import wire  # noqa: E402
from gate import CAPTURES, DEMO_POLICY, DRAIN_POLICY, KEEPALIVE, MIXED, POLICY, ROOT, in_parallel, replay, scratch, surgegate  # noqa: E402
from shop import BACKENDS, REFUSALS  # noqa: E402

VERDICTS = ("forwarded", "answered", "dropped", "to_kernel")
WORKERS = (2, 3, 8)
WORKERS_MAX = 128
IMPATIENT = "192.0.2.11"
FIELDS = {"packet": int, "time": str, "flow": str, "step": str, "verdict": str, "reason": str}
OPTIONAL = {"client": str, "service": str, "backend": str, "limit": str, "signature": str, "pattern": str}


def rules():
    return {rule["reason"]: rule for rule in json.loads(surgegate("explain-rules", "--json").stdout)}


def counts(report, key):
    """{(service, verdict, reason, step): packets}, or those summed up by one of the four."""
    total = Counter()
    for row in report["reasons"]:
        total[row[key]] += row["packets"]
    return total


def setUpModule():
    in_parallel(replay, CAPTURES)


class ReplayTest(unittest.TestCase):
    def test_there_are_captures_of_every_kind(self):
        self.assertGreater(len(CAPTURES), 20)
        self.assertEqual({path.suffix for path in CAPTURES}, {".pcap", ".pcapng"})

    def test_where_no_packet_is_for_a_service_the_report_says_where_services_are(self):
        """Whose capture is of other addresses than his policy sees it at once; nobody else is bothered."""
        def told(capture, policy):
            words = ("replay", "--policy", policy, "--in", capture, "--out", "/dev/null")
            return "\n".join(line for line in surgegate(*words).stdout.splitlines() if "no packet was for" in line)

        elsewhere = scratch() / "elsewhere.yaml"
        elsewhere.write_text(DRAIN_POLICY.read_text().replace(
            '["198.51.100.10:80", "[2001:db8::10]:80"]', '["203.0.113.9:80", "203.0.113.9:81", "[2001:db8:9::9]:80"]'))
        self.assertEqual(told(KEEPALIVE, elsewhere),
                         "  no packet was for a service; the policy's are at "
                         "203.0.113.9:80 tcp, 203.0.113.9:81 tcp, [2001:db8:9::9]:80 tcp")
        self.assertEqual(told(KEEPALIVE, POLICY), "")
        empty = scratch() / "nothing.pcap"
        wire.write_pcap(empty, [])
        self.assertEqual(told(empty, elsewhere), "")

    def test_packets_are_conserved_and_the_report_adds_up(self):
        for capture in CAPTURES:
            with self.subTest(capture.name):
                done = replay(capture)
                report, packets = done.report, len(wire.read_capture(capture))
                self.assertEqual(report["packets"], packets)
                self.assertEqual((report["conserved"], report.get("violation")), (True, None))
                self.assertEqual(tuple(report["verdicts"]), VERDICTS)
                self.assertEqual(sum(report["verdicts"].values()), packets)
                self.assertEqual(counts(report, "verdict"), +Counter(report["verdicts"]))
                self.assertEqual(report["packets_out"], len(wire.read_pcap(done.out)))
                sent = report["verdicts"]["forwarded"] + report["verdicts"]["answered"]
                self.assertEqual(report["packets_out"], sent + report["resets_out"])
                self.assertEqual(sum(b["packets"] for b in report["backends"]), report["verdicts"]["forwarded"])
                self.assertEqual(sum(b["connections"] for b in report["backends"]), report["connections"])
                self.assertEqual(sum(b["requests"] for b in report["backends"]), report["requests"]["admitted"])
                self.assertEqual(done.run.stderr, "")

    def test_every_packet_has_one_verdict_line_in_order(self):
        known = rules()
        for capture in CAPTURES:
            done = replay(capture)
            frames = wire.read_capture(capture)
            self.assertEqual([line["packet"] for line in done.lines], list(range(1, len(frames) + 1)), capture.name)
            with self.subTest(capture.name):
                for frame, line in zip(frames, done.lines, strict=True):
                    self.check_line(frame, line, known)

    def check_line(self, frame, line, known):
        """Also what is optional: it is there exactly where it says something."""
        self.assertEqual({name: type(value) for name, value in line.items()},
                         FIELDS | {name: kind for name, kind in OPTIONAL.items() if name in line})
        seconds, nanoseconds = line["time"].split(".")
        self.assertEqual((int(seconds) * 10**9 + int(nanoseconds), len(nanoseconds)), (frame.time_ns, 9))
        self.assertEqual((line["verdict"], line["step"]), tuple(known[line["reason"]][k] for k in ("verdict", "step")))
        goes_on = line["verdict"] == "forwarded" or line["reason"] in REFUSALS  # a refusal resets the backend
        self.assertTrue(line.get("backend") in BACKENDS if goes_on else "backend" not in line)
        self.assertEqual("limit" in line, line["reason"].startswith("limit_"))
        self.assertEqual(line["reason"] == "signature", "signature" in line and "pattern" in line)
        if frame.packet is None:
            self.assertEqual((line["flow"], line["verdict"]), ("-", "to_kernel"))
        else:
            self.assertIn(frame.packet.source, line["flow"])
            self.assertIn(frame.packet.destination, line["flow"])

    def test_the_verdicts_add_up_to_the_report(self):
        for capture in CAPTURES:
            with self.subTest(capture.name):
                done = replay(capture)
                keys = ("service", "verdict", "reason", "step")
                lines = Counter(tuple(line.get(key, "-") for key in keys) for line in done.lines)
                report = Counter({tuple(row[key] for key in keys): row["packets"] for row in done.report["reasons"]})
                self.assertEqual(lines, report)

    def test_totals_are_the_same_for_any_number_of_workers(self):
        jobs = [(capture, POLICY, workers) for capture in CAPTURES for workers in WORKERS]
        in_parallel(lambda job: replay(*job), jobs)
        for capture, policy, workers in jobs:
            with self.subTest(f"{capture.name} with {workers} workers"):
                alone, shared = dict(replay(capture).report), dict(replay(capture, policy, workers).report)
                self.assertEqual(alone.pop("packets_crossed"), 0)
                shared.pop("packets_crossed")
                self.assertEqual(alone, shared)

    def test_as_many_workers_as_there_can_be_do_what_one_does(self):
        alone, shared = replay(MIXED), replay(MIXED, POLICY, WORKERS_MAX)
        self.assertGreater(shared.report["packets_crossed"], 0)
        self.assertEqual(alone.report, shared.report | {"packets_crossed": 0})
        self.assertEqual(alone.out.read_bytes(), shared.out.read_bytes())
        self.assertEqual(alone.verdicts.read_bytes(), shared.verdicts.read_bytes())

    def test_packets_cross_between_workers(self):
        for workers in WORKERS:
            report = replay(MIXED, POLICY, workers).report
            by_chance = report["packets"] * (1 - 1 / workers)  # the NIC's hash and ours know nothing of each other
            self.assertGreater(report["packets_crossed"], 0.7 * by_chance)
            self.assertLess(report["packets_crossed"], 1.3 * by_chance)

    def test_the_same_input_gives_the_same_output_to_the_byte(self):
        in_parallel(lambda capture: replay(capture, repetition=2), CAPTURES)
        for capture in CAPTURES:
            with self.subTest(capture.name):
                first, again = replay(capture), replay(capture, repetition=2)
                self.assertEqual(first.out.read_bytes(), again.out.read_bytes())
                self.assertEqual(first.verdicts.read_bytes(), again.verdicts.read_bytes())
                self.assertEqual(first.run.stdout, again.run.stdout)

    def test_a_reset_that_has_nowhere_to_go_breaks_no_rule(self):
        """The only backend drains: refusals are answered, and there is nobody who could be told."""
        report = replay(KEEPALIVE, DRAIN_POLICY).report
        self.assertGreater(report["verdicts"]["answered"], 0)
        self.assertEqual((report["conserved"], report["resets_out"]), (True, 0))

    def test_a_connection_has_one_backend(self):
        for capture in CAPTURES:
            chosen = {}
            for line in replay(capture).lines:
                if "backend" in line:
                    self.assertEqual(chosen.setdefault(line["flow"], line["backend"]), line["backend"], (capture, line))

    def test_the_table_for_people_says_what_the_json_says(self):
        out = scratch() / "table.pcap"
        done = surgegate("replay", "--policy", POLICY, "--in", MIXED, "--out", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = replay(MIXED).report
        table = [" ".join(line.split()) for line in done.stdout.splitlines()]
        for row in report["reasons"]:
            self.assertIn(" ".join(str(row[k]) for k in ("service", "verdict", "reason", "step", "packets")), table)
        for row in report["backends"]:
            self.assertIn(" ".join(str(row[k]) for k in ("backend", "packets", "connections", "requests")), table)
        for row in report["lists"]:
            self.assertIn(" ".join(str(row[k]) for k in ("list", "packets", "would_match")), table)
        for row in report["sources"]["top_refused"] + report["sources"]["top_admitted"]:
            self.assertIn(" ".join(str(row[k]) for k in ("address", "packets", "admitted", "refused")), table)
        self.assertTrue(any(line.startswith("holds") for line in table), done.stdout)
        self.assertEqual(out.read_bytes(), replay(MIXED).out.read_bytes())

    def test_names_of_any_length_keep_the_figures_below_each_other(self):
        long = "a-service-with-a-name-of-forty-characters-"
        policy = scratch() / "long.yaml"
        text = POLICY.read_text()
        for name in ("shop", "per-client", "web", "web1"):
            text = re.sub(rf"\b{name}\b(?![.-])", long + name, text)
        policy.write_text(text)
        table = surgegate("replay", "--policy", policy, "--in", KEEPALIVE, "--out", "/dev/null").stdout
        self.assertIn(long, table)
        for title in ("Verdicts", "Limits and signatures", "Backends"):
            rows = table.partition(f"\n{title}\n")[2].partition("\n\n")[0].splitlines()
            ends = {len(row) for row in rows if not row.startswith("  (")}
            self.assertEqual(len(ends), 1, table)

    def test_packets_of_no_service_are_explained(self):
        table = surgegate("replay", "--policy", POLICY, "--in", MIXED, "--out", "/dev/null").stdout
        self.assertIn("\n  (-: packets that are for no service)\n", table)

    def test_every_counter_that_is_reported_is_explained(self):
        """What ran out: the report sends its readers to the page, and the page has every name."""
        page = (ROOT / "docs/architecture.md").read_text()
        table = page.partition("## What ran out, or was done otherwise\n")[2].partition("\n## ")[0]
        named = re.findall(r"(?m)^\| `(\w+)` \| .+ \| .+ \|$", table)
        self.assertEqual(named, list(replay(KEEPALIVE).report["exhaustion"]))

    def test_a_client_behind_a_proxy_is_named(self):
        """The captured clients become a proxy's: an address in the place of another field's value, as long as that."""
        policy = scratch() / "proxied.yaml"
        policy.write_text(POLICY.read_text() + 'clients: {cdn: {peers: [192.0.2.0/24], identity: "header:x"}}\n')
        frames = []
        for frame in wire.read_capture(ROOT / "tests/captures/curl-v4.pcap"):
            data = frame.data
            if frame.packet is not None and b"Accept: */*" in frame.packet.tcp_data:
                data = wire.with_tcp_data(frame, frame.packet.tcp_data.replace(b"Accept: */*", b"x: 10.9.8.7"))
            frames.append((frame.time_ns, data))
        lines = replay(self.made("proxied.pcap", frames), policy).lines
        self.assertEqual({line["client"] for line in lines if line["reason"] == "request"}, {"10.9.8.7"})
        self.assertEqual({line.get("client") for line in lines if line["reason"] in ("syn", "segment", "closing")}, {None})
        self.assertFalse(any("client" in line for line in replay(KEEPALIVE).lines))

    def made(self, name, frames):
        path = scratch() / name
        wire.write_pcap(path, frames)
        return path

    def test_a_packet_of_another_time_does_not_pass_in_silence(self):
        """The clock never goes back; whom it went ahead of is judged late, and somebody must be told."""
        frames = [(frame.time_ns, frame.data) for frame in wire.read_capture(KEEPALIVE)]
        self.assertEqual(replay(KEEPALIVE).report["packets_late"], 0)
        frames[3] = (frames[3][0] + 3600 * 10**9, frames[3][1])
        done = surgegate("replay", "--policy", POLICY, "--in", self.made("ahead.pcap", frames), "--out", scratch() / "o")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"  {len(frames) - 4} packets bear times before the packets in front of them", done.stdout)
        self.assertEqual(replay(scratch() / "ahead.pcap").report["packets_late"], len(frames) - 4)

    def test_a_frame_longer_than_any_we_hold_counts_as_cut(self):
        frames = [(frame.time_ns, frame.data) for frame in wire.read_capture(KEEPALIVE)]
        frames[5] = (frames[5][0], frames[5][1] + bytes(65_001 - len(frames[5][1])))
        report = replay(self.made("long.pcap", frames)).report
        self.assertEqual((report["packets"], report["packets_cut"]), (len(frames), 1))

    def test_the_demonstration_shows_what_it_promises(self):
        done = replay(MIXED, DEMO_POLICY)
        reasons = {row["reason"] for row in done.report["reasons"]}
        self.assertLessEqual({"limit_requests", "signature", "request", "datagram", "icmp", "not_vip"}, reasons)
        refused = {frame.packet.source for frame, line in zip(wire.read_capture(MIXED), done.lines, strict=True)
                   if line["reason"] in ("limit_requests", "limit_requests_silent")}
        self.assertEqual(refused, {IMPATIENT})
        # What the captures' page says of it.
        reasons = Counter(line["reason"] for line in done.lines if line["flow"].startswith(f"{IMPATIENT}:"))
        counted = reasons["request"], reasons["limit_requests"], reasons["refused_resend"]
        self.assertEqual(sum(counted), 300)
        page = " ".join((ROOT / "tests/captures/README.md").read_text().split())
        self.assertIn("{} of the 300 requests of 192.0.2.11 in `mixed.pcapng` are admitted, {} refused, and {} are"
                      .format(*counted), page)


if __name__ == "__main__":
    unittest.main()
