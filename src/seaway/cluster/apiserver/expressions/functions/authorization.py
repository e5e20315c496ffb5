"""Authorization checks in policies (apiserver/pkg/cel/library/authz.go)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.authz import Decision as Verdict
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import EvaluationError
from seaway.cluster.apiserver.requests import RequestInfo

Decide = Callable[[User, RequestInfo], Verdict]


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Who asks, and who answers."""

    user: User
    decide: Decide

    unit_equality = True
    cel_type = "kubernetes.authorization.Authorizer"


@dataclass(frozen=True, slots=True)
class PathCheck:
    authorizer: Authorizer
    path: str

    unit_equality = True
    cel_type = "kubernetes.authorization.PathCheck"


@dataclass(frozen=True, slots=True)
class GroupCheck:
    authorizer: Authorizer
    group: str

    unit_equality = True
    cel_type = "kubernetes.authorization.GroupCheck"


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    authorizer: Authorizer
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    unit_equality = True
    cel_type = "kubernetes.authorization.ResourceCheck"


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str

    unit_equality = True
    cel_type = "kubernetes.authorization.Decision"


def _path(authorizer: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise EvaluationError("path must not be empty")
    return PathCheck(authorizer, path)


def _service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if formats.subdomain(name):
        raise EvaluationError("Invalid service account name")
    if formats.label(namespace):
        raise EvaluationError("Invalid service account namespace")
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return Authorizer(User(f"system:serviceaccount:{namespace}:{name}", groups), authorizer.decide)


def _resource(group: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(group.authorizer, group.group, resource)


def _decision(authorizer: Authorizer, info: RequestInfo) -> Decision:
    verdict = authorizer.decide(authorizer.user, info)
    return Decision(verdict.allowed, verdict.reason)


def _check_path(check: PathCheck, verb: str) -> Decision:
    return _decision(check.authorizer, RequestInfo(verb, check.path, False, "", "", "", "", "", ""))


def _check_resource(check: ResourceCheck, verb: str) -> Decision:
    info = RequestInfo(verb, "", True, check.group, "*", check.namespace, check.resource, check.subresource, check.name)
    return _decision(check.authorizer, info)


def _unchanged(check: ResourceCheck, selector: str) -> ResourceCheck:
    """Selectors narrow what RBAC, which knows none, has to allow: the answer is the same."""
    return check


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "path": one(_path, Authorizer, str),
    "group": one(GroupCheck, Authorizer, str),
    "serviceAccount": one(_service_account, Authorizer, str, str),
    "resource": one(_resource, GroupCheck, str),
    "subresource": one(lambda c, text: replace(c, subresource=text), ResourceCheck, str),
    "namespace": one(lambda c, text: replace(c, namespace=text), ResourceCheck, str),
    "name": one(lambda c, text: replace(c, name=text), ResourceCheck, str),
    "fieldSelector": one(_unchanged, ResourceCheck, str),
    "labelSelector": one(_unchanged, ResourceCheck, str),
    "check": (Overload((PathCheck, str), _check_path), Overload((ResourceCheck, str), _check_resource)),
    "errored": one(lambda d: False, Decision),
    "error": one(lambda d: "", Decision),
    "allowed": one(lambda d: d.allowed, Decision),
    "reason": one(lambda d: d.reason, Decision),
}
