"""Everything that a newcomer types, through the unmodified kubectl: the machine's and the newest.

The commands are data: `kubectl/*.txt` holds transcripts, a case after each `###`. `$` runs a command that must succeed, `!`
one that must fail, `%` one that is tried until it says what follows, `-` cleans up whatever happened. The lines after a
command must be in its output in this order, blanks counted as one. `{x}` is a name of the case's own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clusters import ROOT, Cluster, wait_for

HERE = Path(__file__).parent / "kubectl"
CLIENTS = ("machine", "newest")


@dataclass(frozen=True)
class Step:
    how: str
    command: str
    said: tuple[str, ...]


def read(path: Path) -> Iterator[tuple[str, list[Step]]]:
    """(name, steps) of each case of a file."""
    for part in path.read_text().split("### ")[1:]:
        name, _, body = part.partition("\n")
        steps: list[Step] = []
        for line in filter(str.strip, body.splitlines()):
            if re.match(r"[$!%-] (kubectl|[A-Z_]+=)", line):
                steps.append(Step(line[0], line[2:], ()))
            else:
                steps[-1] = Step(steps[-1].how, steps[-1].command, (*steps[-1].said, line))
        yield name.strip(), steps


CASES = {f"{path.stem}: {name}": steps for path in sorted(HERE.glob("*.txt")) for name, steps in read(path)}
MANIFESTS = dict(re.findall(r"^# ([\w-]+)\n(.*?)(?=^---|\Z)", (HERE / "manifests.yaml").read_text(), re.M | re.S))


def blanks(text: str) -> str:
    return re.sub(r"[ \t]+", " ", text)


def missing(said: tuple[str, ...], output: str) -> str:
    """The first of the lines that is not in the output after the ones before it."""
    at, text = 0, blanks(output)
    for line in said:
        found = text.find(blanks(line), at)
        if found < 0:
            return line
        at = found + len(blanks(line))
    return ""


@dataclass
class Shell:
    """kubectl as one client, in a namespace of its own."""

    cluster: Cluster
    path: str
    namespace: str
    words: dict[str, str]

    def fill(self, text: str, name: str) -> str:
        for word, value in {**self.words, "x": name, "ns": self.namespace}.items():
            text = text.replace("{" + word + "}", value)
        return text

    def run(self, command: str, name: str) -> tuple[int, str]:
        command, _, document = command.partition(" < ")
        words = self.split(self.fill(command, name))
        env = dict(self.cluster.env)
        while "=" in words[0]:
            key, _, value = words.pop(0).partition("=")
            env[key] = value
        text = self.fill(MANIFESTS[document.strip()], name) if document else None
        done = subprocess.run([self.path, "-n", self.namespace, *words[1:]], input=text, capture_output=True, text=True, env=env, timeout=90)
        return done.returncode, done.stdout + done.stderr

    @staticmethod
    def split(command: str) -> list[str]:
        """Words as a shell has them, but quotes stay: patches are written as they are."""
        lexer = shlex.shlex(command, posix=True)
        lexer.whitespace_split, lexer.quotes, lexer.commenters = True, "", ""
        return list(lexer)


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What transcripts name and the machine has to hold."""
    folder = tmp_path_factory.mktemp("kubectl")
    (folder / "file").write_text("from a file")
    (folder / "kustomization.yaml").write_text("namePrefix: pre-\nresources: [made.yaml]\n")
    (folder / "made.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\n")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=web", "-days", "2",
         "-keyout", str(folder / "key"), "-out", str(folder / "cert")],
        check=True, capture_output=True,
    )
    return {"file": f"{folder}/file", "cert": f"{folder}/cert", "key": f"{folder}/key", "kustomization": str(folder)}


@pytest.fixture(scope="session", params=CLIENTS)
def shell(shared_cluster: Cluster, words: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Shell]:
    path = shared_cluster.kubectl_path if request.param == "machine" else str(ROOT / ".venv" / "bin" / "kubectl-newest")
    assert os.path.exists(path), f"{path} is not there: tools/setup dev brings it"
    namespace = f"typed-{request.param}"
    shared_cluster.kubectl("create", "namespace", namespace)
    node = [n["metadata"]["name"] for n in shared_cluster.get("nodes")["items"]][-1]
    yield Shell(shared_cluster, path, namespace, {**words, "node": node})
    shared_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("case", CASES)
def test_a_command_does_what_it_does_everywhere(shell: Shell, case: str) -> None:
    name = "t" + re.sub(r"[^a-z0-9]+", "-", case)[:30].strip("-")
    said: list[str] = []
    try:
        for step in CASES[case]:
            if step.how == "-":
                continue
            wanted = tuple(shell.fill(line, name) for line in step.said)

            def once(step: Step = step, wanted: tuple[str, ...] = wanted) -> bool:
                code, output = shell.run(step.command, name)
                said.append(f"$ {shell.fill(step.command, name)}\n{output}[{code}]")
                return (code != 0) == (step.how == "!") and not missing(wanted, output)

            if step.how == "%":
                wait_for(once, 30, step.command)
            else:
                assert once(), "\n".join([*said[-4:], "wanted:", *wanted])
    finally:
        for step in CASES[case]:
            if step.how == "-":
                shell.run(step.command, name)


def test_get_watches_and_says_what_changes(shell: Shell) -> None:
    command = [shell.path, "-n", shell.namespace, "get", "configmap", "-l", "watched=yes", "-w", "--output-watch-events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=shell.cluster.env) as watching:
        assert watching.stdout
        try:
            shell.run("kubectl create configmap watched --from-literal=a=b", "w")
            shell.run("kubectl label configmap watched watched=yes", "w")
            assert watching.stdout.readline().split()[:2] == ["EVENT", "NAME"]
            assert watching.stdout.readline().split()[:2] == ["ADDED", "watched"]
            shell.run("kubectl annotate configmap watched note=x", "w")
            assert watching.stdout.readline().split()[:2] == ["MODIFIED", "watched"]
            shell.run("kubectl delete configmap watched", "w")
            assert watching.stdout.readline().split()[:2] == ["DELETED", "watched"]
        finally:
            watching.kill()


def test_proxy_passes_the_api_through(shell: Shell) -> None:
    import urllib.request

    with subprocess.Popen([shell.path, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True, env=shell.cluster.env) as proxy:
        assert proxy.stdout
        try:
            address = re.search(r"127\.0\.0\.1:\d+", proxy.stdout.readline())
            assert address
            with urllib.request.urlopen(f"http://{address[0]}/api/v1/namespaces/{shell.namespace}/configmaps") as answer:
                assert json.load(answer)["kind"] == "ConfigMapList"
        finally:
            proxy.kill()
