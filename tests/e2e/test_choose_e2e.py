"""docs/choose.md: the commands that it begins with, then every example of docs/examples/choose, applied as written and asked what
its own head says (`# $ command`, `# = answer`), through real Envoys."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import ROOT, SEAWAY, Cluster, wait_for

FOLDER = ROOT / "docs" / "examples" / "choose"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))
PAGE = (ROOT / "docs" / "choose.md").read_text()
FIRST = re.search(r"```sh\n(.*?)```", PAGE, re.S)
# As the page has it, and this cluster's name for `seaway outside`.
PRELUDE = """curl() {{ kubectl exec client -c curl -- curl -m 5 "$@"; }}
seaway() {{ command {seaway} "$1" --name {name} "${{@:2}}"; }}
"""


def asked(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text().splitlines()
    return [(a[4:], b[4:]) for a, b in itertools.pairwise(lines) if a.startswith("# $ ") and b.startswith("# = ")]


ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| \[([\w-]+)\]\(examples/choose/\5\.yaml\) \|$", re.M)


def test_each_feature_of_the_page_has_an_example_that_says_it_so() -> None:
    rows = ROW.findall(PAGE)
    assert {stem for *_, stem in rows} == {p.stem for p in EXAMPLES} - {"backends", "eks"}
    for feature, *ways, stem in rows:
        text = (FOLDER / f"{stem}.yaml").read_text() + (FOLDER / "backends.yaml").read_text()
        for word in re.findall(r"`([^`]+)`", " ".join(ways)):
            assert re.search(rf"\b{re.escape(word)}\b", text), f"{feature}: {stem}.yaml has no {word}"


def test_what_eks_is_told_stands_in_its_example() -> None:
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]*) \|$", PAGE.partition("## On EKS")[2], re.M)
    words = [word for said in rows for word in re.findall(r"`([^`]+)`", said)]
    assert len(words) > 15
    text = (FOLDER / "eks.yaml").read_text()
    assert not [word for word in words if not re.search(rf"\b{re.escape(word)}\b", text)]


class Shell:
    """A user's shell, with a kubeconfig of its own."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.prelude = PRELUDE.format(seaway=SEAWAY, name=cluster.name)
        config = folder / "kubeconfig"
        shutil.copy(cluster.env["KUBECONFIG"], config)
        programs = f"{Path(cluster.kubectl_path).parent}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
        self.env = {**cluster.env, "KUBECONFIG": str(config), "PATH": programs}
        self.folder = folder

    def run(self, line: str, check: bool = True) -> str:
        done = subprocess.run(["bash", "-c", self.prelude + line], capture_output=True, text=True, env=self.env, cwd=self.folder, timeout=60)
        assert not check or done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr


@pytest.fixture(scope="module")
def shell(shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The page's first commands: all examples in one namespace, so that they start beside each other."""
    assert FIRST
    folder = tmp_path_factory.mktemp("choose")
    (folder / "docs").symlink_to(ROOT / "docs")
    shared_cluster.namespace = "default"
    shared_cluster.kubectl("wait", "--for=delete", "namespace/choose", "--timeout=60s")  # of an earlier try
    try:
        found = Shell(shared_cluster, folder)
        found.run("set -e\n" + "\n".join(line for line in FIRST[1].splitlines() if not line.startswith("alias ")))
        yield found
    finally:
        shared_cluster.namespace = "default"
        shared_cluster.kubectl("-n", "seaway-system", "delete", "configmap", "tcp-services", "udp-services", "--ignore-not-found")
        shared_cluster.kubectl("delete", "namespace", "choose", "--wait=false", "--ignore-not-found")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_what_the_page_says_is_what_an_example_shows(shell: Shell, path: Path) -> None:
    questions = asked(path)
    assert questions
    for command, want in questions:
        told = [""]

        def answers(command: str = command, want: str = want, told: list[str] = told) -> bool:
            told[0] = shell.run(command, check=False)
            return re.search(want, told[0]) is not None

        wait_for(answers, 60, lambda command=command, want=want, told=told: f"{command}\nwanted {want!r}, got {told[0]!r}")
