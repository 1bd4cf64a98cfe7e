# SPDX-License-Identifier: BSD-3-Clause
"""The list of captures: what each file is called, how it is stored, and who does what in it."""

import threading
import time
from dataclasses import dataclass
from typing import Callable

import traffic
from mixed import mixed
from world import CLIENTS, VIP4, VIP6

BOTH = ((4, VIP4), (6, VIP6))
HELD_S = 1.3  # longer than a first SYN's retransmission timeout of 1 s (RFC 6298 section 2)


@dataclass
class Scene:
    """`form`: us and ns are pcap with microseconds or nanoseconds, ng is pcapng with nanoseconds."""

    name: str
    form: str
    contents: str
    play: Callable  # of the World; returns when its traffic is over
    clients: tuple  # the clients' numbers, for `contents` in the README and for forgetting their neighbours
    made_by: str
    witness: bool = False  # also keep what goes back to the clients, in both-NAME.pcapng
    tags: tuple = ()  # VLAN tags added to every frame afterwards, (TPID, VLAN id, priority)

    @property
    def file(self):
        return self.name + (".pcapng" if self.form == "ng" else ".pcap")

    @property
    def both_file(self):
        return f"both-{self.name}.pcapng"


def on_both(*numbers):
    """Makes a play of a function (client, vip): client after client, first IPv4, then IPv6."""

    def decorate(act):
        def play(world):
            for _, vip in BOTH:
                for number in numbers:
                    act(world.clients[number], vip)

        return play

    return decorate


def curl_on(vip):
    def play(world):
        for number in (11, 12):
            traffic.browse(world.clients[number], vip)
        traffic.several_methods(world.clients[13], vip)

    return play


@on_both(14)
def wrk(client, vip):
    traffic.wrk(client, vip, "/api/v1/search", connections=8, duration_s=1)


@on_both(15)
def python_urllib(client, vip):
    traffic.library(client, "urllib", vip)


@on_both(16)
def node(client, vip):
    traffic.node(client, vip, 40, 10)


@on_both(17, 18)
def crawlers(client, vip):
    for agent in traffic.CRAWLERS[:2] if client.title.endswith("17") else traffic.CRAWLERS[2:]:
        traffic.crawl(client, vip, agent)
    traffic.crawl(client, vip, traffic.REQUESTS_UA, traffic.SCANNED)


@on_both(19, 20)
def keepalive(client, vip):
    if client.title.endswith("19"):
        traffic.curl(client, vip, "-A", traffic.BROWSER, *traffic.PAGES * 8)
    else:
        traffic.library(client, "keepalive", vip, 2, 30, 0.005)


@on_both(21)
def pipelining(client, vip):
    traffic.raw(client, "pipeline", vip)


@on_both(22)
def post_bodies(client, vip):
    traffic.posts(client, vip)
    traffic.raw(client, "chunked", vip)


@on_both(23)
def split_heads(client, vip):
    traffic.raw(client, "split", vip)
    traffic.raw(client, "bytes", vip)


@on_both(24)
def odd_ends(client, vip):
    traffic.raw(client, "halfclose", vip)
    traffic.raw(client, "upgrade", vip)


def resends(world):
    """Behind the capture everything is held for a moment, and the client's kernel sends SYN and request again."""

    def held(act):
        world.hold_traffic(True)
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        time.sleep(HELD_S)
        world.hold_traffic(False)
        thread.join()

    for _, vip in BOTH:
        traffic.ping(world.clients[25], vip, 1)  # or the question for the VIP's MAC address is what is lost
        held(lambda: traffic.curl(world.clients[25], vip, "/", "/checkout/cart"))
        words = (world.clients[26], "keepalive", vip, 1, 8, 0.3)
        slow = threading.Thread(target=traffic.library, args=words, daemon=True)
        slow.start()
        time.sleep(1.0)
        held(lambda: None)
        slow.join()


@on_both(27)
def tls12(client, vip):
    traffic.handshakes(client, vip, "1.2")


@on_both(28)
def tls13(client, vip):
    traffic.handshakes(client, vip, "1.3")


@on_both(29, 30)
def udp(client, vip):
    traffic.udp(client, vip, 1, 64, 512, 1200, 0, 1400)


@on_both(29)
def fragments(client, vip):
    traffic.udp(client, vip, 3000, 8000)
    traffic.ping(client, vip, 2, size=4000)


@on_both(31)
def icmp(client, vip):
    traffic.ping(client, vip, 3)
    traffic.ping(client, vip, 2, size=1400)
    traffic.udp_leave(client, vip)


def not_for_a_vip(world):
    for family, _ in BOTH:
        traffic.stray(world.clients[32], family)
    traffic.reconnect(world.clients[32], "2001:db8:c::32")
    traffic.stray(world.clients[32], 6)


def tagged(world):
    for _, vip in BOTH:
        traffic.browse(world.clients[11], vip)
        traffic.curl(world.clients[12], vip, "/login", "--data", "user=ada")
        traffic.udp(world.clients[29], vip, 64)
        traffic.ping(world.clients[31], vip, 1)
    traffic.stray(world.clients[32], 4)


CURL, OPENSSL, WRK, NODE, PING = "curl", "openssl", "wrk", "node", "ping"
URLLIB, HTTP_CLIENT, SOCKETS = "python3 (urllib.request)", "python3 (http.client)", "python3 (sockets)"

SCENES = (
    Scene("curl-v4", "us",
          "GET on new connections, HEAD, OPTIONS, DELETE, a posted form, `X-Api-Key`, `CF-Connecting-IP`; "
          "IPv4",
          curl_on(VIP4), (11, 12, 13), CURL, witness=True),
    Scene("curl-v6", "ns",
          "the same over IPv6",
          curl_on(VIP6), (11, 12, 13), CURL, witness=True),
    Scene("wrk", "ns",
          "8 connections for a second, to a path that nginx answers 200 times a second",
          wrk, (14,), WRK),
    Scene("python-urllib", "us",
          "GET, HEAD, a posted form, a 404",
          python_urllib, (15,), URLLIB),
    Scene("node", "ng",
          "a keep-alive agent with two sockets, chunked POSTs between GETs",
          node, (16,), NODE),
    Scene("crawlers", "us",
          "AhrefsBot, SemrushBot and GPTBot read pages; python-requests looks for `/.env`, `/wp-login.php` "
          "and the like (all user agents by `curl -A`)",
          crawlers, (17, 18), CURL),
    Scene("keepalive", "ng",
          "40 requests on one connection, 30 on each of two",
          keepalive, (19, 20), f"{CURL}, {HTTP_CLIENT}", witness=True),
    Scene("pipelining", "ns",
          "several requests in one segment; HEAD, POST and GET in one; a head cut between two segments; 21 "
          "requests over several full segments",
          pipelining, (21,), SOCKETS),
    Scene("post-bodies", "us",
          "Content-Length: none, short, several segments, after `Expect: 100-continue`, multipart; chunked: "
          "with extension and trailer, chunk headers cut between segments, a pipelined GET behind",
          post_bodies, (22,), f"{CURL}, {SOCKETS}"),
    Scene("split-heads", "ns",
          "heads in two and three segments, cut inside the last empty line, behind another request, byte by "
          "byte, and longer than two segments",
          split_heads, (23,), SOCKETS),
    Scene("odd-ends", "ns",
          "a half-closed connection, a refused WebSocket upgrade",
          odd_ends, (24,), SOCKETS),
    Scene("resends", "ns",
          "the way behind the capture is held for 1.3 s: SYNs and requests that the client's kernel sends "
          "again",
          resends, (25, 26), f"{CURL}, {HTTP_CLIENT}"),
    Scene("tls12", "ns",
          "TLS 1.2: full, resumed, without a server name, a ClientHello of two segments",
          tls12, (27,), f"{CURL}, {OPENSSL}"),
    Scene("tls13", "ng",
          "TLS 1.3: the same",
          tls13, (28,), f"{CURL}, {OPENSSL}"),
    Scene("udp", "us",
          "datagrams of 0 to 1,400 bytes to port 5300",
          udp, (29, 30), SOCKETS),
    Scene("fragments", "ns",
          "datagrams of 3,000 and 8,000 bytes and pings of 4,000, in fragments",
          fragments, (29,), f"{SOCKETS}, {PING}"),
    Scene("icmp", "us",
          "echo requests; port unreachable that quotes the VIP's answer",
          icmp, (31,), f"{PING}, {SOCKETS}"),
    Scene("not-for-a-vip", "ns",
          "SSH and BGP SYNs, pings and datagrams to the host behind the gate, VIP ports without a service, "
          "ARP, neighbour and router discovery, MLD",
          not_for_a_vip, (32,), f"{CURL}, {PING}, the kernel"),
    Scene("vlan", "ns",
          "HTTP, UDP, ICMP, ARP, neighbour discovery and stray SYNs with an 802.1Q tag (VLAN 100, priority 3)",
          tagged, (11, 12, 29, 31, 32), f"{CURL}, {PING}, {SOCKETS}", tags=((0x8100, 100, 3),)),
    Scene("qinq", "ng",
          "the same in a run of its own, with two tags (0x88a8 VLAN 200, 0x8100 VLAN 100)",
          tagged, (11, 12, 29, 31, 32), f"{CURL}, {PING}, {SOCKETS}", tags=((0x88A8, 200, 0), (0x8100, 100, 3))),
    Scene("mixed", "ng",
          "all of it at once for about eight seconds, IPv4 and IPv6; 192.0.2.11 is impatient: 300 requests, "
          "one after the other on six kept-alive connections, within some tenths of a second",
          mixed, tuple(CLIENTS), "all of them"),
)
