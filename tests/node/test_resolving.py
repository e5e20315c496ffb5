"""resolv.conf of pods: the kubelet's rules as tables (pkg/kubelet/network/dns/dns_test.go has the same kind)."""

from __future__ import annotations

import pytest

from seaway.cluster.node.resolving import ResolvConf, ResolvConfError, beyond_limits, of_node, of_pod, parse

NODE = ResolvConf(("172.30.0.1",), ("corp.example", "example"), ("timeout:1", "edns0"))
OWN = "ns.svc.cluster.local svc.cluster.local cluster.local"
FIRST = f"search {OWN} corp.example example\nnameserver 10.96.0.10\noptions ndots:5\n"
DEFAULT = "search corp.example example\nnameserver 172.30.0.1\noptions timeout:1 edns0\n"


def made(spec: dict, node: ResolvConf = NODE, cluster: tuple = ("10.96.0.10",), domain: str = "cluster.local") -> tuple:
    found, warnings = of_pod({"metadata": {"namespace": "ns"}, "spec": spec}, node, cluster, domain)
    return found.text(), warnings


def config(**fields: object) -> dict:
    return {"dnsConfig": fields}


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ({}, FIRST),
        ({"dnsPolicy": "ClusterFirst"}, FIRST),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, DEFAULT),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, FIRST),
        ({"dnsPolicy": "ClusterFirstWithHostNet"}, FIRST),
        ({"dnsPolicy": "Default"}, DEFAULT),
        ({"dnsPolicy": "Default", "hostNetwork": True}, DEFAULT),
        ({"dnsPolicy": "None", **config(nameservers=["192.0.2.1"])}, "nameserver 192.0.2.1\n"),
        ({"dnsPolicy": "None", "hostNetwork": True, **config(nameservers=["192.0.2.1"])}, "nameserver 192.0.2.1\n"),
        ({"dnsPolicy": "None", **config(nameservers=["192.0.2.2", "192.0.2.1"], searches=["x", "y"], options=[{"name": "ndots", "value": "1"}])},
         "search x y\nnameserver 192.0.2.2\nnameserver 192.0.2.1\noptions ndots:1\n"),
        ({"dnsPolicy": "Default", **config(nameservers=["192.0.2.1"])},
         DEFAULT.replace("172.30.0.1\n", "172.30.0.1\nnameserver 192.0.2.1\n")),
    ],
)
def test_each_policy_asks_whom_it_says(spec: dict, want: str) -> None:
    assert made(spec) == (want, ())


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({}, FIRST),
        ({"nameservers": ["192.0.2.1", "10.96.0.10"]}, FIRST.replace(".10\n", ".10\nnameserver 192.0.2.1\n")),
        ({"searches": ["cluster.local", "shop.example", "example"]}, FIRST.replace("corp.example example", "corp.example example shop.example")),
        ({"searches": ["."]}, FIRST.replace(" example\n", " example .\n")),
        ({"options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}, FIRST.replace("ndots:5", "ndots:2 edns0")),
        ({"options": [{"name": "ndots"}]}, FIRST.replace("ndots:5", "ndots")),
        ({"options": [{"name": "ndots", "value": ""}]}, FIRST.replace("ndots:5", "ndots")),
        ({"options": [{"name": "ndots", "value": "2"}, {"name": "ndots", "value": "3"}]}, FIRST.replace("ndots:5", "ndots:3")),
    ],
)
def test_the_pods_own_words_are_merged_after_the_policys(fields: dict, want: str) -> None:
    assert made(config(**fields)) == (want, ())


def test_options_of_the_node_give_way_to_the_pods_by_name() -> None:
    text, _ = made({"dnsPolicy": "Default", **config(options=[{"name": "timeout", "value": "9"}, {"name": "rotate"}])})
    assert text.endswith("options timeout:9 edns0 rotate\n")


def test_domains_and_both_families_come_from_the_cluster() -> None:
    text, _ = made({}, ResolvConf(), ("10.96.0.10", "fd00::a"), "k8s.example")
    assert text == "search ns.svc.k8s.example svc.k8s.example k8s.example\nnameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5\n"


def test_a_search_domain_of_the_node_that_is_the_clusters_counts_once() -> None:
    assert made({}, ResolvConf(searches=("svc.cluster.local", "x")))[0].splitlines()[0] == f"search {OWN} x"


SERVERS = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
SEARCHES = "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
MANY = [f"d{i}.example" for i in range(40)]
LONG = [f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{i:02}" for i in range(20)]


@pytest.mark.parametrize(
    ("spec", "servers", "searches", "warnings"),
    [
        (config(nameservers=["192.0.2.1", "192.0.2.2", "192.0.2.3"]), ["10.96.0.10", "192.0.2.1", "192.0.2.2"], None,
         (SERVERS + "10.96.0.10 192.0.2.1 192.0.2.2",)),
        ({"dnsPolicy": "None", **config(nameservers=["192.0.2.1"], searches=MANY[:32])}, ["192.0.2.1"], MANY[:32], ()),
        ({"dnsPolicy": "None", **config(nameservers=["192.0.2.1"], searches=MANY)}, ["192.0.2.1"], MANY[:32],
         (SEARCHES + " ".join(MANY[:32]),)),
        ({"dnsPolicy": "None", **config(nameservers=["192.0.2.1"], searches=LONG)}, ["192.0.2.1"], LONG[:11],
         (SEARCHES + " ".join(LONG[:11]),)),  # 185 characters each, 2045 with their spaces
        ({"dnsPolicy": "None", **config(nameservers=["192.0.2.1"], searches=["a", "x" * 254, "b", "y" * 253])}, ["192.0.2.1"],
         ["a", "b", "y" * 253], (SEARCHES + "a b " + "y" * 253,)),
        (config(nameservers=["192.0.2.1", "192.0.2.2", "192.0.2.3"], searches=MANY), ["10.96.0.10", "192.0.2.1", "192.0.2.2"],
         [*OWN.split(), "corp.example", "example", *MANY[:27]],
         (SERVERS + "10.96.0.10 192.0.2.1 192.0.2.2", SEARCHES + " ".join([OWN, "corp.example", "example", *MANY[:27]]))),
    ],
)
def test_what_is_beyond_a_resolvers_limits_is_left_out_and_said(
    spec: dict, servers: list, searches: list | None, warnings: tuple) -> None:
    text, said = made(spec)
    found = parse(text)
    assert found.servers == tuple(servers) and said == warnings
    assert searches is None or found.searches == tuple(searches)
    assert len(" ".join(found.searches)) <= 2048


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", ResolvConf()),
        (" ", ResolvConf()),
        ("\n\t\n", ResolvConf()),
        ("nameserver 1.2.3.4", ResolvConf(("1.2.3.4",))),
        (" \tnameserver\t 1.2.3.4 more \nnameserver fe80::1%eth0", ResolvConf(("1.2.3.4", "fe80::1%eth0"))),
        ("#nameserver 1.2.3.4\n  # search x", ResolvConf()),
        ("nameserverx 1.2.3.4\nsortlist 1.2.3.4", ResolvConf()),
        ("search a b\nsearch c. .", ResolvConf(searches=("c", "."))),
        ("search a\nsearch", ResolvConf()),
        ("options ndots:5 attempts:2\noptions ndots:1 rotate", ResolvConf(options=("ndots:1", "attempts:2", "rotate"))),
    ],
)
def test_a_resolv_conf_is_read_as_upstream_reads_it(text: str, want: ResolvConf) -> None:
    assert parse(text) == want


def test_a_name_server_without_an_address_is_an_error() -> None:
    with pytest.raises(ResolvConfError, match="nameserver list is empty "):
        parse("search x\nnameserver\nnameserver")


@pytest.mark.parametrize(
    ("searches", "domain", "said"),
    [
        (MANY[:29], "cluster.local", ""),
        (MANY[:30], "cluster.local", "Resolv.conf file '/r' contains search line consisting of more than 29 domains!"),
        (MANY[:32], "", ""),
        (MANY[:33], "", "Resolv.conf file '/r' contains search line consisting of more than 32 domains!"),
        (["x" * 254], "cluster.local", 'Resolv.conf file "/r" contains a search path which length is more than allowed 253 chars!'),
        (LONG, "cluster.local", "Resolv.conf file '/r' contains search line which length is more than allowed 2048 chars!"),
    ],
)
def test_a_node_says_what_of_its_file_pods_cannot_be_given(searches: list, domain: str, said: str) -> None:
    assert beyond_limits(ResolvConf(searches=tuple(searches)), "/r", domain) == said


@pytest.mark.parametrize(
    ("machine", "servers", "searches", "want"),
    [
        ("nameserver 192.0.2.9\nsearch a b\noptions rotate", ["172.30.0.1"], None, ResolvConf(("172.30.0.1",), ("a", "b"), ("rotate",))),
        ("nameserver 192.0.2.9\nsearch a b\noptions rotate", ["172.30.0.1"], ["c"], ResolvConf(("172.30.0.1",), ("c",))),
        ("nameserver", ["172.30.0.1"], None, ResolvConf(("172.30.0.1",))),
        ("search a", [], [], ResolvConf()),
    ],
)
def test_a_node_has_its_own_servers_and_the_machines_domains(machine: str, servers: list, searches: list | None, want: ResolvConf) -> None:
    assert parse(of_node(machine, servers, searches)) == want
