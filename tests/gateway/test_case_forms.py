"""What cases may say in few words means what it says: series, shares, clients that stay, crowds, tokens."""

from __future__ import annotations

import json

import caseanswers
import casefile
import caseobjects
import casetokens
import pytest
from caseclients import Clients
from casefile import Ask, Crowd, Request, Want


def answer(pod: str, status: int = 200, cookie: str = "") -> dict[str, object]:
    return {"status": status, "body": json.dumps({"pod": pod}), "headers": [("Set-Cookie", cookie)] if cookie else []}


@pytest.mark.parametrize(("pods", "kind"), [("rrrr", "one"), ("rgbrgb", "cycle"), ("rrgb", "mixed"), ("rgbrbg", "mixed")])
def test_a_series_is_told_by_its_order(pods: str, kind: str) -> None:
    told = {**answer("r"), "series": [answer(p) for p in pods]}
    for wanted in ("one", "cycle", "mixed"):
        assert bool(caseanswers.problems(Want(series=wanted), told)) == (wanted != kind)  # type: ignore[arg-type]


def test_a_limited_series_has_answers_and_then_none() -> None:
    for statuses, right in (([200, 200, 429], True), ([200, 200], False), ([429, 429], False), ([200, 429, 200], False)):
        told = {**answer("r"), "series": [answer("r", s) for s in statuses]}
        assert (not caseanswers.problems(Want(series="limited"), told)) == right
        assert not caseanswers.problems(Want(series=statuses), told)


def test_a_client_shows_its_cookies_and_is_caught_leaving() -> None:
    clients, request = Clients(), Request(ask=Ask(client="anna", host="a.test"), want=Want(stays=1))
    assert not clients.answered("case", request, answer("red", cookie="k=v; Path=/"))
    assert clients.shows("case", request.ask) == [("Cookie", "k=v")]
    assert not clients.shows("case", Ask(host="a.test")) and not clients.shows("other", request.ask)
    assert not clients.stayed("case", request, answer("red")) and clients.stayed("case", request, answer("blue"))
    clients.end("case")
    moving = Request(ask=request.ask, want=Want(moves=True))
    assert clients.was("case", "anna") == "blue"
    assert clients.answered("case", moving, answer("blue")) and not clients.answered("case", moving, answer("green"))


def test_each_combination_is_asked() -> None:
    request = Request(ask=Ask(host="a.test"), want=Want(status=200), each={"host": ["a.test", "b.test"], "protocol": ["h2c", "http/1.1"]})
    asked = [(r.ask.host, r.ask.protocol) for r in casefile.spread(request)]
    assert asked == [("a.test", "h2c"), ("a.test", "http/1.1"), ("b.test", "h2c"), ("b.test", "http/1.1")]


def test_a_crowd_is_all_its_rules_within_the_bounds_of_a_route() -> None:
    routes = caseobjects.crowd("a.test", Crowd())
    matches = [m["path"]["value"] for route in routes for rule in route["spec"]["rules"] for m in rule["matches"]]
    assert matches == [f"/crowd/{n}" for n in range(300)]
    assert all(sum(len(rule["matches"]) for rule in route["spec"]["rules"]) < 128 for route in routes)
    (ingress,) = caseobjects.crowd("a.test", Crowd(kind="Ingress"))
    assert len(ingress["spec"]["rules"][0]["http"]["paths"]) == 300


def test_words_are_told_in_manifests_and_tokens_have_three_parts() -> None:
    assert caseobjects.filled(["Basic ${base64:a:b}", "${x}"], {"x": "y"}) == ["Basic YTpi", "y"]
    assert caseobjects.filled("${htpasswd:user:password}", {}) == "user:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
    for how in ("ES256", "none", "HS256"):
        head, said, signed = casetokens.token("issuer", {"sub": "x"}, 60, how).split(".")
        assert head and said and bool(signed) == (how != "none")
