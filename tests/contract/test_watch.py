"""Watches and pages: nothing is missed, nothing is told twice, what is forgotten is said to be."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from urllib.parse import urlencode

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


def names(events: list) -> list[str]:
    return [e["object"]["metadata"]["name"] for e in events]


def test_a_watch_without_a_version_begins_with_what_is_there(server: Server, ns: str) -> None:
    for name in "ab":
        server.create(maps(ns), {"metadata": {"name": name}})
    for query in ({}, {"resourceVersion": "0"}):
        assert told(server.events(maps(ns), query, 2)) == [("ADDED", "a"), ("ADDED", "b")]


def test_initial_events_are_chosen_by_selectors_and_followed_by_changes(server: Server, ns: str) -> None:
    for name, label in (("a", "yes"), ("b", "no"), ("c", "yes")):
        server.create(maps(ns), {"metadata": {"name": name, "labels": {"in": label}}})
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    connection = server.connect()
    connection.request("GET", f"{maps(ns)}?{urlencode({'watch': 'true', 'labelSelector': 'in=yes', **query})}")
    lines = connection.getresponse()
    first = [json.loads(lines.readline()) for _ in range(3)]
    assert told(first) == [("ADDED", "a"), ("ADDED", "c"), ("BOOKMARK", "")]
    mark = first[2]["object"]
    assert mark["kind"] == "ConfigMap" and mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    server.create(maps(ns), {"metadata": {"name": "d", "labels": {"in": "yes"}}})
    event = json.loads(lines.readline())
    connection.close()
    assert told([event]) == [("ADDED", "d")]
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(mark["metadata"]["resourceVersion"])


def test_a_watch_list_of_nothing_is_its_bookmark_alone(server: Server, ns: str) -> None:
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    (event,) = server.events(maps(ns), query, 1)
    assert event["type"] == "BOOKMARK" and "k8s.io/initial-events-end" in event["object"]["metadata"]["annotations"]


def test_a_quiet_watch_is_told_how_far_it_is(make_server: Callable[..., Server]) -> None:
    server = make_server(BOOKMARK_EVERY=0.2)
    base = maps("default")
    made = server.create(base, {"metadata": {"name": "a"}})
    later = server.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "elsewhere"}})
    query = {"resourceVersion": made["metadata"]["resourceVersion"], "allowWatchBookmarks": "true"}
    (event,) = server.events(base, query, 1)
    assert event["type"] == "BOOKMARK" and event["object"]["kind"] == "ConfigMap"
    assert event["object"]["metadata"]["resourceVersion"] == later["metadata"]["resourceVersion"]
    query["timeoutSeconds"] = "1"
    assert server.events(base, {**query, "allowWatchBookmarks": "false"}, 1) == [], "only who asks gets them"


def test_a_watch_ends_cleanly_when_its_time_is_up(server: Server, ns: str) -> None:
    server.create(maps(ns), {"metadata": {"name": "a"}})
    assert told(server.events(maps(ns), {"timeoutSeconds": "1"}, 99)) == [("ADDED", "a")]


def test_what_changes_within_a_selector_is_modified_and_what_was_never_in_it_is_not_told(
    server: Server, ns: str
) -> None:
    made = server.create(maps(ns), {"metadata": {"name": "a", "labels": {"in": "yes"}}})
    server.create(maps(ns), {"metadata": {"name": "b", "labels": {"in": "no"}}})
    server.request("PATCH", maps(ns, "a"), {"data": {"k": "v"}}, media=MERGE)
    server.request("PATCH", maps(ns, "b"), {"data": {"k": "v"}}, media=MERGE)
    server.request("DELETE", maps(ns, "b"))
    server.request("DELETE", maps(ns, "a"))
    query = {"resourceVersion": made["metadata"]["resourceVersion"], "labelSelector": "in=yes"}
    assert told(server.events(maps(ns), query, 2)) == [("MODIFIED", "a"), ("DELETED", "a")]


def test_a_pod_enters_and_leaves_watches_by_its_fields(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    made = server.create(path, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    server.request("POST", path + "/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}})
    server.request("PATCH", path + "/p/status", {"status": {"phase": "Running"}}, media=MERGE)
    server.request("PATCH", path + "/p/status", {"status": {"phase": "Succeeded"}}, media=MERGE)
    server.request("DELETE", path + "/p", {"gracePeriodSeconds": 0})
    since = {"resourceVersion": made["metadata"]["resourceVersion"]}
    for selector, want in (
        ("spec.nodeName=", ["DELETED"]),
        ("spec.nodeName=n,status.phase=Running", ["ADDED", "DELETED"]),
        ("status.phase!=Succeeded", ["MODIFIED", "MODIFIED", "DELETED"]),
    ):
        events = server.events(path, {**since, "fieldSelector": selector, "timeoutSeconds": "1"}, 99)
        assert [e["type"] for e in events] == want, selector


def test_a_deleted_event_has_the_last_state_and_a_newer_version(server: Server, ns: str) -> None:
    made = server.create(maps(ns), {"metadata": {"name": "a"}, "data": {"k": "v"}})
    server.request("DELETE", maps(ns, "a"))
    (event,) = server.events(maps(ns), {"resourceVersion": made["metadata"]["resourceVersion"]}, 1)
    assert event["type"] == "DELETED" and event["object"]["data"] == {"k": "v"}
    assert event["object"]["kind"] == "ConfigMap" and event["object"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_every_watch_sees_the_same_order_while_many_write(server: Server, ns: str) -> None:
    _, listed = server.request("GET", maps(ns))
    since = {"resourceVersion": listed["metadata"]["resourceVersion"]}
    seen: dict[str, list] = {}

    def watch(label: str, path: str, query: dict) -> None:
        found = server.events(path, {**since, **query}, 120)
        metas = [(e["type"], e["object"]["metadata"]) for e in found]
        seen[label] = [(kind, meta["name"], meta["resourceVersion"]) for kind, meta in metas]

    watches = [("one", maps(ns), {}), ("two", maps(ns), {"labelSelector": "!none"})]
    watches.append(("all", "/api/v1/configmaps", {"fieldSelector": f"metadata.namespace={ns}"}))
    threads = [threading.Thread(target=watch, args=w) for w in watches]

    def write(writer: int) -> None:
        connection = server.connect()
        for i in range(10):
            name = f"w{writer}-{i}"
            server.request("POST", maps(ns), {"metadata": {"name": name}}, connection=connection)
            server.request("PATCH", maps(ns, name), {"data": {"k": "v"}}, media=MERGE, connection=connection)
            server.request("DELETE", maps(ns, name), connection=connection)
        connection.close()

    threads += [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen["one"]) == 120 and seen["one"] == seen["two"] == seen["all"]
    versions = [int(v) for _, _, v in seen["one"]]
    assert versions == sorted(set(versions))
    for name in {n for _, n, _ in seen["one"]}:
        assert [t for t, n, _ in seen["one"] if n == name] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_watch_of_one_name_begins_with_it_and_ends_with_its_delete(server: Server, ns: str) -> None:
    for name in "ab":
        server.create(maps(ns), {"metadata": {"name": name}})
    server.request("PATCH", maps(ns, "a"), {"data": {"x": "1"}}, media=MERGE)
    _, listed = server.request("GET", maps(ns), query={"fieldSelector": "metadata.name=a"})
    for name in "ba":
        server.request("DELETE", maps(ns, name))
    query = {"fieldSelector": "metadata.name=a", "resourceVersion": listed["metadata"]["resourceVersion"]}
    assert told(server.events(maps(ns), query, 1)) == [("DELETED", "a")]
    assert server.events(maps(ns), {"fieldSelector": "metadata.name=a", "timeoutSeconds": "1"}, 1) == []


def test_the_oldest_kept_version_is_continued_and_one_before_is_expired(make_server: Callable[..., Server]) -> None:
    server = make_server(KEEP_EVENTS=50)
    base = maps("default")
    made = [server.create(base, {"metadata": {"name": f"m{i:03}"}})["metadata"] for i in range(120)]
    kept = made[-51]["resourceVersion"]
    assert names(server.events(base, {"resourceVersion": kept}, 50)) == [m["name"] for m in made[-50:]]
    (event,) = server.events(base, {"resourceVersion": made[-52]["resourceVersion"]}, 1)
    assert (event["type"], event["object"]["kind"], event["object"]["code"]) == ("ERROR", "Status", 410)


def test_the_history_and_its_end_survive_a_kill(make_server: Callable[..., Server]) -> None:
    server = make_server(KEEP_EVENTS=50)
    base = maps("default")
    made = [server.create(base, {"metadata": {"name": f"m{i:03}"}})["metadata"] for i in range(90)]
    server.kill()
    server.start().wait()
    kept = made[-40]["resourceVersion"]
    assert names(server.events(base, {"resourceVersion": kept}, 39)) == [m["name"] for m in made[-39:]]
    (event,) = server.events(base, {"resourceVersion": made[0]["resourceVersion"]}, 1)
    assert (event["type"], event["object"]["reason"]) == ("ERROR", "Expired")


def test_watch_options_that_contradict_are_refused_before_the_first_event(server: Server, ns: str) -> None:
    for query in ({"resourceVersion": "x"}, {"sendInitialEvents": "true"}, {"resourceVersionMatch": "NotOlderThan"}):
        status, answer = server.request("GET", maps(ns), query={"watch": "true", **query})
        assert (status, answer["reason"]) == (422, "Invalid"), query


def test_a_bookmark_comes_before_a_watch_ends(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/secrets"
    version = server.request("GET", path)[1]["metadata"]["resourceVersion"]
    query = {"allowWatchBookmarks": "true", "timeoutSeconds": "3", "resourceVersion": version}
    (event,) = server.events(path, query, 2)
    assert event["type"] == "BOOKMARK" and int(event["object"]["metadata"]["resourceVersion"]) >= int(version)
    assert server.events(path, {"timeoutSeconds": "1", "resourceVersion": version}, 1) == [], "nobody asked for one"


def test_the_old_paths_of_watches_are_watches(server: Server, ns: str) -> None:
    server.create(f"/api/v1/namespaces/{ns}/configmaps", {"metadata": {"name": "a"}})
    for path in (f"/api/v1/watch/namespaces/{ns}/configmaps", f"/api/v1/watch/namespaces/{ns}/configmaps/a"):
        (event,) = server.events(path, {"timeoutSeconds": "1"}, 1)
        assert event["type"] == "ADDED" and event["object"]["metadata"]["name"] == "a"
