"""Minutes of random kills, under load."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest
from clusters import LOADER, SPARED, STARTER, Cluster, left, starts, wait_for, web

SECONDS = 150


def settled_shims(cluster: Cluster) -> int:
    """How many shims there are when each pod has one: a shim that forks a container looks like two for a moment."""
    return wait_for(lambda: (n := len(cluster.pids("shim"))) == len(cluster.get("pods", "-A")["items"]) and n, what=lambda: left(cluster))


def apply_all(cluster: Cluster, names: list[str]) -> bool:
    """Whether an API server that may die at any time has taken every STARTER of these names."""
    said = cluster.kubectl("apply", "-f", "-", text="---".join(STARTER.format(name=n) for n in names), check=False)
    return sum(line.endswith((" created", " unchanged", " configured")) for line in said.splitlines()) == len(names)


@pytest.mark.soak
def test_minutes_of_random_kills_lose_no_request() -> None:
    chooser = random.Random(os.environ.get("SOAK_SEED", "1"))
    with Cluster("--nodes", "3") as cluster:
        cluster.apply(web(4))
        cluster.rollout("deployment/web")
        cluster.apply(LOADER.format(address=cluster.get("service", "web")["spec"]["clusterIP"]))
        cluster.ready("loader")
        wait_for(lambda: cluster.exec("loader", "tail", "-n", "5", "/tmp/out", check=False).split() == ["200"] * 5)
        before = {p["metadata"]["name"]: p["status"]["containerStatuses"][0]["restartCount"] for p in cluster.get("pods")["items"]}
        skip = len(cluster.exec("loader", "cat", "/tmp/out").split())
        end, kills = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            victims = [p for p in cluster.processes() if p["name"] not in SPARED]
            try:
                if victims:  # or all are dead at once: they come back when the zygote has
                    os.kill(chooser.choice(victims)["pid"], signal.SIGKILL)
                    kills += 1
            except ProcessLookupError:
                pass
            time.sleep(chooser.uniform(0.2, 1.5))
        wait_for(lambda: cluster.kubectl("get", "pods", check=False).count("Running") == len(before), within=120, what=lambda: left(cluster))
        # What the API says may be from before the last kill: the loader's node answers when its agent is back.
        wait_for(lambda: cluster.exec("loader", "echo", "here", check=False).strip() == "here", within=120)
        results = cluster.exec("loader", "cat", "/tmp/out").split()[skip:]
        failed = [r for r in results if r != "200"]
        print(f"{kills} kills, {len(results)} requests, {len(failed)} failed")
        assert not failed
        assert kills > 30 and len(results) > 1000, "too little happened to say anything"
        after = {p["metadata"]["name"]: p["status"]["containerStatuses"][0]["restartCount"] for p in cluster.get("pods")["items"]}
        assert after == before


@pytest.mark.soak
def test_agents_killed_while_pods_come_and_go_lose_and_double_none() -> None:
    chooser = random.Random(os.environ.get("SOAK_SEED", "2"))
    manifest = web(0).replace("traefik/whoami", "registry.k8s.io/pause").replace("readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2}", "").replace(
        "lifecycle: {preStop: {sleep: {seconds: 1}}}", "")
    with Cluster("--nodes", "2") as cluster:
        cluster.apply(manifest)
        system = settled_shims(cluster)
        for _ in range(12):
            want = chooser.randrange(0, 21)
            cluster.kubectl("scale", "deployment/web", f"--replicas={want}")
            for _ in range(chooser.randrange(1, 4)):
                time.sleep(chooser.uniform(0, 0.4))
                pids = [p["pid"] for p in cluster.processes() if p["name"].startswith("agent-")]
                if pids:
                    try:
                        os.kill(chooser.choice(pids), signal.SIGKILL)
                    except ProcessLookupError:
                        pass

            def settled(want: int = want) -> bool:
                pods = cluster.get("pods")["items"]
                running = [p for p in pods if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", ()))]
                return len(pods) == len(running) == want

            wait_for(settled, within=120, what=lambda want=want: f"{want} pods: {left(cluster)}")
            addresses = [p["status"]["podIP"] for p in cluster.get("pods")["items"]]
            assert len(set(addresses)) == len(addresses)
            wait_for(lambda want=want: len(cluster.pids("shim")) == want + system, within=90,
                     what=lambda want=want: f"a shim for each of {want} + {system} pods, no more: {left(cluster)}")
        cluster.kubectl("scale", "deployment/web", "--replicas=0")
        wait_for(lambda: len(cluster.pids("shim")) == system, what=lambda: f"{system} shims are left: {left(cluster)}")
        for node in cluster.get("nodes")["items"]:
            name = node["metadata"]["name"]
            own = [p for p in cluster.get("pods", "-A")["items"] if p["spec"]["nodeName"] == name and not p["spec"].get("hostNetwork")]
            wait_for(lambda name=name, own=own: cluster.outside("ip", "-o", "link", origin=name).count("@") - 1 == len(own), what="no leg is left")


@pytest.mark.soak
def test_everything_killed_while_pods_start_runs_each_pod_once() -> None:
    """Agents, API server, controllers and zygote die at random while waves of pods start and go: each container that runs
    has begun once, none is missing, no two hold the same address, nothing is left."""
    chooser = random.Random(os.environ.get("SOAK_SEED", "5"))
    end, waves, kills = time.monotonic() + SECONDS, 0, 0
    with Cluster("--nodes", "3") as cluster:
        system = settled_shims(cluster)
        while time.monotonic() < end:
            names = [f"s{waves}-{n}" for n in range(chooser.randrange(5, 30))]
            wait_for(lambda names=names: apply_all(cluster, names), within=120, what="every pod is accepted")
            for _ in range(chooser.randrange(3, 9)):
                time.sleep(chooser.uniform(0.05, 0.6))
                victims = [p for p in cluster.processes() if p["name"] not in SPARED | {"kube-proxy", "dns"}]
                try:
                    if victims:
                        os.kill(chooser.choice(victims)["pid"], signal.SIGKILL)
                        kills += 1
                except ProcessLookupError:
                    pass
            def started(names: list[str] = names) -> list[dict]:
                text = cluster.kubectl("get", "pods", "-l", "app=starter", "-o", "json", check=False)
                pods = json.loads(text)["items"] if text.startswith("{") else []
                ready = [p for p in pods if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", ()))]
                return ready if len(ready) == len(pods) == len(names) else []

            pods = wait_for(started, within=120, what=lambda names=names: f"{len(names)} pods run: {left(cluster)}")
            wait_for(lambda pods=pods: cluster.exec(pods[0]["metadata"]["name"], "echo", "here", check=False).strip() == "here", within=60)
            begun = starts(cluster, pods)
            assert all(begun.count(p["metadata"]["uid"]) == 1 for p in pods)
            assert all(p["status"]["containerStatuses"][0]["restartCount"] == 0 for p in pods)
            assert len({p["status"]["podIP"] for p in pods}) == len(pods)
            cluster.kubectl("delete", "pods", "-l", "app=starter", "--wait=false")
            wait_for(lambda: len(cluster.pids("shim")) == system, within=90, what=lambda: f"{system} shims are left: {left(cluster)}")
            wait_for(lambda: "starter" not in cluster.kubectl("get", "pods", "--show-labels", check=False), within=60)
            waves += 1
        print(f"{waves} waves, {kills} kills")
        assert waves >= 3 and kills > 10, "too little happened to say anything"
