# SPDX-License-Identifier: BSD-3-Clause
"""The little internet that the captures are taken in.

    client 11..32 --- switch --- uplink:[in0] gate [out0] --- backend (the VIPs, nginx, a UDP echo)

Every client is a namespace with its own MAC address, IPv4 and IPv6 address. `gate` is a bridge; its port `in0`
is where Surgegate's port would be, and what *arrives* there is what the gate would see: with direct
server return the answers take another way. The backend owns the VIPs, and so the destination MAC
02:00:00:00:00:10 of the frames stands for the gate's own.
"""

import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
from netns import Lab, LabError, Nginx, command  # noqa: E402

VIP4, VIP6 = "198.51.100.10", "2001:db8::10"
GATE_MAC = "02:00:00:00:00:10"
OTHER4, OTHER6 = "198.51.100.1", "2001:db8::1"  # the host behind the gate itself: not a VIP
HOST, API_HOST = "shop.example.com", "api.example.com"
CLIENTS = range(11, 33)
QUIET_AFTER_S = 4  # new IPv6 addresses announce themselves for so long; the captures should not begin with it
PYTHON = "/usr/bin/python3"  # the distribution's, whatever else is first in PATH

SERVERS = """
limit_req_zone $server_name zone=brisk:64k rate=200r/s;
limit_req_zone $server_name zone=calm:64k rate=15r/s;
upstream app {{ server unix:{tmp}/app.sock; }}
server {{
  listen {vip4}:80; listen [{vip6}]:80;
  listen {vip4}:443 ssl; listen [{vip6}]:443 ssl;
  server_name {host} {api_host};
  ssl_certificate {tmp}/cert.pem; ssl_certificate_key {tmp}/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3;
  root {tmp}/www;
  client_max_body_size 1m; client_body_buffer_size 64k; keepalive_requests 10000;
  location = /api/v1/search {{ limit_req zone=brisk burst=1000; try_files /items.json =404; }}
  location = /api/v1/report {{ limit_req zone=calm burst=1000; try_files /items.json =404; }}
  location = /api/v1/items  {{ proxy_pass http://app; }}
  location = /login         {{ proxy_pass http://app; }}
  location = /upload        {{ proxy_pass http://app; }}
  location = /checkout/cart {{ try_files /index.html =404; }}
}}
server {{ listen unix:{tmp}/app.sock; location / {{ return 200 "[]\\n"; }} }}
"""


class World(Lab):
    """Builds the namespaces; `clients[n]` is the namespace of 192.0.2.n and 2001:db8:c::n."""

    def build(self):
        self.switch, self.gate, self.backend = map(self.namespace, ("switch", "gate", "backend"))
        for silent in (self.switch, self.gate):
            silent.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        self.clients = {number: self._client(number) for number in CLIENTS}
        self.link(self.switch, "uplink", self.gate, "in0")
        self.link(self.gate, "out0", self.backend, "eth0", mac_b=GATE_MAC)
        for namespace, ports in ((self.switch, [*map("c{}".format, CLIENTS), "uplink"]), (self.gate, ["in0", "out0"])):
            self.bridge(namespace)
            for port in ports:
                namespace.ip("link", "set", port, "master", "bridge")
        for address in (f"{VIP4}/24", f"{OTHER4}/24", f"{VIP6}/64", f"{OTHER6}/64"):
            self.backend.address(address)
        self.backend.ip("route", "add", "192.0.2.0/24", "dev", "eth0")
        self.backend.ip("-6", "route", "add", "2001:db8:c::/64", "dev", "eth0")
        self._serve()
        time.sleep(QUIET_AFTER_S)

    def _client(self, number):
        client = self.namespace(f"client{number}")
        client.sysctl(net__ipv6__conf__default__router_solicitations=0)
        self.link(client, "eth0", self.switch, f"c{number}", mac_a=f"02:00:00:00:02:{number:02x}")
        client.address(f"192.0.2.{number}/24")
        client.address(f"2001:db8:c::{number}/64")
        client.ip("route", "add", "198.51.100.0/24", "dev", "eth0")
        client.ip("-6", "route", "add", "2001:db8::/64", "dev", "eth0")
        return client

    def _serve(self):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        names = f"subjectAltName=DNS:{HOST},DNS:{API_HOST}"
        command("openssl", "req", "-x509", *key, "-subj", f"/CN={HOST}", "-addext", names, "-days", "3650",
                "-keyout", self.tmp / "key.pem", "-out", self.tmp / "cert.pem")
        for path, text in {
            "index.html": "<!doctype html><title>shop</title><p>Welcome.\n",
            "static/app.js": "console.log('shop');\n" * 100,
            "items.json": '{"items": []}\n',
        }.items():
            file = self.tmp / "www" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.upload = self.tmp / "upload.bin"
        self.upload.write_bytes(bytes(range(256)) * 32)
        servers = SERVERS.format(tmp=self.tmp, vip4=VIP4, vip6=VIP6, host=HOST, api_host=API_HOST)
        self.nginx = Nginx(self.backend, servers)
        for vip in (VIP4, VIP6):
            self.backend.start(PYTHON, HERE / "clients" / "udp.py", "echo", vip, "5300")

    def forget_neighbours(self, *numbers):
        """Makes the named clients, and the backend, ask for addresses again: a capture should begin with that."""
        for namespace in (self.backend, *(self.clients[n] for n in numbers)):
            for family in ("-4", "-6"):
                namespace.ip(family, "neigh", "flush", "dev", "eth0")

    def hold_traffic(self, held):
        """Stops (or lets go on) everything between gate and backend, behind the capture: loss, made at will."""
        self.gate.run("bridge", "link", "set", "dev", "out0", "state", "0" if held else "3")
