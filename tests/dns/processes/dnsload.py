"""Counts, memory and files under load, and what the program says to people."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from dnsprocess import PATIENCE, SERVICES, Dns, Net, ask, main, said, wait_until
from prometheus_client.parser import text_string_to_metric_families
from wireupstream import Upstream

from seaway.cluster.keys import kubeconfig

QUERIES = 100_000
WARM = 30_000
BURST = 100

ASKED_ALL = """
import contextlib, io, json, sys
from seaway.dns.serving import run
found = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run.main(words)
        except SystemExit as e:
            status = e.code
    found.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(found))
"""  # all of them in one process: none comes to answer


def _samples(dns: Dns) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    status, text = dns.page("/metrics", dns.metrics)
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def _sum(samples: dict, name: str, **labels: str) -> float:
    return sum(v for (n, row), v in samples.items() if n == name and labels.items() <= dict(row).items())


def counts_add_up(net: Net) -> str:
    """Each of our queries is one request and one response, by its protocol, family, type and rcode."""
    Upstream(("127.0.0.41", 53), {"www.example.org.": {"A": "192.0.2.1"}}, "example.org.")
    with Dns(net, "--workers", "2", upstreams=("127.0.0.41",)) as dns:
        dns.wait()
        kinds = [("web1.shop.svc.cluster.local.", "A"), ("web1.shop.svc.cluster.local.", "AAAA"), ("no.shop.svc.cluster.local.", "A"),
                 ("www.example.org.", "A"), ("_http._tcp.web2.shop.svc.cluster.local.", "SRV"), ("2.7.96.10.in-addr.arpa.", "PTR")]
        sent: Counter[tuple[str, str]] = Counter()
        rcodes: Counter[str] = Counter()
        for turn in range(240):
            name, kind = kinds[turn % len(kinds)]
            by = "tcp" if turn % 5 == 0 else "udp"
            to = "::1" if turn % 7 == 0 else "127.0.0.1"
            answer = ask(dns.port, name, kind, by, to=to, wait=PATIENCE)
            assert answer is not None
            sent[(by, kind)] += 1
            rcodes[said(answer).split()[0]] += 1
            if turn % 40 == 39:
                _samples(dns)  # asking in between changes nothing

        def right() -> bool:
            now = _samples(dns)
            return all(_sum(now, "coredns_dns_requests_total", proto=p, type=k) == n for (p, k), n in sent.items())

        wait_until(right, f"{sent}", 10)
        found = _samples(dns)
        assert _sum(found, "coredns_dns_requests_total", type="HINFO") + sum(sent.values()) == _sum(found, "coredns_dns_requests_total")
        for rcode, number in rcodes.items():
            assert _sum(found, "coredns_dns_responses_total", rcode=rcode) == number, (rcode, number)
        for histogram in ("coredns_dns_request_size_bytes", "coredns_dns_response_size_bytes", "coredns_dns_request_duration_seconds"):
            assert _sum(found, f"{histogram}_count") == _sum(found, f"{histogram}_bucket", le="+Inf") >= sum(sent.values()), histogram
        names = {n for n, _ in found}
        assert {"coredns_build_info", "coredns_panics_total", "coredns_plugin_enabled", "coredns_cache_entries",
                "coredns_proxy_request_duration_seconds_count", "coredns_cache_hits_total"} <= names, names
        assert _sum(found, "coredns_panics_total") == 0
        return f"{sum(sent.values())} queries, {len(found)} samples"


def _packet(chance: random.Random) -> bytes:
    host = chance.choice((f"x{chance.getrandbits(40):x}.shop.svc.cluster.local", f"{chance.getrandbits(50):x}.example.org",
                          chance.choice(list(SERVICES)).rstrip("."), f"www.{chance.getrandbits(32):x}.shop.svc.cluster.local"))
    name = b"".join(bytes((len(x),)) + x.encode() for x in host.split(".")) + b"\0"
    question = name + struct.pack("!HH", chance.choice((1, 28, 33, 16)), 1)
    edns = chance.random() < 0.7
    # Exact queries for names that are there are kept, up to a bound that takes longer to reach than a test has.
    size = chance.choice((512, 1232, 4096)) if host.startswith("web") else chance.randrange(512, 65536)
    opt = b"\0" + struct.pack("!HHIH", 41, size, 0x8000 if chance.random() < 0.2 else 0, 0) if edns else b""
    return struct.pack("!HHHHHH", chance.randrange(65536), 0x100, 1, 0, 0, 1 if edns else 0) + question + opt


def _load(dns: Dns, number: int, chance: random.Random) -> int:
    """Bursts by UDP from new ports, a few by TCP; how many were answered."""
    answered = 0
    for turn in range(number // BURST):
        if turn % 20 == 0:
            for _ in range(BURST // 4):
                with socket.create_connection(("127.0.0.1", dns.port), timeout=PATIENCE) as sock:
                    packet = _packet(chance)
                    sock.sendall(struct.pack("!H", len(packet)) + packet)
                    if chance.random() < 0.8:
                        answered += bool(sock.recv(4096))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect(("127.0.0.1", dns.port))
            for _ in range(BURST):
                sock.send(_packet(chance))
            try:
                for _ in range(BURST):
                    answered += bool(sock.recv(4096))
            except TimeoutError:
                continue
    return answered


def _use(dns: Dns) -> tuple[int, int]:
    """(KiB of all processes by their share, open files)."""
    memory = files = 0
    for pid in [dns.process.pid, *dns.pids().values()]:
        files += len(os.listdir(f"/proc/{pid}/fd"))
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            memory += int(line.split()[1]) if line.startswith("Pss:") else 0
    return memory, files


def memory_stays_flat(net: Net) -> str:
    """Random names, random EDNS sizes, connections that end before their answer. A small cache is full after the first part."""
    Upstream(("127.0.0.42", 53), {}, "example.org.")
    cache = "cache 300 {\n        success 500\n        denial 500\n    }"
    corefile = f".:$port {{\n    ready 127.0.0.1:$ready\n    multisocket 2\n    kubernetes cluster.local\n    {cache}\n    forward . 127.0.0.42\n}}\n"
    chance = random.Random(7)
    with Dns(net, corefile=corefile) as dns:
        dns.wait()
        answered = _load(dns, WARM, chance)
        before = _use(dns)
        began = time.monotonic()
        answered += _load(dns, QUERIES - WARM, chance)
        took = time.monotonic() - began
        wait_until(lambda: _use(dns)[1] <= before[1] + 40, f"files are closed: {before}, {_use(dns)}")
        after = _use(dns)
        assert after[0] < before[0] + 6000, (before, after)
        assert answered > QUERIES * 0.95, answered
        return f"{answered} answers, {before[0]} KiB and {before[1]} files, then {after[0]} KiB and {after[1]} files; {took:.0f} s"


def no_rights(net: Net) -> str:
    """A user that may not list anything, then a token that nobody knows."""
    nobody = net.api.authority.issue("nobody", time.time())
    path = net.folder / "kubeconfig.nobody"
    path.write_text(json.dumps(kubeconfig(net.api.url, net.api.authority.pair.certificate, nobody, "test")))
    with Dns(net, kubeconfig=path) as dns:
        wait_until(lambda: "may not list and watch" in dns.log.read_text(), "a line that says what is missing")
        line = next(line for line in dns.log.read_text().splitlines() if "may not list" in line)
        assert all(w in line for w in ("services", "endpointslices", "namespaces", "ClusterRole")), line
        assert dns.page("/ready")[0] == 503 and dns.page("/health")[0] == 200
        assert said(ask(dns.port, next(iter(SERVICES)))) == "SERVFAIL"
        return line.partition("WARNING ")[2]


def messages(net: Net) -> str:
    """What is wrong is one line that names it; the code is 1, or 2 for flags."""
    good = net.folder / "Corefile.good"
    good.write_text(".:6980 {\n    kubernetes cluster.local\n    forward . 192.0.2.1\n}\n")
    bad = net.folder / "Corefile.bad"
    bad.write_text(".:6980 {\n    forwrd . 192.0.2.1\n}\n")
    taken = socket.create_server(("127.0.0.1", 6981))
    config = str(net.folder / "kubeconfig")
    cases: list[tuple[list[str], int, str]] = [
        (["--kubeconfig", "/nowhere"], 1, "/nowhere"),
        (["--kubeconfig", config, "--port", "6982", "--ready-port", "6981"], 1, "6981 cannot be opened: Address already in use"),
        (["--kubeconfig", config, "--port", "6981"], 1, ":6981 cannot be opened: Address already in use"),
        (["--kubeconfig", config, "--port", "6982", "--bind", "192.0.2.9"], 1, "192.0.2.9:6982 cannot be opened"),
        (["--kubeconfig", config, "--port", "6982", "--bind", "here"], 1, "--bind here: must be an address"),
        (["--kubeconfig", config, "--port", "66000"], 1, "--port 66000: must be within 1 and 65535"),
        (["--kubeconfig", config, "--zone", "a..b"], 1, "--zone 'a..b': must be a domain name"),
        (["--kubeconfig", config, "--lameduck", "-1"], 1, "--lameduck -1"),
        (["--kubeconfig", config, "--workers", "-2"], 1, "--workers -2"),
        (["--kubeconfig", config, "--upstream", "dns.google"], 1, "--upstream dns.google: must be ADDRESS"),
        (["--kubeconfig", config, "--tls-cert", "/nowhere", "--tls-key", "/nowhere", "--port", "6982"], 1, "/nowhere"),
        (["--kubeconfig", config, "--tls-cert", "/nowhere"], 1, "go together"),
        (["--corefile", str(bad)], 1, "Corefile.bad:2: unknown directive 'forwrd'; did you mean forward?"),
        (["--corefile", "/nowhere"], 1, "/nowhere"),
        (["--corefile", str(good), "--check"], 0, ""),
        (["--no-such-flag"], 2, "--no-such-flag"),
    ]
    argv = [sys.executable, "-c", ASKED_ALL, json.dumps([words for words, _, _ in cases])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=3 * PATIENCE, stdin=subprocess.DEVNULL, check=True)
    for (words, code, text), (status, out, err) in zip(cases, json.loads(done.stdout), strict=True):
        assert status == code and text in err, (words, status, err[-1500:])
        assert "Traceback" not in err and (code != 1 or err.count("\n") == 1), (words, err[-1500:])
        assert code or "kubernetes" in out
    taken.close()
    return f"{len(cases)} ways to be wrong"


SCENARIOS = [memory_stays_flat, messages, counts_add_up, no_rights]


if __name__ == "__main__":
    main(__file__, SCENARIOS)
