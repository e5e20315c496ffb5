"""`seaway controllers` as it runs in any cluster: two processes, one leads, against an API server with nothing around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server import Server

QUICK = ("--leader-elect-lease-duration=2s", "--leader-elect-renew-deadline=1s", "--leader-elect-retry-period=300ms")
SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


def start(server: Server, *args: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", "from seaway.cli.main import main; main()", "controllers"]
    log = open(server.folder / "controllers.log", "ab")
    return subprocess.Popen([*program, "--kubeconfig", str(server.folder / "kubeconfig"), *args], stdout=log, stderr=log)


def until(check: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 30
    while not (found := check()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


def addresses(server: Server, ns: str) -> list[str]:
    items = server.request("GET", SLICES.format(ns))[1]["items"]
    return sorted(e["addresses"][0] for s in items for e in s["endpoints"] or () if e["conditions"]["ready"])


def add_pod(server: Server, ns: str, name: str, address: str) -> None:
    base = f"/api/v1/namespaces/{ns}/pods"
    server.create(base, {"metadata": {"name": name, "labels": {"app": "x"}}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}})
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [{"type": "Ready", "status": "True"}]}
    assert server.request("PATCH", f"{base}/{name}/status", {"status": status}, media="application/merge-patch+json")[0] == 200


def test_controllers_alone_keep_slices_and_the_next_one_takes_over(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server()
    server.create("/api/v1/nodes", {"metadata": {"name": "n"}})
    server.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    server.create("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "default"}})
    server.create("/api/v1/namespaces/shop/services", {"metadata": {"name": "web"}, "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]}})
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/seaway-controllers"

    def holder() -> str:
        status, tree = server.request("GET", lease)
        return tree["spec"]["holderIdentity"] if status == 200 else ""

    first = start(server, *QUICK)
    second = None
    try:
        one = until(holder, "nobody leads")
        second = start(server, *QUICK, "--max-endpoints-per-slice", "1000")
        add_pod(server, "shop", "a", "10.0.0.1")
        until(lambda: addresses(server, "shop") == ["10.0.0.1"], "the slice follows")
        assert server.request("GET", "/api/v1/namespaces/shop/endpoints/web")[1]["subsets"][0]["addresses"][0]["ip"] == "10.0.0.1"
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        until(lambda: holder() not in ("", one), "the other takes over")
        add_pod(server, "shop", "b", "10.0.0.2")
        until(lambda: addresses(server, "shop") == ["10.0.0.1", "10.0.0.2"], "the new leader works")
        assert len(server.request("GET", SLICES.format("shop"))[1]["items"]) == 1
        server.kill()
        server.start().wait()
        add_pod(server, "shop", "c", "10.0.0.3")
        until(lambda: len(addresses(server, "shop")) == 3, "the API server's restart is survived")
    finally:
        for process in (first, second):
            if process and process.poll() is None:
                process.terminate()
                process.wait(10)


def test_wrong_arguments_are_said_in_a_line() -> None:
    for args, word in ((["--max-endpoints-per-slice", "0"], "between 1 and 1000"), (["--leader-elect-retry-period", "30s"], "must hold"),
                       (["--leader-elect", "perhaps"], "neither true nor false"), (["--kubeconfig", "/nonexistent"], "kubeconfig /nonexistent")):
        done = subprocess.run([sys.executable, "-c", "from seaway.cli.main import main; main()", "controllers", *args], capture_output=True, text=True)
        assert done.returncode != 0 and word in done.stderr and "Traceback" not in done.stderr, done.stderr
