"""The system calls that Python 3.11's os module lacks: namespaces, mounts, capabilities, prctl.

Every call raises OSError with the path or the flag in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import os
import struct
from collections.abc import Iterator

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE = 4096, 8192, 16384, 1 << 17, 1 << 18, 1 << 19
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NAME, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 15, 24, 38
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_DUMPABLE, PR_CAP_AMBIENT, PR_SET_CHILD_SUBREAPER = 4, 47, 36

CAPABILITIES = tuple(
    """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
    """.split()
)
# What Docker grants by default. MKNOD is left out: no device controller here says which devices.
DEFAULT_CAPABILITIES = frozenset(
    """
    CHOWN DAC_OVERRIDE FSETID FOWNER NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE
    """.split()
)

_libc = ctypes.CDLL(None, use_errno=True)
_python = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter lock: the child has it too
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine, 155)
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}.get(os.uname().machine, 126)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def fork() -> int:
    """fork(2) without Python's own hooks: they write to 0.75 MiB of pages that parent and child could go on sharing. For
    processes with one thread, whose children use neither `random` nor locks that somebody might hold."""
    return _check(int(_python.fork()), "fork")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(fd: int, kind: int = 0) -> None:
    _check(_libc.setns(fd, kind), f"setns({kind:#x})")


def enter(path: str, kind: int) -> None:
    """Joins the namespace whose file is at `path`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd, kind)
    finally:
        os.close(fd)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    _check(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
        f"mount {kind or 'bind'} {source} on {target}",
    )


def umount(target: str, flags: int = MNT_DETACH) -> None:
    _check(_libc.umount2(target.encode(), flags), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    _check(_libc.syscall(_SYS_PIVOT_ROOT, new.encode(), old.encode()), f"pivot_root {new}")


def prctl(option: int, *args: int) -> None:
    _check(_libc.prctl(option, *(ctypes.c_ulong(a) for a in args)), f"prctl({option})")


def seccomp(program: bytes) -> None:
    """Puts this process, and all that it becomes, under a filter of its system calls; needs no_new_privs."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    made = Program(len(program) // 8, program)
    _check(_libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(made), 0, 0), "seccomp")


def default_signals() -> None:
    """The kernel's own way with every signal, and none blocked: by the kernel's calls, for Python's make objects of all of them.
    What Python had for a signal is not called any more."""
    for number in range(1, 65):
        _libc.signal(number, None)  # those that cannot be changed stay
    _libc.pthread_sigmask(2, bytes(128), None)  # SIG_SETMASK


def set_name(name: str) -> None:
    """The name that ps and top show: at most 15 bytes."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    _check(_libc.prctl(PR_SET_NAME, buffer, 0, 0, 0), "prctl(PR_SET_NAME)")


def set_arguments(argv: list[str]) -> None:
    """What `ps` and /proc/PID/cmdline show of this process from now on, cut to the room there is; its first environment,
    which /proc/PID/environ shows, is wiped."""
    with open("/proc/self/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    arguments, arguments_end, environment, environment_end = (int(n) for n in fields[45:49])
    room = arguments_end - arguments
    text = b"\0".join(a.encode() for a in argv)[: room - 1] if room > 0 else b""
    ctypes.memmove(arguments, text.ljust(room, b"\0"), room)
    ctypes.memset(environment, 0, environment_end - environment)


def die_with_parent(signal: int = 9) -> None:
    prctl(PR_SET_PDEATHSIG, signal)


def permitted_capabilities() -> frozenset[str]:
    """What this process may have: on some machines not even root has everything."""
    with open("/proc/self/status") as f:
        mask = next(int(line.split()[1], 16) for line in f if line.startswith("CapPrm:"))
    return frozenset(name for number, name in enumerate(CAPABILITIES) if mask >> number & 1)


def limit_capabilities(keep: frozenset[str] | set[str], effective: bool = True) -> None:
    """Drops everything but `keep` from the bounding set and, with `effective`, sets the others to exactly `keep`.

    A process that becomes another user afterwards loses its effective capabilities by the kernel's own rule.
    """
    mask = 0
    for number, name in enumerate(CAPABILITIES):
        if name in keep:
            mask |= 1 << number
        else:
            try:
                prctl(PR_CAPBSET_DROP, number)
            except OSError:
                continue  # an older kernel does not know this one
    if effective:
        try:
            prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
        except OSError:
            pass
        header = struct.pack("=Ii", 0x20080522, 0)
        low, high = mask & 0xFFFFFFFF, mask >> 32
        inheritable = 0
        data = struct.pack("=6I", low, low, inheritable, high, high, inheritable)
        _check(_libc.syscall(_SYS_CAPSET, header, data), "capset")


def write(path: str, text: str) -> None:
    with open(path, "w") as f:
        f.write(text)


@contextlib.contextmanager
def socket_path(path: str) -> Iterator[str]:
    """A name for a unix socket that fits into the kernel's 108 bytes however deep its folder lies."""
    fd = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{os.path.basename(path)}"
    finally:
        os.close(fd)
