#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts test cases for scripts/test.

Every case that ran, or should have, is one line of JSON in a file: {"name", "passed", "why"}.
A name is PART/TEST or PART/TEST: CASE. Skipped, disabled and crashed cases count as failed: only what ran and held passed."""

import argparse
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

PROJECT = "surgegate"
WHY_LINES_MAX = 40


class MesonTest:
    """A test that is registered with meson: in a suite that is the first part of its label, and in `root` if it needs that."""

    def __init__(self, told):
        suites = [suite.rpartition(":")[2] for suite in told["suite"]]
        self.name, self.protocol, self.program = told["name"], told["protocol"], told["cmd"][0]
        self.depends = told["depends"]
        self.label, self.needs_root = f"{suites[0]}/{self.name}", "root" in suites


def meson_tests(build):
    """What is registered with meson in a configured build directory: {name: MesonTest}."""
    told = subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True, text=True).stdout
    tests = [MesonTest(test) for test in json.loads(told)]
    names = [test.name for test in tests]
    if twice := {name for name in names if names.count(name) > 1}:
        sys.exit(f"results.py: several meson tests are called {', '.join(twice)}, and would overwrite each other's report")
    return {test.name: test for test in tests}


def targets(build, labels):
    """What must be built for the tests of these labels, as meson's targets: their programs, and what those depend on."""
    told = subprocess.run(["meson", "introspect", "--targets", build], check=True, capture_output=True, text=True).stdout
    names = {target["id"]: target["name"] for target in json.loads(told)}
    return sorted({names[depends] for test in meson_tests(build).values() if test.label in labels for depends in test.depends})


def gtest_section(stdout, case):
    """What one GoogleTest case printed: the lines between its RUN and its end."""
    found = re.search(rf"^\[ RUN      \] {re.escape(case)}$\n(.*?)(^\[ [^\n]*\] {re.escape(case)}\b|\Z)", stdout, re.M | re.S)
    return found.group(1) if found else ""


def gtest_cases(label, suites, stdout):
    for element in (case for suite in suites for case in suite.iter("testcase")):
        case = f"{element.get('classname')}.{element.get('name')}"
        fault = None
        if element.get("status") == "notrun":
            fault = "disabled, so it did not run"
        elif element.find("skipped") is not None:
            fault = "skipped, so it proved nothing\n" + (element.find("skipped").get("message") or "")
        elif element.find("failure") is not None or element.find("error") is not None:
            fault = gtest_section(stdout, case) or "failed"
        yield f"{label}: {case}", fault


def meson_cases(build):
    """(name, fault or None) for every case of the last `meson test`.

    GoogleTest's cases come from the JUnit report; whether each program ended well comes from the other log,
    because a crash or a timeout leaves no case, or no failed one, in the first."""
    tests = meson_tests(build)
    logs = Path(build, "meson-logs")
    junit = ElementTree.parse(logs / "testlog.junit.xml").getroot()
    for line in (logs / "testlog.json").read_text().splitlines():
        run = json.loads(line)
        test = tests[run["name"].rpartition(" / ")[2]]
        suites = [s for s in junit.iter("testsuite") if s.get("name").startswith(f"{PROJECT}.{run['name']}.")]
        cases = list(gtest_cases(test.label, suites, run["stdout"]))
        yield from cases
        ended_well = run["result"] in ("OK", "EXPECTEDFAIL")
        printed = run["stdout"] + run.get("stderr", "")
        if not ended_well and all(fault is None for _, fault in cases):
            yield test.label, f"{run['result']}, {ending(run['returncode'])}\n{tail(printed)}"
        elif not cases:
            yield test.label, "it has no case" if test.protocol == "gtest" else None


def gtest_program_cases(label, log, status):
    """(name, fault or None) for a GoogleTest program that ran by itself, and left its report beside its log."""
    printed, report = Path(log).read_text(), Path(log).with_suffix(".xml")
    cases = list(gtest_cases(label, ElementTree.parse(report).getroot().iter("testsuite"), printed)) if report.exists() else []
    yield from cases
    if not cases or (status != 0 and all(fault is None for _, fault in cases)):
        yield label, f"{ending(status)}\n{tail(printed)}"


def unittest_cases(label, log, status):
    """(name, fault or None) for a Python program: its unittest cases, or itself if it has none."""
    printed = Path(log).read_text()
    ran = re.search(r"^Ran (\d+) tests? in ", printed, re.M)
    if not ran or int(ran.group(1)) == 0:
        yield label, None if status == 0 and not ran else f"{ending(status)}\n{tail(printed)}"
        return
    faults = {}
    blocks = re.split(r"^-{70}\nRan ", printed, flags=re.M)[0]
    for block in re.split(r"^={70}\n", blocks, flags=re.M)[1:]:
        kind, case = re.match(r"(\w+): (.*)", block).groups()
        faults.setdefault(case.split()[0], f"{kind}\n{block.partition('-' * 70)[2]}")
    for case, reason in re.findall(r"^(\w+) \(.*skipped (.*)$", printed, re.M):
        faults.setdefault(case, f"skipped, so it proved nothing: {reason}")
    if status != 0 and not faults:
        faults["the whole"] = f"{ending(status)}\n{tail(printed)}"
    for case, fault in faults.items():
        yield f"{label}: {case}", fault
    for number in range(int(ran.group(1)) - len(faults)):
        yield f"{label}: passed {number + 1}", None


def ending(status):
    return f"exit status {status}" if status >= 0 else f"ended by {signal.Signals(-status).name}"


def tail(text):
    return "\n".join(text.rstrip().splitlines()[-WHY_LINES_MAX:])


def add(file, cases):
    with open(file, "a") as out:
        for name, fault in cases:
            out.write(json.dumps({"name": name, "passed": fault is None, "why": fault}) + "\n")


def summary(file):
    """Prints what failed and why, a line for each part, and the count; returns the number that failed."""
    cases = [json.loads(line) for line in Path(file).read_text().splitlines()]
    failed = [case for case in cases if not case["passed"]]
    for case in failed:
        print(f"\nFAILED  {case['name']}")
        lines = case["why"].strip("\n").splitlines()
        print("\n".join(f"    {line}" for line in lines[:WHY_LINES_MAX]))
        if len(lines) > WHY_LINES_MAX:
            print(f"    ... {len(lines) - WHY_LINES_MAX} more lines in build/logs or build/meson-logs/testlog.txt")
    print()
    for part in dict.fromkeys(case["name"].partition("/")[0] for case in cases):
        of_part = [case["passed"] for case in cases if case["name"].partition("/")[0] == part]
        print(f"  {part:14} {of_part.count(True):6} passed {of_part.count(False):4} failed")
    print(f"{len(cases) - len(failed)} passed, {len(failed)} failed", flush=True)
    return len(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    labels = commands.add_parser("labels", help="print the meson tests as SUITE/NAME")
    labels.add_argument("build")
    labels.add_argument("--root", action="store_true", help="those that need root, not those that do not")
    wanted = commands.add_parser("targets", help="print what must be built for these tests")
    wanted.add_argument("build")
    wanted.add_argument("labels", nargs="*")
    program = commands.add_parser("program", help="print where the program of a meson test is")
    program.add_argument("build")
    program.add_argument("name")
    for command, arguments in {"meson": ["build"], "unittest": ["label", "log", "status"], "gtest": ["label", "log", "status"],
                               "one": ["label", "status", "why"], "summary": []}.items():
        its_parser = commands.add_parser(command)
        for argument in ["file", *arguments]:
            its_parser.add_argument(argument, type=int if argument == "status" else str)
    options = parser.parse_args()
    if options.command == "labels":
        print("\n".join(test.label for test in meson_tests(options.build).values() if test.needs_root == options.root))
    elif options.command == "targets":
        print("\n".join(targets(options.build, options.labels)))
    elif options.command == "program":
        print(meson_tests(options.build)[options.name].program)
    elif options.command == "meson":
        try:
            cases = list(meson_cases(options.build))
        except (OSError, ElementTree.ParseError) as trouble:
            cases = [("meson", f"meson left no readable result: {trouble}")]
        add(options.file, cases)
    elif options.command == "unittest":
        add(options.file, unittest_cases(options.label, options.log, options.status))
    elif options.command == "gtest":
        add(options.file, gtest_program_cases(options.label, options.log, options.status))
    elif options.command == "one":
        add(options.file, [(options.label, None if options.status == 0 else options.why)])
    else:
        sys.exit(1 if summary(options.file) else 0)


if __name__ == "__main__":
    main()
