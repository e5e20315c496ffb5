"""The processes of `bench/dns.py`: our DNS server on a real API server, unbound, BIND, and the upstream of all three (NSD),
with what they cost. Everything runs in the network and process namespace that the bench made for itself.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dnsapi
import dnsnames

from seaway.cluster import launch, layout
from seaway.cluster.config import ClusterConfig
from seaway.cluster.place import Place

UPSTREAM = "127.0.0.2"
PORTS = {"seaway": 5301, "unbound": 5302, "bind": 5303, "echo": 5304}
COMPARED = ("seaway", "unbound", "bind")
READY = 5380
PATIENCE = 60.0


@functools.cache
def cpus() -> tuple[int, int]:
    """(the server's, everybody else's), as they were before this process took its own."""
    found = sorted(os.sched_getaffinity(0))
    return found[0], found[-1]


class Tree:
    """A process and all below it."""

    def __init__(self, command: list[str], log: Path, cpu: int, env: dict[str, str] | None = None, fds: tuple[int, ...] = ()) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **(env or {})}, pass_fds=fds)

    def pids(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(folder.name))
        found, left = [], [self.process.pid]
        while left:
            found.append(left.pop())
            left += children.get(found[-1], ())
        return found

    def cpu(self) -> float:
        """CPU seconds, user and system, of all processes."""
        total = 0.0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) names it
        return total

    def turns(self) -> dict[int, tuple[int, int]]:
        """Of each process: nanoseconds that it waited for its turn on the processor, and how many turns it had."""
        found = {}
        for pid in self.pids():
            with contextlib.suppress(OSError):
                _, waited, number = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
                found[pid] = waited, number
        return found

    def each(self) -> list[tuple[float, float]]:
        """(RSS, PSS) of each process in MB."""
        found = []
        for pid in sorted(self.pids()):
            with contextlib.suppress(OSError):
                words = dict(line.split()[:2] for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
                found.append((int(words["Rss:"]) / 1000, int(words["Pss:"]) / 1000))
        return found

    def memory(self) -> tuple[float, float]:
        """(RSS, PSS) of all processes in MB."""
        found = self.each()
        return sum(rss for rss, _ in found), sum(pss for _, pss in found)

    def signal(self, number: int) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def check(self) -> None:
        if self.process.poll() is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines()[-5:]
            sys.exit(f"bench: {' '.join(map(str, self.process.args))[:120]} has ended:\n" + "\n".join(lines))


class Api:
    """The API server by itself, on the loopback address."""

    def __init__(self, folder: Path, cpu: int) -> None:
        self.folder, self._cpu = folder, cpu
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.layout = layout.plan(ClusterConfig(name="bench"))
        self.where = Place(folder)
        launch.make_keys(self.where, folder / "kept", self.layout, self._socket.getsockname()[1])
        self.kubeconfig = self.where.kubeconfig
        self.start()

    def start(self) -> None:
        fd = self._socket.fileno()
        words = [sys.executable, str(Path(dnsapi.__file__).resolve()), layout.dump(self.layout), str(self.folder), str(fd)]
        self.tree = Tree(words, self.folder / "apiserver.log", self._cpu, fds=(fd,))

    def forget(self) -> None:
        """Ends it, and begins it again with no history: whoever watches is told 410 and lists anew."""
        self.tree.end()
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "state.db")) as db, db:
            (rv,) = db.execute("SELECT value FROM numbers WHERE name = 'rv'").fetchone()
            db.execute("DELETE FROM history")
            db.executemany("INSERT OR REPLACE INTO numbers VALUES (?, ?)", [("rv", rv + 1), ("compacted", rv + 1)])
        self.start()


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server there answers at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect((host, port))
        try:
            sock.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x07example\x00\x00\x01\x00\x01")
            return len(sock.recv(4096)) > 12
        except OSError:
            return False


def is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{READY}/ready", timeout=1) as found:
            return bool(found.status == 200)
    except OSError:
        return False


def wait(tree: Tree, check: object, what: str) -> float:
    began = time.monotonic()
    while not check():  # type: ignore[operator]
        tree.check()
        if time.monotonic() > began + PATIENCE:
            sys.exit(f"bench: {what} is not ready within {PATIENCE:.0f} s; {tree.log}")
        time.sleep(0.02)
    return time.monotonic() - began


def seaway(folder: Path, kubeconfig: Path) -> Tree:
    """Our server in its default configuration; its upstream is in /etc/resolv.conf."""
    program = str(Path(sys.executable).parent / "seaway")
    words = [program, "dns", "--kubeconfig", str(kubeconfig), "--port", str(PORTS["seaway"]), "--ready-port", str(READY)]
    return Tree(words, folder / "seaway.log", cpus()[0])


def echo(folder: Path) -> Tree:
    """Sends each query back as its answer: what any server on this CPU costs and waits at the least."""
    program = f"""import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", {PORTS["echo"]}))
while True:
    data, address = sock.recvfrom(2048)
    sock.sendto(data[:2] + bytes((data[2] | 128,)) + data[3:], address)"""
    return Tree([sys.executable, "-c", program], folder / "echo.log", cpus()[0])


def unbound(folder: Path, root: Path, env: dict[str, str]) -> Tree:
    conf = folder / "unbound.conf"
    conf.write_text(f"""server:
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  interface: 127.0.0.1
  port: {PORTS["unbound"]}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
{dnsnames.local_data()}forward-zone:
  name: "."
  forward-addr: {UPSTREAM}
remote-control:
  control-enable: no
""")
    return Tree([str(root / "usr/sbin/unbound"), "-d", "-c", str(conf)], folder / "unbound.log", cpus()[0], env)


def bind(folder: Path, root: Path, env: dict[str, str]) -> Tree:
    conf, zones = folder / "named.conf", []
    for zone, text in dnsnames.master_files().items():
        (folder / f"{zone}.zone").write_text(text)
        zones.append(f'zone "{zone}" {{ type primary; file "{folder}/{zone}.zone"; }};')
    conf.write_text(f"""options {{
  directory "{folder}";
  pid-file none; session-keyfile none; lock-file none;
  listen-on port {PORTS["bind"]} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }};
  dnssec-validation no; empty-zones-enable no; minimal-responses yes;
  forward only; forwarders {{ {UPSTREAM}; }};
}};
controls {{ }};
""" + "\n".join(zones) + "\n")
    return Tree([str(root / "usr/sbin/named"), "-f", "-n", "1", "-c", str(conf)], folder / "named.log", cpus()[0], env)


def upstream(folder: Path, root: Path, env: dict[str, str]) -> Tree:
    """Answers every name; on the CPU of the load, which it shares well: an answer costs it a few microseconds."""
    (folder / "root.zone").write_text(dnsnames.outside_zone())
    conf = folder / "nsd.conf"
    conf.write_text(f"""server:
  server-count: 1
  ip-address: {UPSTREAM}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  logfile: "{folder}/nsd-own.log"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
""")
    return Tree([str(root / "usr/sbin/nsd"), "-d", "-c", str(conf)], folder / "nsd.log", cpus()[1], env)


@contextlib.contextmanager
def ending(tree: Tree) -> Iterator[Tree]:
    try:
        yield tree
    finally:
        tree.signal(signal.SIGCONT)
        tree.end()

