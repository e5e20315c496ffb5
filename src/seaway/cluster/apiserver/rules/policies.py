"""Admission policies and their bindings: defaults and the form of their parts (pkg/apis/admissionregistration); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, webhooks
from seaway.cluster.apiserver.rules.ingress import path_segment
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, unsupported, wrong

Tree = dict[str, Any]
ACTIONS = ("Audit", "Deny", "Warn")
EITHER = "validations or auditAnnotations must contain at least one item"


def default_policy(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec["failurePolicy"] = spec.get("failurePolicy") or "Fail"
    if spec.get("matchConstraints") is not None:
        webhooks.default_match(spec["matchConstraints"])


def default_binding(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("matchResources") is not None:
        webhooks.default_match(spec["matchResources"])


def _common_causes(spec: Tree) -> list[Cause]:
    """What validating and mutating policies have alike."""
    found: list[Cause] = []
    policy = spec.get("failurePolicy")
    if policy not in ("Fail", "Ignore"):
        found.append(unsupported("spec.failurePolicy", policy, ("Fail", "Ignore")))
    kind = spec.get("paramKind")
    if kind is not None:
        found += [required(f"spec.paramKind.{name}") for name in ("apiVersion", "kind") if not kind.get(name)]
    match, at = spec.get("matchConstraints"), "spec.matchConstraints"
    if match is None:
        found.append(required(at))
    else:
        found += match_causes(match, at)
        if not match.get("resourceRules"):
            found.append(required(f"{at}.resourceRules"))
    found += webhooks.condition_causes(spec.get("matchConditions") or [], "spec.matchConditions")
    names: set[str] = set()
    for i, variable in enumerate(spec.get("variables") or ()):
        path, name = f"spec.variables[{i}]", variable.get("name", "")
        if not name:
            found.append(required(f"{path}.name", "name is not specified"))
        elif not name.isidentifier():
            found.append(wrong(f"{path}.name", name, "name is not a valid CEL identifier"))
        elif name in names:
            found.append(duplicate(f"{path}.name", name))
        names.add(name)
        if not str(variable.get("expression", "")).strip():
            found.append(required(f"{path}.expression", "expression is not specified"))
    return found


def match_causes(match: Tree, at: str) -> list[Cause]:
    """MatchResources."""
    found: list[Cause] = []
    policy = match.get("matchPolicy")
    if policy not in ("Equivalent", "Exact"):
        found.append(unsupported(f"{at}.matchPolicy", policy, ("Equivalent", "Exact")))
    for name in ("namespaceSelector", "objectSelector"):
        found += fieldrules.selector_causes(match.get(name), f"{at}.{name}")
    for name in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(match.get(name) or ()):
            found += webhooks.rule_causes(rule, f"{at}.{name}[{i}]")
    return found


def validate_validating(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = _common_causes(spec)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        found += [required("spec.validations", EITHER), required("spec.auditAnnotations", EITHER)]
    for i, validation in enumerate(validations):
        at = f"spec.validations[{i}]"
        if not str(validation.get("expression", "")).strip():
            found.append(required(f"{at}.expression", "expression is not specified"))
        message = validation.get("message", "")
        if message and not message.strip():
            found.append(wrong(f"{at}.message", message, "message must be non-empty if specified"))
        elif "\n" in message:
            found.append(wrong(f"{at}.message", message, "message must not contain line breaks"))
    keys: set[str] = set()
    for i, annotation in enumerate(annotations):
        at, key = f"spec.auditAnnotations[{i}]", annotation.get("key", "")
        if not key:
            found.append(required(f"{at}.key"))
        elif key in keys:
            found.append(duplicate(f"{at}.key", key))
        keys.add(key)
        if not str(annotation.get("valueExpression", "")).strip():
            found.append(required(f"{at}.valueExpression", "valueExpression is not specified"))
    return found


def validate_mutating(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = _common_causes(spec)
    mutations = spec.get("mutations") or []
    if not mutations:
        found.append(required("spec.mutations", "mutations must contain at least one item"))
    for i, mutation in enumerate(mutations):
        kind, at = mutation.get("patchType"), f"spec.mutations[{i}]"
        if kind not in ("ApplyConfiguration", "JSONPatch"):
            found.append(unsupported(f"{at}.patchType", kind or "", ("ApplyConfiguration", "JSONPatch")))
    return found


def _binding_causes(spec: Tree) -> list[Cause]:
    found: list[Cause] = []
    name = spec.get("policyName", "")
    if not name:
        found.append(required("spec.policyName"))
    else:
        found += formats.causes("spec.policyName", name, formats.subdomain)
    ref, at = spec.get("paramRef"), "spec.paramRef"
    if ref is not None:
        if ref.get("name"):
            found += formats.causes(f"{at}.name", ref["name"], path_segment)
            if ref.get("selector") is not None:
                why = "name and selector are mutually exclusive"
                found.append(not_permitted(f"{at}.name", why))
        elif ref.get("selector") is None:
            found.append(required(at, "one of name or selector must be specified"))
        action = ref.get("parameterNotFoundAction")
        if action is None:
            found.append(required(f"{at}.parameterNotFoundAction"))
        elif action not in ("Allow", "Deny"):
            found.append(unsupported(f"{at}.parameterNotFoundAction", action, ("Allow", "Deny")))
    if spec.get("matchResources") is not None:
        found += match_causes(spec["matchResources"], "spec.matchResources")
    return found


def validate_validating_binding(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = _binding_causes(spec)
    actions = spec.get("validationActions") or []
    if not actions:
        found.append(required("spec.validationActions"))
    for i, action in enumerate(actions):
        at = f"spec.validationActions[{i}]"
        if action not in ACTIONS:
            found.append(unsupported(at, action, ACTIONS))
        if action in actions[:i]:
            found.append(duplicate(at, action))
    if "Deny" in actions and "Warn" in actions:
        why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response "
        found.append(wrong("spec.validationActions", actions, why + "and headers serves no purpose)"))
    return found


def validate_mutating_binding(tree: Tree) -> list[Cause]:
    return _binding_causes(tree.get("spec") or {})
