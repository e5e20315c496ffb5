"""Names of chains as kube-proxy has them (pkg/proxy/iptables/proxier.go portProtoHash), and of those that all Services share."""

from __future__ import annotations

import base64
import hashlib

from seaway.proxy.table import Backend

SERVICES, NODE_PORTS, POSTROUTING, MARK_MASQ = "KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"
OUTSIDERS = "KUBE-OUTSIDERS"
EXTERNAL, FORWARD, FIREWALL, CANARY = (
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-PROXY-FIREWALL",
    "KUBE-PROXY-CANARY",
)
GUARD = "KUBE-FIREWALL"
SVC, SVL, EXT, FW, SEP = "KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-"
INSIDE = "KUBE-SVI-"  # a ClusterIP's endpoints that are neither all nor the local ones: relays
OF_SERVICES = (SVC, SVL, EXT, FW, SEP, INSIDE)


def port_hash(title: str, protocol: str, endpoint: str = "") -> str:
    """Sixteen characters of a Service port, and with `endpoint` of one behind it."""
    return base64.b32encode(hashlib.sha256((title + protocol + endpoint).encode()).digest()).decode()[:16]


def endpoint_text(backend: Backend) -> str:
    """`10.244.0.1:80`, `[fd00::1]:80`."""
    address, port = backend
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def comment(text: str) -> str:
    """A comment match; what could end it is left out."""
    clean = "".join(c for c in text if c.isascii() and (c.isalnum() or c in " -./:_>"))[:200]
    return f'-m comment --comment "{clean}"'
