"""A node with a data plane and many Services, a pod that connects and one that answers: namespaces of their own, and how a
program outside talks to them.

    python -m seaway.labs.proxyrig MODE SERVICES CGROUP

One JSON object a line in and out. Everything made here ends with its process: nothing has a name in the file system but the
cgroup of eBPF mode, which the caller makes and removes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from seaway.client.errors import Unavailable
from seaway.cluster.fabric import build, linux
from seaway.cluster.fabric.rtnetlink import Batch, index_of
from seaway.cluster.layout import mac
from seaway.labs import connections, manyservices
from seaway.proxy.ebpf import cgroup
from seaway.proxy.iptables.tool import Iptables
from seaway.proxy.ipvs.netlink import Ipvs
from seaway.proxy.kernel import KernelError, Nftables
from seaway.proxy.modes import open_plane

Tree = dict[str, Any]
CLIENT, SERVER = ("10.244.0.11",), ("10.244.0.12", "10.244.0.13")
FLAGS = ("--net", "--pid", "--fork", "--mount-proc", "--kill-child")
# `bare` has no rule at all, `conntrack` one that makes the kernel track connections.
BASES = ("bare", "conntrack")
PLANES = {
    "nftables": ("nftables", "auto"),
    "iptables-legacy": ("iptables", "legacy"),
    "iptables-nft": ("iptables", "nft"),
    "ebpf": ("ebpf", "auto"),
    "userspace": ("userspace", "auto"),
    "ipvs": ("ipvs", "legacy"),
}
SYSCTLS = {
    **build.SYSCTLS,
    **build.LEAF_SYSCTLS,
    "net/ipv4/ip_local_port_range": "1024 65000",
    # Ended connections are forgotten at once: rounds are not to see each other's.
    "net/netfilter/nf_conntrack_tcp_timeout_close": "1",
}
# A chain alone does not begin it: what reads a connection's state does.
TRACKING = """add table ip tracking
add chain ip tracking forward { type filter hook forward priority 0; }
add rule ip tracking forward ct state invalid drop
"""
TRACKING_IPTABLES = "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"


# Inside


class _Pod:
    """A process in a network namespace of its own, and its CPU clock."""

    def __init__(self, run: Callable[[], None]) -> None:
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                linux.die_with_parent()
                linux.unshare(linux.CLONE_NEWNET)
                build.configure_namespace(SYSCTLS)
                os.write(told, b"1")
                run()
            except BaseException as e:
                os.write(2, f"pod: {e!r}\n".encode())
            os._exit(1)
        os.close(told)
        if not os.read(ready, 1):
            raise RuntimeError("a pod did not start")
        os.close(ready)

    def cpu(self) -> float:
        return time.clock_gettime(~self.pid << 3 | 2)  # the clock of a process, as clock_getcpuclockid(3) names it

    def join(self, number: int, addresses: tuple[str, ...]) -> None:
        """Its veth to the node."""
        found = tuple(ipaddress.ip_address(a) for a in addresses)
        namespace = Path(f"/proc/{self.pid}/ns/net")
        fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        batch = Batch()
        batch.veth(f"pod{number}", mac(number, 1), "eth0", mac(number, 2), fd)
        batch.commit()
        os.close(fd)
        build.in_netns(namespace, build.leaf, "eth0", found, mac(number, 1))
        build.near_end(f"pod{number}", found, mac(number, 2))


def _network(ask: int, answer: int) -> tuple[_Pod, _Pod]:
    """The node's namespace, which the process is in, and its two pods."""
    build.configure_namespace(SYSCTLS)
    batch = Batch()
    batch.address(index_of("lo"), ipaddress.ip_address(manyservices.NODE_ADDRESS))
    batch.commit()
    client = _Pod(lambda: _client(ask, answer))
    server = _Pod(lambda: connections.serve(manyservices.TARGET))
    client.join(1, CLIENT)
    server.join(2, SERVER)
    return client, server


def _client(ask: int, answer: int) -> None:
    with os.fdopen(ask) as asked:
        for line in asked:
            request = json.loads(line)
            try:
                found: Tree = connections.connect(tuple(request["to"]), request["seconds"], request["most"])._asdict()
            except OSError as e:
                found = {"error": f"{':'.join(map(str, request['to']))}: {e}"}
            os.write(answer, json.dumps(found).encode() + b"\n")
    os._exit(0)


def _track() -> None:
    """Makes the kernel track connections, by nftables or, where it has none, iptables."""
    if Nftables().lacking():
        Iptables("legacy").restore(4, TRACKING_IPTABLES)
    else:
        Nftables().nft(TRACKING)


def own_lock() -> None:
    """The legacy tool's lock file is this mount namespace's own: nobody else waits for large tables, nor is waited for."""
    linux.mount("tmpfs", "/run", "tmpfs")


def serve(mode: str, services: int, group: str) -> None:
    """Builds, programs, says so, and answers requests until there are no more."""
    if group:
        Path(group, "cgroup.procs").write_text("0")
    if mode == "iptables-legacy":
        own_lock()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if soft < hard else (soft, hard))
    (asked, ask), (answered, answer) = os.pipe(), os.pipe()
    client, server = _network(asked, answer)
    book: manyservices.Book | None = None
    seconds = 0.0
    if mode == "conntrack":
        _track()
    elif mode in PLANES:
        named, backend = PLANES[mode]
        wanted = manyservices.settings(named, backend, "/" + os.path.basename(group))
        book = manyservices.Book(open_plane(wanted), wanted)
        seconds = book.whole(services, SERVER)
    print(json.dumps({"seconds": seconds}), flush=True)
    with os.fdopen(answered) as answers:
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "connect":
                before = client.cpu() + server.cpu() + time.process_time()
                os.write(ask, line.encode())
                found = json.loads(answers.readline() or '{"error": "the client has died"}')
                found["cpu"] = client.cpu() + server.cpu() + time.process_time() - before
            else:
                found = {"seconds": _changes(book, services, request["count"], request["within"])}
            print(json.dumps(found), flush=True)


def _changes(book: manyservices.Book | None, services: int, count: int, within: float) -> list[float]:
    """Seconds of changes of single Services, spread over all but the two that are connected to."""
    assert book is not None, "there is nothing to change"
    found: list[float] = []
    end = time.monotonic() + within
    for n in range(count):
        number = 1 + n * 7919 % (services - 2)
        found.append(book.change(number, manyservices.endpoints(number, 1 + n // (services - 2))))
        if time.monotonic() > end:
            break
    return found


# Outside


def group_root() -> str:
    """Where cgroups of version 2 may be made, "" where not: without root, or without the hierarchy."""
    root = cgroup.mounted(Path("/proc/mounts").read_text())
    return root if root and os.geteuid() == 0 and os.access(root, os.W_OK) else ""


@contextlib.contextmanager
def group() -> Iterator[str]:
    """A cgroup of its own, which is removed once those in it have ended."""
    folder = Path(tempfile.mkdtemp(prefix=f"seaway-rig-{os.getpid()}-", dir=group_root()))
    try:
        yield str(folder)
    finally:
        end = time.monotonic() + 10
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)  # the last processes are on their way


def missing(mode: str, services: int = 0) -> str:
    """Why a mode cannot be measured here with so many Services, "" where it can."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if mode == "userspace" and most != resource.RLIM_INFINITY and most < services + 1000:
        return f"it needs a socket for each, and a process may have {most:,} open files"
    if mode == "ebpf" and not group_root():
        return "needs root and a cgroup hierarchy of version 2" if os.geteuid() else "no cgroup hierarchy of version 2"
    try:
        if mode.startswith("iptables"):
            open_plane(manyservices.settings(*PLANES[mode]))
        elif mode == "ipvs":
            Ipvs().servers(4)
    except KernelError as e:
        return str(e)
    return ""


def isolated(*program: str) -> list[str]:
    """A command in namespaces of its own, which ends with the process that started it; rootless where we are not root."""
    flags = FLAGS if os.geteuid() == 0 else ("--user", "--map-root-user", *FLAGS)
    return ["setpriv", "--pdeathsig", "KILL", "unshare", *flags, sys.executable, *program]


class Rig:
    """A rig that runs, from outside. It is made beside others: who asks first waits until it is there."""

    def __init__(self, mode: str, services: int) -> None:
        self.mode, self.services = mode, services
        self._stack = contextlib.ExitStack()
        self._seconds = -1.0

    def __enter__(self) -> Rig:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(group()) if self.mode == "ebpf" else ""
            self._errors = stack.enter_context(tempfile.TemporaryFile())
            command = isolated("-m", "seaway.labs.proxyrig", self.mode, str(self.services), folder)
            environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=environment
            )
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Tree:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            raise Unavailable(f"the node in mode {self.mode} has ended: {said[-1] if said else 'without a word'}")
        found: Tree = json.loads(line)
        if "error" in found:
            raise Unavailable(f"{self.mode}, {self.services:,} Services: {found['error']}")
        return found

    def ready(self) -> float:
        """Waits until all is programmed; the seconds that this took."""
        if self._seconds < 0:
            self._seconds = self._answer()["seconds"]
        return self._seconds

    def _ask(self, **request: Any) -> Tree:
        self.ready()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: the answer says so
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return self._answer()

    def connect(self, target: str, seconds: float, most: int = 50_000) -> tuple[float, float]:
        """(new connections a second, CPU seconds of all of it for one) to `direct`, `first` or `last`."""
        to = {
            "direct": [SERVER[0], manyservices.TARGET],
            "first": [manyservices.cluster_ip(0), manyservices.PORT],
            "last": [manyservices.cluster_ip(self.services - 1), manyservices.PORT],
        }[target]
        found = self._ask(do="connect", to=to, seconds=seconds, most=most)
        return found["made"] / found["seconds"], found["cpu"] / found["made"]

    def changes(self, count: int, within: float) -> list[float]:
        """Seconds from a change of one Service to the kernel; fewer than `count` where the time is over."""
        found: list[float] = self._ask(do="change", count=count, within=within)["seconds"]
        return found


if __name__ == "__main__":
    try:
        serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    except KernelError as e:
        sys.exit(str(e))
