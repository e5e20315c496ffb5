"""Access reviews, token reviews and who-am-I: answered from the request and the server's own tables, never stored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seaway.cluster.apiserver import bodies
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.nodeauthz import node_of
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.reviewing import CREATE
from seaway.cluster.apiserver.status import ApiError, Cause, bad_request, invalid, not_allowed, wrong

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

Tree = dict[str, Any]


ACCESS = ("SelfSubjectAccessReview", "SubjectAccessReview", "LocalSubjectAccessReview")


async def answer(door: Door, call: Call) -> Tree:
    """The review with its status."""
    body, strict = bodies.read(call.body, call.content_type, call.kind, call.field_validation)
    body = bodies.typed(body, call.kind, None, call.field_validation, call.warnings, strict=strict)
    review = door.verbs.reviewers.review(call, CREATE)
    if review is not None:
        body = await review.whole({**body, "kind": call.kind.kind, "apiVersion": call.kind.api_version})
    kind, spec = call.kind.kind, body.get("spec") or {}
    meta = body.get("metadata") or {}
    if kind == "SelfSubjectReview":
        meta = {"creationTimestamp": door.verbs.stamp()}
        status: Tree = {"userInfo": _described(call.user)}
    elif kind in ACCESS:
        status = _access(door, call, spec)
    elif kind == "SelfSubjectRulesReview":
        if not spec.get("namespace"):
            raise bad_request("no namespace on request")
        rules = list(door.rbac.rules(call.user, spec["namespace"]))
        status = {
            "resourceRules": [r for r in rules if "resources" in r],
            "nonResourceRules": [r for r in rules if "nonResourceURLs" in r],
            "incomplete": False,
        }
        if node_of(call.user) is not None:
            status.update(incomplete=True, evaluationError="node authorizer does not support user rule resolution")
    elif kind == "TokenReview":
        status = _token(door, spec)
    else:
        raise not_allowed()
    rest = {k: v for k, v in body.items() if k not in ("kind", "apiVersion", "metadata", "status")}
    return {"kind": kind, "apiVersion": call.kind.api_version, "metadata": meta, **rest, "status": status}


def _described(user: User) -> Tree:
    found: Tree = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        found["uid"] = user.uid
    if user.extra:
        found["extra"] = dict(sorted(user.extra.items()))
    return found


def access_causes(kind: str, namespace: str, spec: Tree) -> list[Cause]:
    """What is wrong with an access review (pkg/apis/authorization/validation)."""
    asked, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if kind == "LocalSubjectAccessReview":
        causes = []
        if asked is not None and asked.get("namespace", "") != namespace:
            at = "spec.resourceAttributes.namespace"
            causes.append(wrong(at, asked.get("namespace", ""), "must match metadata.namespace"))
        if other is not None:
            shown = {"Path": other.get("path", ""), "Verb": other.get("verb", "")}
            causes.append(wrong("spec.nonResourceAttributes", shown, "disallowed on this kind of request"))
        if causes:
            return causes
    one = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
    if asked is not None and other is not None:
        causes = [
            wrong("spec.nonResourceAttributes", other, "cannot be specified in combination with resourceAttributes")
        ]
    elif asked is None and other is None:
        causes = [wrong("spec.resourceAttributes", None, one)]
    else:
        causes = []
    if kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        causes.append(wrong("spec.user", spec.get("user", ""), "at least one of user or group must be specified"))
    return causes


def selected(selector: Tree) -> str:
    """A review's field selector as a query would have it (KEP-4601); what a query cannot say chooses nothing here."""
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    signs = {"In": "=", "NotIn": "!="}
    return ",".join(
        f"{r.get('key', '')}{signs[r['operator']]}{r['values'][0]}"
        for r in selector.get("requirements") or ()
        if r.get("operator") in signs and len(r.get("values") or ()) == 1
    )


def _access(door: Door, call: Call, spec: Tree) -> Tree:
    """Whether somebody may do something, and why."""
    kind = call.kind.kind
    causes = access_causes(kind, call.namespace, spec)
    if causes:
        raise invalid("authorization.k8s.io", "", "", causes)
    user = call.user
    if kind != "SelfSubjectAccessReview":
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))
    asked, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes") or {}
    wanted = RequestInfo(other.get("verb", ""), other.get("path", ""))
    if asked is not None:
        names = ("group", "version", "namespace", "resource", "subresource", "name")
        wanted = replace(
            RequestInfo(asked.get("verb", ""), "", True, *(asked.get(n, "") for n in names)),
            fields=selected(asked.get("fieldSelector") or {}),
        )
    decision = door.rbac.decide(user, wanted)
    status: Tree = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return status


def _token(door: Door, spec: Tree) -> Tree:
    """Whose token it is, if it is one."""
    try:
        user, audiences = door.tokens.review(spec.get("token", ""), tuple(spec.get("audiences") or ()))
    except ApiError:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": _described(user), "audiences": audiences}
