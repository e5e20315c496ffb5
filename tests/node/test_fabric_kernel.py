"""The fabric on the real kernel, in namespaces of the test's own: as root, and as an ordinary user."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, socket, sys, tempfile
from pathlib import Path
from seaway.cluster import config, layout
from seaway.cluster.fabric import build, linux
linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
folder = tempfile.mkdtemp()
linux.mount("tmpfs", folder, "tmpfs")
linux.mount("proc", "/proc", "proc")
plan = layout.plan(config.ClusterConfig(nodes=config.default_nodes(3), networking=config.Networking(ip_family=sys.argv[1])))
build.build(plan, Path(folder, "ns"))
# Routed legs and no bridge: nothing here that br_netfilter could be needed for.
names = {name for _, name in socket.if_nameindex()}
assert names >= {"lo", "outside", "node0", "node1", "node2"} and not any(n.startswith("br") for n in names), names
places = {"outside": plan.outside, **{n.netns: n.addresses for n in plan.nodes}}

def listen(address):
    found = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    found.bind((str(address), 8080))
    found.listen(5)
    return found

def talk(address, server):
    client = socket.create_connection((str(address), 8080), timeout=5)
    there, peer = server.accept()
    client.sendall(b"x" * 100_000)
    assert there.recv(10) == b"x" * 10
    client.close(), there.close()
    return peer[0]

for name, addresses in places.items():
    for i, address in enumerate(addresses):
        made = []
        build.in_netns(Path(folder, "ns", name), lambda: made.append(listen(address)))
        for other, theirs in places.items():
            seen = []
            build.in_netns(Path(folder, "ns", other), lambda: seen.append(talk(address, made[0])))
            assert seen == [str(theirs[i])], (other, name, seen)
        assert talk(address, made[0]) == str(plan.router[i])
        made[0].close()
print("well")
"""


@pytest.mark.kernel
@pytest.mark.parametrize("family", ["ipv4", "ipv6", "dual"])
@pytest.mark.parametrize("user", ["as we are", "ordinary"])
def test_the_fabric_carries_both_families(family: str, user: str) -> None:
    flags = ["--net", "--pid", "--fork", "--mount"]
    if user == "ordinary" or os.geteuid() != 0:
        flags += ["--user", "--map-root-user"]
    done = subprocess.run(["unshare", *flags, sys.executable, "-c", SCRIPT, family], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "well", done.stderr
