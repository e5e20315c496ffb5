"""Secrets and ConfigMaps as certificates and authorities, and what is wrong with them."""

from __future__ import annotations

import base64

import pytest
from routingworld import AUTHORITY, NOW, World, certificate

from seaway.api.tree import Tree
from seaway.routing.certificates import checked_certificate, checked_trust

PAIR = AUTHORITY.issue("x", NOW, hosts=("x",), server=True)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def secret(data: Tree | None) -> Tree:
    return {"kind": "Secret", "metadata": {"name": "s"}, **({"data": data} if data is not None else {})}


def checked(tree: Tree) -> tuple[str, bool]:
    found = World([]).apply(tree).settle().engine.memo.view.ask(checked_certificate, "default/s")
    return found.problem, found.found is not None


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "Secret default/s has no tls.crt"),
        ({"tls.crt": "***", "tls.key": "eA=="}, "Secret default/s has no tls.crt"),
        ({"tls.crt": encoded(PAIR.certificate), "tls.key": ""}, "Secret default/s has no tls.key"),
        (
            {"tls.crt": "eA==", "tls.key": encoded(PAIR.key)},
            "Secret default/s: tls.crt is not a certificate in PEM form",
        ),
        (
            {"tls.crt": encoded(PAIR.certificate), "tls.key": "eA=="},
            "Secret default/s: tls.key is not a private key in PEM form",
        ),
        (
            {**certificate("other"), "tls.crt": encoded(PAIR.certificate)},
            "Secret default/s: tls.key does not belong to the first certificate of tls.crt",
        ),
    ],
)
def test_what_is_wrong_with_a_secret_is_said(data: Tree | None, problem: str) -> None:
    assert checked(secret(data)) == (problem, False)


def test_a_good_one_can_be_used_and_a_missing_one_is_said() -> None:
    assert checked(secret(certificate("x"))) == ("", True)
    assert World([]).engine.memo.view.ask(checked_certificate, "default/s").problem == "Secret default/s does not exist"


def trusted(name: str, *objects: Tree) -> tuple[str, bytes]:
    problem, found = World([]).apply(*objects).settle().engine.memo.view.ask(checked_trust, name)
    return problem, found.authorities if found is not None else b""


def test_authorities_of_a_config_map_and_of_a_secret_are_put_together() -> None:
    pem = AUTHORITY.pair.certificate
    maps = {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"ca.crt": pem.decode()}}
    kept = secret({"ca.crt": encoded(pem)})
    assert trusted("ConfigMap/default/m,Secret/default/s", maps, kept) == ("", (pem.strip() + b"\n") * 2)
    assert trusted("ConfigMap/default/m,Secret/default/s", maps) == ("Secret default/s does not exist", b"")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "ConfigMap default/m has no ca.crt"),
        ({"ca.crt": "nonsense"}, "ConfigMap default/m: ca.crt holds no certificate in PEM form"),
    ],
)
def test_what_is_wrong_with_authorities_is_said(data: Tree, problem: str) -> None:
    assert trusted("ConfigMap/default/m", {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}) == (
        problem,
        b"",
    )
