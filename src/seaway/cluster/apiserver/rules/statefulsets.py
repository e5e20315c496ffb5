"""StatefulSet and ControllerRevision: defaults, validation, update rules (pkg/apis/apps)."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats, metadata, zeros
from seaway.cluster.apiserver.rules import (
    Part,
    Rule,
    fieldrules,
    pod_annotations,
    pod_warnings,
    replicas,
    templates,
    volume_claims,
)
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong

Tree = dict[str, Any]
MANAGEMENT = ("OrderedReady", "Parallel")
RETENTION = ("Retain", "Delete")
MUTABLE = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)
IMMUTABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
NEGATIVE_HISTORY = (
    "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
)
COUNTS = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    templates.default(spec)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    rolling = strategy.get("rollingUpdate")
    if rolling is not None:
        rolling.pop("maxUnavailable", None)  # MaxUnavailableStatefulSet is off in v1.36
        if strategy["type"] == "RollingUpdate":
            rolling.setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for name in ("whenDeleted", "whenScaled"):
        retention[name] = retention.get(name) or "Retain"
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("apiVersion", "v1")
        volume_claims.default_spec(claim.setdefault("spec", {}))
        claim["status"] = {
            **(claim.get("status") or {}),
            "phase": (claim.get("status") or {}).get("phase") or "Pending",
        }
    zeros.complete("io.k8s.api.apps.v1.StatefulSet", tree)


def _strategy(strategy: Tree, path: str) -> list[Cause]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        return [required(path)]
    if kind == "OnDelete":
        why = "only allowed for updateStrategy 'RollingUpdate'"
        shown = internal("RollingUpdateStatefulSetStrategy", rolling)
        return [] if rolling is None else [wrong(f"{path}.rollingUpdate", shown, why)]
    if kind != "RollingUpdate":
        shown = internal("StatefulSetUpdateStrategy", strategy)
        return [wrong(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    return fieldrules.not_negative(f"{path}.rollingUpdate.partition", (rolling or {}).get("partition"))


def _with_claims(spec: Tree) -> Tree:
    """The template as its pods will have it: with a volume a claim, without the names that are each pod's own."""
    template: Tree = spec.get("template") or {}
    pod = {k: v for k, v in (template.get("spec") or {}).items() if k not in ("subdomain", "hostname")}
    names = [(claim.get("metadata") or {}).get("name", "") for claim in spec.get("volumeClaimTemplates") or ()]
    if names:
        volumes = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in dict.fromkeys(names)]
        pod["volumes"] = volumes + [v for v in pod.get("volumes") or () if v.get("name") not in names]
    return {**template, "spec": pod}


def _template(spec: Tree, valid_before: bool) -> list[Cause]:
    path, chosen = "spec.template", replicas.compiled(spec)
    if not chosen[1]:
        return [wrong("spec.selector", fieldrules.selector_shown(spec.get("selector")), "")]
    template = _with_claims(spec)
    found = templates.matching(template, chosen[0], path)
    if valid_before:
        found += templates.validate(template, path)
    # Upstream checks these twice.
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    found += metadata.label_causes(templates.labels_of(template), f"{path}.labels")
    found += metadata.annotation_causes(annotations, f"{path}.annotations")
    return found + pod_annotations.validate(annotations, template["spec"], f"{path}.annotations")


def _validate(tree: Tree, new: bool = True, valid_before: bool = True) -> list[Cause]:
    spec, found = tree.get("spec") or {}, []
    management = spec.get("podManagementPolicy", "")
    if not management:
        found.append(required("spec.podManagementPolicy"))
    elif management not in MANAGEMENT:
        found.append(wrong("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'"))
    found += _strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    retention: Tree = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name in ("whenDeleted", "whenScaled") if retention else ():
        value, at = retention.get(name, ""), f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        found += fieldrules.listed(at, value, RETENTION)
    if new:
        for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            found += volume_claims.validate_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec")
    found += fieldrules.not_negatives(spec, "spec", "replicas", "minReadySeconds")
    if spec.get("ordinals") is not None:
        found += fieldrules.not_negative("spec.ordinals.start", spec["ordinals"].get("start"))
    if new and spec.get("serviceName"):
        found += formats.causes("spec.serviceName", spec["serviceName"], formats.label)
    found += replicas.selector(spec, "statefulset") + _template(spec, valid_before)
    return found + templates.always_running(spec.get("template") or {}, "StatefulSet", "spec.template")


def validate(tree: Tree) -> list[Cause]:
    return _validate(tree)


def revalidate(new: Tree, old: Tree) -> list[Cause]:
    """What cannot change is not judged again; a template that was bad before may stay so."""
    found = _validate(new, new=False, valid_before=not _validate(old, new=False))
    if any(new["spec"].get(n) != old["spec"].get(n) for n in {*new["spec"], *old["spec"]} - set(MUTABLE)):
        found.append(not_permitted("spec", IMMUTABLE))
    return found


def _status(new: Tree, old: Tree) -> list[Cause]:
    status = new.get("status") or {}
    names = (*COUNTS, "observedGeneration", "collisionCount")
    found = replicas.validate_status(status, names, COUNTS[1:], "cannot be greater than status.readyReplicas")
    return found + replicas.not_decremented(status, old.get("status") or {})


def warnings(tree: Tree, old: Tree | None) -> list[str]:
    spec, found = tree["spec"], []
    if old is None or spec != old["spec"]:
        found += pod_warnings.of_template(spec.get("template"), "spec.template")
    for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        path = f"spec.volumeClaimTemplates[{i}]" + ("" if old is None else ".Spec")
        found += volume_claims.warnings(claim.get("spec") or {}, path)
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        found.append(NEGATIVE_HISTORY)
    return found


def validate_revision(tree: Tree) -> list[Cause]:
    found = fieldrules.not_negative("revision", tree.get("revision"))
    data = tree.get("data")
    if data is None:
        found.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        found.append(required("data", "data must be a valid JSON object"))
    return found


def revalidate_revision(new: Tree, old: Tree) -> list[Cause]:
    found = fieldrules.not_negative("revision", new.get("revision"))
    return found + fieldrules.unchanged("data", new.get("data"), old.get("data"))


STATEFULSETS = Rule(
    default,
    validate=validate,
    revalidate=revalidate,
    warnings=warnings,
    parts={"status": Part(validate=_status)},
)
CONTROLLER_REVISIONS = Rule(validate=validate_revision, revalidate=revalidate_revision)
