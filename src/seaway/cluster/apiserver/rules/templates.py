"""Pod templates inside workloads: defaults, validation, warnings."""

from __future__ import annotations

from typing import Any

from seaway.api.selectors import Selector
from seaway.cluster.apiserver import metadata
from seaway.cluster.apiserver.rules import pod_annotations, pod_defaults, pod_spec
from seaway.cluster.apiserver.rules.pod_volumes import Owner
from seaway.cluster.apiserver.status import Cause, not_permitted, unlisted, wrong

Tree = dict[str, Any]
NO_MATCH = "`selector` does not match template `labels`"


def default(spec: Tree) -> Tree:
    """Defaults of `spec.template`, in place."""
    template: Tree = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_defaults.default_spec(template.setdefault("spec", {}))
    return template


def labels_of(template: Tree) -> dict[str, str]:
    return (template.get("metadata") or {}).get("labels") or {}


def labels_shown(template: Tree) -> dict[str, str] | None:
    """Labels as an error shows them: none at all are null."""
    labels = (template.get("metadata") or {}).get("labels")
    return dict(sorted(labels.items())) if labels else None


def matching(template: Tree, selector: Selector | None, path: str) -> list[Cause]:
    """The pods of a workload have to be its own."""
    if selector is not None and selector.matches(labels_of(template)):
        return []
    return [wrong(f"{path}.metadata.labels", labels_shown(template), NO_MATCH)]


def validate(template: Tree, path: str) -> list[Cause]:
    """ValidatePodTemplateSpec. Upstream says labels and annotations without `metadata`."""
    spec, annotations = template.get("spec") or {}, (template.get("metadata") or {}).get("annotations") or {}
    found = metadata.label_causes(labels_of(template), f"{path}.labels")
    found += metadata.annotation_causes(annotations, f"{path}.annotations")
    found += pod_annotations.validate(annotations, spec, f"{path}.annotations")
    found += pod_spec.validate(spec, f"{path}.spec", Owner())
    found += pod_annotations.validate_match(annotations, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        found.append(not_permitted(f"{path}.spec.ephemeralContainers", why))
    return found


def always_running(template: Tree, kind: str, path: str) -> list[Cause]:
    """What the kinds that keep pods running ask of them."""
    spec, found = template.get("spec") or {}, []
    if spec.get("restartPolicy", "") != "Always":
        found.append(unlisted(f"{path}.spec.restartPolicy", spec.get("restartPolicy", ""), ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        found.append(not_permitted(f"{path}.spec.activeDeadlineSeconds", why))
    return found
