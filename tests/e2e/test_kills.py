"""SIGKILL of each process, under a constant load to a ClusterIP: pods run on, no request fails, all comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import LOADER, SPARED, Cluster, wait_for, web


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


class Load:
    """The results of the loader so far, each line a status."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.seen = cluster, 0

    def fresh(self) -> list[str]:
        lines = self.cluster.exec("loader", "cat", "/tmp/out").split()
        found, self.seen = lines[self.seen :], len(lines)
        return found


def restarts(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """pod -> (uid, restarts), of all namespaces."""
    found = {}
    for pod in cluster.get("pods", "-A")["items"]:
        statuses = pod["status"].get("containerStatuses") or [{}]
        found[pod["metadata"]["name"]] = (pod["metadata"]["uid"], statuses[0].get("restartCount", 0))
    return found


def settled(cluster: Cluster) -> bool:
    """Every node and pod is Ready, every process of the plan runs."""
    nodes = cluster.get("nodes")["items"]
    pods = cluster.get("pods", "-A")["items"]
    true = [any(c["type"] == "Ready" and c["status"] == "True" for c in o["status"].get("conditions", ())) for o in nodes + pods]
    return all(true)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Cluster]:
    with Cluster("--nodes", "2") as cluster:
        cluster.apply(web(4))
        cluster.rollout("deployment/web")
        cluster.apply(LOADER.format(address=cluster.get("service", "web")["spec"]["clusterIP"]))
        cluster.ready("loader")
        wait_for(lambda: Load(cluster).fresh()[-10:].count("200") == 10)
        yield cluster


def targets(cluster: Cluster) -> list[str]:
    return sorted({p["name"] for p in cluster.processes()} - SPARED)


def test_any_process_may_be_killed_and_no_request_fails(loaded: Cluster) -> None:
    load = Load(loaded)
    assert load.fresh()
    for name in targets(loaded):
        before = restarts(loaded)
        pid = loaded.pids(name)[0]
        kill(pid)
        start = time.monotonic()
        wait_for(lambda name=name, pid=pid: pid not in loaded.pids(name) and loaded.pids(name), what=f"{name} is back")
        wait_for(lambda: settled(loaded), within=30, what=f"all is well after {name}")
        print(f"{name}: killed, all is well after {time.monotonic() - start:.1f} s")
        # The whole comes back working, not only running: a write leads to a pod.
        loaded.kubectl("scale", "deployment/web", "--replicas=5")
        wait_for(lambda: loaded.get("deployment", "web")["status"].get("readyReplicas") == 5, within=30)
        loaded.kubectl("scale", "deployment/web", "--replicas=4")
        wait_for(lambda: loaded.get("deployment", "web")["status"].get("replicas") == 4, within=30)
        after = restarts(loaded)
        changed = {p for p in before if p in after and before[p] != after[p]}
        allowed = {"kube-proxy": "kube-proxy-", "dns": "seaway-dns-", "gateway": "seaway-gateway-"}.get(name)
        assert all(allowed and p.startswith(allowed) for p in changed), f"{name}: {changed}"
        results = load.fresh()
        assert len(results) > 10
        failed = [r for r in results if r != "200"]
        assert not failed, f"after {name}: {len(failed)} of {len(results)} failed: {failed[:5]}"


def test_a_killed_shim_is_the_failure_of_its_pod_alone(loaded: Cluster) -> None:

    def calm() -> bool:
        pods = loaded.get("pods", "-A")["items"]
        return not any(p["metadata"].get("deletionTimestamp") for p in pods) and len(loaded.pids("shim")) == len(pods)

    wait_for(calm, what="no pod on its way out")
    before = restarts(loaded)
    kill(loaded.pids("shim")[-1])
    wait_for(lambda: sum(before[p] != r for p, r in restarts(loaded).items() if p in before) == 1)
    wait_for(lambda: settled(loaded), within=30)
    assert set(restarts(loaded)) == set(before)


def host_state() -> dict[str, Any]:
    """What a cluster must not leave on the host."""

    def run(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True).stdout

    return {
        "mounts": Path("/proc/mounts").read_text(),
        "links": run("ip", "-o", "link"),
        "addresses": run("ip", "-o", "address"),
        "routes": run("ip", "route", "show", "table", "all"),
        "rules": run("nft", "list", "ruleset"),
        "netns": run("ip", "netns"),
    }


@pytest.mark.parametrize("whom", ["init", "all"])
def test_nothing_is_left_when_init_or_everything_is_killed(whom: str) -> None:
    before = host_state()
    cluster = Cluster("--nodes", "2")
    try:
        cluster.up()
        cluster.apply(web(2))
        cluster.rollout("deployment/web")
        pids = [p["pid"] for p in cluster.processes()]
        init = cluster.pids("init")[0]
        victims = [init] if whom == "init" else [p for p in pids if p != init] + [init]
        for pid in victims:
            try:
                kill(pid)
            except ProcessLookupError:
                assert whom == "all"

        def gone() -> bool:
            def alive(pid: int) -> bool:
                try:
                    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
                except OSError:
                    return False

            return not any(alive(pid) for pid in pids)

        wait_for(gone, within=20)
        assert host_state() == before
        assert "no cluster named" in cluster.down()
        assert not cluster.folder.exists()
    finally:
        cluster.__exit__()
