"""LimitRanges at work: amounts that containers are given, bounds that pods and claims must keep; pure.

k8s.io/kubernetes/plugin/pkg/admission/limitranger. Upstream goes through ranges and amounts in no order; here by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

from seaway.api import quantities
from seaway.cluster.apiserver.rules import pod_resources

Tree = dict[str, Any]
Amounts = dict[str, str]
ANNOTATION = "kubernetes.io/limit-ranger"
PLACES = (("containers", "container"), ("initContainers", "init container"))


def _limits(entry: Tree, kind: str) -> Iterator[Tree]:
    return (limit for limit in (entry.get("spec") or {}).get("limits") or () if limit.get("type") == kind)


def _given(container: Tree, defaults: dict[str, Amounts], noun: str) -> Iterator[str]:
    """Completes a container; what it was given, in words."""
    for section, word in (("requests", "request"), ("limits", "limit")):
        resources = container.get("resources") or {}
        have = resources.get(section) or {}
        more = {name: amount for name, amount in defaults[section].items() if name not in have}
        if more:
            container["resources"] = {**resources, section: {**have, **more}}
            yield f"{', '.join(sorted(more))} {word} for {noun} {container.get('name', '')}"


def complete(pod: Tree, ranges: Iterable[Tree]) -> None:
    """Gives the containers of a new pod what its namespace's ranges have for those that ask for nothing."""
    spec = pod["spec"]
    for entry in ranges:
        defaults: dict[str, Amounts] = {"requests": {}, "limits": {}}
        for limit in _limits(entry, "Container"):
            defaults["requests"].update(limit.get("defaultRequest") or {})
            defaults["limits"].update(limit.get("default") or {})
        told = [t for n, noun in PLACES for c in spec.get(n) or () for t in _given(c, defaults, noun)]
        if told:
            annotations = pod["metadata"].get("annotations") or {}
            pod["metadata"]["annotations"] = {**annotations, ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}"}


def _milli(text: str) -> int:
    value = quantities.parse(text) * 1000
    return -(-value.numerator // value.denominator)


def _at_least(usage: str, enforced: str, request: str | None, limit: str | None) -> str:
    if request is None:
        return f"minimum {usage} is {enforced}.  No request is specified"
    for value, noun in ((request, "request"), (limit, "limit")):
        if value is not None and _milli(value) < _milli(enforced):
            return f"minimum {usage} is {enforced}, but {noun} is {value}"
    return ""


def _at_most(usage: str, enforced: str, request: str | None, limit: str | None) -> str:
    if limit is None:
        return f"maximum {usage} is {enforced}.  No limit is specified"
    for value, noun in ((limit, "limit"), (request, "request")):
        if value is not None and _milli(value) > _milli(enforced):
            return f"maximum {usage} is {enforced}, but {noun} is {value}"
    return ""


def _request_at_most(usage: str, enforced: str, request: str | None, limit: str | None) -> str:
    """For claims, which have no limits."""
    if request is None:
        return f"maximum {usage} is {enforced}.  No request is specified"
    return f"maximum {usage} is {enforced}, but request is {request}" if _milli(request) > _milli(enforced) else ""


def _ratio(usage: str, enforced: str, request: str | None, limit: str | None) -> str:
    name, _, kind = usage.partition(" usage per ")
    told = f"{name} max limit to request ratio per {kind} is {enforced}, but"
    if request is None or not _milli(request):
        return f"{told} no request is specified or request is 0"
    if limit is None or not _milli(limit):
        return f"{told} no limit is specified or limit is 0"
    ratio = Fraction(_milli(limit), _milli(request))
    return f"{told} provided ratio is {float(ratio):f}" if ratio > quantities.parse(enforced) else ""


Check = Callable[[str, str, str | None, str | None], str]
POD_CHECKS: tuple[tuple[str, Check], ...] = (("min", _at_least), ("max", _at_most), ("maxLimitRequestRatio", _ratio))
CLAIM_CHECKS: tuple[tuple[str, Check], ...] = (("min", _at_least), ("max", _request_at_most))


def _against(limit: Tree, checks: tuple[tuple[str, Check], ...], requests: Amounts, limits: Amounts) -> Iterator[str]:
    for field, check in checks:
        for name, enforced in sorted((limit.get(field) or {}).items()):
            yield check(f"{name} usage per {limit['type']}", enforced, requests.get(name), limits.get(name))


def _sections(container: Tree) -> tuple[Amounts, Amounts]:
    resources = container.get("resources") or {}
    return resources.get("requests") or {}, resources.get("limits") or {}


def _whole(spec: Tree, section: str) -> Amounts:
    """What a pod asks for as a whole; its own amounts stand above those of its containers."""
    own = (spec.get("resources") or {}).get(section) or {}
    summed = {name: str(total) for name, total in pod_resources.aggregate(spec, section).items()}
    return {**summed, **{name: amount for name, amount in own.items() if name in pod_resources.COMPUTE}}


def _pod_problems(spec: Tree, entry: Tree) -> Iterator[str]:
    for limit in (entry.get("spec") or {}).get("limits") or ():
        if limit.get("type") == "Container":
            for container in (c for n, _ in PLACES for c in spec.get(n) or ()):
                yield from _against(limit, POD_CHECKS, *_sections(container))
        elif limit.get("type") == "Pod":
            yield from _against(limit, POD_CHECKS, _whole(spec, "requests"), _whole(spec, "limits"))


def _problem(found: Iterable[str]) -> str:
    """Several problems in one text, each once."""
    told = list(dict.fromkeys(filter(None, found)))
    return f"[{', '.join(told)}]" if len(told) > 1 else "".join(told)


def of_pod(pod: Tree, ranges: Iterable[Tree]) -> str:
    """What the first range that a pod breaks has against it, empty where none has anything."""
    return next(filter(None, (_problem(_pod_problems(pod["spec"], entry)) for entry in ranges)), "")


def of_claim(claim: Tree, ranges: Iterable[Tree]) -> str:
    """The same, of a PersistentVolumeClaim."""
    requests, _ = _sections(claim.get("spec") or {})
    for entry in ranges:
        limits = _limits(entry, "PersistentVolumeClaim")
        told = _problem(t for limit in limits for t in _against(limit, CLAIM_CHECKS, requests, {}))
        if told:
            return told
    return ""
