"""Tokens by the clock: their end, and the end of what they are bound to."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.api.tree import stamp
from seaway.cluster.apiserver.authn import Tokens
from seaway.cluster.apiserver.status import ApiError
from seaway.pki.authority import new_key
from seaway.pki.tokens import ISSUER, Signer

NOW = 1_800_000_000.0
SIGNER = Signer(new_key())


def objects(**deleted: float) -> dict[str, Any]:
    """An account and a pod; `deleted`: when one of them was to be gone, in seconds from now."""
    found = {"serviceaccounts": {"uid": "a"}, "pods": {"uid": "p"}}
    for resource, ago in deleted.items():
        found[resource]["deletionTimestamp"] = stamp(NOW + ago)
    return {resource: {"metadata": meta} for resource, meta in found.items()}


def token(**claims: Any) -> str:
    own = {"namespace": "n", "serviceaccount": {"name": "sa", "uid": "a"}, "pod": {"name": "p", "uid": "p"}}
    return SIGNER.sign({"iss": ISSUER, "aud": [ISSUER], "exp": int(NOW) + 600, "nbf": int(NOW), "kubernetes.io": own, **claims})


@pytest.mark.parametrize(
    ("deleted", "good"),
    [({}, True), ({"pods": 30}, True), ({"pods": -50}, True), ({"pods": -70}, False), ({"serviceaccounts": -70}, False)],
)
def test_a_token_ends_a_minute_after_what_it_is_bound_to_should_have(deleted: dict[str, float], good: bool) -> None:
    there = objects(**deleted)
    tokens = Tokens(SIGNER, lambda resource, key: there.get(resource), lambda: NOW)
    if good:
        assert tokens.user(token()).name == "system:serviceaccount:n:sa"
        return
    with pytest.raises(ApiError) as refused:
        tokens.user(token())
    assert refused.value.code == 401


def test_a_token_that_was_good_ends_by_the_clock() -> None:
    clock, there, mine = [NOW], objects(), token()
    tokens = Tokens(SIGNER, lambda resource, key: there.get(resource), lambda: clock[0])
    assert tokens.user(mine).name == "system:serviceaccount:n:sa"
    clock[0] = NOW + 599
    assert tokens.user(mine).uid == "a"
    clock[0] = NOW + 600
    with pytest.raises(ApiError):
        tokens.user(mine)
    with pytest.raises(ApiError):
        tokens.review(mine, ())
