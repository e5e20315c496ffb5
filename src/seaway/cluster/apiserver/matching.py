"""Which requests a webhook or an admission policy looks at: rules, scopes, equivalent forms, selectors; pure.

k8s.io/apiserver pkg/admission/plugin/webhook/predicates, and generic/webhook.go ShouldCallHook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.api.selectors import label_selector
from seaway.cluster.apiserver import forms
from seaway.cluster.apiserver.custom import objects
from seaway.cluster.apiserver.reviewing import CREATE, UPDATE, Attributes, GroupVersionKind

Tree = dict[str, Any]
REGISTRATION = "admissionregistration.k8s.io"
# What may stop every write must not stop its own mending.
EXEMPT = frozenset(
    {
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    }
)


class Target(NamedTuple):
    """The form in which a request is looked at: the resource, and what its objects are."""

    kind: Kind
    object_kind: GroupVersionKind


def is_exempt(attributes: Attributes) -> bool:
    """Whether a request is about the configuration of admission itself (IsExemptAdmissionConfigurationResource)."""
    found = attributes.object_kind
    return found.group == REGISTRATION and found.kind in EXEMPT


def _has(listed: Iterable[str], wanted: str) -> bool:
    return any(item in ("*", wanted) for item in listed)


def _in_scope(scope: str, kind: Kind, namespace: str) -> bool:
    # A namespace lies in itself, and is of the cluster's all the same.
    of_cluster = not namespace or (kind.group == "" and kind.resource == "namespaces")
    return scope in (None, "", "*") or (scope == "Cluster" and of_cluster) or (scope == "Namespaced" and not of_cluster)


def _resource_matches(listed: Iterable[str], resource: str, subresource: str) -> bool:
    for text in listed:
        name, _, part = text.partition("/")
        if name in ("*", resource) and part in ("*", subresource):
            return True
    return False


def rule_matches(rule: Tree, attributes: Attributes, kind: Kind | None = None) -> bool:
    """Whether a RuleWithOperations takes a request; `kind`: as if it were about this form of the resource."""
    kind = kind or attributes.kind
    names = rule.get("resourceNames") or ()  # of policies alone (NamedRuleWithOperations)
    return (
        _in_scope(rule.get("scope", ""), kind, attributes.namespace)
        and _has(rule.get("operations") or (), attributes.operation)
        and _has(rule.get("apiGroups") or (), kind.group)
        and _has(rule.get("apiVersions") or (), kind.version)
        and _resource_matches(rule.get("resources") or (), kind.resource, attributes.subresource)
        and (not names or attributes.name in names)
    )


def equivalents(kind: Kind) -> list[Kind]:
    """The other forms in which the same objects are served."""
    if kind.custom is not None:
        return [other for other in kind.custom.definition.served if other.version != kind.version]
    stored = forms.stored_kind(kind).group_resource
    return [
        other
        for other in kinds.by_resource().values()
        if other.resource == kind.resource
        and other.api_version != kind.api_version
        and (other.group == kind.group or forms.stored_kind(other).group_resource == stored)
    ]


def target(rules: Sequence[Tree], match_policy: str, attributes: Attributes) -> Target | None:
    """The form in which the rules take a request; None where they do not. The form that was asked for comes first."""
    if any(rule_matches(rule, attributes) for rule in rules):
        return Target(attributes.kind, attributes.object_kind)
    if match_policy == "Exact":
        return None
    others = equivalents(attributes.kind)
    for rule in rules:
        for other in others:
            if rule_matches(rule, attributes, other):
                own = attributes.object_kind.kind == attributes.kind.kind
                shown = GroupVersionKind(other.group, other.version, other.kind)
                return Target(other, shown if own else attributes.object_kind)
    return None


def converted(attributes: Attributes, to: Target, tree: Tree | None) -> Tree | None:
    """An object under review, in the form that a target asks for."""
    if tree is None or to.kind is attributes.kind or to.object_kind == attributes.object_kind:
        return tree
    return forms.show(to.kind, forms.store(attributes.kind, tree))


async def asked(attributes: Attributes, to: Target, tree: Tree | None) -> Tree | None:
    """As `converted`, also where a conversion webhook has to be asked for it."""
    if tree is None or to.object_kind == attributes.object_kind or not objects.is_asked(to.kind):
        return converted(attributes, to, tree)
    return await _asked(tree, to.kind)


async def asked_back(attributes: Attributes, source: Target, tree: Tree) -> Tree:
    """As `converted_back`, also where a conversion webhook has to be asked for it."""
    if source.object_kind == attributes.object_kind or not objects.is_asked(attributes.kind):
        return converted_back(attributes, source, tree)
    return await _asked(tree, attributes.kind)


async def _asked(tree: Tree, kind: Kind) -> Tree:
    definition = objects.version_of(kind).definition
    (found,) = await definition.conversions.ask([tree], definition, kind.api_version)
    return found


def converted_back(attributes: Attributes, source: Target, tree: Tree) -> Tree:
    """An object in a target's form, as the request has it."""
    if source.kind is attributes.kind or source.object_kind == attributes.object_kind:
        return tree
    return forms.show(attributes.kind, forms.store(source.kind, tree))


def namespace_selected(
    selector: Tree | None, attributes: Attributes, tree: Tree | None, labels_of: Callable[[str], dict[str, str]]
) -> bool:
    """Whether a namespaceSelector takes a request; `labels_of` raises where there is no such namespace."""
    found = label_selector(selector)
    if found is None or not found.requirements:
        return True
    if not attributes.namespace and attributes.kind.resource != "namespaces":
        return True  # what lies in no namespace is never exempted
    whole = attributes.kind.resource == "namespaces" and not attributes.subresource
    if whole and attributes.operation in (CREATE, UPDATE):
        return found.matches(labels(tree))  # what is written now, not what was there
    return found.matches(labels_of(attributes.namespace))


def object_selected(selector: Tree | None, tree: Tree | None, old: Tree | None) -> bool:
    """Whether an objectSelector takes the object, as it was or as it is to be."""
    found = label_selector(selector)
    if found is None or not found.requirements:
        return True
    return any(isinstance((t or {}).get("metadata"), dict) and found.matches(labels(t)) for t in (tree, old))


def labels(tree: Tree | None) -> dict[str, str]:
    found: dict[str, str] = ((tree or {}).get("metadata") or {}).get("labels") or {}
    return found
