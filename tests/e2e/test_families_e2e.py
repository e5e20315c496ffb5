"""Clusters of one family and of two: Services answer by name in each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clusters import CLIENT, Cluster, wait_for, web

FILE = """
apiVersion: seaway.dev/v1alpha1
kind: Cluster
name: {name}
nodes: [{{role: control-plane}}, {{role: worker}}]
networking: {{ipFamily: {family}, dnsDomain: {domain}, dnsSearch: [corp.example], dnsUpstreams: [{upstream}]}}
"""


@pytest.mark.parametrize(
    ("family", "addresses", "domain", "servers"),
    [
        ("ipv4", [4], "cluster.local", ["10.96.0.10", "172.30.0.254"]),
        ("ipv6", [6], "k8s.example", ["fd00:10:96::a", "fd00:172:30::fffe"]),
        ("dual", [4, 6], "k8s", ["10.96.0.10", "fd00:172:30::fffe"]),
    ],
)
def test_a_cluster_of_each_family_serves_by_name(
    family: str, addresses: list[int], domain: str, servers: list[str], tmp_path: Path) -> None:
    cluster = Cluster()
    path = tmp_path / "cluster.yaml"
    path.write_text(FILE.format(name=cluster.name, family=family, domain=domain, upstream=f"'{servers[1]}'"))
    try:
        cluster.seaway("up", "--config", str(path), "--detach", dns=False)
        cluster.apply(web(2) + "---" + CLIENT)
        cluster.rollout("deployment/web")
        cluster.ready("client")
        wait_for(lambda: "Hostname: web-" in cluster.curl("http://web", check=False))
        given = [6 if ":" in i["ip"] else 4 for i in cluster.get("pod", "client")["status"]["podIPs"]]
        assert given == addresses
        own = f"default.svc.{domain} svc.{domain} {domain} corp.example"
        assert cluster.exec("client", "cat", "/etc/resolv.conf") == f"search {own}\nnameserver {servers[0]}\noptions ndots:5\n"
        cluster.namespace = "kube-system"
        assert cluster.exec("deploy/seaway-dns", "cat", "/etc/resolv.conf") == f"search corp.example\nnameserver {servers[1]}\n"
        cluster.namespace = "default"
        known = json.loads(cluster.kubectl("get", "--raw", "/.well-known/openid-configuration"))
        assert known["issuer"] == f"https://kubernetes.default.svc.{domain}"
        script = "D=/run/secrets/kubernetes.io/serviceaccount; exec curl -sS -m 5 --cacert $D/ca.crt -H \"Authorization: Bearer $(cat $D/token)\" $0"
        shown = cluster.exec("client", "sh", "-c", script, f"https://kubernetes.default.svc.{domain}/version")
        assert '"gitVersion"' in shown
        name = f"web.default.svc.{domain}"
        assert cluster.exec("client", "getent", "ahosts", name).split()[0] in cluster.get("service", "web")["spec"]["clusterIPs"]
    finally:
        cluster.__exit__()
