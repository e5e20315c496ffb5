"""The controller's own pod and rights, with a stand-in for its command: what it may read and write, and what it may not."""

from __future__ import annotations

from importlib import resources

import yaml
from clusters import Cluster, wait_for

from seaway.api.tree import condition

SYSTEM = "seaway-system"
IDENTITY = f"--as=system:serviceaccount:{SYSTEM}:seaway-gateway"
MAY = """list secrets; watch endpointslices.discovery.k8s.io; list namespaces; list ingresses.networking.k8s.io; watch ingressclasses.networking.k8s.io
list gatewayclasses.gateway.networking.k8s.io; watch referencegrants.gateway.networking.k8s.io; list backendtlspolicies.gateway.networking.k8s.io
patch ingresses.networking.k8s.io --subresource=status; patch gateways.gateway.networking.k8s.io --subresource=status
patch tcproutes.gateway.networking.k8s.io --subresource=status; create deployments.apps; patch daemonsets.apps; delete services
create poddisruptionbudgets.policy; patch serviceaccounts; create secrets; create events; patch configmaps"""
MAY_NOT = """create gateways.gateway.networking.k8s.io; patch gateways.gateway.networking.k8s.io; patch httproutes.gateway.networking.k8s.io
patch ingresses.networking.k8s.io; patch referencegrants.gateway.networking.k8s.io --subresource=status; create pods; create pods --subresource=exec; list pods; list nodes
create clusterroles.rbac.authorization.k8s.io; create serviceaccounts --subresource=token; patch namespaces; patch services --subresource=status
create leases.coordination.k8s.io; impersonate users"""
# `seaway gateway` answers nowhere yet in this test: agnhost takes its places.
ARGS = ["netexec", "--http-port=8081", "--udp-port=-1"]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\n", ";").split(";") if line.strip()]


def test_the_controller_may_what_it_needs_and_no_more(cluster: Cluster) -> None:
    for wanted, answer in ((MAY, "yes"), (MAY_NOT, "no")):
        for line in lines(wanted):
            assert cluster.kubectl("auth", "can-i", *line.split(), IDENTITY, check=False).split()[0] == answer, line
    for line in ("get leases.coordination.k8s.io/seaway-gateway", "create leases.coordination.k8s.io"):
        assert cluster.kubectl("auth", "can-i", *line.split(), "-n", SYSTEM, IDENTITY).strip() == "yes", line
    assert cluster.kubectl("auth", "can-i", "patch", "leases.coordination.k8s.io/other", "-n", SYSTEM, IDENTITY, check=False).startswith("no")


def test_the_controllers_pod_is_nobody_and_serves_its_pages(cluster: Cluster) -> None:
    """The add-on's own manifest under another name, its program replaced: `seaway version` shows that ours runs as nobody."""
    folder = resources.files("seaway.deploy").joinpath("addons/gateway")
    service, deployment = yaml.safe_load_all(folder.joinpath("controller.yaml").read_text())
    spec = deployment["spec"]["template"]["spec"]
    [container] = spec["containers"]
    spec["initContainers"] = [{"name": "ours", "image": container["image"], "args": ["--help"], "securityContext": container["securityContext"]}]
    container |= {"image": "registry.k8s.io/e2e-test-images/agnhost:2.53", "args": ARGS}
    container["readinessProbe"]["httpGet"]["path"] = container["livenessProbe"]["httpGet"]["path"] = "/healthz"
    for tree in (service, deployment):
        tree["metadata"]["name"] = "stand-in"
    for labels in (service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"], deployment["spec"]["template"]["metadata"]["labels"]):
        labels["app.kubernetes.io/name"] = "stand-in"
    cluster.namespace = SYSTEM
    try:
        cluster.apply(yaml.safe_dump_all([service, deployment]))
        cluster.rollout("deployment/stand-in")
        assert "usage: seaway" in cluster.kubectl("logs", "deployment/stand-in", "-c", "ours")
        status = cluster.kubectl("exec", "deployment/stand-in", "--", "cat", "/proc/1/status")
        assert "Uid:\t65532\t" in status and "CapEff:\t0000000000000000" in status
        wait_for(lambda: len(cluster.get("endpoints", "stand-in")["subsets"][0]["addresses"]) == 1)
    finally:
        cluster.kubectl("delete", "deployment/stand-in", "service/stand-in", "--wait=false", "--ignore-not-found")


GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: seaway
  listeners: [{name: http, port: 80, protocol: HTTP}]
"""
OBJECTS = ("serviceaccount/edge-seaway", "configmap/edge-seaway", "secret/edge-seaway-xds", "service/edge-seaway",
           "poddisruptionbudget/edge-seaway", "deployment/edge-seaway")


def test_what_is_deleted_or_edited_of_a_fleet_comes_back_and_all_goes_with_its_gateway(cluster: Cluster) -> None:
    cluster.apply(GATEWAY)
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/edge", "--timeout=30s")
    before = {what: cluster.get(*what.split("/")) for what in OBJECTS}
    template = before["deployment/edge-seaway"]["spec"]["template"]
    assert [a for a in template["spec"]["containers"][0]["args"] if a in ("--concurrency", "1")] == ["--concurrency", "1"]
    assert before["deployment/edge-seaway"]["spec"]["replicas"] == 1, "small, in a cluster on one's own machine"
    cluster.kubectl("delete", *(what for what in OBJECTS if not what.startswith("deployment")))
    cluster.kubectl("scale", "deployment/edge-seaway", "--replicas=3")

    def back() -> bool:
        found = {what: cluster.kubectl("get", what, "-o", "json", check=False) for what in OBJECTS}
        return all(text.startswith("{") for text in found.values()) and \
            cluster.get("deployment", "edge-seaway")["spec"]["replicas"] == 1

    wait_for(back, 20, "everything is as it was")
    after = {what: cluster.get(*what.split("/")) for what in OBJECTS}
    for what in ("configmap/edge-seaway", "secret/edge-seaway-xds"):
        assert after[what]["data"] == before[what]["data"], "the same certificate: no reason for another"
        assert after[what]["metadata"]["uid"] != before[what]["metadata"]["uid"]
    assert after["deployment/edge-seaway"]["spec"]["template"] == template, "no new pod for it"
    cluster.kubectl("patch", "configmap/edge-seaway", "--type=merge", "-p", '{"data": {"envoy.json": "{}"}}')
    wait_for(lambda: cluster.get("configmap", "edge-seaway")["data"] == before["configmap/edge-seaway"]["data"], 20)
    cluster.kubectl("delete", "gateway/edge")
    wait_for(lambda: not cluster.kubectl("get", ",".join(w.partition("/")[0] for w in OBJECTS), "-l", "seaway.dev/fleet", "-o", "name"), 20)


PARAMETERS = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: on-nodes}}
data:
  kind: DaemonSet
  host: network
  serviceType: ClusterIP
  tolerations: "- {{operator: Exists}}"
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: {name}}}
spec:
  controllerName: seaway.dev/gateway-controller
  parametersRef: {{group: "", kind: ConfigMap, name: on-nodes, namespace: {namespace}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  gatewayClassName: {name}
  infrastructure:
    labels: {{team: shop}}
  listeners: [{{name: http, port: 8088, protocol: HTTP}}]
"""
OWN = """
apiVersion: v1
kind: ConfigMap
metadata: {name: own}
data: {host: network, replicas: "1"}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: own}
spec:
  gatewayClassName: seaway
  infrastructure: {parametersRef: {group: "", kind: ConfigMap, name: own}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
"""


def gateway_condition(cluster: Cluster, name: str, kind: str) -> tuple[str, str, str]:
    found = condition(cluster.get("gateway", name), kind) or {}
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def test_parameters_make_a_fleet_of_the_nodes_own_and_a_bad_one_is_told_with_its_field(cluster: Cluster) -> None:
    """
    ```yaml
    data: {kind: DaemonSet, host: network, serviceType: ClusterIP, tolerations: "- {operator: Exists}"}
    ```
    """
    cluster.apply(GATEWAY)
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/edge", "--timeout=30s")
    assert cluster.get("deployment", "edge-seaway")
    fleet = f"edge-{cluster.namespace}"
    cluster.apply(PARAMETERS.format(name=cluster.namespace, namespace=cluster.namespace))
    nodes = cluster.get("nodes")["items"]
    wait_for(lambda: "NotFound" in cluster.kubectl("get", "deployment", "edge-seaway", check=False), 20, "the Deployment goes")
    wait_for(lambda: cluster.get("daemonset", fleet)["status"].get("numberReady") == len(nodes), 30)
    assert cluster.get("daemonset", fleet)["spec"]["template"]["metadata"]["labels"]["team"] == "shop"
    for node in nodes:
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        answer = ["curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", f"http://{address}:8088/"]
        wait_for(lambda answer=answer: cluster.outside(*answer, check=False) == "404", 20, "no route, and the node's own port")
    cluster.kubectl("patch", "configmap/on-nodes", "--type=merge", "-p", '{"data": {"tolerations": "- {operater: Exists}"}}')
    status, _, message = wait_for(lambda: (c := gateway_condition(cluster, "edge", "Accepted"))[1] == "InvalidParameters" and c, 20)
    assert status == "False" and "data[tolerations][0].operater: Invalid value: unknown field" in message
    cluster.kubectl("patch", "configmap/on-nodes", "--type=merge", "-p", '{"data": {"tolerations": "- {operator: Exists}"}}')
    wait_for(lambda: gateway_condition(cluster, "edge", "Accepted")[0] == "True", 20)
    # Who may write a Gateway gets no node by it: that is for who may write classes.
    cluster.apply(OWN)
    refused = wait_for(lambda: (c := gateway_condition(cluster, "own", "Accepted"))[1] == "InvalidParameters" and c, 20)
    assert "data[host]: Forbidden: may only be set by the parameters of the class" in refused[2]
    assert "hostNetwork" not in cluster.get("deployment", "own-seaway")["spec"]["template"]["spec"]
    cluster.kubectl("delete", "gateway/edge", "gateway/own")
    cluster.kubectl("delete", f"gatewayclass/{cluster.namespace}")


STATIC = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  gatewayClassName: seaway
  addresses: [{{type: IPAddress, value: {address}}}]
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
"""


def test_an_address_that_is_asked_for_is_given_and_one_in_use_is_told_as_not_usable(cluster: Cluster) -> None:
    """
    ```yaml
    spec: {addresses: [{type: IPAddress, value: 172.30.255.77}]}
    ```
    """
    cluster.apply(STATIC.format(name="first", address="172.30.255.77"))
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/first", "--timeout=30s")
    assert {"type": "IPAddress", "value": "172.30.255.77"} in cluster.get("gateway", "first")["status"]["addresses"]
    for address, why in (("172.30.255.77", "in use by another Service"), ("203.0.113.7", "is not in the pool")):
        cluster.apply(STATIC.format(name="second", address=address))
        found = wait_for(lambda why=why: (c := gateway_condition(cluster, "second", "Programmed")) and why in c[2] and c, 20, why)
        assert found[:2] == ("False", "AddressNotUsable")
    cluster.apply(STATIC.format(name="second", address="172.30.255.78"))
    cluster.kubectl("wait", "--for=condition=Programmed", "gateway/second", "--timeout=30s")
    answer = cluster.outside("curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", "http://172.30.255.78/")
    assert answer == "404"
