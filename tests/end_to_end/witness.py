# SPDX-License-Identifier: BSD-3-Clause
"""tshark as the outside witness: it knows nothing of Surgegate."""

import subprocess

CHECKSUMMED = ("ip", "tcp", "udp")
FAULTY = " || ".join(["_ws.malformed", *(f"{layer}.checksum.status==0" for layer in (*CHECKSUMMED, "icmp", "icmpv6"))])
# Each segment for itself: an answer is one segment, and a resent one is to be read again.
SEGMENT_BY_SEGMENT = ("tcp.desegment_tcp_streams:FALSE", "tcp.analyze_sequence_numbers:FALSE")


def tshark(path, filter, *words, options=()):
    options = [*(f"{layer}.check_checksum:TRUE" for layer in CHECKSUMMED), *options]
    command = ["tshark", "-n", "-r", path, *(word for o in options for word in ("-o", o)), "-Y", filter, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"tshark: {done.stderr}")
    return done.stdout


def faults(path):
    """What tshark finds malformed or with a wrong checksum, as it prints it: empty if all is well."""
    return tshark(path, FAULTY)


def fields(path, filter, names, options=()):
    """A list of dictionaries, one for each matching packet; each value is the list of the field's occurrences."""
    separator, between = "\x1f", "\x1e"
    words = [word for name in names for word in ("-e", name)]
    words = ["-T", "fields", "-E", f"separator={separator}", "-E", f"aggregator={between}", *words]
    rows = []
    for line in tshark(path, filter, *words, options=options).split("\n")[:-1]:  # splitlines() splits at \x1e, too
        values = line.split(separator)
        rows.append({name: value.split(between) if value else [] for name, value in zip(names, values, strict=True)})
    return rows
