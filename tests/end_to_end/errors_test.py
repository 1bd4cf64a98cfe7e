#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `surgegate replay` does with what it cannot use: one clear line, exit status 2, and every file as it was."""

import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import wire  # noqa: E402
from gate import MIXED, POLICY, PROGRAM, ROOT, TIMEOUT_S, replay, scratch, surgegate  # noqa: E402

CAPTURE = ROOT / "tests/captures/udp.pcap"
CAPTURE_NG = ROOT / "tests/captures/keepalive.pcapng"
LIVE_POLICY = ROOT / "tests/lab/policies/live.yaml"
LINKTYPE_RAW, LINKTYPE_LINUX_SLL = 101, 113
NOBODY = 65534
BAD_POLICY = """version: 1
limits:
  per-source: {key: [source], rate: 20/s, brust: 40}
services:
  shop: {vips: ["198.51.100.10:80"], protocol: http, pool: wep, limits: [per-source]}
pools:
  web: {forward: l2, backends: {web1: {address: 10.0.1.1}}}
"""


def contents(directory):
    return {path.name: path.read_bytes() if path.is_file() else None for path in directory.iterdir()}


class ErrorsTest(unittest.TestCase):
    """Each test has a directory of its own with good files of an earlier replay in it."""

    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=scratch()))
        self.out, self.verdicts = self.directory / "out.pcap", self.directory / "verdicts.jsonl"
        self.out.write_bytes(b"an earlier good capture")
        self.verdicts.write_bytes(b"earlier good verdicts")

    def words(self, **changed):
        options = {"policy": POLICY, "in": CAPTURE, "out": self.out, "verdicts": self.verdicts} | changed
        return ["replay", *(word for name, value in options.items() for word in (f"--{name}", value))]

    def refused(self, *patterns, words=None, run=surgegate, **changed):
        """Runs a replay that must be refused with one line that matches all `patterns`, and touch nothing."""
        before = contents(self.directory)
        done = run(*(self.words(**changed) if words is None else words))
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertRegex(done.stderr, r"^surgegate( replay)?: [^\n]+\n$")
        for pattern in patterns:
            self.assertRegex(done.stderr, pattern)
        self.assertEqual(contents(self.directory), before)

    def made(self, name, data):
        path = self.directory / name
        path.write_bytes(data)
        return path

    def test_a_capture_that_is_missing(self):
        self.refused("nowhere.pcap: No such file or directory$", **{"in": self.directory / "nowhere.pcap"})

    def test_a_capture_that_is_a_directory(self):
        self.refused(str(self.directory), **{"in": self.directory})

    def test_a_capture_that_is_empty(self):
        self.refused("empty.pcap", "pcapng file is expected", **{"in": self.made("empty.pcap", b"")})

    def test_a_capture_that_is_text(self):
        self.refused("unknown file format", "pcapng file is expected", **{"in": ROOT / "README.md"})

    def test_a_capture_that_breaks_off(self):
        for capture in (CAPTURE, CAPTURE_NG):
            data = capture.read_bytes()
            for size in (20, len(data) // 2 - 1, len(data) - 1):
                with self.subTest(f"{capture.name}, {size} bytes"):
                    self.refused("truncated", "broken", **{"in": self.made("broken", data[:size])})

    def test_a_capture_that_breaks_off_says_where_and_how_to_go_on(self):
        """As one does whose tcpdump was killed. What the message says to do is done, and the replay goes on with it."""
        for capture in (CAPTURE, CAPTURE_NG):
            data, count = capture.read_bytes(), len(wire.read_capture(capture))
            broken = self.made("broken", data[:-1])
            advice = f"tcpdump -r {broken} -w whole.pcap"
            self.refused(f"packet {count} cannot be read: ", f"with the {count - 1} before it: {advice}$", **{"in": broken})
            directory = Path(tempfile.mkdtemp(dir=scratch()))
            subprocess.run(advice.split(), cwd=directory, capture_output=True, timeout=TIMEOUT_S)
            self.assertEqual(replay(directory / "whole.pcap").report["packets"], count - 1)

    def test_a_capture_with_a_record_that_lies(self):
        data = bytearray(CAPTURE.read_bytes())
        struct.pack_into("<I", data, 24 + 8, 0x7FFFFFFF)
        self.refused("liar.pcap: broken capture: packet 1 cannot be read: [^;]*$", **{"in": self.made("liar.pcap", bytes(data))})

    def test_a_capture_with_a_time_that_no_clock_has_shown(self):
        data = bytearray(CAPTURE_NG.read_bytes())
        enhanced = data.index(struct.pack("<I", 6), struct.unpack_from("<I", data, 4)[0])
        struct.pack_into("<I", data, enhanced + 12, 0xFFFFFFFF)  # the time's upper half
        self.refused("strange.pcapng: broken capture: packet 1 is", "between 1970 and 2106",
                     **{"in": self.made("strange.pcapng", bytes(data))})

    def test_a_capture_of_another_link_type(self):
        packet = wire.read_capture(CAPTURE)[4].packet.data
        cases = {LINKTYPE_RAW: packet, LINKTYPE_LINUX_SLL: bytes([0, 0, 0, 1, 0, 6, *range(8), 8, 0]) + packet}
        for link_type, data in cases.items():
            path = self.directory / "other.pcap"
            wire.write_pcap(path, [(10**9, data)], link_type)
            self.refused("other.pcap", "link type (RAW|LINUX_SLL)", "Ethernet is expected", **{"in": path})

    def test_a_policy_that_is_missing(self):
        before = contents(self.directory)
        done = surgegate(*self.words(policy=self.directory / "nowhere.yaml"))
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^[^\n]*nowhere\.yaml[^\n]*No such file[^\n]*\n$")
        self.assertEqual(contents(self.directory), before)

    def test_a_policy_with_faults_tells_them_all_by_place(self):
        policy = self.made("bad.yaml", BAD_POLICY.encode())
        before = contents(self.directory)
        done = surgegate(*self.words(policy=policy))
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"(?m)^[^\n]*bad\.yaml:3:43: fault: [^\n]*brust[^\n]*burst")
        self.assertRegex(done.stderr, r"(?m)^[^\n]*bad\.yaml:5:\d+: fault: [^\n]*wep[^\n]*web")
        self.assertEqual(contents(self.directory), before)

    def test_options(self):
        self.refused("no option `--wokers`", "see surgegate replay --help", words=[*self.words(), "--wokers", "2"])
        self.refused("`more` is one word too many", words=[*self.words(), "more"])
        self.refused("--in is required", words=["replay", "--policy", POLICY, "--out", self.out])
        self.refused("--out", "missing", words=[*self.words()[:5], "--out"])
        for workers in ("0", "x", "-1", "1.5", "129", "99999999999999999999", ""):
            self.refused("--workers", workers=workers)

    def test_help_and_version(self):
        version, = re.findall(r"(?m)^  version: '(.*)',", (ROOT / "meson.build").read_text())
        done = surgegate("--version")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"surgegate {version}\n", ""))
        told = surgegate("--help").stdout
        self.assertIn("surgegate check policy.yaml", told)
        for command in ("replay", "run", "check", "explain-rules"):
            self.assertRegex(told, rf"(?m)^ +{command} ")
        self.assertRegex(surgegate("replay", "--help").stdout, r"--workers 1\.\.128\S*\s+How many")

    def test_help_fits_a_terminal_and_says_how_each_command_ends(self):
        for command in ("replay", "run", "check", "explain-rules"):
            told = surgegate(command, "--help").stdout
            self.assertEqual([line for line in told.splitlines() if len(line) > 80], [])
            self.assertIn("Exit status: 0 ", told)
        told = surgegate("run", "--help").stdout
        for word in ("Needs root", "CAP_NET_RAW and CAP_NET_ADMIN", "SIGTERM", "SIGINT", "SIGHUP"):
            self.assertIn(word, told)

    def test_commands(self):
        self.refused("no command `relay`", "there are: replay run check explain-rules", words=["relay"])
        self.refused("a command is missing", "there are: replay run check explain-rules", words=[])

    def test_commands_that_other_programs_have(self):
        for words, same in ((["help"], ["--help"]), (["help", "run"], ["run", "--help"]), (["version"], ["--version"])):
            done, due = surgegate(*words), surgegate(*same)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, due.stdout, ""))

    def test_an_output_in_a_directory_that_is_missing(self):
        self.refused("cannot be created: No such file", out=self.directory / "nowhere" / "out.pcap")
        self.refused("cannot be created: No such file", verdicts=self.directory / "nowhere" / "verdicts.jsonl")

    def test_an_output_that_is_a_directory(self):
        (self.directory / "taken").mkdir()
        self.refused("taken: is a directory", out=self.directory / "taken")
        self.refused("taken: is a directory", verdicts=self.directory / "taken")

    def test_standard_output_is_not_for_captures(self):
        for option in ("out", "verdicts"):
            self.refused("-: standard output is the report's, the name of a file is expected$", **{option: "-"},
                         run=lambda *words: surgegate(*words, cwd=self.directory))

    def test_names_that_are_one_file(self):
        capture = self.directory / "capture.pcap"
        shutil.copyfile(CAPTURE, capture)
        policy = self.directory / "policy.yaml"
        shutil.copyfile(POLICY, policy)
        link, hard = self.directory / "link.pcap", self.directory / "hard.pcap"
        link.symlink_to(capture.name)
        hard.hardlink_to(capture)
        for other in (capture, self.directory / ".." / self.directory.name / "capture.pcap", link, hard):
            with self.subTest(other.name):
                self.refused("--in and --out are the same file", **{"in": capture, "out": other})
        self.refused("--in and --verdicts are the same file", **{"in": capture, "verdicts": capture})
        self.refused("--policy and --out are the same file", policy=policy, out=policy)
        self.refused("--out and --verdicts are the same file", verdicts=self.out)
        fresh = self.directory / "fresh"
        self.refused("--out and --verdicts are the same file", out=fresh,
                     verdicts=os.path.relpath(fresh, self.directory),
                     run=lambda *words: surgegate(*words, cwd=self.directory))

    def test_a_device_without_room(self):
        self.refused("/dev/full: cannot be written: No space left", out="/dev/full")
        self.refused("/dev/full: cannot be written: No space left", verdicts="/dev/full")

    def test_a_full_disk(self):
        """A file system of 64 KiB in a mount namespace, which nobody but this test ever sees."""
        for full in ("out", "verdicts"):
            words = self.words(**{"in": MIXED, full: "/mnt/new"})
            script = """mount -t tmpfs -o size=64k none /mnt && printf good >/mnt/old && printf good >/mnt/new || exit 77
                        "$@"; status=$?; ls -A /mnt; cat /mnt/old /mnt/new; exit $status"""
            before = contents(self.directory)
            become_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
            done = subprocess.run(["unshare", *become_root, "--mount", "sh", "-c", script, "sh", PROGRAM, *map(str, words)],
                                  capture_output=True, text=True, timeout=TIMEOUT_S)
            self.assertEqual((done.returncode, done.stdout), (2, "new\nold\ngoodgood"), done.stderr)
            self.assertRegex(done.stderr, r"^surgegate replay: /mnt/new: cannot be written: No space left on device\n$")
            self.assertEqual(contents(self.directory), before)

    def test_standard_output_without_room(self):
        for words in (self.words(), [*self.words(**{"in": MIXED}), "--json"], ["explain-rules"]):
            with open("/dev/full", "w") as full:
                done = surgegate(*words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, r"^surgegate: [^\n]*No space left on device\n$")

    def test_an_interrupted_replay_leaves_nothing(self):
        pipe = self.directory / "endless.pcap"
        os.mkfifo(pipe)
        before = contents(self.directory)
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([PROGRAM, *map(str, self.words(**{"in": pipe}))], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as process:
                with open(pipe, "wb") as capture:  # opens when the program has opened it
                    capture.write(CAPTURE.read_bytes())
                    capture.flush()
                    self.wait_for_a_temporary_file(before)
                    process.send_signal(number)
                    said = process.communicate(timeout=TIMEOUT_S)
            self.assertEqual((process.returncode, *said), (2, "", "surgegate replay: interrupted, nothing was written\n"))
            self.assertEqual(contents(self.directory), before)

    def wait_for_a_temporary_file(self, before):
        deadline = time.monotonic() + TIMEOUT_S
        while contents(self.directory).keys() == before.keys():
            self.assertLess(time.monotonic(), deadline, "no output was begun")
            time.sleep(0.01)


class RunErrorsTest(unittest.TestCase):
    """`surgegate run` refuses what it cannot stand at before it touches anything."""

    def refused(self, why, *words):
        done = surgegate("run", *words)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, rf"^[^\n]*{why}[^\n]*\n$")

    def test_an_interface_that_is_none(self):
        self.refused("there is no interface `nosuch0` here", "--policy", POLICY, "--interface", "nosuch0")

    def test_an_option_that_is_none_or_missing(self):
        self.refused("surgegate run: --interface is required", "--policy", POLICY)
        self.refused("surgegate run: there is no option `--port`", "--policy", POLICY, "--interface", "lo", "--port", "1")

    def test_a_pool_behind_a_tunnel(self):
        self.refused("surgegate run: pool `web` forwards through a tunnel, .* use `forward: l2`",
                     "--policy", POLICY, "--interface", "lo")

    def test_an_interface_that_is_down_or_no_ethernet(self):
        """In a network namespace of its own, where loopback and one end of a veth pair are all that there is."""
        become_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        for interface, why in (("lo", "`lo` is not one: `run` needs an Ethernet interface"),
                               ("v0", "`v0` is down: ip link set v0 up")):
            script = 'PATH=$PATH:/usr/sbin:/sbin ip link add v0 type veth peer name v1 || exit 77; exec "$@"'
            words = [PROGRAM, "run", "--policy", LIVE_POLICY, "--interface", interface]
            done = subprocess.run(["unshare", *become_root, "--net", "sh", "-c", script, "sh", *map(str, words)],
                                  capture_output=True, text=True, timeout=TIMEOUT_S)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (2, "", f"surgegate run: {why}\n"))

    def test_a_user_who_is_not_root(self):
        nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        program = shutil.copy(PROGRAM, tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, Path(program).parent)
        Path(program).parent.chmod(0o755)
        done = subprocess.run([*nobody, program, "run", "--policy", LIVE_POLICY, "--interface", "lo"], capture_output=True,
                              text=True, timeout=TIMEOUT_S)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^surgegate run: raw packets need root[^\n]*\n$")


class UnusualTest(unittest.TestCase):
    """What is unusual and works."""

    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(dir=scratch()))

    def test_a_good_replay_replaces_an_earlier_output(self):
        for link in (False, True):
            out = target = self.directory / f"out-{link}.pcap"
            if link:
                target = self.directory / "elsewhere.pcap"
                out.symlink_to(target)
            target.write_bytes(b"an earlier capture")
            done = surgegate("replay", "--policy", POLICY, "--in", CAPTURE, "--out", out)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(target.read_bytes(), replay(CAPTURE).out.read_bytes())
            self.assertEqual(out.is_symlink(), link)

    def test_devices_and_pipes_are_written_and_stay_what_they_are(self):
        null = os.stat("/dev/null")
        done = surgegate("replay", "--policy", POLICY, "--in", CAPTURE, "--out", "/dev/null", "--verdicts", "/dev/null")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((os.stat("/dev/null").st_rdev, os.stat("/dev/null").st_ino), (null.st_rdev, null.st_ino))
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            done = surgegate("replay", "--policy", POLICY, "--in", CAPTURE, "--out", pipe)
            read = reader.stdout.read()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(read, replay(CAPTURE).out.read_bytes())
        self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))

    def test_a_capture_from_standard_input(self):
        for capture in (CAPTURE, CAPTURE_NG):
            out = self.directory / "out.pcap"
            with subprocess.Popen(["cat", capture], stdout=subprocess.PIPE) as writer:
                done = surgegate("replay", "--policy", POLICY, "--in", "-", "--out", out, stdin=writer.stdout)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(out.read_bytes(), replay(capture).out.read_bytes())
            out.unlink()

    def test_a_capture_without_packets(self):
        empty = self.directory / "empty.pcap"
        wire.write_pcap(empty, [])
        done = replay(empty)
        self.assertEqual((done.report["packets"], done.lines, wire.read_pcap(done.out)), (0, [], []))

    def test_packets_that_the_capture_cut_short(self):
        whole = wire.as_pcap(CAPTURE).read_bytes()
        size, = struct.unpack_from("<I", whole, 24 + 8)
        cut = self.directory / "cut.pcap"
        record = whole[24:32] + struct.pack("<II", 20, size) + whole[40:60]
        cut.write_bytes(whole[:24] + record)
        done = replay(cut)
        self.assertEqual((done.report["packets"], done.report["packets_cut"], done.report["conserved"]), (1, 1, True))

    def test_a_name_that_is_not_utf8(self):
        named = self.directory / os.fsdecode(b"caf\xe9.pcap")
        shutil.copyfile(CAPTURE, named)
        done = surgegate("replay", "--policy", POLICY, "--in", os.fsdecode(os.fsencode(named)), "--out",
                         self.directory / "out.pcap", "--json", text=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn("caf\ufffd.pcap", done.stdout.decode())

    def as_nobody(self, *words, mode=0o755):
        """As an ordinary user, who has no home and no runtime directory, with a copy of what he may not read."""
        home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, home)
        for path in (PROGRAM, POLICY, CAPTURE):
            shutil.copy(path, home)
        os.mkdir(home / "out", mode)
        become = []
        if os.geteuid() == 0:
            become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
            for path in (home, home / "out"):
                os.chown(path, NOBODY, NOBODY)
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(home)}
        capture = [] if "--in" in words else ["--in", home / CAPTURE.name]
        done = subprocess.run([*become, home / PROGRAM.name, "replay", "--policy", home / POLICY.name, *capture, *words], cwd=home, env=environment, capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        return done, contents(home / "out")

    def test_an_ordinary_user_without_hugepages(self):
        done, written = self.as_nobody("--out", "out/out.pcap")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(written, {"out.pcap": replay(CAPTURE).out.read_bytes()})

    def test_an_ordinary_user_who_may_not_read_the_capture(self):
        closed = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, closed)
        closed.chmod(0o755)
        (closed / "closed.pcap").touch(0o000)
        done, written = self.as_nobody("--in", closed / "closed.pcap", "--out", "out/out.pcap")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, f"surgegate replay: {closed}/closed.pcap: Permission denied\n")

    def test_an_ordinary_user_who_may_not_write_there(self):
        done, written = self.as_nobody("--out", "out/out.pcap", "--verdicts", "verdicts.jsonl", mode=0o555)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, "surgegate replay: out/out.pcap: cannot be created: Permission denied\n")
        self.assertEqual(written, {})


if __name__ == "__main__":
    unittest.main()
