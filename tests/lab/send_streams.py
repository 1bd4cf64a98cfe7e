# SPDX-License-Identifier: BSD-3-Clause
"""Sends each stream (hex, a line each, on standard input) on a connection of its own, and waits until the server says no
more. The first goes from FIRST_PORT, the next from the port behind that.

    python3 send_streams.py HOST PORT FIRST_PORT"""

import asyncio
import socket
import sys

AT_ONCE, QUIET_S = 100, 0.4


async def send(host, port, own_port, stream, limit):
    async with limit:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the port waits for another server's end
        sock.bind(("127.0.0.1", own_port))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            writer.write(stream)
            await writer.drain()
            while await asyncio.wait_for(reader.read(65536), QUIET_S):
                pass
        except (TimeoutError, asyncio.TimeoutError, ConnectionError):
            pass
        writer.close()


async def main():
    host, port, first_port = sys.argv[1:]
    limit = asyncio.Semaphore(AT_ONCE)
    streams = [bytes.fromhex(line) for line in sys.stdin.read().splitlines()]
    await asyncio.gather(*(send(host, int(port), int(first_port) + i, stream, limit) for i, stream in enumerate(streams)))


asyncio.run(main())
