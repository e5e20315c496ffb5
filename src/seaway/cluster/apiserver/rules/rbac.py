"""Roles and their bindings (pkg/apis/rbac); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.rules.ingress import path_segment
from seaway.cluster.apiserver.status import Cause, required, unlisted, wrong

Tree = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
SELECTORS = "aggregationRule.clusterRoleSelectors"


def default_binding(tree: Tree) -> None:
    ref = tree.setdefault("roleRef", {})
    ref["apiGroup"] = ref.get("apiGroup") or GROUP
    for subject in tree.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = GROUP


def validate_role(tree: Tree) -> list[Cause]:
    return _rule_causes(tree, True)


def validate_cluster_role(tree: Tree) -> list[Cause]:
    found = _rule_causes(tree, False)
    aggregation = tree.get("aggregationRule")
    if aggregation is not None:
        selectors = aggregation.get("clusterRoleSelectors") or []
        if not selectors:
            why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            found.append(required(SELECTORS, why))
        for i, selector in enumerate(selectors):
            found += fieldrules.selector_causes(selector, f"{SELECTORS}[{i}]")
    return found


def _rule_causes(tree: Tree, namespaced: bool) -> list[Cause]:
    found: list[Cause] = []
    for i, rule in enumerate(tree.get("rules") or ()):
        at = f"rules[{i}]"
        if not rule.get("verbs"):
            found.append(required(f"{at}.verbs", "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs")
        if urls:
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                found.append(wrong(f"{at}.nonResourceURLs", urls, why))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                found.append(wrong(f"{at}.nonResourceURLs", urls, why))
            continue
        if not rule.get("apiGroups"):
            found.append(required(f"{at}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            found.append(required(f"{at}.resources", "resource rules must supply at least one resource"))
    return found


def validate_role_binding(tree: Tree) -> list[Cause]:
    return _binding_causes(tree, True)


def validate_cluster_role_binding(tree: Tree) -> list[Cause]:
    return _binding_causes(tree, False)


def _binding_causes(tree: Tree, namespaced: bool) -> list[Cause]:
    ref = tree.get("roleRef") or {}
    found: list[Cause] = []
    if ref.get("apiGroup") != GROUP:
        found.append(unlisted("roleRef.apiGroup", ref.get("apiGroup", ""), (GROUP,)))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if ref.get("kind") not in kinds:
        found.append(unlisted("roleRef.kind", ref.get("kind", ""), kinds))
    if not ref.get("name"):
        found.append(required("roleRef.name"))
    else:
        found += formats.causes("roleRef.name", ref["name"], path_segment)
    for i, subject in enumerate(tree.get("subjects") or ()):
        found += _subject_causes(subject, f"subjects[{i}]", namespaced)
    return found


def _subject_causes(subject: Tree, at: str, namespaced: bool) -> list[Cause]:
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    found = [] if name else [required(f"{at}.name")]
    if kind == "ServiceAccount":
        if name:
            found += formats.causes(f"{at}.name", name, formats.subdomain)
        if group:
            found.append(unlisted(f"{at}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            found.append(required(f"{at}.namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            found.append(unlisted(f"{at}.apiGroup", group, (GROUP,)))
    else:
        found.append(unlisted(f"{at}.kind", kind, ("ServiceAccount", "User", "Group")))
    return found


def binding_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    """Whom a binding names may change, what it gives them may not."""
    ref = tree.get("roleRef") or {}
    if ref == old.get("roleRef"):
        return []
    shown = {"APIGroup": ref.get("apiGroup", ""), "Kind": ref.get("kind", ""), "Name": ref.get("name", "")}
    return [wrong("roleRef", shown, "cannot change roleRef")]
