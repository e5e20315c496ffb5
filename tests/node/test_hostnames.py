"""What pods are called, and /etc/hosts, as the kubelet writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from seaway.cluster.node import hostnames
from seaway.cluster.node.hostnames import HostnameError, hosts_of_node, hosts_of_pod, of_kernel, of_pod
from seaway.cluster.node.nodefiles import NodeFiles

LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
MANAGED = "# Kubernetes-managed hosts file.\n" + LOCAL
ALIASES = [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}, {"ip": "1.2.3.4", "hostnames": ["c"]}, {"ip": "::2"}]
ALIASED = "\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n1.2.3.4\tc\n::2\t\n"


def pod(name: str = "p", **spec: object) -> dict:
    return {"metadata": {"name": name, "namespace": "n"}, "spec": spec}


@pytest.mark.parametrize(
    ("tree", "want"),
    [
        (pod(), ("p", "")),
        (pod(hostname="given"), ("given", "")),
        (pod(subdomain="db"), ("p", "db.n.svc.k8s.example")),
        (pod(hostname="given", subdomain="db"), ("given", "db.n.svc.k8s.example")),
        (pod(hostname="given", subdomain="db", hostnameOverride="www.shop.example"), ("www.shop.example", "")),
        (pod("a" * 70), ("a" * 63, "")),
        (pod("a" * 61 + "-.-b"), ("a" * 61, "")),
    ],
)
def test_name_and_domain(tree: dict, want: tuple) -> None:
    assert of_pod(tree, "k8s.example") == want


@pytest.mark.parametrize(
    ("tree", "want"),
    [
        (pod(), "p"),
        (pod(setHostnameAsFQDN=True), "p"),
        (pod(subdomain="db"), "p"),
        (pod(subdomain="db", setHostnameAsFQDN=False), "p"),
        (pod(subdomain="db", setHostnameAsFQDN=True), "p.db.n.svc.cluster.local"),
        (pod("p" * 40, subdomain="db", setHostnameAsFQDN=True), "p" * 40 + ".db.n.svc.cluster.local"),  # 63
        (pod("p" * 41, subdomain="db", setHostnameAsFQDN=True), "p" * 41 + ".db.n.svc.cluster.local"),  # 64
        (pod(hostnameOverride="x" * 60 + ".abc"), "x" * 60 + ".abc"),
        (pod(hostname="given", hostNetwork=True), "node-1"),
        (pod(subdomain="db", setHostnameAsFQDN=True, hostNetwork=True), "node-1"),
    ],
)
def test_the_kernels_name(tree: dict, want: str) -> None:
    assert of_kernel(tree, "node-1", "cluster.local") == want


def test_a_name_that_the_kernel_cannot_hold_is_an_error_in_upstreams_words() -> None:
    tree = pod("p" * 42, subdomain="db", setHostnameAsFQDN=True)
    with pytest.raises(HostnameError) as e:
        of_kernel(tree, "node-1", "cluster.local")
    fqdn = "p" * 42 + ".db.n.svc.cluster.local"
    assert str(e.value) == (f"failed to construct FQDN from pod hostname and cluster domain, FQDN {fqdn} is too long "
                            "(64 characters is the max, 65 characters requested)")


@pytest.mark.parametrize(
    ("tree", "addresses", "want"),
    [
        (pod(), ["10.1.1.1"], MANAGED + "10.1.1.1\tp\n"),
        (pod(), ["10.1.1.1", "fd00::1"], MANAGED + "10.1.1.1\tp\nfd00::1\tp\n"),
        (pod("db-0", subdomain="db"), ["10.1.1.1"], MANAGED + "10.1.1.1\tdb-0.db.n.svc.cluster.local\tdb-0\n"),
        (pod("db-0", subdomain="db", setHostnameAsFQDN=True), ["10.1.1.1", "fd00::1"],
         MANAGED + "10.1.1.1\tdb-0.db.n.svc.cluster.local\tdb-0\nfd00::1\tdb-0.db.n.svc.cluster.local\tdb-0\n"),
        (pod(hostnameOverride="www.shop.example", subdomain="db"), ["10.1.1.1"], MANAGED + "10.1.1.1\twww.shop.example\n"),
        (pod(hostAliases=ALIASES), ["10.1.1.1"], MANAGED + "10.1.1.1\tp\n" + ALIASED),
        (pod(hostAliases=[]), ["10.1.1.1"], MANAGED + "10.1.1.1\tp\n"),
        (pod(hostNetwork=True), ["172.30.0.2"], "# Kubernetes-managed hosts file (host network).\nNODES\n"),
        (pod(hostNetwork=True, hostAliases=ALIASES), ["172.30.0.2"],
         "# Kubernetes-managed hosts file (host network).\nNODES\n" + ALIASED),
    ],
)
def test_the_hosts_file_is_the_kubelets(tree: dict, addresses: list, want: str) -> None:
    assert hosts_of_pod(tree, addresses, "NODES\n", "cluster.local") == want


def test_a_node_has_files_of_its_own_which_pods_may_change_but_not_lead_astray(tmp_path: Path) -> None:
    files = NodeFiles(str(tmp_path), ["172.30.0.1"], ["a.example"])
    assert files.start("node-1", ["172.30.0.2"], "cluster.local") == ""
    assert files.hosts() == hosts_of_node("node-1", ["172.30.0.2"]) == hostnames.LOCAL + "172.30.0.2\tnode-1\n"
    own = tmp_path / "etc" / "resolv.conf"
    assert files.resolv_conf().searches == ("a.example",) and "nameserver 172.30.0.1" in own.read_text()
    own.write_text("nameserver 192.0.2.7\nsearch mine.example\n")
    assert files.resolv_conf().searches == ("mine.example",), "what a pod has written there is the node's now"
    (tmp_path / "etc" / "hosts").write_text("192.0.2.1 kept\n")
    assert files.start("node-1", [], "cluster.local") == "" and files.hosts() == "192.0.2.1 kept\n"
    secret = tmp_path / "secret"
    secret.write_text("192.0.2.1 secret\n")
    for name, read in (("hosts", files.hosts), ("resolv.conf", files.resolv_conf)):
        (tmp_path / "etc" / name).unlink()
        (tmp_path / "etc" / name).symlink_to(secret)
        with pytest.raises(OSError, match="symbolic links"):
            read()
    assert "symbolic links" in files.start("node-1", [], "cluster.local")
