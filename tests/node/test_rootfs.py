"""The files of /etc that the kubelet writes, and the steps of a container's root."""

from __future__ import annotations

import pytest

from seaway.cluster.node.rootfs import Host, hosts_file, points_below, resolv_conf, steps

LOCAL = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (("p", "", ["10.1.1.1"], [], False), LOCAL + "10.1.1.1\tp\n"),
        (("p", "", ["10.1.1.1", "fd00::1"], [], False), LOCAL + "10.1.1.1\tp\nfd00::1\tp\n"),
        (("db-0", "db-0.db.n.svc.cluster.local", ["10.1.1.1"], [], False),
         LOCAL + "10.1.1.1\tdb-0.db.n.svc.cluster.local\tdb-0\n"),
        (("p", "", ["10.1.1.1"], [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}], False),
         LOCAL + "10.1.1.1\tp\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"),
    ],
)
def test_the_hosts_file_is_the_kubelets(arguments: tuple, want: str) -> None:
    assert hosts_file(*arguments) == want


def test_a_pod_on_the_nodes_network_has_no_line_of_its_own() -> None:
    assert "172.30.0.2" not in hosts_file("node", "", ["172.30.0.2"], [], True)


CLUSTER = "search ns.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ({}, CLUSTER),
        ({"dnsPolicy": "ClusterFirst"}, CLUSTER),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, "nameserver 10.96.0.10\n"),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, CLUSTER),
        ({"dnsPolicy": "Default"}, "nameserver 10.96.0.10\n"),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1", "192.0.2.2"]}},
         "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"),
        ({"dnsConfig": {"nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]}},
         CLUSTER.replace("options", "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions")),  # three at most
        ({"dnsConfig": {"searches": ["cluster.local", "example.org"]}},
         CLUSTER.replace("cluster.local\nname", "cluster.local example.org\nname")),
        ({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}, {"name": "edns0"}]}},
         CLUSTER.replace("ndots:5", "ndots:1 edns0")),
    ],
)
def test_resolv_conf_follows_policy_and_config(spec: dict, want: str) -> None:
    assert resolv_conf({"metadata": {"namespace": "ns"}, "spec": spec}, ["10.96.0.10"]) == want


def test_resolv_conf_knows_other_domains_and_both_families() -> None:
    found = resolv_conf({"metadata": {"namespace": "ns"}, "spec": {}}, ["10.96.0.10", "fd00::a"], "k8s.example")
    assert found == ("search ns.svc.k8s.example svc.k8s.example k8s.example\n"
                     "nameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5\n")


HOST = Host((("/bin", "usr/bin"),), ("/usr", "/opt"), ("/etc/ssl/certs",), (("/etc/services", "/etc/services"),), ("/venv",))


def made(mounts: list | None = None, python: bool = False) -> list[dict]:
    return steps(HOST, "H", "R", "name", mounts or [], python)


def test_a_root_has_its_own_files_and_never_the_hosts_homes() -> None:
    found = made()
    texts = {s["path"]: s["text"] for s in found if s["do"] == "file"}
    assert (texts["/etc/hosts"], texts["/etc/resolv.conf"], texts["/etc/hostname"]) == ("H", "R", "name\n")
    sources = {s["source"] for s in found if s["do"] == "bind"} | {p for s in found for p in s.get("lower", ())}
    assert sources == {"/usr", "/opt", "/etc/ssl/certs", "/etc/services"}
    assert all(s["readOnly"] for s in found if s["do"] == "bind")
    modes = {s["path"]: s["mode"] for s in found if s["do"] == "dir"}
    assert (modes["/tmp"], modes["/root"]) == (0o1777, 0o700)


@pytest.mark.parametrize("python", [True, False])
def test_our_own_programs_alone_see_the_interpreter(python: bool) -> None:
    assert ("/venv" in [s.get("source") for s in made(python=python)]) == python


def test_outer_mounts_come_before_inner_ones_and_after_everything_else() -> None:
    mounts = [{"path": "/data/in/deep", "source": "/s3"}, {"path": "/data", "source": "/s1", "readOnly": True},
              {"path": "/data/in", "source": "/s2"}]
    last = made(mounts)[-3:]
    assert [(s["path"], s["readOnly"]) for s in last] == [("/data", True), ("/data/in", False), ("/data/in/deep", False)]


def test_mount_points_in_program_folders_are_made_before_the_overlay() -> None:
    mounts = [{"path": "/usr/share/html", "source": "/s"}, {"path": "/usrlocal", "source": "/s"},
              {"path": "/usr/etc/one", "source": "/s", "file": True}]
    assert points_below("/usr", mounts) == ["share/html"]
    (overlay,) = [s for s in made(mounts) if s["do"] == "overlay" and s["path"] == "/usr"]
    assert overlay["points"] == ["share/html"]
