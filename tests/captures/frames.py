# SPDX-License-Identifier: BSD-3-Clause
"""VLAN tags for captured frames. The kernels of many test machines have no 802.1Q device; the switch port
towards a gate that tags would change a frame in exactly this way, and nothing else of it."""

import struct

HEADER, RECORD = "IHHiIII", "IIII"
NANOSECONDS_MAGIC = 0xA1B23C4D
MAC_ADDRESSES_SIZE = 12


def tag(source, target, tags):
    """Copies the nanosecond pcap `source` to `target`; `tags` are (TPID, VLAN id, priority), the outer one first."""
    words = b"".join(struct.pack("!HH", tpid, priority << 13 | vlan) for tpid, vlan, priority in tags)
    data = source.read_bytes()
    magic, *_, link_type = struct.unpack_from(HEADER, data)
    if magic != NANOSECONDS_MAGIC or link_type != 1:
        raise ValueError(f"{source}: not a nanosecond pcap of Ethernet frames in this machine's byte order")
    copy, offset = [data[: struct.calcsize(HEADER)]], struct.calcsize(HEADER)
    while offset < len(data):
        seconds, nanoseconds, captured, length = struct.unpack_from(RECORD, data, offset)
        offset += struct.calcsize(RECORD)
        frame = data[offset : offset + captured]
        offset += captured
        copy.append(struct.pack(RECORD, seconds, nanoseconds, captured + len(words), length + len(words)))
        copy += [frame[:MAC_ADDRESSES_SIZE], words, frame[MAC_ADDRESSES_SIZE:]]
    target.write_bytes(b"".join(copy))
