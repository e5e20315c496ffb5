"""Service: defaults, type changes and validation (pkg/apis/core/v1/defaults.go, pkg/registry/core/service). Pure.

Addresses and node ports are given out in `allocation`, after the defaults and before the validation.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from seaway.cluster.apiserver import metadata
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, unsupported, wrong

Tree = dict[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
EXTERNAL = ("NodePort", "LoadBalancer")
PROTOCOLS = ("SCTP", "TCP", "UDP")
HEADLESS = "None"


def is_headless(spec: Tree) -> bool:
    return spec.get("clusterIP") == HEADLESS or (spec.get("clusterIPs") or [""])[0] == HEADLESS


def default_service(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        if config.get("timeoutSeconds") is None:
            config["timeoutSeconds"] = 10800
    for port in spec.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
        if port.get("nodePort") == 0:
            del port["nodePort"]
    kind = spec["type"]
    external = kind in EXTERNAL or bool(spec.get("externalIPs") and kind == "ClusterIP")
    if external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind != "ExternalName" and not spec.get("internalTrafficPolicy"):
        spec["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    for name in ("clusterIP", "loadBalancerIP", "externalName", "trafficDistribution"):
        if spec.get(name) == "":
            del spec[name]
    if spec.get("clusterIPs") == []:
        del spec["clusterIPs"]


def begin_service(tree: Tree) -> None:
    tree["status"] = {"loadBalancer": {}}


def carry_over(tree: Tree, old: Tree) -> None:
    """What an update that does not mention it keeps: addresses, families, node ports; what a type change drops."""
    spec, before = tree["spec"], old["spec"]
    kind, was = spec["type"], before.get("type")
    if kind == "ExternalName":
        if was != "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
                if spec.get(name) == before.get(name):
                    spec.pop(name, None)
        _drop_external(spec, before)
        return
    if was != "ExternalName" and not spec.get("clusterIP") and not spec.get("clusterIPs"):
        for name in ("clusterIP", "clusterIPs"):
            if before.get(name):
                spec[name] = before[name]
    if was != "ExternalName":
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if kind in EXTERNAL and was in EXTERNAL:
        taken = {p.get("nodePort") for p in spec.get("ports") or ()}
        by_name = {p.get("name", ""): p for p in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            same = by_name.get(port.get("name", ""))
            if same and not port.get("nodePort") and same.get("nodePort") and same["nodePort"] not in taken:
                port["nodePort"] = same["nodePort"]
        if not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort") and _wants_health(spec):
            spec["healthCheckNodePort"] = before["healthCheckNodePort"]
    else:
        _drop_external(spec, before)


def _wants_health(spec: Tree) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _drop_external(spec: Tree, before: Tree) -> None:
    """A type that has no node ports loses what the old type gave it, unless the update itself sets it anew."""
    if spec["type"] in EXTERNAL:
        return
    old = {p.get("nodePort") for p in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        if port.get("nodePort") in old:
            port.pop("nodePort", None)
    for name in ("externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(name) == before.get(name) and not (name == "externalTrafficPolicy" and spec.get("externalIPs")):
            spec.pop(name, None)


def _port_causes(spec: Tree, required_ports: bool) -> list[Cause]:
    ports = spec.get("ports") or []
    found: list[Cause] = []
    if not ports and required_ports:
        found.append(required("spec.ports"))
    names: set[str] = set()
    pairs: set[tuple[Any, Any]] = set()
    node_ports: set[tuple[Any, Any]] = set()
    for i, port in enumerate(ports):
        at = f"spec.ports[{i}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            found.append(required(f"{at}.name"))
        elif name:
            if len(name) > 63 or not metadata.LABEL.match(name):
                found.append(wrong(f"{at}.name", name, metadata.LABEL_TEXT))
            if name in names:
                found.append(duplicate(f"{at}.name", name))
            names.add(name)
        number = port.get("port", 0)
        if not 0 < number < 65536:
            found.append(wrong(f"{at}.port", number, "must be between 1 and 65535, inclusive"))
        if port["protocol"] not in PROTOCOLS:
            found.append(unsupported(f"{at}.protocol", port["protocol"], PROTOCOLS))
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            found.append(wrong(f"{at}.targetPort", target, "must be between 1 and 65535, inclusive"))
        if isinstance(target, str) and (len(target) > 15 or not metadata.LABEL.match(target)):
            why = (
                "must be no more than 15 characters"
                if len(target) > 15
                else ("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
            )
            found.append(wrong(f"{at}.targetPort", target, why))
        if port.get("nodePort") and spec["type"] not in EXTERNAL:
            found.append(not_permitted(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'"))
        if (port["protocol"], number) in pairs:
            # The API's key of a port is protocol and number.
            found.append(duplicate(at, {"protocol": port["protocol"], "port": number}))
        pairs.add((port["protocol"], number))
        if port.get("nodePort"):
            if (port["protocol"], port["nodePort"]) in node_ports:
                found.append(duplicate(f"{at}.nodePort", port["nodePort"]))
            node_ports.add((port["protocol"], port["nodePort"]))
    return found


def validate_service(tree: Tree) -> list[Cause]:
    spec = tree["spec"]
    kind = spec["type"]
    found: list[Cause] = []
    headless = is_headless(spec)
    if kind == "LoadBalancer":
        for i, port in enumerate(spec.get("ports") or ()):
            if port.get("port") == 10250:
                found.append(
                    wrong(
                        f"spec.ports[{i}].port",
                        10250,
                        "may not expose port 10250 externally since it is used by kubelet",
                    )
                )
    if headless and kind in EXTERNAL:
        found.append(wrong("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {kind} services"))
    if kind == "ExternalName":
        if spec.get("clusterIPs") or spec.get("clusterIP"):
            found.append(not_permitted("spec.clusterIPs", "may not be set for ExternalName services"))
        name = str(spec.get("externalName", "")).removesuffix(".")
        if not name:
            found.append(required("spec.externalName"))
        elif len(name) > 253 or not metadata.SUBDOMAIN.match(name):
            found.append(wrong("spec.externalName", spec["externalName"], metadata.SUBDOMAIN_TEXT))
    found += _port_causes(spec, kind != "ExternalName" and not headless)
    found += metadata.label_causes(spec.get("selector") or {}, "spec.selector")
    affinity = spec.get("sessionAffinity")
    if affinity not in ("None", "ClientIP"):
        found.append(unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None")))
    elif affinity == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= 86400:
            found.append(
                wrong(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                    seconds,
                    "must be greater than 0 and less than 86400",
                )
            )
    if kind not in TYPES:
        found.append(unsupported("spec.type", kind, TYPES))
    for i, address in enumerate(spec.get("externalIPs") or ()):
        if not _address(address):
            found.append(
                wrong(
                    f"spec.externalIPs[{i}]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                )
            )
    for name in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if spec.get(name) and spec[name] not in ("Cluster", "Local"):
            found.append(unsupported(f"spec.{name}", spec[name], ("Cluster", "Local")))
    external = kind in EXTERNAL or spec.get("externalIPs")
    if spec.get("externalTrafficPolicy") and not external:
        found.append(
            wrong(
                "spec.externalTrafficPolicy",
                spec["externalTrafficPolicy"],
                "may only be set for externally-accessible services",
            )
        )
    for i, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        if kind != "LoadBalancer":
            found.append(
                not_permitted(f"spec.LoadBalancerSourceRanges[{i}]", "may only be used when `type` is 'LoadBalancer'")
            )
            break
        try:
            ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            found.append(
                wrong(
                    f"spec.loadBalancerSourceRanges[{i}]",
                    text,
                    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                )
            )
    if spec.get("loadBalancerClass") and kind != "LoadBalancer":
        found.append(not_permitted("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"))
    if spec.get("trafficDistribution") and spec["trafficDistribution"] not in (
        "PreferClose",
        "PreferSameNode",
        "PreferSameZone",
    ):
        found.append(
            unsupported(
                "spec.trafficDistribution",
                spec["trafficDistribution"],
                ("PreferClose", "PreferSameNode", "PreferSameZone"),
            )
        )
    return found


def _address(text: Any) -> bool:
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


def validate_update(tree: Tree, old: Tree) -> list[Cause]:
    """The first ClusterIP of a Service that keeps having one is fixed."""
    spec, before = tree["spec"], old["spec"]
    if spec["type"] == "ExternalName" or before["type"] == "ExternalName":
        return []
    new, was = spec.get("clusterIPs") or [""], before.get("clusterIPs") or [""]
    if was[0] and new[0] != was[0]:
        return [wrong("spec.clusterIPs[0]", new, "may not change once set")]
    return []
