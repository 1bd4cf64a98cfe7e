# SPDX-License-Identifier: BSD-3-Clause
"""Runs the program as its users do, and keeps what it wrote. The program's path is taken from SURGEGATE."""

import atexit
import functools
import json
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("SURGEGATE") or ROOT / "build/dataplane/surgegate").resolve()
POLICY, TIGHT_POLICY, DRAIN_POLICY = (Path(__file__).resolve().parent / "policies" / name
                                      for name in ("shop.yaml", "tight.yaml", "drain.yaml"))
DEMO_POLICY = ROOT / "config/examples/replay.yaml"
CAPTURES = sorted((ROOT / "tests/captures").glob("*.pcap*"))
KEEPALIVE, MIXED = (ROOT / "tests/captures" / name for name in ("keepalive.pcapng", "mixed.pcapng"))
TIMEOUT_S = 60


def surgegate(*words, **options):
    """Runs the program to its end. Returns the CompletedProcess, output as text."""
    options = {"capture_output": True, "text": True, "timeout": TIMEOUT_S, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run([PROGRAM, *map(str, words)], **options)


@functools.cache
def scratch():
    """A directory that is gone when this process ends."""
    path = Path(tempfile.mkdtemp(prefix="surgegate-end-to-end-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def in_parallel(function, items):
    """[function(item) for item in items], some at a time: programs that are run mostly wait."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(function, items))


class Replayed:
    """A finished replay: `out` and `verdicts` are files, `report` and `lines` their contents as JSON."""

    def __init__(self, capture, policy, workers, directory):
        self.capture, self.out, self.verdicts = capture, directory / "out.pcap", directory / "verdicts.jsonl"
        self.run = surgegate("replay", "--policy", policy, "--in", capture, "--out", self.out,
                             "--verdicts", self.verdicts, "--json", "--workers", workers)
        if self.run.returncode != 0:
            raise AssertionError(f"{capture.name}: exit status {self.run.returncode}\n{self.run.stderr}{self.run.stdout}")

    @functools.cached_property
    def report(self):
        return json.loads(self.run.stdout)

    @functools.cached_property
    def lines(self):
        return [json.loads(line) for line in self.verdicts.read_text().splitlines()]


@functools.cache
def replay(capture, policy=POLICY, workers=1, repetition=1):
    """Replays once and remembers it; another `repetition` is another run of the same."""
    return Replayed(capture, policy, workers, Path(tempfile.mkdtemp(prefix=f"{capture.stem}-", dir=scratch())))
