# SPDX-License-Identifier: BSD-3-Clause
"""Reads frames by hand: a second opinion that shares nothing with the program under test, nor with tshark.

It reads well-formed Ethernet frames only; the captures are known to hold nothing else."""

import functools
import ipaddress
import struct
import subprocess
from pathlib import Path

from gate import scratch

TAGS, IPV4, IPV6 = (0x8100, 0x88A8), 0x0800, 0x86DD
TCP, UDP, IPIP, IPV6_IN_IP = 6, 17, 4, 41
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
NANOSECONDS_MAGIC, ETHERNET = 0xA1B23C4D, 1
IPV6_EXTENSIONS = (0, 43, 60)


class Packet:
    """An IP packet without its frame. TCP's fields are there if it is TCP and no fragment."""

    def __init__(self, data):
        self.version = data[0] >> 4
        if self.version == 4:
            self.header_size, self.protocol = (data[0] & 15) * 4, data[9]
            self.data = data[: struct.unpack_from("!H", data, 2)[0]]
            self.source, self.destination = (str(ipaddress.ip_address(data[at : at + 4])) for at in (12, 16))
            self.fragment = struct.unpack_from("!H", data, 6)[0] & 0x3FFF != 0
        else:
            self.header_size, self.protocol, self.fragment = 40, data[6], False
            self.data = data[: 40 + struct.unpack_from("!H", data, 4)[0]]
            self.source, self.destination = (str(ipaddress.ip_address(data[at : at + 16])) for at in (8, 24))
            while self.protocol in IPV6_EXTENSIONS:
                self.protocol, words = data[self.header_size], data[self.header_size + 1]
                self.header_size += 8 + 8 * words
        self.payload = self.data[self.header_size :]
        self.is_tcp = self.protocol == TCP and not self.fragment
        if self.protocol in (TCP, UDP) and not self.fragment:
            self.source_port, self.destination_port = struct.unpack_from("!HH", self.payload)
        if self.is_tcp:
            self.seq, self.ack = struct.unpack_from("!II", self.payload, 4)
            self.tcp_size, self.flags = (self.payload[12] >> 4) * 4, self.payload[13] & 0x3F
            self.tcp_data = self.payload[self.tcp_size :]
            self.end_seq = self.seq + len(self.tcp_data) + bool(self.flags & SYN) + bool(self.flags & FIN) & 0xFFFFFFFF

    @property
    def flow(self):
        return self.source, self.source_port, self.destination, self.destination_port

    @property
    def reverse_flow(self):
        return self.destination, self.destination_port, self.source, self.source_port

    def option(self, kind):
        """The value of a TCP option, or None."""
        options = self.payload[20 : self.tcp_size]
        while options and options[0] != 0:
            size = 1 if options[0] == 1 else options[1]
            if options[0] == kind:
                return options[2:size]
            options = options[size:]
        return None


class Frame:
    def __init__(self, time_ns, data):
        self.time_ns, self.data = time_ns, data
        self.ip_at = 14
        while struct.unpack_from("!H", data, self.ip_at - 2)[0] in TAGS:
            self.ip_at += 4
        self.kind = struct.unpack_from("!H", data, self.ip_at - 2)[0]
        self.tags = data[12 : self.ip_at - 2]
        self.macs = data[:6], data[6:12]  # destination, source

    @functools.cached_property
    def packet(self):
        return Packet(self.data[self.ip_at :]) if self.kind in (IPV4, IPV6) else None

    @functools.cached_property
    def inner(self):
        """What is in the tunnel, or the packet itself if it is in none."""
        tunnel = self.packet.protocol in (IPIP, IPV6_IN_IP)
        return Packet(self.packet.payload) if tunnel else self.packet


def internet_checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_tcp_data(frame, data):
    """The frame's bytes with other TCP data of the same length."""
    packet = frame.packet
    assert len(data) == len(packet.tcp_data)
    addresses = b"".join(ipaddress.ip_address(a).packed for a in (packet.source, packet.destination))
    segment = packet.payload[:16] + b"\0\0" + packet.payload[18 : packet.tcp_size] + data
    checksum = internet_checksum(addresses + struct.pack("!II", TCP, len(segment)) + segment)
    segment = segment[:16] + struct.pack("!H", checksum) + segment[18:]
    return frame.data[: frame.ip_at + packet.header_size] + segment


def write_pcap(path, frames, link_type=ETHERNET):
    """`frames` are (time_ns, bytes)."""
    parts = [struct.pack("<IHHiIII", NANOSECONDS_MAGIC, 2, 4, 0, 0, 262144, link_type)]
    for time_ns, data in frames:
        parts += [struct.pack("<IIII", *divmod(time_ns, 10**9), len(data), len(data)), data]
    Path(path).write_bytes(b"".join(parts))


def as_pcap(path):
    """The capture as a nanosecond pcap, whatever it is; packet bytes and times are the same."""
    converted = scratch() / f"{Path(path).stem}.ns.pcap"
    if not converted.exists():
        subprocess.run(["editcap", "-F", "nsecpcap", path, converted], check=True, capture_output=True)
    return converted


def read_pcap(path):
    """The frames of a nanosecond pcap in this machine's byte order."""
    data, at, frames = Path(path).read_bytes(), 24, []
    magic, link_type = struct.unpack_from("<I16xI", data)
    if magic != NANOSECONDS_MAGIC or link_type != ETHERNET:
        raise ValueError(f"{path}: not a nanosecond pcap of Ethernet frames")
    while at < len(data):
        seconds, nanoseconds, size, length = struct.unpack_from("<IIII", data, at)
        if size != length or at + 16 + size > len(data):
            raise ValueError(f"{path}: a frame is cut at {at}")
        frames.append(Frame(seconds * 10**9 + nanoseconds, data[at + 16 : at + 16 + size]))
        at += 16 + size
    return frames


@functools.cache
def read_capture(path):
    return read_pcap(as_pcap(path))
