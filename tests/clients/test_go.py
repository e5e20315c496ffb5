"""A program on client-go and controller-runtime (go/), unmodified libraries, built here and run against the cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from clusters import Cluster
from image_archives import docker_save, tar

SOURCE = Path(__file__).parent / "go"
USES = (
    "discovery", "dynamic client", "metadata client", "lists", "watches", "errors", "protobuf", "patches", "conflicts",
    "finalizers", "owners", "subresources", "identities", "events", "apply", "informers", "streams", "logs", "exec", "attach", "proxy",
    "port-forward", "leader election", "custom resources", "controller-runtime", "webhooks",
)
IMAGE = "seaway.dev/clients:test"
# A build from nothing takes minutes on two cores; one from Go's cache a second.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    go = shutil.which("go")
    if go is None:
        assert os.environ.get("CI") != "true", "CI builds the Go program: no go found"
        pytest.skip("no go on this machine")
    built = str(tmp_path_factory.mktemp("go") / "clients")
    env = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run([go, "build", "-ldflags=-s -w", "-o", built, "."], cwd=SOURCE, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def image(program: str, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program as an image of the cluster, for what runs in a pod."""
    archive = tmp_path_factory.mktemp("image") / "clients.tar"
    layer = tar({"name": "clients", "data": Path(program).read_bytes(), "mode": 0o755})
    archive.write_bytes(docker_save([layer], [IMAGE], Entrypoint=["/clients"]))
    cluster.seaway("image", "load", str(archive), "--name", cluster.name)
    archive.unlink()
    return IMAGE


@pytest.fixture(scope="module")
def said(program: str, image: str, cluster: Cluster) -> dict[str, str]:
    """What the program said of each check: its name, and "" or what went wrong."""
    # The detector lists what a WatchList has brought once more, and panics where the two differ.
    env = {**cluster.env, "KUBE_WATCHLIST_INCONSISTENCY_DETECTOR": "true"}
    command = [program, "-namespace", cluster.namespace, "-image", image]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=170)
    print(done.stdout)
    found = re.findall(r"^(?:ok  |FAIL) (.*?) \([\d.µm]+s\)(?:: (.*))?$", done.stdout, re.M)
    assert found and done.returncode in (0, 1), f"{done.stdout}\n{done.stderr[-4000:]}"
    assert (done.returncode == 1) == ("FAIL " in done.stdout)
    return dict(found)


@pytest.mark.parametrize("use", USES)
def test_a_program_on_client_go_works(said: dict[str, str], use: str) -> None:
    checks = {name: wrong for name, wrong in said.items() if name.startswith(f"{use}:")}
    assert checks, f"no check of {use} in {sorted(said)}"
    assert not {name: wrong for name, wrong in checks.items() if wrong}


def test_every_check_of_the_program_is_looked_at(said: dict[str, str]) -> None:
    assert {name.partition(":")[0] for name in said} == set(USES)
