"""`seaway dns` as a user starts it, in a network namespace with an API server; who asks it all the time; and the scenarios that
are played there: a script of them prints a line of JSON a scenario."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "wire"))

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from wirenet import Api, api_server, inside, sibling

HERE = Path(__file__).resolve().parent
SEAWAY = [sys.executable, "-c", "from seaway.cli.main import main; main()"]
SERVICES = {f"web{i}.shop.svc.cluster.local.": f"10.96.7.{i + 1}" for i in range(40)}
PATIENCE = 30.0  # seconds until something must be so, whatever else the machine does


def wait_until(true: Callable[[], object], what: str, within: float = PATIENCE) -> Any:
    end = time.monotonic() + within
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < end, f"not within {within} s: {what}"
        time.sleep(0.02)


def service(name: str, address: str, namespace: str = "shop") -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "clusterIPs": [address], "type": "ClusterIP", "ports": [{"name": "http", "port": 80}]},
    }


class Dns:
    """The program. `flags` follow; `lines` a Corefile in which $port, $ready, $health and $metrics stand for this one's ports."""

    def __init__(self, net: Net, *flags: str, corefile: str = "", kubeconfig: Path | None = None, upstreams: tuple[str, ...] = ()) -> None:
        number = next(net.numbers)
        self.folder = net.folder / f"dns{number}"
        self.folder.mkdir()
        base = 6000 + 10 * number
        self.port, self.ready, self.metrics, self.health, self.tls = range(base, base + 5)
        self.log = self.folder / "log"
        argv = [*SEAWAY, "dns", "--kubeconfig", str(kubeconfig or net.folder / "kubeconfig")]
        if corefile:
            self.corefile = self.folder / "Corefile"
            self.write(corefile)
            argv += ["--corefile", str(self.corefile)]
        else:
            argv += ["--port", str(self.port), "--ready-port", str(self.ready), "--health-port", str(self.health)]
            argv += ["--metrics-port", str(self.metrics), *(w for u in upstreams for w in ("--upstream", u))]
            argv += [] if "--lameduck" in flags else ["--lameduck", "0.1"]
        self.argv = [*argv, *flags]
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def write(self, corefile: str) -> None:
        """A new Corefile, in one step as a kubelet does it."""
        for word in ("port", "ready", "metrics", "health", "tls", "folder"):
            corefile = corefile.replace(f"${word}", str(getattr(self, word)))
        fresh = self.folder / "Corefile.new"
        fresh.write_text(corefile)
        fresh.rename(self.folder / "Corefile")

    def page(self, path: str, port: int = 0) -> tuple[int, str]:
        """(status, text); 0: nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.ready}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError:
            return 0, ""

    def wait(self) -> Dns:
        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.page("/ready")[0] == 200

        wait_until(ready, f"readiness; {self.log.read_text()[-2000:]}")
        return self

    def logged(self, text: str, times: int = 1) -> bool:
        return self.log.read_text().count(text) >= times

    def pids(self) -> dict[str, int]:
        """Its children by name: control, worker 0, ..., streams. Of two generations, those of the newer."""
        pid, found = self.process.pid, {}
        for child in sorted(Path(f"/proc/{pid}/task/{pid}/children").read_text().split(), key=int):
            with contextlib.suppress(OSError):
                found[Path(f"/proc/{child}/comm").read_text().strip().removeprefix("dns ")] = int(child)
        return found

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Dns:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        self.end()
        text = self.log.read_text()
        if kind is None:
            assert "Traceback" not in text, text[-2000:]
        elif text:
            print(text[-2000:], file=sys.stderr)


def ask(port: int, name: str, kind: str = "A", by: str = "udp", wait: float = 3.0, to: str = "127.0.0.1", **edns: Any) -> dns.message.Message | None:
    """One question from a new source port; None: no answer in time."""
    query = dns.message.make_query(name, kind, **edns)
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM if by == "udp" else socket.SOCK_STREAM) as sock:
        sock.settimeout(wait)
        try:
            sock.connect((to, port))
            return exchange(sock, query.to_wire(), by)
        except (OSError, EOFError):
            return None


def exchange(sock: socket.socket, wire: bytes, by: str) -> dns.message.Message:
    if by == "udp":
        sock.send(wire)
        while True:
            reply = sock.recv(65535)
            if reply[:2] == wire[:2]:
                return dns.message.from_wire(reply)
    sock.sendall(struct.pack("!H", len(wire)) + wire)
    return dns.message.from_wire(exactly(sock, struct.unpack("!H", exactly(sock, 2))[0]))


def exactly(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = sock.recv(count - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def said(answer: dns.message.Message | None) -> str:
    """The rcode, and the data of its records."""
    if answer is None:
        return "nothing"
    return " ".join([dns.rcode.to_text(answer.rcode()), *sorted(str(r) for s in answer.answer for r in s)])


class Constant:
    """Asks all the time while it is entered: by UDP from new ports, by UDP from one kept socket, by TCP connections. `wait`:
    seconds for an answer; then the same again, as a resolver does. `lost`: what no try was answered; `again`: what a first
    try was not; `wrong`: what another answer than `wanted` was given to."""

    def __init__(self, port: int, wanted: dict[str, str], wait: float = 3.0, tcp: bool = True, tries: int = 4, to: str = "127.0.0.1") -> None:
        self.port, self.wanted, self.wait, self.tries, self.to = port, wanted, wait, tries, to
        self.lost: list[str] = []
        self.again: list[str] = []
        self.wrong: list[str] = []
        self.asked = 0
        self.slowest = 0.0
        self._stop = threading.Event()
        ways = [self._new_ports, self._new_ports, self._kept, *([self._tcp] if tcp else [])]
        self._threads = [threading.Thread(target=self._run, args=(w,), daemon=True) for w in ways]

    def __enter__(self) -> Constant:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, way: Callable[[], Iterator[Callable[[bytes], dns.message.Message]]]) -> None:
        names = list(self.wanted)
        exchanges = way()
        at = 0
        while not self._stop.is_set():
            at += 1
            name = names[at % len(names)]
            self._one(name, exchanges, way.__name__.strip("_"))
            time.sleep(0.002)

    def _one(self, name: str, exchanges: Iterator[Callable[[bytes], dns.message.Message]], way: str) -> None:
        began = time.monotonic()
        self.asked += 1
        for attempt in range(self.tries):
            query = dns.message.make_query(name, "A").to_wire()
            try:
                found = said(next(exchanges)(query))
            except (OSError, EOFError) as e:
                if not attempt:
                    self.again.append(f"{name} {way} at {time.strftime('%X', time.gmtime())} after {time.monotonic() - began:.3f} s: {e!r}")
                continue
            if found != self.wanted[name]:
                self.wrong.append(f"{name}: {found}")
            self.slowest = max(self.slowest, time.monotonic() - began)
            return
        self.lost.append(name)

    def _new_ports(self) -> Iterator[Callable[[bytes], dns.message.Message]]:
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(self.wait)
                sock.connect((self.to, self.port))
                yield lambda wire, sock=sock: exchange(sock, wire, "udp")

    def _kept(self) -> Iterator[Callable[[bytes], dns.message.Message]]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(self.wait)
            sock.connect((self.to, self.port))
            while True:
                yield lambda wire: exchange(sock, wire, "udp")

    def _tcp(self) -> Iterator[Callable[[bytes], dns.message.Message]]:
        while True:
            with socket.socket() as sock:
                sock.settimeout(self.wait)

                def once(wire: bytes, sock: socket.socket = sock) -> dns.message.Message:
                    sock.connect((self.to, self.port))
                    return exchange(sock, wire, "tcp")

                yield once

    def good(self, least: int = 100, quick: bool = False) -> str:
        """What was seen; `quick`: not even a second try was needed."""
        assert self.asked >= least, f"only {self.asked} asked"
        assert not self.lost, f"lost: {self.lost[:5]} {self.again[-5:]}"
        assert not self.wrong, f"{len(self.wrong)} of {self.asked} wrong: {Counter(self.wrong).most_common(5)}"
        assert not (quick and self.again), f"{len(self.again)} of {self.asked} asked again: {self.again[:5]}"
        return f"{self.asked} asked, {len(self.again)} again, the slowest {self.slowest:.3f} s"


class Net:
    """The namespace: its API server, with 40 Services in the namespace `shop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = iter(range(1000))
        self._lock = threading.Lock()
        self.api: Api = api_server(folder)
        self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        for name, address in SERVICES.items():
            self.put(service(name.split(".")[0], address))

    def put(self, tree: dict[str, Any]) -> None:
        with self._lock:
            self.api.put(tree)

    def delete(self, name: str, namespace: str = "shop") -> None:
        with self._lock:
            self.api.delete({"service": name}, namespace)


def wanted(names: dict[str, str] | None = None) -> dict[str, str]:
    return {name: f"NOERROR {address}" for name, address in (names or SERVICES).items()}


Scenario = Callable[[Net], str]


def play(scenarios: list[Scenario], at_once: int = 3) -> None:
    """The script: runs the scenarios, some at a time, and prints what became of each."""
    words = [w for w in sys.argv[1:] if w]
    chosen = [s for s in scenarios if not words or s.__name__ in words]
    inside()
    net = Net(Path(os.environ["SEAWAY_WIRE_FOLDER"]))
    out = threading.Lock()
    left = iter(chosen)

    def run() -> None:
        while True:
            with out:
                scenario = next(left, None)
            if scenario is None:
                return
            began = time.monotonic()
            told, bad = "", ""
            try:
                told = scenario(net)
            except BaseException:
                bad = traceback.format_exc()
            with out:
                print(json.dumps({"name": scenario.__name__, "told": told, "bad": bad, "seconds": round(time.monotonic() - began, 1)}), flush=True)

    threads = [threading.Thread(target=run) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with contextlib.suppress(OSError):
        net.api.close()


def main(script: str, scenarios: list[Scenario], at_once: int = 3) -> None:
    """By hand: `python tests/dns/processes/kills.py [SCENARIO...]`."""
    if os.environ.get("SEAWAY_WIRE") == "inside":
        play(scenarios, at_once)
        return
    for line in sibling(script, sys.argv[1:]):
        row = json.loads(line)
        print(f"{'BAD ' if row['bad'] else 'good'} {row['name']} ({row['seconds']} s): {row['told']}\n{row['bad']}".rstrip())


def played(script: str) -> dict[str, dict[str, Any]]:
    """For tests: scenario to what became of it."""
    return {row["name"]: row for row in map(json.loads, sibling(str(HERE / script), []))}


def judge(found: dict[str, dict[str, Any]], name: str) -> None:
    row = found[name]
    print(f"{name}: {row['told']}")
    assert not row["bad"], row["bad"]
