"""One API server for the tests that leave it alone, with a namespace a test; and a maker of others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from server import Server

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("api")).start().wait()
    yield found
    found.close()


@pytest.fixture
def ns(server: Server) -> str:
    name = f"n{next(NUMBERS)}"
    server.create("/api/v1/namespaces", {"metadata": {"name": name}})
    server.create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    return name


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(**limits: int) -> Server:
        made.append(Server(tmp_path / f"s{len(made)}", **limits))
        return made[-1].start().wait()

    yield make
    for server in made:
        server.close()
