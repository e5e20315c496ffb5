"""Deployment, ReplicaSet and ReplicationController: defaults, validation, update rules."""

from __future__ import annotations

from typing import Any

from seaway.api.selectors import exact
from seaway.cluster.apiserver import zeros
from seaway.cluster.apiserver.rules import Part, Rule, fieldrules, replicas, templates
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.status import Cause, not_permitted, required, unlisted, wrong

Tree = dict[str, Any]
COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def default_deployment(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    templates.default(spec)
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    zeros.complete("io.k8s.api.apps.v1.Deployment", tree)


def default_replicaset(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    templates.default(spec)
    spec.setdefault("replicas", 1)
    zeros.complete("io.k8s.api.apps.v1.ReplicaSet", tree)


def default_controller(tree: Tree) -> None:
    """A ReplicationController without selector or labels has its template's."""
    spec = tree.setdefault("spec", {})
    if "template" in spec:
        labels = templates.labels_of(templates.default(spec))
        if labels and not spec.get("selector"):
            spec["selector"] = dict(labels)
        if labels and not tree["metadata"].get("labels"):
            tree["metadata"]["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
    zeros.complete("io.k8s.api.core.v1.ReplicationController", tree)


def _template(spec: Tree) -> list[Cause]:
    found, can_be = replicas.compiled(spec)
    if not can_be:
        shown = fieldrules.selector_shown(spec.get("selector"))
        return [wrong("spec.selector", shown, "invalid label selector")]
    template, path = spec.get("template") or {}, "spec.template"
    causes = templates.matching(template, found, path) + templates.validate(template, path)
    return causes + templates.always_running(template, "ReplicaSet", path)


def _strategy(strategy: Tree, path: str) -> list[Cause]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [] if rolling is None else [not_permitted(f"{path}.rollingUpdate", why)]
    if kind != "RollingUpdate":
        return [unlisted(path, internal("DeploymentStrategy", strategy), ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    at, unavailable, surge = f"{path}.rollingUpdate", rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    found = replicas.int_or_percent(f"{at}.maxUnavailable", unavailable)
    found += replicas.int_or_percent(f"{at}.maxSurge", surge)
    if not replicas.amount(unavailable) and not replicas.amount(surge):
        found.append(wrong(f"{at}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    return found + replicas.at_most_all(f"{at}.maxUnavailable", unavailable)


def validate_deployment(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = fieldrules.not_negative("spec.replicas", spec.get("replicas"))
    found += replicas.selector(spec, "deployment") + _template(spec)
    found += _strategy(spec.get("strategy") or {}, "spec.strategy")
    found += fieldrules.not_negatives(spec, "spec", "minReadySeconds", "revisionHistoryLimit")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        path = "spec.progressDeadlineSeconds"
        found += fieldrules.not_negative(path, deadline)
        if deadline <= spec.get("minReadySeconds", 0):
            found.append(wrong(path, deadline, "must be greater than minReadySeconds"))
    return found


def validate_replicaset(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = fieldrules.not_negatives(spec, "spec", "replicas", "minReadySeconds")
    return found + replicas.selector(spec, "deployment") + _template(spec)


def validate_controller(tree: Tree) -> list[Cause]:
    spec, template = tree.get("spec") or {}, (tree.get("spec") or {}).get("template")
    found = fieldrules.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    chosen = spec.get("selector") or {}
    if not chosen:
        found.append(required("spec.selector"))
    found += fieldrules.not_negative("spec.replicas", spec.get("replicas"))
    if template is None:
        return [*found, required("spec.template")]
    found += templates.matching(template, exact(chosen), "spec.template")
    found += templates.validate(template, "spec.template")
    return found + templates.always_running(template, "ReplicationController", "spec.template")


def prepare_deployment(new: Tree, old: Tree) -> None:
    """Annotations of a Deployment go to its ReplicaSets: a change of them is a change of generation."""
    before = old["metadata"]
    if (new["metadata"].get("annotations") or {}) != (before.get("annotations") or {}) and "generation" in before:
        new["metadata"]["generation"] = before["generation"] + 1


def _deployment_status(new: Tree, old: Tree) -> list[Cause]:
    status = new.get("status") or {}
    within = ("updatedReplicas", "readyReplicas", "availableReplicas")
    names = (
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    )
    found = replicas.validate_status(status, names, within)
    return found + replicas.not_decremented(status, old.get("status") or {})


def _replicaset_status(new: Tree, old: Tree) -> list[Cause]:
    names = (*COUNTS, "observedGeneration", "terminatingReplicas")
    return replicas.validate_status(new.get("status") or {}, names, COUNTS[1:])


def _controller_status(new: Tree, old: Tree) -> list[Cause]:
    return replicas.validate_status(new.get("status") or {}, (*COUNTS, "observedGeneration"), COUNTS[1:])


def controller_warnings(tree: Tree, old: Tree | None) -> list[str]:
    """On an update upstream warns of the template that was."""
    return TEMPLATE_WARNINGS(tree, None) if old is None else TEMPLATE_WARNINGS({**tree, "spec": old["spec"]}, tree)


TEMPLATE_WARNINGS = replicas.warnings()
DEPLOYMENTS = Rule(
    default_deployment,
    validate=validate_deployment,
    validate_update=replicas.immutable_selector,
    prepare=prepare_deployment,
    warnings=TEMPLATE_WARNINGS,
    parts={"status": Part(validate=_deployment_status)},
)
REPLICASETS = Rule(
    default_replicaset,
    validate=validate_replicaset,
    validate_update=replicas.immutable_selector,
    warnings=TEMPLATE_WARNINGS,
    parts={"status": Part(validate=_replicaset_status)},
)
REPLICATION_CONTROLLERS = Rule(
    default_controller,
    validate=validate_controller,
    warnings=controller_warnings,
    parts={"status": Part(validate=_controller_status)},
)
