"""`seaway dns`: its flags, and the settings made of them."""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from seaway.client import kubeconfig
from seaway.client.kubeconfig import CredentialsError
from seaway.dns import corefile, nodelocal, presentation
from seaway.dns.corefile import CorefileError
from seaway.dns.corefile.disk import Disk
from seaway.dns.nodelocal import BadNodeLocal, NodeLocal
from seaway.dns.serving import streams
from seaway.dns.serving.assembly import kubernetes_of, read_file
from seaway.dns.serving.ground import Ground
from seaway.dns.serving.supervisor import SIGNALS, Supervisor
from seaway.dns.settings import (
    Autopath,
    Block,
    Cache,
    Errors,
    Forward,
    Kubernetes,
    Name,
    Settings,
    Tls,
    Upstream,
)
from seaway.dns.upstreams import connections, resolvconf

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
    add("--node-local", default="", metavar="ADDRESS[,ADDRESS]", help="be the cache of a node, at these addresses of its own")
    add("--cluster-dns", action="append", default=[], metavar="ADDRESS[:PORT]",
        help="whom a node's cache asks for the cluster's names (default: $KUBE_DNS_UPSTREAM_SERVICE_HOST, "
        "$KUBE_DNS_SERVICE_HOST)")  # fmt: skip
    add("--tls-cert", default="", help="certificate (PEM): answer by DNS over TLS as well, on port 853")
    add("--tls-key", default="", help="its key")
    add("--health-port", type=int, default=8080, help="HTTP port of /health (default 8080; 0: none)")
    add("--ready-port", type=int, default=8181, help="HTTP port of /ready and /health (default 8181)")
    add("--metrics-port", type=int, help="HTTP port of /metrics (default 9153, of a node's cache 9253; 0: none)")
    add("--lameduck", type=float, help="seconds to go on answering, unready, at the end (default 5, of a node's cache 0)")
    add("--workers", type=int, default=0, help="processes that answer by UDP (default: one a processor, at most 4)")
    add("--client-limit", type=int, default=0, help="queries a second for one address by one worker (default: any number)")
    return parser


def _upstream(text: str, flag: str = "--upstream") -> Upstream:
    host, port, rest = text, "53", ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest[1:] if rest else "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        if text.startswith("[") != ("]" in text) or (rest and not rest.startswith(":")) or not 1 <= int(port) <= 65535:
            raise ValueError(text)
        return Upstream(str(ipaddress.ip_address(host)), int(port))
    except ValueError:
        raise BadSettings(f"{flag} {text}: must be ADDRESS or ADDRESS:PORT, such as 192.0.2.53 or [2001:db8::1]:53") from None


def _port(number: int) -> str:
    return f":{number}" if number else ""


def local_of(args: argparse.Namespace) -> NodeLocal | None:
    """The node's cache that the flags ask for."""
    if not args.node_local:
        if args.cluster_dns:
            raise BadSettings("--cluster-dns goes with --node-local: the cluster's own DNS asks the API")
        return None
    for flag, value in (("--bind", args.bind), ("--autopath", args.autopath)):
        if value:
            raise BadSettings(f"{flag} has no meaning beside --node-local")
    cluster = tuple(_upstream(u, "--cluster-dns") for u in args.cluster_dns)
    return nodelocal.given(args.node_local, cluster, os.environ, _zone(args))


def _zone(args: argparse.Namespace) -> Name:
    try:
        found = presentation.name(args.zone)
    except ValueError:
        found = ()
    if not found:
        raise BadSettings(f"--zone {args.zone!r}: must be a domain name, such as cluster.local")
    return found


def _check(args: argparse.Namespace) -> None:
    """Numbers and addresses that would fail later, or mean nothing."""
    for flag, number, least, most in (
        ("--ttl", args.ttl, 0, 3600),
        ("--port", args.port, 1, 65535),
        ("--health-port", args.health_port, 0, 65535),
        ("--ready-port", args.ready_port, 0, 65535),
        ("--metrics-port", args.metrics_port, 0, 65535),
    ):
        if number is not None and not least <= number <= most:
            raise BadSettings(f"{flag} {number}: must be within {least} and {most}")
    for flag, value in (("--lameduck", args.lameduck), ("--workers", args.workers), ("--client-limit", args.client_limit)):
        if value is not None and value < 0:
            raise BadSettings(f"{flag} {value}: must not be negative")
    for address in args.bind:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise BadSettings(f"--bind {address}: must be an address, such as 127.0.0.1 or ::1") from None


def from_flags(args: argparse.Namespace, local: NodeLocal | None = None) -> Settings:
    """What a cluster, or a node, wants without saying anything."""
    _check(args)
    upstreams = tuple(_upstream(u) for u in args.upstream if u) if args.upstream is not None else ()
    files = (RESOLV,) if args.upstream is None else ()
    found = nodelocal.settings(local, args.port, upstreams, files) if local else _of_cluster(args, upstreams, files)
    blocks = list(found.blocks)
    if args.tls_cert or args.tls_key:
        if not (args.tls_cert and args.tls_key):
            raise BadSettings("--tls-cert and --tls-key go together")
        tls = Tls(args.tls_cert, args.tls_key)
        blocks += [replace(b, port=853, transport="tls", tls=tls, loop=False) for b in found.blocks]
    page = (lambda port: nodelocal.page(local, port)) if local else _port
    return replace(
        found,
        blocks=tuple(blocks),
        health=page(args.health_port),
        ready=page(args.ready_port),
        metrics=found.metrics if args.metrics_port is None else _port(args.metrics_port),
        lameduck=found.lameduck if args.lameduck is None else args.lameduck,
        workers=args.workers or found.workers,
        client_limit=args.client_limit,
    )


def _of_cluster(args: argparse.Namespace, upstreams: tuple[Upstream, ...], files: tuple[str, ...]) -> Settings:
    zone = _zone(args)
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
    return Settings(blocks=(block,))


def resolved(settings: Settings, read: Callable[[str], str | None]) -> Settings:
    """The files that name upstreams, read."""

    def of(forward: Forward) -> Forward:
        found = list(forward.upstreams)
        for path in forward.files:
            servers = resolvconf.read(read(path) or "").nameservers
            found += [u for u in (Upstream(s) for s in servers) if u not in found]
        return replace(forward, upstreams=tuple(found))

    blocks = tuple(replace(b, forwards=tuple(of(f) for f in b.forwards)) for b in settings.blocks)
    ignored = settings.ignored
    if any(b.cache and b.cache.stale_prefer_positive for b in blocks):
        ignored = (*ignored, "cache: serve_stale's prefer_positive has no effect: a denial takes the place of what was before")
    return replace(settings, blocks=blocks, ignored=ignored)


def with_keys(settings: Settings) -> Settings:
    """The settings with the digests of all certificates and keys that they name, if each can be used; BadSettings if not."""

    def of(block: Block) -> Block:
        tls = _used(block.tls, streams.context_of) if block.transport == "tls" and block.tls else block.tls
        forwards = (replace(f, tls=_used(f.tls, connections.context_of)) if f.tls else f for f in block.forwards)
        return replace(block, tls=tls, forwards=tuple(forwards))

    return replace(settings, blocks=tuple(map(of, settings.blocks)))


def _used(tls: Tls, context_of: Callable[[Tls], object]) -> Tls:
    paths = [p for p in (tls.certificate, tls.key, tls.authority) if p]
    try:
        held = [Path(p).read_bytes() for p in paths]
        context_of(tls)
    except OSError as e:  # SSLError too
        why = e.strerror or e
        raise BadSettings(f"TLS with {', '.join(paths)}: {why}; they must be PEM files, the key the certificate's") from None
    return replace(tls, digest=hashlib.sha256(b"\0".join(held)).hexdigest())


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")

    def load() -> Settings:
        if args.corefile:
            text = Path(args.corefile).read_text(encoding="utf-8")
            found = corefile.read(nodelocal.filled(text, local, RESOLV) if local else text, Disk(), args.corefile)
            found = replace(found, workers=args.workers or found.workers)
        else:
            found = from_flags(args, local)
        return with_keys(resolved(nodelocal.bound(found, local) if local else found, read_file))

    local: NodeLocal | None = None
    ground: Ground | None = None
    try:
        local = local_of(args)
        settings = load()
        if args.check:
            print("\n".join(corefile.describe(settings)))
            return 0
        if kubernetes_of(settings) is not None:
            kubeconfig.find(args.kubeconfig)
        for line in settings.ignored:
            log.warning("%s", line)
        if local:
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # from here on the supervisor waits for them
            ground = Ground(local)
            ground.lay()
        return Supervisor(settings, args.kubeconfig, load, ground).run()
    except (BadSettings, BadNodeLocal, CorefileError, CredentialsError, OSError, UnicodeDecodeError) as e:
        print(f"seaway dns: {e}", file=sys.stderr)
        return 1
    finally:
        if ground:
            ground.clear()
