"""What `seaway dns` is told by flags, and the settings made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seaway.dns.serving.run import BadSettings, from_flags, options, resolved
from seaway.dns.settings import Autopath, Forward, Settings, Upstream


def settings(*words: str) -> Settings:
    return from_flags(options().parse_args(list(words)))


def test_without_flags_it_serves_a_cluster_as_kubeadm_makes_it() -> None:
    found = settings()
    (block,) = found.blocks
    assert block.kubernetes is not None
    assert block.kubernetes.zones == (("cluster", "local"), ("in-addr", "arpa"), ("ip6", "arpa"))
    assert (block.kubernetes.pods, block.kubernetes.ttl) == ("insecure", 5)
    assert block.kubernetes.fallthrough == (("in-addr", "arpa"), ("ip6", "arpa")), "names of the cluster never leave it"
    assert (block.port, block.transport, block.zones, block.binds) == (53, "dns", ((),), ())
    assert block.forwards == (Forward(files=("/etc/resolv.conf",)),)
    assert block.loop
    assert block.loadbalance
    assert block.cache is not None
    assert block.cache.serve_stale == 3600
    assert block.cache.stale_verify
    assert block.autopath is None
    assert (found.health, found.ready, found.metrics, found.lameduck) == (":8080", ":8181", ":9153", 5.0)


def test_flags_say_otherwise() -> None:
    found = settings(
        *("--zone", "Example.Org.", "--port", "5353", "--bind", "127.0.0.1", "--bind", "::1", "--pods", "verified"),
        *("--ttl", "30", "--autopath", "--health-port", "0", "--metrics-port", "0", "--lameduck", "0.5", "--workers", "3"),
        *("--client-limit", "1000", "--upstream", "192.0.2.53", "--upstream", "[2001:db8::1]:5300", "--upstream", "2001:db8::2"),
    )
    (block,) = found.blocks
    assert block.kubernetes is not None
    assert block.kubernetes.zones[0] == ("example", "org")
    assert (block.port, block.binds, block.kubernetes.pods, block.kubernetes.ttl) == (5353, ("127.0.0.1", "::1"), "verified", 30)
    assert block.autopath == Autopath(zones=(("example", "org"),), file="/etc/resolv.conf")
    assert block.forwards == (
        Forward(upstreams=(Upstream("192.0.2.53"), Upstream("2001:db8::1", 5300), Upstream("2001:db8::2"))),
    )
    assert (found.health, found.metrics, found.ready, found.lameduck, found.workers, found.client_limit) == (
        "", "", ":8181", 0.5, 3, 1000,
    )  # fmt: skip


def test_an_empty_upstream_means_that_nothing_is_forwarded() -> None:
    assert settings("--upstream", "").blocks[0].forwards == ()


def test_a_certificate_makes_it_answer_by_tls_as_well() -> None:
    plain, secure = settings("--tls-cert", "a.pem", "--tls-key", "a.key").blocks
    assert (secure.port, secure.transport, secure.loop) == (853, "tls", False)
    assert secure.tls is not None
    assert (secure.tls.certificate, secure.tls.key) == ("a.pem", "a.key")
    assert plain.tls is None
    assert (plain.kubernetes, plain.forwards) == (secure.kubernetes, secure.forwards)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ttl", "-1"), "--ttl -1: must be within 0 and 3600"),
        (("--ttl", "3601"), "--ttl 3601: must be within 0 and 3600"),
        (("--tls-cert", "a.pem"), "--tls-cert and --tls-key go together"),
        (("--tls-key", "a.key"), "--tls-cert and --tls-key go together"),
        (("--upstream", "dns.test"), "--upstream dns.test: must be ADDRESS or ADDRESS:PORT"),
        (("--upstream", "192.0.2.1:x"), "--upstream 192.0.2.1:x: must be ADDRESS or ADDRESS:PORT"),
        (("--upstream", "192.0.2.1:70000"), "--upstream 192.0.2.1:70000: must be ADDRESS or ADDRESS:PORT"),
        (("--upstream", "192.0.2.1:0"), "--upstream 192.0.2.1:0: must be ADDRESS or ADDRESS:PORT"),
        (("--upstream", "[2001:db8::1"), "--upstream [2001:db8::1: must be ADDRESS or ADDRESS:PORT"),
        (("--upstream", "[2001:db8::1]x"), "--upstream [2001:db8::1]x: must be ADDRESS or ADDRESS:PORT"),
        (("--zone", ""), "--zone '': must be a domain name, such as cluster.local"),
        (("--zone", "."), "--zone '.': must be a domain name, such as cluster.local"),
        (("--zone", "a..b"), "--zone 'a..b': must be a domain name, such as cluster.local"),
        (("--port", "0"), "--port 0: must be within 1 and 65535"),
        (("--port", "65536"), "--port 65536: must be within 1 and 65535"),
        (("--metrics-port", "-1"), "--metrics-port -1: must be within 0 and 65535"),
        (("--bind", "localhost"), "--bind localhost: must be an address, such as 127.0.0.1 or ::1"),
        (("--lameduck", "-1"), "--lameduck -1.0: must not be negative"),
        (("--workers", "-1"), "--workers -1: must not be negative"),
        (("--client-limit", "-5"), "--client-limit -5: must not be negative"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(BadSettings) as failed:
        settings(*words)
    assert str(failed.value).startswith(told)


FILES = {
    "/etc/resolv.conf": "search corp.test\nnameserver 192.0.2.1\nnameserver 192.0.2.53 # twice\nnameserver 2001:db8::1\noptions x\n",
    "/other": "nameserver nonsense\n",
}


def upstreams(found: Settings) -> list[str]:
    return [u.host for u in found.blocks[0].forwards[0].upstreams]


def test_the_files_that_name_upstreams_are_read_and_what_was_named_goes_first() -> None:
    assert upstreams(resolved(settings(), FILES.get)) == ["192.0.2.1", "192.0.2.53", "2001:db8::1"]
    both = settings("--upstream", "192.0.2.53")
    forward = both.blocks[0].forwards[0]
    both = replace(both, blocks=(replace(both.blocks[0], forwards=(replace(forward, files=("/etc/resolv.conf", "/other", "/none")),)),))
    assert upstreams(resolved(both, FILES.get)) == ["192.0.2.53", "192.0.2.1", "2001:db8::1"], "each once"


def test_a_file_that_is_not_there_names_nobody() -> None:
    assert upstreams(resolved(settings(), lambda path: None)) == []


def test_reading_the_files_again_finds_what_they_say_then() -> None:
    before = settings()
    resolved(before, FILES.get)
    assert upstreams(resolved(before, lambda path: "nameserver 192.0.2.99\n")) == ["192.0.2.99"]
