# SPDX-License-Identifier: BSD-3-Clause
"""Heads that a backend discards, each followed by another at its place. Prints which requests were answered, as JSON.

    python3 tricks.py TARGET STATION_MAC OWN_MAC FIRST_PORT"""

import json
import sys
import time

from raw_tcp import ACK, MD5, PSH, URG, Connection, Wire, wait_for

HEAD = b"GET /%s HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: %s\r\n\r\n"
DISCARDED = {
    "a bad checksum": {"spoil": 0x1234},
    "an acknowledgement of what was never sent": {"ack_ahead": 1 << 29},
    "no acknowledgement": {"flags": PSH},
    "an old timestamp": {"stamp_behind": 50_000},
    "an MD5 option": {"options": MD5},
    "a low TTL": {"ttl": 1},
}


def main():
    target, station_mac, own_mac, port = sys.argv[1:]
    wire, answered = Wire("eth0", station_mac, own_mac, "192.0.2.0"), {}
    for number, (trick, how) in enumerate(DISCARDED.items()):
        connection = opened(wire, target, int(port) + number)
        name = b"%d" % number
        harmless, harmful = HEAD % (b"good" + name, b"AhrefsBox"), HEAD % (b"evil" + name, b"AhrefsBot")
        connection.segment(0, harmless, **how)
        wire.receive(0.05)
        connection.segment(0, harmful)
        wire.receive(0.05)
        connection.segment(0, harmless)
        wait_for(wire, lambda: connection.received, 3.0)
        answered[trick] = connection.received.decode().split("\r\n")[0]
    # URG on the X of sqlXmap: a stack takes it out.
    connection = opened(wire, target, int(port) + len(DISCARDED))
    head = HEAD % (b"urgent", b"AhrefsXBot")
    cut = head.index(b"XBot") + 1
    connection.segment(0, head[:cut], PSH | ACK | URG, urgent=cut)
    for at, part in ((cut, head[cut:-2]), (len(head) - 2, head[-2:])):
        time.sleep(0.2)  # a read ends at the mark; the server must come to read again, and again
        connection.segment(at, part)
    wait_for(wire, lambda: connection.received, 3.0)
    answered["an urgent byte"] = connection.received.decode().split("\r\n")[0]
    print(json.dumps(answered))


def opened(wire, target, port):
    connection = Connection(wire, "192.0.2.99", port, target, stamped=True)
    for _ in range(5):
        connection.open()
        if wait_for(wire, lambda: connection.is_open, 0.5):
            break
    connection.acknowledge()
    return connection


if __name__ == "__main__":
    main()
