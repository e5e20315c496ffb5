"""The API server as cases need it: apply, patch, delete and get of trees, from many threads."""

from __future__ import annotations

import base64
import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import urllib3
import yaml
from casefile import KINDS

Tree = dict[str, Any]


class Refused(Exception):
    """The server does not take it."""


class Api:
    """One cluster's API server, as its kubeconfig says."""

    def __init__(self, kubeconfig: Path) -> None:
        tree = yaml.load(kubeconfig.read_text(), Loader=yaml.CSafeLoader)
        user, cluster = tree["users"][0]["user"], tree["clusters"][0]["cluster"]
        self.server = cluster["server"]
        self._folder = tempfile.TemporaryDirectory(prefix="cases")
        files = {}
        for name, text in (("ca", cluster["certificate-authority-data"]), ("crt", user["client-certificate-data"]), ("key", user["client-key-data"])):
            files[name] = str(Path(self._folder.name, name))
            Path(files[name]).write_bytes(base64.b64decode(text))
        self._pool = urllib3.PoolManager(maxsize=16, block=True, ca_certs=files["ca"], cert_file=files["crt"], key_file=files["key"], retries=False)
        self._lock = threading.Lock()

    def close(self) -> None:
        self._pool.clear()
        self._folder.cleanup()

    def _ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, f"{self.server}/{path}", body=data, headers={"Content-Type": kind}, timeout=30)
        return answer.status, answer.data

    def _path(self, tree: Tree) -> str:
        prefix, resource, namespaced = KINDS[tree["kind"]]
        version = tree.get("apiVersion")
        if version:
            prefix = f"apis/{version}" if "/" in version else f"api/{version}"
        space = f"/namespaces/{tree['metadata']['namespace']}" if namespaced else ""
        return f"{prefix}{space}/{resource}/{tree['metadata']['name']}"

    def apply(self, tree: Tree) -> None:
        status, data = self._ask("PATCH", f"{self._path(tree)}?fieldManager=cases&force=true", tree, "application/apply-patch+yaml")
        if status >= 300:
            raise Refused(f"{tree['kind']} {tree['metadata']['name']}: {json.loads(data).get('message')}")

    def _named(self, what: str, namespace: str) -> Tree:
        kind, _, name = what.partition("/")
        space, _, name = name.rpartition("/")
        name = name.replace("#", "/")  # its status
        return {"kind": kind, "metadata": {"name": name, "namespace": space or namespace}}

    def patch(self, what: str, namespace: str, patch: Tree) -> None:
        status, data = self._ask("PATCH", self._path(self._named(what, namespace)), patch, "application/merge-patch+json")
        if status >= 300:
            raise Refused(f"{what}: {json.loads(data).get('message')}")

    def delete(self, what: str, namespace: str = "") -> None:
        status, data = self._ask("DELETE", self._path(self._named(what, namespace)))
        if status >= 300 and status != 404:
            raise Refused(f"{what}: {json.loads(data).get('message')}")

    def get(self, what: str, namespace: str = "") -> Tree | None:
        status, data = self._ask("GET", self._path(self._named(what, namespace)))
        if status == 404:
            return None
        found: Tree = json.loads(data)
        if status >= 300:
            raise Refused(f"{what}: {found.get('message')}")
        return found

    def events(self, name: str, namespace: str) -> list[Tree]:
        """What was told of an object."""
        path = f"api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name%3D{name}"
        found: list[Tree] = json.loads(self._ask("GET", path)[1])["items"]
        return found

    def log(self, namespace: str, pod: str, container: str) -> str:
        return self._ask("GET", f"api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}")[1].decode("utf-8", "replace")
