"""Services of type LoadBalancer as a client outside sees them: addresses from a pool, real packets through the nodes."""

from __future__ import annotations

import json
import re

import pytest
from clusters import Cluster, wait_for, web

pytestmark = pytest.mark.e2e
PORTS = "ports: [{port: 80, targetPort: http}]"


def balancer(name: str, spec: str = "", annotations: str = "") -> str:
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec: {{type: LoadBalancer, selector: {{app: web}}, {PORTS}{', ' + spec if spec else ''}}}
"""


PROXY = "seaway.dev/load-balancer-ip-mode: Proxy"
DUAL = "ipFamilyPolicy: RequireDualStack"
LOCAL = "externalTrafficPolicy: Local"


def addresses(cluster: Cluster, name: str) -> list[str]:
    """The Service's addresses, once it has them."""
    def granted() -> list[dict]:
        return cluster.get("service", name)["status"]["loadBalancer"].get("ingress") or []

    return [i["ip"] for i in wait_for(granted, what=f"an address for {name}")]


def url(address: str) -> str:
    return f"http://[{address}]/" if ":" in address else f"http://{address}/"


def outside(cluster: Cluster, address: str, within: str = "1", port: int = 80) -> str:
    """What a client outside is answered; curl's own words where it is not."""
    target = url(address).rstrip("/") + f":{port}/"
    return cluster.outside("curl", "-sS", "-m", within, target, check=False)


def source(answer: str) -> str:
    """The client's address as the pod saw it."""
    found = re.search(r"RemoteAddr: \[?([0-9a-f.:]+?)\]?:\d+\n", answer)
    return found[1] if found else ""


@pytest.fixture
def shop(client: Cluster) -> Cluster:
    """Two pods of whoami, one on each node, and a client pod."""
    spread = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]"
    client.apply(web(2).replace("terminationGracePeriodSeconds: 5", f"terminationGracePeriodSeconds: 5\n      {spread}"))
    client.rollout("deployment/web")
    return client


PORT = {False: "29871", True: "29873"}  # of a client, by family; below those that the kernel chooses
OUTSIDE = {4: "172.30.0.254", 6: "fd00:172:30::fffe"}


@pytest.mark.parametrize("mode", ["VIP", "Proxy"])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_load_balancer_answers_in_both_families_by_vip_and_node_port(shop: Cluster, mode: str, policy: str) -> None:
    shop.apply(balancer("lb", f"{DUAL}, externalTrafficPolicy: {policy}", PROXY if mode == "Proxy" else ""))
    found = addresses(shop, "lb")
    service = shop.get("service", "lb")
    assert [":" in a for a in found] == [False, True]
    assert {i["ipMode"] for i in service["status"]["loadBalancer"]["ingress"]} == {mode}
    node_port = service["spec"]["ports"][0]["nodePort"]
    nodes = [a["address"] for n in shop.get("nodes")["items"] for a in n["status"]["addresses"] if a["type"] == "InternalIP"]
    for address in found:
        family = 6 if ":" in address else 4
        answer = wait_for(lambda address=address: outside(shop, address), what=f"{address} answers")
        assert "Hostname: web-" in answer
        # Local keeps the client's address, Cluster shows a node's.
        assert (source(answer) == OUTSIDE[family]) == (policy == "Local"), answer
        assert "Hostname: web-" in shop.curl(url(address)), "pods reach it too"
        hosts = {re.search(r"Hostname: (\S+)", outside(shop, address))[1] for _ in range(24)}  # type: ignore[index]
        assert len(hosts) == 2, "both nodes take part"
    for node in nodes:
        assert "Hostname: web-" in outside(shop, node, port=node_port)


def test_source_ranges_decide_who_comes_in_and_node_ports_stay_open(shop: Cluster) -> None:
    for name, annotation in (("vip", ""), ("proxied", PROXY)):
        shop.apply(balancer(name, f"{LOCAL}, loadBalancerSourceRanges: [192.0.2.0/24]", annotation))
        (address,) = addresses(shop, name)
        service = shop.get("service", name)
        nodes = [n["status"]["addresses"][0]["address"] for n in shop.get("nodes")["items"]]
        assert wait_for(lambda nodes=nodes, service=service: outside(shop, nodes[0], port=service["spec"]["ports"][0]["nodePort"]))
        assert not outside(shop, address), "dropped: not in the ranges"
        shop.kubectl("patch", "service", name, "--type=merge", "-p", json.dumps({"spec": {"loadBalancerSourceRanges": ["192.0.2.0/24", f"{OUTSIDE[4]}/32"]}}))
        wait_for(lambda address=address: "Hostname: web-" in outside(shop, address), what=f"{name} lets the outside in")
    (address,) = addresses(shop, "vip")
    assert "Hostname" not in shop.curl(url(address), "-m", "1", check=False), "pods are filtered too"


def test_the_health_port_says_how_many_ready_endpoints_a_node_has(shop: Cluster) -> None:
    shop.apply(balancer("lb", LOCAL))
    (address,) = addresses(shop, "lb")
    port = shop.get("service", "lb")["spec"]["healthCheckNodePort"]
    nodes = {n["metadata"]["name"]: n["status"]["addresses"][0]["address"] for n in shop.get("nodes")["items"]}

    def health(node: str) -> tuple[int, int]:
        said = shop.outside("curl", "-sS", "-i", "-m", "2", f"http://{nodes[node]}:{port}/", check=False)
        if "200 OK" not in said and "503" not in said:
            return 0, -1
        body = json.loads(said[said.index("{"):])
        assert body["service"] == {"namespace": shop.namespace, "name": "lb"} and body["serviceProxyHealthy"] is True
        assert f"X-Load-Balancing-Endpoint-Weight: {body['localEndpoints']}" in said
        return int(said.split()[1]), body["localEndpoints"]

    wait_for(lambda: [health(n) for n in nodes] == [(200, 1)] * 2)
    shop.kubectl("scale", "deployment/web", "--replicas=1")
    (kept,) = wait_for(lambda: [p for p in (shop.get("pods", "-l", "app=web")["items"],) if len(p) == 1])[0]
    here = kept["spec"]["nodeName"]
    (there,) = [n for n in nodes if n != here]
    wait_for(lambda: (health(here), health(there)) == ((200, 1), (503, 0)))
    wait_for(lambda: all("Hostname: web-" in outside(shop, address) for _ in range(6)), what="only the healthy node is used")


def test_without_a_healthy_node_each_client_is_told_at_once_and_served_from_the_same_port_later(shop: Cluster) -> None:
    shop.apply(balancer("lb", f"{DUAL}, {LOCAL}", PROXY))
    found = addresses(shop, "lb")
    for address in found:
        wait_for(lambda address=address: "Hostname" in outside(shop, address), what="healthy nodes")
    shop.kubectl("patch", "service", "lb", "-p", json.dumps({"spec": {"selector": {"app": "nobody"}}}))

    def ended(address: str, *more: str) -> str:
        """How curl ended: 0, or 7 for a connection that could not be made, or 28 when its time was over."""
        return shop.outside("curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{exitcode}", *more, url(address), check=False)

    for address in found:
        wait_for(lambda address=address: ended(address) == "7", what="no healthy node")
        # A router's ICMP comes once a second at most; what one's own firewall says comes every time.
        assert [ended(address, "--local-port", PORT[":" in address]) for _ in range(3)] == ["7"] * 3
    shop.kubectl("patch", "service", "lb", "-p", json.dumps({"spec": {"selector": {"app": "web"}}}))
    for address in found:
        wait_for(lambda address=address: ended(address) == "0", what="healthy nodes again")
        assert ended(address, "--local-port", PORT[":" in address]) == "0", "nothing is remembered"


def test_another_class_is_left_alone_and_a_change_of_type_gives_the_address_back(shop: Cluster) -> None:
    shop.apply(balancer("theirs", "loadBalancerClass: example.com/other") + balancer("mine", "loadBalancerClass: seaway.dev/cloud"))
    (address,) = addresses(shop, "mine")
    wait_for(lambda: outside(shop, address))
    assert not shop.get("service", "theirs")["status"]["loadBalancer"].get("ingress")
    assert "service.kubernetes.io/load-balancer-cleanup" in shop.get("service", "mine")["metadata"]["finalizers"]
    assert "EnsuredLoadBalancer" in wait_for(lambda: shop.kubectl("describe", "service", "mine").partition("Events:")[2])
    shop.kubectl("patch", "service", "mine", "--type=merge", "-p", '{"spec": {"type": "ClusterIP", "loadBalancerClass": null}}')
    wait_for(lambda: not shop.get("service", "mine")["metadata"].get("finalizers"))
    assert not shop.get("service", "mine")["status"]["loadBalancer"]
    assert not outside(shop, address)


def test_without_node_ports_the_vip_works_and_proxy_mode_says_why_not(shop: Cluster) -> None:
    shop.apply(balancer("vip", "allocateLoadBalancerNodePorts: false") + balancer("proxied", "allocateLoadBalancerNodePorts: false", PROXY))
    (address,) = addresses(shop, "vip")
    assert not shop.get("service", "vip")["spec"]["ports"][0].get("nodePort")
    wait_for(lambda: "Hostname: web-" in outside(shop, address))
    wait_for(lambda: "ipMode Proxy needs node ports" in shop.kubectl("describe", "service", "proxied"))


def test_an_exhausted_pool_is_an_event_and_a_freed_address_is_given_to_who_waits(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "cluster.yaml"
    file.write_text("apiVersion: seaway.dev/v1alpha1\nkind: Cluster\nnetworking: {ipFamily: ipv4, loadBalancerSubnet: 172.30.255.0/30}\n")
    with Cluster("--config", str(file)) as cluster:
        cluster.apply(web(1))
        cluster.apply(balancer("a") + balancer("b"))
        assert addresses(cluster, "a") + addresses(cluster, "b") == ["172.30.255.1", "172.30.255.2"]
        cluster.apply(balancer("c"))
        wait_for(lambda: "no address is left in the pool 172.30.255.0/30" in cluster.kubectl("describe", "service", "c"))
        assert cluster.kubectl("get", "service", "c").split()[-3] == "<pending>"
        (cloud,) = cluster.pids("cloud")
        import os
        import signal

        os.kill(cloud, signal.SIGKILL)
        wait_for(lambda: cluster.pids("cloud") not in ([], [cloud]))
        cluster.rollout("deployment/web")
        assert wait_for(lambda: outside(cluster, "172.30.255.2")), "what was announced stays, and is kept"
        cluster.kubectl("delete", "service", "a")
        assert addresses(cluster, "c") == ["172.30.255.1"]
        assert addresses(cluster, "b") == ["172.30.255.2"]
        wait_for(lambda: "Hostname: web-" in outside(cluster, "172.30.255.1"))
