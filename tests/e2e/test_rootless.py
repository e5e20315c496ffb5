"""An ordinary user's cluster: no root, no capability, one user id."""

from __future__ import annotations

import os

from clusters import CLIENT, Cluster, wait_for, web


class Ordinary(Cluster):
    """The program as a user without rights: ourselves, or, as root, through a user namespace that takes root away."""

    def prefix(self, command: str) -> list[str]:
        # Each of these namespaces is a stranger to the next: what comes after `up` is root's.
        wanted = os.geteuid() == 0 and command == "up"
        return ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if wanted else []


def test_an_ordinary_user_has_a_cluster() -> None:
    with Ordinary("--nodes", "2") as cluster:
        assert "without root" in cluster.said
        cluster.apply(web(2, extra=", type: NodePort") + "---" + CLIENT)
        cluster.rollout("deployment/web")
        cluster.ready("client")
        wait_for(lambda: "Hostname: web-" in cluster.curl("http://web", check=False))
        port = cluster.get("service", "web")["spec"]["ports"][0]["nodePort"]
        wait_for(lambda: "Hostname: web-" in cluster.outside("curl", "-sS", "-m", "3", f"http://172.30.0.2:{port}", check=False))
        assert cluster.exec("client", "id", "-u").strip() == "0"
        conditions = {c["type"]: c for c in cluster.get("nodes")["items"][0]["status"]["conditions"]}
        assert "started without root" in conditions["ResourceLimits"]["message"]
        assert cluster.kubectl("logs", "deploy/seaway-dns", "-n", "kube-system")
