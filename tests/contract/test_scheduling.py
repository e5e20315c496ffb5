"""The scheduler against the API server, on nodes that are only objects: no kubelet stands in between."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from server import Server

from seaway.client import kubeconfig
from seaway.client.events import Events
from seaway.client.rest import Rest
from seaway.cluster.scheduler.run import Scheduler
from seaway.controllers.run import Caches

MERGE = "application/merge-patch+json"
TOLERANT = [{"operator": "Exists"}]


@pytest.fixture(scope="module")
def scheduling(server: Server) -> Iterator[None]:
    """A scheduler of its own, on a thread."""
    loop = asyncio.new_event_loop()
    done: list[asyncio.Task[None]] = []

    async def work() -> None:
        async with Rest(kubeconfig.from_file(str(server.folder / "kubeconfig")), "test") as api:
            events = Events(api, "default-scheduler", "")
            async with asyncio.TaskGroup() as group:
                group.create_task(events.run())
                group.create_task(Scheduler(Caches(api), events).run())

    def run() -> None:
        asyncio.set_event_loop(loop)
        done.append(loop.create_task(work()))
        try:
            loop.run_until_complete(done[0])
        except asyncio.CancelledError:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    yield
    loop.call_soon_threadsafe(done[0].cancel)
    thread.join(30)
    assert not thread.is_alive(), "the scheduler does not end"
    loop.close()


class Cluster:
    """Nodes and pods of one namespace."""

    def __init__(self, server: Server, ns: str) -> None:
        self.server, self.ns = server, ns

    def node(self, name: str, labels: dict | None = None, cpu: str = "4", **spec: Any) -> None:
        name = f"{self.ns}-{name}"
        have = {"cpu": cpu, "memory": "8Gi", "pods": "20"}
        self.server.create("/api/v1/nodes", {"metadata": {"name": name, "labels": {"of": self.ns, **(labels or {})}}, "spec": spec})
        status = {"allocatable": have, "capacity": have, "conditions": [{"type": "Ready", "status": "True"}]}
        assert self.server.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, media=MERGE)[0] == 200

    def pod(self, name: str, cpu: str = "1", finalizers: tuple = (), **spec: Any) -> None:
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
        spec = {"nodeSelector": {"of": self.ns}, "tolerations": TOLERANT, "terminationGracePeriodSeconds": 0, **spec}
        meta = {"name": name, "finalizers": list(finalizers)}
        self.server.create(self.path(), {"metadata": meta, "spec": {"containers": [container], **spec}})

    def path(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.ns}/pods" + (f"/{name}" if name else "")

    def read(self, name: str) -> dict:
        return self.server.request("GET", self.path(name))[1]

    def until(self, name: str, told: Callable[[dict], Any], want: Any) -> None:
        end = time.monotonic() + 10
        while (found := told(self.read(name))) != want:
            assert time.monotonic() < end, f"{name}: {found!r}, not {want!r}"
            time.sleep(0.02)

    def on(self, name: str, node: str) -> None:
        self.until(name, lambda p: p["spec"].get("nodeName"), f"{self.ns}-{node}")


@pytest.fixture
def cluster(server: Server, ns: str, scheduling: None) -> Iterator[Cluster]:
    yield Cluster(server, ns)
    server.request("DELETE", "/api/v1/nodes", query={"labelSelector": f"of={ns}"})


def scheduled(pod: dict) -> tuple[str, str]:
    found = next((c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"), {})
    return found.get("status", ""), found.get("reason", "")


def test_a_pending_pod_says_why_and_goes_when_a_node_changes(cluster: Cluster) -> None:
    cluster.node("a", unschedulable=True, taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])
    cluster.pod("p", tolerations=[])
    cluster.until("p", scheduled, ("False", "Unschedulable"))
    message = cluster.read("p")["status"]["conditions"][0]["message"]
    assert "node(s) were unschedulable" in message and message.partition(" ")[0].startswith("0/")

    def told(_: dict) -> list[tuple[str, str, str]]:
        events = cluster.server.request("GET", f"/api/v1/namespaces/{cluster.ns}/events")[1]["items"]
        return [(e["reason"], e["type"], e["message"]) for e in events]

    cluster.until("p", told, [("FailedScheduling", "Warning", message)])  # events are written in the background
    open_ = {"spec": {"unschedulable": None, "taints": None}}
    assert cluster.server.request("PATCH", f"/api/v1/nodes/{cluster.ns}-a", open_, media=MERGE)[0] == 200
    cluster.on("p", "a")
    cluster.until("p", scheduled, ("True", ""))


def test_preemption_frees_a_node_and_waits_for_the_victim_to_leave(cluster: Cluster, server: Server) -> None:
    cluster.node("a")
    server.request("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "urgent"}, "value": 1000})
    cluster.pod("low", "3", finalizers=("example.com/hold",))
    cluster.on("low", "a")
    cluster.pod("high", "3", priorityClassName="urgent")
    cluster.until("high", lambda p: p["status"].get("nominatedNodeName"), f"{cluster.ns}-a")
    cluster.until("low", lambda p: bool(p["metadata"].get("deletionTimestamp")), True)
    conditions = cluster.read("low")["status"]["conditions"]
    assert [(c["type"], c.get("reason")) for c in conditions] == [("PodScheduled", None), ("DisruptionTarget", "PreemptionByScheduler")]
    cluster.pod("late", "3")  # the room that is being made is not for others
    cluster.until("late", scheduled, ("False", "Unschedulable"))
    server.request("PATCH", cluster.path("low"), {"metadata": {"finalizers": None}}, media=MERGE)
    cluster.on("high", "a")
    cluster.until("high", lambda p: p["status"].get("nominatedNodeName"), None)
    assert not cluster.read("late")["spec"].get("nodeName")


def test_gates_hold_a_pod_and_a_binding_is_made_once(cluster: Cluster, server: Server) -> None:
    cluster.node("a")
    cluster.pod("p", schedulingGates=[{"name": "example.com/a"}])
    assert scheduled(cluster.read("p")) == ("False", "SchedulingGated")
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": f"{cluster.ns}-a"}}
    status, answer = server.request("POST", cluster.path("p") + "/binding", binding)
    assert (status, answer["message"]) == (
        409, 'Operation cannot be fulfilled on pods/binding "p": pod p has non-empty .spec.schedulingGates')
    server.request("PATCH", cluster.path("p"), {"spec": {"schedulingGates": None}}, media=MERGE)
    cluster.on("p", "a")
    status, answer = server.request("POST", cluster.path("p") + "/binding", binding)
    assert (status, answer["details"]) == (409, {"name": "p", "kind": "pods/binding"})
    assert answer["message"].endswith(f'pod p is already assigned to node "{cluster.ns}-a"')


def test_two_hundred_pods_find_their_places_quickly_and_evenly(cluster: Cluster) -> None:
    for name in "abcdefghijk":
        cluster.node(name, cpu="100")
    began = time.monotonic()
    for number in range(200):
        cluster.pod(f"p{number}", "10m")
    end = time.monotonic() + 20
    while True:
        items = cluster.server.request("GET", cluster.path())[1]["items"]
        if all(p["spec"].get("nodeName") for p in items):
            break
        assert time.monotonic() < end
        time.sleep(0.05)
    places = [p["spec"]["nodeName"] for p in items]
    assert max(places.count(n) for n in set(places)) <= 20 and len(set(places)) == 11
    assert time.monotonic() - began < 20
