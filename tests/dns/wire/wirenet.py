"""A network namespace with an API server and DNS programs in it: what the tests of the wire run in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "contract"))  # by hand too: python tests/dns/wire/wireplay.py

from server import Server

Tree = dict[str, Any]
PATHS = {
    "Namespace": "/api/v1/namespaces", "Service": "/api/v1/namespaces/{}/services", "Pod": "/api/v1/namespaces/{}/pods",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
}
WORDS = {"service": "Service", "slice": "EndpointSlice", "pod": "Pod", "namespace": "Namespace"}
BASE = """errors
    health 127.0.0.1:$health {
        lameduck 0s
    }
    ready 127.0.0.1:$ready"""


def sibling(script: str, words: list[str], timeout: float = 150) -> Iterator[str]:
    """The lines that `script` prints when it runs in a namespace of its own, as this user or as root of a new one."""
    flags = ["--net", "--pid", "--fork", "--mount-proc", "--kill-child"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        environment = {**os.environ, "SEAWAY_WIRE": "inside", "SEAWAY_WIRE_FOLDER": folder, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        argv = ["setpriv", "--pdeathsig", "KILL", "unshare", *flags, sys.executable, script, *words]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
        end = time.monotonic() + timeout
        assert process.stdout
        try:
            for line in process.stdout:
                yield line
                assert time.monotonic() < end, "takes too long"
            assert process.wait() == 0, f"{script} failed"
        finally:
            process.kill()
            process.wait()


def inside() -> None:
    """The loopback interface comes up, with its addresses of both families."""
    lines = ["link set lo up", *(f"address add {a}{i} dev lo" for i in range(6, 10) for a in ("127.0.0.", "fd00:99::"))]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


class Api(Server):
    """The API server with `put`: create or replace."""

    def open(self) -> Api:
        self.start().wait()
        self._connection = self.connect()
        return self

    def _call(self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None, media: str = "application/json") -> tuple[int, Any]:
        try:
            return self.request(method, path, body, query, media, connection=self._connection)
        except (ConnectionError, OSError):
            self._connection = self.connect()
            return self.request(method, path, body, query, media, connection=self._connection)

    def put(self, tree: Tree) -> None:
        meta = tree["metadata"]
        path = PATHS[tree["kind"]].format(meta.get("namespace", ""))
        if tree["kind"] == "Pod":  # no controller here that would make the account which every pod has
            self._call("POST", f"{path.rpartition('/')[0]}/serviceaccounts", {"metadata": {"name": "default"}})
        status, answer = self._call("POST", path, tree)
        # An address that is taken by the Service itself is refused before its name is.
        if status == 409 or (status == 422 and "already allocated" in answer["message"]):
            status, answer = self._replace(f"{path}/{meta['name']}", tree)
        assert status in (200, 201), (tree, answer)
        if tree["kind"] == "Pod" and "status" in tree:
            status, answer = self._call("PATCH", f"{path}/{meta['name']}/status", {"status": tree["status"]}, media="application/merge-patch+json")
            assert status == 200, answer

    def _replace(self, path: str, tree: Tree) -> tuple[int, Any]:
        old = self._call("GET", path)[1]
        if tree["kind"] == "Service" and old["spec"].get("clusterIPs") != tree["spec"].get("clusterIPs") and old["spec"]["type"] != "ExternalName":
            self._call("DELETE", path)  # an address is never changed in place
            return self._call("POST", path.rpartition("/")[0], tree)
        if tree["kind"] == "Namespace":
            return self._call("PATCH", path, {"metadata": {"labels": tree["metadata"]["labels"]}}, media="application/merge-patch+json") if tree["metadata"].get("labels") else (200, old)
        return self._call("PUT", path, {**tree, "metadata": {**tree["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}})

    def delete(self, row: Tree, namespace: str) -> None:
        """`{service: web}`, `{namespace: other}`."""
        for word, kind in WORDS.items():
            if word in row and not (word == "namespace" and len(row) > 1):
                path = f"{PATHS[kind].format(row.get('namespace', namespace))}/{row[word]}"
                status, answer = self._call("DELETE", path, query={"gracePeriodSeconds": "0"} if kind == "Pod" else None)
                assert status == 200, answer
                if kind == "Namespace":  # no controller here that would end what is in it
                    self._call("PUT", f"{path}/finalize", {**answer, "spec": {"finalizers": []}})
                return
        raise AssertionError(row)


def api_server(folder: Path) -> Api:
    return Api(folder).open()


class Program:
    """`seaway dns` as a process."""

    def __init__(self, folder: Path, kubeconfig: Path, corefile: str, files: dict[str, str], words: dict[str, str], port: int, ports: Iterator[int]) -> None:
        folder.mkdir()
        self.port, self.ready, self.metrics, self.tls, self.log = port, next(ports), next(ports), next(ports), folder / "log"
        self._folder = folder
        self._words = {
            **words, "$base": BASE, "$port": str(port), "$ready": str(self.ready), "$health": str(next(ports)), "$metrics": str(self.metrics),
            "$tls": str(self.tls), "$folder": str(folder),
        }
        for name, text in {**files, "Corefile": corefile}.items():
            self.write(name, text)
        argv = [sys.executable, "-c", "from seaway.cli.main import main; main()", "dns", "--kubeconfig", str(kubeconfig), "--corefile", str(folder / "Corefile")]
        out = open(self.log, "ab")
        self.process = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        out.close()

    def write(self, name: str, text: str) -> None:
        """A file beside the Corefile, or itself."""
        for old, new in self._words.items():
            text = text.replace(old, new)
        (self._folder / name).write_text(text)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, within: float = 20) -> str:
        """Until it is ready; what keeps it from it, else."""
        end = time.monotonic() + within
        while time.monotonic() < end and self.alive:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ready}/ready", timeout=1) as answer:
                    if answer.status == 200:
                        return ""
            except (urllib.error.URLError, OSError):
                time.sleep(0.03)
        return f"not ready: {self.log.read_text()[-1500:]}"

    def pids(self) -> list[int]:
        """Its own and those of its children."""
        found = [self.process.pid]
        for pid in found:
            try:
                found += [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            except OSError:
                continue
        return found

    def memory(self) -> int:
        """KiB of its processes, shared pages by their share (PSS)."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total

    def trouble(self) -> str:
        """What no program may write: a traceback."""
        text = self.log.read_text()
        return text[text.find("Traceback") :][:5000] if "Traceback" in text else ""

    def close(self) -> None:
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
