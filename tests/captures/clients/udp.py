# SPDX-License-Identifier: BSD-3-Clause
"""udp.py echo ADDRESS PORT: answers every datagram after 50 ms.
udp.py send ADDRESS PORT SIZE...: sends one datagram of each size and waits for each answer.
udp.py leave ADDRESS PORT: sends one and closes the socket, so that the answer draws a port unreachable."""

import socket
import sys
import time


def make_socket(address):
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


def echo(address, port):
    with make_socket(address) as server:
        server.bind((address, port))
        while True:
            data, peer = server.recvfrom(65536)
            time.sleep(0.05)
            server.sendto(data[:64], peer)


def send(address, port, sizes):
    with make_socket(address) as client:
        client.settimeout(5)
        client.connect((address, port))
        for size in sizes:
            client.send((b"surge " * (size // 6 + 1))[:size])
            client.recv(65536)


def leave(address, port):
    with make_socket(address) as client:
        client.sendto(b"nobody will read the answer", (address, port))
    time.sleep(0.2)


def main():
    mode, address, port, *sizes = sys.argv[1:]
    if mode == "echo":
        echo(address, int(port))
    elif mode == "send":
        send(address, int(port), [int(size) for size in sizes])
    else:
        leave(address, int(port))


main()
