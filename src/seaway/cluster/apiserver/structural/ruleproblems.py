"""What is wrong with the form of rules in a schema, before they are compiled (validation.go); pure."""

from __future__ import annotations

import re

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes, fieldpaths
from seaway.cluster.apiserver.structural.nodes import Tree

REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
BREAKS = re.compile(r"[\n\r]")


def rule_problems(schema: Tree, path: str) -> list[Cause]:
    """Empty rules and messages, unknown reasons, paths that lead nowhere."""
    found: list[Cause] = []
    for i, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        found += _problems(rule, schema, causes.index(causes.child(path, "x-kubernetes-validations"), i))
    return found


def _problems(rule: Tree, schema: Tree, path: str) -> list[Cause]:
    found: list[Cause] = []
    text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
    expression, field_path = rule.get("messageExpression") or "", rule.get("fieldPath") or ""
    if not text:
        found.append(causes.required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        found.append(causes.invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif BREAKS.search(message.strip()):
        found.append(causes.invalid(f"{path}.message", message, "must not contain line breaks"))
    elif BREAKS.search(text) and not message.strip():
        why = "message must be specified if rule contains line breaks"
        found.append(causes.required(f"{path}.message", why))
    if expression and not expression.strip():
        why = "messageExpression must be non-empty if specified"
        found.append(causes.required(f"{path}.messageExpression", why))
    if rule.get("reason") is not None and rule["reason"] not in REASONS:
        found.append(causes.unsupported(f"{path}.reason", rule["reason"], REASONS))
    if field_path and not field_path.strip():
        found.append(causes.invalid(f"{path}.fieldPath", field_path, "must be non-empty if specified"))
    if BREAKS.search(field_path):
        found.append(causes.invalid(f"{path}.fieldPath", field_path, "must not contain line breaks"))
    if field_path and not _leads_somewhere(field_path, schema):
        found.append(causes.invalid(f"{path}.fieldPath", field_path, "must be a valid path"))
    return found


def _leads_somewhere(path: str, schema: Tree) -> bool:
    try:
        fieldpaths.find(path, schema)
    except fieldpaths.BadPath:
        return False
    return True
