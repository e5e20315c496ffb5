"""The modes of the proxy: the data plane of each, and what a mode removes of those that were here before it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from seaway.proxy.configuration import Settings
from seaway.proxy.ebpf import cgroup
from seaway.proxy.ebpf.plane import EbpfPlane
from seaway.proxy.iptables.plane import IptablesPlane
from seaway.proxy.iptables.tool import Iptables
from seaway.proxy.ipvs.device import Device, present
from seaway.proxy.ipvs.netlink import Ipvs
from seaway.proxy.ipvs.plane import IpvsPlane
from seaway.proxy.ipvs.rules import SHARED
from seaway.proxy.ipvs.settool import Ipset
from seaway.proxy.kernel import KernelError, Nftables
from seaway.proxy.nftables import layout
from seaway.proxy.nftables.plane import NftablesPlane
from seaway.proxy.planes import Plane
from seaway.proxy.userspace.plane import Redirect, UserspacePlane

log = logging.getLogger("kube-proxy")
DRAIN = 60.0  # seconds that connections of another mode are waited for


def open_plane(wanted: Settings) -> Plane:
    """The data plane of a mode, on this kernel."""
    if wanted.mode == "iptables":
        return IptablesPlane(Iptables(wanted.backend))
    if wanted.mode == "ipvs":
        tool, device = Iptables(wanted.backend), Device(wanted.strict_arp)
        return IpvsPlane(tool, Ipset(), Ipvs(), device, wanted.scheduler, wanted.exclude_cidrs, wanted.ipvs_timeouts)
    if wanted.mode == "userspace":
        return UserspacePlane(_redirect(wanted.backend))
    kernel = Nftables()
    packets = NftablesPlane(kernel, kernel.large)
    return EbpfPlane(cgroup.folder(wanted.cgroup), packets) if wanted.mode == "ebpf" else packets


def settled(wanted: Settings, plane: Plane) -> Settings:
    """The settings with what a plane has chosen itself."""
    return wanted._replace(backend=plane.backend) if isinstance(plane, IptablesPlane) else wanted


def _redirect(backend: str) -> Redirect:
    """nftables where the kernel has it, else iptables."""
    why = _no_nftables()
    if not why:
        kernel = Nftables()
        return NftablesPlane(kernel, kernel.large)
    log.info("no nftables here (%s): the relay is led to by iptables", why)
    return IptablesPlane(Iptables(backend))


def _ipvs(tool: Iptables) -> IpvsPlane:
    return IpvsPlane(tool, Ipset(), Ipvs(), Device())


def _programs_left(path: str) -> list[str]:
    """Detaches the socket programs of eBPF mode, where this process may."""
    try:
        if EbpfPlane(cgroup.folder(path), NftablesPlane(Nftables())).detach():
            return ["detached the socket programs that eBPF mode has left"]
    except KernelError as e:
        log.debug("%s", e)
    return []


def _nftables_left() -> list[str]:
    told = []
    try:
        kernel = Nftables()
        for family in (4, 6):
            if kernel.list(family):
                kernel.nft(layout.cleanup(family))
                told.append(f"removed the nftables table of IPv{family} that another mode has left")
    except KernelError as e:
        log.debug("%s", e)
    return told


def _iptables_left(mode: str, used: str = "") -> list[str]:
    """The chains of iptables mode, in either backend but the one in use; what IPVS mode has made its own stays."""
    told = []
    for backend in ("nft", "legacy"):
        if backend == used:
            continue
        try:
            tool = Iptables(backend)
            if tool.in_use() and any(c.startswith("KUBE-SVC") for f in (4, 6) for c in tool.save(f).get("nat", ())):
                IptablesPlane(tool).cleanup((4, 6), SHARED if mode == "ipvs" else frozenset())
                told.append(f"removed the chains of iptables-{backend} that another mode has left")
        except KernelError as e:
            log.debug("%s", e)
    return told


def _ipvs_left(mode: str, backend: str, ended: Callable[[], bool], bound: float = DRAIN) -> list[str]:
    """The virtual servers of IPVS mode, once their last connection has ended or a minute has passed."""
    if not present():
        return []
    try:
        plane = _ipvs(Iptables(backend))
        if not plane.drain(bound, ended):
            return []
        by_iptables = mode == "iptables" or (mode == "userspace" and _no_nftables())
        plane.cleanup(SHARED if by_iptables else frozenset())
    except KernelError as e:
        return [f"what IPVS mode has left stays: {e}"]
    return ["removed the virtual servers that IPVS mode has left"]


def _never() -> bool:
    return False


def leftovers(wanted: Settings, ended: Callable[[], bool] = _never) -> list[str]:
    """Removes what a proxy in another mode has left here; says what that was. It may wait for connections to end: `ended` says
    whether the proxy that waits has ended itself."""
    mode = wanted.mode
    told = _programs_left(wanted.cgroup) if mode != "ebpf" else []
    if mode in ("iptables", "ipvs"):
        told += _nftables_left()
    if mode == "iptables" and wanted.backend != "auto":
        told += _iptables_left(mode, wanted.backend)
    elif mode in ("nftables", "ebpf", "ipvs") or (mode == "userspace" and not _no_nftables()):
        told += _iptables_left(mode)
    if mode != "ipvs":
        told += _ipvs_left(mode, wanted.backend, ended)
    return told


def cleanup(wanted: Settings, plane: Plane) -> list[str]:
    """Removes what proxies in any mode have made here, at once; says what others than this mode's it was."""
    plane.cleanup()
    told = _programs_left(wanted.cgroup) + _nftables_left() + _iptables_left("")
    return told + _ipvs_left("", wanted.backend, _never, 0.0)


def _no_nftables() -> str:
    """Why nftables cannot be used here, "" where it can."""
    try:
        return Nftables().lacking()
    except KernelError as e:
        return str(e)
