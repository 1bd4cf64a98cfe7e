# SPDX-License-Identifier: BSD-3-Clause
"""What ./scripts/run and ./scripts/test share: steps on a terminal, what they advise, how packages are installed."""

import os
import pty
import re
import signal
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

from gate import ROOT, TIMEOUT_S, scratch

SOURCES = "\n".join(f". {ROOT}/scripts/lib/{name}.sh" for name in ("steps", "packages", "build"))


def bash_script(text):
    return ["bash", "-c", f"set -euo pipefail\n{SOURCES}\n{text}"]


class OnATerminal:
    """Runs a bash script that has scripts/lib at hand, on a terminal of its own, in a new directory."""

    def __init__(self, text, type_when=None):
        self.directory = Path(tempfile.mkdtemp(dir=scratch()))
        pid, terminal = pty.fork()
        if pid == 0:
            # A terminal throws away what was printed when ^C is typed, and does so after the signal is sent: with
            # bad luck the words of one who answered it at once. NOFLSH keeps them.
            modes = termios.tcgetattr(0)
            modes[3] |= termios.NOFLSH
            termios.tcsetattr(0, termios.TCSANOW, modes)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background
            os.chdir(self.directory)
            command = bash_script(text)
            os.execvp(command[0], command)
        printed, deadline = b"", time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                got = os.read(terminal, 65536)
            except OSError:  # what Linux says where a terminal's last user has gone
                break
            printed += got
            if not got:
                break
            if type_when and type_when[0].encode() in printed:
                os.write(terminal, type_when[1])
                type_when = None
        self.status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.printed = printed.decode()

    def log(self, name):
        return (self.directory / "build/logs" / f"{name}.log").read_text()


class Steps(unittest.TestCase):
    def test_a_live_step_leaves_its_log_and_its_advice(self):
        for said, advised in (("c++: fatal error: Killed signal terminated program cc1plus", "start this again with -j 1"),
                              ("ar: a.o: No space left on device", "the disk is full"),
                              ("x.cc:1:1: error: no", "the first .error:.")):
            with self.subTest(said):
                ran = OnATerminal(f"grim() {{ echo '[1/9] Compiling a.cc'; echo '{said}' >&2; return 3; }}\n"
                                  "step --live build 'building it' grim")
                self.assertEqual(ran.status, 3, ran.printed)
                self.assertEqual(ran.log("build"), f"[1/9] Compiling a.cc\n{said}\n")
                self.assertIn(said, ran.printed)
                self.assertRegex(ran.printed, f"What to do: .*{advised}")

    def test_progress_stays_in_one_line_on_a_terminal(self):
        ran = OnATerminal("busy() { for i in 1 2 3; do echo \"[$i/3] Compiling $i.cc\"; done; echo done; }\n"
                          "step --live build 'building it' busy")
        self.assertEqual(ran.status, 0, ran.printed)
        self.assertEqual(ran.printed.count("\n"), 4, ran.printed)  # the title, progress, "done", the title with its time
        self.assertEqual(ran.log("build").count("\n"), 4)

    def test_an_interrupted_step_ends_in_one_line(self):
        # As meson does: Python, which has much to say of a SIGINT, above a program that ends at once.
        build = "import subprocess; print('[1/9] Compiling a.cc', flush=True); subprocess.run(['sleep', '60'])"
        for live in ("--live", ""):
            with self.subTest(live):
                ran = OnATerminal(f"trap interrupted INT TERM\nbusy() {{ echo building >/dev/tty; python3 -c \"{build}\"; }}\n"
                                  f"step {live} build 'building it' busy; echo 'and on it goes'",
                                  type_when=("Compiling" if live else "building\r", b"\x03"))
                self.assertEqual(ran.status, 130, ran.printed)
                self.assertTrue(ran.printed.endswith("\ninterrupted; start it again, it goes on\r\n"), ran.printed)
                for unwanted in ("Traceback", "and on it goes", "failed after"):
                    self.assertNotIn(unwanted, ran.printed)

    def test_both_scripts_take_interruptions_so(self):
        for name in ("run", "test"):
            self.assertIn("\ntrap interrupted INT TERM\n", (ROOT / "scripts" / name).read_text())


class Packages(unittest.TestCase):
    def install(self, *packages, dpkg_journal=(), dpkg_status=0):
        """Runs scripts/lib/apt-install where apt-get and dpkg only write down what they were asked."""
        directory = Path(tempfile.mkdtemp(dir=scratch()))
        (directory / "admin/updates").mkdir(parents=True)
        for name in dpkg_journal:
            (directory / "admin/updates" / name).touch()
        for program, status in (("apt-get", 0), ("dpkg", dpkg_status)):
            (directory / program).write_text(f'#!/bin/sh\necho "{program} $*" >>{directory}/asked\nexit {status}\n')
            (directory / program).chmod(0o755)
        environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "DPKG_ADMINDIR": str(directory / "admin")}
        subprocess.run(["bash", ROOT / "scripts/lib/apt-install", *packages], env=environment, check=True, capture_output=True,
                       timeout=TIMEOUT_S)
        asked = (directory / "asked").read_text().splitlines()
        return [re.sub(r" -o \S+", "", line) for line in asked]

    def test_packages_are_installed_from_new_lists(self):
        self.assertEqual(self.install("curl"), ["apt-get update", "apt-get install --yes --no-install-recommends curl"])

    def test_what_an_interrupted_dpkg_left_is_finished_first(self):
        self.assertEqual(self.install("curl", dpkg_journal=["0003"])[1:],
                         ["dpkg --configure -a", "apt-get install --yes --no-install-recommends curl"])
        self.assertEqual(self.install("curl", dpkg_journal=["0003"], dpkg_status=1)[1:],
                         ["dpkg --configure -a", "apt-get install --yes --fix-broken --no-install-recommends",
                          "apt-get install --yes --no-install-recommends curl"])

    def test_no_network_is_not_taken_for_another_debian(self):
        for said, advised in (("W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease\n"
                               "E: Unable to locate package libdpdk-dev", "the package mirror was not reached"),
                              ("E: Unable to locate package libdpdk-dev", "built on Debian 12"),
                              ("E: dpkg was interrupted, you must manually run", "sudo dpkg --configure -a")):
            with self.subTest(said):
                log = Path(tempfile.mkdtemp(dir=scratch())) / "packages.log"
                log.write_text(said)
                advice = subprocess.run(bash_script(f"advice_packages {log}"), capture_output=True, text=True, timeout=TIMEOUT_S)
                self.assertIn(advised, advice.stdout)
                self.assertEqual(advice.stdout.count("\n"), 1)

    def test_who_installs_by_hand_is_told_to_fetch_the_lists(self):
        done = subprocess.run(bash_script("root_prefix() { false; }\ninstall_packages true no-such-package"),
                              capture_output=True, text=True, timeout=TIMEOUT_S)
        self.assertIn("As root: apt-get update && apt-get install --no-install-recommends no-such-package", done.stderr)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
