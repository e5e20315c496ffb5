"""The profile RuntimeDefault, on the kernel: what a process under it is refused, and what it goes on doing."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import threading
from collections.abc import Callable

import pytest

from seaway.cluster.fabric import linux
from seaway.cluster.node import seccomp
from seaway.cluster.node.volumes import VolumeError

MACHINE = os.uname().machine
LIBC = ctypes.CDLL(None, use_errno=True)
NEWUSER = 0x10000000


def call(number: int, *arguments: int) -> str:
    ctypes.set_errno(0)
    found = LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
    return errno.errorcode[ctypes.get_errno()] if found < 0 else "ok"


def under(capabilities: set[str], look: Callable[[], dict]) -> dict:
    """What `look` finds in a child under the filter."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            linux.seccomp(seccomp.program(frozenset(capabilities), MACHINE))
            os.write(write, json.dumps(look()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        text = f.read()
    os.waitpid(pid, 0)
    found: dict = json.loads(text)
    return found


@pytest.mark.skipif(MACHINE not in ("x86_64", "aarch64"), reason="no table for this machine")
def test_calls_of_the_default_profile_are_refused_and_programs_go_on() -> None:
    clone, clone3, personality, _ = seccomp._CLOSER[MACHINE]
    number = {row.split()[0]: int(row.split()[1 if MACHINE == "x86_64" else 2]) for row in seccomp._TABLE.strip().splitlines()}

    def look() -> dict:
        ran: list[str] = []
        thread = threading.Thread(target=ran.append, args=("thread",))
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            os.execv("/bin/true", ["true"])
        found = {name: call(number[name], 0, 0, 0, 0, 0) for name in ("mount", "keyctl", "bpf", "io_uring_setup", "perf_event_open", "setns")}
        try:
            socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        except OSError as e:
            found["vsock"] = errno.errorcode[e.errno]
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
        return found | {
            "thread": ran, "child": os.waitpid(child, 0)[1], "newuser": call(number["unshare"], NEWUSER), "clone": call(clone, NEWUSER, 0, 0, 0, 0),
            "clone3": call(clone3, 0, 0), "personality": call(personality, 0xFFFFFFFF), "odd personality": call(personality, 0x0400000),
            "unknown": call(9999),
        }

    assert under(set(), look) == {
        **dict.fromkeys(("mount", "keyctl", "bpf", "io_uring_setup", "perf_event_open", "setns", "vsock", "newuser", "clone", "odd personality"), "EPERM"),
        "clone3": "ENOSYS", "unknown": "ENOSYS", "personality": "ok", "thread": ["thread"], "child": 0,
    }


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_capability_brings_its_calls_back(machine: str) -> None:
    plain = set(seccomp.refused(frozenset(), machine))
    assert plain - set(seccomp.refused(frozenset({"SYS_TIME"}), machine)) == ({227, 164} if machine == "x86_64" else {112, 170})
    assert len(plain - set(seccomp.refused(frozenset({"SYS_ADMIN"}), machine))) == 22
    assert len(seccomp.program(frozenset(), machine)) % 8 == 0 and seccomp.program(frozenset(), "riscv64") == b""
    assert seccomp.program(frozenset({"SYS_ADMIN"}), machine) != seccomp.program(frozenset(), machine)


def test_a_containers_profile_goes_over_its_pods_and_a_privileged_one_has_none() -> None:
    def of(pod: str = "", own: str = "", **context: object) -> str:
        tree = {"spec": {"securityContext": {"seccompProfile": {"type": pod}} if pod else None}}
        if own:
            context["seccompProfile"] = {"type": own, "localhostProfile": "p.json"}
        return seccomp.of(tree, {"securityContext": context}, frozenset(), VolumeError)

    assert of("RuntimeDefault") and of(own="RuntimeDefault") and of("Unconfined", "RuntimeDefault")
    assert not of() and not of("RuntimeDefault", "Unconfined") and not of("RuntimeDefault", privileged=True)
    with pytest.raises(VolumeError, match=r"/var/lib/kubelet/seccomp/p\.json: no such file or directory"):
        of("RuntimeDefault", "Localhost")
