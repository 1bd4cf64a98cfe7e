# SPDX-License-Identifier: BSD-3-Clause
"""The smallest network that a gate can be tried in: one Ethernet segment with a client, a gate and a backend.

    client eth0 --+
    gate   eth0 --+-- switch (a bridge)
    backend eth0 -+

The client sends what is for a VIP to the gate's MAC address (a static neighbour, as a router would have it). The
gate under test owns its eth0 as raw frames and forwards by rewriting the destination MAC address to the
backend's. The backend has the VIPs on lo, tells nobody, and answers the client directly.
"""

from netns import LabError, Lab, Nginx

VIP4, VIP6 = "198.51.100.10", "2001:db8::10"
CLIENT_NET4, CLIENT_NET6 = "192.0.2", "2001:db8:c:"
BACKEND4, BACKEND6 = "10.0.1.1", "2001:db8:1::1"
GATE4, GATE6 = "10.0.1.254", "2001:db8:1::fe"
CLIENT_MAC, GATE_MAC, BACKEND_MAC = "02:00:00:00:02:01", "02:00:00:00:00:10", "02:00:00:00:01:01"
FIRST_CLIENT = 11

SERVERS = f"""
server {{
  listen {VIP4}:80; listen [{VIP6}]:80;
  location / {{ return 200 "served\\n"; }}
}}
"""


class Segment(Lab):
    """`client`, `gate` and `backend` are its namespaces; the client has `addresses` addresses of each family."""

    def __init__(self, addresses=1):
        super().__init__()
        self.addresses = range(FIRST_CLIENT, FIRST_CLIENT + addresses)

    def build(self):
        self.switch = self.namespace("switch")
        self.switch.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        self.bridge(self.switch)
        self.client = self._station("client", CLIENT_MAC)
        self.gate = self._station("gate", GATE_MAC)
        self.backend = self._station("backend", BACKEND_MAC)
        self._address_client()
        self._address_gate()
        self._address_backend()

    def _station(self, title, mac):
        station = self.namespace(title)
        station.sysctl(
            net__ipv6__conf__default__router_solicitations=0,
            net__ipv4__conf__all__rp_filter=0,
            net__ipv4__conf__default__rp_filter=0,
        )
        self.link(station, "eth0", self.switch, title, mac_a=mac)
        self.switch.ip("link", "set", title, "master", "bridge")
        return station

    def _address_client(self):
        for number in self.addresses:
            self.client.address(f"{CLIENT_NET4}.{number}/24")
            self.client.address(f"{CLIENT_NET6}:{number}/64")
        for vip in (VIP4, VIP6):
            self.client.ip("route", "add", vip, "dev", "eth0")
            self.client.ip("neigh", "replace", vip, "lladdr", GATE_MAC, "nud", "permanent", "dev", "eth0")

    def _address_gate(self):
        """The gate's kernel has an address of its own, and neither routes nor answers for the VIPs."""
        self.gate.address(f"{GATE4}/24")
        self.gate.address(f"{GATE6}/64")
        self.gate.sysctl(net__ipv4__ip_forward=0, net__ipv6__conf__all__forwarding=0)

    def _address_backend(self):
        """IPv6 never answers for an address of another interface; IPv4 does, unless it is told not to."""
        self.backend.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)
        self.backend.address(f"{VIP4}/32", "lo")
        self.backend.address(f"{VIP6}/128", "lo")
        self.backend.address(f"{BACKEND4}/24")
        self.backend.address(f"{BACKEND6}/64")
        self.backend.ip("route", "add", f"{CLIENT_NET4}.0/24", "dev", "eth0")
        self.backend.ip("-6", "route", "add", f"{CLIENT_NET6}:/64", "dev", "eth0")

    def serve(self, servers=SERVERS):
        """Starts nginx on the backend; by default it answers 200 to everything on port 80 of both VIPs."""
        return Nginx(self.backend, servers)

    def get(self, vip, path="/", *words, number=FIRST_CLIENT, timeout_s=3):
        """One curl from the client's address `number`. Returns the HTTP status, or 0 if no answer came."""
        net, host = (CLIENT_NET6 + ":", f"[{vip}]") if ":" in vip else (CLIENT_NET4 + ".", vip)
        done = self.client.run(
            "curl", "-sS", "--noproxy", "*", "-m", timeout_s, "--interface", f"{net}{number}",
            "-H", "Host: shop.example.com", "-o", "/dev/null", "-w", "%{http_code}", *words, f"http://{host}{path}",
            check=False,
        )
        if not done.stdout.isdigit():
            raise LabError(f"curl: {done.stderr}")
        return int(done.stdout)
