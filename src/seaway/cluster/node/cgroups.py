"""Resource limits by cgroup, where a controller allows (version 1 and 2): the kubelet's numbers, and the files they go to.

`parents`, `limits` and `settings` are pure; `Cgroups` makes the folders. Without root, or where no controller can be had,
nothing is limited and the node's condition ResourceLimits says so.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from seaway.api import quantities
from seaway.api.tree import get

Tree = dict[str, Any]
MEMORY, CPU = "memory", "cpu"
SOCKETS = "sockets"  # no controller: a group of version 2 for programs at sockets, where limits are version 1's
PERIOD = 100_000  # microseconds
LEAST_QUOTA, LEAST_SHARES = 1000, 2


@dataclass(frozen=True, slots=True)
class Parent:
    """Where a controller's groups may be made."""

    folder: str
    version: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of memory and thousandths of a cpu; None: no limit."""

    memory: int | None = None
    cpu: int | None = None
    share: int | None = None  # of a cpu, by what was requested


def name_of(runtime: str) -> str:
    """A cluster's own group."""
    return f"seaway-{hashlib.sha256(runtime.encode()).hexdigest()[:12]}"


def parents(mounts: str, own: str) -> dict[str, Parent]:
    """controller -> its parent, from /proc/mounts and /proc/self/cgroup. In version 1 below our own group, whose limits go
    on to hold; in version 2 at the root, for a group with processes has no children with controllers."""
    mine = {}
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            mine[name] = path
    found: dict[str, Parent] = {}
    unified = ""
    for line in mounts.splitlines():
        _, folder, kind, options = line.split(" ")[:4]
        if kind == "cgroup2":
            unified = unified or folder
        elif kind == "cgroup":
            for name in (MEMORY, CPU):
                if name in options.split(",") and name not in found:
                    found[name] = Parent(folder + mine.get(name, "/").rstrip("/"), 1)
    for name in (MEMORY, CPU):
        if unified and name not in found:
            found[name] = Parent(unified, 2)
    if unified and not any(p.version == 2 for p in found.values()):
        found[SOCKETS] = Parent(unified, 2)
    return found


def _amount(container: Tree, section: str, name: str) -> int | None:
    value = get(container, "resources", section, name)
    return None if value is None else ceil(quantities.parse(value) * (1000 if name == CPU else 1))


def limits(container: Tree) -> Limits:
    asked = _amount(container, "requests", CPU)
    most = _amount(container, "limits", CPU)
    return Limits(_amount(container, "limits", MEMORY), most, asked if asked is not None else most)


def settings(wanted: Limits, controller: str, version: int) -> list[tuple[str, str]]:
    """(file, value) in the kubelet's numbers (MilliCPUToShares, MilliCPUToQuota); weights as runc converts them."""
    if controller == SOCKETS:
        return []
    if controller == MEMORY:
        file = "memory.limit_in_bytes" if version == 1 else "memory.max"
        nothing = "-1" if version == 1 else "max"
        return [(file, str(wanted.memory) if wanted.memory else nothing)]
    shares = max((wanted.share or 0) * 1024 // 1000, LEAST_SHARES)
    quota = max(wanted.cpu * PERIOD // 1000, LEAST_QUOTA) if wanted.cpu else None
    if version == 1:
        return [("cpu.shares", str(shares)), ("cpu.cfs_period_us", str(PERIOD)), ("cpu.cfs_quota_us", str(quota or -1))]
    weight = 1 + (min(shares, 262144) - 2) * 9999 // 262142
    return [("cpu.weight", str(weight)), ("cpu.max", f"{quota or 'max'} {PERIOD}")]


def oom_kills(text: str) -> int:
    """The count of memory.oom_control (version 1) or memory.events (version 2)."""
    for line in text.splitlines():
        word, _, number = line.partition(" ")
        if word == "oom_kill" and number.strip().isdigit():
            return int(number)
    return 0


def _write(path: str, text: str) -> None:
    with open(path, "w") as f:
        f.write(text)


def _read(path: str) -> str:
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


class Cgroups:
    """The groups of one node's containers. `unlimited` says what is not enforced; empty where all is."""

    def __init__(self, name: str, node: str) -> None:
        self._bases: dict[str, Parent] = {}
        self._seen: dict[str, int] = {}
        wrong = []
        available = parents(_read("/proc/mounts"), _read("/proc/self/cgroup")) if name and os.geteuid() == 0 else {}
        for controller in (CPU, MEMORY, SOCKETS):
            parent = available.get(controller)
            try:
                if parent is None:
                    raise OSError("there is no such controller")
                self._bases[controller] = self._base(parent, controller, os.path.join(name, node))
            except OSError:
                if controller != SOCKETS:
                    wrong.append(controller)
        self.unlimited = (
            f"limits of {' and '.join(wrong)} are not enforced: no cgroup controller can be had" if wrong else ""
        )

    @staticmethod
    def _base(parent: Parent, controller: str, path: str) -> Parent:
        """Makes the node's group; in version 2 the controller is handed down to it first."""
        folder = parent.folder
        for part in ["", *path.split("/")]:
            folder = os.path.join(folder, part) if part else folder
            os.makedirs(folder, exist_ok=True)
            if (
                parent.version == 2
                and controller != SOCKETS
                and controller not in _read(f"{folder}/cgroup.subtree_control").split()
            ):
                _write(f"{folder}/cgroup.subtree_control", f"+{controller}")
        if controller == SOCKETS:
            return Parent(folder, 2)
        first = settings(Limits(), controller, parent.version)[0][0]
        if parent.version == 1 and not os.path.exists(f"{folder}/{first}"):
            raise OSError(f"{folder} has no {first}")
        return Parent(folder, parent.version)

    def _folders(self, uid: str, container: str = "") -> Iterator[tuple[str, Parent, str]]:
        for controller, base in self._bases.items():
            yield controller, base, os.path.join(base.folder, uid, container) if container else f"{base.folder}/{uid}"

    def place(self, uid: str, container: str, wanted: Limits) -> list[str]:
        """Makes a container's groups with its limits; the files by which a process joins them."""
        joins: dict[str, None] = {}
        for controller, base, folder in self._folders(uid, container):
            os.makedirs(folder, exist_ok=True)
            if base.version == 2 and controller != SOCKETS:
                above = os.path.dirname(folder)
                if controller not in _read(f"{above}/cgroup.subtree_control").split():
                    _write(f"{above}/cgroup.subtree_control", f"+{controller}")
            for file, value in settings(wanted, controller, base.version):
                try:
                    _write(f"{folder}/{file}", value)
                except OSError:
                    if controller == MEMORY:
                        raise
                    # A quota above that of a group above ours is refused: that one holds anyway.
            joins[f"{folder}/cgroup.procs"] = None
        self._seen[f"{uid}/{container}"] = self._kills(uid, container)
        return list(joins)

    def _kills(self, uid: str, container: str) -> int:
        for controller, base, folder in self._folders(uid, container):
            if controller == MEMORY:
                return oom_kills(_read(f"{folder}/memory.{'oom_control' if base.version == 1 else 'events'}"))
        return 0

    def out_of_memory(self, uid: str, container: str) -> bool:
        """Whether the kernel has killed a process of the container for its memory limit since it was placed."""
        return self._kills(uid, container) > self._seen.get(f"{uid}/{container}", 0)

    def remove(self, uid: str) -> bool:
        """Removes a pod's groups; False while a process is left in one."""
        for key in [k for k in self._seen if k.startswith(f"{uid}/")]:
            del self._seen[key]
        return all(sweep(folder) for _, _, folder in self._folders(uid))

    def pods(self) -> set[str]:
        """Pods that have groups here."""
        found: set[str] = set()
        for base in self._bases.values():
            found |= {n for n in os.listdir(base.folder) if os.path.isdir(os.path.join(base.folder, n))}
        return found


def sweep(folder: str) -> bool:
    """Removes a group and those below it; False where a process is left in one."""
    for base, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(base)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def folders(name: str) -> list[str]:
    """Where a cluster that is started by this process will have its groups: its end may be asked for by another."""
    if os.geteuid() != 0:
        return []
    found: Mapping[str, Parent] = parents(_read("/proc/mounts"), _read("/proc/self/cgroup"))
    return sorted({os.path.join(parent.folder, name) for parent in found.values()})


def sweep_all(groups: list[str], within: float = 2.0) -> None:
    """Removes the groups that a cluster that has ended left behind; its last processes may be on their way."""
    end = time.monotonic() + within
    for folder in groups:
        while os.path.isdir(folder) and not sweep(folder) and time.monotonic() < end:
            time.sleep(0.02)
