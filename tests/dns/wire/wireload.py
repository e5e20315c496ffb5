"""What must not hinder each other, in a network namespace of its own: `python tests/dns/wire/wireload.py SCENE...`; a scene is a
function here, its result a line of JSON."""

from __future__ import annotations

import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
from wirecases import HERE, manifest
from wirenet import Api, Program, inside, sibling
from wireupstream import Upstream

SLOW, IDLE = 200, 100
NAMES = ("web", "dual", "db", "none")
OBJECTS = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "load"}},
    manifest({"service": "web", "ips": ["10.96.5.1"], "ports": ["http:80"]}, "load"),
    manifest({"service": "dual", "ips": ["10.96.5.2", "fd00:10:96::5"], "ports": ["http:80"]}, "load"),
    manifest({"service": "db", "ips": "None", "ports": ["http:80"]}, "load"),
    manifest({"slice": "db-4", "of": "db", "endpoints": ["10.244.5.1", "10.244.5.2"]}, "load"),
    manifest({"slice": "db-6", "of": "db", "endpoints": ["fd00:10:244::51"]}, "load"),
    manifest({"service": "big", "ips": "None", "ports": ["http:80"]}, "load"),
    manifest({"slice": "big-1", "of": "big", "many": {"first": "10.245.0.1", "count": 300}}, "load"),
)


def name(short: str) -> str:
    return short if short.endswith(".") else f"{short}.load.svc.cluster.local."


def framed(short: str, kind: str = "A") -> tuple[int, bytes]:
    query = dns.message.make_query(name(short), kind)
    wire = query.to_wire()
    return query.id, struct.pack("!H", len(wire)) + wire


def read_one(used: socket.socket) -> dns.message.Message:
    found = b""
    while len(found) < 2 or len(found) < 2 + struct.unpack_from("!H", found)[0]:
        more = used.recv(2 + struct.unpack_from("!H", found)[0] - len(found) if len(found) > 1 else 2 - len(found))
        if not more:
            raise ConnectionError("closed")
        found += more
    return dns.message.from_wire(found[2:])


def latencies(port: int, count: int, pause: float = 0.005) -> tuple[list[float], int]:
    """(milliseconds of each answer, how many got none) of good queries by UDP."""
    used = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    used.settimeout(1)
    used.connect(("127.0.0.1", port))
    took, lost = [], 0
    for _ in range(count):
        query = dns.message.make_query(name("web"), "A")
        begun = time.monotonic()
        used.send(query.to_wire())
        try:
            while dns.message.from_wire(used.recv(65535)).id != query.id:
                pass
        except TimeoutError:
            lost += 1
        took.append((time.monotonic() - begun) * 1000)
        time.sleep(pause)
    return took, lost


def _p95(rows: list[float]) -> float:
    return statistics.quantiles(rows, n=20)[18]


def slow_readers(program: Program, folder: Path) -> dict[str, Any]:
    """Hundreds of connections that ask for much and read nothing, or say half a query, while others ask by UDP and TCP."""
    memory = program.memory()
    before, _ = latencies(program.port, 100)
    kept = []
    for number in range(SLOW + IDLE):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(0.5)
        made.connect(("127.0.0.1", program.port))
        data = b"".join(framed("big")[1] for _ in range(40)) if number < SLOW else framed("big")[1][:-3]
        try:
            made.sendall(data)
        except OSError:
            pass
        kept.append(made)
    during, lost = latencies(program.port, 300)
    tcp = []
    for _ in range(20):
        begun = time.monotonic()
        # from another address: a server may bound what one client holds (RFC 7766 6.2.2)
        with socket.create_connection(("127.0.0.1", program.port), timeout=5, source_address=("127.0.0.9", 0)) as made:
            made.sendall(framed("web")[1])
            read_one(made)
        tcp.append((time.monotonic() - begun) * 1000)
    memory = program.memory() - memory
    for made in kept:
        made.close()
    after, lost_after = latencies(program.port, 50)
    return {
        "before": statistics.median(before), "p95_before": _p95(before), "during": statistics.median(during), "p95": _p95(during), "worst": max(during),
        "lost": lost + lost_after, "tcp": statistics.median(tcp), "after": statistics.median(after), "memory": memory,
    }


def pairs(program: Program, folder: Path) -> dict[str, Any]:
    """A and AAAA at once from one socket, as glibc does: both are answered, and soon."""
    took, lost = [], []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        for number in range(200):
            with socket.socket(family, socket.SOCK_DGRAM) as used:
                used.settimeout(3)  # a resolver's patience is 5
                used.connect((host, program.port))
                asked = name((*NAMES, "www.example.org.", "gone.example.org.")[number % 6])
                waiting = {}
                begun = time.monotonic()
                for kind in ("A", "AAAA"):
                    query = dns.message.make_query(asked, kind)
                    waiting[query.id] = kind
                    used.send(query.to_wire())
                try:
                    while waiting:
                        answer = dns.message.from_wire(used.recv(65535))
                        kind = waiting.pop(answer.id, None)
                        assert kind is None or f"IN {kind}" in str(answer.question[0]), answer
                except TimeoutError:
                    lost.append(f"{asked} {' and '.join(waiting.values())} from {host}")
                took.append((time.monotonic() - begun) * 1000)
    return {"median": statistics.median(took), "p95": _p95(took), "worst": max(took), "lost": lost}


def pipelined(program: Program, folder: Path) -> dict[str, Any]:
    """300 queries in one breath on one connection, of names from here and outside: each has its answer, in any order."""
    found: dict[str, int] = {"missing": 0, "double": 0, "half-closed": 0}
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as used:
            used.settimeout(5)
            used.connect((host, program.port))
            wanted: dict[int, bytes] = {}
            while len(wanted) < 300:
                ident, data = framed(random.choice((*NAMES, "big", "www.example.org.")))
                wanted[ident] = data
            used.sendall(b"".join(wanted.values()))
            seen = set()
            try:
                for _ in range(len(wanted)):
                    answer = read_one(used)
                    found["double"] += answer.id in seen
                    seen.add(answer.id)
            except OSError:
                pass
            found["missing"] += len(set(wanted) - seen)
        # Who has said all has not heard all: the answers come after the half-close, those from outside too.
        with socket.socket(family, socket.SOCK_STREAM) as used:
            used.settimeout(5)
            used.connect((host, program.port))
            asked = [framed(n) for n in ("web", "big", f"half{family}.example.org.")]
            used.sendall(b"".join(data for _, data in asked))
            used.shutdown(socket.SHUT_WR)
            try:
                heard = {read_one(used).id for _ in asked}
            except OSError:
                heard = set()
            found["half-closed"] += len(asked) - len(heard)
    return found


def tls(program: Program, folder: Path) -> dict[str, Any]:
    """DNS over TLS with kdig: both families, the certificate checked, several queries on one connection."""
    found: dict[str, Any] = {}
    for host in ("127.0.0.1", "::1"):
        base = ["kdig", f"@{host}", "-p", str(program.tls), f"+tls-ca={folder / 'pki' / 'ca.crt'}", "+time=3", "+retry=0"]
        argv = [*base, "+tls-hostname=dns.test", "+keepopen", "+short", name("web"), "A", name("dual"), "AAAA", name("big"), "A", "www.example.org.", "A"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
        found[host] = done.stdout.split()
        other = subprocess.run([*base, "+tls-hostname=other.test", "+short", name("web"), "A"], capture_output=True, text=True, timeout=30)
        found[f"{host} as another"] = other.stdout.split()
    # plain bytes on the port of TLS harm nobody
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", program.tls), timeout=2) as made:
            made.sendall(framed("web")[1])
    took, lost = latencies(program.port, 50)
    return {**found, "udp": statistics.median(took), "lost": lost}


def unsynced(api: Api, folder: Path) -> dict[str, Any]:
    """A program whose API server does not answer yet says SERVFAIL for the cluster's names, and is not ready; then it is."""
    program = start(folder, "early")
    codes: dict[str, int] = {}

    def ask() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as used:
            used.settimeout(0.2)
            used.connect(("127.0.0.1", program.port))
            try:
                used.send(dns.message.make_query(name("web"), "A").to_wire())
                return dns.rcode.to_text(dns.message.from_wire(used.recv(65535)).rcode())
            except OSError:
                return ""

    def ready() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{program.ready}/ready", timeout=1) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError:
            return 0

    end = time.monotonic() + 15
    while codes.get("SERVFAIL", 0) < 20 and time.monotonic() < end:
        code = ask()
        codes[code] = codes.get(code, 0) + 1
        time.sleep(0.02)
    early = ready()
    api.open()
    for tree in OBJECTS:
        api.put(tree)
    trouble = program.wait()
    end = time.monotonic() + 5
    while (code := ask()) != "NOERROR" and time.monotonic() < end:
        time.sleep(0.02)
    program.close()
    codes.pop("", None)
    return {"codes": codes, "ready": early, "then": code, "trouble": trouble or program.trouble()}


def start(folder: Path, number: str) -> Program:
    names = "kubernetes cluster.local in-addr.arpa ip6.arpa {\n        startup_timeout 200ms\n    }\n    forward . $outside"
    corefile = f"tls://.:$tls {{\n    tls $folder/tls.crt $folder/tls.key\n    {names}\n}}\n.:$port {{\n    $base\n    {names}\n}}\n"
    files = {"tls.crt": (folder / "tls.crt").read_text(), "tls.key": (folder / "tls.key").read_text()}
    return Program(folder / number, folder / "kubeconfig", corefile, files, {"$outside": "127.0.0.1:5353"}, 53, iter(range(5400, 5500)))


SCENES: dict[str, Callable[[Program, Path], dict[str, Any]]] = {f.__name__: f for f in (slow_readers, pairs, pipelined, tls)}


def main(folder: Path, scenes: list[str]) -> None:
    api = Api(folder)
    pair = api.authority.issue("dns", time.time(), (), ("dns.test",), server=True)
    (folder / "tls.crt").write_bytes(pair.certificate)
    (folder / "tls.key").write_bytes(pair.key)
    tables = {"www.example.org.": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}}
    Upstream(("127.0.0.1", 5353), tables, "example.org.")
    try:
        # The first scene is the one before the API server answers: its socket is there, nobody serves it.
        if "unsynced" in scenes:
            print(json.dumps({"scene": "unsynced", **unsynced(api, folder)}), flush=True)
        else:
            api.open()
            for tree in OBJECTS:
                api.put(tree)
        program = start(folder, "program")
        trouble = program.wait()
        end = time.monotonic() + 5
        while latencies(program.port, 1)[1] and time.monotonic() < end:
            pass
        for scene in (s for s in scenes if s in SCENES):
            print(json.dumps({"scene": scene, **SCENES[scene](program, folder), "trouble": trouble or program.trouble() or ("" if program.alive else "gone")}), flush=True)
        program.close()
    finally:
        api.close()


if __name__ == "__main__":
    words = sys.argv[1:] or ["unsynced", *SCENES]
    if os.environ.get("SEAWAY_WIRE") == "inside":
        inside()
        main(Path(os.environ["SEAWAY_WIRE_FOLDER"]), words)
    else:
        assert HERE.exists()
        for line in sibling(__file__, words):
            print(line, end="")
