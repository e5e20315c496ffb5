"""`seaway dns`: its flags, and the settings made of them."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from seaway.client import kubeconfig
from seaway.client.kubeconfig import CredentialsError
from seaway.dns import corefile
from seaway.dns.corefile import CorefileError
from seaway.dns.corefile.disk import Disk
from seaway.dns.serving.assembly import kubernetes_of, read_file
from seaway.dns.serving.supervisor import Supervisor
from seaway.dns.settings import (
    Autopath,
    Block,
    Cache,
    Errors,
    Forward,
    Kubernetes,
    Settings,
    Tls,
    Upstream,
)
from seaway.dns.upstreams import resolvconf

log = logging.getLogger("dns")
RESOLV = "/etc/resolv.conf"
REVERSE = (("in-addr", "arpa"), ("ip6", "arpa"))
STALE = 3600.0  # seconds after its end that an answer is better than none


class BadSettings(ValueError):
    """Flags or a file that make no sense; the text says what would."""


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "seaway dns",
        description="Answers a cluster's names, and forwards others.",
        epilog="With --corefile, what the file says holds in place of the flags about names and upstreams.",
    )
    add = parser.add_argument
    add("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    add("--corefile", default="", help="a Corefile: CoreDNS's own configuration, kept as it is")
    add("--check", action="store_true", help="say what the settings mean, and end")
    add("--zone", default="cluster.local", help="the cluster's domain (default cluster.local)")
    add("--port", type=int, default=53, help="UDP and TCP port (default 53)")
    add("--bind", action="append", default=[], help="an address to answer on (repeatable; default: all)")
    add("--upstream", action="append", help=f"ADDRESS[:PORT] to forward to (repeatable; default: those of {RESOLV})")
    add("--pods", default="insecure", choices=["disabled", "insecure", "verified"], help="names of pods by address")
    add("--ttl", type=int, default=5, help="seconds that clients may keep a cluster name (default 5)")
    add("--autopath", action="store_true", help="walk a pod's search path for it")
    add("--tls-cert", default="", help="certificate (PEM): answer by DNS over TLS as well, on port 853")
    add("--tls-key", default="", help="its key")
    add("--health-port", type=int, default=8080, help="HTTP port of /health (default 8080; 0: none)")
    add("--ready-port", type=int, default=8181, help="HTTP port of /ready and /health (default 8181)")
    add("--metrics-port", type=int, default=9153, help="HTTP port of /metrics (default 9153; 0: none)")
    add("--lameduck", type=float, default=5.0, help="seconds to go on answering, unready, at the end (default 5)")
    add("--workers", type=int, default=0, help="processes that answer by UDP (default: one a processor, at most 4)")
    add("--client-limit", type=int, default=0, help="queries a second for one address by one worker (default: any number)")
    return parser


def _upstream(text: str) -> Upstream:
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.lstrip(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        return Upstream(str(ipaddress.ip_address(host)), int(port))
    except ValueError:
        raise BadSettings(f"--upstream {text}: must be ADDRESS or ADDRESS:PORT, such as 192.0.2.53 or [2001:db8::1]:53") from None


def _port(number: int) -> str:
    return f":{number}" if number else ""


def from_flags(args: argparse.Namespace) -> Settings:
    """What a cluster wants without saying anything."""
    zone = tuple(args.zone.strip(".").lower().split("."))
    if not 0 <= args.ttl <= 3600:
        raise BadSettings(f"--ttl {args.ttl}: must be within 0 and 3600")
    upstreams = tuple(_upstream(u) for u in args.upstream if u) if args.upstream is not None else ()
    files = (RESOLV,) if args.upstream is None else ()
    block = Block(
        port=args.port,
        binds=tuple(args.bind),
        kubernetes=Kubernetes(zones=(zone, *REVERSE), pods=args.pods, ttl=args.ttl, fallthrough=REVERSE),
        cache=Cache(serve_stale=STALE, stale_verify=True, prefetch=10),
        autopath=Autopath(zones=(zone,), file=RESOLV) if args.autopath else None,
        forwards=(Forward(upstreams=upstreams, files=files),) if upstreams or files else (),
        errors=Errors(),
        loadbalance=True,
        loop=True,
    )
    blocks = [block]
    if args.tls_cert or args.tls_key:
        if not (args.tls_cert and args.tls_key):
            raise BadSettings("--tls-cert and --tls-key go together")
        blocks.append(replace(block, port=853, transport="tls", tls=Tls(args.tls_cert, args.tls_key), loop=False))
    return Settings(
        blocks=tuple(blocks),
        health=_port(args.health_port),
        ready=_port(args.ready_port),
        metrics=_port(args.metrics_port),
        lameduck=args.lameduck,
        workers=args.workers,
        client_limit=args.client_limit,
    )


def resolved(settings: Settings, read: Callable[[str], str | None]) -> Settings:
    """The files that name upstreams, read."""

    def of(forward: Forward) -> Forward:
        found = list(forward.upstreams)
        for path in forward.files:
            servers = resolvconf.read(read(path) or "").nameservers
            found += [u for u in (Upstream(s) for s in servers) if u not in found]
        return replace(forward, upstreams=tuple(found))

    blocks = (replace(b, forwards=tuple(of(f) for f in b.forwards)) for b in settings.blocks)
    return replace(settings, blocks=tuple(blocks))


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")

    def load() -> Settings:
        if not args.corefile:
            return resolved(from_flags(args), read_file)
        text = Path(args.corefile).read_text(encoding="utf-8")
        found = corefile.read(text, Disk(), args.corefile)
        return resolved(replace(found, workers=args.workers or found.workers), read_file)

    try:
        settings = load()
        if args.check:
            print("\n".join(corefile.describe(settings)))
            return 0
        if kubernetes_of(settings) is not None:
            kubeconfig.find(args.kubeconfig)
        for line in settings.ignored:
            log.warning("%s", line)
        return Supervisor(settings, args.kubeconfig, load).run()
    except (BadSettings, CorefileError, CredentialsError, OSError, UnicodeDecodeError) as e:
        print(f"seaway dns: {e}", file=sys.stderr)
        return 1
