"""What was acknowledged is there, through kills; what a newer version wrote stays, through edits."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable

import pytest
from server import Server

WRITERS, OBJECTS, KILLS, SERVICE_EVERY = 8, 10_000, 5, 25
MERGE, JSON, STRATEGIC = "application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json"


class Writer(threading.Thread):
    """Creates its share, each until it is acknowledged; remembers the versions it saw."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self.server, self.number = server, number
        self.acknowledged: list[str] = []
        self.versions: list[int] = []
        self.problem = ""

    def run(self) -> None:
        connection = self.server.connect()
        for i in range(self.number, OBJECTS, WRITERS):
            service = i % SERVICE_EVERY == 0
            kind = "services" if service else "configmaps"
            spec = {"spec": {"type": "NodePort", "ports": [{"port": 80}]}} if service else {"data": {"k": "v" * 100}}
            body = {"metadata": {"name": f"o{i}", "labels": {"durable": "yes"}}, **spec}
            end = time.monotonic() + 60
            while True:
                try:
                    status, answer = self.server.request("POST", f"/api/v1/namespaces/default/{kind}", body, connection=connection)
                except OSError:
                    connection.close()
                    if time.monotonic() > end:
                        self.problem = "no answer for a minute"
                        return
                    time.sleep(0.02)
                    continue
                if status == 201:
                    self.versions.append(int(answer["metadata"]["resourceVersion"]))
                elif status != 409:
                    self.problem = f"{status} {answer}"
                    return
                self.acknowledged.append(f"{kind}/o{i}")
                break


class Watcher(threading.Thread):
    """Watches ConfigMaps, from the last version it has seen, again and again."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server, self.seen, self.stopped = server, set(), False
        self.version = server.request("GET", "/api/v1/namespaces/default/configmaps")[1]["metadata"]["resourceVersion"]
        self.twice: list[str] = []
        self.expired = False

    def run(self) -> None:
        while not self.stopped:
            connection = self.server.connect(timeout=5)
            try:
                connection.request("GET", f"/api/v1/namespaces/default/configmaps?watch=true&resourceVersion={self.version}")
                answer = connection.getresponse()
                while line := answer.readline():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        self.expired = True
                        return
                    name = event["object"]["metadata"]["name"]
                    if name in self.seen:
                        self.twice.append(name)
                    self.seen.add(name)
                    self.version = event["object"]["metadata"]["resourceVersion"]
            except (OSError, ValueError):
                time.sleep(0.02)
            finally:
                connection.close()


def test_acknowledged_objects_survive_five_kills(make_server: Callable[..., Server]) -> None:
    server = make_server()
    watcher = Watcher(server)
    watcher.start()
    writers = [Writer(server, n) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for kill in range(1, KILLS + 1):
        goal = OBJECTS * kill // (KILLS + 1)
        end = time.monotonic() + 60
        while sum(len(w.acknowledged) for w in writers) < goal and time.monotonic() < end:
            time.sleep(0.01)
        server.kill()
        server.start()
    for writer in writers:
        writer.join()
    assert [w.problem for w in writers if w.problem] == []
    acknowledged = {name for w in writers for name in w.acknowledged}
    assert len(acknowledged) == OBJECTS
    there = set()
    services = []
    for kind in ("configmaps", "services"):
        _, listed = server.request("GET", f"/api/v1/namespaces/default/{kind}", query={"labelSelector": "durable=yes"})
        there |= {f"{kind}/{i['metadata']['name']}" for i in listed["items"]}
        services = listed["items"]
    assert there == acknowledged
    for writer in writers:
        assert writer.versions == sorted(writer.versions), "resourceVersions went back"
    versions = [v for w in writers for v in w.versions]
    assert len(set(versions)) == len(versions)
    addresses = [a for s in services for a in s["spec"]["clusterIPs"]]
    ports = [p["nodePort"] for s in services for p in s["spec"]["ports"]]
    assert len(set(addresses)) == len(addresses) and len(set(ports)) == len(ports) == OBJECTS // SERVICE_EVERY
    wanted = {name.partition("/")[2] for name in acknowledged if name.startswith("configmaps/")}
    end = time.monotonic() + 30
    while not wanted <= watcher.seen and time.monotonic() < end:
        time.sleep(0.05)
    watcher.stopped = True
    assert not watcher.expired
    assert wanted <= watcher.seen and watcher.twice == []


KINDS = {
    "deployments.apps": ("/apis/apps/v1/namespaces/default/deployments/x", {
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}},
                 "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
    "services": ("/api/v1/namespaces/default/services/x", {"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}),
    "pods": ("/api/v1/namespaces/default/pods/x", {"spec": {"containers": [{"name": "c", "image": "i"}]}}),
}


@pytest.fixture(scope="module")
def written_by_a_newer_version(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A server whose stored objects hold fields that no table knows: top level, in spec, in a list's element."""
    server = Server(tmp_path_factory.mktemp("newer")).start().wait()
    server.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    for path, tree in KINDS.values():
        server.create(path.rpartition("/")[0], {"metadata": {"name": "x"}, **tree})
    server.kill()
    with sqlite3.connect(server.database) as db:
        for resource in KINDS:
            (raw,) = db.execute("SELECT data FROM objects WHERE resource=? AND key='default/x'", (resource,)).fetchone()
            tree = json.loads(raw)
            tree["fromTheFuture"] = {"a": 1}
            tree["spec"]["newField"] = ["kept"]
            part = tree["spec"].get("ports") or tree["spec"].get("containers") or tree["spec"]["template"]["spec"]["containers"]
            part[0]["newer"] = True
            db.execute("UPDATE objects SET data=? WHERE resource=? AND key='default/x'", (json.dumps(tree).encode(), resource))
    server.start().wait()
    yield server
    server.close()


def kept(tree: dict) -> bool:
    spec = tree["spec"]
    part = spec.get("ports") or spec.get("containers") or spec["template"]["spec"]["containers"]
    return tree.get("fromTheFuture") == {"a": 1} and spec.get("newField") == ["kept"] and part[0].get("newer") is True


@pytest.mark.parametrize("resource", KINDS)
@pytest.mark.parametrize("how", ["merge", "json", "strategic", "put", "status", "scale"])
def test_an_unknown_field_survives_every_edit(written_by_a_newer_version: Server, resource: str, how: str) -> None:
    server, path = written_by_a_newer_version, KINDS[resource][0]
    label = {"metadata": {"labels": {"edited": how}}}
    if how == "merge":
        status, _ = server.request("PATCH", path, label, media=MERGE)
    elif how == "json":
        status, _ = server.request("PATCH", path, [{"op": "add", "path": "/metadata/annotations", "value": {"edited": how}}], media=JSON)
    elif how == "strategic":
        status, _ = server.request("PATCH", path, label, media=STRATEGIC)
    elif how == "put":
        _, tree = server.request("GET", path)
        tree["metadata"]["labels"] = {"edited": how}
        status, _ = server.request("PUT", path, tree, query={"fieldValidation": "Strict"})
    elif how == "status":
        status, _ = server.request("PATCH", path + "/status", {"status": {"conditions": [{"type": "X", "status": "True"}]}}, media=MERGE)
    elif resource == "deployments.apps":
        status, _ = server.request("PATCH", path + "/scale", {"spec": {"replicas": 2}}, media=MERGE)
    else:
        pytest.skip("no scale subresource")
    assert status == 200
    assert kept(server.request("GET", path)[1])


def test_acknowledged_updates_and_deletes_survive_kills(make_server: Callable[..., Server]) -> None:
    """Killed while others write, at no chosen moment: the last acknowledged state of each object is what is there."""
    server = make_server()
    base, last = "/api/v1/namespaces/default/configmaps", {}
    stop = threading.Event()

    def write(writer: int) -> None:
        connection, turn, name = server.connect(), 0, f"w{writer}"
        while not stop.is_set():
            turn += 1
            try:
                if turn % 5 == 0:
                    status, _ = server.request("DELETE", f"{base}/{name}", connection=connection)
                    if status in (200, 404):
                        last[name] = None
                    continue
                body = {"metadata": {"name": name}, "data": {"turn": str(turn)}}
                status, _ = server.request("PUT", f"{base}/{name}", body, connection=connection)
                if status == 404:
                    status, _ = server.request("POST", base, body, connection=connection)
                if status in (200, 201):
                    last[name] = turn
            except OSError:
                connection.close()
                last[name] = "unknown"  # it may have happened or not
                time.sleep(0.02)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        server.wait()
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            time.sleep(0.01)
        server.kill()
        server.start()
    server.wait()
    end = time.monotonic() + 20
    while "unknown" in list(last.values()) and time.monotonic() < end:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    wanted = dict(last)
    server.kill()
    server.start().wait()
    _, listed = server.request("GET", base)
    found = {i["metadata"]["name"]: int(i["data"]["turn"]) for i in listed["items"]}
    assert len(wanted) == 4 and found == {name: turn for name, turn in wanted.items() if turn is not None}


def test_resource_versions_go_on_after_a_kill(make_server: Callable[..., Server]) -> None:
    server = make_server()
    versions = []
    for i in range(4):
        made = server.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"m{i}"}})
        versions.append(int(made["metadata"]["resourceVersion"]))
        _, listed = server.request("GET", "/api/v1/namespaces/default/configmaps")
        assert int(listed["metadata"]["resourceVersion"]) >= versions[-1]
        server.kill()
        server.start().wait()
        assert server.request("GET", f"/api/v1/namespaces/default/configmaps/m{i}")[1] == made
    assert versions == sorted(set(versions))


def test_the_database_is_whole_after_a_kill_under_load(make_server: Callable[..., Server]) -> None:
    server = make_server()

    def write(writer: int) -> None:
        try:
            connection = server.connect()
            for i in range(10_000):
                body = {"metadata": {"name": f"w{writer}-{i}"}, "data": {"k": "v" * 2000}}
                server.request("POST", "/api/v1/namespaces/default/configmaps", body, connection=connection)
        except OSError:
            pass

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    count, end = 0, time.monotonic() + 20
    while count < 200 and time.monotonic() < end:
        count = len(server.request("GET", "/api/v1/namespaces/default/configmaps")[1]["items"])
    server.kill()
    for thread in threads:
        thread.join()
    with sqlite3.connect(server.database) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (rv,) = db.execute("SELECT value FROM numbers WHERE name='rv'").fetchone()
        rows = db.execute("SELECT rv, data FROM objects").fetchall()
    assert all(json.loads(data)["metadata"]["resourceVersion"] == str(n) for n, data in rows)
    assert count >= 200 and max(n for n, _ in rows) <= rv
    server.start().wait()
    assert len(server.request("GET", "/api/v1/namespaces/default/configmaps")[1]["items"]) >= count
