"""A container's first process: builds its root, gives up what it must not keep, becomes the program.

Runs in a forked child of the shim, already in its own PID and mount namespaces. The plan comes from `rootfs` and the
agent; nothing is decided here. Steps are plain dicts: {do: tmpfs|dir|link|file|bind|overlay|dev|sys, ...}.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import termios
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
# What leads from one process into another: by ptrace, by reading its memory (kernel/fork.c may_access_mm), by file handles.
NOT_AMONG_OTHERS = frozenset(
    "SYS_PTRACE SYS_ADMIN PERFMON BPF DAC_READ_SEARCH SYS_BOOT SYS_MODULE SYS_TIME SYSLOG".split()
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


def prepare_root(plan: Plan) -> None:
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


def enter_root(plan: Plan) -> None:
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


def take_identity(plan: Plan) -> None:
    """User, groups, capabilities, no_new_privs, and the promise to die with the shim. The order is the kernel's: a change
    of user clears the parent-death signal, and a user without capabilities cannot change user."""
    uid, gid = plan.get("uid", 0), plan.get("gid", 0)
    keep = frozenset(linux.CAPABILITIES) if plan.get("privileged") else frozenset(plan["capabilities"])
    # Among the cluster's own processes: /proc/PID/root of one of them is the machine's, and led there is only who has all
    # of its capabilities or SYS_PTRACE (security/commoncap.c cap_ptrace_access_check).
    among = bool(plan.get("hostPids"))
    if among:
        held = linux.permitted_capabilities()
        keep -= NOT_AMONG_OTHERS
        keep &= (
            held
            if plan.get("privileged") and not held <= keep
            else linux.DEFAULT_CAPABILITIES | frozenset(plan["capabilities"])
        )
    limited = among or not plan.get("privileged")
    try:
        os.setgroups(plan.get("groups", []))
    except OSError:
        pass  # rootless: setgroups is denied, there is one group
    if limited:
        linux.limit_capabilities(keep | {"SETUID", "SETGID", "SETPCAP"}, effective=False)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if limited and uid == 0:
        linux.limit_capabilities(keep)
    if plan.get("noNewPrivileges", True) and not plan.get("privileged"):
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o022)


def close_all_but(keep: set[int]) -> None:
    """Closes every descriptor but the three standard ones and those given."""
    low = 3
    for fd in [*sorted(n for n in keep if n > 2), 1 << 16]:
        os.closerange(low, fd)
        low = fd + 1


def terminal(owner: int) -> tuple[int, int]:
    """A new terminal of the container's own (master, slave), which its user may open again by its name."""
    master, slave = os.openpty()
    try:
        os.fchown(slave, owner, -1)
    except OSError:
        pass  # rootless: the one identity there is
    return master, slave


def take_terminal(console: int, owner: int) -> None:
    """Becomes the session of a new terminal, whose master goes over the socket `console`."""
    master, slave = terminal(owner)
    with socket.socket(fileno=os.dup(console)) as sock:
        socket.send_fds(sock, [b"m"], [master])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for target in range(3):
        os.dup2(slave, target)
    if slave > 2:
        os.close(slave)


def execute(plan: Plan, fds: list[int], say: int) -> None:
    """A command inside a running container. Never returns: the program, or the reason why not on `say`."""
    try:
        os.setsid()
        if plan.get("tty"):
            take_terminal(fds[0], plan.get("uid", 0))
        else:
            for target, fd in enumerate(fds):
                os.dup2(fd, target)
        close_all_but({say})
        linux.default_signals()
        take_identity(plan)
        become(plan)
    except BaseException as e:
        os.write(say, str(e).split("] ", 1)[-1].encode())
        os._exit(127 if isinstance(e, FileNotFoundError) else 126)


def mount_namespace(pid: int) -> int:
    """The number of a process's mount namespace; 0 where the process has gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return 0


def kill_all_in(mounts: int) -> None:
    """Ends every process of a mount namespace, as runtimes do when a container with a shared PID namespace ends."""
    for pid in (int(n) for n in os.listdir("/proc") if n.isdigit()):
        if mounts and mount_namespace(pid) == mounts:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass


def hold(root: str, alive: int, say: int) -> None:
    """PID 1 of a shared namespace, in an empty root and without capabilities, until `alive` ends. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans are reaped by the kernel
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.setsid()
        linux.set_name("pause")
        linux.set_arguments(["/pause"])
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("tmpfs", root, "tmpfs", linux.MS_NODEV | linux.MS_NOSUID | linux.MS_NOEXEC, "mode=555,size=4k")
        os.chdir(root)
        linux.pivot_root(".", ".")
        linux.umount(".", linux.MNT_DETACH)
        os.chdir("/")
        close_all_but({alive, say})
        for fd in range(3):
            os.close(fd)
        linux.limit_capabilities(frozenset())
        linux.prctl(linux.PR_SET_DUMPABLE, 0, 0, 0, 0)
        os.write(say, b"ready\n")
        os.close(say)
        os.read(alive, 1)
    except BaseException as e:
        try:
            os.write(say, str(e).encode())
        except OSError:
            pass
    finally:
        os._exit(0)


def become(plan: Plan) -> None:
    """Never returns: the program, by exec, or a function of ours by call (its memory is shared with all the others)."""
    os.chdir(plan.get("cwd") or "/")
    argv, env = plan["argv"], plan["env"]
    if plan.get("target"):
        import importlib
        import sys

        os.environ.clear()
        os.environ.update(env)
        linux.set_name(plan.get("name", "program"))
        linux.set_arguments(argv)
        module, function = plan["target"].split(":")
        try:
            code = getattr(importlib.import_module(module), function)(argv)
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))
    path = env.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    program = argv[0]
    candidates = [program] if "/" in program else [os.path.join(p, program) for p in path.split(":")]
    error: OSError = FileNotFoundError(2, f'exec: "{program}": executable file not found in $PATH')
    for candidate in candidates:
        try:
            os.execve(candidate, argv, env)
        except (FileNotFoundError, NotADirectoryError):
            if "/" in program:
                error = FileNotFoundError(2, f'exec: "{program}": stat {program}: no such file or directory')
        except PermissionError:
            error = PermissionError(13, f'exec: "{program}": permission denied')
    raise error
