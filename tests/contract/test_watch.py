"""Watches and pages: nothing is missed, nothing is told twice, what is forgotten is said to be."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from server import Server

MERGE = "application/merge-patch+json"


def maps(ns: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{ns}/configmaps" + (f"/{name}" if name else "")


def told(events: list) -> list[tuple[str, str]]:
    return [(e["type"], e["object"]["metadata"].get("name", "")) for e in events]


def test_a_watch_continues_from_any_version(server: Server, ns: str) -> None:
    first = server.create(maps(ns), {"metadata": {"name": "a"}})
    server.create(maps(ns), {"metadata": {"name": "b"}})
    server.request("PATCH", maps(ns, "a"), {"data": {"k": "v"}}, media=MERGE)
    server.request("DELETE", maps(ns, "b"))
    events = server.events(maps(ns), {"resourceVersion": first["metadata"]["resourceVersion"]}, 3)
    assert told(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(versions)


def test_initial_events_end_with_a_bookmark(server: Server, ns: str) -> None:
    for name in "ab":
        server.create(maps(ns), {"metadata": {"name": name}})
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    events = server.events(maps(ns), query, 3)
    assert [e["type"] for e in events] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_what_leaves_a_selector_is_deleted_and_what_enters_is_added(server: Server, ns: str) -> None:
    made = server.create(maps(ns), {"metadata": {"name": "a", "labels": {"in": "yes"}}})
    for value in ("no", "yes"):
        server.request("PATCH", maps(ns, "a"), {"metadata": {"labels": {"in": value}}}, media=MERGE)
    version = made["metadata"]["resourceVersion"]
    events = server.events(maps(ns), {"resourceVersion": version, "labelSelector": "in=yes"}, 2)
    assert told(events) == [("DELETED", "a"), ("ADDED", "a")]
    assert events[0]["object"]["metadata"]["labels"] == {"in": "yes"}


def test_field_selectors_choose_pods_by_node(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    for name, node in (("a", "n1"), ("b", "n2")):
        server.create(path, {"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}})
    _, found = server.request("GET", path, query={"fieldSelector": "spec.nodeName=n2"})
    assert [p["metadata"]["name"] for p in found["items"]] == ["b"]
    assert server.request("GET", path, query={"fieldSelector": "spec.nonsense=1"})[0] == 400


def test_a_forgotten_version_is_an_expired_event(make_server: Callable[..., Server]) -> None:
    server = make_server(KEEP_EVENTS=20)
    base = "/api/v1/namespaces/default/configmaps"
    for i in range(40):
        server.create(base, {"metadata": {"name": f"m{i}"}})
    (event,) = server.events(base, {"resourceVersion": "2"}, 1)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_pages_are_one_consistent_list(server: Server, ns: str) -> None:
    for i in range(10):
        server.create(maps(ns), {"metadata": {"name": f"m{i}"}})
    _, page = server.request("GET", maps(ns), query={"limit": "4"})
    seen = [i["metadata"]["name"] for i in page["items"]]
    assert page["metadata"]["remainingItemCount"] == 6
    server.request("DELETE", maps(ns, "m7"))
    server.create(maps(ns), {"metadata": {"name": "m5x"}})
    while page["metadata"].get("continue"):
        _, page = server.request("GET", maps(ns), query={"limit": "4", "continue": page["metadata"]["continue"]})
        seen += [i["metadata"]["name"] for i in page["items"]]
    assert seen == [f"m{i}" for i in range(10)]


def test_an_old_page_is_expired(make_server: Callable[..., Server]) -> None:
    server = make_server(KEEP_EVENTS=20)
    base = "/api/v1/namespaces/default/configmaps"
    for i in range(5):
        server.create(base, {"metadata": {"name": f"m{i}"}})
    _, page = server.request("GET", base, query={"limit": "2"})
    for i in range(30):
        server.create(base, {"metadata": {"name": f"n{i}"}})
    status, answer = server.request("GET", base, query={"limit": "2", "continue": page["metadata"]["continue"]})
    assert (status, answer["reason"]) == (410, "Expired")


def test_two_watches_see_one_order(server: Server, ns: str) -> None:
    _, listed = server.request("GET", maps(ns))
    version = listed["metadata"]["resourceVersion"]
    results: list[list] = [[], []]
    threads = [threading.Thread(target=lambda i=i: results[i].extend(server.events(maps(ns), {"resourceVersion": version}, 20))) for i in range(2)]
    for thread in threads:
        thread.start()
    for i in range(20):
        server.create(maps(ns), {"metadata": {"name": f"m{i}"}})
    for thread in threads:
        thread.join()
    assert told(results[0]) == told(results[1]) and len(results[0]) == 20


def test_a_watch_of_one_name_tells_of_it_alone(server: Server, ns: str) -> None:
    made = server.create(maps(ns), {"metadata": {"name": "a"}})
    server.create(maps(ns), {"metadata": {"name": "b"}})
    server.request("PATCH", maps(ns, "a"), {"data": {"x": "1"}}, media=MERGE)
    events = server.events(maps(ns), {"resourceVersion": made["metadata"]["resourceVersion"], "fieldSelector": "metadata.name=a"}, 1)
    assert told(events) == [("MODIFIED", "a")] and json.dumps(events)
