"""What the server says of a pod that it takes all the same (pkg/api/pod/warnings.go)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api import quantities
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import pod_annotations, pod_security, volume_claims
from seaway.cluster.apiserver.rules.pod_affinity import PREFERRED, REQUIRED
from seaway.cluster.apiserver.status import quoted

Tree = dict[str, Any]
NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
# In upstream's order: (field, name in the warning, what is said); an ephemeral volume's claim comes before the last two.
VOLUMES = (
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("ephemeral", "", ""),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)
SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
APP_ARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
NO_SELECTOR = "a null labelSelector results in matching no pod"
FRACTION = "fractional byte value {} is invalid, must be an integer"


def hostname(name: str, of: str = "the Pod's hostname") -> list[str]:
    """A name that pods carry as their host's should be a label."""
    problems = formats.label(name)
    if not problems:
        return []
    told = " ".join(problems)
    return [
        f"metadata.name: this is used in {of}, which can result in surprising behavior; a DNS label is recommended: "
        f"[{told}]"
    ]


def _terms(spec: Tree, path: str) -> list[str]:
    found = []
    for key in sorted(spec.get("nodeSelector") or ()):
        if key in NODE_LABELS:
            found.append(f"{path}spec.nodeSelector[{key}]: {NODE_LABELS[key]}")
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    at = f"{path}spec.affinity.nodeAffinity"
    for i, term in enumerate((affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        found += _term(term, False, f"{at}.{REQUIRED}.nodeSelectorTerms[{i}]")
    for i, term in enumerate(affinity.get(PREFERRED) or ()):
        found += _term(term.get("preference") or {}, True, f"{at}.{PREFERRED}[{i}].preference")
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        place, key = f"{path}spec.topologySpreadConstraints[{i}]", constraint.get("topologyKey", "")
        if key in NODE_LABELS:
            found.append(f"{place}.topologyKey: {key} is {NODE_LABELS[key]}")
        if constraint.get("labelSelector") is None:
            found.append(f"{place}.labelSelector: {NO_SELECTOR}")
    return found


def _term(term: Tree, with_values: bool, path: str) -> list[str]:
    found = []
    for i, expression in enumerate(term.get("matchExpressions") or ()):
        key, at = expression.get("key", ""), f"{path}.matchExpressions[{i}]"
        if key in NODE_LABELS:
            found.append(f"{at}.key: {key} is {NODE_LABELS[key]}")
        for j, value in enumerate(expression.get("values") or () if with_values else ()):
            found += [f"{at}.values[{j}]: {value} is invalid, {why}" for why in formats.label_value(value)]
    return found


class _Target(NamedTuple):
    """A path that a volume writes, and what writes it."""

    path: str
    source: str

    def __str__(self) -> str:
        return f"{quoted(self.path)} ({self.source})" if self.source else quoted(self.path)


def _overlaps(targets: Iterable[_Target]) -> list[str]:
    """Paths of which one is the other, or lies in it."""
    found: list[str] = []
    before: list[_Target] = []
    for target in (t._replace(path=t.path.rstrip("/")) for t in targets):
        for other in before if target.path else ():
            inside = f"{other.path}/".startswith(f"{target.path}/") or f"{target.path}/".startswith(f"{other.path}/")
            if other.path and inside:
                found.append(f"{target} with {other}")
        before.append(target)
    return found


def _items(source: Tree, told: str) -> list[_Target]:
    return [_Target(item.get("path", ""), told) for item in source.get("items") or ()]


def _projected(source: Tree) -> list[_Target]:
    for field, noun in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if (source.get(field) or {}).get("items"):
            return _items(source[field], f"{noun} {quoted(source[field].get('name', ''))}")
    if (source.get("downwardAPI") or {}).get("items"):
        return _items(source["downwardAPI"], "DownwardAPI")
    if source.get("serviceAccountToken") is not None:
        return [_Target(source["serviceAccountToken"].get("path", ""), "ServiceAccountToken")]
    return []


def _volume_paths(volume: Tree) -> list[str]:
    name, found = quoted(volume.get("name", "")), []
    for field, noun, key in (
        ("configMap", "ConfigMap", "name"),
        ("secret", "Secret", "secretName"),
        ("downwardAPI", "", ""),
    ):
        source = volume.get(field)
        if source is not None:
            told = f"{noun} {quoted(source.get(key, ''))}" if noun else "DownwardAPI"
            found += [f"volume {name} ({told}): overlapping paths: {o}" for o in _overlaps(_items(source, ""))]
    targets: list[_Target] = []
    for source in (volume.get("projected") or {}).get("sources") or ():
        if not source:
            found.append(f"volume {name} (Projected) has no sources provided")
            continue
        more = _projected(source)
        known = len(_overlaps(targets))
        for target in more:
            targets.append(target)
            overlaps = _overlaps(targets)
            found += [f"volume {name} (Projected): overlapping paths: {o}" for o in overlaps[known:]]
            known = len(overlaps)
    return found


def _volumes(spec: Tree, path: str) -> list[str]:
    found = []
    for i, volume in enumerate(spec.get("volumes") or ()):
        at = f"{path}spec.volumes[{i}]"
        for field, name, text in VOLUMES:
            if volume.get(field) is None:
                continue
            claim = volume[field].get("volumeClaimTemplate") if field == "ephemeral" else None
            if text:
                found.append(f"{at}.{name}: {text}")
            elif claim is not None:
                found += volume_claims.warnings(claim.get("spec") or {}, f"{at}.ephemeral.volumeClaimTemplate.spec")
    for volume in spec.get("volumes") or ():
        found += _volume_paths(volume)
    return found


def _doubled(entries: list[Tree], field: str, path: str) -> list[str]:
    found, seen = [], set[str]()
    for i, entry in enumerate(entries):
        value = entry.get(field, "")
        if value in seen:
            found.append(f"{path}[{i}].{field}: duplicate {field} {quoted(value)}")
        seen.add(value)
    return found


def _fractions(amounts: Tree, path: str, name: str) -> list[str]:
    text = amounts.get(name)
    if text is None or quantities.parse(text).denominator == 1:
        return []
    return [f"{path}[{name}]: {FRACTION.format(quoted(text))}"]


def _container(container: Tree, path: str, annotations: dict[str, str], spec: Tree, template: str) -> list[str]:
    context, name, found = container.get("securityContext") or {}, container.get("name", ""), []
    key = f"{pod_annotations.SECCOMP_CONTAINER}{name}"
    if context.get("seccompProfile") is None and key in annotations:
        found.append(f"{template}metadata.annotations[{key}]: {SECCOMP}")
    key = f"{pod_annotations.APP_ARMOR}{name}"
    if template and context.get("appArmorProfile") is None and key in annotations:
        own = (spec.get("securityContext") or {}).get("appArmorProfile")
        if own is None or own != pod_annotations.app_armor_profile(annotations[key]):
            found.append(f"{template}metadata.annotations[{key}]: {APP_ARMOR}")
    resources = container.get("resources") or {}
    for resource in ("memory", "ephemeral-storage"):
        for section in ("limits", "requests"):
            found += _fractions(resources.get(section) or {}, f"{path}.resources.{section}", resource)
    seen = set[str]()
    for i, variable in enumerate(container.get("env") or ()):
        variable_name, value = variable.get("name", ""), variable.get("value", "")
        ref = f"$({variable_name})"
        # A value that only refers to the earlier one loses nothing.
        if variable_name in seen and (variable.get("valueFrom") is not None or value == ref or ref not in value):
            why = f"hides previous definition of {quoted(variable_name)}, which may be dropped when using apply"
            found.append(f"{path}.env[{i}]: {why}")
        seen.add(variable_name)
    return found


def _go_port(port: Tree) -> str:
    """A ContainerPort as Go's %+v shows it."""
    fields = (("Name", "name", ""), ("HostPort", "hostPort", 0), ("ContainerPort", "containerPort", 0))
    told = " ".join(f"{go}:{port.get(key, zero)}" for go, key, zero in fields)
    return f"{{{told} Protocol:{port.get('protocol', '')} HostIP:{port.get('hostIP', '')}}}"


def _ports(spec: Tree, path: str) -> list[str]:
    found: list[str] = []
    known: dict[tuple[int, str], list[tuple[str, Tree]]] = {}
    names: dict[str, str] = {}
    repeated: list[str] = []
    for container, place in pod_security.visited(spec, f"{path}spec"):
        for i, port in enumerate(container.get("ports") or ()):
            at, ip, host = f"{place}.ports[{i}]", port.get("hostIP", ""), port.get("hostPort", 0)
            if ip and not host:
                found.append(f"{at}: hostIP set without hostPort: {_go_port(port)}")
            same = known.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
            for where, other in same:
                other_ip, other_host = other.get("hostIP", ""), other.get("hostPort", 0)
                if ip == other_ip and host == other_host:
                    found.append(f"{at}: duplicate port definition with {where}")
                elif not host or not other_host:
                    found.append(f"{at}: overlapping port definition with {where}")
                elif host == other_host and bool(ip) != bool(other_ip):
                    found.append(f"{at}: dangerously ambiguous port definition with {where}")
            same.append((at, port))
            name = port.get("name", "")
            if name in names:
                first = names[name]
                repeated.append(
                    f"{at}: duplicate port name {quoted(name)} with {first}, services and probes that select ports by "
                    f"name will use {first}"
                )
            elif name:
                names[name] = at
    return found + repeated


def _pod_affinity(spec: Tree, path: str) -> list[str]:
    found = []
    for name in ("podAffinity", "podAntiAffinity"):
        affinity, at = (spec.get("affinity") or {}).get(name) or {}, f"{path}spec.affinity.{name}"
        for i, term in enumerate(affinity.get(REQUIRED) or ()):
            if term.get("labelSelector") is None:
                found.append(f"{at}.{REQUIRED}[{i}].labelSelector: {NO_SELECTOR}")
        for i, weighted in enumerate(affinity.get(PREFERRED) or ()):
            if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
                found.append(f"{at}.{PREFERRED}[{i}].podAffinityTerm.labelSelector: {NO_SELECTOR}")
    return found


def of_spec(spec: Tree, annotations: dict[str, str], template: str = "") -> list[str]:
    """Warnings of a pod, or of a template at the path `template` (`spec.template`)."""
    path = f"{template}." if template else ""
    found = _terms(spec, path)
    for key, text in ANNOTATIONS.items():
        if key in annotations:
            found.append(f"{path}metadata.annotations[{key}]: {text}")
    found += _volumes(spec, path)
    found += _doubled(spec.get("hostAliases") or [], "ip", f"{path}spec.hostAliases")
    secrets = spec.get("imagePullSecrets") or []
    found += _doubled(secrets, "name", f"{path}spec.imagePullSecrets")
    for i, secret in enumerate(secrets):
        if not secret.get("name"):
            found.append(f'{path}spec.imagePullSecrets[{i}].name: invalid empty name ""')
    for resource in ("memory", "ephemeral-storage"):
        found += _fractions(spec.get("overhead") or {}, f"{path}spec.overhead", resource)
    if (spec.get("securityContext") or {}).get("seccompProfile") is None and pod_annotations.SECCOMP_POD in annotations:
        found.append(f"{path}metadata.annotations[{pod_annotations.SECCOMP_POD}]: {SECCOMP}")
    for container, place in pod_security.visited(spec, f"{path}spec"):
        found += _container(container, place, annotations, spec, path)
    found += _ports(spec, path)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{path}spec.terminationGracePeriodSeconds: {why}")
    found += _pod_affinity(spec, path)
    for i, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        found += formats.address_warnings(f"{path}spec.dnsConfig.nameservers[{i}]", server)
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        found += formats.address_warnings(f"{path}spec.hostAliases[{i}].ip", alias.get("ip", ""))
    return found


def of_template(template: Tree | None, path: str) -> list[str]:
    template = template or {}
    return of_spec(template.get("spec") or {}, (template.get("metadata") or {}).get("annotations") or {}, path)
