"""Ports of the node that lead to its pods (`hostPort`), as the portmap plugin of CNI has it; pure but for `HostPorts`.

A connection to one of the node's own addresses, from wherever, goes on to the pod. The rules are a table of their own, replaced
whole in one transaction: there are few.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from seaway.proxy.kernel import Kernel

Tree = dict[str, Any]
TABLE = "seaway-hostports"
_FAMILIES = {4: ("ip", "ipv4_addr", "127.0.0.0/8"), 6: ("ip6", "ipv6_addr", "::1")}


class Lead(NamedTuple):
    """A port of the node's (`host` empty: at any of its addresses), and where it leads."""

    protocol: str
    host: str
    host_port: int
    address: str
    port: int


def of_pod(pod: Tree, addresses: Sequence[str]) -> tuple[Lead, ...]:
    """What a pod's containers ask for, for each of its addresses that the port's hostIP is of the family of."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return ()
    beside = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    found = []
    for container in [*beside, *spec["containers"]]:
        for port in container.get("ports") or ():
            if not port.get("hostPort"):
                continue
            host = ipaddress.ip_address(port.get("hostIP") or "0.0.0.0")
            for address in addresses:
                if host.is_unspecified or host.version == ipaddress.ip_address(address).version:
                    text = "" if host.is_unspecified else str(host)
                    protocol = str(port.get("protocol") or "TCP").lower()
                    found.append(Lead(protocol, text, int(port["hostPort"]), address, int(port["containerPort"])))
    return tuple(found)


def _map(name: str, kind: str, rows: Iterable[str]) -> list[str]:
    lines = sorted(set(rows))
    elements = [f"    elements = {{ {', '.join(lines)} }}"] if lines else []
    return [f"  {name} {{", f"    type {kind}", *elements, "  }"]


def render(leads: Iterable[Lead]) -> str:
    """The transaction that makes the tables be so; without leads there is none."""
    leads = sorted(set(leads))
    text = []
    for version, (family, kind, loopback) in _FAMILIES.items():
        mine = [lead for lead in leads if ipaddress.ip_address(lead.address).version == version]
        text += [f"add table {family} {TABLE}", f"delete table {family} {TABLE}"]
        if not mine:
            continue
        anywhere = [f"{m.protocol} . {m.host_port} : {m.address} . {m.port}" for m in mine if not m.host]
        bound = [f"{m.host} . {m.protocol} . {m.host_port} : {m.address} . {m.port}" for m in mine if m.host]
        text += [
            f"table {family} {TABLE} {{",
            *_map("map anywhere", f"inet_proto . inet_service : {kind} . inet_service", anywhere),
            *_map("map bound", f"{kind} . inet_proto . inet_service : {kind} . inet_service", bound),
            *_map("set themselves", f"{kind} . {kind}", (f"{m.address} . {m.address}" for m in mine)),
            "  chain leads {",
            f"    dnat {family} to {family} daddr . meta l4proto . th dport map @bound",
            f"    dnat {family} to meta l4proto . th dport map @anywhere",
            "  }",
            "  chain prerouting {",
            "    type nat hook prerouting priority dstnat",
            "    fib daddr type local jump leads",
            "  }",
            "  chain output {",
            "    type nat hook output priority -100",
            f"    {family} daddr != {loopback} fib daddr type local jump leads",
            "  }",
            "  chain postrouting {",
            "    type nat hook postrouting priority srcnat",
            # A pod that comes to itself by the node's address: its answer has to come back by the node.
            f"    {family} saddr . {family} daddr @themselves masquerade",
            "  }",
            "}",
        ]
    return "\n".join(text) + "\n"


class HostPorts:
    """The leads of a node's pods, as the kernel has them. A file says that there are any, so that an agent which finds none
    of its pods asking clears what its predecessor left, and one that never had any does not even load the library."""

    def __init__(self, folder: str, kernel: Kernel | None = None) -> None:
        self._mark = os.path.join(folder, "hostports")
        self._kernel = kernel
        self._leads: dict[str, tuple[Lead, ...]] = {}
        self._applied: str | None = None if os.path.exists(self._mark) else render(())

    def know(self, uid: str, leads: tuple[Lead, ...]) -> None:
        """What is to lead to a pod with the next `apply`."""
        if leads:
            self._leads[uid] = leads
        else:
            self._leads.pop(uid, None)

    def set(self, uid: str, leads: tuple[Lead, ...]) -> None:
        """What leads to a pod from now on; OSError where the kernel refuses."""
        self.know(uid, leads)
        self.apply()

    def apply(self) -> None:
        wanted = render(lead for leads in self._leads.values() for lead in leads)
        if wanted == self._applied:
            return
        from seaway.proxy.kernel import KernelError, Nftables

        try:
            if self._leads:
                with open(self._mark, "w"):
                    pass
            self._kernel = self._kernel or Nftables()
            self._kernel.nft(wanted)
        except KernelError as e:
            raise OSError(f"host ports: {e}") from None
        self._applied = wanted
        if not self._leads and os.path.exists(self._mark):
            os.unlink(self._mark)
