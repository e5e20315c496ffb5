"""`seaway up`: starts a cluster, shows what it does as it does it, and stays until Ctrl-C (or returns, with --detach)."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from seaway.api.kinds import Kind
from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.rest import Rest, kind_of, wait_ready
from seaway.cluster import config as configs
from seaway.cluster import configfile, launch, place, policies
from seaway.cluster.config import PROXY_MODES, ClusterConfig, ConfigError
from seaway.cluster.launch import LaunchError
from seaway.cluster.place import Place
from seaway.cluster.processes import Publish

Tree = dict[str, Any]
WITHIN = 60.0
CUSTOM_WAIT = 10.0  # seconds a custom kind is waited for


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("seaway up", description="Start an embedded Kubernetes cluster on this machine.")
    parser.add_argument(
        "--nodes", type=int, default=0, metavar="N", help="number of nodes (default 1, or what --config says)"
    )
    parser.add_argument("--config", default="", metavar="FILE", help="a Cluster file (seaway.dev/v1alpha1, or kind's)")
    parser.add_argument("--name", default="", help="the cluster's name (default: seaway); two names are two clusters")
    parser.add_argument("--data", default="", metavar="DIR", help="keep the state there; `up` continues where it was")
    parser.add_argument(
        "--proxy-mode", default="", choices=PROXY_MODES, help="how kube-proxy steers packets (default: nftables)"
    )
    parser.add_argument("--detach", action="store_true", help="return when the cluster answers")
    parser.add_argument(
        "--publish",
        action="append",
        default=[],
        metavar="HOSTPORT:NAMESPACE/SERVICE:PORT",
        help="forward a loopback port to a Service",
    )
    parser.add_argument(
        "--dns-upstream",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="whom the nodes ask for names outside the cluster: addresses inside its networks, none, or host (default): "
        "the name servers of this machine",
    )
    parser.add_argument(
        "--node-local-dns", action="store_true", help="a DNS cache on each node, which its pods ask (default: what --config says)"
    )
    parser.add_argument("--audit-log", default="", metavar="FILE", help="who did what, a JSON line a request")
    parser.add_argument(
        "--audit-policy", default="", metavar="FILE", help="an audit.k8s.io/v1 Policy: what of it, and how much"
    )
    parser.add_argument("--request-log", default="", metavar="FILE", help="a line of text a request")
    parser.add_argument(
        "-f",
        dest="manifests",
        action="append",
        default=[],
        metavar="MANIFEST",
        help="apply this file once the cluster is up",
    )
    return parser


def read_config(args: argparse.Namespace) -> ClusterConfig:
    """The configuration of the flags and the file; ConfigError says what is wrong."""
    config = ClusterConfig()
    if args.config:
        try:
            tree = yaml.safe_load(Path(args.config).read_text())
        except (OSError, yaml.YAMLError) as e:
            raise ConfigError(f"--config {args.config}: {e}") from None
        config = configfile.parse(tree)
    if args.name:
        config = configs.with_name(config, args.name)
    if args.nodes:
        config = replace(config, nodes=configs.default_nodes(args.nodes, config.name))
    elif not args.config:
        config = replace(config, nodes=configs.default_nodes(1, config.name))
    if args.proxy_mode:
        config = replace(config, networking=replace(config.networking, kube_proxy_mode=args.proxy_mode))
    if args.dns_upstream:
        config = configs.with_dns_upstreams(config, args.dns_upstream)
    if args.node_local_dns:
        config = configs.with_node_local_dns(config)
    return with_logs(config, args.audit_log, args.audit_policy, args.request_log)


def with_logs(config: ClusterConfig, audit_log: str, audit_policy: str, request_log: str) -> ClusterConfig:
    """The configuration with these logs, at absolute paths that can be written; ConfigError says what cannot be used."""
    logs = configs.with_logs(config.components.api_server, audit_log, audit_policy, request_log)
    absolute = {
        name: os.path.abspath(path)
        for name in ("audit_log", "audit_policy", "request_log")
        if (path := getattr(logs, name))
    }
    for name in ("audit_log", "request_log"):
        if name in absolute:
            try:
                os.close(os.open(absolute[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            except OSError as e:
                raise ConfigError(f"{absolute[name]} cannot be written: {e.strerror}") from None
    if "audit_policy" in absolute:
        policies.from_file(absolute["audit_policy"])
    return replace(config, components=replace(config.components, api_server=replace(logs, **absolute)))


class Progress:
    """Lines on the terminal, each with the seconds since the start."""

    def __init__(self, quiet: bool = False) -> None:
        self._start, self._quiet = time.monotonic(), quiet

    def say(self, text: str) -> None:
        if not self._quiet:
            print(f"{time.monotonic() - self._start:6.2f}s  {text}", flush=True)


def _ready(tree: Tree) -> bool:
    return any(
        c["type"] == "Ready" and c["status"] == "True" for c in (tree.get("status") or {}).get("conditions") or ()
    )


SAID = {
    "kube-proxy": "kube-proxy ready on every node",
    "kube-dns": "DNS ready",
    "node-local-dns": "DNS cache ready on every node",
}


async def wait(where: Place, nodes: list[str], node_local: bool, progress: Progress) -> None:
    """Until the API server, the nodes, the proxies and DNS are ready."""
    end = time.monotonic() + WITHIN
    async with Rest(kubeconfig.from_file(where.kubeconfig), "seaway-up") as api:
        await wait_ready(api, WITHIN)
        progress.say(f"API server ready at {where.state()['api']}")
        pending = set(nodes)
        while pending:
            for node in (await api.list(kind_of("nodes")))["items"]:
                name = node["metadata"]["name"]
                if name in pending and _ready(node):
                    pending.discard(name)
                    progress.say(f"node {name} Ready")
            await _pause(end, f"nodes not ready: {', '.join(sorted(pending))}", where)
        waiting = {"kube-proxy": len(nodes), "kube-dns": 2, **({"node-local-dns": len(nodes)} if node_local else {})}
        while waiting:
            pods = (await api.list(kind_of("pods"), "kube-system"))["items"]
            for app, count in list(waiting.items()):
                ready = sum(1 for p in pods if (p["metadata"].get("labels") or {}).get("k8s-app") == app and _ready(p))
                if ready >= count:
                    del waiting[app]
                    progress.say(SAID[app])
            await _pause(end, f"not ready: {', '.join(waiting)} (kubectl -n kube-system get pods)", where)


async def _pause(end: float, what: str, where: Place) -> None:
    if time.monotonic() > end:
        raise LaunchError(f"{what}; the logs are in {where.folder}/logs")
    if not place.is_alive(where.state()):
        raise LaunchError("the cluster has ended")
    await asyncio.sleep(0.03)


async def _kind_of(api: Rest, tree: Tree) -> Kind | None:
    """The kind of a document. A custom one is asked for until the definition that came just before it is served."""
    from seaway.api import kinds
    from seaway.client.errors import NotFound

    api_version, name = str(tree.get("apiVersion", "")), str(tree.get("kind", ""))
    found = kinds.by_kind().get((api_version, name))
    group, _, version = api_version.rpartition("/")
    if found is not None or "." not in group:
        return found
    end = time.monotonic() + CUSTOM_WAIT
    while True:
        try:
            rows = (await api.request("GET", f"/apis/{group}/{version}"))["resources"]
        except NotFound:
            rows = []
        for row in rows:
            if row["kind"] == name and "/" not in row["name"]:
                return Kind(group, version, row["name"], name, row["namespaced"], tuple(row["verbs"]))
        if time.monotonic() > end:
            return None
        await asyncio.sleep(0.05)


async def apply(where: Place, paths: list[str], progress: Progress) -> None:
    """Creates or merges each document of the manifests."""
    from seaway.client.errors import NotFound

    async with Rest(kubeconfig.from_file(where.kubeconfig), "seaway-up") as api:
        for path in paths:
            try:
                documents = [d for d in yaml.safe_load_all(Path(path).read_text()) if d]
            except (OSError, yaml.YAMLError) as e:
                raise LaunchError(f"-f {path}: {e}") from None
            for tree in documents:
                kind = await _kind_of(api, tree)
                if kind is None:
                    raise LaunchError(f"-f {path}: no kind {tree.get('kind')} in {tree.get('apiVersion')}")
                meta = tree.get("metadata") or {}
                namespace = meta.get("namespace") or "default"
                try:
                    await api.get(kind, namespace, meta.get("name", ""))
                    await api.patch(kind, namespace, meta["name"], tree)
                    progress.say(f"{kind.singular}/{meta['name']} configured")
                except NotFound:
                    await api.create(kind, namespace, tree)
                    progress.say(f"{kind.singular}/{meta.get('name')} created")


def start(config: ClusterConfig, data: str, publishes: list[Publish], progress: Progress) -> Place:
    """Brings a cluster up to where it answers; on failure nothing is left."""
    progress.say(
        f"cluster {config.name}: {len(config.nodes)} node{'s' if len(config.nodes) > 1 else ''}, {config.networking.ip_family}"
    )
    for field in config.ignored:
        progress.say(f"{field} has no meaning here and is left out")
    if os.geteuid() != 0:
        progress.say("without root: no eBPF data plane, no cgroup limits, one user id a container; all else is there")
    where = launch.up(config, Path(data) if data else None, publishes)
    progress.say("network, init and zygote started")
    try:
        asyncio.run(wait(where, [n.name for n in config.nodes], config.networking.dns.node_local, progress))
    except (LaunchError, Unavailable, ApiStatusError) as e:
        tail = _log_tail(where)
        launch.down(where)
        raise LaunchError(f"{e}{tail}") from None
    return where


def _log_tail(where: Place) -> str:
    """The last lines of the logs, since the folder goes with the cluster."""
    found = []
    for path in sorted((where.folder / "logs").glob("*.log")):
        lines = path.read_text(errors="replace").strip().splitlines()[-3:]
        found += [f"\n  {path.name}: {line[:200]}" for line in lines]
    return "".join(found)


def hold(where: Place) -> None:
    """Stays until Ctrl-C, a closed terminal, or the cluster's own end; then takes it down."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    while not stopped and place.is_alive(where.state()):
        time.sleep(0.2)
    if launch.down(where):
        print("\ncluster ended", flush=True)
    else:
        print("\nthe cluster has ended by itself", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    progress = Progress()
    try:
        config = read_config(args)
        where = start(config, args.data, [Publish.parse(p) for p in args.publish], progress)
        if args.manifests:
            try:
                asyncio.run(apply(where, args.manifests, progress))
            except (LaunchError, ApiStatusError, Unavailable) as e:
                progress.say(f"not applied: {e}")
                if args.detach:
                    return 1
    except (ConfigError, LaunchError) as e:
        print(f"seaway up: {e}", file=sys.stderr)
        return 1
    progress.say("ready")
    name = "" if config.name == "seaway" else f" --name {config.name}"
    print(f'\n  eval "$(seaway env{name})"      # then kubectl works\n  kubectl get pods -A', flush=True)
    if args.detach:
        return 0
    print("\nCtrl-C ends the cluster.", flush=True)
    hold(where)
    return 0
