"""Audit policies: read and checked as upstream does it, and the first rule that fits a request; pure.

k8s.io/apiserver pkg/audit/policy and pkg/apis/audit/validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.status import Cause, required, unsupported, wrong

Tree = dict[str, Any]
API_VERSION, KIND = "audit.k8s.io/v1", "Policy"
NONE, METADATA, REQUEST, REQUEST_RESPONSE = "None", "Metadata", "Request", "RequestResponse"
LEVELS = (NONE, METADATA, REQUEST, REQUEST_RESPONSE)
RECEIVED, STARTED, COMPLETE, PANIC = "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"
STAGES = (RECEIVED, STARTED, COMPLETE, PANIC)
RULE_FIELDS = frozenset(
    "level users userGroups verbs resources namespaces nonResourceURLs omitStages omitManagedFields".split()
)
POLICY_FIELDS = frozenset("apiVersion kind metadata rules omitStages omitManagedFields".split())


class PolicyError(ValueError):
    """A policy that cannot be used; the text says why."""


class Config(NamedTuple):
    """What is told of one request."""

    level: str
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False

    def at_least(self, level: str) -> bool:
        return LEVELS.index(self.level) >= LEVELS.index(level)


@dataclass(frozen=True, slots=True)
class Policy:
    rules: tuple[Tree, ...]
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False

    def config(self, user: User | None, info: RequestInfo) -> Config:
        """What the first rule that fits says; of what no rule fits nothing is told."""
        for rule in self.rules:
            if matches(rule, user, info):
                fields = rule.get("omitManagedFields")
                stages = self.omit_stages | frozenset(rule.get("omitStages") or ())
                return Config(rule["level"], stages, self.omit_managed_fields if fields is None else fields)
        return Config(NONE, self.omit_stages, self.omit_managed_fields)


# Without a policy of one's own: who did what, once a request.
DEFAULT = Policy(({"level": METADATA},), frozenset({RECEIVED}))


def matches(rule: Tree, user: User | None, info: RequestInfo) -> bool:
    """Whether a rule fits a request."""
    if rule.get("users") and (user is None or user.name not in rule["users"]):
        return False
    if rule.get("userGroups") and (user is None or not set(user.groups) & set(rule["userGroups"])):
        return False
    if rule.get("verbs") and info.verb not in rule["verbs"]:
        return False
    if rule.get("namespaces") or rule.get("resources"):
        return _resource_matches(rule, info)
    if rule.get("nonResourceURLs"):
        return not info.is_resource and any(_path_matches(info.path, spec) for spec in rule["nonResourceURLs"])
    return True


def _path_matches(path: str, spec: str) -> bool:
    return spec in ("*", path) or (spec.endswith("*") and path.startswith(spec.rstrip("*")))


def _resource_matches(rule: Tree, info: RequestInfo) -> bool:
    if not info.is_resource or (rule.get("namespaces") and info.namespace not in rule["namespaces"]):
        return False
    if not rule.get("resources"):
        return True
    return any(_group_matches(group, info) for group in rule["resources"])


def _group_matches(group: Tree, info: RequestInfo) -> bool:
    if (group.get("group") or "") not in (info.group, "*"):
        return False
    if not group.get("resources"):
        return True
    if group.get("resourceNames") and info.name not in group["resourceNames"]:
        return False
    return any(
        listed in ("*", info.full_resource)
        or (info.subresource and listed == f"*/{info.subresource}")
        or listed == f"{info.resource}/*"
        for listed in group["resources"]
    )


def read(tree: Any) -> Policy:
    """A policy's document; PolicyError says everything that is wrong with it."""
    if not isinstance(tree, dict) or (tree.get("apiVersion"), tree.get("kind")) != (API_VERSION, KIND):
        raise PolicyError(f"apiVersion, kind: must be {API_VERSION} and {KIND}")
    unknown = [name for name in tree if name not in POLICY_FIELDS]
    rules = tree.get("rules")
    if not isinstance(rules, (list, type(None))) or not all(isinstance(r, dict) for r in rules or ()):
        raise PolicyError("rules: must be a list of rules")
    unknown += [f"rules[{i}].{name}" for i, r in enumerate(rules or ()) for name in r if name not in RULE_FIELDS]
    if unknown:
        raise PolicyError(f"unknown field {', '.join(repr(name) for name in unknown)}")
    try:
        found = _stage_causes(tree.get("omitStages") or (), "omitStages")
        for i, rule in enumerate(rules or ()):
            found += _rule_causes(rule, f"rules[{i}]")
    except (TypeError, AttributeError, IndexError):
        raise PolicyError("a field is of the wrong type; see the form of audit.k8s.io/v1 Policy") from None
    if found:
        raise PolicyError("; ".join(f"{c.field}: {c.message}" for c in found))
    if not rules:
        raise PolicyError("loaded illegal policy with 0 rules")
    return Policy(tuple(rules), frozenset(tree.get("omitStages") or ()), bool(tree.get("omitManagedFields")))


def _stage_causes(stages: Iterable[str], at: str) -> list[Cause]:
    told = f"allowed stages are {','.join(STAGES)}"
    return [wrong(f"{at}[{i}]", stage, told) for i, stage in enumerate(stages) if stage not in STAGES]


def _rule_causes(rule: Tree, at: str) -> list[Cause]:
    found: list[Cause] = []
    level, urls = rule.get("level"), rule.get("nonResourceURLs") or []
    if not level:
        found.append(required(f"{at}.level"))
    elif level not in LEVELS:
        found.append(unsupported(f"{at}.level", level, LEVELS))
    for i, url in enumerate(urls):
        if url == "*":
            continue
        if not url.startswith("/"):
            found.append(
                wrong(f"{at}.nonResourceURLs[{i}]", url, "non-resource URL rules must begin with a '/' character")
            )
        if "*" in url[:-1]:
            why = "non-resource URL wildcards '*' must be the final character of the rule"
            found.append(wrong(f"{at}.nonResourceURLs[{i}]", url, why))
    for group in rule.get("resources") or ():
        name = group.get("group") or ""
        if name not in ("", "*") and (problems := formats.subdomain(name)):
            found.append(wrong(f"{at}.resources.group", name, ",".join(problems)))
        if group.get("resourceNames") and not group.get("resources"):
            why = "using resourceNames requires at least one resource"
            found.append(wrong(f"{at}.resources.resourceNames", group["resourceNames"], why))
    found += _stage_causes(rule.get("omitStages") or (), f"{at}.omitStages")
    if urls and (rule.get("resources") or rule.get("namespaces")):
        why = "rules cannot apply to both regular resources and non-resource URLs"
        found.append(wrong(f"{at}.nonResourceURLs", urls, why))
    return found
