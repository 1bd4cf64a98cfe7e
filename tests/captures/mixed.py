# SPDX-License-Identifier: BSD-3-Clause
"""The capture of the main demonstration: a busy shop for some seconds, and one client that wants too much."""

import threading
import time

import traffic
from world import VIP4, VIP6

# A limit of 20/s with a burst of 40 should refuse client 11 and nobody else.
IMPATIENT_CONNECTIONS, IMPATIENT_REQUESTS_EACH = 6, 50
PATIENT_REQUESTS, PATIENT_INTERVAL_S = 44, 0.16


def impatient(client, vip):
    time.sleep(2)
    traffic.library(client, "keepalive", vip, IMPATIENT_CONNECTIONS, IMPATIENT_REQUESTS_EACH, 0)


def patient(client, vip):
    traffic.library(client, "keepalive", vip, 1, PATIENT_REQUESTS, PATIENT_INTERVAL_S)


def frontend(client, vip):
    traffic.node(client, vip, 50, 250)


def visitor(client, vip):
    traffic.browse(client, vip, rounds=4, interval_s=0.25)


def shopper(client, vip):
    for _ in range(3):
        traffic.several_methods(client, vip)
        time.sleep(0.5)


def crawler(agent):
    return lambda client, vip: traffic.crawl(client, vip, agent, traffic.PAGES * 3, interval_s=0.4)


def scanner(client, vip):
    traffic.crawl(client, vip, traffic.REQUESTS_UA, traffic.SCANNED * 2, interval_s=0.5)


def bench(client, vip):
    traffic.wrk(client, vip, "/api/v1/report", connections=4, duration_s=5)


def crafted(client, vip):
    for mode in ("pipeline", "split", "bytes", "chunked", "halfclose"):
        traffic.raw(client, mode, vip)


def uploader(client, vip):
    for _ in range(2):
        traffic.posts(client, vip)


def tls(client, vip):
    traffic.handshakes(client, vip, "1.2")
    traffic.handshakes(client, vip, "1.3")


def datagrams(client, vip):
    traffic.udp(client, vip, *[64, 300, 1200] * 12)


def pings(client, vip):
    traffic.ping(client, vip, 12, interval_s=0.5)
    traffic.udp_leave(client, vip)


def strays(client, vip):
    traffic.stray(client, 6 if vip == VIP6 else 4)


# (client's number, VIP, what it does). Some are there twice, over both families.
CAST = (
    (11, VIP4, impatient),
    *((number, VIP4, patient) for number in (12, 13, 14)),
    *((number, VIP6, patient) for number in (15, 16, 17)),
    (18, VIP4, frontend), (19, VIP6, frontend),
    (20, VIP4, visitor), (21, VIP6, visitor), (20, VIP6, visitor),
    (22, VIP4, shopper), (22, VIP6, shopper),
    (23, VIP4, crawler(traffic.CRAWLERS[0])), (24, VIP6, crawler(traffic.CRAWLERS[1])),
    (25, VIP4, scanner), (25, VIP6, scanner),
    (26, VIP4, bench), (26, VIP6, bench),
    (27, VIP4, crafted), (27, VIP6, crafted),
    (28, VIP4, uploader), (28, VIP6, uploader),
    (29, VIP4, tls), (29, VIP6, tls),
    (30, VIP4, datagrams), (30, VIP6, datagrams),
    (31, VIP4, pings), (31, VIP6, pings),
    (32, VIP4, strays), (32, VIP6, strays),
)


def mixed(world):
    """Everybody at once, each in a thread; the first failure of any is raised here."""
    failures = []

    def play(number, vip, act):
        try:
            act(world.clients[number], vip)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=play, args=part, daemon=True) for part in CAST]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
