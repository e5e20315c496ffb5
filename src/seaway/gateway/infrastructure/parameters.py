"""What users choose about a fleet's Envoys: the data of ConfigMaps, read typed; what is wrong is told with its field.

A GatewayClass's `parametersRef` gives the defaults, a Gateway's `spec.infrastructure.parametersRef` changes single keys of
them (GEP-1867). Values are YAML: `replicas: "2"`, and under `tolerations: |` what a pod's spec would have there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import yaml

from seaway.api import quantities
from seaway.gateway.infrastructure import shapes
from seaway.gateway.infrastructure.shapes import Problem

Tree = dict[str, Any]
IMAGE = "docker.io/envoyproxy/envoy:distroless-v1.40.0"
LARGEST = 1 << 16  # characters of a value
_QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_SECRET = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
_IMAGE = re.compile(r"[a-zA-Z0-9][\w.:/@-]*\Z", re.ASCII)


class Parameters(msgspec.Struct, frozen=True):
    """`settle_seconds`: how long an Envoy that ends serves on at least, for endpoints and load balancers to notice;
    `drain_seconds`: how long it waits for its connections at most. `concurrency` 0: a thread a processor. `host`: "" none,
    "port" hostPort, "network" hostNetwork; with either, a node has one Envoy of a fleet at most."""

    kind: str = "Deployment"
    replicas: int = 2
    image: str = IMAGE
    concurrency: int = 2
    max_connections: int = 50000
    settle_seconds: int = 5
    drain_seconds: int = 60
    access_log: bool = True
    service_type: str = "LoadBalancer"
    service_annotations: Mapping[str, str] = {}
    load_balancer_class: str = ""
    external_traffic_policy: str = "Cluster"
    resources: Mapping[str, Any] = msgspec.field(default_factory=lambda: {"requests": {"cpu": "50m", "memory": "64Mi"}})
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Any, ...] = ()
    affinity: Mapping[str, Any] = {}
    topology_spread: tuple[Any, ...] | None = None
    priority_class: str = ""
    host: str = ""
    default_certificate: str = ""  # of an IngressClass; routing reads it, and the following
    tcp_services: str = ""
    udp_services: str = ""

    @property
    def memory_limit(self) -> str:
        """As a quantity; empty: none."""
        return str((self.resources.get("limits") or {}).get("memory") or "")


# For a cluster on somebody's own machine, where news are quick.
SMALL = Parameters(replicas=1, concurrency=1, settle_seconds=2, drain_seconds=20)


class Reading(NamedTuple):
    """Parameters, and what is wrong: each key that is stays as it was."""

    parameters: Parameters
    problems: tuple[Problem, ...]


def _whole(least: int, most: int) -> Callable[[Any, str], int]:
    def read(value: Any, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Problem(path, f"Invalid value: {shapes.shown(value)}: must be a whole number")
        if not least <= value <= most:
            raise Problem(path, f"Invalid value: {value}: must be between {least} and {most}, inclusive")
        return value

    return read


def _one_of(*words: str) -> Callable[[Any, str], str]:
    def read(value: Any, path: str) -> str:
        if value not in words:
            quoted = ", ".join(f'"{w}"' for w in words)
            raise Problem(path, f"Unsupported value: {shapes.shown(value)}: supported values: {quoted}")
        return str(value)

    return read


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise Problem(path, f"Invalid value: {shapes.shown(value)}: must be true or false")
    return value


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[Any, str], str]:
    def read(value: Any, path: str) -> str:
        if not isinstance(value, str) or not pattern.match(value):
            raise Problem(path, f"Invalid value: {shapes.shown(value)}: must be {what}")
        return value

    return read


def _words(value: Any, path: str) -> dict[str, str]:
    """Labels and annotations: names to texts."""
    shapes.check({"type": "object", "additionalProperties": {"type": "string"}}, value, path)
    for name in value:
        if not _QUALIFIED.match(name):
            raise Problem(f"{path}[{name}]", f'Invalid value: "{name}": must be a qualified name')
    return dict(value)


def _shaped(definition: str) -> Callable[[Any, str], Any]:
    def read(value: Any, path: str) -> Any:
        shapes.check(shapes.reference(definition), value, path)
        return value

    return read


def _listed(definition: str) -> Callable[[Any, str], tuple[Any, ...]]:
    def read(value: Any, path: str) -> tuple[Any, ...]:
        shapes.check({"type": "array", "items": shapes.reference(definition)}, value, path)
        return tuple(value)

    return read


def _resources(value: Any, path: str) -> Any:
    shapes.check(shapes.reference("ResourceRequirements"), value, path)
    for section in ("requests", "limits"):
        for name, amount in (value.get(section) or {}).items():
            try:
                enough = quantities.parse(amount) >= 0
            except ValueError as e:
                raise Problem(f"{path}.{section}[{name}]", f"Invalid value: {shapes.shown(amount)}: {e}") from None
            if not enough:
                raise Problem(
                    f"{path}.{section}[{name}]",
                    f"Invalid value: {shapes.shown(amount)}: must be greater than or equal to 0",
                )
    return value


# Key of the ConfigMap -> (field, reader). docs/gateway.md describes each: a test compares.
READERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "kind": ("kind", _one_of("Deployment", "DaemonSet")),
    "replicas": ("replicas", _whole(0, 1000)),
    "image": ("image", _matching(_IMAGE, "the name of an image")),
    "concurrency": ("concurrency", _whole(0, 256)),
    "maxConnections": ("max_connections", _whole(1, 10_000_000)),
    "settleSeconds": ("settle_seconds", _whole(0, 3600)),
    "drainSeconds": ("drain_seconds", _whole(1, 3600)),
    "accessLog": ("access_log", _flag),
    "serviceType": ("service_type", _one_of("LoadBalancer", "NodePort", "ClusterIP")),
    "serviceAnnotations": ("service_annotations", _words),
    "loadBalancerClass": ("load_balancer_class", _matching(_QUALIFIED, "a qualified name")),
    "externalTrafficPolicy": ("external_traffic_policy", _one_of("Cluster", "Local")),
    "resources": ("resources", _resources),
    "nodeSelector": ("node_selector", _words),
    "tolerations": ("tolerations", _listed("Toleration")),
    "affinity": ("affinity", _shaped("Affinity")),
    "topologySpread": ("topology_spread", _listed("TopologySpreadConstraint")),
    "priorityClassName": (
        "priority_class",
        _matching(re.compile(r"[a-z0-9][-a-z0-9.]*\Z"), "the name of a PriorityClass"),
    ),
    "host": ("host", _one_of("", "port", "network")),
    "defaultCertificate": ("default_certificate", _matching(_SECRET, "a Secret as NAMESPACE/NAME")),
    "tcpServices": ("tcp_services", _matching(_SECRET, "a ConfigMap as NAMESPACE/NAME")),
    "udpServices": ("udp_services", _matching(_SECRET, "a ConfigMap as NAMESPACE/NAME")),
}


def _value(text: str, path: str) -> Any:
    if len(text) > LARGEST:
        raise Problem(path, f"Too long: may not be more than {LARGEST} bytes")
    try:
        return yaml.load(text, _Plain)
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise Problem(path, f"Invalid value: is not YAML{where}: {getattr(e, 'problem', None) or e}") from None


class _Plain(yaml.SafeLoader):
    """YAML without aliases: a few lines of them make a value of any size."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not read", event.start_mark)
        return super().compose_node(parent, index)


# What would give who may write a Gateway more than that: the node's network, a program of his own, others' place.
OF_CLASSES = frozenset(["host", "image", "priorityClassName"])


def read(base: Parameters, maps: Iterable[Tree], of_class: int = 99) -> Reading:
    """The parameters of ConfigMaps, the later over the earlier, all over `base`; the first `of_class` are a class's. Problems
    carry `data[key]...`."""
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    for number, tree in enumerate(maps):
        for key, text in sorted((tree.get("data") or {}).items()):
            path = f"data[{key}]"
            if key not in READERS:
                known = ", ".join(sorted(READERS))
                problems.append(Problem(path, f"Invalid value: unknown parameter; there are: {known}"))
                continue
            field, reader = READERS[key]
            if key in OF_CLASSES and number >= of_class:
                problems.append(Problem(path, "Forbidden: may only be set by the parameters of the class"))
                continue
            try:
                fields[field] = reader(_value(text, path) if text else "", path)
            except Problem as e:
                problems.append(e)
        for key in sorted(tree.get("binaryData") or {}):
            problems.append(Problem(f"binaryData[{key}]", "Invalid value: parameters are text: use data"))
    return Reading(msgspec.structs.replace(base, **fields), (*problems, *_together(base, fields)))


def _together(base: Parameters, fields: Mapping[str, Any]) -> list[Problem]:
    """What fits alone and not with the rest."""
    found = msgspec.structs.replace(base, **fields)
    problems = []
    if found.load_balancer_class and found.service_type != "LoadBalancer":
        problems.append(
            Problem("data[loadBalancerClass]", "Forbidden: may only be used when `serviceType` is 'LoadBalancer'")
        )
    if found.external_traffic_policy == "Local" and found.service_type == "ClusterIP":
        problems.append(
            Problem("data[externalTrafficPolicy]", "Forbidden: may only be used for externally-accessible services")
        )
    return problems
