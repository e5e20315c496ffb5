"""hostPort: a port of the node's that leads to a pod, for clients outside, pods elsewhere, the node itself and the pod."""

from __future__ import annotations

from clusters import CLIENT, Cluster, wait_for

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: web, image: traefik/whoami, ports: [{containerPort: 80, hostPort: 8099}]}
  - {name: box, image: debian, command: [sleep, infinity]}
---
apiVersion: v1
kind: Pod
metadata: {name: host}
spec:
  hostNetwork: true
  nodeName: NODE
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: curlimages/curl, command: [sleep, infinity]}]
"""


def test_a_host_port_leads_to_its_pod_from_everywhere_until_the_pod_ends(cluster: Cluster) -> None:
    node = cluster.get("nodes")["items"][0]
    cluster.apply(POD.replace("NODE", node["metadata"]["name"]).replace("metadata: {name: web}\nspec:", f"metadata: {{name: web}}\nspec:\n  nodeName: {node['metadata']['name']}")
                  + "---" + CLIENT)
    for pod in ("web", "client", "host"):
        cluster.ready(pod)
    for address in (a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"):
        url = f"http://[{address}]:8099/" if ":" in address else f"http://{address}:8099/"
        assert "Hostname: web" in cluster.outside("curl", "-sS", "-m", "5", url)
        for pod in ("client", "host"):
            assert "Hostname: web" in cluster.curl(url, pod=pod), pod
        assert "Hostname: web" in cluster.kubectl("exec", "web", "-c", "box", "--", "curl", "-sS", "-m", "5", url), "to itself"
    cluster.kubectl("delete", "pod/web")
    address = node["status"]["addresses"][0]["address"]
    wait_for(lambda: "Couldn't connect" in cluster.curl(f"http://{address}:8099/", check=False), 20, "nothing is left of it")
