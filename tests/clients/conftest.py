"""One cluster for all clients of this folder; each file has a namespace of its own on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import NUMBERS, Cluster


@pytest.fixture(scope="session")
def clients_cluster() -> Iterator[Cluster]:
    with Cluster("--nodes", "1") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster(clients_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster, with a fresh namespace named after the file as the default one."""
    name = f"{Path(str(request.path)).stem.removeprefix('test_').replace('_', '-')}-{next(NUMBERS)}"
    clients_cluster.namespace = "default"
    clients_cluster.kubectl("create", "namespace", name)
    clients_cluster.namespace = name
    yield clients_cluster
    clients_cluster.namespace = "default"
    clients_cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def kubeconfig(cluster: Cluster) -> str:
    """The file that `seaway up` wrote, as every client reads it."""
    return cluster.env["KUBECONFIG"]


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> str:
    return cluster.namespace
