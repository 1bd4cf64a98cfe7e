# SPDX-License-Identifier: BSD-3-Clause
"""What people write with Python's own HTTP clients.

library.py urllib VIP: urllib.request, a connection per request: GET, HEAD, a posted form.
library.py keepalive VIP CONNECTIONS REQUESTS INTERVAL_S: http.client, REQUESTS on each of CONNECTIONS, in turn."""

import http.client
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HOST = "shop.example.com"
PATHS = ["/", "/index.html", "/checkout/cart", "/api/v1/items", "/static/app.js", "/api/v1/items?page=2"]


def authority(vip):
    return f"[{vip}]" if ":" in vip else vip


def use_urllib(vip):
    form = urllib.parse.urlencode({"user": "ada", "password": "correct horse"}).encode()
    for path, method, body in [*((path, "GET", None) for path in PATHS), ("/", "HEAD", None),
                               ("/login", "POST", form), ("/missing", "GET", None)]:
        request = urllib.request.Request(f"http://{authority(vip)}{path}", body, {"Host": HOST}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                response.read()
        except urllib.error.HTTPError as refused:
            if refused.code != 404:
                raise


def use_keepalive(vip, connections, requests, interval_s):
    for _ in range(connections):
        connection = http.client.HTTPConnection(vip, 80, timeout=10)
        for number in range(requests):
            connection.request("GET", PATHS[number % len(PATHS)], headers={"Host": HOST, "User-Agent": "shop-app/3.2"})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise SystemExit(f"status {response.status}")
            time.sleep(interval_s)
        connection.close()


def main():
    mode, vip, *numbers = sys.argv[1:]
    if mode == "urllib":
        use_urllib(vip)
    else:
        use_keepalive(vip, int(numbers[0]), int(numbers[1]), float(numbers[2]))


main()
