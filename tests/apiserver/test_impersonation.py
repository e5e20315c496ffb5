"""Acting as somebody else: what has to be allowed, and who it is then."""

from __future__ import annotations

import pytest

from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.impersonation import act, wanted
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.status import ApiError

Headers = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("headers", "user", "asked"),
    [
        ([("Impersonate-User", "ada")], User("ada", ("system:authenticated",)), ["users/ada"]),
        (
            [("Impersonate-User", "ada"), ("Impersonate-Group", "g"), ("impersonate-group", "h"), ("Impersonate-Uid", "7")],
            User("ada", ("g", "h", "system:authenticated"), "7"), ["users/ada", "groups/g", "groups/h", "uids/7"],
        ),
        (
            [("Impersonate-User", "system:serviceaccount:ns:robot")],
            User("system:serviceaccount:ns:robot", ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")),
            ["ns/serviceaccounts/robot"],
        ),
        (
            [("Impersonate-User", "ada"), ("Impersonate-Extra-example.com%2Fscope", "read")],
            User("ada", ("system:authenticated",), "", {"example.com/scope": ["read"]}), ["users/ada", "userextras/example.com/scope/read"],
        ),
        ([("Impersonate-User", "system:anonymous")], User("system:anonymous", ("system:unauthenticated",)), ["users/system:anonymous"]),
        ([("Impersonate-User", "a"), ("Impersonate-Group", "system:unauthenticated")], User("a", ("system:unauthenticated",)), ["users/a", "groups/system:unauthenticated"]),
    ],
)
def test_each_part_of_an_identity_has_to_be_allowed(headers: Headers, user: User, asked: list[str]) -> None:
    found = wanted(headers)
    assert found is not None
    assert found[0] == user and found[0].extra == user.extra
    assert ["/".join(filter(None, (i.namespace, i.resource, i.subresource, i.name))) for i in found[1]] == asked
    assert {i.verb for i in found[1]} == {"impersonate"}


def test_without_the_headers_nothing_changes() -> None:
    assert wanted([("Accept", "*/*")]) is None
    user = User("root")
    assert act(user, [], lambda u, i: False, lambda u, i: ApiError(403, "Forbidden", "no")) is user


def test_a_group_without_a_user_is_no_request() -> None:
    with pytest.raises(ApiError) as caught:
        wanted([("Impersonate-Group", "system:masters")])
    assert caught.value.code == 400


def test_who_may_not_is_refused_for_the_part_that_is_missing() -> None:
    def allowed(user: User, info: RequestInfo) -> bool:
        return info.resource == "users"

    with pytest.raises(ApiError) as caught:
        act(User("eve"), [("Impersonate-User", "ada"), ("Impersonate-Group", "system:masters")], allowed, lambda u, i: ApiError(403, "Forbidden", f"{u.name} {i.resource}/{i.name}"))
    assert str(caught.value) == "eve groups/system:masters"
