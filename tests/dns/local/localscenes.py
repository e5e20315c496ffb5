"""A node's cache in a network namespace, asked from another that is its pod: `python tests/dns/local/localscenes.py SCENE...`; a
scene is a function here, its result a line of JSON."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "wire"))  # by hand too

import dns.message  # noqa: E402
import dns.rcode  # noqa: E402
from wirenet import sibling  # noqa: E402

STUB = HERE.parents[1] / "e2e" / "stubdns.py"
OWN, OWN6, SERVICE, ASKED = "169.254.20.10", "fd00::a9fe:140a", "10.96.0.11", "10.96.0.10"
TIERS = ("10.244.9.1", "10.244.9.2")  # the pods of the cluster's DNS
CLUSTER = ("web.default.svc.cluster.local=10.96.0.80", "web.default.svc.cluster.local=fd00:10:96::80")
OUTSIDE = ("www.example.org=192.0.2.1", "www.example.org=2001:db8::1")
NODE = """
link set lo up
address add 10.244.9.1/32 dev lo
address add 10.244.9.2/32 dev lo
address add 192.0.2.53/32 dev lo
link add pod type veth peer name eth0 netns {pod}
address add 10.244.0.1/24 dev pod
address add fd00:10:244::1/64 dev pod nodad
link set pod up
route add default via 10.244.0.2
"""
POD = """
link set lo up
address add 10.244.0.2/24 dev eth0
address add fd00:10:244::2/64 dev eth0 nodad
link set eth0 up
route add default via 10.244.0.1
route add default via fd00:10:244::1
"""
# What makes the kernel track connections, and a Service: NAT to one pod of two.
TRACKING = """
table ip service {
  chain in { type nat hook prerouting priority -100; ip daddr 10.96.0.10 udp dport 53 dnat to 10.244.9.1; }
  chain out { type nat hook output priority -100; ip daddr 10.96.0.11 dnat to numgen random mod 2 map { 0 : 10.244.9.1, 1 : 10.244.9.2 }; }
}
table inet tracked {
  chain in { type filter hook input priority 0; ct state established counter; }
}
table ip dead {
  set pods { type ipv4_addr; }
  chain in { type filter hook input priority 0; ip daddr @pods drop; }
}
"""


def run(*words: str, text: str | None = None) -> str:
    done = subprocess.run(words, input=text, text=True, capture_output=True)
    assert not done.returncode, f"{words}: {done.stderr}"
    return done.stdout


def until(check: Callable[[], Any], within: float = 15) -> Any:
    end = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < end, check
        time.sleep(0.03)
    return found


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Node:
    """This namespace. `pod` is a process in that of the pod."""

    def __init__(self) -> None:
        self.pod = subprocess.Popen(["unshare", "--net", "sleep", "300"])
        until(lambda: os.readlink(f"/proc/{self.pod.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        run("ip", "-batch", "-", text=NODE.format(pod=self.pod.pid))
        self.in_pod("ip", "-batch", "-", text=POD)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        run("nft", "-f", "-", text=TRACKING)
        self.stubs = [self.stub(a, CLUSTER) for a in TIERS] + [self.stub("192.0.2.53", OUTSIDE)]

    def stub(self, address: str, rows: tuple[str, ...]) -> subprocess.Popen[str]:
        made = subprocess.Popen([sys.executable, str(STUB), "/dev/null", address, *rows], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
        assert made.stdout and made.stdout.readline() == "ready\n"
        return made

    def in_pod(self, *words: str, text: str | None = None) -> str:
        return run("nsenter", "-t", str(self.pod.pid), "--net", *words, text=text)

    def asked(self, host: str, count: int, name: str = "web.default.svc.cluster.local") -> dict[str, Any]:
        """A and AAAA at once from one socket, `count` times, by a process of the pod."""
        return json.loads(self.in_pod(sys.executable, str(HERE / "localscenes.py"), "ask", host, str(count), name))


class Cache:
    """`seaway dns --node-local`."""

    def __init__(self, folder: Path, addresses: str, *more: str) -> None:
        self.log, self.first = folder / f"cache-{time.monotonic_ns()}.log", addresses.split(",")[0]
        out = open(self.log, "ab")
        argv = ["dns", "--node-local", addresses, "--cluster-dns", SERVICE, "--upstream", "192.0.2.53", *more]
        self.process = subprocess.Popen([sys.executable, "-c", "from seaway.cli.main import main; main()", *argv], stdout=out, stderr=out)
        out.close()
        until(self.ready)

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        host = f"[{self.first}]" if ":" in self.first else self.first
        try:
            with urllib.request.urlopen(f"http://{host}:8181/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def memory(self) -> int:
        """KiB (PSS) of its processes."""
        pid = self.process.pid
        pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        texts = [Path(f"/proc/{p}/smaps_rollup").read_text() for p in pids]
        return sum(int(line.split()[1]) for t in texts for line in t.splitlines() if line.startswith("Pss:"))

    def end(self, number: int = signal.SIGTERM) -> None:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.process.send_signal(number)
        self.process.wait(20)
        until(lambda: not any(is_running(c) for c in children))

    def trouble(self) -> str:
        return self.log.read_text() if "Traceback" in self.log.read_text() else ""


def present() -> dict[str, Any]:
    """The addresses of the loopback interface that the scenes do not give it themselves, and the tables."""
    rows = [a["local"] for a in json.loads(run("ip", "-j", "address", "show", "dev", "lo"))[0]["addr_info"]]
    tables = [r["table"]["name"] for r in json.loads(run("nft", "-j", "list", "tables"))["nftables"] if "table" in r]
    return {"addresses": [a for a in rows if a.startswith(("169.254.", "fd00:"))], "tables": [t for t in tables if t.startswith("seaway")]}


def pairs(host: str, count: int, name: str) -> dict[str, Any]:
    """Milliseconds of `count` pairs, and what was lost."""
    took, lost, codes = [], [], set()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(count):
        with socket.socket(family, socket.SOCK_DGRAM) as used:
            used.settimeout(2)
            waiting = {}
            begun = time.monotonic()
            used.connect((host, 53))
            for kind in ("A", "AAAA"):
                query = dns.message.make_query(name, kind)
                waiting[query.id] = kind
                used.send(query.to_wire())
            try:
                while waiting:
                    answer = dns.message.from_wire(used.recv(65535))
                    if waiting.pop(answer.id, None):
                        codes.add(f"{dns.rcode.to_text(answer.rcode())} {len(answer.answer)}")
            except OSError as e:
                lost.append(f"{e} {' and '.join(waiting.values())}")
            took.append((time.monotonic() - begun) * 1000)
    return {"median": statistics.median(took), "worst": max(took), "lost": lost, "codes": sorted(codes)}


def tracked(address: str) -> int:
    """Queries to an address that the kernel's table has."""
    lines = Path("/proc/net/nf_conntrack").read_text().splitlines()
    return sum(" dport=53 " in line and f"={address} " in line for line in lines)


def comes_and_goes(node: Node, folder: Path) -> dict[str, Any]:
    """Addresses and rules, over SIGKILL, others taking them away, and the end."""
    run("ip", "address", "add", "169.254.99.1/32", "dev", "lo")
    found: dict[str, Any] = {"before": present()}
    cache = Cache(folder, f"{OWN},{OWN6}")
    found["there"] = present()
    found["second"] = subprocess.run(
        [sys.executable, "-c", "from seaway.cli.main import main; main()", "dns", "--node-local", f"{OWN},169.254.20.11", "--cluster-dns", SERVICE],
        capture_output=True, text=True, timeout=30,
    ).stderr.splitlines()[-1]  # fmt: skip
    found["after a second one"] = present()
    cache.end(signal.SIGKILL)
    found["killed"] = present()
    cache = Cache(folder, f"{OWN},169.254.99.1")
    found["again"] = present()
    found["asked"] = node.asked(OWN, 3)
    cache.end()
    return {**found, "ended": present(), "trouble": cache.trouble()}


def untracked(node: Node, folder: Path) -> dict[str, Any]:
    """Queries of a pod leave no entry in the kernel's table, and none of a pair is lost."""
    cache = Cache(folder, f"{OWN},{OWN6}")
    found: dict[str, Any] = {"direct": node.asked(TIERS[0], 5)}
    found["entries direct"] = tracked(TIERS[0])
    for host in (OWN, OWN6):
        for name in ("web.default.svc.cluster.local", "www.example.org"):
            found[f"{host} {name}"] = node.asked(host, 200, name)
    found["tcp"] = [node.in_pod("dig", "+tcp", "+short", "+tries=1", f"@{h}", "www.example.org") for h in (OWN, OWN6)]
    found["entries"] = tracked(OWN) + tracked("fd00:0000:0000:0000:0000:0000:a9fe:140a")
    found["memory"] = cache.memory()
    cache.end()
    return {**found, "trouble": cache.trouble()}


def one_dies(node: Node, folder: Path) -> dict[str, Any]:
    """One of two pods of the cluster's DNS falls silent, then the other in its place, then one refuses: nobody waits for long."""
    cache = Cache(folder, OWN)
    found: dict[str, Any] = {}
    names = iter(range(1_000_000))

    def worst(count: int) -> float:
        """Of names that no cache knows; NXDOMAIN is an answer."""
        rows = [node.asked(OWN, 1, f"n{next(names)}.default.svc.cluster.local") for _ in range(count)]
        assert not any(r["lost"] for r in rows) and {c for r in rows for c in r["codes"]} == {"NXDOMAIN 0"}, rows
        return max(r["worst"] for r in rows)

    found["both"] = worst(5)
    for silent, heard in ((0, 1), (1, 0)):
        run("nft", f"flush set ip dead pods; add element ip dead pods {{ {TIERS[silent]} }}")
        found[f"{heard} alone"] = worst(8)
    run("nft", "flush", "set", "ip", "dead", "pods")
    node.stubs[1].kill()
    node.stubs[1].wait()
    found["refused"] = worst(8)
    cache.end()
    return {**found, "trouble": cache.trouble()}


def service_address(node: Node, folder: Path) -> dict[str, Any]:
    """At the address of a Service the cache answers while it is there, and the pods of the Service while it is not."""

    def ttl() -> int:
        shown = node.in_pod("dig", "+noall", "+answer", "+tries=1", "+time=2", f"@{ASKED}", "web.default.svc.cluster.local")
        return int(shown.split()[1])

    found: dict[str, Any] = {"before": ttl()}
    cache = Cache(folder, f"{OWN},{ASKED}")
    asking = subprocess.Popen(
        ["nsenter", "-t", str(node.pod.pid), "--net", sys.executable, str(HERE / "localscenes.py"), "ask", ASKED, "3000", "web.default.svc.cluster.local"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found["there"] = ttl()
    found["tracked"] = tracked(ASKED)
    cache.end()
    found["gone"] = ttl()
    cache = Cache(folder, f"{OWN},{ASKED}")
    found["again"] = ttl()
    out, _ = asking.communicate(timeout=60)
    cache.end()
    return {**found, "asked": json.loads(out), "trouble": cache.trouble()}


def without_nft(node: Node, folder: Path) -> dict[str, Any]:
    """No nft on the machine: a line in the log, and all else works."""
    tool = run("sh", "-c", "command -v nft").strip()
    hidden = subprocess.Popen(["unshare", "--mount", "sh", "-c", f"mount --bind /dev/null {tool} && echo made && exec sleep 60"], stdout=subprocess.PIPE, text=True)
    assert hidden.stdout and hidden.stdout.readline() == "made\n"
    out = folder / "hidden.log"
    inside = ["nsenter", "-t", str(hidden.pid), "--mount"]
    argv = [*inside, sys.executable, "-c", "from seaway.cli.main import main; main()", "dns", "--node-local", OWN, "--cluster-dns", SERVICE, "--upstream", "192.0.2.53"]
    with open(out, "wb") as log:
        program = subprocess.Popen(argv, stdout=log, stderr=log)
    until(lambda: " nft" in out.read_text())
    asked = until(lambda: not (r := node.asked(OWN, 1))["lost"] and r)
    program.send_signal(signal.SIGTERM)
    program.wait(20)
    hidden.kill()
    hidden.wait()
    return {"asked": asked, "log": out.read_text(), "ended": present(), "trouble": "Traceback" in out.read_text()}


SCENES: dict[str, Callable[[Node, Path], dict[str, Any]]] = {f.__name__: f for f in (comes_and_goes, untracked, service_address, without_nft, one_dies)}


def main(folder: Path, scenes: list[str]) -> None:
    node = Node()
    try:
        for name in scenes or list(SCENES):
            print(json.dumps({"scene": name, **SCENES[name](node, folder)}), flush=True)
    finally:
        for process in (*node.stubs, node.pod):
            process.kill()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        print(json.dumps(pairs(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
    elif os.environ.get("SEAWAY_WIRE") == "inside":
        main(Path(os.environ["SEAWAY_WIRE_FOLDER"]), sys.argv[1:])
    else:
        for line in sibling(__file__, sys.argv[1:]):
            print(line, end="")
