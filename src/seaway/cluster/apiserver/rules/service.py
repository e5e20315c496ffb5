"""Service: defaults, validation, warnings and status (pkg/apis/core/v1/defaults.go, pkg/apis/core/validation,
pkg/api/service/warnings.go); pure.

What an update keeps and loses stands in `servicechange`; addresses and node ports are given out in `allocation`, after the
defaults and before the validation.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats, metadata
from seaway.cluster.apiserver.rules import addresses, ports
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, unlisted, unsupported, wrong

Tree = dict[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
EXTERNAL = ("NodePort", "LoadBalancer")
HEADLESS = "None"
FAMILIES = ("IPv4", "IPv6")
POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
KUBELET_PORT = 10250
AFFINITY_SECONDS, AFFINITY_LONGEST = 10800, 86400
ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"
RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
HINTS_ANNOTATION = "service.kubernetes.io/topology-aware-hints"


def is_headless(spec: Tree) -> bool:
    return spec.get("clusterIP") == HEADLESS or (spec.get("clusterIPs") or [""]) == [HEADLESS]


def externally_accessible(spec: Tree) -> bool:
    kind = spec.get("type")
    return kind in EXTERNAL or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: Tree) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def default_service(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    for name in ("clusterIP", "loadBalancerIP", "externalName"):
        if spec.get(name) == "":
            del spec[name]
    for name in ("clusterIPs", "ipFamilies", "externalIPs", "loadBalancerSourceRanges"):
        if spec.get(name) == []:
            del spec[name]
    spec["sessionAffinity"] = affinity = spec.get("sessionAffinity") or "None"
    kind = spec["type"] = spec.get("type") or "ClusterIP"
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        asked = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
        seconds = AFFINITY_SECONDS if asked is None else asked
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": seconds}}
    for port in spec.get("ports") or ():
        port.setdefault("port", 0)
        port["protocol"] = port.get("protocol") or "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
        if port.get("nodePort") == 0:
            del port["nodePort"]
    if externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind in ("ClusterIP", *EXTERNAL) and not spec.get("internalTrafficPolicy"):
        spec["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    if kind == "LoadBalancer":
        for ingress in ((tree.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip") and ingress.get("ipMode") is None:
                ingress["ipMode"] = "VIP"


def begin_service(tree: Tree) -> None:
    tree["status"] = {"loadBalancer": {}}


# validation


def validate_service(tree: Tree, old: Tree | None = None) -> list[Cause]:
    """Everything that is wrong with a Service; `old` is what it was, whose odd addresses may stay."""
    spec, before = tree["spec"], (old or {}).get("spec") or {}
    kind = spec["type"]
    found: list[Cause] = []
    headless = is_headless(spec)
    if not spec.get("ports") and not headless and kind != "ExternalName":
        found.append(required("spec.ports"))
    if kind == "LoadBalancer":
        why = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
        for i, port in enumerate(spec.get("ports") or ()):
            if port.get("port") == KUBELET_PORT:
                found.append(wrong(f"spec.ports[{i}]", KUBELET_PORT, why))
    if headless and kind in EXTERNAL:
        found.append(wrong("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {kind} services"))
    if kind == "ExternalName":
        found += _external_name_causes(spec)
    names: set[str] = set()
    for i, port in enumerate(spec.get("ports") or ()):
        found += _port_causes(port, f"spec.ports[{i}]", len(spec["ports"]) > 1, names)
    found += metadata.label_causes(spec.get("selector") or {}, "spec.selector")
    found += _affinity_causes(spec)
    found += cluster_ip_causes(spec, before)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        at = f"spec.externalIPs[{i}]"
        bad = addresses.causes(at, address, before.get("externalIPs") or ())
        found += bad or addresses.special_causes(at, address)
    if kind not in TYPES:
        found.append(unsupported("spec.type", kind, TYPES))
    found += _repeated_causes(spec)
    found += _range_causes(tree, old or {})
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        found.append(not_permitted("spec.allocateLoadBalancerNodePorts", ONLY_LOAD_BALANCER))
    found += class_causes(spec)
    found += _traffic_causes(spec)
    return found


def _external_name_causes(spec: Tree) -> list[Cause]:
    found = [
        not_permitted(f"spec.{name}", "may not be set for ExternalName services")
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(name)
    ]
    name = str(spec.get("externalName", "")).removesuffix(".")
    if not name:
        return [*found, required("spec.externalName")]
    return found + formats.causes("spec.externalName", name, formats.subdomain)


def _port_causes(port: Tree, at: str, named: bool, names: set[str]) -> list[Cause]:
    found = ports.name_causes(f"{at}.name", port, named)
    name = port.get("name", "")
    if name in names:
        found.append(duplicate(f"{at}.name", name))
    if name:
        names.add(name)
    found += ports.number_causes(f"{at}.port", port.get("port", 0))
    found += ports.protocol_causes(f"{at}.protocol", port.get("protocol"))
    found += ports.number_or_name_causes(f"{at}.targetPort", port.get("targetPort"))
    return found + ports.application_causes(f"{at}.appProtocol", port)


def _affinity_causes(spec: Tree) -> list[Cause]:
    affinity = spec["sessionAffinity"]
    if affinity not in ("None", "ClientIP"):
        return [unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None"))]
    if affinity == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= AFFINITY_LONGEST:
            why = f"must be greater than 0 and less than {AFFINITY_LONGEST}"
            return [wrong("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)]
    return []


def cluster_ip_causes(spec: Tree, before: Tree) -> list[Cause]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy by themselves and against each other (KEP-563)."""
    if spec["type"] == "ExternalName":
        return []
    found: list[Cause] = []
    path, given = "spec.clusterIPs", spec.get("clusterIPs") or []
    if spec.get("clusterIP"):
        if not given:
            found.append(required(path))
        elif given[0] != spec["clusterIP"]:
            found.append(wrong(path, given, "first value must match `clusterIP`"))
    elif given:
        found.append(wrong(path, given, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for i, family in enumerate(families):
        if family not in FAMILIES:
            found.append(unsupported(f"spec.ipFamilies[{i}]", family, FAMILIES))
        if family in families[:i]:
            found.append(duplicate(f"spec.ipFamilies[{i}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in POLICIES:
        found.append(unsupported("spec.ipFamilyPolicy", policy, POLICIES))
    bad: list[Cause] = []
    for i, address in enumerate(given):
        if i == 0 and address == HEADLESS:
            if len(given) > 1:
                bad.append(wrong(path, given, "'None' must be the first and only value"))
            continue
        bad += addresses.causes(f"{path}[{i}]", address, before.get("clusterIPs") or ())
    found += bad
    if len(given) > 2:
        found.append(wrong(path, given, "may only hold up to 2 values"))
    if bad:
        return found
    if len(given) > 1 and len({addresses.family(a) for a in given}) < 2:
        found.append(wrong(path, given, "may specify no more than one IP for each IP family"))
    if not is_headless(spec):
        for i, (address, family) in enumerate(zip(given, families, strict=False)):
            if family in FAMILIES and addresses.family(address) != family:
                why = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
                found.append(wrong(f"{path}[{i}]", address, why))
    return found


def _repeated_causes(spec: Tree) -> list[Cause]:
    """Node ports where there are none, node ports twice, and ports twice: a port is its protocol and number."""
    found: list[Cause] = []
    listed = list(enumerate(spec.get("ports") or ()))
    if spec["type"] == "ClusterIP":
        why = "may not be used when `type` is 'ClusterIP'"
        found += [not_permitted(f"spec.ports[{i}].nodePort", why) for i, p in listed if p.get("nodePort")]
    node_ports: set[tuple[Any, Any]] = set()
    for i, port in listed:
        if port.get("nodePort"):
            if (port["protocol"], port["nodePort"]) in node_ports:
                found.append(duplicate(f"spec.ports[{i}].nodePort", port["nodePort"]))
            node_ports.add((port["protocol"], port["nodePort"]))
    pairs: set[tuple[Any, Any]] = set()
    for i, port in listed:
        number = port.get("port", 0)
        if (port["protocol"], number) in pairs:
            shown = {"Name": "", "Protocol": port["protocol"], "AppProtocol": None, "Port": number}
            found.append(duplicate(f"spec.ports[{i}]", {**shown, "TargetPort": 0, "NodePort": 0}))
        pairs.add((port["protocol"], number))
    return found


def _range_causes(tree: Tree, old: Tree) -> list[Cause]:
    """Source ranges, in the field or in the annotation that came before it."""
    spec, path = tree["spec"], "spec.LoadBalancerSourceRanges"
    known = (old.get("spec") or {}).get("loadBalancerSourceRanges") or []
    ranges = [str(r).strip() for r in spec.get("loadBalancerSourceRanges") or ()]
    paths = [f"{path}[{i}]" for i in range(len(ranges))]
    annotation = (tree["metadata"].get("annotations") or {}).get(RANGES_ANNOTATION)
    if not ranges:
        if annotation is None:
            return []
        path = f"metadata.annotations[{RANGES_ANNOTATION}]"
        ranges = [r.strip() for r in annotation.strip().split(",")] if annotation.strip() else []
        paths = [path] * len(ranges)
        known = str(((old.get("metadata") or {}).get("annotations") or {}).get(RANGES_ANNOTATION, "")).split(",")
    found = [] if spec["type"] == "LoadBalancer" else [not_permitted(path, ONLY_LOAD_BALANCER)]
    for at, value in zip(paths, ranges, strict=True):
        found += addresses.cidr_causes(at, value, {str(k).strip() for k in known})
    return found


def class_causes(spec: Tree) -> list[Cause]:
    """loadBalancerClass, by itself."""
    wanted = spec.get("loadBalancerClass")
    if wanted is None:
        return []
    if spec["type"] != "LoadBalancer":
        return [not_permitted("spec.loadBalancerClass", ONLY_LOAD_BALANCER)]
    return formats.causes("spec.loadBalancerClass", wanted, formats.qualified_name)


def _traffic_causes(spec: Tree) -> list[Cause]:
    found: list[Cause] = []
    policy, at = spec.get("externalTrafficPolicy"), "spec.externalTrafficPolicy"
    if not externally_accessible(spec):
        if policy:
            found.append(wrong(at, policy, "may only be set for externally-accessible services"))
    elif policy not in ("Cluster", "Local"):
        found.append(unsupported(at, policy, ("Cluster", "Local")) if policy else required(at))
    number, at = spec.get("healthCheckNodePort") or 0, "spec.healthCheckNodePort"
    if not needs_health_check(spec):
        if number:
            why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            found.append(wrong(at, number, why))
    else:
        found += ports.number_causes(at, number) if number else [required(at)]
    policy, at = spec.get("internalTrafficPolicy"), "spec.internalTrafficPolicy"
    if policy is not None and policy not in ("Cluster", "Local"):
        found.append(unsupported(at, policy, ("Cluster", "Local")))
    wanted = spec.get("trafficDistribution")
    if wanted is not None and wanted not in DISTRIBUTIONS:
        found.append(unlisted("spec.trafficDistribution", wanted, DISTRIBUTIONS))
    return found


# status


def prepare_status(new: Tree, old: Tree) -> Tree:
    """A write of the status: the rest stays."""
    result = {**old, "metadata": {**old["metadata"], **_kept(new["metadata"])}, "status": new.get("status") or {}}
    result["spec"] = dict(old["spec"])
    default_service(result)
    result["spec"] = old["spec"]
    return result


def _kept(meta: Tree) -> Tree:
    return {k: meta[k] for k in ("managedFields",) if k in meta}


def validate_status(tree: Tree, old: Tree) -> list[Cause]:
    return load_balancer_causes(tree, old, tree["spec"]["type"] == "LoadBalancer")


def load_balancer_causes(tree: Tree, old: Tree, allowed: bool) -> list[Cause]:
    path = "status.loadBalancer.ingress"
    entries = ((tree.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if entries and not allowed:
        return [not_permitted(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    known = {i.get("ip") for i in ((old.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()}
    found: list[Cause] = []
    for i, entry in enumerate(entries):
        at, address, mode = f"{path}[{i}]", entry.get("ip", ""), entry.get("ipMode")
        if address:
            found += addresses.causes(f"{at}.ip", address, {str(k) for k in known})
        if mode is None:
            if address:
                found.append(required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif not address:
            found.append(not_permitted(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        elif mode not in ("Proxy", "VIP"):
            found.append(unsupported(f"{at}.ipMode", mode, ("Proxy", "VIP")))
        found += hostname_causes(f"{at}.hostname", entry.get("hostname", ""))
    return found


def hostname_causes(path: str, name: str) -> list[Cause]:
    """A load balancer's host name: a DNS name and no address."""
    if not name:
        return []
    found = formats.causes(path, name, formats.subdomain)
    if addresses.sloppy(name) is not None:
        found.append(wrong(path, name, "must be a DNS name, not an IP address"))
    return found


# warnings


def warnings(tree: Tree, old: Tree | None) -> list[str]:
    spec = tree["spec"]
    found: list[str] = []
    if HINTS_ANNOTATION in (tree["metadata"].get("annotations") or {}):
        found.append(
            f"annotation {HINTS_ANNOTATION} is deprecated, please use service.kubernetes.io/topology-mode instead"
        )
    headless = spec["type"] == "ClusterIP" and spec.get("clusterIP") == HEADLESS
    if spec.get("clusterIP") not in (None, "", HEADLESS):
        for i, address in enumerate(spec.get("clusterIPs") or ()):
            found += addresses.warnings(f"spec.clusterIPs[{i}]", address)
    external = spec.get("externalIPs") or []
    if headless:
        if spec.get("loadBalancerIP"):
            found.append("spec.loadBalancerIP is ignored for headless services")
        if external:
            found.append("spec.externalIPs is ignored for headless services")
        if spec["sessionAffinity"] != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for i, address in enumerate(external):
        found += addresses.warnings(f"spec.externalIPs[{i}]", address)
    if external and not headless and spec["type"] != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        found += addresses.warnings("spec.loadBalancerIP", spec["loadBalancerIP"])
    for i, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += addresses.cidr_warnings(f"spec.loadBalancerSourceRanges[{i}]", cidr)
    if spec["type"] == "ExternalName" and external:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec["type"] != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found
