"""A world for tests of routing: objects go in as YAML or trees, and what each fleet then does is kept as a process would."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from seaway.api.tree import Key, Tree, copied, stamp
from seaway.pki.authority import Authority
from seaway.routing.engine import Engine, FrontEnd, Status
from seaway.routing.fleets import FleetSpec
from seaway.routing.ir import Certificate, Cluster, Endpoints, Fleet, Host, Pieces, Socket, Trust

RESOURCES = {
    "Ingress": "ingresses",
    "IngressClass": "ingressclasses",
    "GatewayClass": "gatewayclasses",
    "BackendTLSPolicy": "backendtlspolicies",
    "BackendTrafficPolicy": "backendtrafficpolicies",
    "ClientTrafficPolicy": "clienttrafficpolicies",
    "SecurityPolicy": "securitypolicies",
}
CLUSTER_SCOPED = {"IngressClass", "GatewayClass", "Namespace"}
NOW = 1_767_225_600.0
AUTHORITY = Authority.new("tests", NOW)
CERTIFICATE = "tests/certificate"  # annotation of a Secret: the names of a certificate that is made for it


def resource_of(kind: str) -> str:
    return RESOURCES.get(kind, f"{kind.lower()}s")


class FleetWorld:
    """What one fleet does now."""

    def __init__(self) -> None:
        self.sockets: dict[str, Socket] = {}
        self.hosts: dict[str, dict[str, Host]] = {}
        self.clusters: dict[str, Cluster] = {}
        self.endpoints: dict[str, Endpoints] = {}
        self.certificates: dict[str, Certificate] = {}
        self.trusts: dict[str, Trust] = {}

    def take(self, pieces: Pieces) -> None:
        for table, hosts in pieces.hosts.items():
            self._update(self.hosts.setdefault(table, {}), hosts)
            if not self.hosts[table]:
                del self.hosts[table]
        for name in ("sockets", "clusters", "endpoints", "certificates", "trusts"):
            self._update(getattr(self, name), getattr(pieces, name))

    @staticmethod
    def _update(held: dict[str, Any], changed: dict[str, Any]) -> None:
        for name, value in changed.items():
            if value is None:
                held.pop(name, None)
            else:
                held[name] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FleetWorld) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class World:
    """An engine with what has come of it."""

    def __init__(self, front_ends: Iterable[FrontEnd]) -> None:
        self.engine = Engine(front_ends)
        self.fleets: dict[Fleet, FleetWorld] = {}
        self.statuses: dict[tuple[str, str, str], Status] = {}
        self.objects: dict[tuple[str, Key], Tree] = {}
        self.specs: dict[Fleet, FleetSpec] = {}
        self._seconds = 0

    def apply(self, *trees: Tree) -> World:
        for tree in trees:
            tree = copied(tree)
            meta = tree["metadata"]
            if tree["kind"] not in CLUSTER_SCOPED:
                meta.setdefault("namespace", "default")
            key = (resource_of(tree["kind"]), Key(meta.get("namespace", ""), meta["name"]))
            # Older is what came first, unless it says when it was made.
            known = self.objects.get(key, {}).get("metadata", {}).get("creationTimestamp")
            self._seconds += known is None
            meta.setdefault("creationTimestamp", known or stamp(NOW + self._seconds))
            if names := (meta.get("annotations") or {}).get(CERTIFICATE):
                tree["data"] = certificate(names)
            self.objects[key] = tree
            self.engine.change(*key, tree)
        return self

    def delete(self, kind: str, namespace: str, name: str) -> World:
        key = (resource_of(kind), Key(namespace, name))
        self.objects.pop(key, None)
        self.statuses.pop((key[0], namespace, name), None)
        self.engine.change(*key, None)
        return self

    def fact(self, *name: Any, value: Any) -> World:
        self.engine.fact(*name, value=value)
        return self

    def settle(self) -> World:
        changes = self.engine.settle()
        for failure in changes.failures.values():
            raise failure
        for fleet, pieces in changes.fleets.items():
            if pieces is None:
                self.fleets.pop(fleet, None)
            else:
                self.fleets.setdefault(fleet, FleetWorld()).take(pieces)
        for fleet, spec in changes.specs.items():
            if spec is None:
                self.specs.pop(fleet, None)
            else:
                self.specs[fleet] = spec
        for place in changes.released:
            self.statuses.pop(place, None)
        for status in changes.statuses:
            self.statuses[status[:3]] = status
        return self

    def status(self, resource: str, namespace: str, name: str) -> Status | None:
        return self.statuses.get((resource, namespace, name))


def documents(text: str) -> list[Tree]:
    return [d for d in yaml.safe_load_all(text) if d]


def read(path: Path) -> list[Tree]:
    return documents(path.read_text())


@functools.cache
def certificate(names: str) -> Tree:
    """The data of a TLS Secret for names, given as `a.example.com,b.example.com`."""
    hosts = tuple(names.split(","))
    pair = AUTHORITY.issue(hosts[0], NOW, hosts=hosts, server=True)
    return {"tls.crt": base64.b64encode(pair.certificate).decode(), "tls.key": base64.b64encode(pair.key).decode()}
