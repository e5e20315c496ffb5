"""Pages of a list: one consistent list however much is written meanwhile, and a clear end when it is too late."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from server import Server

MERGE = "application/merge-patch+json"
NAMES = [f"m{i:02}" for i in range(12)]


def maps(ns: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{ns}/configmaps" + (f"/{name}" if name else "")


def pages(server: Server, path: str, between: Callable[[int], None] = lambda n: None, **query: str) -> list[dict]:
    """Every page of a list; `between` runs before each page but the first."""
    found: list[dict] = []
    token = ""
    while True:
        status, page = server.request("GET", path, query={**query, **({"continue": token} if token else {})})
        assert status == 200, page
        found.append(page)
        token = page["metadata"].get("continue", "")
        if not token:
            return found
        between(len(found))


def names(found: list[dict]) -> list[str]:
    return [i["metadata"]["name"] for page in found for i in page["items"]]


@pytest.fixture
def twelve(server: Server, ns: str) -> str:
    for i, name in enumerate(NAMES):
        labels = {"half": str(i % 2)}
        server.create(maps(ns), {"metadata": {"name": name, "labels": labels}, "data": {"n": str(i)}})
    return ns


@pytest.mark.parametrize("limit", [1, 3, 5, 11, 12, 13, 500])
def test_pages_of_any_size_add_up_to_the_list(server: Server, twelve: str, limit: int) -> None:
    found = pages(server, maps(twelve), limit=str(limit))
    assert names(found) == NAMES
    assert all(len(p["items"]) <= limit for p in found) and len(found) == -(-len(NAMES) // limit)
    left = [p["metadata"].get("remainingItemCount", 0) for p in found]
    assert left == [max(len(NAMES) - limit * (n + 1), 0) for n in range(len(found))]


def test_pages_show_the_first_pages_moment_whatever_is_written_between_them(server: Server, twelve: str) -> None:
    def between(n: int) -> None:
        server.create(maps(twelve), {"metadata": {"name": f"m{n:02}x"}})
        server.request("DELETE", maps(twelve, NAMES[-n]))
        server.request("PATCH", maps(twelve, NAMES[-n - 1]), {"data": {"n": "changed"}}, media=MERGE)

    found = pages(server, maps(twelve), between, limit="3")
    assert names(found) == NAMES
    assert [i["data"]["n"] for p in found for i in p["items"]] == [str(i) for i in range(12)]
    assert len({p["metadata"]["resourceVersion"] for p in found}) == 1
    assert set(names(pages(server, maps(twelve)))) == set(NAMES[:-3]) | {"m01x", "m02x", "m03x"}


def test_a_page_with_a_selector_holds_only_matches_and_counts_nothing(server: Server, twelve: str) -> None:
    found = pages(server, maps(twelve), limit="2", labelSelector="half=1")
    assert names(found) == NAMES[1::2]
    assert all("remainingItemCount" not in p["metadata"] for p in found)


def test_pages_over_all_namespaces_repeat_and_miss_nothing(server: Server, twelve: str) -> None:
    whole = names([server.request("GET", "/api/v1/configmaps")[1]])
    assert names(pages(server, "/api/v1/configmaps", limit="4")) == whole


def test_a_page_can_be_read_twice(server: Server, twelve: str) -> None:
    _, first = server.request("GET", maps(twelve), query={"limit": "5"})
    query = {"limit": "5", "continue": first["metadata"]["continue"]}
    one, two = (server.request("GET", maps(twelve), query=query)[1] for _ in range(2))
    assert one["items"] == two["items"] and names([one]) == NAMES[5:10]


def test_an_exact_version_is_listed_as_it_was(server: Server, twelve: str) -> None:
    _, before = server.request("GET", maps(twelve))
    server.request("DELETE", maps(twelve, NAMES[0]))
    server.create(maps(twelve), {"metadata": {"name": "late"}})
    version = before["metadata"]["resourceVersion"]
    query = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    _, then = server.request("GET", maps(twelve), query=query)
    assert then["items"] == before["items"] and then["metadata"]["resourceVersion"] == version
    _, now = server.request("GET", maps(twelve), query={**query, "resourceVersionMatch": "NotOlderThan"})
    assert "late" in names([now])


def test_an_expired_page_says_so_and_offers_a_way_on(make_server: Callable[..., Server]) -> None:
    server = make_server(KEEP_EVENTS=20)
    base = maps("default")
    for name in NAMES:
        server.create(base, {"metadata": {"name": name}})
    _, page = server.request("GET", base, query={"limit": "4"})
    for i in range(30):
        server.create(base, {"metadata": {"name": f"z{i:02}"}})
    status, gone = server.request("GET", base, query={"limit": "4", "continue": page["metadata"]["continue"]})
    assert (status, gone["reason"], gone["code"]) == (410, "Expired", 410)
    query = {"limit": "500", "continue": gone["metadata"]["continue"]}
    _, rest = server.request("GET", base, query=query)
    assert names([rest]) == NAMES[4:] + [f"z{i:02}" for i in range(30)]


def test_an_exact_version_that_is_forgotten_is_expired(make_server: Callable[..., Server]) -> None:
    server = make_server(KEEP_EVENTS=20)
    for i in range(30):
        server.create(maps("default"), {"metadata": {"name": f"m{i}"}})
    query = {"resourceVersion": "2", "resourceVersionMatch": "Exact"}
    status, answer = server.request("GET", maps("default"), query=query)
    assert (status, answer["reason"]) == (410, "Expired")


def forged(**fields: object) -> str:
    tree = {"v": "meta.k8s.io/v1", "rv": 1, "start": "a", **fields}
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode()


@pytest.mark.parametrize(
    "token", ["x", "%%%", "e30", "é", forged(v="meta.k8s.io/v9"), forged(rv="x"), forged(rv=None)]
)
def test_a_continue_token_that_is_not_ours_is_refused(server: Server, ns: str, token: str) -> None:
    status, answer = server.request("GET", maps(ns), query={"limit": "1", "continue": token})
    assert (status, answer["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"resourceVersionMatch": "Exact"}, "resourceVersionMatch"),
        ({"resourceVersionMatch": "Newest", "resourceVersion": "1"}, "resourceVersionMatch"),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, "resourceVersionMatch"),
    ],
)
def test_list_options_that_contradict_are_refused(server: Server, ns: str, query: dict, field: str) -> None:
    status, answer = server.request("GET", maps(ns), query=query)
    assert (status, answer["details"]["causes"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("version", "why"), [("x", "invalid syntax"), ("-1", "invalid syntax"), ("9" * 23, "value out of range")]
)
def test_a_list_of_a_version_that_is_none_is_refused(server: Server, ns: str, version: str, why: str) -> None:
    status, answer = server.request("GET", maps(ns), query={"resourceVersion": version})
    said = f'invalid resource version: resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": {why}'
    assert (status, answer["reason"], answer["message"]) == (400, "BadRequest", said)
