"""Acting as somebody else (`kubectl --as`): who may, and who it is then; pure (k8s.io/apiserver filters/impersonation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import unquote

from seaway.cluster.apiserver.authz import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.status import ApiError, bad_request

ACCOUNT = "system:serviceaccount:"
USER, GROUP, UID, EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
GROUPED = "authentication.k8s.io"


def _may(
    resource: str, name: str, namespace: str = "", group: str = "", version: str = "", sub: str = ""
) -> RequestInfo:
    return RequestInfo("impersonate", "", True, group, version, namespace, resource, sub, name)


def _text(value: str) -> str:
    """A header's value without what is no UTF-8 in it."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if not value.isascii() else value


def wanted(headers: Iterable[tuple[str, str]]) -> tuple[User, list[RequestInfo]] | None:
    """(who a request is to act as, what its user has to be allowed for that); None where it acts as nobody else."""
    given = [(name.lower(), _text(value)) for name, value in headers if name.lower().startswith("impersonate-")]
    if not given:
        return None
    name = next((v for n, v in given if n == USER), "")
    groups = [v for n, v in given if n == GROUP]
    uid = next((v for n, v in given if n == UID), "")
    extra: dict[str, list[str]] = {}
    for key, value in given:
        if key.startswith(EXTRA):
            extra.setdefault(unquote(key.removeprefix(EXTRA)), []).append(value)
    if not name:
        raise bad_request("requested groups, extra or a uid without impersonating a user")
    parts = name.split(":")
    if name.startswith(ACCOUNT) and len(parts) == 4 and parts[2] and parts[3]:
        asked = [_may("serviceaccounts", parts[3], parts[2])]
        if not groups:
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{parts[2]}"]
        asked += [_may("groups", g) for n, g in given if n == GROUP]
    else:
        asked = [_may("users", name), *(_may("groups", g) for g in groups)]
    asked += [_may("userextras", v, "", GROUPED, "v1", key) for key, values in extra.items() for v in values]
    if uid:
        asked.append(_may("uids", uid, "", GROUPED, "v1"))
    known = {AUTHENTICATED, UNAUTHENTICATED} & set(groups)
    if name == ANONYMOUS.name and not known:
        groups.append(UNAUTHENTICATED)
    elif not known:
        groups.append(AUTHENTICATED)
    return User(name, tuple(groups), uid, extra), asked


def act(
    user: User,
    headers: Iterable[tuple[str, str]],
    allowed: Callable[[User, RequestInfo], bool],
    refused: Callable[[User, RequestInfo], ApiError],
) -> User:
    """Who a request is decided for: its user, or who that user may act as."""
    found = wanted(headers)
    if found is None:
        return user
    for info in found[1]:
        if not allowed(user, info):
            raise refused(user, info)
    return found[0]
