"""A webhook's server for tests: TLS on loopback, with an answer a path."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from seaway.pki.authority import Authority

Tree = dict[str, Any]
# What a path answers: from the request of a review to its response, or to (status, body) as they are.
Answer = Callable[[Tree], Tree | tuple[int, bytes]]


def patched(*operations: Tree) -> Answer:
    return lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


class HookServer:
    """`asked` holds (path, review) of each call; `on(path, answer)` sets what a path says, which is else `allowed`."""

    def __init__(self, folder: Path, hosts: tuple[str, ...] = ("127.0.0.1",)) -> None:
        authority = Authority.new("webhooks", time.time())
        pair = authority.issue("webhook", time.time(), hosts=hosts, server=True)
        self.ca = base64.b64encode(authority.pair.certificate).decode()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hook.pem").write_bytes(pair.certificate + pair.key)
        self.asked: list[tuple[str, Tree]] = []
        self.answers: dict[str, Answer] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path, _, query = self.path.partition("?")
                outer.asked.append((path, {**review, "query": query, "host": self.headers["Host"]}))
                found = outer.answers.get(path, lambda request: {"allowed": True})(review["request"])
                if isinstance(found, tuple):
                    status, body = found
                else:
                    response = {"uid": review["request"]["uid"], **found}
                    status, body = 200, json.dumps({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return None

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "hook.pem")
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def on(self, path: str, answer: Answer) -> None:
        self.answers[path] = answer

    def client(self, path: str) -> Tree:
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.ca}

    def hook(self, path: str, ns: str = "", **more: Any) -> Tree:
        """A webhook of a configuration that asks this server, about ConfigMaps unless `more` says otherwise."""
        rules = [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]
        chosen = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}} if ns else {}
        found = {"name": f"{path.strip('/')}.hooks.example.com", "clientConfig": self.client(path), "rules": rules, "sideEffects": "None",
                 "admissionReviewVersions": ["v1"], **chosen, **more}
        return {k: v for k, v in found.items() if v is not None}

    def calls(self, path: str) -> list[Tree]:
        return [review["request"] for at, review in self.asked if at == path]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
