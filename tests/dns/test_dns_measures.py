"""The workers' counts as CoreDNS's metrics, read by a parser of the exposition format."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from seaway.dns import measures
from seaway.dns.settings import Autopath, Block, Cache, Forward, Kubernetes, Settings, Upstream
from seaway.dns.tally import DURATIONS, SIZES, Histogram, Row, Tally, added, pack, unpack

BLOCK = Block(kubernetes=Kubernetes(), cache=Cache(), forwards=(Forward(upstreams=(Upstream("192.0.2.53"),)),), loadbalance=True, loop=True)
SETTINGS = Settings(blocks=(BLOCK, Block(zones=(("corp", "test"),), port=5353, autopath=Autopath())))
# What dashboards and alerts made for CoreDNS ask for (coredns.io/plugins/metrics, cache, forward; the kubernetes-mixin).
NAMES = {
    "coredns_build_info", "coredns_dns_requests", "coredns_dns_responses", "coredns_dns_do_requests",
    "coredns_dns_request_duration_seconds", "coredns_dns_request_size_bytes", "coredns_dns_response_size_bytes",
    "coredns_cache_entries", "coredns_cache_hits", "coredns_cache_misses", "coredns_cache_requests", "coredns_cache_prefetch",
    "coredns_cache_served_stale", "coredns_cache_evictions", "coredns_forward_max_concurrent_rejects",
    "coredns_proxy_request_duration_seconds", "coredns_proxy_healthcheck_failures", "coredns_panics", "coredns_plugin_enabled",
}  # fmt: skip
Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def filled() -> Tally:
    tally = Tally()
    tally.add("requests", (".", "udp", "1", "A"), 3)
    tally.add("requests", (".", "tcp", "2", "AAAA"))
    tally.add("responses", (".", "NOERROR", "kubernetes"), 2)
    tally.add("do", (".",))
    tally.add("cache_hits", ("success",), 5)
    tally.set("cache_entries", ("denial",), 7)
    tally.add("panics", (), 1)
    tally.add("probe_failures", ("192.0.2.53:53",), 2)
    tally.add("acl", ("block", 'a"b\\c.'))
    for seconds in (0.0001, 0.00025, 0.3, 9.0):
        tally.histogram("duration", (".",), DURATIONS).observe(seconds)
    tally.histogram("request_size", (".", "udp"), SIZES).observe(60.0, 4)
    tally.histogram("upstream", ("192.0.2.53:53", "NXDOMAIN"), DURATIONS).observe(0.003)
    return tally


def parsed(rows: list[Row], settings: Settings = SETTINGS) -> tuple[set[str], Samples]:
    names, samples = set(), Samples()
    for family in text_string_to_metric_families(measures.exposition(rows, settings)):
        names.add(family.name)
        assert family.documentation
        for sample in family.samples:
            found = samples.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found, "a sample is there once"
            found[labels] = sample.value
    return names, samples


def test_the_names_are_those_that_dashboards_for_coredns_read() -> None:
    names, _ = parsed(filled().rows())
    assert names >= NAMES
    assert all(name.startswith("coredns_") for name in names)


def test_nothing_has_happened_yet_is_an_exposition_too() -> None:
    names, samples = parsed([])
    assert names >= NAMES
    assert samples["coredns_panics_total"] == {(): 0}
    assert list(samples["coredns_cache_misses_total"].values()) == [0]


def one(samples: Samples, name: str, **labels: str) -> float:
    found = [value for own, value in samples[name].items() if labels.items() <= dict(own).items()]
    assert len(found) == 1, (name, labels, samples[name])
    return found[0]


def test_counts_have_coredns_labels() -> None:
    _, samples = parsed(filled().rows())
    server = {"server": "dns://:53", "view": ""}
    assert one(samples, "coredns_dns_requests_total", zone=".", proto="udp", family="1", type="A", **server) == 3
    assert one(samples, "coredns_dns_responses_total", zone=".", rcode="NOERROR", plugin="kubernetes", **server) == 2
    assert one(samples, "coredns_dns_do_requests_total", zone=".", **server) == 1
    assert one(samples, "coredns_cache_hits_total", type="success", zones=".", **server) == 5
    assert one(samples, "coredns_cache_entries", type="denial", zones=".", **server) == 7
    assert one(samples, "coredns_proxy_healthcheck_failures_total", to="192.0.2.53:53", proxy_name="forward") == 2
    assert one(samples, "coredns_seaway_acl_total", action="block", zone='a"b\\c.') == 1


def test_histograms_add_up() -> None:
    _, samples = parsed(filled().rows())
    buckets = {
        dict(labels)["le"]: value for labels, value in samples["coredns_dns_request_duration_seconds_bucket"].items()
    }
    ordered = [buckets[bound] for bound in sorted(buckets, key=float)]
    assert ordered == sorted(ordered)
    assert (buckets["0.00025"], buckets["0.256"], buckets["0.512"], buckets["8.192"], buckets["+Inf"]) == (2, 2, 3, 3, 4)
    assert one(samples, "coredns_dns_request_duration_seconds_count", zone=".") == 4
    assert one(samples, "coredns_dns_request_duration_seconds_sum", zone=".") == pytest.approx(9.30035)
    assert len(buckets) == len(DURATIONS) + 1
    assert one(samples, "coredns_dns_request_size_bytes_bucket", le="100.0", zone=".", proto="udp") == 4
    assert one(samples, "coredns_proxy_request_duration_seconds_count", to="192.0.2.53:53", rcode="NXDOMAIN") == 1


def test_each_zone_says_which_plugins_it_has() -> None:
    _, samples = parsed([])
    on = {(dict(labels)["zone"], dict(labels)["name"]) for labels in samples["coredns_plugin_enabled"]}
    dot = {(".", plugin) for plugin in ("cache", "forward", "kubernetes", "loadbalance", "loop")}
    assert on == {*dot, ("corp.test.", "autopath")}


def test_the_counts_of_workers_travel_and_add_up() -> None:
    rows = filled().rows()
    assert unpack(pack(rows)) == rows
    total = added([rows, unpack(pack(rows)), []])
    once, twice = parsed(rows)[1], parsed(total)[1]
    for name, values in once.items():
        if name not in ("coredns_build_info", "coredns_plugin_enabled"):
            for labels, value in values.items():
                assert twice[name][labels] == pytest.approx(2 * value), name


def test_a_value_on_a_bound_is_within_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.0, 0.1, 0.10001, 1.0, 1.5, math.inf):
        histogram.observe(value)
    assert histogram.buckets == [2, 2, 2]
