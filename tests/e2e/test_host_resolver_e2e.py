"""Nodes ask the machine's own name servers: here a machine is a namespace of the test's own, with a resolv.conf and a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Cluster, wait_for
from test_pod_names_e2e import pod

from seaway.cluster import place

STUB = Path(__file__).with_name("stubdns.py")
FIRST, SECOND = "127.0.0.53", "127.0.0.54"


class Apart(Cluster):
    """A cluster on a machine of its own: no network but loopback, an /etc/resolv.conf, name servers."""

    def __init__(self, folder: Path, ordinary: bool) -> None:
        super().__init__("--nodes", "1", "--dns-upstream", "host")
        self.ordinary, self.resolv = ordinary, folder / "resolv.conf"
        self.resolv.write_text(f"nameserver {FIRST}\nsearch corp.example\noptions timeout:2\n")
        script = f"ip link set lo up && mount --bind {self.resolv} /etc/resolv.conf && echo made && exec sleep 600"
        self.machine = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        assert self.machine.stdout and self.machine.stdout.readline() == "made\n"
        self.inside = ["nsenter", "-t", str(self.machine.pid), "--net", "--mount"]
        self.kubectl_path, self.real_kubectl = str(folder / "kubectl"), self.kubectl_path
        Path(self.kubectl_path).write_text(f'#!/bin/sh\nexec {" ".join(self.inside)} {self.real_kubectl} "$@"\n')
        Path(self.kubectl_path).chmod(0o755)
        self.folder_of_logs, self.stubs = folder, []  # type: ignore[var-annotated]
        self.log = self.serve(FIRST, "web.corp.example=192.0.2.80", "web.corp.example=2001:db8::80", "big.example=large")

    def serve(self, address: str, *rows: str) -> Path:
        log = self.folder_of_logs / f"{address}.log"
        command = [*self.inside, sys.executable, str(STUB), str(log), address, *rows]
        self.stubs.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert self.stubs[-1].stdout.readline() == "ready\n"
        return log

    def prefix(self, command: str) -> list[str]:
        ordinary = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        return [*self.inside, *(ordinary if self.ordinary and command == "up" else [])]

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        for process in (*self.stubs, self.machine):
            process.kill()
            process.wait()


# A machine of its own needs root: a mount over the machine's file, a namespace that the cluster is then a user in.
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a machine of its own needs root")


@pytest.fixture(params=[False, True], ids=["root", "ordinary"])
def apart(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Apart]:
    made = Apart(tmp_path, request.param)
    try:
        made.__enter__()
        yield made
    finally:
        made.__exit__()


def test_nodes_ask_the_machines_name_servers_and_have_its_domains(apart: Apart) -> None:
    apart.apply(pod("default", "dnsPolicy: Default") + pod("first", "dnsPolicy: ClusterFirst"))
    apart.ready("default")
    apart.ready("first")
    assert apart.exec("default", "cat", "/etc/resolv.conf") == "search corp.example\nnameserver 172.30.0.1\noptions timeout:2\n"
    own = "default.svc.cluster.local svc.cluster.local cluster.local"
    assert apart.exec("first", "cat", "/etc/resolv.conf") == f"search {own} corp.example\nnameserver 10.96.0.10\noptions ndots:5\n"
    assert apart.exec("default", "getent", "ahostsv4", "web").split()[0] == "192.0.2.80"
    assert apart.exec("default", "getent", "ahostsv6", "web").split()[0] == "2001:db8::80"
    assert apart.exec("default", "getent", "hosts", "none.example", check=False).startswith("command terminated")
    for name in ("web", "web.corp.example"):  # by way of the cluster's DNS, which asks what its node asks
        assert apart.exec("first", "getent", "ahostsv4", name).split()[0] == "192.0.2.80"
    dig = ["dig", "+noall", "+answer", "+tries=1", "big.example", "TXT"]
    for at in ("@172.30.0.1", "@fd00:172:30::1"):
        for way in ("+tcp", "+notcp"):  # truncated: dig comes back by TCP
            assert apart.exec("default", *dig, way, at).count("\tTXT\t") == 20, (at, way)
    asked = apart.log.read_text().split("\n")
    assert "udp web.corp.example 1" in asked and "tcp big.example 16" in asked

    log = apart.serve(SECOND, "moved.example=192.0.2.81")
    apart.resolv.write_text(f"nameserver {SECOND}\nsearch example\n")
    wait_for(lambda: "192.0.2.81" in apart.exec("default", "getent", "hosts", "moved.example", check=False), 10)
    assert "udp moved.example" in log.read_text()
    apart.apply(pod("later", "dnsPolicy: Default"))
    apart.ready("later")
    assert apart.exec("later", "cat", "/etc/resolv.conf") == "search example\nnameserver 172.30.0.1\n"
    assert "192.0.2.81" in apart.exec("later", "getent", "hosts", "moved")
    assert apart.exec("default", "cat", "/etc/resolv.conf").startswith("search corp.example\n"), "made with its sandbox"

    pids = sorted(apart.pids("hostside"))
    assert len(pids) == 2
    for pid in pids[::-1]:  # the one that answers, and the one that starts it again
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: "192.0.2.81" in apart.exec("default", "getent", "hosts", "moved.example", check=False), 10)
    (last,) = apart.pids("hostside")
    apart.down()
    wait_for(lambda: not place.start_time(last), 5, "it ends with the cluster")
