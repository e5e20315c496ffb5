"""Makes a layout real: network namespaces, router legs, forwarding. Runs once, inside init's own namespaces."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from seaway.cluster.fabric import linux
from seaway.cluster.fabric.rtnetlink import Batch, index_of
from seaway.cluster.layout import GATEWAYS, Address, Layout, Network, mac

OUTSIDE_LEG = 0xFFFFFF
ANYWHERE: dict[int, Network] = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}

SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    # A flow keeps its path where a route has several: load balancer addresses.
    "net/ipv4/fib_multipath_hash_policy": "1",
    "net/ipv6/fib_multipath_hash_policy": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    # No link-local addresses of the kernel's own choosing: fe80::1 is the gateway, everything else a host route.
    "net/ipv6/conf/default/addr_gen_mode": "1",
}
# A pod and the outside may bind low ports and ping without capabilities, as container engines set it.
LEAF_SYSCTLS = {"net/ipv4/ip_unprivileged_port_start": "0", "net/ipv4/ping_group_range": "0 2147483647"}


def host(address: Address) -> Network:
    return ipaddress.ip_network((address, address.max_prefixlen))


def configure_namespace(sysctls: dict[str, str]) -> None:
    """Sysctls and loopback of the namespace that the process is in. A kernel without one (no IPv6) goes without."""
    for name, value in sysctls.items():
        try:
            linux.write(f"/proc/sys/{name}", value)
        except OSError:
            continue
    batch = Batch()
    batch.up(1)
    batch.commit()


def leaf(interface: str, addresses: tuple[Address, ...], router_mac: str) -> None:
    """The far end of a leg (a node, the outside, a pod): its addresses, and the gateway that answers for all else."""
    index = index_of(interface)
    batch = Batch()
    batch.up(index)
    for address in addresses:
        batch.address(index, address)
        gateway = GATEWAYS[0 if address.version == 4 else 1]
        batch.neighbour(index, gateway, router_mac)
        batch.route(ANYWHERE[address.version], index, gateway)
    batch.commit()


def near_end(interface: str, addresses: tuple[Address, ...], far_mac: str, behind: tuple[Network, ...] = ()) -> None:
    """The router's end of a leg: host routes to the far addresses, and the ranges behind them."""
    index = index_of(interface)
    batch = Batch()
    batch.up(index)
    for address in addresses:
        batch.neighbour(index, address, far_mac)
        batch.route(host(address), index)
    batch.commit()
    for network in behind:
        gateway = next(a for a in addresses if a.version == network.version)
        batch.route(network, index, gateway)
    batch.commit()


def make_netns(path: Path) -> None:
    """A network namespace kept alive by a bind mount at `path`."""
    path.touch()
    pid = os.fork()
    if pid == 0:
        try:
            linux.unshare(linux.CLONE_NEWNET)
            linux.mount("/proc/self/ns/net", str(path), None, linux.MS_BIND)
            configure_namespace({**SYSCTLS, **LEAF_SYSCTLS})
            os._exit(0)
        except BaseException as e:
            os.write(2, f"fabric: {path.name}: {e}\n".encode())
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"the network namespace {path.name} could not be made; see the line above")


def in_netns(path: Path, run: object, *args: object) -> None:
    """Calls `run(*args)` inside a namespace, and returns to this one."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux.enter(str(path), linux.CLONE_NEWNET)
        run(*args)  # type: ignore[operator]
    finally:
        linux.setns(here, linux.CLONE_NEWNET)
        os.close(here)


def leg(path: Path, near: str, number: int, addresses: tuple[Address, ...], behind: tuple[Network, ...]) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    batch = Batch()
    batch.veth(near, mac(number, 1), "eth0", mac(number, 2), fd)
    batch.commit()
    os.close(fd)
    in_netns(path, leaf, "eth0", addresses, mac(number, 1))
    near_end(near, addresses, mac(number, 2), behind)


def build(layout: Layout, folder: Path) -> None:
    """Makes every namespace of the layout under `folder`, and the router in the namespace that the process is in."""
    folder.mkdir(parents=True, exist_ok=True)
    configure_namespace({**SYSCTLS, **LEAF_SYSCTLS})
    batch = Batch()
    for address in layout.router:
        batch.address(1, address)
    batch.commit()
    make_netns(folder / "outside")
    leg(folder / "outside", "outside", OUTSIDE_LEG, layout.outside, ())
    batch = Batch()
    for network in layout.load_balancer_ranges:
        batch.unreachable(network)  # until the cloud announces an address of it
    batch.commit()
    for node in layout.nodes:
        make_netns(folder / node.netns)
        leg(folder / node.netns, f"node{node.index}", node.index, node.addresses, node.pod_ranges)
