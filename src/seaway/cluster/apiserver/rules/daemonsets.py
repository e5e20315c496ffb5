"""DaemonSet: defaults, validation, and the template's generation that lives on in an annotation."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import zeros
from seaway.cluster.apiserver.rules import Part, Rule, fieldrules, pod_warnings, replicas, templates
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.status import Cause, required, unlisted, wrong

Tree = dict[str, Any]
GENERATION = "deprecated.daemonset.template.generation"
COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    templates.default(spec)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    zeros.complete("io.k8s.api.apps.v1.DaemonSet", tree)


def _generation(tree: Tree) -> int:
    text = ((tree.get("metadata") or {}).get("annotations") or {}).get(GENERATION, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _set_generation(tree: Tree, value: int) -> None:
    tree["metadata"]["annotations"] = {**(tree["metadata"].get("annotations") or {}), GENERATION: str(value)}


def begin(tree: Tree) -> None:
    _set_generation(tree, max(1, _generation(tree)))


def prepare(new: Tree, old: Tree) -> None:
    changed = new["spec"].get("template") != old["spec"].get("template")
    _set_generation(new, _generation(old) + changed)


def _rolling(rolling: Tree, path: str) -> list[Cause]:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    found = []
    for check in (replicas.int_or_percent, replicas.at_most_all):
        found += check(f"{path}.maxUnavailable", unavailable) + check(f"{path}.maxSurge", surge)
    if replicas.amount(unavailable) and replicas.amount(surge):
        found.append(wrong(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif not replicas.amount(unavailable) and not replicas.amount(surge):
        found.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return found


def _strategy(strategy: Tree, path: str) -> list[Cause]:
    kind = strategy.get("type", "")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        return [unlisted(path, internal("DaemonSetUpdateStrategy", strategy), ("RollingUpdate", "OnDelete"))]
    if strategy.get("rollingUpdate") is None:
        return [required(f"{path}.rollingUpdate")]
    return _rolling(strategy["rollingUpdate"], f"{path}.rollingUpdate")


def validate(tree: Tree) -> list[Cause]:
    spec, path = tree.get("spec") or {}, "spec.template"
    template, found = spec.get("template") or {}, fieldrules.selector_causes(spec.get("selector"), "spec.selector")
    chosen, can_be = replicas.compiled(spec)
    if can_be:
        found += templates.matching(template, chosen, path)
    if spec.get("selector") is not None and fieldrules.is_empty_selector(spec["selector"]):
        found.append(wrong("spec.selector", {}, "empty selector is invalid for daemonset"))
    found += templates.validate(template, path) + templates.always_running(template, "DaemonSet", path)
    found += fieldrules.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    found += _strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    return found + fieldrules.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def revalidate(new: Tree, old: Tree) -> list[Cause]:
    return replicas.immutable_selector(new, old) + validate(new)


def _status(new: Tree, old: Tree) -> list[Cause]:
    status = new.get("status") or {}
    found = fieldrules.not_negatives(status, "status", *COUNTS)
    return found + replicas.not_decremented(status, old.get("status") or {})


def warnings(tree: Tree, old: Tree | None) -> list[str]:
    template = tree["spec"].get("template")
    if old is not None and template == old["spec"].get("template"):
        return []
    return pod_warnings.of_template(template, "spec.template")


DAEMONSETS = Rule(
    default,
    begin,
    validate,
    prepare=prepare,
    revalidate=revalidate,
    warnings=warnings,
    parts={"status": Part(validate=_status)},
)
