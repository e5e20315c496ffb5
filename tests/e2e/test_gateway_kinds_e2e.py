"""Gateway API in a running cluster, before anybody installs anything."""

from __future__ import annotations

from clusters import Cluster, wait_for

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: paths}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {type: Exact, value: %s}}]
    backendRefs: [{name: web, port: 80}]
"""


def test_routes_are_judged_kept_and_gone_with_their_namespace(cluster: Cluster) -> None:
    assert cluster.get("gatewayclass", "seaway")["spec"]["controllerName"] == "seaway.dev/gateway-controller"
    assert cluster.get("ingressclass", "seaway")["spec"]["controller"] == "seaway.dev/ingress-controller"
    assert cluster.get("namespace", "seaway-system")["status"]["phase"] == "Active"
    routes = f"{cluster.namespace}-routes"
    cluster.kubectl("create", "namespace", routes)
    refused = cluster.kubectl("apply", "-n", routes, "-f", "-", text=ROUTE % "a", check=False)
    assert "value must be an absolute path and start with '/'" in refused
    cluster.kubectl("apply", "-n", routes, "-f", "-", text=ROUTE % "/a")
    assert cluster.get("-n", routes, "httproute", "paths")["spec"]["rules"][0]["backendRefs"][0]["weight"] == 1
    cluster.kubectl("delete", "namespace", routes, "--wait=false")
    wait_for(lambda: "NotFound" in cluster.kubectl("get", "namespace", routes, check=False), 20, "the namespace and its route go")
