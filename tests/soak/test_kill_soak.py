"""Minutes of random kills, under load."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from clusters import LOADER, SPARED, Cluster, wait_for, web

SECONDS = 150


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
        wait_for(lambda: cluster.kubectl("get", "pods", check=False).count("Running") == len(before))
        # What the API says may be from before the last kill: the loader's node answers when its agent is back.
        wait_for(lambda: cluster.exec("loader", "echo", "here", check=False).strip() == "here")
        results = cluster.exec("loader", "cat", "/tmp/out").split()[skip:]
        failed = [r for r in results if r != "200"]
        print(f"{kills} kills, {len(results)} requests, {len(failed)} failed")
        assert kills > 50 and len(results) > 2000 and not failed
        after = {p["metadata"]["name"]: p["status"]["containerStatuses"][0]["restartCount"] for p in cluster.get("pods")["items"]}
        assert after == before


@pytest.mark.soak
def test_agents_killed_while_pods_come_and_go_lose_and_double_none() -> None:
    chooser = random.Random(os.environ.get("SOAK_SEED", "2"))
    manifest = web(0).replace("traefik/whoami", "registry.k8s.io/pause").replace("readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2}", "").replace(
        "lifecycle: {preStop: {sleep: {seconds: 1}}}", "")
    with Cluster("--nodes", "2") as cluster:
        cluster.apply(manifest)
        system = len(cluster.get("pods", "-A")["items"])
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

            wait_for(settled, within=60, what=f"{want} pods")
            addresses = [p["status"]["podIP"] for p in cluster.get("pods")["items"]]
            assert len(set(addresses)) == len(addresses)
            wait_for(lambda want=want: len(cluster.pids("shim")) == want + system, within=60, what="a shim a pod, no more")
        cluster.kubectl("scale", "deployment/web", "--replicas=0")
        wait_for(lambda: len(cluster.pids("shim")) == system)
        for node in cluster.get("nodes")["items"]:
            name = node["metadata"]["name"]
            own = [p for p in cluster.get("pods", "-A")["items"] if p["spec"]["nodeName"] == name and not p["spec"].get("hostNetwork")]
            wait_for(lambda name=name, own=own: cluster.outside("ip", "-o", "link", origin=name).count("@") - 1 == len(own), what="no leg is left")
