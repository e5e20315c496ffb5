"""What pods are called and whom they ask for names: each dnsPolicy, dnsConfig, hostAliases, host names and their limits."""

from __future__ import annotations

import os
import signal

from clusters import Cluster, wait_for

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  {spec}
  containers: [{{name: c, image: busybox, command: [sleep, infinity]}}]
---
"""
PODS = {
    "first": "dnsPolicy: ClusterFirst",
    "first-on-host": "hostNetwork: true",
    "first-with-host": "{hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet}",
    "default": "dnsPolicy: Default",
    "none": "{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.1, '2001:db8::1'], searches: [a.example], options: [{name: ndots, value: '2'}, {name: edns0}]}}",
    "merged": "dnsConfig: {nameservers: [192.0.2.1], searches: [cluster.local, shop.example], options: [{name: ndots, value: '1'}, {name: use-vc}]}",
    "too-much": "dnsConfig: {nameservers: [192.0.2.1, 192.0.2.2, 192.0.2.3], searches: [" + ", ".join(f"d{i}.example" for i in range(30)) + "]}",
    "named": "{hostname: given, subdomain: db, hostAliases: [{ip: 192.0.2.9, hostnames: [foo.local, bar.local]}, {ip: '2001:db8::9', hostnames: [six]}]}",
    "full": "{hostname: given, subdomain: db, setHostnameAsFQDN: true}",
    "override": "{hostname: given, subdomain: db, hostnameOverride: www.shop.example}",
    "aliased-on-host": "{hostNetwork: true, hostAliases: [{ip: 192.0.2.9, hostnames: [foo.local]}]}",
    "too-long": "{hostname: " + "x" * 50 + ", subdomain: db, setHostnameAsFQDN: true}",
}
NODE = "# Kubernetes-managed hosts file (host network).\n"


def pod(name: str, spec: str) -> str:
    lines = spec[1:-1] if spec.startswith("{") else spec
    return POD.format(name=name, spec="\n  ".join(_fields(lines)))


def _fields(text: str) -> list[str]:
    """`a: 1, b: {c: 2, d: 3}` in its outermost fields."""
    found, depth, start = [], 0, 0
    for at, letter in enumerate(text + ","):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
    return found


def messages(cluster: Cluster, name: str, reason: str) -> list[str]:
    selector = f"involvedObject.name={name},reason={reason}"
    return sorted(e["message"] for e in cluster.get("events", f"--field-selector={selector}")["items"])


def test_names_of_pods_are_the_kubelets(cluster: Cluster) -> None:
    cluster.apply("".join(pod(n, s) for n, s in PODS.items()))
    cluster.kubectl("wait", "--for=condition=Ready", *(f"pod/{n}" for n in PODS if n != "too-long"), "--timeout=60s")

    def cat(name: str, file: str) -> str:
        return cluster.exec(name, "cat", f"/etc/{file}")

    own = f"{cluster.namespace}.svc.cluster.local svc.cluster.local cluster.local"
    first = f"search {own}\nnameserver 10.96.0.10\noptions ndots:5\n"
    assert cat("first", "resolv.conf") == cat("first-with-host", "resolv.conf") == cat("named", "resolv.conf") == first
    assert cat("default", "resolv.conf") == cat("first-on-host", "resolv.conf") == "", "these nodes ask nobody"
    for name in ("first", "first-with-host"):
        assert cluster.exec(name, "getent", "ahostsv4", "kubernetes.default").split()[0] == "10.96.0.1"
    assert cat("none", "resolv.conf") == "search a.example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions ndots:2 edns0\n"
    assert cat("merged", "resolv.conf") == (
        f"search {own} shop.example\nnameserver 10.96.0.10\nnameserver 192.0.2.1\noptions ndots:1 use-vc\n")

    searches = f"{own} " + " ".join(f"d{i}.example" for i in range(29))
    servers = "10.96.0.10 192.0.2.1 192.0.2.2"
    lines = cat("too-much", "resolv.conf").splitlines()
    assert lines == [f"search {searches}", *(f"nameserver {s}" for s in servers.split()), "options ndots:5"]
    assert messages(cluster, "too-much", "DNSConfigForming") == [
        f"Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {servers}",
        f"Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {searches}"]

    domain = f"db.{cluster.namespace}.svc.cluster.local"
    addresses = [i["ip"] for i in cluster.get("pod", "named")["status"]["podIPs"]]
    hosts = cat("named", "hosts")
    assert hosts.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert hosts.endswith("".join(f"{a}\tgiven.{domain}\tgiven\n" for a in addresses)
                          + "\n# Entries added by HostAliases.\n192.0.2.9\tfoo.local\tbar.local\n2001:db8::9\tsix\n")
    assert cluster.exec("named", "getent", "hosts", "bar.local").split() == ["192.0.2.9", "foo.local", "bar.local"]
    script = "hostname; hostname -f; cat /etc/hostname; echo $HOSTNAME"
    for name, want in (("named", ["given", f"given.{domain}", "given", "given"]), ("full", [f"given.{domain}"] * 4),
                       ("override", ["www.shop.example"] * 4)):
        assert cluster.exec(name, "sh", "-c", script).split() == want, name
    node = cluster.get("pod", "aliased-on-host")["spec"]["nodeName"]
    assert cluster.exec("aliased-on-host", "hostname").strip() == node
    hosts = cat("aliased-on-host", "hosts")
    assert hosts.startswith(NODE + "127.0.0.1\tlocalhost\n") and f"\t{node}\n" in hosts
    assert hosts.endswith("\n# Entries added by HostAliases.\n192.0.2.9\tfoo.local\n")
    assert "foo.local" not in cat("first-on-host", "hosts")

    fqdn = f"{'x' * 50}.{domain}"
    said = ("Failed to create pod sandbox: failed to construct FQDN from pod hostname and cluster domain, "
            f"FQDN {fqdn} is too long (64 characters is the max, {len(fqdn)} characters requested)")
    assert messages(cluster, "too-long", "FailedCreatePodSandBox") == [said]
    status = wait_for(lambda: cluster.get("pod", "too-long")["status"].get("containerStatuses"))[0]
    assert status["state"] == {"waiting": {"reason": "ContainerCreating"}}


def test_a_pods_resolv_conf_is_its_own_for_life_and_a_restarted_agent_knows_it(cluster: Cluster) -> None:
    ending = "[sh, -c, 'trap exit TERM; sleep infinity & wait']"
    cluster.apply(pod("kept", "dnsConfig: {searches: [kept.example]}").replace("[sleep, infinity]", ending))
    cluster.ready("kept")
    want = cluster.exec("kept", "cat", "/etc/resolv.conf")
    assert "kept.example" in want
    node = cluster.get("pod", "kept")["spec"]["nodeName"]
    (pid,) = cluster.pids(f"agent-{node}")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: cluster.pids(f"agent-{node}") not in ([pid], [0]))
    wait_for(lambda: "search" in cluster.exec("kept", "cat", "/etc/resolv.conf", check=False))
    cluster.exec("kept", "kill", "1", check=False)
    wait_for(lambda: cluster.get("pod", "kept")["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert wait_for(lambda: (t := cluster.exec("kept", "cat", "/etc/resolv.conf", check=False)).startswith("search") and t) == want
