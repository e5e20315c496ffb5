"""The namespaces of the flow cases: this process's own is the node; pods, another node with its pods, the network beyond and
outside clients hang off it by routed veths. All of it ends with the processes: nothing has a name in the file system.

    pod a   pod b   pod c              node.leg is the node's address on every pod's veth
        \\     |     /
         node (172.30.0.2) -- network  the default route; it has every address that nobody else has
         |        |    \\
    outside     pod x   other-node (172.31.0.3, pod y): another node, over node.second
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

import flowagent
import flowcgroup
import flowdata
from flowdata import CLIENTS, CROWD, SITES

from seaway.cluster.fabric import build, linux
from seaway.cluster.fabric.rtnetlink import Batch, index_of
from seaway.cluster.layout import Address, mac

Tree = dict[str, Any]
SYSCTLS = {
    **build.SYSCTLS,
    # Refusals are counted here, many at a time.
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv4/icmp_msgs_per_sec": "100000",
    "net/ipv4/icmp_msgs_burst": "100000",
    "net/netfilter/nf_conntrack_max": "262144",
}
HELD = "balancer.250"  # a load balancer's address that the node itself has
PLACES = {
    "a": ("a",), "b": ("b",), "c": ("c",), "x": ("x",), "other": ("other-node", "y"), "network": ("network",),
    "outside": ("outside", "outside-two"),
}  # fmt: skip
SERVERS = {**PLACES, "outside": ("outside",), "node": ("node",), "network": ()}


def _both(site: str) -> list[Address]:
    return [ipaddress.ip_address(a) for a in SITES[site].addresses.values()]


def place_of(client: str) -> str:
    """The namespace that a client of a case is in."""
    if client in ("node", "crowd"):
        return "node" if client == "node" else "outside"
    return next(place for place, sites in PLACES.items() if CLIENTS[client] in sites)


def link_of(place: str) -> str:
    """The node's end of the veth to a place."""
    return {"network": "eth0", "other": "eth1", "x": "eth2", "outside": "out"}.get(place, f"leg-{place}")


class Agent:
    """A process in a namespace, and the socket to talk to it."""

    def __init__(self, name: str, own: bool, group: str = "") -> None:
        """`own`: in a network namespace of its own. `group`: the folder of the cgroup that it joins."""
        self.name = name
        ours, theirs = socket.socketpair()
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                linux.die_with_parent()
                ours.close()
                if group:
                    flowcgroup.join(group)
                if own:
                    linux.unshare(linux.CLONE_NEWNET)
                    build.configure_namespace({**SYSCTLS, **build.LEAF_SYSCTLS})
                os.write(told, b"1")
                flowagent.main(theirs)
            except BaseException as e:
                os.write(2, f"agent {name}: {e!r}\n".encode())
            os._exit(0)
        theirs.close()
        os.close(told)
        if not os.read(ready, 1):
            raise RuntimeError(f"the agent of {name} did not start")
        os.close(ready)
        self._socket, self._file = ours, ours.makefile("rb")

    def end(self) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)

    def send(self, request: Tree) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def receive(self) -> Tree:
        line = self._file.readline()
        if not line:
            raise RuntimeError(f"the agent of {self.name} has died")
        found: Tree = json.loads(line)
        return found

    def ask(self, request: Tree) -> Tree:
        self.send(request)
        return self.receive()


def build_network(beyond: list[str], group: str = "") -> dict[str, Agent]:
    """Makes everything; `beyond` are the addresses of the network behind the default route, `group` is the cgroup of what is on
    the node. Returns the agents by place."""
    build.configure_namespace({**SYSCTLS, **build.LEAF_SYSCTLS})
    agents = {n: Agent(n, n != "node", group if n in flowcgroup.MEMBERS else "") for n in (*PLACES, "node")}
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    for number, (place, sites) in enumerate(PLACES.items(), 1):
        namespace = Path(f"/proc/{agents[place].pid}/ns/net")
        theirs = [a for s in sites for a in _both(s)]
        if place == "outside":
            theirs += [ipaddress.ip_address(a) for f in (4, 6) for a in CROWD[f]]
        fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        batch = Batch()
        near = link_of(place)
        batch.veth(near, mac(number, 1), "eth0", mac(number, 2), fd)
        batch.commit()
        os.close(fd)
        build.in_netns(namespace, build.leaf, "eth0", tuple(theirs), mac(number, 1))
        build.near_end(near, tuple(theirs), mac(number, 2), everything if place == "network" else ())
        mine = {"network": "node", "other": "node.second", "x": "node.second", "outside": ""}.get(place, "node.leg")
        batch = Batch()
        for address in _both(mine) if mine else ():
            batch.address(index_of(near), address)
        batch.commit()
    _hold([flowdata.address(HELD, family) for family in (4, 6)])
    build.in_netns(Path(f"/proc/{agents['network'].pid}/ns/net"), _hold, beyond)
    return agents


def _hold(addresses: list[str]) -> None:
    """Host addresses of the loopback interface."""
    batch = Batch()
    for address in addresses:
        batch.address(1, ipaddress.ip_address(address))
    batch.commit()


def start_servers(agents: dict[str, Agent], inner: list[int], outer: list[int]) -> None:
    """Endpoints on the ports that cases expect, the network on every port that cases ask for."""
    for place, agent in agents.items():
        rows: list[list[Any]] = []
        talkers: list[list[Any]] = []
        for site in SERVERS.get(place, ()):
            rows += [[site, f, SITES[site].addresses[f], inner] for f in (4, 6)]
            talkers += [[site, f, SITES[site].addresses[f]] for f in (4, 6)]
        if place == "network":
            rows += [["network", f, "", outer] for f in (4, 6)]
        agent.ask({"do": "serve", "servers": rows, "talkers": talkers})


def forget_connections() -> None:
    """Empties this namespace's connection tracking table: worlds must not see each other's flows."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 12) as netlink:  # NETLINK_NETFILTER
        netlink.bind((0, 0))
        body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
        kind = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE: without a tuple, all of them
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, 1 | 4, 1, 0) + body)
        code = -struct.unpack_from("=i", netlink.recv(4096), 16)[0]
        if code not in (0, errno.ENOENT):
            raise OSError(code, f"conntrack flush: {os.strerror(code)}")
