"""Starting and ending a cluster from the host: loopback sockets, keys, the plan, and the namespaces that init is born into."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from seaway.cluster import layout as layouts
from seaway.cluster import place, policies
from seaway.cluster.config import ApiServer, ClusterConfig
from seaway.cluster.fabric import linux
from seaway.cluster.layout import API_PORT, Layout
from seaway.cluster.node import cgroups, debian
from seaway.cluster.place import Place
from seaway.pki.authority import Authority, Pair, new_key

Tree = dict[str, Any]
SERVER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1")
ADMIN = "kubernetes-admin"


class LaunchError(Exception):
    """A cluster that could not be started; the text says why and what to do."""


class Publish:
    """`HOSTPORT:NAMESPACE/SERVICE:PORT`."""

    def __init__(self, text: str) -> None:
        try:
            host_port, middle, port = text.split(":")
            namespace, service = middle.split("/")
            self.host_port, self.namespace, self.service, self.port = int(host_port), namespace, service, port
            if not 0 < self.host_port < 65536 or not service or not namespace or not port:
                raise ValueError
        except ValueError:
            raise LaunchError(
                f"--publish {text}: must be HOSTPORT:NAMESPACE/SERVICE:PORT, for example 8080:default/web:80"
            ) from None


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)


def _save(folder: Path, name: str, pair: Pair) -> None:
    _write(folder / f"{name}.crt", pair.certificate)
    _write(folder / f"{name}.key", pair.key)


def kubeconfig(server: str, ca: bytes, pair: Pair, name: str) -> bytes:
    def b64(data: bytes) -> str:
        return base64.b64encode(data).decode()

    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": b64(ca)}}],
        "users": [
            {"name": name, "user": {"client-certificate-data": b64(pair.certificate), "client-key-data": b64(pair.key)}}
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    return yaml.safe_dump(tree, sort_keys=False).encode()


def make_keys(where: Place, kept: Path, layout: Layout, port: int) -> None:
    """The authority and the tokens' key (kept with the data), everything else anew at each start."""
    now = time.time()
    pki, folder = where.folder / "pki", where.folder / "kubeconfigs"
    for path in (pki, folder, kept):
        path.mkdir(mode=0o700, exist_ok=True, parents=True)
    if (kept / "ca.key").exists():
        authority = Authority(Pair((kept / "ca.crt").read_bytes(), (kept / "ca.key").read_bytes()))
    else:
        authority = Authority.new(f"seaway {layout.name}", now)
        _save(kept, "ca", authority.pair)
        _write(kept / "sa.key", new_key())
    _save(pki, "ca", authority.pair)  # the key for the signer of CertificateSigningRequests
    _write(pki / "sa.key", (kept / "sa.key").read_bytes())
    names = [*SERVER_NAMES, f"kubernetes.default.svc.{layout.domain}"]
    addresses = [str(a) for a in (*layout.router, layout.kubernetes_address, *(r[1] for r in layout.service_ranges))]
    _save(
        pki,
        "apiserver",
        authority.issue("kube-apiserver", now, ("system:masters",), (*names, *addresses), server=True),
    )
    host = str(layout.router[0])
    inside = f"https://{f'[{host}]' if ':' in host else host}:{API_PORT}"
    ca = authority.pair.certificate
    for name in ("controllers", "workloads", "scheduler", "cloud", "publish"):
        groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system")
        pair = authority.issue(f"system:serviceaccount:kube-system:{name}", now, groups)
        _write(folder / name, kubeconfig(inside, ca, pair, name))
    for node in layout.nodes:
        pair = authority.issue(f"system:node:{node.name}", now, ("system:nodes",))
        _write(folder / f"node-{node.name}", kubeconfig(inside, ca, pair, node.name))
        _save(
            pki,
            f"kubelet-{node.name}",
            authority.issue(
                f"system:node:{node.name}", now, ("system:nodes",), (node.name, *map(str, node.addresses)), server=True
            ),
        )
    admin = authority.issue(ADMIN, now, ("system:masters",))
    _write(
        where.kubeconfig,
        kubeconfig(
            f"https://127.0.0.1:{port}", ca, admin, f"seaway-{layout.name}" if layout.name != "seaway" else "seaway"
        ),
    )


def _listen(port: int, what: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError as e:
        raise LaunchError(f"{what}: 127.0.0.1:{port} cannot be opened: {e.strerror}; choose another port") from None
    sock.listen(4096)
    return sock


def _logs(logs: ApiServer) -> Tree:
    """The API server's logs, as its arguments."""
    bounds: Tree = {"size": logs.log_size << 20, "kept": logs.log_backups}
    found: Tree = {}
    if logs.audit_log:
        policy = policies.from_file(logs.audit_policy) if logs.audit_policy else None
        found["audit_log"] = {"path": logs.audit_log, "policy": policy, **bounds}
    if logs.request_log:
        found["request_log"] = {"path": logs.request_log, **bounds}
    return found


def processes(
    where: Place, config: ClusterConfig, layout: Layout, data: Path, store: Path, published: dict[str, Publish]
) -> list[Tree]:
    """What init is to run."""
    text = layouts.dump(layout)
    pki, folder, private = str(where.folder / "pki"), str(where.folder / "kubeconfigs"), str(where.private)
    found: list[Tree] = [
        {
            "name": "apiserver",
            "target": "seaway.cluster.apiserver.main:main",
            "netns": None,
            "fds": ["api-host", *(f"api-{i}" for i in range(len(layout.router)))],
            "args": {
                "layout": text,
                "data": str(data),
                "pki": pki,
                **_logs(config.components.api_server),
                "variables": {
                    "PROXY_MIN_SYNC_PERIOD": f"{config.components.proxy_min_sync_period}s",
                    "PROXY_MODE": config.networking.kube_proxy_mode,
                    "CGROUP": f"/{cgroups.name_of(str(where.folder))}",
                },
            },
        },
        {
            "name": "controllers",
            "target": "seaway.cluster.control:main",
            "netns": None,
            "fds": [],
            "args": {
                "kubeconfigs": folder,
                "ca": f"{pki}/ca.crt",
                "ca_key": f"{pki}/ca.key",
                "max_endpoints_per_slice": config.components.max_endpoints_per_slice,
                "nodeLifecycle": asdict(config.components.node_lifecycle),
            },
        },
    ]
    found.append(
        {
            "name": "cloud",
            "target": "seaway.cluster.cloud.run:main",
            "netns": None,
            "fds": [],
            "args": {"layout": text, "kubeconfig": f"{folder}/cloud", "outside": f"{private}/ns/outside"},
        }
    )
    for node in layout.nodes:
        found.append(
            {
                "name": f"agent-{node.name}",
                "target": "seaway.cluster.node.agent:main",
                "netns": node.netns,
                "fds": [],
                "args": {
                    "layout": text,
                    "node": node.index,
                    "private": private,
                    "pki": pki,
                    "kubeconfig": f"{folder}/node-{node.name}",
                    "images": dict(config.images),
                    "store": str(store),
                    "cache": debian.cache(),
                    "fetcher": str(where.folder / "fetch.sock"),
                    "shutdown": str(where.shutdown(node.name)),
                    "rootless": os.geteuid() != 0,
                    "cgroup": cgroups.name_of(str(where.folder)),
                    "leaseSeconds": config.components.node_lifecycle.lease_duration,
                },
            }
        )
    if published:
        targets = {
            name: {"namespace": p.namespace, "service": p.service, "port": p.port} for name, p in published.items()
        }
        found.append(
            {
                "name": "publish",
                "target": "seaway.cluster.publish:main",
                "netns": layout.nodes[0].netns,
                "fds": sorted(published),
                "args": {"kubeconfig": f"{folder}/publish", "targets": targets},
            }
        )
    return found


def _map_ids(pid: int) -> None:
    """User ids for a new user namespace: ranges from /etc/subuid where there are tools for it, else the one id there is."""
    uid, gid = os.geteuid(), os.getegid()
    maps = []
    for tool, own, table in (("newuidmap", uid, "/etc/subuid"), ("newgidmap", gid, "/etc/subgid")):
        ranges = _subordinate(table)
        if shutil.which(tool) and ranges:
            maps.append([tool, str(pid), "0", str(own), "1", "1", str(ranges[0]), str(ranges[1])])
    if len(maps) == 2 and all(subprocess.run(m, capture_output=True).returncode == 0 for m in maps):
        return
    linux.write(f"/proc/{pid}/setgroups", "deny")
    linux.write(f"/proc/{pid}/uid_map", f"0 {uid} 1")
    linux.write(f"/proc/{pid}/gid_map", f"0 {gid} 1")


def _subordinate(table: str) -> tuple[int, int] | None:
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
        for line in Path(table).read_text().splitlines():
            owner, start, count = line.split(":")
            if owner in (name, str(os.geteuid())):
                return int(start), int(count)
    except (OSError, KeyError, ValueError):
        pass
    return None


def _born(plan: Tree, inherit: list[int], log: Path) -> int:
    """Forks init into namespaces of its own; its pid as the host sees it."""
    plan_read, plan_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    asked_read, asked_write = os.pipe()
    rootless = os.geteuid() != 0
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # init is ours to reap while we stay
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDWR)
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for fd, target in ((null, 0), (out, 1), (out, 2)):
                os.dup2(fd, target)
            os.close(plan_write)
            flags = (
                linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
            )
            if rootless:
                linux.unshare(linux.CLONE_NEWUSER)
                os.write(asked_write, b"map\n")
                if os.read(mapped_read, 1) != b"y":
                    os._exit(1)
                os.setresuid(0, 0, 0)
                os.setresgid(0, 0, 0)
            linux.unshare(flags)
            pid = os.fork()
            if pid:
                os.write(asked_write, f"{pid}\n".encode())
                os._exit(0)
            for fd in [plan_read, *inherit]:
                os.set_inheritable(fd, True)
            program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init.py")
            os.execv(sys.executable, [sys.executable, "-I", "-S", program, str(plan_read)])
        except BaseException as e:
            os.write(asked_write, f"failed {e}\n".encode())
            os._exit(1)
    for fd in (plan_read, mapped_read, asked_write):
        os.close(fd)
    with os.fdopen(plan_write, "wb") as f:
        f.write(json.dumps(plan).encode())
    with os.fdopen(asked_read) as answers:
        line = answers.readline().strip()
        if line == "map":
            _map_ids(child)
            os.write(mapped_write, b"y")
            line = answers.readline().strip()
    os.close(mapped_write)
    os.waitpid(child, 0)
    if not line.isdigit():
        why = line.removeprefix("failed ") or "the kernel refused"
        hint = (
            "an unprivileged user may not make namespaces on this machine; run as root"
            if rootless
            else "root may not make namespaces here"
        )
        raise LaunchError(f"namespaces could not be made: {why} ({hint})")
    return int(line)


def _fetch_socket(where: Place) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with linux.socket_path(str(where.folder / "fetch.sock")) as short:
        sock.bind(short)
    sock.listen(16)
    return sock


def _start_hostside(where: Place, listener: socket.socket, init: int, layout: Layout) -> None:
    """The process on the host's side; it ends with init."""
    source = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostside.py")
    addresses = [str(a) for a in layout.router] if layout.relayed else []
    words = [str(listener.fileno()), str(init), debian.cache(), source, *addresses]
    with open(where.folder / "logs" / "hostside.log", "ab") as log:
        subprocess.Popen(
            [sys.executable, "-I", "-S", program, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            cwd="/",
        )


def up(config: ClusterConfig, data: Path | None, publishes: list[Publish]) -> Place:
    """Starts a cluster and returns when init has its network; the API server is still on its way."""
    where = place.of(config.name)
    if place.is_alive(where.state()):
        raise LaunchError(
            f"a cluster named {config.name!r} is up already; `seaway down --name {config.name}` ends it, --name starts another"
        )
    clean(where)
    try:
        where.make()
    except (place.PlaceError, OSError) as e:
        raise LaunchError(str(e)) from None
    try:
        layout = layouts.plan(config)
    except ValueError as e:
        raise LaunchError(str(e)) from None
    api = _listen(config.networking.api_server_port, "API server")
    sockets = {"api-host": api.fileno()}
    published = {f"publish-{p.host_port}": p for p in publishes}
    opened = {name: _listen(p.host_port, f"--publish {p.host_port}") for name, p in published.items()}
    sockets.update({name: s.fileno() for name, s in opened.items()})
    (where.folder / "logs").mkdir(exist_ok=True)
    kept = data / "pki" if data else where.folder / "keys"
    store = data.absolute() if data else where.private / "data"
    image_store = (data.absolute() if data else where.folder) / "images"
    make_keys(where, kept, layout, api.getsockname()[1])
    ready_read, ready_write = os.pipe()
    plan = {
        "runtime": str(where.folder),
        "private": str(where.private),
        "python": sys.executable,
        "source": os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")),
        "layout": layouts.dump(layout),
        "sockets": sockets,
        "listen": [[f"api-{i}", str(a), API_PORT] for i, a in enumerate(layout.router)],
        "processes": processes(where, config, layout, store, image_store, published),
        "ready": ready_write,
    }
    fetches = _fetch_socket(where)
    pid = _born(plan, [ready_write, *sockets.values()], where.folder / "logs" / "init.log")
    where.write_state(
        {
            "pid": pid,
            "started": place.start_time(pid),
            "name": config.name,
            "nodes": [n.name for n in config.nodes],
            "api": f"https://127.0.0.1:{api.getsockname()[1]}",
            "data": str(store) if data else "",
            "cgroups": cgroups.folders(cgroups.name_of(str(where.folder))),
            "images": str(image_store),
        }
    )
    os.close(ready_write)
    for sock in (api, *opened.values()):
        sock.close()
    with os.fdopen(ready_read) as f:
        said = f.readline().strip() if select.select([f], [], [], 30)[0] else "no answer within 30 s"
    if said != "ok":
        text = (where.folder / "logs" / "init.log").read_text().strip().splitlines()
        down(where)
        raise LaunchError(f"{said or 'init ended at once'}: {text[-1] if text else 'no log'}")
    with fetches:
        _start_hostside(where, fetches, pid, layout)
    return where


def down(where: Place, within: float = 15.0) -> bool:
    """Ends a cluster and removes its folder. False: there was none running."""
    state = where.state()
    running = place.is_alive(state)
    if running:
        fd = os.pidfd_open(state["pid"])
        try:
            if place.is_alive(state):
                signal.pidfd_send_signal(fd, signal.SIGTERM)
                if not select.select([fd], [], [], within / 3)[0]:
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                    select.select([fd], [], [], within)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(state["pid"], os.WNOHANG)
    clean(where)
    return running


def clean(where: Place) -> None:
    """What only a living process could remove: the runtime folder of a cluster that has ended."""
    if where.folder.is_dir() and not place.is_alive(where.state()):
        cgroups.sweep_all((where.state() or {}).get("cgroups") or [])
        shutil.rmtree(where.folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        where.folder.parent.rmdir()  # the folder of all clusters, when this was the last


def ask(where: Place, op: str) -> Tree:
    """One question to init."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(3)
        with linux.socket_path(str(where.control)) as short:
            sock.connect(short)
        sock.sendall(json.dumps({"op": op}).encode() + b"\n")
        found: Tree = json.loads(sock.makefile("rb").readline() or b"{}")
        return found
