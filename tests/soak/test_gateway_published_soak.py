"""The published CRDs of Gateway API in place of ours: all cases pass with them too."""

from __future__ import annotations

import sys
from pathlib import Path

import casefile
import pytest
from apiclient import Api
from clusters import SEAWAY, Cluster
from playing import Stage, probers
from published_objects import FILES

CONTROLLER, INGRESS, FOREIGN = "seaway.dev/gateway-controller", "seaway.dev/ingress-controller", "istio.io/gateway-controller"
POLICIES = Path(__file__).parents[2] / "docs" / "policies.yaml"
CONFIG = f"""
apiVersion: seaway.dev/v1alpha1
kind: Cluster
gatewayAPI: false
gateway: {{controllerNames: [{FOREIGN}]}}
"""
CLASS = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: seaway}}
spec: {{controllerName: {CONTROLLER}}}
"""


@pytest.mark.soak
@pytest.mark.timeout(420)
@pytest.mark.parametrize("channel", ["standard", "experimental"])
def test_all_cases_pass_with_the_published_definitions(channel: str, tmp_path: Path) -> None:
    if not FILES[channel].is_file():
        pytest.skip(f"{FILES[channel]} is not here")
    pending = casefile.pending("cluster")
    cases = [p for p in casefile.everything() if p.case.only != "pure" and p.name not in pending
             and (channel == "experimental" or p.case.channel == "standard")]
    file = tmp_path / "cluster.yaml"
    file.write_text(CONFIG)
    with Cluster("--nodes", "1", "--config", str(file)) as cluster:
        cluster.kubectl("apply", "--server-side", "-f", str(FILES[channel]))
        cluster.kubectl("apply", "--server-side", "-f", str(POLICIES))  # as in any cluster that has Gateway API from elsewhere
        cluster.kubectl("wait", "--for=condition=Established", "crd/securitypolicies.policy.seaway.dev")
        cluster.kubectl("wait", "--for=condition=Established", "crd/gatewayclasses.gateway.networking.k8s.io", "crd/gateways.gateway.networking.k8s.io")
        cluster.apply(CLASS)
        asking = probers(SEAWAY, cluster.name, sys.executable, cluster.env)
        words = {"controller": CONTROLLER, "ingress-controller": INGRESS, "free": "172.30.255.200"}
        stage = Stage(Api(Path(cluster.env["KUBECONFIG"])), asking, words, (CONTROLLER, INGRESS, FOREIGN))
        try:
            stage.build()
            problems = {name: future.result(300) for name, future in stage.start(cases).items()}
        finally:
            stage.close()
    wrong = [f"{name}: {problem}" for name, found in problems.items() for problem in found]
    assert not wrong, "\n".join(wrong)
