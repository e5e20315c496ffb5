"""What is kept of the API's objects: small rows, so that 100,000 endpoints fit in a few megabytes; pure."""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

from seaway.services.resolve import SERVICE_NAME

Tree = dict[str, Any]


class Port(NamedTuple):
    """Lower-case name and protocol as labels; `number` 0: none."""

    name: bytes
    protocol: bytes
    number: int


class ServiceRow(NamedTuple):
    """`addresses` ClusterIPs, packed; both they and `external` empty: headless."""

    key: bytes
    addresses: tuple[bytes, ...]
    ports: tuple[Port, ...]
    external: str
    publish: bool

    @property
    def is_headless(self) -> bool:
        return not self.addresses and not self.external


class SliceRow(NamedTuple):
    """Endpoints of one address each: `packed` holds the ready ones' addresses, `size` bytes each, then those that are not
    ready, from `ready` on. `names`: hostname or "" for each, or () where none has one; `pods` the same of Pod names."""

    service: bytes
    size: int
    packed: bytes
    ready: int
    names: tuple[bytes, ...]
    pods: tuple[bytes, ...]
    ports: tuple[Port, ...]


def label(text: str) -> bytes:
    raw = text.lower().encode("latin-1", "replace")[:63]
    return bytes((len(raw),)) + raw


def service_key(namespace: str, name: str) -> bytes:
    """The two labels of a Service's name, as bytes of the wire."""
    return label(name) + label(namespace)


def _packed(text: Any) -> bytes:
    try:
        return ipaddress.ip_address(str(text)).packed
    except ValueError:
        return b""


_PORTS: dict[tuple[Port, ...], tuple[Port, ...]] = {}  # one of each: most Services have the same


def _ports(rows: Any, numbered: str = "port") -> tuple[Port, ...]:
    found = []
    for row in rows or ():
        name, protocol = str(row.get("name") or "").lower(), str(row.get("protocol") or "TCP").lower()
        port = Port(name.encode("latin-1", "replace"), protocol.encode(), int(row.get(numbered) or 0))
        found.append(port)
    ports = tuple(found)
    return _PORTS.setdefault(ports, ports) if len(_PORTS) < 10_000 else ports


def service(tree: Tree) -> ServiceRow:
    meta, spec = tree["metadata"], tree.get("spec") or {}
    key = service_key(meta["namespace"], meta["name"])
    if spec.get("type") == "ExternalName":
        return ServiceRow(key, (), (), str(spec.get("externalName") or "").rstrip(".").lower() or ".", False)
    addresses: tuple[bytes, ...] = ()
    if spec.get("clusterIP") not in (None, "", "None"):
        found = (_packed(a) for a in spec.get("clusterIPs") or [spec["clusterIP"]])
        addresses = tuple(a for a in found if a)
    return ServiceRow(key, addresses, _ports(spec.get("ports")), "", bool(spec.get("publishNotReadyAddresses")))


def endpoint_slice(tree: Tree, pod_names: bool = False) -> SliceRow | None:
    """None where it belongs to no Service or holds no addresses of IP."""
    meta = tree["metadata"]
    owner = (meta.get("labels") or {}).get(SERVICE_NAME)
    size = {"IPv4": 4, "IPv6": 16}.get(str(tree.get("addressType")), 0)
    if not owner or not size:
        return None
    rows: tuple[list[tuple[bytes, bytes, bytes]], list[tuple[bytes, bytes, bytes]]] = ([], [])
    for endpoint in tree.get("endpoints") or ():
        # A missing condition means ready (discovery.k8s.io/v1 EndpointConditions).
        ready = (endpoint.get("conditions") or {}).get("ready") is not False
        name = str(endpoint.get("hostname") or "").lower().encode("latin-1", "replace")
        pod = b""
        if pod_names:
            target = endpoint.get("targetRef") or {}
            pod = str(target.get("name") or "").lower().encode("latin-1", "replace")
            pod = pod if len(pod) < 64 else b""  # no label: the address names it
        for text in endpoint.get("addresses") or ():
            if len(address := _packed(text)) == size:
                rows[0 if ready else 1].append((address, name, pod))
    both = [*rows[0], *rows[1]]
    names = tuple(r[1] for r in both) if any(r[1] for r in both) else ()
    pods = tuple(r[2] for r in both) if any(r[2] for r in both) else ()
    ports = _ports(tree.get("ports"))
    key = service_key(meta["namespace"], owner)
    return SliceRow(key, size, b"".join(r[0] for r in both), len(rows[0]), names, pods, ports)


def pod_addresses(tree: Tree) -> tuple[bytes, ...]:
    """The addresses of a Pod that has its own and has not ended: what `pods verified` knows."""
    status = tree.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed") or (tree.get("spec") or {}).get("hostNetwork"):
        return ()
    rows = status.get("podIPs") or ([{"ip": status["podIP"]}] if status.get("podIP") else [])
    return tuple(a for a in (_packed(r.get("ip")) for r in rows) if a)
