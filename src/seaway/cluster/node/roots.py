"""A container's root: made from the steps of its plan, then entered.

The steps come from `rootfs` and the agent; nothing is decided here. They are plain dicts: {do: tmpfs|dir|link|file|bind|overlay|
dev|sys, ...}. Rootless or not, mount points are made before what is mounted on them.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from seaway.cluster.fabric import linux

Plan = dict[str, Any]
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
MASKED = (
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/acpi",
    "/proc/scsi",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def inside(root: str, path: str) -> str:
    """A path of the container as a path out here. Links inside the root are followed inside it: a mount point must not
    be led out of it by a link in a volume."""
    done = root
    parts = [p for p in path.split("/") if p]
    links = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            done = os.path.dirname(done) if done != root else root
            continue
        here = os.path.join(done, part)
        if os.path.islink(here):
            links += 1
            if links > 40:
                raise OSError(40, f"too many links in {path}")
            target = os.readlink(here)
            if target.startswith("/"):
                done = root
            parts = [p for p in target.split("/") if p and p != "."] + parts
        elif part != ".":
            done = here
    return done


def make_point(root: str, path: str, is_file: bool) -> str:
    """The mount point for a path, made if it is missing."""
    where = inside(root, path)
    if is_file:
        os.makedirs(os.path.dirname(where), exist_ok=True)
        if not os.path.exists(where):
            os.close(os.open(where, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644))
    else:
        os.makedirs(where, exist_ok=True)
    return where


def bind(source: str, target: str, read_only: bool) -> None:
    """Shows a folder or file of the node. A device node that a container makes there opens nothing."""
    linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)
    remount(target, (linux.MS_RDONLY if read_only else 0) | linux.MS_NODEV)


def remount(target: str, more: int) -> None:
    """Adds flags to a mount; those that it has stay: a user namespace may not take them away."""
    keep = os.statvfs(target).f_flag & (linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    linux.mount("none", target, None, linux.MS_BIND | linux.MS_REMOUNT | keep | more)


def overlay(root: str, scratch: str, step: Plan) -> None:
    """A writable view of read-only layers; upper and work folders live in the container's own tmpfs."""
    name = step["path"].strip("/").replace("/", "-") or "root"
    upper, work = os.path.join(scratch, name, "upper"), os.path.join(scratch, name, "work")
    os.makedirs(upper)
    os.makedirs(work)
    for point in step.get("points", ()):  # mount points that will be needed, made before the layers lie over them
        os.makedirs(os.path.join(upper, point), exist_ok=True)
    target = root if step["path"] == "/" else make_point(root, step["path"], False)
    if step.get("base"):  # many layers: short names, since the options of a mount have one page
        os.chdir(step["base"])
    lower = ":".join(p.replace("\\", "\\\\").replace(":", "\\:") for p in step["lower"])
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    try:
        linux.mount("overlay", target, "overlay", linux.MS_NODEV, options + ",userxattr")
    except OSError:
        linux.mount("overlay", target, "overlay", linux.MS_NODEV, options)
    os.chdir("/")


def _proc(root: str, privileged: bool) -> None:
    target = make_point(root, "/proc", False)
    linux.mount("proc", target, "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    if privileged:
        return
    for path in MASKED:
        where = root + path
        if os.path.isdir(where):
            linux.mount("tmpfs", where, "tmpfs", linux.MS_RDONLY, "size=0")
        elif os.path.exists(where):
            linux.mount(os.path.join(root, "dev/null"), where, None, linux.MS_BIND)
    for path in READ_ONLY:
        if os.path.exists(root + path):
            bind(root + path, root + path, True)


def _dev(root: str) -> None:
    target = make_point(root, "/dev", False)
    # The devices are mounts of their own: a node made here opens nothing.
    linux.mount("tmpfs", target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=64k")
    for name in DEVICES:
        where = os.path.join(target, name)
        os.close(os.open(where, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        if os.path.exists(f"/dev/{name}"):
            linux.mount(f"/dev/{name}", where, None, linux.MS_BIND)
    for name, to in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
        ("core", "/proc/kcore"),
    ):
        os.symlink(to, os.path.join(target, name))
    os.mkdir(os.path.join(target, "pts"))
    try:
        linux.mount(
            "devpts",
            os.path.join(target, "pts"),
            "devpts",
            linux.MS_NOSUID | linux.MS_NOEXEC,
            "newinstance,ptmxmode=0666,mode=620",
        )
    except OSError:
        pass  # without terminals of its own; those of exec come from outside
    os.mkdir(os.path.join(target, "shm"))
    linux.mount(
        "shm",
        os.path.join(target, "shm"),
        "tmpfs",
        linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC,
        "mode=1777,size=64m",
    )


def prepare(plan: Plan) -> None:
    """The container's root at plan['root'], but for /proc: in the container's mount namespace, before it begins."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    base = plan["root"]
    os.makedirs(base, exist_ok=True)
    linux.mount("tmpfs", base, "tmpfs", linux.MS_NODEV, "mode=755")
    root, scratch = os.path.join(base, "root"), os.path.join(base, "layers")
    os.mkdir(root, 0o755)
    os.mkdir(scratch, 0o700)
    linux.mount(root, root, None, linux.MS_BIND)
    for step in plan["steps"]:
        _step(root, scratch, step)


def enter(plan: Plan) -> None:
    """Mounts /proc, which must show the container's own processes, and pivots: nothing of the old root stays reachable."""
    root = os.path.join(plan["root"], "root")
    _proc(root, plan.get("privileged", False))
    os.chdir(root)
    linux.pivot_root(".", ".")
    linux.umount(".", linux.MNT_DETACH)  # the old root, stacked under the new one
    os.chdir("/")
    for path in plan["readOnly"]:
        remount(path, linux.MS_RDONLY)


def without_steps(plan: Plan) -> Plan:
    """What there is to know of a plan when its root has been made; `readOnly` are the mounts that may not be written to."""
    rest = {k: v for k, v in plan.items() if k != "steps"}
    overlays = [s["path"] for s in plan["steps"] if s["do"] == "overlay" and s["path"] != "/"]
    return {**rest, "readOnly": ["/", *overlays] if plan.get("readOnlyRoot") else []}


def _step(root: str, scratch: str, step: Plan) -> None:
    do, path = step["do"], step.get("path", "")
    if do == "dir":
        where = make_point(root, path, False)
        os.chmod(where, step.get("mode", 0o755))
        if "owner" in step and os.geteuid() == 0:
            try:
                os.chown(where, step["owner"], step["owner"])
            except OSError:
                pass  # rootless: the one identity there is
    elif do == "point":
        make_point(root, path, False)
    elif do == "link":
        where = os.path.join(inside(root, os.path.dirname(path)), os.path.basename(path))
        os.makedirs(os.path.dirname(where), exist_ok=True)
        if not os.path.lexists(where):
            os.symlink(step["to"], where)
    elif do == "file":
        where = make_point(root, path, True)
        with open(where, "w") as f:
            f.write(step["text"])
        os.chmod(where, step.get("mode", 0o644))
    elif do == "bind":
        is_file = not stat.S_ISDIR(os.stat(step["source"]).st_mode)
        bind(step["source"], make_point(root, path, is_file), step.get("readOnly", False))
    elif do == "overlay":
        overlay(root, scratch, step)
    elif do == "tmpfs":
        linux.mount(
            "tmpfs",
            make_point(root, path, False),
            "tmpfs",
            linux.MS_NOSUID | linux.MS_NODEV,
            step.get("options", "mode=1777"),
        )
    elif do == "dev":
        _dev(root)
    elif do == "sys":
        try:
            linux.mount(
                "sysfs",
                make_point(root, "/sys", False),
                "sysfs",
                linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC,
            )
        except OSError:
            pass  # a user namespace that may not see one
    else:
        raise ValueError(f"unknown step {do}")
