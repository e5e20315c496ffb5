"""A cluster as a user has it: started, asked and ended through the program and kubectl."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEAWAY = str(ROOT / ".venv" / "bin" / "seaway")
NUMBERS = itertools.count(1)
CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: client, image: curlimages/curl, command: [sleep, infinity]}
"""


LOADER = """
apiVersion: v1
kind: Pod
metadata: {{name: loader}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: curlimages/curl
    command: [sh, -c, "while :; do curl -s -o /dev/null -m 3 -w '%{{http_code}}\\n' http://{address} >> /tmp/out; done"]
"""
UID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SPARED = {"init", "shim", "web", "sh", "sleep", "curl", "pause"}  # processes that a kill test leaves alone


def web(replicas: int = 2, name: str = "web", extra: str = "") -> str:
    """A Deployment of whoami behind a Service of the same name."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: traefik/whoami
        ports: [{{name: http, containerPort: 80}}]
        readinessProbe: {{httpGet: {{path: /health, port: http}}, periodSeconds: 2}}
        lifecycle: {{preStop: {{sleep: {{seconds: 1}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: http}}]{extra}}}
"""


STARTER = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: starter}}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "echo $UID_OF_POD >> /starts/all; exec sleep infinity"]
    env: [{{name: UID_OF_POD, valueFrom: {{fieldRef: {{fieldPath: metadata.uid}}}}}}]
    volumeMounts: [{{name: starts, mountPath: /starts}}]
  volumes: [{{name: starts, hostPath: {{path: /var/starts}}}}]
"""


class Cluster:
    """One embedded cluster with a runtime folder of its own."""

    def __init__(self, *args: str, name: str = "", data: str = "") -> None:
        self.name = name or f"t{os.getpid()}-{next(NUMBERS)}"
        self.args = [*args, *(["--data", data] if data else [])]
        self.runtime = tempfile.mkdtemp(prefix="sw", dir="/tmp")
        self.env = {**os.environ, "SEAWAY_RUNTIME": self.runtime}
        self.folder = Path(self.runtime, self.name)
        self.env["KUBECONFIG"] = str(self.folder / "kubeconfig")
        self.kubectl_path = shutil.which("kubectl") or str(ROOT / ".venv" / "bin" / "kubectl")
        self.namespace = "default"

    def __enter__(self) -> Cluster:
        self.said = self.up()
        return self

    def prefix(self, command: str) -> list[str]:
        """What a command of the program is run through."""
        return []

    def __exit__(self, *exc: object) -> None:
        self.down()
        shutil.rmtree(self.runtime, ignore_errors=True)

    def seaway(self, *args: str, check: bool = True, within: float = 120, dns: bool = True) -> subprocess.CompletedProcess[str]:
        """`dns` False: the arguments say whom the nodes ask. No test asks the machine's own name servers."""
        if args[0] == "up" and dns and "--dns-upstream" not in args:
            args = (*args, "--dns-upstream", "none")
        done = subprocess.run([*self.prefix(args[0]), SEAWAY, *args], capture_output=True, text=True, env=self.env, timeout=within)
        assert not check or done.returncode == 0, f"seaway {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def up(self, *more: str) -> str:
        return self.seaway("up", "--name", self.name, "--detach", *self.args, *more).stdout

    def down(self) -> str:
        return self.seaway("down", "--name", self.name).stdout

    def kubectl(self, *args: str, text: str | None = None, check: bool = True, within: float = 90) -> str:
        command = [self.kubectl_path, "-n", self.namespace, *args]
        done = subprocess.run(command, capture_output=True, text=True, env=self.env, input=text, timeout=within)
        assert not check or done.returncode == 0, f"kubectl {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr

    def apply(self, text: str) -> str:
        return self.kubectl("apply", "-f", "-", text=text)

    def get(self, *args: str) -> Any:
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def rollout(self, what: str) -> None:
        self.kubectl("rollout", "status", what, "--timeout=60s")

    def ready(self, pod: str) -> None:
        self.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")

    def exec(self, pod: str, *command: str, check: bool = True, text: str | None = None) -> str:
        flags = ["-i"] if text is not None else []
        return self.kubectl("exec", *flags, pod, "--", *command, check=check, text=text)

    def curl(self, url: str, *args: str, pod: str = "client", check: bool = True) -> str:
        return self.exec(pod, "curl", "-sS", "-m", "5", *args, url, check=check)

    def outside(self, *command: str, origin: str = "outside", check: bool = True) -> str:
        return self.seaway("outside", "--name", self.name, "--from", origin, "--", *command, check=check).stdout

    def ask_for_shim(self, node: str, netns: str, uid: str) -> None:
        """Asks for a shim, as the agent of a node does for a pod."""
        root = f"/proc/{self.pids('init')[0]}/root{self.folder}/private"
        folder = f"{self.folder}/private/nodes/{node}/pods/{uid}"
        args = {"folder": folder, "uid": uid, "namespace": "default", "name": "asked", "hostNetwork": False, "hostname": "asked"}
        request = {"name": "shim", "target": "seaway.cluster.node.shim:main", "netns": netns, "fds": [], "args": args,
                   "log": f"{folder}/shim.log"}
        inside = os.open(root, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                sock.connect(f"/proc/self/fd/{inside}/zygote.sock")
                sock.send(json.dumps(request).encode())
                assert json.loads(sock.recv(4096))["pid"]
        finally:
            os.close(inside)

    def processes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.seaway("status", "--name", self.name, "-o", "json").stdout)[0]["processes"]
        return found

    def pids(self, name: str) -> list[int]:
        return [p["pid"] for p in self.processes() if p["name"] == name]


def left(cluster: Cluster) -> str:
    """The pods and the shims that there are, with the folder that each shim speaks into: for a failure's message."""
    shims = []
    for pid in cluster.pids("shim"):
        try:
            shims.append(f"shim {pid}: {os.readlink(f'/proc/{pid}/fd/1')}")
        except OSError as e:
            shims.append(f"shim {pid}: {e}")
    pods = cluster.kubectl("get", "pods", "-A", "-o", "custom-columns=N:.metadata.namespace,P:.metadata.name,"
                           "UID:.metadata.uid,PHASE:.status.phase,DELETED:.metadata.deletionTimestamp", check=False)
    return "\n".join([pods, *shims])


def starts(cluster: Cluster, pods: list[dict[str, Any]]) -> list[str]:
    """What every start of a STARTER wrote on its node: the pod's uid, once a start."""
    readers = {p["spec"]["nodeName"]: p["metadata"]["name"] for p in pods}
    found: list[str] = []
    for name in readers.values():  # a node answers when its agent is back; until then kubectl has words of its own

        def read(name: str = name) -> list[str]:
            lines = cluster.exec(name, "cat", "/starts/all", check=False).split()
            return lines if all(UID.fullmatch(line) for line in lines) else []

        found += wait_for(read)
    return found


def wait_for(check: Callable[[], Any], within: float = 60.0, what: str | Callable[[], str] = "") -> Any:
    """Polls until `check` gives something true, and returns it. `what`: what is waited for, or tells what is there instead."""
    end = time.monotonic() + within
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"not within {within} s: {what() if callable(what) else what or check}"
        time.sleep(0.1)
