# SPDX-License-Identifier: BSD-3-Clause
"""What policies/shop.yaml and tight.yaml say, for tests to compare with."""

VIPS = ("198.51.100.10", "2001:db8::10")
HTTP_PORT = 80
LIMITS = {"shop.yaml": (20, 40), "tight.yaml": (2, 3)}  # requests per second of a source, burst
BOTS = ("AhrefsBot", "SemrushBot")

TUNNEL_SOURCE = "192.0.0.8"  # RFC 7600's dummy address: replay has none of its own
BACKENDS = {f"web/web{n}": f"10.0.1.{n}" for n in (1, 2, 3)} | {"local/local1": "10.0.1.1"}
LINK_ADDRESSES = {name: bytes([2, 0, *map(int, address.split("."))]) for name, address in BACKENDS.items()}
TUNNELLED = "web/"

# What the client gets, and the backend does not: with these a connection is refused.
REFUSALS = {"limit_requests": 429, "signature": 403, "http_field_name": 400}
# What follows on a refused connection.
AFTERWARDS = ("refused_resend", "refused_fin")
