"""The parameters of a write: CreateOptions, UpdateOptions, PatchOptions, DeleteOptions from a query; pure.

Validation and messages are those of k8s.io/apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver.metadata import manager_name_causes
from seaway.cluster.apiserver.status import (
    Cause,
    bad_request,
    invalid,
    not_permitted,
    required,
    unsupported,
    wrong,
)

Tree = dict[str, Any]
VALIDATIONS = ("", "Ignore", "Strict", "Warn")
POLICIES = ("Foreground", "Background", "Orphan")
OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
APPLY = "application/apply-patch+yaml"
NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What the query of a write says. `manager` is its fieldManager, "" where none is named."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool = False

    def tree(self, method: str, validation: str) -> Tree:
        """The options as an object, which reviewers are told; `validation` as it was given."""
        found: Tree = {"kind": OPTIONS.get(method, "DeleteOptions"), "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            found["dryRun"] = ["All"]
        if self.force:
            found["force"] = True
        if self.manager:
            found["fieldManager"] = self.manager
        if validation:
            found["fieldValidation"] = validation
        return found


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter: anything but false and 0 is true."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0")


def number(query: Mapping[str, str], name: str) -> int | None:
    """An integer parameter."""
    text = query.get(name)
    if not text:
        return None
    if not NUMBER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text[:40])
    if not -(2**63) <= value < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def write_options(method: str, media: str, query: Mapping[str, str], dry_runs: Sequence[str]) -> WriteOptions:
    """The options of a POST, PUT or PATCH; ApiError 422 where they are wrong. `dry_runs`: each value of dryRun."""
    manager = query.get("fieldManager", "")
    validation = query.get("fieldValidation", "")
    found: list[Cause] = []
    if method == "PATCH" and media == APPLY:
        if not manager:
            found.append(required("fieldManager", "is required for apply patch"))
    elif method == "PATCH" and "force" in query:
        found.append(not_permitted("force", "may not be specified for non-apply patch"))
    found += manager_name_causes(manager, "fieldManager")
    found += dry_run_causes(dry_runs)
    if validation not in VALIDATIONS:
        found.append(unsupported("fieldValidation", validation, VALIDATIONS))
    if found:
        raise invalid("meta.k8s.io", OPTIONS[method], "", found)
    return WriteOptions(any(dry_runs), manager, validation or "Warn", flag(query, "force"))


def dry_run_causes(values: Sequence[str]) -> list[Cause]:
    given = [v for v in values if v]
    return [unsupported("dryRun", given, ("All",))] if any(v != "All" for v in given) else []


def check_delete(options: Tree) -> None:
    """Refuses DeleteOptions that contradict themselves (ValidateDeleteOptions)."""
    found: list[Cause] = []
    policy = options.get("propagationPolicy")
    if policy is not None and options.get("orphanDependents") is not None:
        found.append(wrong("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy is not None and policy not in POLICIES:
        found.append(unsupported("propagationPolicy", policy, (*POLICIES, "nil"), ordered=True))
    found += dry_run_causes(options.get("dryRun") or ())
    if found:
        raise invalid("meta.k8s.io", "DeleteOptions", "", found)


def manager_of(options: WriteOptions, user_agent: str) -> str:
    """Who writes: the fieldManager, or the user agent up to its first slash (endpoints/handlers managerOrUserAgent)."""
    return options.manager or prefix_from_user_agent(user_agent)


def prefix_from_user_agent(user_agent: str) -> str:
    """The part of a user agent before the slash, cut to what a manager's name may be."""
    kept = "".join(c for c in user_agent.partition("/")[0] if c.isprintable())
    return kept.encode()[:128].decode(errors="ignore")


__all__ = [
    "APPLY",
    "WriteOptions",
    "check_delete",
    "flag",
    "manager_of",
    "number",
    "prefix_from_user_agent",
    "write_options",
]
