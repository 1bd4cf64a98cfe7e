#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tries the laboratory itself, with a gate of thirty lines in place of Surgegate. Needs root.

    sudo python3 tests/lab/netns_selftest.py"""

import os
import signal
import socket
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from netns import PREFIX, LabError, command, wait_until  # noqa: E402
from segment import BACKEND_MAC, GATE_MAC, VIP4, VIP6, Segment  # noqa: E402

ETH_P_ALL, ETHERNET_SIZE = 3, 14
IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def forward(device):
    """The stand-in for the gate: what comes for a VIP leaves for the backend's MAC address, nothing else is touched."""
    vips = {IPV4: (16, socket.inet_pton(socket.AF_INET, VIP4)), IPV6: (24, socket.inet_pton(socket.AF_INET6, VIP6))}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as port:
        port.bind((device, ETH_P_ALL))
        print("forwarding", flush=True)
        while True:
            frame, (_, _, kind, *_) = port.recvfrom(65536)
            offset, vip = vips.get(frame[12:14], (0, b"none"))
            offset += ETHERNET_SIZE
            if kind == socket.PACKET_HOST and frame[offset : offset + len(vip)] == vip:
                port.send(octets(BACKEND_MAC) + octets(GATE_MAC) + frame[12:])


def start_gate(segment):
    gate = segment.gate.start(sys.executable, __file__, "forward", "eth0", stdout=subprocess.PIPE, text=True)
    with gate.stdout as said:
        if said.readline() != "forwarding\n":
            raise LabError("the stand-in for the gate does not run")
    return gate


def hold():
    """For the test of signals: a lab with everything in it, until somebody ends it."""
    with Segment() as segment:
        segment.serve()
        start_gate(segment)
        print(segment.tmp, flush=True)
        signal.pause()


def namespaces_of(pid):
    return [n for n in command("ip", "netns", "list").split() if n.startswith(PREFIX) and n.endswith(f"-{pid}")]


def processes_in(namespaces):
    return [int(pid) for name in namespaces for pid in command("ip", "netns", "pids", name).split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def left_behind(pid, tmp, processes=()):
    """What is still there of the lab of process `pid`: namespaces, its directory, those of `processes` that live."""
    return namespaces_of(pid) + [str(tmp)] * Path(tmp).exists() + [p for p in processes if alive(p)]


class SegmentTest(unittest.TestCase):
    def test_the_client_reaches_the_backend_only_through_the_gate(self):
        with Segment() as segment:
            nginx = segment.serve()
            self.assertEqual([segment.get(vip, "/before", timeout_s=0.5) for vip in (VIP4, VIP6)], [0, 0])
            seen = segment.tmp / "gate.pcap"
            with segment.capture(segment.gate, "eth0", seen, ingress_only=True):
                gate = start_gate(segment)
                self.assertEqual([segment.get(vip, "/through") for vip in (VIP4, VIP6)], [200, 200])
                segment.end(gate)
            requests = nginx.requests()
            answers = command("tcpdump", "-nr", seen, f"src host {VIP4} or src host {VIP6}")
            asked = command("tcpdump", "-nr", seen, f"dst host {VIP4} and tcp[tcpflags] & tcp-syn != 0")
        self.assertEqual(answers, "", "the backend answers directly, the gate sees one direction")
        self.assertEqual(len(asked.splitlines()), 1)
        self.assertEqual([line.split()[2] for line in requests], ["/through", "/through"], requests)
        self.assertEqual([line.split()[0] for line in requests], ["192.0.2.11", "2001:db8:c::11"])
        self.assertEqual(left_behind(os.getpid(), segment.tmp), [])

    def test_an_exception_leaves_nothing_behind(self):
        with self.assertRaisesRegex(LabError, "no-such-program|exit status"):
            with Segment(addresses=3) as segment:
                segment.serve()
                segment.client.run("no-such-program")
        self.assertEqual(left_behind(os.getpid(), segment.tmp), [])

    def test_signals_leave_nothing_behind(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                self.assertEqual(left_behind(*self.ended_lab(number)), [])

    def test_after_sigkill_processes_die_and_the_next_lab_sweeps(self):
        pid, tmp, processes = self.ended_lab(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, processes)), "the killed lab's processes to end")
        with Segment():
            self.assertEqual(left_behind(pid, tmp), [])

    def test_nobody_on_the_segment_answers_for_the_vips(self):
        with Segment() as segment:
            segment.serve()
            start_gate(segment)
            for vip in (VIP4, VIP6):
                self.assertEqual(segment.get(vip), 200)
                segment.client.ip("neigh", "del", vip, "dev", "eth0")
                self.assertEqual(segment.get(vip, timeout_s=0.5), 0)

    def ended_lab(self, number):
        with subprocess.Popen([sys.executable, __file__, "hold"], stdout=subprocess.PIPE, text=True) as lab:
            tmp = lab.stdout.readline().strip()
            processes = processes_in(namespaces_of(lab.pid))
            self.assertTrue(Path(tmp).is_dir() and len(processes) >= 2, "nginx and the stand-in should run")
            lab.send_signal(number)
        return lab.pid, tmp, processes


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("netns_selftest.py: network namespaces need root: run this with sudo")
    if sys.argv[1:2] == ["forward"]:
        forward(sys.argv[2])
    elif sys.argv[1:] == ["hold"]:
        hold()
    else:
        unittest.main()
