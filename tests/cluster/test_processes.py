"""What init is to run, and how a loopback port is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from seaway.cluster import layout
from seaway.cluster.config import ClusterConfig, ConfigError, default_nodes
from seaway.cluster.place import Place
from seaway.cluster.processes import Publish, processes

WRONG = ["", "8080", "8080:web:80", "8080:default/web", "0:default/web:80", "65536:default/web:80", "x:default/web:80", "80:/web:80",
         "80:default/:80", "80:default/web:", "80:default/web:80:1", "80:a/b/c:80", "80:default/web:80/tcp", "-1:default/web:80"]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_published_port_that_cannot_be_read_is_told_with_its_form(text: str) -> None:
    with pytest.raises(ConfigError, match="must be HOSTPORT:NAMESPACE/SERVICE:PORT, for example 8080:default/web:80"):
        Publish.parse(text)


def test_init_runs_an_agent_on_each_node_and_publishes_what_is_asked_for(tmp_path: Path) -> None:
    config = ClusterConfig(name="c", nodes=default_nodes(2, "c"))
    where, made = Place(tmp_path), layout.plan(config)
    published = {"publish-8080": Publish.parse("8080:default/web:http")}
    found = {p["name"]: p for p in processes(where, config, made, tmp_path / "data", tmp_path / "images", published)}
    agents = [f"agent-{n.name}" for n in made.nodes]
    assert set(found) == {"apiserver", "controllers", "cloud", *agents, "publish"}
    assert [found[a]["netns"] for a in agents] == [n.netns for n in made.nodes]
    assert [found[a]["args"]["kubeconfig"] for a in agents] == [f"{where.folder}/kubeconfigs/node-{n.name}" for n in made.nodes]
    assert found["publish"]["fds"] == ["publish-8080"]
    assert found["publish"]["args"]["targets"] == {"publish-8080": {"namespace": "default", "service": "web", "port": "http"}}
    assert "publish" not in {p["name"] for p in processes(where, config, made, tmp_path, tmp_path, {})}
