"""ClientTrafficPolicy as values."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from seaway.routing.certificates import checked_trust
from seaway.routing.durations import seconds
from seaway.routing.incremental import View
from seaway.routing.ir import ClientCheck
from seaway.routing.policies.targets import Won
from seaway.routing.policies.traffic import value
from seaway.routing.policy import ClientPolicy

Tree = dict[str, Any]


def client(fields: Mapping[str, Won]) -> ClientPolicy | None:
    """What is asked of clients, None where no policy says anything."""
    tls, trusted = value(fields, "tls"), value(fields, "trustedForwarders")
    timeouts, http2 = value(fields, "timeouts"), value(fields, "http2")

    def plain(name: str, default: Any) -> Any:
        won = fields.get(name)
        return won.value if won is not None else default

    found = ClientPolicy(
        bool(plain("proxyProtocol", False)),
        int(trusted.get("hops") or 0),
        tuple(_network(a) for a in trusted.get("addresses") or ()),
        str(tls.get("minVersion") or ""),
        str(tls.get("maxVersion") or ""),
        tuple(str(c) for c in tls.get("ciphers") or ()),
        bool(plain("http3", False)),
        int(http2.get("maxConcurrentStreams") or 0),
        int(plain("maxHeaderKiB", 0)),
        seconds(timeouts.get("idle")),
        seconds(timeouts.get("request")),
        int(plain("maxConnections", 0)),
    )
    return found if found != ClientPolicy() else None


def _network(text: object) -> str:
    try:
        return str(ipaddress.ip_network(str(text), strict=False))
    except ValueError:
        return ""


def certificates(view: View, fields: Mapping[str, Won]) -> tuple[ClientCheck | None, str]:
    """How certificates of clients are checked, and why that cannot be done: then nobody is let in."""
    won = fields.get("tls")
    wanted = value(fields, "tls").get("clientCertificates")
    if won is None or not wanted:
        return None, ""
    names = []
    for ref in wanted["caCertificateRefs"]:
        name = f"{ref.get('kind') or 'ConfigMap'}/{won.policy.namespace}/{ref['name']}"
        problem, found = view.ask(checked_trust, name)
        if found is None:
            return None, f"spec.tls.clientCertificates: {problem}"
        names.append(name)
    return ClientCheck(",".join(names), not wanted.get("optional")), ""
