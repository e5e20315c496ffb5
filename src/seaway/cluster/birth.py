"""The namespaces that a cluster's init is born into, by root or by an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from seaway.cluster.fabric import linux

Tree = dict[str, Any]


class BirthError(Exception):
    """The namespaces could not be made; the text says why and what to do."""


def _map_ids(pid: int) -> None:
    """User ids for a new user namespace: ranges from /etc/subuid where there are tools for it, else the one id there is."""
    uid, gid = os.geteuid(), os.getegid()
    maps = []
    for tool, own, table in (("newuidmap", uid, "/etc/subuid"), ("newgidmap", gid, "/etc/subgid")):
        ranges = _subordinate(table)
        if shutil.which(tool) and ranges:
            maps.append([tool, str(pid), "0", str(own), "1", "1", str(ranges[0]), str(ranges[1])])
    if len(maps) == 2 and all(subprocess.run(m, capture_output=True).returncode == 0 for m in maps):
        return
    linux.write(f"/proc/{pid}/setgroups", "deny")
    linux.write(f"/proc/{pid}/uid_map", f"0 {uid} 1")
    linux.write(f"/proc/{pid}/gid_map", f"0 {gid} 1")


def _subordinate(table: str) -> tuple[int, int] | None:
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
        for line in Path(table).read_text().splitlines():
            owner, start, count = line.split(":")
            if owner in (name, str(os.geteuid())):
                return int(start), int(count)
    except (OSError, KeyError, ValueError):
        pass
    return None


def born(plan: Tree, inherit: list[int], log: Path) -> int:
    """Forks init into namespaces of its own; its pid as the host sees it."""
    plan_read, plan_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    asked_read, asked_write = os.pipe()
    rootless = os.geteuid() != 0
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # init is ours to reap while we stay
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDWR)
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for fd, target in ((null, 0), (out, 1), (out, 2)):
                os.dup2(fd, target)
            os.close(plan_write)
            flags = (
                linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
            )
            if rootless:
                linux.unshare(linux.CLONE_NEWUSER)
                os.write(asked_write, b"map\n")
                if os.read(mapped_read, 1) != b"y":
                    os._exit(1)
                os.setresuid(0, 0, 0)
                os.setresgid(0, 0, 0)
            linux.unshare(flags)
            pid = os.fork()
            if pid:
                os.write(asked_write, f"{pid}\n".encode())
                os._exit(0)
            for fd in [plan_read, *inherit]:
                os.set_inheritable(fd, True)
            program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init.py")
            os.execv(sys.executable, [sys.executable, "-I", "-S", program, str(plan_read)])
        except BaseException as e:
            os.write(asked_write, f"failed {e}\n".encode())
            os._exit(1)
    for fd in (plan_read, mapped_read, asked_write):
        os.close(fd)
    with os.fdopen(plan_write, "wb") as f:
        f.write(json.dumps(plan).encode())
    with os.fdopen(asked_read) as answers:
        line = answers.readline().strip()
        if line == "map":
            _map_ids(child)
            os.write(mapped_write, b"y")
            line = answers.readline().strip()
    os.close(mapped_write)
    os.waitpid(child, 0)
    if not line.isdigit():
        why = line.removeprefix("failed ") or "the kernel refused"
        hint = (
            "an unprivileged user may not make namespaces on this machine; run as root"
            if rootless
            else "root may not make namespaces here"
        )
        raise BirthError(f"namespaces could not be made: {why} ({hint})")
    return int(line)
