"""All cases of tests/gateway (Gateway API, Ingress, reasons, hostile requests) in one cluster, through real Envoys, from outside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import casefile
import pytest
from apiclient import Api
from casefile import Played
from clusters import SEAWAY, Cluster
from playing import Stage, probers

pytestmark = pytest.mark.e2e
CONTROLLER, INGRESS, FOREIGN = "seaway.dev/gateway-controller", "seaway.dev/ingress-controller", "istio.io/gateway-controller"
CONFIG = f"""
apiVersion: seaway.dev/v1alpha1
kind: Cluster
gateway: {{controllerNames: [{FOREIGN}]}}
"""
PENDING = casefile.pending("cluster")
CASES = [played for played in casefile.everything() if played.case.only != "pure"]
PASSED: set[str] = set()


class Plays:
    """The stage, and the cases that run on it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.running: dict[str, Future[list[str]]] = {}

    def result(self, played: Played, wanted: list[Played]) -> list[str]:
        """A case's problems. The first to ask starts all that were selected; when the fixture is made anew for a second try, only
        what has not passed."""
        if played.name not in self.running:
            due = [played, *(p for p in wanted if p is not played and p.name not in PASSED and p.name not in self.running)]
            self.running |= self.stage.start(due)
        return self.running[played.name].result(170)


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plays]:
    file = tmp_path_factory.mktemp("gateway") / "cluster.yaml"
    file.write_text(CONFIG)
    with Cluster("--nodes", "1", "--config", str(file)) as cluster:
        api = Api(Path(cluster.env["KUBECONFIG"]))
        asking = probers(SEAWAY, cluster.name, sys.executable, cluster.env)
        words = {"controller": CONTROLLER, "ingress-controller": INGRESS, "free": "172.30.255.200"}
        stage = Stage(api, asking, words, (CONTROLLER, INGRESS, FOREIGN))
        stage.hopeless = frozenset(PENDING)
        try:
            stage.build()
            yield Plays(stage)
        finally:
            print("\nslowest cases:", sorted(stage.timings.items(), key=lambda t: -t[1])[:12])
            stage.close()


def parameter(played: Played) -> object:
    reason = PENDING.get(played.name)
    return pytest.param(played, id=played.name, marks=[pytest.mark.xfail(reason=reason, strict=True)] if reason else [])


@pytest.mark.parametrize("played", [parameter(p) for p in CASES])
def test_requests_and_statuses_are_as_the_case_says(played: Played, plays: Plays, request: pytest.FixtureRequest) -> None:
    selected = [i.callspec.params["played"] for i in request.session.items if getattr(i, "callspec", None) and i.path == request.path]  # type: ignore[attr-defined]
    problems = plays.result(played, selected)
    assert not problems, "\n".join([f"{played.name}: {played.case.about or played.case.feature}", *problems])
    PASSED.add(played.name)
