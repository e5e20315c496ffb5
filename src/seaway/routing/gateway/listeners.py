"""The listeners of a Gateway, its own and those of ListenerSets: what each accepts, and what is wrong with it.

Of conflicting listeners of one object none is served; of those of two objects the first's are: the Gateway's own, then those of
the older ListenerSet (GEP-1713).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import msgspec

from seaway.api.selectors import Selector, SelectorError, label_selector
from seaway.routing.conditions import GROUP
from seaway.routing.gateway.classes import controller_of
from seaway.routing.gateway.hostnames import covers
from seaway.routing.gateway.listenertls import Tls, tls_of
from seaway.routing.incremental import View
from seaway.routing.ir import Fleet, Source

Tree = dict[str, Any]
SETS = "listenersets by gateway"  # index: "NAMESPACE/NAME" of the Gateway
KINDS = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute", "TCPRoute"),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
# Ports that the proxy itself needs (the kubelet's probes and metrics).
RESERVED = frozenset([*range(19000, 19010), 18000])
SHARING = {"HTTP": "http", "HTTPS": "tls", "TLS": "tls", "TCP": "tcp", "UDP": "udp"}  # who may share a port
Problem = tuple[str, str]  # reason, message


class Where(NamedTuple):
    """The object that a listener is written in."""

    kind: str
    namespace: str
    name: str


class Listener(msgspec.Struct, frozen=True):
    """`kinds`: route kinds that may attach. `spaces`: All, Same, Selector or None of `selector`. The problems are those of the
    conditions Accepted, ResolvedRefs and Conflicted."""

    where: Where
    name: str
    port: int
    protocol: str
    hostname: str
    kinds: tuple[str, ...]
    spaces: str
    selector: Selector | None
    tls: Tls | None
    refused: tuple[Problem, ...] = ()
    unresolved: tuple[Problem, ...] = ()
    conflicts: tuple[Problem, ...] = ()
    overlaps: tuple[str, ...] = ()  # other listeners of the port whose host names are some of its own (GEP-3567)

    @property
    def serves(self) -> bool:
        """Whether there is anything to be reached by it."""
        usable = self.tls is None or self.tls.passthrough or bool(self.tls.certificates)
        return not self.refused and not self.conflicts and usable

    @property
    def title(self) -> str:
        """Its name among all listeners of the Gateway."""
        if self.where.kind == "Gateway":
            return self.name
        return f"{self.where.namespace}/{self.where.name}/{self.name}"

    @property
    def table(self) -> str:
        """The HTTP table of its requests: of plaintext ones of a port all listeners share one."""
        return f"http-{self.port}" if self.protocol == "HTTP" else f"https-{self.port}-{self.title}"

    @property
    def source(self) -> Source:
        return Source(*self.where, self.name)

    @property
    def transport(self) -> str:
        return "udp" if self.protocol == "UDP" else "tcp"


def is_ours(view: View, namespace: str, name: str) -> str:
    """A decision: the controller name that a Gateway is served under, "" where it is not ours."""
    gateway = view.get("gateways", namespace, name)
    return view.ask(controller_of, str(gateway["spec"].get("gatewayClassName") or "")) if gateway is not None else ""


def set_parent(tree: Tree) -> tuple[str, str]:
    """The Gateway that a ListenerSet belongs to."""
    parent = tree["spec"].get("parentRef") or {}
    if parent.get("group", GROUP) != GROUP or parent.get("kind", "Gateway") != "Gateway":
        return "", ""
    return str(parent.get("namespace") or tree["metadata"]["namespace"]), str(parent.get("name") or "")


def selected(view: View, spaces: str, selector: Selector | None, own: str, namespace: str) -> bool:
    """Whether `namespace` is one of those that `from: spaces` means, for an object in `own`."""
    if spaces == "All":
        return True
    if spaces == "Selector":
        tree = view.get("namespaces", "", namespace)
        return selector is not None and tree is not None and selector.matches(tree["metadata"].get("labels") or {})
    return spaces == "Same" and own == namespace


def _selector(spaces: Tree) -> Selector | None:
    try:
        return label_selector(spaces.get("selector"))
    except SelectorError:
        return None


def set_allowed(view: View, namespace: str, name: str) -> bool:
    """A decision: whether the Gateway of a ListenerSet lets it in."""
    tree = view.get("listenersets", namespace, name)
    gateway = view.get("gateways", *set_parent(tree)) if tree is not None else None
    if gateway is None:
        return False
    spaces = ((gateway["spec"].get("allowedListeners") or {}).get("namespaces")) or {}
    return selected(
        view, str(spaces.get("from") or "None"), _selector(spaces), gateway["metadata"]["namespace"], namespace
    )


def set_keys(view: View, namespace: str, name: str) -> tuple[tuple[str, str], ...]:
    """A decision: the ListenerSets of a Gateway that are let in, in order of precedence."""
    found = []
    for key in view.find(SETS, f"{namespace}/{name}"):
        tree = view.get("listenersets", *key)
        if tree is not None and view.ask(set_allowed, *key):
            found.append((str(tree["metadata"].get("creationTimestamp") or ""), *key))
    return tuple((n, s) for _, n, s in sorted(found))


def listeners(view: View, namespace: str, name: str) -> tuple[Listener, ...] | None:
    """A decision: all listeners of a Gateway, in order of precedence; None where the Gateway is not ours."""
    if not view.ask(is_ours, namespace, name):
        return None
    gateway = view.get("gateways", namespace, name) or {}
    frontend = (gateway["spec"].get("tls") or {}).get("frontend") or {}
    groups = [_read(view, Where("Gateway", namespace, name), gateway, frontend, namespace)]
    for key in view.ask(set_keys, namespace, name):
        tree = view.get("listenersets", *key)
        if tree is not None:
            groups.append(_read(view, Where("ListenerSet", *key), tree, frontend, namespace))
    found: list[Listener] = []
    for group in groups:
        found += _with_conflicts(group, found)
    return tuple(msgspec.structs.replace(li, overlaps=_overlaps(li, found)) for li in found)


def _overlaps(listener: Listener, others: list[Listener]) -> tuple[str, ...]:
    """A client may use a connection to one of them for requests to the other, where their certificate covers both."""
    if listener.protocol not in ("HTTPS", "TLS") or listener.conflicts or listener.refused:
        return ()
    return tuple(
        o.title
        for o in others
        if o is not listener
        and o.protocol in ("HTTPS", "TLS")
        and o.port == listener.port
        and not o.conflicts
        and not o.refused
        and (covers(o.hostname, listener.hostname) or covers(listener.hostname, o.hostname))
    )


def _read(view: View, where: Where, tree: Tree, frontend: Tree, namespace: str) -> list[Listener]:
    found = []
    for entry in tree["spec"].get("listeners") or ():
        protocol = str(entry["protocol"])
        port = int(entry.get("port") or 0)
        refused: list[Problem] = []
        unresolved: list[Problem] = []
        if protocol not in KINDS:
            refused.append(("UnsupportedProtocol", f"protocol {protocol} is not one of HTTP, HTTPS, TLS, TCP and UDP"))
        if port in RESERVED:
            refused.append(("PortUnavailable", f"port {port} is one that the proxy itself needs"))
        possible = KINDS.get(protocol, ())
        if protocol == "TLS" and (entry.get("tls") or {}).get("mode") == "Passthrough":
            possible = ("TLSRoute",)  # bytes that nobody decrypts can be told apart by their server name alone
        allowed = entry.get("allowedRoutes") or {}
        kinds, strange = _kinds(allowed.get("kinds") or (), possible)
        if strange:
            unresolved.append(
                (
                    "InvalidRouteKinds",
                    f"{', '.join(strange)} cannot attach to a listener of protocol {protocol}"
                    + (f"; {' and '.join(possible)} can" if possible else ""),
                )
            )
        tls = None
        if protocol in ("HTTPS", "TLS"):
            tls, more, worse = tls_of(view, where, entry, frontend, port, protocol, namespace)
            unresolved += more
            refused += worse
        spaces = allowed.get("namespaces") or {}
        found.append(
            Listener(
                where,
                str(entry["name"]),
                port,
                protocol,
                # TCP and UDP listeners have no host names to go by.
                str(entry.get("hostname") or "").lower() if protocol not in ("TCP", "UDP") else "",
                kinds,
                str(spaces.get("from") or "Same"),
                _selector(spaces),
                tls,
                tuple(refused),
                tuple(unresolved),
            )
        )
    return found


def _kinds(wanted: Any, possible: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The route kinds that a listener takes, and those named that it cannot take."""
    if not wanted:
        return possible, []
    kinds, strange = [], []
    for entry in wanted:
        group, kind = entry.get("group", GROUP), str(entry["kind"])
        if group == GROUP and kind in possible:
            kinds.append(kind)
        else:
            strange.append(kind if group == GROUP else f"{kind}.{group}")
    return tuple(dict.fromkeys(kinds)), strange


def _with_conflicts(group: list[Listener], before: list[Listener]) -> list[Listener]:
    """The listeners of one object with what they conflict in, among themselves and with those of objects before it."""
    here: dict[tuple[str, int], list[Listener]] = defaultdict(list)
    for listener in group:
        here[listener.transport, listener.port].append(listener)
    found = []
    for listener in group:
        others = [o for o in here[listener.transport, listener.port] if o is not listener and o.protocol in KINDS]
        first = [
            b
            for b in before
            if (b.transport, b.port) == (listener.transport, listener.port) and not b.conflicts and not b.refused
        ]
        conflicts = _conflicts(listener, [*first, *others]) if listener.protocol in KINDS else ()
        found.append(msgspec.structs.replace(listener, conflicts=conflicts))
    return found


def _conflicts(listener: Listener, others: list[Listener]) -> tuple[Problem, ...]:
    for other in others:
        if SHARING[other.protocol] != SHARING[listener.protocol]:
            message = f"port {listener.port} is also that of listener {other.title}, which speaks {other.protocol}"
            return (("ProtocolConflict", message),)
    for other in others:
        if other.hostname == listener.hostname:
            message = f"listener {other.title} has the same port and host name"
            # Two of TCP or UDP differ in nothing at all; what distinguishes them is their port and protocol alone.
            reason = "HostnameConflict" if listener.protocol not in ("TCP", "UDP") else "ProtocolConflict"
            return ((reason, message),)
    return ()


def fleet_of(namespace: str, name: str) -> Fleet:
    return Fleet("Gateway", namespace, name)
