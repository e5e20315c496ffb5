"""A PodSpec as a whole, in the order of upstream's ValidatePodSpec: no error hides another's.

The parts have files of their own: pod_volumes, pod_containers, pod_security, pod_affinity, pod_resources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.cluster.apiserver import formats, metadata
from seaway.cluster.apiserver.rules import (
    fieldrules,
    pod_affinity,
    pod_containers,
    pod_resources,
    pod_security,
    pod_volumes,
)
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.rules.pod_volumes import Owner
from seaway.cluster.apiserver.status import Cause, duplicate, missing, not_permitted, required, too_long, wrong

Tree = dict[str, Any]
RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
NAMESERVERS, SEARCHES, SEARCH_LENGTH = 3, 32, 2048


def _resource_claims(claims: list[Tree], path: str) -> list[Cause]:
    found, names = [], set[str]()
    for i, claim in enumerate(claims):
        at, name = f"{path}[{i}]", claim.get("name", "")
        if not name:
            found.append(required(f"{at}.name"))
        elif name in names:
            found.append(duplicate(f"{at}.name", name))
        else:
            found += formats.causes(f"{at}.name", name, formats.label)
            names.add(name)
        refs = [n for n in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(n) is not None]
        if len(refs) != 1:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            if refs:
                why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            found.append(wrong(at, internal("PodResourceClaim", claim), why))
        for ref in refs:
            found += formats.causes(f"{at}.{ref}", claim[ref], formats.subdomain)
    return found


def _host_network(spec: Tree, path: str, is_pod: bool) -> list[Cause]:
    found: list[Cause] = []
    if not spec.get("hostNetwork"):
        return found
    for i, container in enumerate(spec.get("containers") or ()):
        for j, port in enumerate(container.get("ports") or ()):
            host, own = port.get("hostPort", 0), port.get("containerPort", 0)
            if (is_pod or host) and host != own:
                why = "must match `containerPort` when `hostNetwork` is true"
                found.append(wrong(f"{path}.containers[{i}].ports[{j}].hostPort", host, why))
    return found


def _dns_config(spec: Tree, path: str) -> list[Cause]:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", why)]
    config, found = config or {}, []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > NAMESERVERS:
        found.append(wrong(f"{path}.nameservers", servers, f"must not have more than {NAMESERVERS} nameservers"))
    for i, server in enumerate(servers):
        found += formats.causes(f"{path}.nameservers[{i}]", server, formats.ip_address)
    if len(searches) > SEARCHES:
        found.append(wrong(f"{path}.searches", searches, f"must not have more than {SEARCHES} search paths"))
    if len(" ".join(searches)) > SEARCH_LENGTH:
        why = f"must not have more than {SEARCH_LENGTH} characters (including spaces) in the search list"
        found.append(wrong(f"{path}.searches", searches, why))
    for i, search in enumerate(searches):
        if search != ".":
            bare = search.removesuffix(".")
            found += formats.causes(f"{path}.searches[{i}]", bare, formats.subdomain_with_underscore)
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            found.append(required(f"{path}.options[{i}]", "must not be empty"))
    return found


def _gates(spec: Tree, path: str) -> list[Cause]:
    found = []
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        at = f"{path}.readinessGates[{i}].conditionType"
        found += formats.causes(at, gate.get("conditionType", ""), formats.qualified_name)
    seen = set[str]()
    for i, gate in enumerate(spec.get("schedulingGates") or ()):
        at, name = f"{path}.schedulingGates[{i}]", gate.get("name", "")
        found += formats.causes(at, name, formats.qualified_name)
        if name in seen:
            found.append(duplicate(at, name))
        seen.add(name)
    return found


def _hostname_override(spec: Tree, path: str) -> list[Cause]:
    name = spec.get("hostnameOverride")
    if name is None:
        return []
    at, found = f"{path}.hostnameOverride", []
    if spec.get("setHostnameAsFQDN"):
        found.append(not_permitted(at, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        found.append(not_permitted(at, "may not be specified when hostNetwork is true"))
    if len(name) > 64:
        found.append(too_long(at, 64))
    return found + formats.causes(at, name, formats.subdomain)


def _host_aliases(aliases: list[Tree], path: str) -> list[Cause]:
    found = []
    for i, alias in enumerate(aliases):
        found += formats.causes(f"{path}[{i}].ip", alias.get("ip", ""), formats.ip_address)
        for j, name in enumerate(alias.get("hostnames") or ()):
            found += formats.causes(f"{path}[{i}].hostnames[{j}]", name, formats.subdomain)
    return found


def _env_files(spec: Tree, path: str) -> list[Cause]:
    """fileKeyRef reads from an emptyDir of the pod."""
    found, volumes = [], {v.get("name", ""): v for v in spec.get("volumes") or ()}
    for container, place in pod_security.visited(spec, path):
        for i, variable in enumerate(container.get("env") or ()):
            ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if ref is None:
                continue
            at, name = f"{place}.env[{i}].valueFrom.fileKeyRef.volumeName", ref.get("volumeName", "")
            if name not in volumes:
                found.append(missing(at, name))
            elif "emptyDir" not in volumes[name]:
                found.append(wrong(at, name, "referenced volume must be of type emptyDir"))
    return found


NAMES: tuple[tuple[str, Callable[[str], list[str]]], ...] = (
    ("serviceAccountName", formats.subdomain),
    ("nodeName", formats.subdomain),
)


def validate(spec: Tree, path: str, owner: Owner) -> list[Cause]:
    """Everything that is wrong with a PodSpec."""
    found: list[Cause] = []
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        found.append(required(f"{path}.terminationGracePeriodSeconds"))
    volumes = pod_volumes.validate(spec.get("volumes") or [], f"{path}.volumes", owner)
    claims = {c["name"] for c in spec.get("resourceClaims") or () if c.get("name")}
    host_users = spec.get("hostUsers") is not False
    pod = pod_containers.Pod(volumes.usable, claims, grace, spec.get("restartPolicy", ""), host_users)
    main, init = spec.get("containers") or [], spec.get("initContainers") or []
    found += volumes.causes + _resource_claims(spec.get("resourceClaims") or [], f"{path}.resourceClaims")
    found += pod_containers.validate(main, pod, f"{path}.containers")
    found += pod_containers.validate_init(init, main, pod, f"{path}.initContainers")
    ephemeral = spec.get("ephemeralContainers") or []
    found += pod_containers.validate_ephemeral(ephemeral, main + init, pod, f"{path}.ephemeralContainers")
    found += pod_resources.validate_pod_level(spec, claims, path)
    found += _host_network(spec, path, owner.is_pod)
    found += fieldrules.one_of(f"{path}.restartPolicy", spec.get("restartPolicy", ""), RESTART_POLICIES)
    found += fieldrules.one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy", ""), DNS_POLICIES)
    found += metadata.label_causes(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    found += pod_security.validate_pod(spec, path)
    found += pod_affinity.validate(spec.get("affinity"), f"{path}.affinity")
    found += _dns_config(spec, f"{path}.dnsConfig")
    found += _gates(spec, path)
    spread = spec.get("topologySpreadConstraints") or []
    found += pod_affinity.validate_spread(spread, f"{path}.topologySpreadConstraints")
    found += pod_security.validate_host_process(spec, path)
    found += pod_security.validate_host_users(spec, path)
    found += _hostname_override(spec, path)
    for name, check in NAMES:
        if spec.get(name):
            found += formats.causes(f"{path}.{name}", spec[name], check)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= formats.MAX_INT32:
        why = formats.between(1, formats.MAX_INT32)
        found.append(wrong(f"{path}.activeDeadlineSeconds", deadline, why))
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            found += formats.causes(f"{path}.{name}", spec[name], formats.label)
    found += pod_affinity.validate_tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    found += _host_aliases(spec.get("hostAliases") or [], f"{path}.hostAliases")
    if spec.get("priorityClassName"):
        found += formats.causes(f"{path}.priorityClassName", spec["priorityClassName"], formats.subdomain)
    if spec.get("runtimeClassName") is not None:
        found += formats.causes(f"{path}.runtimeClassName", spec["runtimeClassName"], formats.subdomain)
    if spec.get("preemptionPolicy") is not None:
        found += fieldrules.one_of(f"{path}.preemptionPolicy", spec["preemptionPolicy"], PREEMPTION_POLICIES)
    if spec.get("overhead"):
        found += pod_resources.validate_container({"limits": spec["overhead"]}, set(), f"{path}.overhead")
    return found + pod_security.validate_os(spec, path) + _env_files(spec, path)
