"""A container's first process: gives up what it must not keep, becomes the program. So does a command inside one.

Runs in a forked child of the shim, already in its own PID and mount namespaces; its root is made in `roots`.
"""

from __future__ import annotations

import base64
import fcntl
import os
import signal
import socket
import termios
from typing import Any

from seaway.cluster.fabric import linux

Plan = dict[str, Any]
# What leads from one process into another: by ptrace, by reading its memory (kernel/fork.c may_access_mm), by file handles.
NOT_AMONG_OTHERS = frozenset(
    "SYS_PTRACE SYS_ADMIN PERFMON BPF DAC_READ_SEARCH SYS_BOOT SYS_MODULE SYS_TIME SYSLOG".split()
)


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


def confine(plan: Plan) -> None:
    """Under the container's seccomp filter, when nothing is left to do that it would refuse."""
    if plan.get("seccomp"):
        linux.seccomp(base64.b64decode(plan["seccomp"]))


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
        confine(plan)
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
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_IGN)  # as Python begins: who writes to what has ended gets an error, and lives
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
