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
        tuple(str(ipaddress.ip_network(a, strict=False)) for a in trusted.get("addresses") or ()),
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


def _authorities(namespace: str, tls: Tree) -> list[str]:
    """The authorities for certificates of clients, as names of trusts."""
    refs = (tls.get("clientCertificates") or {}).get("caCertificateRefs") or ()
    return [f"{ref['kind']}/{namespace}/{ref['name']}" for ref in refs]


def problem(view: View, namespace: str, fields: Mapping[str, Any]) -> str:
    """Why a sound policy cannot be carried out."""
    for i, name in enumerate(_authorities(namespace, fields.get("tls") or {})):
        why = view.ask(checked_trust, name)[0]
        if why:
            return f"spec.tls.clientCertificates.caCertificateRefs[{i}]: {why}"
    return ""


def asks_for_certificates(spec: object) -> bool:
    """Whether a policy, sound or not, is to keep clients without certificates out."""
    tls = spec.get("tls") if isinstance(spec, dict) else None
    return tls is not None and (not isinstance(tls, dict) or tls.get("clientCertificates") is not None)


def idle(fields: Mapping[str, Any]) -> list[str]:
    """What of a policy does nothing beside its other fields (http3.py says why)."""
    if not fields.get("http3"):
        return []
    tls = fields.get("tls") or {}
    beside = [name for name in ("proxyProtocol", "maxConnections") if fields.get(name)]
    beside += ["tls.clientCertificates"] if tls.get("clientCertificates") else []
    beside += ["tls.maxVersion 1.2"] if tls.get("maxVersion") == "1.2" else []
    return [f"http3 is not had beside {', '.join(beside)}"] if beside else []


def certificates(fields: Mapping[str, Won]) -> ClientCheck | None:
    """How certificates of clients are checked."""
    won, tls = fields.get("tls"), value(fields, "tls")
    if won is None or not tls.get("clientCertificates"):
        return None
    names = _authorities(won.policy.namespace, tls)
    return ClientCheck(",".join(names), not tls["clientCertificates"]["optional"])
