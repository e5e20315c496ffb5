"""A thousand routes, with some that Envoy refuses among them, and a controller that is killed again and again, under load."""

from __future__ import annotations

import os
import signal

import gateways
import pytest
from clusters import CLIENT, Cluster, wait_for, web

ROUTES, PARTS = 1000, 10
HOST = "shared.example.com"
LARGE = "/bad%s/(a{1,100}){1,10}b{1,1000}"


def rule(path: str, kind: str = "PathPrefix") -> str:
    return f'{{matches: [{{path: {{type: {kind}, value: "{path}"}}}}], backendRefs: [{{name: web, port: 80}}]}}'


def host(i: int) -> str:
    """Half of the routes share a host, which has more rules than one scope takes."""
    return HOST if i % 2 else f"r{i}.example.com"


@pytest.mark.soak
def test_a_few_impossible_routes_among_a_thousand_are_named_and_a_controller_that_dies_changes_nothing() -> None:
    with Cluster("--nodes", "2") as cluster:
        cluster.apply(CLIENT + "---" + web(2) + "---" + gateways.gateway(replicas=2))
        for part in range(PARTS):
            which = range(part * ROUTES // PARTS, (part + 1) * ROUTES // PARTS)
            cluster.kubectl("create", "-f", "-", text="".join(gateways.route(f"r{i}", host(i), rule(f"/r{i}")) for i in which), within=300)
        cluster.rollout("deployment/web")
        cluster.ready("client")
        where = gateways.ready(cluster)

        def wrong() -> list[int]:
            lines = "\n".join(f"curl -s -m 5 -o /dev/null -w '{i} %{{http_code}}\\n' -H 'Host: {host(i)}' http://{where}/r{i}" for i in range(0, ROUTES, 9))
            said = cluster.outside("sh", "-c", lines).splitlines()
            return [int(line.split()[0]) for line in said if not line.endswith(" 200")]

        def refused() -> set[str]:
            found = {}
            for tree in cluster.get("httproutes")["items"]:
                condition = gateways.conditions(tree).get("Accepted", {})
                found[tree["metadata"]["name"]] = f"{condition.get('status')} {condition.get('reason')} {condition.get('message')}"
            assert all(v.startswith(("True", "False UnsupportedValue the proxy refuses it: rules[0]: ", "None")) for v in found.values())
            return {name for name, v in found.items() if not v.startswith("True")}

        wait_for(lambda: not wrong(), 120, lambda: str(wrong()))
        targets = [{"address": where, "port": 80, "protocol": p, "path": "/r1"} for p in ("h1", "h1-new", "h2", "h2-new")]
        with gateways.Load(cluster, HOST, *targets) as running:
            bad = {"b0": HOST, "b1": HOST, "b2": "r2.example.com", "b3": "alone.example.com"}
            cluster.apply("".join(gateways.route(n, h, rule(LARGE % n, "RegularExpression")) for n, h in bad.items())
                          + gateways.route("late", HOST, rule("/late")))
            wait_for(lambda: refused() == set(bad), 60, lambda: str(refused()))
            assert not wrong()
            for turn in range(1):
                before = gateways.versions(cluster)
                [pid] = cluster.pids("gateway")
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda pid=pid: cluster.pids("gateway") not in ([], [pid]), 60, "it is back")
                cluster.apply(gateways.route(f"turn-{turn}", HOST, rule(f"/turn-{turn}")))
                ask = ("curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {HOST}", f"http://{where}/turn-{turn}")
                wait_for(lambda ask=ask: cluster.outside(*ask, check=False) == "200", 60, "it programs again")
                wait_for(lambda: refused() == set(bad), 60, lambda: str(refused()))
                after = gateways.versions(cluster)
                apart = {k for k, v in before.items() if after.get(k) != v}
                assert apart <= {"Gateway/edge"}, apart
                assert not wrong()
            told = running.told()
            assert told["ok"] > 1000 and not told["failed"], told["failed"][:5]
