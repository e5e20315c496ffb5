"""A fleet as it is to be, as values; and the names of its objects."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from seaway.gateway.infrastructure.parameters import Parameters
from seaway.routing.ir import Fleet

SYSTEM = "seaway-system"
CONTROLLER = "seaway-gateway"
XDS_PORT = 18000
PROBES = 19003  # of every Envoy, among the ports that no listener may have (routing/gateway/listeners.py, RESERVED)
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
GATEWAY_CLASS = "gateway.networking.k8s.io/gateway-class-name"
FLEET = "seaway.dev/fleet"
INSTANCE = "seaway.dev/controller"  # which controller made it, by its namespace: of several each removes its own alone
MANAGED = ("app.kubernetes.io/managed-by", CONTROLLER)
LONGEST = 63  # of a Service's name, and of a label's value
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")


class Port(NamedTuple):
    """A port of the fleet. `name`: of the Service's port, unique there; protocol "TCP" or "UDP"."""

    name: str
    port: int
    protocol: str = "TCP"


class Owner(NamedTuple):
    """The object whose end is the end of these."""

    api_version: str
    kind: str
    name: str
    uid: str


class Identity(NamedTuple):
    """What the fleet's Envoys show the controller, and whom they believe; PEM."""

    authorities: bytes
    certificate: bytes
    key: bytes


class Wanted(NamedTuple):
    """A fleet as it is to be. `name`: of its objects; `labels` and `annotations`: of spec.infrastructure, for all of them;
    `addresses`: what the Gateway asks for; `drain_key`: what the kubelet shows to have an Envoy drained; `controller`: where
    xDS is served; `gateway_class`: for a label, empty for an IngressClass; `own`: the controller's namespace."""

    fleet: Fleet
    namespace: str
    name: str
    owner: Owner | None
    ports: tuple[Port, ...]
    identity: Identity
    drain_key: str
    parameters: Parameters = Parameters()
    addresses: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    controller: tuple[str, int] = (f"{CONTROLLER}.{SYSTEM}.svc", XDS_PORT)
    gateway_class: str = ""
    own: str = SYSTEM


def shortened(text: str, longest: int = LONGEST) -> str:
    """`text` where it fits, else its beginning and a hash of it."""
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{text[: longest - len(digest) - 1].rstrip('-.')}-{digest}"


def object_name(gateway: str, gateway_class: str, apart: bool = False) -> str:
    """GEP-1762: `<gateway>-<class>`. What cannot be a Service's name (too long, with dots, a digit at the beginning) goes
    by a hash; and with `apart`, where another Gateway of the namespace has the plain name."""
    text = f"{gateway}-{gateway_class}"
    if len(text) <= LONGEST and _LABEL.match(text) and not apart:
        return text
    digest = hashlib.sha256(f"{gateway}\0{gateway_class}".encode()).hexdigest()[:10]
    plain = text.replace(".", "-")
    plain = plain if plain[:1].isalpha() else f"gw-{plain}"
    return f"{plain[: LONGEST - len(digest) - 1].rstrip('-')}-{digest}"


INGRESS_NAME = "seaway-ingress"


def place(fleet: Fleet, gateway_class: str, own: str = SYSTEM, apart: bool = False) -> tuple[str, str]:
    """(namespace, name) of a fleet's objects: a Gateway's beside it, an IngressClass's in the controller's `own` namespace."""
    if fleet.kind == "Gateway":
        return fleet.namespace, object_name(fleet.name, gateway_class, apart)
    if fleet.name == "seaway" and not apart:
        return own, INGRESS_NAME
    return own, object_name(INGRESS_NAME, fleet.name, apart)


def selector(wanted: Wanted) -> dict[str, str]:
    """Of the fleet's pods; it never changes."""
    return {FLEET: wanted.name}


def labels(wanted: Wanted) -> dict[str, str]:
    """Of every object: ours are not the user's to change (GEP-1867)."""
    found = {**dict(wanted.labels), MANAGED[0]: MANAGED[1], FLEET: wanted.name}
    if wanted.fleet.kind == "Gateway":
        found[GATEWAY_NAME] = shortened(wanted.fleet.name)
        found[GATEWAY_CLASS] = shortened(wanted.gateway_class)
    return dict(sorted(found.items()))
