"""Each process is killed in the midst of queries."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from dnsprocess import Constant, Dns, Net, ask, main, said, service, wait_until, wanted


def _kill(dns: Dns, name: str) -> None:
    """One of the children, and waits for the one that takes its place."""
    before = dns.pids()
    os.kill(before[name], signal.SIGKILL)
    wait_until(lambda: dns.pids().get(name, before[name]) != before[name], "another process in its place")


def killed_control(net: Net) -> str:
    """Names that no worker knows yet are asked for while it is away, too."""
    with Dns(net, "--workers", "2") as dns:
        dns.wait()
        with Constant(dns.port, wanted(), wait=4) as asking:
            for _ in range(3):
                _kill(dns, "control")
                time.sleep(0.3)
            dns.wait()
        return asking.good(quick=True)


def killed_worker(net: Net) -> str:
    with Dns(net, "--workers", "2") as dns:
        dns.wait()
        with Constant(dns.port, wanted(), wait=1) as asking:
            for _ in range(3):
                _kill(dns, "worker 0")
                time.sleep(0.3)
        told = asking.good()
        assert len(asking.again) <= 20, asking.again  # what the worker had read, and no more
        return told


def killed_streams(net: Net) -> str:
    with Dns(net, "--workers", "1") as dns:
        dns.wait()
        with Constant(dns.port, wanted(), wait=3) as asking:
            for _ in range(3):
                _kill(dns, "streams")
                time.sleep(0.3)
        told = asking.good()
        assert len(asking.again) <= 10, asking.again
        return told


def changed_while_control_is_down(net: Net) -> str:
    """It is stopped, so that it sees no change, then killed: what comes after it must know."""
    net.put(service("moves", "10.96.8.1"))
    net.put(service("goes", "10.96.8.2"))
    with Dns(net, "--workers", "2") as dns:
        dns.wait()
        here = {n: f"{n}.shop.svc.cluster.local." for n in ("moves", "goes", "comes")}

        def seen() -> set[tuple[str, ...]]:
            return {tuple(said(ask(dns.port, n, by=by)) for n in here.values()) for by in ("udp",) * 8 + ("tcp",)}

        wait_until(lambda: seen() == {("NOERROR 10.96.8.1", "NOERROR 10.96.8.2", "NXDOMAIN")}, "the first state")
        os.kill(dns.pids()["control"], signal.SIGSTOP)
        net.put(service("moves", "10.96.8.3"))
        net.delete("goes")
        net.put(service("comes", "10.96.8.4"))
        os.kill(dns.pids()["control"], signal.SIGKILL)
        wait_until(lambda: dns.logged("control ended"), "its death is noticed")
        dns.wait()
        began = time.monotonic()
        wait_until(lambda: seen() == {("NOERROR 10.96.8.3", "NXDOMAIN", "NOERROR 10.96.8.4")}, "the new state everywhere")
        took = time.monotonic() - began
        after = {s for _ in range(20) for s in seen()}
        assert len(after) == 1, after  # no worker falls back
        return f"the new state {took:.3f} s after readiness"


def killed_supervisor(net: Net) -> str:
    """Nobody is left over, and the ports are free."""
    dns = Dns(net, "--workers", "2")
    try:
        dns.wait()
        children = list(dns.pids().values())
        dns.process.kill()
        dns.process.wait()
        began = time.monotonic()
        wait_until(lambda: not any(_alive(pid) for pid in children), "the end of its children", 10)
        took = time.monotonic() - began
        for kind, ports in ((socket.SOCK_DGRAM, (dns.port,)), (socket.SOCK_STREAM, (dns.port, dns.ready, dns.metrics, dns.health))):
            for port in ports:
                with socket.socket(socket.AF_INET, kind) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
                    sock.bind(("0.0.0.0", port))
        return f"ended within {took:.2f} s"
    finally:
        dns.process.kill()
        dns.process.wait()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


SCENARIOS = [killed_control, killed_worker, killed_streams, changed_while_control_is_down, killed_supervisor]

if __name__ == "__main__":
    main(__file__, SCENARIOS)
