"""Services with real packets: who answers, from where, and who is refused."""

from __future__ import annotations

from clusters import CLIENT, Cluster, wait_for, web

UDP = """
apiVersion: v1
kind: Pod
metadata: {name: udp, labels: {app: udp}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: registry.k8s.io/e2e-test-images/agnhost, args: [netexec]}]
---
apiVersion: v1
kind: Service
metadata: {name: udp}
spec: {selector: {app: udp}, ports: [{port: 53, targetPort: 8081, protocol: UDP}]}
"""
ASK_UDP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"hostname", (sys.argv[1], 53))
print(s.recv(100).decode())
"""
DAEMON = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: every}
spec:
  selector: {matchLabels: {app: every}}
  template:
    metadata: {labels: {app: every}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: registry.k8s.io/pause}]
"""


def names(cluster: Cluster, url: str, count: int) -> list[str]:
    loop = f"for i in $(seq {count}); do curl -sS -m 5 {url} | sed -n 's/^Hostname: //p'; done"
    return cluster.exec("client", "sh", "-c", loop).split()


def test_a_pod_calls_a_service_by_its_name(client: Cluster) -> None:
    client.apply(web())
    client.rollout("deployment/web")
    assert "Hostname: web-" in wait_for(lambda: client.curl("http://web", check=False))


def test_a_pod_calls_a_service_of_another_namespace(client: Cluster) -> None:
    own = client.namespace
    client.kubectl("create", "namespace", f"{own}-other")
    try:
        client.namespace = f"{own}-other"
        client.apply(web(name="api"))
        client.rollout("deployment/api")
        client.namespace = own
        assert "Hostname: api-" in client.curl(f"http://api.{own}-other")
        assert "Hostname: api-" in client.curl(f"http://api.{own}-other.svc.cluster.local")
    finally:
        client.namespace = own
        client.kubectl("delete", "namespace", f"{own}-other", "--wait=false")


def test_every_ready_pod_answers_and_a_scale_up_shows(client: Cluster) -> None:
    client.apply(web(2))
    client.rollout("deployment/web")
    wait_for(lambda: len(set(names(client, "http://web", 20))) == 2)
    client.kubectl("scale", "deployment/web", "--replicas=4")
    client.rollout("deployment/web")
    wait_for(lambda: len(set(names(client, "http://web", 40))) == 4)


def test_a_node_port_answers_outside_and_on_every_node(cluster: Cluster) -> None:
    cluster.apply(web(1, extra=", type: NodePort"))
    cluster.rollout("deployment/web")
    port = cluster.get("service", "web")["spec"]["ports"][0]["nodePort"]
    for node in cluster.get("nodes")["items"]:
        for address in (a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"):
            if ":" in address:
                continue  # the Service is single-stack: its node port is of its own family
            url = f"http://{address}:{port}"
            wait_for(lambda url=url: "Hostname: web-" in cluster.outside("curl", "-sS", "-m", "5", url, check=False))
            inside = cluster.outside("curl", "-sS", "-m", "5", url, origin=node["metadata"]["name"])
            assert "Hostname: web-" in inside


def test_a_pod_reaches_itself_through_its_own_service(cluster: Cluster) -> None:
    cluster.apply(web(1))
    cluster.rollout("deployment/web")
    wait_for(lambda: "Hostname: web-" in cluster.curl("http://web", pod="deploy/web", check=False))


def test_a_node_reaches_cluster_ips(cluster: Cluster) -> None:
    cluster.apply(web(1))
    cluster.rollout("deployment/web")
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    wait_for(lambda: "Hostname: web-" in cluster.outside("curl", "-sS", "-m", "3", f"http://{address}", origin=node, check=False))


def test_a_service_without_endpoints_is_refused_at_once(client: Cluster) -> None:
    client.apply(web(0))
    wait_for(lambda: "exit code 7" in client.curl("http://web", check=False), what="a refused connection")


def test_an_undefined_port_of_a_cluster_ip_is_refused(client: Cluster) -> None:
    client.apply(web(1))
    client.rollout("deployment/web")
    wait_for(lambda: "exit code 7" in client.curl("http://web:81", check=False), what="a refused connection")


def test_udp_reaches_a_pod_through_a_service(cluster: Cluster) -> None:
    cluster.apply(UDP)
    cluster.apply(CLIENT.replace("curlimages/curl", "python:3"))
    cluster.ready("udp")
    cluster.ready("client")
    address = cluster.get("service", "udp")["spec"]["clusterIP"]
    wait_for(lambda: cluster.exec("client", "python3", "-c", ASK_UDP, address, check=False).strip() == "udp")


def test_a_dual_stack_service_answers_in_both_families(client: Cluster) -> None:
    client.apply(web(1, extra=", ipFamilyPolicy: RequireDualStack"))
    client.rollout("deployment/web")
    four, six = client.get("service", "web")["spec"]["clusterIPs"]
    for url in (f"http://{four}", f"http://[{six}]"):
        wait_for(lambda url=url: "Hostname: web-" in client.curl(url, "-g", check=False))
    assert "Hostname: web-" in client.curl("http://web", "-6")


def test_a_rolling_update_under_load_loses_nothing(client: Cluster) -> None:
    client.apply(web(3))
    client.rollout("deployment/web")
    wait_for(lambda: "Hostname" in client.curl("http://web", check=False))
    load = "while [ ! -e /tmp/stop ]; do curl -s -o /dev/null -m 3 -w '%{http_code}\\n' http://web >> /tmp/out; done"
    client.exec("client", "sh", "-c", f"({load}) >/dev/null 2>&1 &")
    client.kubectl("rollout", "restart", "deployment/web")
    client.rollout("deployment/web")
    client.exec("client", "touch", "/tmp/stop")
    results = client.exec("client", "cat", "/tmp/out").split()
    assert len(results) > 20 and set(results) == {"200"}


def test_a_daemon_set_runs_on_every_node(cluster: Cluster) -> None:
    cluster.apply(DAEMON)
    nodes = {n["metadata"]["name"] for n in cluster.get("nodes")["items"]}
    wait_for(lambda: {p["spec"].get("nodeName") for p in cluster.get("pods", "-l", "app=every")["items"]} == nodes)
    cluster.rollout("daemonset/every")
