"""Clusters for the tests of this folder: one that is shared, with a namespace a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clusters import CLIENT, NUMBERS, Cluster


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    """Two nodes, for all tests that leave the cluster itself alone."""
    with Cluster("--nodes", "2") as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster with a fresh namespace as the default one."""
    name = f"ns-{next(NUMBERS)}"
    shared_cluster.namespace = "default"
    shared_cluster.kubectl("create", "namespace", name)
    shared_cluster.namespace = name
    yield shared_cluster
    shared_cluster.namespace = "default"
    shared_cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def client(cluster: Cluster) -> Cluster:
    """The cluster with a pod `client` that has curl."""
    cluster.apply(CLIENT)
    cluster.ready("client")
    return cluster
