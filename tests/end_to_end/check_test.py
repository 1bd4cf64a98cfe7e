#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`surgegate check` and `surgegate explain-rules`, and the page that is made of the latter."""

import json
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
from gate import POLICY, ROOT, TIGHT_POLICY, scratch, surgegate  # noqa: E402

EXAMPLES = sorted((ROOT / "config/examples").glob("*.yaml"))
LIVE_POLICIES = sorted((ROOT / "tests/lab/policies").glob("*.yaml"))
FAULTS = """version: 1
limits:
  per-source: {key: [source], rate: 20/s, brust: 40}
services:
  shop: {vips: ["198.51.100.10:80"], protocol: http, pool: wep, limits: [per-source]}
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}
"""
PATTERN = """version: 1
signatures:
  bots: {field: user-agent, patterns: [GoodBot, '(unclosed'], then: {refuse: 403}}
services:
  shop: {vips: ["198.51.100.10:80"], protocol: http, pool: web, signatures: [bots]}
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}
"""


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=scratch()))

    def policy(self, text):
        path = self.directory / "policy.yaml"
        path.write_text(text)
        return path

    def test_good_policies(self):
        for policy in (POLICY, TIGHT_POLICY, *EXAMPLES, *LIVE_POLICIES):
            with self.subTest(policy.name):
                done = surgegate("check", policy)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                self.assertRegex(done.stdout.splitlines()[-1], r": 0 faults, \d+ warnings?(, \d+ notes?)?: can be used$")

    def test_all_faults_at_once_by_place_with_the_word_that_was_meant(self):
        policy = self.policy(FAULTS)
        done = surgegate("check", policy)
        self.assertEqual((done.returncode, done.stderr), (2, ""))
        *faults, summary = done.stdout.splitlines()
        self.assertIn(f"{policy}:3:43: fault: unknown key `brust`", done.stdout)
        self.assertIn(f"{policy}:5:60: fault: no pool is named `wep`", done.stdout)
        for fault in faults:
            self.assertRegex(fault, rf"^{re.escape(str(policy))}:\d+:\d+: fault: ")
        self.assertRegex(done.stdout, r"brust.*did you mean `burst`\?")
        self.assertRegex(done.stdout, r"wep.*did you mean `web`\?")
        self.assertEqual(summary, f"{policy}: {len(faults)} faults, 0 warnings: cannot be used")

    def test_totals_count_every_line(self):
        for text, due in ((FAULTS.replace("brust", "burst"), "1 fault, 0 warnings: cannot be used"),
                          (FAULTS.replace("brust", "burst").replace("wep", "web").replace(
                              "burst: 40", "burst: 40, unit: connections").replace("[source]", "[client]"),
                           "0 faults, 0 warnings, 1 note: can be used")):
            *findings, summary = surgegate("check", self.policy(text)).stdout.splitlines()
            self.assertEqual((summary.partition(": ")[2], len(findings)), (due, 1), findings)

    def test_an_override_that_has_ended_does_nothing_and_a_far_one_does(self):
        policy = self.policy(FAULTS.replace("brust", "burst").replace("wep", "web").replace("pools:", """overrides:
  - {limit: shop/per-source, rate: 1/s, burst: 40, until: 2001-09-09T01:46:40Z}
pools:"""))
        done = surgegate("check", policy)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"policy\.yaml:7:\d+: warning: the override of shop/per-source ended \d+ days ago: it does nothing\n")
        policy.write_text(policy.read_text().replace("2001", "9001"))
        self.assertNotIn("ended", surgegate("check", policy).stdout)

    def test_a_policy_that_is_missing_is_named_once(self):
        done = surgegate("check", "nowhere.yaml")
        self.assertEqual(done.stdout, "nowhere.yaml: fault: cannot be read: No such file or directory\n"
                                      "nowhere.yaml: 1 fault, 0 warnings: cannot be used\n")

    def test_a_pattern_that_hyperscan_refuses(self):
        done = surgegate("check", self.policy(PATTERN))
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stdout, r"policy\.yaml:3:\d+: fault: .*\(unclosed.*[Mm]issing close parenthesis")
        self.assertNotIn("GoodBot", done.stdout)

    def test_json(self):
        for text, status in ((FAULTS, 2), (POLICY.read_text(), 0)):
            policy = self.policy(text)
            done = surgegate("check", policy, "--json")
            told = json.loads(done.stdout)
            self.assertEqual((done.returncode, done.stderr, told["ok"]), (status, "", status == 0))
            places = {(f["file"], f["line"], f["column"], f["severity"], f.get("nearest")) for f in told["findings"]}
            due = {(str(policy), 3, 43, "fault", "burst"), (str(policy), 5, 60, "fault", "web")} if status else set()
            self.assertLessEqual(due, places)
            self.assertNotIn("sizes", told)

    def test_sizes(self):
        done = surgegate("check", POLICY, "--sizes", "--json")
        rows = {row["what"]: row for row in json.loads(done.stdout)["sizes"]}
        self.assertEqual(rows["backends"]["count"], 4)
        self.assertEqual(rows["services"]["count"], 3)
        image = sum(row["bytes"] for row in rows.values() if row["where"] == "image")
        in_force = rows["image in force"]["bytes"]
        self.assertTrue(image <= in_force < image + 4096 + 64 * len(rows), "the image is its sections and a manifest")
        table = surgegate("check", POLICY, "--sizes").stdout
        for what in rows:
            self.assertRegex(table, rf"(?m)^\w+ +{re.escape(what)} +\d+ +[0-9.]+ (B|KiB|MiB|GiB)$")
        # The sum is of what a host takes: its tables are in it, and no table that would only be right.
        self.assertEqual(rows["bucket cells of `run`"]["bytes"], 8 * rows["bucket cells of `run`"]["count"])
        self.assertEqual(rows["bucket cells for a million sources"]["where"], "wanted")
        host = sum(row["bytes"] for row in rows.values() if row["where"] == "host")
        self.assertGreater(host, rows["flows of `run`"]["bytes"] + rows["bucket cells of `run`"]["bytes"])
        self.assertRegex(table, rf"(?m)^host +in all +{host / (1 << 20):.1f} MiB$")

    def test_a_policy_from_standard_input(self):
        done = surgegate("check", "-")
        self.assertEqual(done.stdout.splitlines()[0], "-: fault: cannot be read: No such file or directory; expected the "
                                                      "name of a file: standard input is not read here")

    def test_a_file_that_is_none(self):
        for path, why in ((self.directory / "nowhere.yaml", "No such file"), (self.directory, "folder")):
            done = surgegate("check", path)
            self.assertEqual((done.returncode, done.stderr), (2, ""))
            self.assertRegex(done.stdout, rf"{re.escape(str(path))}.*cannot be read.*{why}")


class ExplainRulesTest(unittest.TestCase):
    def test_the_page_is_what_the_program_says(self):
        page = (ROOT / "docs/verdicts.md").read_text()
        table = surgegate("explain-rules", "--markdown").stdout
        self.assertTrue(table.startswith("| rank |"))
        self.assertEqual(page[page.index("| rank |") :], table,
                         "docs/verdicts.md must end with what `surgegate explain-rules --markdown` prints")
        verdicts = {rule["verdict"] for rule in json.loads(surgegate("explain-rules", "--json").stdout)}
        self.assertEqual(set(re.findall(r"(?m)^\| (\w+) \|", page.partition("| rank |")[0])) - {"verdict"}, verdicts)

    def test_all_three_forms_say_the_same(self):
        rules = json.loads(surgegate("explain-rules", "--json").stdout)
        self.assertEqual(len({rule["reason"] for rule in rules}), len(rules))
        text = [" ".join(line.split()) for line in surgegate("explain-rules").stdout.splitlines()]
        table = surgegate("explain-rules", "--markdown").stdout.splitlines()[2:]
        self.assertEqual(len(table), len(rules))
        for rank, (rule, row) in enumerate(zip(rules, table, strict=True), 1):
            with self.subTest(rule["reason"]):
                status = str(rule["status"] or {"limit_requests": "over", "signature": "then"}.get(rule["reason"], ""))
                self.assertTrue(row.startswith(f"| {rank} | `{rule['reason']}` | {rule['verdict']} | {status} | {rule['step']} | "
                                               f"{rule['meaning']}"))
                self.assertEqual("only where" in row, rule["only_where_answerable"])
                star = " *" * rule["only_where_answerable"]
                words = (str(rank), rule["reason"], rule["verdict"], *status.split(), rule["step"], rule["meaning"] + star)
                self.assertIn(" ".join(words), text)

    def test_statuses(self):
        """An answer to a head that can be read in two ways has one of its own; what RFC 9110 says of some is known."""
        status = {rule["reason"]: rule["status"] for rule in json.loads(surgegate("explain-rules", "--json").stdout)}
        for reason, due in {"http_method": 501, "http_host_differs": 421, "http_slow": 408, "http_head_long": 431,
                            "http_no_host": 400, "limit_requests": None, "syn": None}.items():
            self.assertEqual(status[reason], due)

    def test_some_reasons_alone(self):
        names = ["signature", "http_slow"]
        rules = json.loads(surgegate("explain-rules", *names, "--json").stdout)
        self.assertEqual([rule["reason"] for rule in rules], ["http_slow", "signature"], "in the order of the table")
        whole = surgegate("explain-rules").stdout.splitlines()
        some = surgegate("explain-rules", *names).stdout.splitlines()
        self.assertLess(len(some), 10)
        self.assertLessEqual(set(some), set(whole))
        self.assertIn("`-` in a report is what is for no service", surgegate("explain-rules", "-").stderr)
        done = surgegate("explain-rules", "limit_request")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, "surgegate explain-rules: there is no reason `limit_request`; did you mean "
                                      "`limit_requests`? (without a name, all of them are printed)\n")

    def test_what_the_verdict_lines_say_stands_in_the_header(self):
        """The list has one home: what the program prints is what C and BPF compile."""
        header = (ROOT / "config/verdict.h").read_text().partition("#define SG_REASONS")[2].partition("\n\n")[0]
        named = re.findall(r"X\((\w+), (\w+), (\w+),", header)
        rules = json.loads(surgegate("explain-rules", "--json").stdout)
        self.assertEqual([(r["reason"], r["verdict"], r["step"]) for r in rules], named)


if __name__ == "__main__":
    unittest.main()
