"""The objects that a binding lends to its policy (pkg/admission/plugin/policy/generic/policy_dispatcher.go CollectParams)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.api.kinds import Kind
from seaway.api.selectors import label_selector
from seaway.cluster.apiserver import matching
from seaway.cluster.apiserver.policies.compiled import Binding, Policy

Tree = dict[str, Any]


class Misconfigured(Exception):
    """A policy or binding that can not be followed; the text says why."""


class PolicyMisconfigured(Misconfigured):
    """A fault of the policy, whatever its bindings."""


Find = Callable[[str, str], Kind | None]
Read = Callable[[Kind, str, str], list[Tree]]  # kind, namespace, name ("" for all)


def collect(policy: Policy, binding: Binding, namespace: str, find: Find, read: Read) -> list[Tree | None]:
    """The params that a policy is to be asked with, one after the other; [None] where it uses none."""
    if policy.param_kind is None:
        return [None]
    kind = known(policy, find)
    ref = binding.param_ref
    if ref is None:
        return [None]
    where = ref.get("namespace") or ""
    if kind.namespaced:
        where = where or namespace
        if not where:
            raise Misconfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
    elif where:
        raise Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    found: list[Tree] = []
    if ref.get("name"):
        found = read(kind, where, ref["name"])
    elif ref.get("selector") is not None:
        selector = label_selector(ref["selector"])
        found = [t for t in read(kind, where, "") if selector is None or selector.matches(matching.labels(t))]
    else:
        raise Misconfigured("one of name or selector must be provided")
    if not found and ref.get("parameterNotFoundAction") == "Deny":
        raise Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return list(found)


def known(policy: Policy, find: Find) -> Kind:
    """The kind of a policy's params."""
    assert policy.param_kind is not None
    version, name = policy.param_kind
    kind = find(version, name)
    if kind is None:
        group = version if "/" in version else f"/{version}"
        raise PolicyMisconfigured(f"failed to find resource referenced by paramKind: '{group}, Kind={name}'")
    return kind
