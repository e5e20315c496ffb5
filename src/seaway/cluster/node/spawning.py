"""A container's first process: a middle one makes its namespaces, has its root made, forks it, and leaves it to the shim."""

from __future__ import annotations

import json
import marshal
import os
import select
import signal
from typing import Any, NamedTuple

from seaway.cluster.fabric import linux
from seaway.cluster.node import container, roots
from seaway.cluster.node.stdio import Born

Plan = dict[str, Any]
START_FAILED = 128


class Alive(NamedTuple):
    """A pipe of the shim: a child sees its end when the shim is gone."""

    read: int
    write: int


def join_groups(plan: Plan) -> None:
    """Into the container's cgroups, while their files are still in sight."""
    for path in plan.get("cgroups") or ():
        with open(path, "w") as f:
            f.write("0")


def spawn(path: str, entry: Plan, processes: int, shared: bool, alive: Alive) -> tuple[int, str, Born]:
    """Starts the container of the plan in the file `path` and waits until it has become its program, or has failed to: its
    pid, the problem, its streams. `processes`: who is in the PID namespace that it joins; 0: one of its own, or the shim's
    where that is `shared`."""
    born = Born(bool(entry.get("stdin")), bool(entry.get("tty")))
    say_read, say_write = os.pipe2(os.O_CLOEXEC)  # "pid N", then nothing at exec, or "error ..."
    hold_read, hold_write = os.pipe2(os.O_CLOEXEC)  # open until the middle process has been waited for
    middle = linux.fork()
    if middle == 0:
        try:
            linux.unshare(linux.CLONE_NEWNS)
            rest = os.memfd_create("plan", os.MFD_CLOEXEC)
            _prepare(path, rest, say_write)
            if processes:
                linux.enter(f"/proc/{processes}/ns/pid", linux.CLONE_NEWPID)
            elif not shared:
                linux.unshare(linux.CLONE_NEWPID)
            # A component of ours has event loops and locks: Python's hooks are for those.
            child = os.fork() if entry.get("component") else linux.fork()
            if child == 0:
                os.close(hold_write)
                _become(rest, born, say_write, hold_read, alive)
            os.write(say_write, f"pid {child}\n".encode())
            os._exit(0)
        except BaseException as e:
            os.write(say_write, f"error {e}\n".encode())
            os._exit(1)
    born.leave()
    for fd in (say_write, hold_read):
        os.close(fd)
    os.waitpid(middle, 0)
    # Only now is the shim the child's parent. The end of the middle's own copy comes a moment before the kernel has
    # given the child to us, and a promise to die with its parent made in that moment would be kept at once.
    os.close(hold_write)
    pid, problem = 0, ""
    for line in _read_all(say_read).splitlines():
        word, _, what = line.partition(" ")
        if word == "pid":
            pid = int(what)
        elif word == "error":
            problem = what
    if not problem:
        born.receive()
    return pid, problem, born


def _prepare(path: str, rest: int, say: int) -> None:
    """Makes the root, and leaves in `rest` what the container has yet to know of its plan. In a process that ends with it: the
    container is a copy of the one that waits here, and what this work leaves in memory would be the container's for good."""
    pid = linux.fork()
    if pid == 0:
        try:
            with open(path) as f:
                plan = json.load(f)
            roots.prepare(plan)
            _write_all(rest, marshal.dumps(roots.without_steps(plan)))
            os._exit(0)
        except BaseException as e:
            os.write(say, f"error {e}\n".encode())
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        os._exit(1)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _become(rest: int, born: Born, say: int, hold: int, alive: Alive) -> None:
    """In the container's PID namespace, mostly as its PID 1. Never returns."""
    try:
        plan = marshal.loads(os.pread(rest, os.fstat(rest).st_size, 0))
        join_groups(plan)
        os.read(hold, 1)  # until our parent is the shim
        signal.set_wakeup_fd(-1)
        linux.default_signals()
        os.setsid()
        roots.enter(plan)
        born.become_standard(plan.get("uid", 0))
        container.take_identity(plan)
        linux.die_with_parent()
        os.close(alive.write)
        if select.select([alive.read], [], [], 0)[0]:
            os._exit(137)
        if plan.get("target"):
            os.close(say)  # started: from here on the log is where it speaks
            container.close_all_but(set())
        container.confine(plan)
        container.become(plan)
    except BaseException as e:
        text = str(e).split("] ", 1)[-1].replace("\n", " ")
        try:
            os.write(say, f"error {text}\n".encode())
        except OSError:
            os.write(2, f"{text}\n".encode())
        os._exit(START_FAILED)


def hold(root: str, alive: Alive) -> int:
    """PID 1 of the namespace that the pod's containers share, as the pause container is (KEP-495). It sees nothing and
    may do nothing: /proc/1/root must not lead the containers out."""
    say_read, say_write = os.pipe2(os.O_CLOEXEC)
    os.makedirs(root, exist_ok=True)
    middle = linux.fork()
    if middle == 0:
        try:
            linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID)
            child = linux.fork()
            if child == 0:
                container.hold(root, alive.read, say_write)
            os.write(say_write, f"{child}\n".encode())
        finally:
            os._exit(0)
    os.close(say_write)
    os.waitpid(middle, 0)
    text = _read_all(say_read)
    pid = next((int(line) for line in text.split() if line.isdigit()), 0)
    if not pid or "ready" not in text:
        raise OSError(f"the pod's shared PID namespace cannot be made: {text.strip()}")
    return pid


def _read_all(fd: int) -> str:
    """What children have said, when the last of them has closed its end."""
    text = b""
    while data := os.read(fd, 4096):
        text += data
    os.close(fd)
    return text.decode("utf-8", "replace")
