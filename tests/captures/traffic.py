# SPDX-License-Identifier: BSD-3-Clause
"""What the clients do. Each function drives real programs in a client's namespace against one VIP."""

import time

from world import API_HOST, HERE, HOST, OTHER4, OTHER6, PYTHON, VIP4, VIP6

CRAWLERS = (
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
REQUESTS_UA = "python-requests/2.31.0"
SCANNED = ("/.env", "/wp-login.php", "/.git/config", "/admin/.env", "/xmlrpc.php")
PAGES = ("/", "/index.html", "/checkout/cart", "/api/v1/items", "/static/app.js")


def bracketed(vip):
    return f"[{vip}]" if ":" in vip else vip


def curl(client, vip, *words, host=HOST, scheme="http", timeout_s=60):
    """curl with the shop's name, resolved to `vip`; words that begin with / become URLs, one connection for all."""
    port = 443 if scheme == "https" else 80
    words = [f"{scheme}://{host}{word}" if word.startswith("/") else word for word in words]
    outputs = [word for url in words if url.startswith(scheme) for word in ("-o", "/dev/null")]
    client.run("curl", "-sS", "--noproxy", "*", "--resolve", f"{host}:{port}:{bracketed(vip)}", *outputs, *words,
               timeout_s=timeout_s)


def browse(client, vip, rounds=1, interval_s=0.0):
    """Every page on a connection of its own."""
    for _ in range(rounds):
        for page in PAGES:
            curl(client, vip, "-A", BROWSER, page)
            time.sleep(interval_s)


def several_methods(client, vip):
    curl(client, vip, "-I", "/", "/static/app.js")
    curl(client, vip, "-X", "OPTIONS", "/api/v1/items")
    curl(client, vip, "-X", "DELETE", "/api/v1/items")
    curl(client, vip, "/login", "--data", "user=ada&password=correct horse")
    curl(client, vip, "-H", "X-Api-Key: 7f3a-demo", "/api/v1/items", host=API_HOST)
    curl(client, vip, "-H", "CF-Connecting-IP: 203.0.113.77", "/", "/checkout/cart")


def posts(client, vip):
    """Bodies with a length: empty, short, several segments, announced with Expect; and chunked ones."""
    upload = client.lab.upload
    curl(client, vip, "/login", "--data", "user=ada&password=correct horse")
    curl(client, vip, "/login", "--data", "")
    curl(client, vip, "/upload", "--data-binary", f"@{upload}")
    curl(client, vip, "/upload", "--data-binary", f"@{upload}", "-H", "Expect: 100-continue")
    curl(client, vip, "/upload", "--data-binary", f"@{upload}", "-H", "Transfer-Encoding: chunked")
    curl(client, vip, "/upload", "-F", f"file=@{upload}", "-F", "name=ada")


def crawl(client, vip, agent, pages=PAGES, interval_s=0.0):
    for page in pages:
        curl(client, vip, "-A", agent, page)
        time.sleep(interval_s)


def wrk(client, vip, path, connections, duration_s):
    """nginx paces these paths (`limit_req` with a burst): wrk makes hundreds of packets, not hundred thousands."""
    client.run("wrk", "-t", "1", "-c", connections, "-d", f"{duration_s}s", "-H", f"Host: {HOST}",
               "-H", "User-Agent: wrk/4.1.0", f"http://{bracketed(vip)}{path}")


def library(client, *words):
    client.run(PYTHON, HERE / "clients" / "library.py", *words)


def raw(client, mode, vip):
    client.run(PYTHON, HERE / "clients" / "raw.py", mode, vip)


def node(client, vip, requests, interval_ms):
    client.run("node", HERE / "clients" / "node.mjs", vip, requests, interval_ms)


def udp(client, vip, *sizes):
    client.run(PYTHON, HERE / "clients" / "udp.py", "send", vip, "5300", *sizes)


def udp_leave(client, vip):
    """The client answers the echo with an ICMP port unreachable that quotes it."""
    client.run(PYTHON, HERE / "clients" / "udp.py", "leave", vip, "5300")


def ping(client, vip, count=3, size=56, interval_s=0.2):
    client.run("ping", "-n", "-c", count, "-s", size, "-i", interval_s, vip)


def s_client(client, vip, *words, server_name=HOST):
    name = ["-servername", server_name] if server_name else ["-noservername"]
    client.run("openssl", "s_client", "-connect", f"{bracketed(vip)}:443", *name, "-quiet", *words,
               input=f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")


def handshakes(client, vip, version):
    """`version`: 1.2 or 1.3. Full, resumed, without a server name, and with a ClientHello longer than a segment."""
    flag = "-tls" + version.replace(".", "_")
    session = client.lab.tmp / f"session-{client.title}-{len(vip)}-{version}"
    curl(client, vip, "-k", f"--tlsv{version}", "--tls-max", version, "/", "/checkout/cart", scheme="https")
    s_client(client, vip, flag, "-sess_out", session)
    s_client(client, vip, flag, "-sess_in", session)
    s_client(client, vip, flag, server_name=None)
    s_client(client, vip, flag, "-alpn", ",".join(["http/1.1", *(f"surge-protocol-number-{n:04}" for n in range(70))]))


def stray(client, family):
    """What arrives at the gate and is not for a VIP's service: other hosts, other ports, other protocols."""
    other, vip = (OTHER4, VIP4) if family == 4 else (OTHER6, VIP6)
    for address, port in ((other, 22), (other, 179), (vip, 22), (vip, 8080)):
        client.run("curl", "-sS", "--noproxy", "*", "-m", "2", f"telnet://{bracketed(address)}:{port}", check=False)
    ping(client, other, 2)
    client.run(PYTHON, HERE / "clients" / "udp.py", "leave", other, "9999")


def reconnect(client, address6):
    """The client's cable is pulled and put back: IPv6 announces itself (DAD, MLD, router solicitation)."""
    client.sysctl(net__ipv6__conf__eth0__router_solicitations=1, net__ipv6__conf__eth0__router_solicitation_delay=0)
    client.ip("link", "set", "eth0", "down")
    client.ip("link", "set", "eth0", "up")
    client.ip("address", "replace", f"{address6}/64", "dev", "eth0")
    for route in ("198.51.100.0/24", "2001:db8::/64"):
        client.ip("route", "replace", route, "dev", "eth0")
    time.sleep(2.5)
