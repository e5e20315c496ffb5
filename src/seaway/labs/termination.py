"""Lab: the end of a pod is a race (claim 8 of the notes).

A delete starts two things side by side: the kubelet ends the containers, the endpoint controller unlists the pod. Whatever
the proxies send in between reaches a process that is gone. Ten pods are replaced under load, in three ways: no hook, a signal
handler that goes on serving for a while, a preStop sleep. Upstream's proxies sync at most once a second; ours wait so on
purpose here, and the result says so.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from importlib import resources
from typing import Any

from seaway.cluster.config import ClusterConfig, Components, default_nodes
from seaway.cluster.place import Place
from seaway.labs import chart
from seaway.labs.frame import Options, Result, Stage
from seaway.labs.kubectl import Kubectl

Tree = dict[str, Any]
PODS, RATE = 10, 350.0
DELAY = 1.0  # kube-proxy's minSyncPeriod upstream
WAIT = 3  # seconds that a handler or a preStop sleep gives the proxies
WAYS = ("no hook", "signal handler", "preStop sleep")


def manifests(way: str) -> list[Tree]:
    """The Deployment of one way of ending; everything else is the same."""
    container: Tree = {
        "name": "app",
        "image": "python:3",
        "command": ["python3", "/lab/app.py", str(WAIT if way == "signal handler" else 0)],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "lab", "mountPath": "/lab"}],
    }
    if way == "preStop sleep":
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": WAIT}}}
    spec = {"containers": [container], "volumes": [{"name": "lab", "configMap": {"name": "lab"}}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {**spec, "terminationGracePeriodSeconds": 3 * WAIT}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": PODS,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}},
                "template": template,
            },
        }
    ]


def surroundings() -> list[Tree]:
    """The Service and the programs."""
    programs = {n: resources.files("seaway.labs").joinpath(n).read_text() for n in ("app.py", "load.py")}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lab"}, "data": programs},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
        },
    ]


def loader(name: str) -> Tree:
    """The pod that the load comes from. Each run has a new one, and so a new address: what conntrack remembers of an earlier
    run's lost connections would send some of its own to pods that are gone (TCP entries are nobody's to clean)."""
    container: Tree = {
        "name": "loader",
        "image": "python:3",
        "command": ["sleep", "infinity"],
        "volumeMounts": [{"name": "lab", "mountPath": "/lab"}],
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "lab", "configMap": {"name": "lab"}}],
        "terminationGracePeriodSeconds": 1,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _answers(kubectl: Kubectl, name: str, address: str) -> bool:
    probe = f"import socket; socket.create_connection(({address!r}, 80), 2)"
    return all(kubectl.succeeds("exec", name, "--", "python3", "-c", probe) for _ in range(PODS))


def roll_under_load(kubectl: Kubectl, name: str, address: str) -> Tree:
    """Restarts the Deployment while a loader of this name calls the Service; what it counted."""
    kubectl.apply([loader(name)])
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    kubectl.until(lambda: _answers(kubectl, name, address))  # the proxies have seen the start
    command = kubectl.command("exec", "-i", name, "--", "python3", "/lab/load.py", address, "80", str(RATE))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=kubectl.env) as load:
        assert load.stdin and load.stdout
        if load.stdout.readline().strip() != "ready":
            raise RuntimeError("the loader did not start")
        kubectl("rollout", "restart", "deployment/web")
        kubectl("rollout", "status", "deployment/web", "--timeout=120s")
        kubectl.until(lambda: len(kubectl.items("pods", "-l", "app=web")) == PODS)
        load.stdin.write("end\n")
        load.stdin.close()
        found: Tree = json.loads(load.stdout.readline())
        return found


def run(stage: Stage, options: Options) -> Result:
    nodes = default_nodes(2, "lab")
    config = replace(ClusterConfig(), nodes=nodes, components=Components(proxy_min_sync_period=DELAY))
    with stage.cluster(config) as where:
        counted = measure(stage, where, options)
    return result(counted)


def measure(stage: Stage, where: Place, options: Options) -> dict[str, list[Tree]]:
    kubectl = Kubectl(where)
    kubectl.apply(surroundings())
    address = str(kubectl.item("service", "web")["spec"]["clusterIP"])
    found: dict[str, list[Tree]] = {}
    for way in WAYS:
        # Pods of the way before are not to be ended in the next one's time.
        kubectl("delete", "deployment", "web", "--ignore-not-found")
        kubectl.until(lambda: not kubectl.items("pods", "-l", "app=web"))
        kubectl.apply(manifests(way))
        kubectl("rollout", "status", "deployment/web", "--timeout=120s")
        runs = found[way] = []
        for n in range(1 if options.quick else options.runs):
            counts = roll_under_load(kubectl, f"loader-{len(found)}-{n}", address)
            runs.append(counts)
            lost = sum(counts["failed"].values())
            stage.say(f"{way}, run {n + 1}: {counts['sent']} requests at {counts['rate']:.0f}/s, {lost} lost")
    return found


def result(counted: dict[str, list[Tree]]) -> Result:
    rows, numbers = [], {}
    lost = {way: [sum(c["failed"].values()) for c in runs] for way, runs in counted.items()}
    for way, runs in counted.items():
        how: dict[str, int] = {}
        for counts in runs:
            for kind, number in counts["failed"].items():
                how[kind] = how.get(kind, 0) + number
        rows.append(
            (
                way,
                ", ".join(str(c["sent"]) for c in runs),
                f"{min(c['rate'] for c in runs):.0f}/s",
                ", ".join(map(str, lost[way])),
                ", ".join(f"{n} {kind}" for kind, n in sorted(how.items())) or "none",
            )
        )
        numbers[f"lost/{way}"] = float(sum(lost[way]))
        numbers[f"rate/{way}"] = min(c["rate"] for c in runs)
    times = max(len(r) for r in counted.values())
    picture = chart.bars(
        f"Requests lost while {PODS} pods are replaced",
        [f"run {n + 1}" for n in range(times)],
        {way: [float(v) for v in lost[way]] for way in counted},
        lambda v: f"{v:.0f}",
        f"of about {RATE:.0f} a second, each on a new connection",
    )
    return Result(
        "Requests lost in a rolling restart",
        ("the pod's end", "requests", "rate", "lost", "how"),
        tuple(rows),
        (
            f"{PODS} pods, replaced at most half at a time; {RATE:.0f} new connections a second from a pod to the ClusterIP.",
            f"kube-proxy syncs at most once in {DELAY:.0f} s, as upstream's does; set on purpose "
            "(components.kubeProxy.minSyncPeriod). Left alone, ours follows in milliseconds, which narrows the race "
            "and does not end it.",
            f"The handler serves on for {WAIT} s after SIGTERM; the preStop sleep takes {WAIT} s before it.",
        ),
        picture,
        numbers,
    )
