"""Upstreams that die, fall silent, come back; that are asked by TCP and TLS; TLS that is served."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dnsprocess import HERE, PATIENCE, Constant, Dns, Net, ask, exactly, main, said, wait_until, wanted
from wireupstream import Upstream

KNOWN = "known.example.org."
PROGRAM = """
import json, sys, time
sys.path.append(sys.argv[1])
from wireupstream import Upstream
Upstream((sys.argv[2], 53), json.loads(sys.argv[3]), "example.org.")
print("there", flush=True)
time.sleep(3600)
"""
TABLE = {KNOWN: {"A": "192.0.2.1", "ttl": 1}, **{f"n{i}.example.org.": {"A": "192.0.2.9", "ttl": 60} for i in range(400)}}
HOLD = 5.2  # seconds: the least that an answer is kept, and a little


class Process:
    """An upstream that can be stopped and killed."""

    def __init__(self, address: str) -> None:
        self._argv = [sys.executable, "-c", PROGRAM, str(HERE.parent / "wire"), address, json.dumps(TABLE)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._argv, stdout=subprocess.PIPE)
        assert self.process.stdout and self.process.stdout.readline()

    def end(self, silent: bool) -> None:
        if silent:
            self.process.send_signal(signal.SIGSTOP)
        else:
            self.close()

    def again(self, silent: bool) -> None:
        if silent:
            self.process.send_signal(signal.SIGCONT)
        else:
            self.start()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def _timed(dns: Dns, name: str, by: str = "udp") -> tuple[float, str]:
    began = time.monotonic()
    found = said(ask(dns.port, name, by=by, wait=10))
    return time.monotonic() - began, found


def _death(net: Net, address: str, silent: bool) -> str:
    upstream = Process(address)
    try:
        with Dns(net, upstreams=(address,)) as dns:
            dns.wait()
            for by in ("udp", "tcp"):
                for _ in range(40):  # every worker
                    assert said(ask(dns.port, KNOWN, by=by)) == "NOERROR 192.0.2.1"
            time.sleep(HOLD)
            upstream.end(silent)
            stale = [_timed(dns, KNOWN, by) for by in ("udp",) * 20 + ("tcp",) * 5]
            assert {s for _, s in stale} == {"NOERROR 192.0.2.1"}, stale
            assert max(t for t, _ in stale) < 1, sorted(stale)[-5:]
            first = _timed(dns, "first.example.org.")
            assert first[1] == "SERVFAIL" and first[0] < 4.5 + 1, first
            wait_until(lambda: dns.logged("does not answer"), "the upstream is known to be down")
            later = [_timed(dns, f"later{i}.example.org.") for i in range(3)]
            assert {s for _, s in later} == {"SERVFAIL"}, later
            assert min(t for t, _ in later) < 1 + 0.5, later
            assert _timed(dns, "web1.shop.svc.cluster.local.")[0] < 1
            upstream.again(silent)
            began = time.monotonic()
            wait_until(lambda: said(ask(dns.port, f"n{time.monotonic_ns() % 400}.example.org.")) == "NOERROR 192.0.2.9", "fresh answers")
            back = time.monotonic() - began
            wait_until(lambda: {said(ask(dns.port, KNOWN)) for _ in range(8)} == {"NOERROR 192.0.2.1"}, "the known name")
            metrics = dns.page("/metrics", dns.metrics)[1]
            assert "coredns_cache_served_stale_total" in metrics and "coredns_proxy_healthcheck_failures_total" in metrics
            times = [t * 1000 for t, _ in stale]
            return (
                f"stale median {statistics.median(times):.1f} ms, longest {max(times):.1f} ms; unknown first {first[0]:.2f} s, then "
                f"{min(t for t, _ in later):.2f} s; fresh {back:.2f} s after it is back"
            )
    finally:
        upstream.close()


def silent_upstream(net: Net) -> str:
    return _death(net, "127.0.0.31", True)


def killed_upstream(net: Net) -> str:
    return _death(net, "127.0.0.32", False)


def one_of_two(net: Net) -> str:
    """Each question is of a name that is not known yet."""
    good, bad = Process("127.0.0.33"), Process("127.0.0.34")
    try:
        with Dns(net, upstreams=("127.0.0.33", "127.0.0.34")) as dns:
            dns.wait()
            bad.end(silent=True)
            found = [_timed(dns, f"n{i}.example.org.") for i in range(300)]
            wrong = [f for f in found if f[1] != "NOERROR 192.0.2.9"]
            assert not wrong, wrong[:5]
            times = sorted(t for t, _ in found)
            assert times[len(times) * 99 // 100] < 1, times[-5:]
            return f"p50 {times[150] * 1000:.1f} ms, p99 {times[297] * 1000:.1f} ms, longest {times[-1] * 1000:.1f} ms"
    finally:
        bad.close()
        good.close()


class TlsUpstream:
    """DNS over TLS before an `Upstream`."""

    def __init__(self, address: str, context: ssl.SSLContext, behind: Upstream) -> None:
        self.connections = 0
        self._context, self._behind = context, behind
        self._listener = socket.create_server((address, 8853))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            plain, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(plain,), daemon=True).start()

    def _talk(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as sock:
                self.connections += 1
                while True:
                    packet = exactly(sock, int.from_bytes(exactly(sock, 2), "big"))
                    reply = self._behind.answer(packet, False)
                    sock.sendall(len(reply).to_bytes(2, "big") + reply)
        except (OSError, EOFError):
            return


def _pair(net: Net, name: str, folder: Path, server: bool = True) -> tuple[str, str]:
    pair = net.api.authority.issue(name, time.time(), (), (name,) if server else (), server=server)
    for ending, text in (("crt", pair.certificate), ("key", pair.key)):
        (folder / f"{name}.{ending}").write_bytes(text)
    return str(folder / f"{name}.crt"), str(folder / f"{name}.key")


def ways_to_upstreams(net: Net) -> str:
    """force_tcp, tls, and what UDP cuts short for askers by TCP."""
    big = {"big.test.": {"A": [f"192.0.2.{i}" for i in range(1, 201)]}, "www.test.": {"A": "192.0.2.1"}}
    behind = Upstream(("127.0.0.35", 53), big, "test.")
    certificate, key = _pair(net, "dns.test", net.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure = TlsUpstream("127.0.0.36", context, behind)
    authority = net.folder / "pki" / "ca.crt"
    base = "errors\n    ready 127.0.0.1:$ready\n    health 127.0.0.1:$health {\n        lameduck 0s\n    }\n"
    forwards = {
        "port": "127.0.0.35",
        "tls": f"tls://127.0.0.36:8853 {{\n        tls {authority}\n        tls_servername dns.test\n    }}",
        "metrics": f"tls://127.0.0.36:8853 {{\n        tls {authority}\n        tls_servername other.test\n    }}",
    }
    corefile = "".join(f".:${port} {{\n    {base if port == 'port' else ''}    forward . {to}\n}}\n" for port, to in forwards.items())
    corefile += ".:6999 {\n    forward . 127.0.0.35 {\n        force_tcp\n    }\n}\n"
    with Dns(net, corefile=corefile) as dns:
        dns.wait()
        cut = ask(dns.port, "big.test.")
        assert cut is not None and cut.flags & 0x0200, said(cut)  # TC
        whole = ask(dns.port, "big.test.", by="tcp")
        assert said(whole).count("192.0.2.") == 200, said(whole)
        assert said(ask(6999, "big.test.", by="tcp")).count("192.0.2.") == 200
        assert said(ask(6999, "www.test.")) == said(ask(dns.tls, "www.test.")) == "NOERROR 192.0.2.1"
        assert said(ask(dns.tls, "big.test.", by="tcp")).count("192.0.2.") == 200
        before = secure.connections
        for _ in range(30):
            assert said(ask(dns.tls, "www.test.", "TXT", wait=5)) == "NOERROR", "no record"
        assert secure.connections - before <= 8, "connections are kept"
        assert said(ask(dns.metrics, "www.test.", wait=10)) == "SERVFAIL", "a certificate of another name is not taken"
        wait_until(lambda: dns.logged("no TLS with it as other.test: Hostname mismatch"), "a line that says why")
        return f"{secure.connections} connections by TLS"


def served_tls(net: Net) -> str:
    """By flags on port 853; by a Corefile that demands certificates; a renewed certificate is shown without a lost query."""
    folder = net.folder / "served"
    folder.mkdir()
    certificate, key = _pair(net, "dns.test", folder)
    client, client_key = _pair(net, "someone", folder, server=False)
    authority = str(net.folder / "pki" / "ca.crt")

    def kdig(port: int, *words: str) -> str:
        argv = ["kdig", "@127.0.0.1", "-p", str(port), f"+tls-ca={authority}", "+tls-hostname=dns.test", "+time=5", "+retry=0", "+short"]
        done = subprocess.run([*argv, *words, "web1.shop.svc.cluster.local.", "A"], capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.strip()

    demanding = f"tls://.:$tls {{\n    tls {certificate} {key} {authority} {{\n        client_auth require_and_verify\n    }}\n"
    demanding += "    kubernetes cluster.local\n}\n.:$port {\n    ready 127.0.0.1:$ready\n    kubernetes cluster.local\n}\n"
    with Dns(net, "--tls-cert", certificate, "--tls-key", key) as flags, Dns(net, corefile=demanding) as corefile:
        flags.wait()
        corefile.wait()
        assert kdig(853) == "10.96.7.2"
        assert kdig(corefile.tls, f"+tls-certfile={client}", f"+tls-keyfile={client_key}") == "10.96.7.2"
        without = kdig(corefile.tls)
        assert "10.96" not in without, without
        before = ssl.get_server_certificate(("127.0.0.1", 853), timeout=PATIENCE)
        _pair(net, "dns.test", folder)
        with Constant(flags.port, wanted()) as asking:
            flags.process.send_signal(signal.SIGHUP)  # in place of the 30 s
            wait_until(lambda: ssl.get_server_certificate(("127.0.0.1", 853), timeout=PATIENCE) != before, "the new certificate")
        seen = asking.good(least=10)  # it may take a second only
        assert kdig(853) == "10.96.7.2"
    return f"kdig with and without a certificate; while it was renewed {seen}"


SCENARIOS: list[Callable[[Net], str]] = [silent_upstream, killed_upstream, one_of_two, ways_to_upstreams, served_tls]

if __name__ == "__main__":
    main(__file__, SCENARIOS, 4)
