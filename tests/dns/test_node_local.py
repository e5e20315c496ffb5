"""The cache of a node, as values: flags become settings, a NodeLocal DNSCache Corefile is filled, packet rules are written."""

from __future__ import annotations

import argparse

import pytest

from seaway.dns import corefile, nodelocal
from seaway.dns.corefile.outside import Given
from seaway.dns.nodelocal import BadNodeLocal
from seaway.dns.serving import run
from seaway.dns.serving.run import BadSettings
from seaway.dns.settings import Forward, Settings, Upstream

UPSTREAM, SERVICE = nodelocal.VARIABLES
RESOLV = "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"


def flags(*words: str) -> argparse.Namespace:
    return run.options().parse_args(words)


@pytest.fixture(autouse=True)
def no_services(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in nodelocal.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def settings(*words: str) -> Settings:
    args = flags(*words)
    local = run.local_of(args)
    assert local is not None
    return run.resolved(nodelocal.bound(run.from_flags(args, local), local), lambda path: RESOLV)


def test_the_clusters_zones_go_to_its_dns_by_tcp_and_all_else_to_the_nodes_servers() -> None:
    found = settings("--node-local", "169.254.20.10,fd00::a9fe:140a", "--cluster-dns", "10.96.0.11", "--zone", "Corp.Example.")
    cluster, others = found.blocks
    assert cluster.zones == (("corp", "example"), ("in-addr", "arpa"), ("ip6", "arpa")) and others.zones == ((),)
    assert all(b.binds == ("169.254.20.10", "fd00::a9fe:140a") and b.port == 53 for b in found.blocks)
    assert all(b.kubernetes is None and b.loop and b.cache for b in found.blocks), "the API is not asked"
    assert cluster.forwards == (Forward(upstreams=(Upstream("10.96.0.11"),), force_tcp=True),)
    (forward,) = others.forwards
    assert [u.host for u in forward.upstreams] == ["192.0.2.53", "2001:db8::53"] and not forward.force_tcp


def test_a_cluster_name_is_kept_for_five_seconds_at_most_and_never_stale() -> None:
    cluster, others = settings("--node-local", "169.254.20.10", "--cluster-dns", "10.96.0.11").blocks
    assert cluster.cache and others.cache
    assert (cluster.cache.max_ttl, cluster.cache.denial_max_ttl, cluster.cache.serve_stale, cluster.cache.servfail_ttl) == (5, 5, 0, 0)
    assert (cluster.cache.min_ttl, cluster.cache.denial_min_ttl) == (0, 0), "no longer than the cluster's DNS says"
    assert others.cache.serve_stale == 3600


def test_pages_are_the_addons_and_ports_of_the_node_are_left_to_others() -> None:
    found = settings("--node-local", "fd00::a9fe:140a", "--cluster-dns", "fd00:10:96::b")
    assert (found.health, found.ready, found.metrics) == ("[fd00::a9fe:140a]:8080", "[fd00::a9fe:140a]:8181", ":9253")
    assert (found.lameduck, found.workers) == (0.0, 1)
    other = settings("--node-local", "169.254.20.10", "--cluster-dns", "10.96.0.11", "--health-port=0", "--metrics-port=9000",
                     "--lameduck=2", "--workers=2", "--upstream", "192.0.2.1:5353")  # fmt: skip
    assert (other.health, other.metrics, other.lameduck, other.workers) == ("", ":9000", 2.0, 2)
    assert other.blocks[1].forwards == (Forward(upstreams=(Upstream("192.0.2.1", 5353),)),)


def test_without_node_local_the_flags_mean_what_they_did() -> None:
    found = run.from_flags(flags())
    assert (found.health, found.ready, found.metrics, found.lameduck, found.workers) == (":8080", ":8181", ":9153", 5.0, 0)


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({UPSTREAM: "10.96.0.11", SERVICE: "10.96.0.10"}, "10.96.0.11"),
        ({SERVICE: "10.96.0.10"}, "10.96.0.10"),
        ({UPSTREAM: "", SERVICE: "fd00:10:96::a"}, "fd00:10:96::a"),
    ],
)
def test_the_clusters_dns_is_its_service_where_no_flag_says(environment: dict[str, str], asked: str) -> None:
    assert nodelocal.given("169.254.20.10", (), environment, ("cluster", "local")).cluster == (Upstream(asked),)


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--node-local", "nodelocaldns"], {}, "--node-local nodelocaldns: must be an address, such as 169.254.20.10"),
        (["--node-local", ","], {}, "--node-local needs an address"),
        (["--node-local", "127.0.0.53"], {}, "pods cannot ask there"),
        (["--node-local", "0.0.0.0"], {}, "pods cannot ask there"),
        (["--node-local", "fe80::a"], {}, "known on one link only"),
        (["--node-local", "169.254.20.10"], {}, "needs --cluster-dns ADDRESS"),
        (["--node-local", "169.254.20.10"], {SERVICE: "dns"}, "KUBE_DNS_SERVICE_HOST=dns: must be an address"),
        (["--node-local", "169.254.20.10", "--cluster-dns", "dns"], {}, "--cluster-dns dns: must be ADDRESS"),
        (["--node-local", "169.254.20.10,10.96.0.10"], {SERVICE: "10.96.0.10"}, "make a second Service of the same pods, such as kube-dns-upstream"),
        (["--node-local", "10.96.0.10", "--cluster-dns", "10.96.0.10"], {}, "--cluster-dns 10.96.0.10: is a --node-local address"),
        (["--cluster-dns", "10.96.0.10"], {}, "--cluster-dns goes with --node-local"),
        (["--node-local", "169.254.20.10", "--bind", "10.0.0.1"], {}, "--bind has no meaning beside --node-local"),
        (["--node-local", "169.254.20.10", "--autopath"], {}, "--autopath has no meaning beside --node-local"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(
    words: list[str], environment: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((BadNodeLocal, BadSettings)) as caught:
        run.local_of(flags(*words))
    assert said in str(caught.value)


# k8s.io/kubernetes/cluster/addons/dns/nodelocaldns/nodelocaldns.yaml
ADDON = """
__PILLAR__DNS__DOMAIN__:53 {
    errors
    cache {
            success 9984 30
            denial 9984 5
    }
    reload
    loop
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__CLUSTER__DNS__ {
            force_tcp
    }
    prometheus :9253
    health __PILLAR__LOCAL__DNS__:8080
    }
in-addr.arpa:53 {
    errors
    cache 30
    reload
    loop
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__CLUSTER__DNS__ {
            force_tcp
    }
    prometheus :9253
    }
.:53 {
    errors
    cache 30
    reload
    loop
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . __PILLAR__UPSTREAM__SERVERS__
    prometheus :9253
    }
"""


def test_the_addons_corefile_works_with_the_addresses_of_the_flag() -> None:
    local = nodelocal.given("169.254.20.10", (Upstream("10.96.0.11"),), {}, ("cluster", "local"))
    text = nodelocal.filled(ADDON, local, "/etc/resolv.conf")
    outside = Given(files={"/etc/resolv.conf": RESOLV})
    found = run.resolved(nodelocal.bound(corefile.read(text, outside), local), lambda path: RESOLV)
    assert [b.zones for b in found.blocks] == [(("cluster", "local"),), (("in-addr", "arpa"),), ((),)]
    assert {b.binds for b in found.blocks} == {("169.254.20.10",)}
    assert [u.host for u in found.blocks[0].forwards[0].upstreams] == ["10.96.0.11"] and found.blocks[0].forwards[0].force_tcp
    assert [u.host for u in found.blocks[2].forwards[0].upstreams] == ["192.0.2.53", "2001:db8::53"]
    assert (found.health, found.metrics, found.workers) == ("169.254.20.10:8080", ":9253", 1)


def test_the_addons_corefile_works_with_two_addresses_and_ipv6_first() -> None:
    local = nodelocal.given("fd00::a9fe:140a,10.96.0.10", (Upstream("fd00:10:96::b"),), {}, ("cluster", "local"))
    text = nodelocal.filled(ADDON, local, "/etc/resolv.conf")
    assert "bind fd00::a9fe:140a 10.96.0.10\n" in text and "health [fd00::a9fe:140a]:8080\n" in text and "__PILLAR__" not in text
    found = corefile.read(text, Given(files={"/etc/resolv.conf": RESOLV}))
    assert found.health == "[fd00::a9fe:140a]:8080" and found.blocks[0].forwards[0].upstreams == (Upstream("fd00:10:96::b"),)


def test_a_corefile_that_binds_elsewhere_answers_at_the_flags_addresses() -> None:
    local = nodelocal.given("10.96.0.10", (Upstream("10.96.0.11"),), {}, ("cluster", "local"))
    found = nodelocal.bound(corefile.read(".:53 {\n bind 192.0.2.9\n forward . 192.0.2.1\n multisocket 2\n}\n", Given()), local)
    assert (found.blocks[0].binds, found.workers) == (("10.96.0.10",), 2)


def test_rules_keep_both_directions_of_both_hooks_untracked() -> None:
    local = nodelocal.given("169.254.20.10,10.96.0.10,fd00::a", (Upstream("10.96.0.11"),), {}, ("cluster", "local"))
    lines = nodelocal.rules(nodelocal.bound(run.from_flags(flags(), local), local), local).splitlines()
    assert lines[:3] == ["table inet seaway-dns-local", "delete table inet seaway-dns-local", "table inet seaway-dns-local {"]
    rules = [line.strip() for line in lines if line.endswith("notrack")]
    assert rules == 2 * [
        "ip daddr { 169.254.20.10, 10.96.0.10 } meta l4proto { tcp, udp } th dport { 53 } notrack",
        "ip saddr { 169.254.20.10, 10.96.0.10 } meta l4proto { tcp, udp } th sport { 53 } notrack",
        "ip6 daddr { fd00::a } meta l4proto { tcp, udp } th dport { 53 } notrack",
        "ip6 saddr { fd00::a } meta l4proto { tcp, udp } th sport { 53 } notrack",
    ]
    hooks = [line.strip() for line in lines if "hook" in line]
    assert hooks == [f"type filter hook {hook} priority raw; policy accept;" for hook in ("prerouting", "output")]
