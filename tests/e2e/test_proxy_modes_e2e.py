"""Another mode of kube-proxy on a whole cluster, a live switch to the next, and the tracer beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from clusters import CLIENT, Cluster, wait_for, web

from seaway.proxy.ebpf import cgroup

NODE_PORT = """
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: NodePort, selector: {app: web}, sessionAffinity: ClientIP, ports: [{name: http, port: 80, nodePort: 30020}]}
"""
DATAGRAMS = """
apiVersion: v1
kind: Service
metadata: {name: datagrams}
spec: {selector: {app: web}, ports: [{name: discard, protocol: UDP, port: 9}]}
"""
SENDER = """
exec 3<>/dev/udp/%s/9
while [ ! -e /tmp/stop-datagrams ]; do
  if echo x >&3; then echo sent; fi
  sleep 0.1
done >>/tmp/datagrams 2>&1
"""
LOOP = """
while [ ! -e /tmp/stop ]; do
  if curl -s -m 3 -o /dev/null http://web; then echo well; else echo failed; fi >> /tmp/results
  sleep 0.02
done
"""


@pytest.fixture(scope="module")
def iptables() -> Iterator[Cluster]:
    with Cluster("--nodes", "2", "--proxy-mode", "iptables") as cluster:
        cluster.apply(web(2) + "---" + NODE_PORT + "---" + CLIENT)
        cluster.rollout("deployment/web")
        cluster.ready("client")
        yield cluster


def serves(cluster: Cluster) -> None:
    """By name from a pod, in turn; by node port from outside, where the client stays."""
    wait_for(lambda: "Hostname: web-" in cluster.curl("http://web", check=False), what="a request by name")
    names = {cluster.curl("http://web").partition("Hostname: ")[2].partition("\n")[0] for _ in range(16)}
    assert len(names) == 2
    address = next(a["address"] for a in cluster.get("nodes")["items"][0]["status"]["addresses"] if a["type"] == "InternalIP")
    url = f"http://{address}:30020/"
    wait_for(lambda: "Hostname: web-" in cluster.outside("curl", "-s", "-m", "5", url, check=False), what="a request by node port")
    assert len({cluster.outside("curl", "-s", "-m", "5", url).partition("Hostname: ")[2].partition("\n")[0] for _ in range(8)}) == 1


def switch(cluster: Cluster, mode: str) -> str:
    """Restarts the proxies in another mode; what the new ones say."""
    cluster.kubectl("-n", "kube-system", "set", "env", "ds/kube-proxy", f"PROXY_MODE={mode}")
    cluster.kubectl("-n", "kube-system", "rollout", "status", "ds/kube-proxy", "--timeout=80s")
    return cluster.kubectl("-n", "kube-system", "logs", "-l", "k8s-app=kube-proxy")


def test_a_live_switch_between_modes_of_the_kernel_fails_no_request_and_leaves_nothing(iptables: Cluster) -> None:
    serves(iptables)
    iptables.kubectl("exec", "client", "--", "sh", "-c", f"({LOOP}) >/dev/null 2>&1 &")
    wait_for(lambda: iptables.exec("client", "cat", "/tmp/results", check=False).count("well") > 20, what="some requests")
    said = switch(iptables, "nftables")
    assert "removed the chains of iptables-" in said
    told = [e for e in iptables.get("events")["items"] if e["source"].get("component", e.get("reportingComponent")) == "kube-proxy"]
    assert {(e["involvedObject"]["kind"], e["reason"], e["type"]) for e in told} == {("Node", "Starting", "Normal")}
    iptables.exec("client", "touch", "/tmp/stop")
    results = iptables.exec("client", "cat", "/tmp/results").split()
    assert results.count("failed") == 0 and len(results) > 30
    serves(iptables)


def test_the_userspace_mode_serves_a_whole_cluster(iptables: Cluster) -> None:
    switch(iptables, "userspace")
    serves(iptables)
    iptables.namespace = "kube-system"
    try:
        assert iptables.exec("ds/kube-proxy", "curl", "-s", "http://127.0.0.1:10249/proxyMode") == "userspace"
        told = iptables.exec("ds/kube-proxy", "curl", "-s", "http://127.0.0.1:10249/metrics")
        assert 'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1' in told
    finally:
        iptables.namespace = "default"


def test_the_ebpf_mode_serves_a_whole_cluster(iptables: Cluster) -> None:
    with open("/proc/mounts") as f:
        root = cgroup.mounted(f.read())
    if os.geteuid() != 0 or not root or not os.access(root, os.W_OK):
        pytest.skip("socket programs need root and a cgroup hierarchy of version 2")
    switch(iptables, "ebpf")
    serves(iptables)
    peer = iptables.exec("client", "curl", "-s", "-o", "/dev/null", "-w", "%{remote_ip}", "http://web")
    assert peer == iptables.get("service", "web")["spec"]["clusterIP"], "a socket still sees the Service's address"
    a_connected_udp_socket_is_told_that_its_endpoint_is_gone(iptables)


def a_connected_udp_socket_is_told_that_its_endpoint_is_gone(cluster: Cluster) -> None:
    """In a pod, whose sockets the proxy's pod cannot see. Nobody answers at port 9, so what is sent may be refused by the pod too."""
    cluster.apply(DATAGRAMS)
    address = cluster.get("service", "datagrams")["spec"]["clusterIP"]
    wait_for(lambda: len(slices(cluster)) == 2, what="two endpoints")
    cluster.kubectl("exec", "client", "--", "bash", "-c", f"({SENDER % address}) >/dev/null 2>&1 &")
    wait_for(lambda: "sent" in cluster.exec("client", "cat", "/tmp/datagrams", check=False), what="datagrams")
    assert "not permitted" not in cluster.exec("client", "cat", "/tmp/datagrams")
    cluster.kubectl("patch", "service", "datagrams", "--type=merge", "-p", '{"spec": {"selector": {"app": "nobody"}}}')
    wait_for(lambda: "not permitted" in cluster.exec("client", "cat", "/tmp/datagrams"), what="an error for the client's socket")
    cluster.exec("client", "touch", "/tmp/stop-datagrams")
    cluster.kubectl("delete", "service", "datagrams")


def slices(cluster: Cluster) -> list[str]:
    found = cluster.get("endpointslices", "-l", "kubernetes.io/service-name=datagrams")["items"]
    return [a for s in found for e in s["endpoints"] or () for a in e["addresses"]]


def test_the_tracer_says_what_a_node_does_with_a_packet(iptables: Cluster) -> None:
    address = iptables.get("service", "web")["spec"]["clusterIP"]
    pod = iptables.get("pod", "client")["status"]["podIP"]
    found = iptables.seaway("kube-proxy", "trace", "--from", pod, "--to", f"{address}:80").stdout
    assert f"{pod} -> {address}:80/tcp at node" in found and "FORWARD" in found and found.count(f"which sees {pod}") == 2
    found = iptables.seaway("kube-proxy", "trace", "--from", pod, "--to", f"{address}:81").stdout
    assert "FORWARD" in iptables.seaway("kube-proxy", "trace", "--from", "node", "--to", "10.96.0.1:443").stdout
    assert "REJECT" in found and "which has no port 81/tcp" in found
