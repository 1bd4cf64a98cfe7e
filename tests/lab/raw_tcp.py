# SPDX-License-Identifier: BSD-3-Clause
"""TCP connections byte by byte: segments that no stack would send, over a packet socket. IPv4 only.

The addresses that it uses must be nobody's, or the kernel would answer for them with resets."""

import select
import socket
import struct
import time
from dataclasses import dataclass, field

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MSS = b"\x02\x04\x05\xb4"
MD5 = b"\x01\x01\x13\x12" + bytes(16)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def stamps(value, echo):
    return b"\x01\x01\x08\x0a" + struct.pack("!II", value & 0xFFFFFFFF, echo & 0xFFFFFFFF)


@dataclass
class Received:
    flags: int
    seq: int
    ack: int
    payload: bytes
    stamp: int | None


class Wire:
    """An interface, from here to one station, and what comes back to addresses that begin with `prefix`."""

    def __init__(self, device, station_mac, own_mac, prefix):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.bind((device, 0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self.link = bytes.fromhex(station_mac.replace(":", "")) + bytes.fromhex(own_mac.replace(":", "")) + b"\x08\x00"
        self.prefix = socket.inet_aton(prefix)[:3]
        self.connections = {}

    def send(self, source, target, tcp, *, ttl=64, spoil=0):
        pseudo = source + target + struct.pack("!BBH", 0, 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp) ^ spoil) + tcp[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, ttl, 6, 0) + source + target
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        self.socket.send(self.link + head + tcp)

    def receive(self, wait_s=0.0):
        """Hands what has come to its connections. Returns how many packets that were."""
        count = 0
        while select.select([self.socket], [], [], wait_s if count == 0 else 0)[0]:
            frame, address = self.socket.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING or frame[23] != 6 or frame[30:33] != self.prefix:
                continue
            count += 1
            at = 14 + (frame[14] & 15) * 4
            end = 14 + struct.unpack_from("!H", frame, 16)[0]
            sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", frame, at)
            options, stamp = frame[at + 20 : at + (offset >> 4) * 4], None
            if b"\x08\x0a" in options:
                stamp = struct.unpack_from("!I", options, options.index(b"\x08\x0a") + 2)[0]
            connection = self.connections.get((frame[30:34], dport))
            if connection and sport == connection.port:
                connection.take(Received(flags, seq, ack, frame[at + (offset >> 4) * 4 : end], stamp))
        return count


@dataclass
class Connection:
    """The client's half. `sent` and `acked` are counted in bytes from the first one of the stream."""

    wire: Wire
    address: str
    own_port: int
    target: str
    port: int = 80
    first_seq: int = 1000
    stamped: bool = False
    is_open: bool = False
    is_reset: bool = False
    is_closed: bool = False
    acked: int = 0
    their_seq: int = 0
    their_stamp: int = 0
    own_stamp: int = 100_000
    received: bytes = b""
    early: dict = field(default_factory=dict)

    def __post_init__(self):
        self.source, self.destination = socket.inet_aton(self.address), socket.inet_aton(self.target)
        self.wire.connections[(self.source, self.own_port)] = self

    def take(self, packet):
        if packet.stamp is not None:
            self.their_stamp = packet.stamp
        if packet.flags & RST:
            self.is_reset = True
            return
        if packet.flags & SYN:
            if not self.is_open:
                self.is_open, self.their_seq = True, packet.seq + 1 & 0xFFFFFFFF
            return
        ahead = packet.ack - (self.first_seq + 1) & 0xFFFFFFFF
        if packet.flags & ACK and self.acked < ahead < 1 << 30:
            self.acked = ahead
        if packet.payload or packet.flags & FIN:
            self.early[packet.seq] = packet
        while (next_seq := next((seq for seq, p in self.early.items() if self.continues(seq, p)), None)) is not None:
            here = self.early.pop(next_seq)
            fresh = here.payload[self.their_seq - next_seq & 0xFFFFFFFF :]
            self.received += fresh
            self.their_seq = self.their_seq + len(fresh) & 0xFFFFFFFF
            if here.flags & FIN:
                self.is_closed = True
                self.their_seq = self.their_seq + 1 & 0xFFFFFFFF
        if packet.payload:
            self.acknowledge()

    def continues(self, seq, packet):
        """Whether this is where the other side's stream goes on, or begins in what was had and reaches over it."""
        had = self.their_seq - seq & 0xFFFFFFFF
        return had == 0 or had < len(packet.payload)

    def segment(self, at, payload=b"", flags=PSH | ACK, *, ack_ahead=0, stamp_behind=0, options=b"", urgent=0, **how):
        """Sends the bytes of the stream from place `at` on; -1 is the SYN's own number."""
        if self.stamped:
            self.own_stamp += 1
            options += stamps(self.own_stamp - stamp_behind, self.their_stamp)
        ack = self.their_seq + ack_ahead & 0xFFFFFFFF if flags & ACK else 0
        words = (20 + len(options)) // 4
        tcp = struct.pack("!HHIIBBHHH", self.own_port, self.port, self.first_seq + 1 + at & 0xFFFFFFFF, ack,
                          words << 4, flags, 65535, 0, urgent)
        self.wire.send(self.source, self.destination, tcp + options + payload, **how)

    def open(self):
        self.segment(-1, flags=SYN, options=MSS)

    def acknowledge(self):
        self.segment(self.acked, flags=ACK)


def wait_for(wire, true, timeout_s=2.0):
    end = time.monotonic() + timeout_s
    while not true() and time.monotonic() < end:
        wire.receive(0.01)
    return true()
