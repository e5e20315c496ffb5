"""The commands, as people type them: up with all its options, down, env, status, outside, demo."""

from __future__ import annotations

import importlib
import json
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from clusters import CLIENT, ROOT, SEAWAY, Cluster, wait_for, web

from seaway.cli.main import COMMANDS

KIND_FILE = """
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: {name}
featureGates: {{SomeGate: true}}
nodes:
- role: control-plane
- role: worker
  labels: {{zone: a}}
  taints: [{{key: dedicated, value: x, effect: NoSchedule}}]
networking: {{ipFamily: ipv4}}
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_up_reads_a_configuration_file_and_names_what_has_no_meaning(tmp_path: Path) -> None:
    cluster = Cluster()
    path = tmp_path / "cluster.yaml"
    path.write_text(KIND_FILE.format(name=cluster.name))
    try:
        logs = ("--audit-log", str(tmp_path / "audit.log"), "--request-log", str(tmp_path / "requests.log"))
        said = cluster.seaway("up", "--config", str(path), "--detach", *logs).stdout
        assert "featureGates has no meaning here" in said
        nodes = {n["metadata"]["name"]: n for n in cluster.get("nodes")["items"]}
        worker = nodes[f"{cluster.name}-worker"]
        assert worker["metadata"]["labels"]["zone"] == "a"
        assert worker["spec"]["taints"] == [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]
        assert len([a for a in worker["status"]["addresses"] if a["type"] == "InternalIP"]) == 1
        assert cluster.get("pods", "-A")["items"]
        events = wait_for(lambda: [
            e for line in (tmp_path / "audit.log").read_text().splitlines()
            if (e := json.loads(line))["verb"] == "list" and e["requestURI"].startswith("/api/v1/pods") and e["userAgent"].startswith("kubectl")])
        assert events[0]["responseStatus"]["code"] == 200 and events[0]["user"]["groups"]
        assert 'userAgent="kubectl' in (tmp_path / "requests.log").read_text()
        assert 'apiserver_request_total{verb="LIST"' in cluster.kubectl("get", "--raw", "/metrics")
        assert cluster.kubectl("get", "--raw", "/readyz?verbose").endswith("readyz check passed\n")
    finally:
        cluster.__exit__()


CUSTOM = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.up.example.com}
spec:
  group: up.example.com
  scope: Namespaced
  names: {plural: boats, kind: Boat}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {name: {type: string}}}
---
apiVersion: up.example.com/v1
kind: Boat
metadata: {name: b}
spec: {name: b}
"""


def test_up_applies_a_manifest_publishes_a_service_and_stands_beside_another(tmp_path: Path) -> None:
    port = free_port()
    manifest = tmp_path / "web.yaml"
    manifest.write_text(f"{web(1)}\n---\n{CUSTOM}")
    with Cluster() as other, Cluster("-f", str(manifest), "--publish", f"{port}:default/web:80") as cluster:
        cluster.rollout("deployment/web")
        assert cluster.get("boats.up.example.com", "b")["spec"] == {"name": "b"}

        def answered() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=3) as answer:
                    return b"Hostname: web-" in answer.read()
            except OSError:
                return False

        wait_for(answered)
        assert "No resources found" in other.kubectl("get", "deployments", check=False)


def test_data_continues_where_it_was(tmp_path: Path) -> None:
    cluster = Cluster(data=str(tmp_path / "data"))
    try:
        cluster.up()
        cluster.apply(web(2) + "---" + CLIENT)
        cluster.rollout("deployment/web")
        before = cluster.get("service", "web")
        cluster.down()
        cluster.up()
        assert cluster.get("service", "web")["spec"]["clusterIP"] == before["spec"]["clusterIP"]
        assert cluster.get("service", "web")["metadata"]["uid"] == before["metadata"]["uid"]
        wait_for(lambda: "Hostname: web-" in cluster.curl("http://web", check=False))
    finally:
        cluster.__exit__()


def test_env_and_status_speak_of_the_cluster(shared_cluster: Cluster) -> None:
    line = shared_cluster.seaway("env", "--name", shared_cluster.name).stdout.strip()
    assert line == f"export KUBECONFIG={shared_cluster.folder}/kubeconfig"
    names = {p["name"] for p in shared_cluster.processes()}
    assert {"init", "zygote", "apiserver", "controllers", "shim", "kube-proxy", "dns"} <= names
    assert "API server https://127.0.0.1:" in shared_cluster.seaway("status").stdout


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["frobnicate"], 2, "unknown command 'frobnicate'"),
        (["up", "--nodes", "0", "--name", "Bad_Name"], 1, "name: 'Bad_Name' must be a DNS label"),
        (["up", "--config", "/no/such/file"], 1, "--config /no/such/file"),
        (["up", "--publish", "nonsense"], 1, "must be HOSTPORT:NAMESPACE/SERVICE:PORT"),
        (["env", "--name", "none-such"], 1, "no cluster named none-such is up"),
        (["status", "--name", "none-such"], 1, "no cluster is up"),
        (["outside", "--name", "none-such", "--", "true"], 1, "no cluster named none-such is up"),
        (["node", "start", "n", "--name", "none-such"], 1, "no cluster named none-such is up"),
    ],
)
def test_a_wrong_command_says_what_is_wrong_in_a_line(args: list[str], code: int, said: str, tmp_path: Path) -> None:
    env = {"SEAWAY_RUNTIME": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    done = subprocess.run([SEAWAY, *args], capture_output=True, text=True, env=env)
    assert done.returncode == code
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_second_cluster_of_the_same_name_is_refused(shared_cluster: Cluster) -> None:
    done = shared_cluster.seaway("up", "--name", shared_cluster.name, "--detach", check=False)
    assert done.returncode == 1 and "is up already" in done.stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_of_every_command_is_explained(command: str) -> None:
    importlib.import_module(COMMANDS[command][0])
    text = subprocess.run([SEAWAY, command, "--help"], capture_output=True, text=True, check=True).stdout
    options = text[text.index("options:"):] if "options:" in text else text
    for line in re.split(r"\n  (?=-)", options)[1:]:
        assert len(line.split("\n\n")[0].split()) > 2, f"{command}: {line!r} has no explanation"


def _blocks() -> list[str]:
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.S):
            found += [line.split("#")[0].strip() for line in block.splitlines()]
    return [line for line in found if line]


def test_the_readmes_commands_work_as_written() -> None:
    """The cluster section of the README, line by line, in a shell of its own."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"## A cluster of your own\n\n```sh\n(.*?)```", text, re.S)
    assert block
    cluster = Cluster()
    lines = block[1].strip().splitlines()
    waits = {"kubectl run client": "kubectl wait --for=condition=Ready pod/client --timeout=30s && kubectl rollout status deployment/web --timeout=30s"}
    script = ["set -e"]
    for line in lines:
        script.append(line)
        script += [wait for start, wait in waits.items() if line.startswith(start)]
    try:
        done = subprocess.run(["bash", "-c", "\n".join(script)], capture_output=True, text=True, env=cluster.env, cwd=ROOT, timeout=120)
    finally:
        cluster.seaway("down")
        cluster.__exit__()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Hostname: web-") == 2


def test_every_command_in_the_documents_is_one() -> None:
    for line in _blocks():
        words = line.split()
        if words[0].endswith("seaway") and len(words) > 1:
            assert words[1] in COMMANDS, line
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), line
        else:
            assert words[0] in ("kubectl", "eval", "openssl", "alias"), line


def test_the_demo_holds() -> None:
    cluster = Cluster()
    try:
        done = cluster.seaway("demo", within=150)
        assert "All of it held" in done.stdout and " 0 failed" in done.stdout
        assert json.loads(cluster.seaway("status", "-o", "json", check=False).stdout or "[]") == []
    finally:
        cluster.__exit__()


def test_the_program_says_its_version() -> None:
    from seaway import __version__

    assert subprocess.run([SEAWAY, "--version"], capture_output=True, text=True).stdout.strip() == f"seaway {__version__}"
    assert sys.version_info >= (3, 11)
