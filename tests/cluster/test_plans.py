"""Configuration files and layouts; pure."""

from __future__ import annotations

import pytest

from seaway.cluster import config, configfile, layout

HEAD = {"apiVersion": "seaway.dev/v1alpha1", "kind": "Cluster"}


def test_nodes_are_named_as_kind_names_them() -> None:
    found = configfile.parse({**HEAD, "name": "lab", "nodes": [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}]})
    assert [n.name for n in found.nodes] == ["lab-control-plane", "lab-worker", "lab-worker2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodez": []}, "nodez: unknown field"),
        ({"nodes": [{"rol": "x"}]}, "nodes[0].rol: unknown field"),
        ({"nodes": [{"role": "boss"}]}, "nodes[0].role: 'boss'"),
        ({"nodes": [{"role": "worker", "taints": [{"key": "a"}]}]}, "nodes[0].taints[0]: needs"),
        ({"networking": {"ipFamily": "ipv5"}}, "networking.ipFamily: 'ipv5'"),
        ({"networking": {"podSubnet": "nonsense"}}, "networking.podSubnet: "),
        ({"networking": {"apiServerPort": 70000}}, "networking.apiServerPort: 70000"),
        ({"networking": {"dnsDomain": "No_Good"}}, "networking.dnsDomain: 'No_Good' must be"),
        ({"networking": {"dnsDomain": "a..b"}}, "networking.dnsDomain: 'a..b' must be"),
        ({"networking": {"dnsSearch": "x"}}, "networking.dnsSearch: 'x' must be a list"),
        ({"networking": {"dnsSearch": ["-x"]}}, "networking.dnsSearch: ['-x'] must be a list"),
        ({"networking": {"dnsUpstreams": "192.0.2.1"}}, "networking.dnsUpstreams: '192.0.2.1' must be a list"),
        ({"networking": {"dnsUpstreams": ["ns.example"]}}, "networking.dnsUpstreams: 'ns.example' does not"),
        ({"networking": {"nodeLocalDNS": "yes"}}, "networking.nodeLocalDNS: 'yes' must be true or false"),
        ({"name": "No_Good"}, "name: 'No_Good'"),
        ({"kind": "Clutter"}, "apiVersion, kind"),
        ({"nodes": [{"name": "a"}, {"name": "a"}]}, "nodes: two nodes"),
    ],
)
def test_a_wrong_file_names_the_field(change: dict, said: str) -> None:
    with pytest.raises(config.ConfigError, match=said.replace("[", r"\[").replace("]", r"\]")):
        configfile.parse({**HEAD, **change})


@pytest.mark.parametrize("count", [1, 2, 50, 250])
@pytest.mark.parametrize("family", ["ipv4", "ipv6", "dual"])
def test_every_node_has_addresses_and_ranges_of_its_own(count: int, family: str) -> None:
    found = layout.plan(config.ClusterConfig(nodes=config.default_nodes(count), networking=config.Networking(ip_family=family)))
    addresses = [a for n in found.nodes for a in n.addresses] + list(found.router) + list(found.outside)
    assert len(set(addresses)) == len(addresses)
    ranges = [r for n in found.nodes for r in n.pod_ranges]
    assert len(set(ranges)) == len(ranges) == count * len(found.families)
    assert all(r.subnet_of(whole) for r in ranges for whole in found.pod_ranges if whole.version == r.version)
    macs = [layout.mac(n.index, end) for n in found.nodes for end in (1, 2)]
    assert len(set(macs)) == len(macs)


def test_too_many_nodes_for_a_range_are_refused() -> None:
    small = config.Networking(pod_subnets=("10.0.0.0/23", "fd00::/56"))
    with pytest.raises(ValueError, match="has no range left for node 3"):
        layout.plan(config.ClusterConfig(nodes=config.default_nodes(3), networking=small))


ROUTER = "172.30.0.1"


@pytest.mark.parametrize(
    ("networking", "resolvers", "searches", "relayed"),
    [
        ({}, (ROUTER,), None, True),
        ({"ipFamily": "ipv6"}, ("fd00:172:30::1",), None, True),
        ({"dnsSearch": ["a.example", "."]}, (ROUTER,), ("a.example", "."), True),
        ({"dnsSearch": []}, (ROUTER,), (), True),
        ({"dnsUpstreams": []}, (), (), False),
        ({"dnsUpstreams": ["172.30.0.254", "fd00:172:30:0::fffe"], "dnsSearch": ["b"]}, ("172.30.0.254", "fd00:172:30::fffe"), ("b",), False),
    ],
)
def test_nodes_ask_the_machines_name_servers_or_those_of_the_file(
    networking: dict, resolvers: tuple, searches: tuple | None, relayed: bool) -> None:
    found = layout.plan(configfile.parse({**HEAD, "networking": networking}))
    assert (found.resolvers, found.searches, found.relayed, found.domain) == (resolvers, searches, relayed, "cluster.local")


@pytest.mark.parametrize(
    ("words", "resolvers", "relayed"),
    [(["host"], (ROUTER,), True), (["none"], (), False), (["172.30.0.254"], ("172.30.0.254",), False)],
)
def test_a_flag_names_other_name_servers_than_the_file(words: list[str], resolvers: tuple, relayed: bool) -> None:
    base = configfile.parse({**HEAD, "networking": {"dnsUpstreams": ["172.30.0.253"], "dnsDomain": "k8s"}})
    found = layout.plan(config.with_dns_upstreams(base, words))
    assert (found.resolvers, found.relayed, found.domain) == (resolvers, relayed, "k8s")


@pytest.mark.parametrize(("words", "said"), [(["host", "none"], "--dns-upstream: 'host' does not"), (["x"], "--dns-upstream: 'x' does not")])
def test_a_flag_names_addresses(words: list[str], said: str) -> None:
    with pytest.raises(config.ConfigError, match=said):
        config.with_dns_upstreams(config.ClusterConfig(), words)


def test_name_servers_outside_the_clusters_networks_cannot_be_reached_and_are_refused() -> None:
    with pytest.raises(ValueError, match=r"DNS upstream 192\.0\.2\.1: no address inside the cluster's networks .*seaway outside"):
        layout.plan(configfile.parse({**HEAD, "networking": {"dnsUpstreams": ["192.0.2.1"]}}))


@pytest.mark.parametrize(("family", "address"), [("ipv4", "169.254.20.10"), ("dual", "169.254.20.10"), ("ipv6", "fd00::a9fe:140a")])
def test_with_a_cache_on_each_node_pods_ask_that(family: str, address: str) -> None:
    found = layout.plan(configfile.parse({**HEAD, "networking": {"ipFamily": family, "nodeLocalDNS": True}}))
    assert (tuple(map(str, found.node_local)), str(found.pods_ask)) == ((address,), address)
    without = layout.plan(configfile.parse({**HEAD, "networking": {"ipFamily": family}}))
    assert without.node_local == () and without.pods_ask == without.dns_addresses[0]
    both = config.with_node_local_dns(configfile.parse({**HEAD, "networking": {"ipFamily": family}}))
    assert layout.plan(both) == found


def test_a_range_that_holds_the_caches_address_is_refused() -> None:
    networking = {"podSubnet": "169.254.0.0/16", "nodeLocalDNS": True}
    with pytest.raises(ValueError, match=r"networking.nodeLocalDNS: each node's cache answers at 169.254.20.10, which is inside 169.254.0.0/16"):
        layout.plan(configfile.parse({**HEAD, "networking": networking}))
