"""The applications of docs/examples, each applied as written and asked what its own head says (`# $ command`, `# = answer`)."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import CLIENT, NUMBERS, ROOT, Cluster, wait_for

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))


def asked(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text().splitlines()
    return [(a[4:], b[4:]) for a, b in itertools.pairwise(lines) if a.startswith("# $ ") and b.startswith("# = ")]


@pytest.fixture(scope="module")
def applied(shared_cluster: Cluster) -> Iterator[Cluster]:
    """All of them in one namespace, so that they start beside each other."""
    name = f"examples-{next(NUMBERS)}"
    shared_cluster.namespace = "default"
    shared_cluster.kubectl("create", "namespace", name)
    shared_cluster.namespace = name
    try:
        shared_cluster.apply(CLIENT)
        shared_cluster.kubectl("apply", "-f", str(ROOT / "docs" / "examples"))
        shared_cluster.ready("client")
        yield shared_cluster
    finally:
        shared_cluster.namespace = "default"
        shared_cluster.kubectl("delete", "namespace", name, "--wait=false")


# The CronJob's minute passes while the others are asked.
@pytest.mark.parametrize("path", sorted(EXAMPLES, key=lambda p: p.stem in ("cronjob", "probes")), ids=lambda p: p.stem)
def test_an_example_runs_as_written(applied: Cluster, path: Path) -> None:
    questions = asked(path)
    assert questions
    for command, want in questions:
        words = shlex.split(command)
        said = ""

        def answers(words: list[str] = words, want: str = want) -> bool:
            nonlocal said
            if words[0] == "curl":
                said = applied.exec("client", *words, "-m", "5", check=False)
            else:
                assert words[0] == "kubectl"
                said = applied.kubectl(*words[1:], check=False)
            return re.search(want, said) is not None

        try:
            wait_for(answers, within=100)
        except AssertionError:
            pods = applied.kubectl("get", "pods", check=False)
            raise AssertionError(f"{path.name}: {command}\nwanted {want!r}, got {said!r}\n{pods}") from None


def test_a_stand_in_with_configuration_that_it_would_ignore_fails_with_the_reason(cluster: Cluster) -> None:
    cluster.kubectl("run", "who", "--image=traefik/whoami", "--", "--cert=/tls.crt")
    cluster.kubectl("run", "bin", "--image=kennethreitz/httpbin", "--env=GUNICORN_CMD_ARGS=--workers=4")

    def ended(name: str) -> str:
        status = cluster.get("pod", name)["status"].get("containerStatuses", [{}])[0]
        state = {**status.get("lastState", {}), **status.get("state", {})}.get("terminated") or status.get("lastState", {}).get("terminated")
        return f"{state['exitCode']} {state.get('message', '')}" if state else ""

    for name, word in (("who", "cert"), ("bin", "GUNICORN_CMD_ARGS")):
        said = wait_for(lambda name=name: ended(name))
        assert said.startswith("2 ") and word in said and "seaway image load" in said
