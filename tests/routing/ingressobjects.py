"""Objects around Ingresses, made short: for tests that say much in a line."""

from __future__ import annotations

from typing import Any

from routingworld import CERTIFICATE, FleetWorld, World

from seaway.api.tree import Tree
from seaway.routing.ingress.classes import fleet_of
from seaway.routing.ingress.frontend import INGRESS

PREFIX, EXACT, ANY = "Prefix", "Exact", "ImplementationSpecific"


def ingress_class(name: str = "seaway", controller: str = "seaway.dev/ingress-controller", **more: Any) -> Tree:
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"} if more.pop("default", False) else {}
    spec: Tree = {"controller": controller, **({"parameters": more.pop("parameters")} if "parameters" in more else {})}
    return {"kind": "IngressClass", "metadata": {"name": name, "annotations": annotations, **more}, "spec": spec}


def service(name: str, *ports: Any, namespace: str = "default", **spec: Any) -> Tree:
    """Ports as numbers or as trees; 80 if none is given."""
    found = [{"port": p, "protocol": "TCP"} if isinstance(p, int) else p for p in ports or (80,)]
    return {"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {"ports": found, **spec}}


def endpoints(service: str, *addresses: str, namespace: str = "default", port: int = 8080, name: str = "") -> Tree:
    family = "IPv6" if ":" in "".join(addresses) else "IPv4"
    ready = {"ready": True, "serving": True, "terminating": False}
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-{family.lower()}",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": family,
        "ports": [{"name": name, "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [a], "conditions": ready} for a in addresses],
    }


def secret(name: str, names: str, namespace: str = "default") -> Tree:
    return {"kind": "Secret", "metadata": {"name": name, "namespace": namespace, "annotations": {CERTIFICATE: names}}}


def backend(text: str) -> Tree:
    """`SERVICE` or `SERVICE:PORT`, by number or by name."""
    name, _, port = text.partition(":")
    port = port or "80"
    return {"service": {"name": name, "port": {"number": int(port)} if port.isdigit() else {"name": port}}}


def ingress(name: str, *rules: tuple[str, ...], namespace: str = "default", **more: Any) -> Tree:
    """Rules as (host, path, backend[, pathType]), those of a host together; or (host,) for one without paths. `default`: the
    default backend; `tls`: (hosts, secret) each; `cls`: the class, None for none."""
    hosts: dict[str, list[Tree]] = {}
    for host, *path in rules:
        paths = hosts.setdefault(host, [])
        if path:
            paths.append({"path": path[0], "pathType": (path[2:] or [PREFIX])[0], "backend": backend(path[1])})
    spec: Tree = {}
    if hosts:
        spec["rules"] = [
            {**({"host": h} if h else {}), **({"http": {"paths": paths}} if paths else {})}
            for h, paths in hosts.items()
        ]
    if more.get("cls", "seaway") is not None:
        spec["ingressClassName"] = more.get("cls", "seaway")
    if "default" in more:
        spec["defaultBackend"] = backend(more["default"])
    if "tls" in more:
        spec["tls"] = [
            {**({"hosts": list(h)} if h else {}), **({"secretName": s} if s else {})} for h, s in more["tls"]
        ]
    meta = {"name": name, "namespace": namespace}
    if "annotations" in more:
        meta["annotations"] = more["annotations"]
    if "created" in more:
        meta["creationTimestamp"] = more["created"]
    return {"kind": "Ingress", "metadata": meta, "spec": spec}


SERVICES = "a b c d".split()


def world(*objects: Tree) -> World:
    """The class `seaway`, the Services a to d with an endpoint each, and what else is given; settled."""
    found = World([INGRESS]).apply(ingress_class())
    for i, name in enumerate(SERVICES):
        found.apply(service(name), endpoints(name, f"10.0.0.{i + 1}"))
    return found.apply(*objects).settle()


def fleet(world: World, name: str = "seaway") -> FleetWorld | None:
    return world.fleets.get(fleet_of(name))


def events(world: World, name: str, namespace: str = "default") -> list[str]:
    status = world.status("ingresses", namespace, name)
    return [f"{reason}: {message}" for _, reason, message in status.events] if status is not None else []


def reasons(world: World, name: str, namespace: str = "default") -> list[str]:
    return [e.partition(":")[0] for e in events(world, name, namespace)]
