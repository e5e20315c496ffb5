"""Starting and ending a cluster from the host: loopback sockets, keys, the plan, and the namespaces that init is born into."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from seaway.cluster import layout as layouts
from seaway.cluster import place
from seaway.cluster.birth import BirthError, born
from seaway.cluster.config import ClusterConfig
from seaway.cluster.fabric import linux
from seaway.cluster.keys import make_keys
from seaway.cluster.layout import API_PORT, Layout
from seaway.cluster.node import cgroups, debian
from seaway.cluster.place import Place
from seaway.cluster.processes import Publish, processes

Tree = dict[str, Any]


class LaunchError(Exception):
    """A cluster that could not be started; the text says why and what to do."""


def _listen(port: int, what: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError as e:
        raise LaunchError(f"{what}: 127.0.0.1:{port} cannot be opened: {e.strerror}; choose another port") from None
    sock.listen(4096)
    return sock


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
    try:
        pid = born(plan, [ready_write, *sockets.values()], where.folder / "logs" / "init.log")
    except BirthError as e:
        raise LaunchError(str(e)) from None
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
