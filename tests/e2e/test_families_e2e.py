"""Clusters of one family and of two: Services answer by name in each."""

from __future__ import annotations

from pathlib import Path

import pytest
from clusters import CLIENT, Cluster, wait_for, web

FILE = """
apiVersion: seaway.dev/v1alpha1
kind: Cluster
name: {name}
nodes: [{{role: control-plane}}, {{role: worker}}]
networking: {{ipFamily: {family}}}
"""


@pytest.mark.parametrize(("family", "addresses"), [("ipv4", [4]), ("ipv6", [6]), ("dual", [4, 6])])
def test_a_cluster_of_each_family_serves_by_name(family: str, addresses: list[int], tmp_path: Path) -> None:
    cluster = Cluster()
    path = tmp_path / "cluster.yaml"
    path.write_text(FILE.format(name=cluster.name, family=family))
    try:
        cluster.seaway("up", "--config", str(path), "--detach")
        cluster.apply(web(2) + "---" + CLIENT)
        cluster.rollout("deployment/web")
        cluster.ready("client")
        wait_for(lambda: "Hostname: web-" in cluster.curl("http://web", check=False))
        given = [6 if ":" in i["ip"] else 4 for i in cluster.get("pod", "client")["status"]["podIPs"]]
        assert given == addresses
    finally:
        cluster.__exit__()
