"""Access reviews, token reviews and who-am-I: answered from the request and the server's own tables, never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seaway.cluster.apiserver import bodies
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.status import ApiError, not_allowed

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

Tree = dict[str, Any]


def answer(door: Door, call: Call) -> Tree:
    """Access reviews and who-am-I: answered from the request alone."""
    body, strict = bodies.read(call.body, call.content_type, call.kind, call.field_validation)
    body = bodies.typed(body, call.kind, None, call.field_validation, call.warnings, strict=strict)
    kind = call.kind.kind
    user = call.user
    if kind == "SelfSubjectReview":
        info: Tree = {"username": user.name, "groups": list(user.groups)}
        if user.uid:
            info["uid"] = user.uid
        if user.extra:
            info["extra"] = user.extra
        body["status"] = {"userInfo": info}
    elif kind in ("SelfSubjectAccessReview", "SubjectAccessReview", "LocalSubjectAccessReview"):
        spec = body.get("spec") or {}
        if kind != "SelfSubjectAccessReview":
            user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
        asked = spec.get("resourceAttributes")
        other = spec.get("nonResourceAttributes") or {}
        if asked is not None:
            wanted = RequestInfo(
                asked.get("verb", ""),
                "",
                True,
                asked.get("group", ""),
                asked.get("version", ""),
                asked.get("namespace", ""),
                asked.get("resource", ""),
                asked.get("subresource", ""),
                asked.get("name", ""),
            )
        else:
            wanted = RequestInfo(other.get("verb", ""), other.get("path", ""))
        body["status"] = {"allowed": door.rbac.allowed(user, wanted)}
    elif kind == "SelfSubjectRulesReview":
        namespace = (body.get("spec") or {}).get("namespace", "")
        rules = list(door.rbac.rules(user, namespace))
        body["status"] = {
            "incomplete": False,
            "resourceRules": [r for r in rules if "resources" in r],
            "nonResourceRules": [r for r in rules if "nonResourceURLs" in r],
        }
    elif kind == "TokenReview":
        try:
            found = door.tokens.user((body.get("spec") or {}).get("token", ""))
            body["status"] = {
                "authenticated": True,
                "user": {"username": found.name, "uid": found.uid, "groups": list(found.groups)},
            }
        except ApiError:
            body["status"] = {"authenticated": False, "error": "invalid bearer token"}
    else:
        raise not_allowed()
    body.setdefault("metadata", {})
    return body
