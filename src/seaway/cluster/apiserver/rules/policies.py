"""Admission policies and their bindings: defaults and the form of their parts (pkg/apis/admissionregistration); pure."""

from __future__ import annotations

import re
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.expressions.escaping import RESERVED
from seaway.cluster.apiserver.policies import problems
from seaway.cluster.apiserver.policies.environment import BOOL, STRING, STRING_OR_NULL, Compiler
from seaway.cluster.apiserver.rules import fieldrules, webhooks
from seaway.cluster.apiserver.rules.ingress import path_segment
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, unsupported, wrong

Tree = dict[str, Any]
ACTIONS = ("Audit", "Deny", "Warn")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
AGAIN = ("IfNeeded", "Never")
IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*\Z")
BREAKS = re.compile(r"[\n\r]")
MOST_ANNOTATIONS, LONGEST_VALUE = 20, 5 * 1024
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


def _common_causes(spec: Tree, compiler: Compiler) -> list[Cause]:
    """What validating and mutating policies have alike; `compiler` comes to know the variables."""
    found: list[Cause] = []
    policy = spec.get("failurePolicy")
    if policy not in ("Fail", "Ignore"):
        found.append(unsupported("spec.failurePolicy", policy, ("Fail", "Ignore")))
    kind = spec.get("paramKind")
    if kind is not None:
        found += _kind_causes(kind, "spec.paramKind")
    match, at = spec.get("matchConstraints"), "spec.matchConstraints"
    if match is None:
        found.append(required(at))
    else:
        found += match_causes(match, at)
        if not match.get("resourceRules"):
            found.append(required(f"{at}.resourceRules"))
    found += webhooks.condition_causes(spec.get("matchConditions") or [], "spec.matchConditions", kind is not None)
    for i, variable in enumerate(spec.get("variables") or ()):
        path, name, source = f"spec.variables[{i}]", variable.get("name", ""), str(variable.get("expression", ""))
        if not name.strip():
            found.append(required(f"{path}.name", "name is not specified"))
        elif not IDENTIFIER.match(name) or name in RESERVED:
            found.append(wrong(f"{path}.name", name, "name is not a valid CEL identifier"))
        if not source.strip():
            found.append(required(f"{path}.expression", "expression is not specified"))
        else:
            found += problems.of_variable(compiler, name, source, f"{path}.expression")
    return found


def _kind_causes(kind: Tree, at: str) -> list[Cause]:
    """A ParamKind."""
    found: list[Cause] = []
    version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    group, _, number = version.rpartition("/")
    if not version:
        found.append(required(f"{at}.apiVersion"))
    elif version.count("/") > 1:
        found.append(wrong(f"{at}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    else:
        if group and (told := formats.subdomain(group)):
            found.append(wrong(f"{at}.apiVersion", group, ",".join(told)))
        if not number:
            found.append(wrong(f"{at}.apiVersion", version, "version must be specified"))
        elif told := formats.label_1035(number):
            found.append(wrong(f"{at}.apiVersion", number, ",".join(told)))
    if not name:
        found.append(required(f"{at}.kind"))
    elif told := formats.label_1035(name.lower()):
        why = "may have mixed case, but should otherwise match: " + ",".join(told)
        found.append(wrong(f"{at}.kind", name, why))
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
            found += _names_causes(rule.get("resourceNames") or [], f"{at}.{name}[{i}].resourceNames")
            found += webhooks.rule_causes(rule, f"{at}.{name}[{i}]")
    return found


def _names_causes(names: list[str], at: str) -> list[Cause]:
    found: list[Cause] = []
    for i, name in enumerate(names):
        found += [wrong(f"{at}[{i}]", name, why) for why in path_segment(name)]
        if name in names[:i]:
            found.append(duplicate(f"{at}[{i}]", name))
    return found


def validate_validating(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    compiler = Compiler(spec.get("paramKind") is not None, composed=bool(spec.get("variables")))
    found = _common_causes(spec, compiler)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        return [*found, required("spec.validations", EITHER), required("spec.auditAnnotations", EITHER)]
    for i, validation in enumerate(validations):
        found += _validation_causes(validation, compiler, f"spec.validations[{i}]")
    if len(annotations) > MOST_ANNOTATIONS:
        why = f"must not have more than {MOST_ANNOTATIONS} auditAnnotations"
        found.append(wrong("spec.auditAnnotations", annotations, why))
    keys: set[str] = set()
    name = (tree.get("metadata") or {}).get("name") or ""
    for i, annotation in enumerate(annotations):
        at, key = f"spec.auditAnnotations[{i}]", annotation.get("key") or ""
        found += _annotation_causes(annotation, name, compiler, at)
        if key in keys:
            found.append(duplicate(f"{at}.key", key))
        keys.add(key)
    return found


def _validation_causes(validation: Tree, compiler: Compiler, at: str) -> list[Cause]:
    found: list[Cause] = []
    source, told = str(validation.get("expression") or ""), validation.get("messageExpression") or ""
    message, reason = validation.get("message") or "", validation.get("reason")
    if not source.strip():
        found.append(required(f"{at}.expression", "expression is not specified"))
    else:
        found += problems.of(compiler, source, BOOL, f"{at}.expression")
    if told and not told.strip():
        found.append(wrong(f"{at}.messageExpression", told, "must be non-empty if specified"))
    elif told:
        found += problems.of(compiler, told, STRING, f"{at}.messageExpression", authorizer=False)
    if message and not message.strip():
        found.append(wrong(f"{at}.message", message, "message must be non-empty if specified"))
    elif BREAKS.search(message.strip()):
        found.append(wrong(f"{at}.message", message, "message must not contain line breaks"))
    if reason is not None and reason not in REASONS:
        found.append(unsupported(f"{at}.reason", reason, REASONS))
    return found


def _annotation_causes(annotation: Tree, name: str, compiler: Compiler, at: str) -> list[Cause]:
    key, source = annotation.get("key") or "", str(annotation.get("valueExpression") or "").strip()
    if name:
        whole = f"{name}/{key}"
        found = [wrong(f"{at}.key", whole, why) for why in formats.qualified_name(whole)]
    else:
        found = [wrong(f"{at}.key", key, "requires metadata.name be non-empty")]
    if not source:
        found.append(required(f"{at}.valueExpression", "valueExpression is not specified"))
    elif len(source.encode()) > LONGEST_VALUE:
        found.append(required(f"{at}.valueExpression", f"must not exceed {LONGEST_VALUE} bytes in length"))
    else:
        found += problems.of(compiler, source, STRING_OR_NULL, f"{at}.valueExpression")
    return found


def validate_mutating(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    compiler = Compiler(spec.get("paramKind") is not None, composed=bool(spec.get("variables")))
    found = _common_causes(spec, compiler)
    again = spec.get("reinvocationPolicy")
    if not again:
        found.append(required("spec.reinvocationPolicy"))
    elif again not in AGAIN:
        found.append(unsupported("spec.reinvocationPolicy", again, AGAIN))
    mutations = spec.get("mutations") or []
    if not mutations:
        found.append(required("spec.mutations", "mutations must contain at least one item"))
    for i, mutation in enumerate(mutations):
        found += _mutation_causes(mutation, compiler, f"spec.mutations[{i}]")
    return found


def _mutation_causes(mutation: Tree, compiler: Compiler, at: str) -> list[Cause]:
    kind = mutation.get("patchType") or ""
    if kind not in PATCHES:
        return [unsupported(f"{at}.patchType", kind, tuple(PATCHES))] if kind else [required(f"{at}.patchType")]
    name = PATCHES[kind]
    found = [
        not_permitted(f"{at}.{other}", f"{other} is not supported when patchType is {kind}")
        for other in PATCHES.values()
        if other != name and mutation.get(other) is not None
    ]
    part = mutation.get(name)
    if part is None:
        return [*found, required(f"{at}.{name}")]
    source = str(part.get("expression") or "")
    if not source.strip():
        return [*found, required(f"{at}.{name}.expression", "expression is not specified")]
    return found + problems.of_patch(compiler, source, kind == "JSONPatch", f"{at}.{name}.expression")


def _binding_causes(spec: Tree) -> list[Cause]:
    found: list[Cause] = []
    name = spec.get("policyName", "")
    if not name:
        found.append(required("spec.policyName"))
    else:
        found += [wrong("spec.policyName", name, told) for told in formats.subdomain(name)]
    ref, at = spec.get("paramRef"), "spec.paramRef"
    if ref is not None:
        named, selector, why = ref.get("name") or "", ref.get("selector"), "name and selector are mutually exclusive"
        if named:
            found += [wrong(f"{at}.name", named, told) for told in path_segment(named)]
        if named and selector is not None:
            found.append(not_permitted(f"{at}.name", why))
        found += fieldrules.selector_causes(selector, f"{at}.selector")
        if named and selector is not None:
            found.append(not_permitted(f"{at}.selector", why))
        if not named and selector is None:
            found.append(required(at, "one of name or selector must be specified"))
        action = ref.get("parameterNotFoundAction")
        if action is None:
            found.append(required(f"{at}.parameterNotFoundAction"))
        elif action not in ("Allow", "Deny"):
            found.append(unsupported(f"{at}.parameterNotFoundAction", action, ("Deny", "Allow"), ordered=True))
    if spec.get("matchResources") is not None:
        found += match_causes(spec["matchResources"], "spec.matchResouces")  # as upstream spells it
    return found


def validate_validating_binding(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = _binding_causes(spec)
    actions, at = spec.get("validationActions") or [], "spec.validationActions"
    for i, action in enumerate(actions):
        if action not in ACTIONS:
            found.append(unsupported(f"{at}[{i}]", action, ACTIONS))
        if action in actions[:i]:
            found.append(duplicate(f"{at}[{i}]", action))
    if "Deny" in actions and "Warn" in actions:
        why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response "
        found.append(wrong(at, actions, why + "and headers serves no purpose)"))
    if not actions:
        found.append(required(at, "at least one validation action is required"))
    return found


def validate_mutating_binding(tree: Tree) -> list[Cause]:
    return _binding_causes(tree.get("spec") or {})
