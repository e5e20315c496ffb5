"""New settings, the first sync, and the end, in the midst of queries."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

from dnsprocess import PATIENCE, Constant, Dns, Net, ask, main, said, wait_until, wanted
from wireupstream import Upstream

COREFILE = """
.:$port {
    errors
    $bind
    health 127.0.0.1:$health {
        lameduck 100ms
    }
    ready 127.0.0.1:$ready
    prometheus 127.0.0.1:$metrics
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl $ttl
    }
    $forward
    reload 2s
}
$more
"""
OTHER = """
.:$tls {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 7
    }
}
"""
NAME = "web1.shop.svc.cluster.local."


def _corefile(ttl: int, bind: str = "", forward: str = "", more: str = "") -> str:
    return COREFILE.replace("$bind", bind).replace("$ttl", str(ttl)).replace("$forward", forward).replace("$more", more)


def _ttls(dns: Dns, by: str = "udp", port: int = 0, to: str = "127.0.0.1") -> set[int]:
    found = [ask(port or dns.port, NAME, by=by, to=to) for _ in range(8)]
    return {a.answer[0].ttl if a and a.answer else -1 for a in found}


def _taken(dns: Dns, ttl: int, signalled: bool = True) -> float:
    began = time.monotonic()
    if signalled:
        dns.process.send_signal(signal.SIGHUP)
    wait_until(lambda: _ttls(dns) == {ttl} and _ttls(dns, "tcp") == {ttl}, f"TTL {ttl} in all answers")
    return time.monotonic() - began


def new_settings(net: Net) -> str:
    """Another TTL, another port, another address of the port that is answered on, fewer and more workers; and back."""
    with Dns(net, corefile=_corefile(5)) as dns:
        dns.wait()
        other = dns.tls
        times = []
        with Constant(dns.port, wanted()) as asking, Constant(dns.port, wanted(), to="127.0.0.6", tcp=False) as also:
            dns.write(_corefile(6))
            times.append(_taken(dns, 6, signalled=False))  # seen by itself
            dns.write(_corefile(7, more=OTHER))
            times.append(_taken(dns, 7))
            assert said(ask(other, NAME)) == said(ask(other, NAME, by="tcp")) == "NOERROR 10.96.7.2", "the port that was added"
            dns.write(_corefile(8, bind="bind 127.0.0.1 127.0.0.6"))
            times.append(_taken(dns, 8))
            dns.write(_corefile(9, bind="bind 127.0.0.1 127.0.0.6 127.0.0.7", more="").replace("errors", "errors\n    multisocket 3"))
            times.append(_taken(dns, 9))
            assert _ttls(dns, to="127.0.0.7") == _ttls(dns, "tcp", to="127.0.0.7") == {9}, "the address that was added"
            dns.write(_corefile(10).replace("errors", "errors\n    multisocket 1"))
            times.append(_taken(dns, 10))
            dns.write(_corefile(11))
            times.append(_taken(dns, 11))
        wait_until(lambda: ask(other, NAME, wait=0.3) is None, "the port that was removed is closed")
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
                sock.bind(("0.0.0.0", other))
        also.good(quick=True)
        lost_connections = [a for a in asking.again if "Reset" not in a and "EOF" not in a]
        assert not lost_connections, lost_connections[:5]
        assert dns.page("/ready")[0] == 200
        assert not dns.logged("does not end"), dns.log.read_text()
        return f"{asking.good()}, each taken within {[round(t, 2) for t in times]} s"


def bad_settings(net: Net) -> str:
    with Dns(net, corefile=_corefile(5)) as dns:
        dns.wait()
        before = dns.pids()
        bad = {
            _corefile(5).replace("errors", "errrors"): "errrors",
            _corefile(5, bind="bind 192.0.2.77"): "192.0.2.77 cannot be opened",
            _corefile(5).replace("127.0.0.1:$metrics", f"127.0.0.1:{net.api.port}"): "another program answers there",
        }
        with Constant(dns.port, wanted()) as asking:
            for text, why in bad.items():
                dns.write(text)
                dns.process.send_signal(signal.SIGHUP)
                wait_until(lambda why=why: why in dns.log.read_text(), f"a line that says {why}")
            dns.corefile.unlink()
            dns.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "No such file" in dns.log.read_text(), "a line that says that the file is gone")
            assert dns.pids() == before, "the old processes go on"
            dns.write(_corefile(6))
            _taken(dns, 6)
        lines = [line for line in dns.log.read_text().splitlines() if "not taken" in line]
        assert len(lines) == 4, lines  # once each
        assert all(str(dns.corefile) in line for line in lines if "rrrors" in line or "No such" in line), lines
        dns_log = "; ".join(line.partition("not taken: ")[2] for line in lines)
        return f"{asking.good()}; {dns_log}"


def resolv_conf(net: Net) -> str:
    """The file that a forward names."""
    resolv = net.folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.21\n")
    for i in (1, 2):
        Upstream((f"127.0.0.2{i}", 53), {"www.example.org.": {"A": f"192.0.2.{i}", "ttl": 300}}, "example.org.")
    with Dns(net, corefile=_corefile(5, forward=f"forward . {resolv}\n    cache")) as dns:
        dns.wait()
        assert said(ask(dns.port, "www.example.org.")) == "NOERROR 192.0.2.1"
        with Constant(dns.port, wanted()) as asking:
            resolv.write_text("nameserver 127.0.0.22\n")
            wait_until(lambda: said(ask(dns.port, "www.example.org.")) == "NOERROR 192.0.2.2", "the new server is asked")
        return asking.good()


def first_sync(net: Net) -> str:
    """The API server does not answer yet: other names are answered meanwhile."""
    Upstream(("127.0.0.23", 53), {"www.example.org.": {"A": "192.0.2.3"}}, "example.org.")
    with Dns(net, "--kubeconfig", str(_elsewhere(net)), upstreams=("127.0.0.23",)) as dns:
        wait_until(lambda: dns.page("/ready")[0] == 503, "it says that it is not ready")
        for by in ("udp", "tcp"):
            wait_until(lambda by=by: said(ask(dns.port, "www.example.org.", by=by)) == "NOERROR 192.0.2.3", "a forwarded name")
            assert said(ask(dns.port, NAME, by=by)) == said(ask(dns.port, "none.shop.svc.cluster.local.", by=by)) == "SERVFAIL"
        assert dns.page("/health")[0] == 200
        wait_until(lambda: "cannot be reached" in dns.log.read_text(), "a line that says what it waits for")
        assert dns.page("/ready") == (503, "kubernetes\n")
        _open(net)
        began = time.monotonic()
        dns.wait()
        took = time.monotonic() - began
        wait_until(lambda: {said(ask(dns.port, NAME, by=by)) for by in ("udp", "udp", "tcp")} == {"NOERROR 10.96.7.2"}, "the name")
        return f"ready {took:.2f} s after the API server"


LATE = 6990


def _elsewhere(net: Net) -> Path:
    """A kubeconfig of a port on which nobody listens yet."""
    text = (net.folder / "kubeconfig").read_text().replace(f":{net.api.port}", f":{LATE}")
    (net.folder / "kubeconfig.late").write_text(text)
    return net.folder / "kubeconfig.late"


def _open(net: Net) -> None:
    """The API server is there, too, on that port: what comes in is passed on."""
    listener = socket.create_server(("127.0.0.1", LATE))

    def copy(a: socket.socket, b: socket.socket) -> None:
        while data := a.recv(65536):
            b.sendall(data)

    def serve() -> None:
        while True:
            one, _ = listener.accept()
            other = socket.create_connection(("127.0.0.1", net.api.port))
            for pair in ((one, other), (other, one)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def lameduck(net: Net) -> str:
    """Not ready at once, answering for the time it was told, then code 0."""
    with Dns(net, "--lameduck", "2") as dns:
        dns.wait()
        with Constant(dns.port, wanted(), tcp=True) as asking:
            time.sleep(0.2)
            began = time.monotonic()
            dns.process.send_signal(signal.SIGTERM)
            wait_until(lambda: dns.page("/ready")[0] == 503, "not ready", 1.5)
            unready = time.monotonic() - began
            while time.monotonic() - began < 1.7:
                time.sleep(0.05)
        told = asking.good(quick=True)
        assert dns.process.wait(PATIENCE) == 0
        took = time.monotonic() - began
        assert took >= 2, took
        return f"{told}; not ready after {unready:.3f} s, ended after {took:.2f} s"


SCENARIOS = [new_settings, bad_settings, resolv_conf, first_sync, lameduck]

if __name__ == "__main__":
    main(__file__, SCENARIOS)
