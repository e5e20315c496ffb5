"""Lines that CoreDNS takes, with the exact value that each becomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seaway.dns.corefile import read
from seaway.dns.corefile.outside import Given
from seaway.dns.settings import (
    AccessRule,
    Autopath,
    Block,
    Cache,
    Consolidation,
    Errors,
    Forward,
    Hosts,
    Kubernetes,
    Log,
    Rewrite,
    Settings,
    Tls,
    Upstream,
)

OUTSIDE = Given(
    files={"resolv.conf": "nameserver 192.0.2.1\n", "search.conf": "search a.test\n", "/etc/hosts": ""},
    environment={"UPSTREAM": "192.0.2.9", "ZONE": "env.test", "PROPERTY": "ttl"},
    hosts={"ns.example.test": ("192.0.2.7", "2001:db8::7")},
    interfaces={"eth0": ("10.0.0.2", "fd00::2")},
)
TEST = ("example", "test")
LOCAL = ("cluster", "local")
K = Kubernetes(zones=(LOCAL,))
F = Forward(upstreams=(Upstream("192.0.2.1"),))
ALL = ((),)


def settings(text: str) -> Settings:
    return read(text, OUTSIDE)


def block(text: str) -> Block:
    return settings("example.test {\n" + text + "\n}\n").blocks[0]


def inside(head: str, properties: str) -> str:
    return head + " {\n" + properties + "\n}"


KUBERNETES = [
    ("", K),
    ("pods disabled", K),
    ("pods insecure", replace(K, pods="insecure")),
    ("pods verified", replace(K, pods="verified")),
    ("endpoint_pod_names", replace(K, endpoint_pod_names=True)),
    ("ttl 0", replace(K, ttl=0)),
    ("ttl 3600", replace(K, ttl=3600)),
    ("ttl 30 and more", replace(K, ttl=30)),
    ("noendpoints", replace(K, noendpoints=True)),
    ("ignore empty_service", replace(K, ignore_empty_service=True)),
    ("ignore", K),
    ("namespaces a b", replace(K, namespaces=("a", "b"))),
    ("namespaces a\nnamespaces b a", replace(K, namespaces=("a", "b"))),
    ("labels app=web", replace(K, labels="app=web")),
    ("labels app in (a, b), !old", replace(K, labels="app in (a, b), !old")),
    ("namespace_labels istio-injection=enabled", replace(K, namespace_labels="istio-injection=enabled")),
    ("fallthrough", replace(K, fallthrough=ALL)),
    ("fallthrough IN-ADDR.arpa ip6.arpa.", replace(K, fallthrough=(("in-addr", "arpa"), ("ip6", "arpa")))),
    ("fallthrough 10.0.0.0/8", replace(K, fallthrough=(("10", "in-addr", "arpa"),))),
    ("startup_timeout 1m30s", replace(K, startup_timeout=90.0)),
    ("startup_timeout 0", replace(K, startup_timeout=0.0)),
    ("{$PROPERTY} 7", replace(K, ttl=7)),
    ("ttl 5\nttl 6", replace(K, ttl=6)),
]


@pytest.mark.parametrize(("properties", "expected"), KUBERNETES)
def test_properties_of_kubernetes(properties: str, expected: Kubernetes) -> None:
    assert block(inside("kubernetes cluster.local", properties)).kubernetes == expected


@pytest.mark.parametrize(
    ("args", "zones"),
    [
        ("", (TEST,)),
        ("cluster.local", (LOCAL,)),
        ("Cluster.LOCAL. 10.96.0.0/12", (LOCAL, *((str(n), "10", "in-addr", "arpa") for n in range(96, 112)))),
        ("cluster.local fd00::/8", (LOCAL, ("d", "f", "ip6", "arpa"))),
        ("dns://cluster.local:53", (LOCAL,)),
        (".", ALL),
    ],
)
def test_zones_of_kubernetes(args: str, zones: tuple) -> None:
    found = block(f"kubernetes {args}").kubernetes
    assert found is not None and found.zones == zones


FORWARD = [
    ("forward . 192.0.2.1", F),
    ("forward . 192.0.2.1:5353", replace(F, upstreams=(Upstream("192.0.2.1", 5353),))),
    ("forward . dns://192.0.2.1", F),
    ("forward . 192.0.2.1 192.0.2.1:53 192.0.2.2", replace(F, upstreams=(Upstream("192.0.2.1"), Upstream("192.0.2.2")))),
    ("forward . 2001:db8::1", replace(F, upstreams=(Upstream("2001:db8::1"),))),
    ("forward . [2001:db8::1]:5353", replace(F, upstreams=(Upstream("2001:db8::1", 5353),))),
    ("forward . fe80::1%eth0", replace(F, upstreams=(Upstream("fe80::1%eth0"),))),
    ("forward . tls://192.0.2.1", replace(F, upstreams=(Upstream("192.0.2.1", 853, True),))),
    ("forward . tls://192.0.2.1%dns.test:8853", replace(F, upstreams=(Upstream("192.0.2.1", 8853, True, "dns.test"),))),
    ("forward . /etc/resolv.conf", Forward(files=("/etc/resolv.conf",))),
    ("forward . resolv.conf 192.0.2.1", replace(F, files=("resolv.conf",))),
    ("forward . ns.example.test", replace(F, upstreams=(Upstream("192.0.2.7"), Upstream("2001:db8::7")))),
    ("forward . tls://ns.example.test", replace(F, upstreams=(Upstream("192.0.2.7", 853, True), Upstream("2001:db8::7", 853, True)))),
    ("forward Example.TEST 192.0.2.1", replace(F, origin=TEST)),
    ("forward 10.0.0.0/24 192.0.2.1", replace(F, origin=("0", "0", "10", "in-addr", "arpa"))),
    ("forward . {$UPSTREAM}", replace(F, upstreams=(Upstream("192.0.2.9"),))),
    ("forward . {%UPSTREAM%}:54", replace(F, upstreams=(Upstream("192.0.2.9", 54),))),
]


@pytest.mark.parametrize(("text", "expected"), FORWARD)
def test_where_queries_are_forwarded_to(text: str, expected: Forward) -> None:
    assert block(text).forwards == (expected,)


FORWARD_PROPERTIES = [
    ("except a.test b.test", replace(F, excepted=(("a", "test"), ("b", "test")))),
    ("except a.test\nexcept 10.0.0.0/8", replace(F, excepted=(("a", "test"), ("10", "in-addr", "arpa")))),
    ("force_tcp", replace(F, force_tcp=True)),
    ("prefer_udp", replace(F, prefer_udp=True)),
    ("max_fails 0", replace(F, max_fails=0)),
    ("expire 20s", replace(F, expire=20.0)),
    ("expire 0", replace(F, expire=0.0)),
    ("policy random", F),
    ("policy round_robin", replace(F, policy="round_robin")),
    ("policy sequential", replace(F, policy="sequential")),
    ("max_concurrent 1000", replace(F, max_concurrent=1000)),
    ("health_check 5s", replace(F, health_interval=5.0)),
    ("health_check 500ms no_rec", replace(F, health_recursion=False)),
    ("health_check 1s domain Example.test.", replace(F, health_interval=1.0, health_domain=TEST)),
    ("health_check 1s domain example.test no_rec", replace(F, health_interval=1.0, health_domain=TEST, health_recursion=False)),
    ("next NXDOMAIN", replace(F, next_on=("NXDOMAIN",))),
    ("next nxdomain ServFail", replace(F, next_on=("NXDOMAIN", "SERVFAIL"))),
    ("next_on_nodata", replace(F, next_on_nodata=True)),
    ("failover SERVFAIL REFUSED", replace(F, failover_on=("SERVFAIL", "REFUSED"))),
    ("failfast_all_unhealthy_upstreams", replace(F, failfast_all_unhealthy=True)),
    ("source_address 192.0.2.5", replace(F, source="192.0.2.5")),
    ("tls", replace(F, tls=Tls())),
    ("tls ca.pem", replace(F, tls=Tls(authority="ca.pem"))),
    ("tls cert.pem key.pem", replace(F, tls=Tls("cert.pem", "key.pem"))),
    ("tls cert.pem key.pem ca.pem", replace(F, tls=Tls("cert.pem", "key.pem", "ca.pem"))),
    ("tls_servername dns.test\ntls ca.pem", replace(F, tls=Tls(authority="ca.pem", server_name="dns.test"))),
    ("tls_servername dns.test", replace(F, tls=Tls(server_name="dns.test"))),
    ("max_age 1m", F),
    ("max_idle_conns 3\nread_timeout 1s\nmax_connect_attempts 2\ndoh_method GET\nresolver 192.0.2.1:53", F),
]


@pytest.mark.parametrize(("properties", "expected"), FORWARD_PROPERTIES)
def test_properties_of_forward(properties: str, expected: Forward) -> None:
    assert block(inside("forward . 192.0.2.1", properties)).forwards == (expected,)


C = Cache()
CACHE = [
    ("cache", C),
    ("cache {\n}", C),
    ("cache { }", C),
    ("cache 30", replace(C, max_ttl=30, denial_max_ttl=30)),
    ("cache example.test", replace(C, zones=(TEST,))),
    ("cache 60 example.test 10.0.0.0/8", replace(C, max_ttl=60, denial_max_ttl=60, zones=(TEST, ("10", "in-addr", "arpa")))),
    (inside("cache", "success 5000"), replace(C, entries=5000)),
    (inside("cache", "success 5000 600 0"), replace(C, entries=5000, max_ttl=600, min_ttl=0)),
    (inside("cache 30", "denial 2000 10 1"), replace(C, max_ttl=30, denial_entries=2000, denial_max_ttl=10, denial_min_ttl=1)),
    (inside("cache", "success 10"), replace(C, entries=1024)),
    (inside("cache", "prefetch 10"), replace(C, prefetch=10)),
    (inside("cache", "prefetch 10 10m"), replace(C, prefetch=10, prefetch_window=600.0)),
    (inside("cache", "prefetch 10 10m 90%"), replace(C, prefetch=10, prefetch_window=600.0, prefetch_percent=90)),
    (inside("cache", "serve_stale"), replace(C, serve_stale=3600.0)),
    (inside("cache", "serve_stale 20m"), replace(C, serve_stale=1200.0)),
    (inside("cache", "serve_stale 1h IMMEDIATE"), replace(C, serve_stale=3600.0)),
    (inside("cache", "serve_stale 1h immediate 30s 20s"), replace(C, serve_stale=3600.0, stale_ttl=30, stale_recheck=20.0)),
    (inside("cache", "serve_stale 1h verify"), replace(C, serve_stale=3600.0, stale_verify=True)),
    (inside("cache", "serve_stale 1h verify 100ms"), replace(C, serve_stale=3600.0, stale_verify=True, stale_verify_timeout=0.1)),
    (inside("cache", "serve_stale 1h verify 0 30s"), replace(C, serve_stale=3600.0, stale_verify=True, stale_ttl=30)),
    (inside("cache", "serve_stale\nserve_stale_policy prefer_positive"), replace(C, serve_stale=3600.0, stale_prefer_positive=True)),
    (inside("cache", "servfail 0"), replace(C, servfail_ttl=0.0)),
    (inside("cache", "servfail 5m"), replace(C, servfail_ttl=300.0)),
    (inside("cache", "disable success"), replace(C, disable_success=())),
    (inside("cache", "disable denial example.test"), replace(C, disable_denial=(TEST,))),
    (inside("cache", "keepttl"), replace(C, keepttl=True)),
]


@pytest.mark.parametrize(("text", "expected"), CACHE)
def test_forms_of_cache(text: str, expected: Cache) -> None:
    assert block(text).cache == expected


N = Rewrite("name", answer_auto=True, old="a.test.", new="b.test.")
REWRITE = [
    ("rewrite name a.test b.test", N),
    ("rewrite name A.Test. B.test", N),
    ("rewrite name exact a.test b.test", N),
    ("rewrite stop name a.test b.test", N),
    ("rewrite CONTINUE name a.test b.test", replace(N, stop=False)),
    ("rewrite name prefix a b", Rewrite("name", "prefix", "a.", "b.")),
    ("rewrite name prefix a b answer auto", Rewrite("name", "prefix", "a.", "b.", answer_auto=True)),
    ("rewrite name suffix .a.test .b.test", Rewrite("name", "suffix", ".a.test.", ".b.test.")),
    ("rewrite name substring a b", Rewrite("name", "substring", "a.", "b.")),
    (r"rewrite name regex (.*)\.a\.test {1}.b.TEST", Rewrite("name", "regex", r"(.*)\.a\.test", "{1}.b.test.")),
    (
        r"rewrite name regex ([^.]+)\.a\.test {1}.b.test answer name ([^.]+)\.b\.test {1}.a.test",
        Rewrite("name", "regex", r"([^.]+)\.a\.test", "{1}.b.test.", answers=(("name", r"([^.]+)\.b\.test", "{1}.a.test."),)),
    ),
    (
        r"rewrite name suffix .a.test .b.test answer auto answer value (.*)\.b\.test {1}.a.test",
        Rewrite("name", "suffix", ".a.test.", ".b.test.", answer_auto=True, answers=(("value", r"(.*)\.b\.test", "{1}.a.test."),)),
    ),
    ("rewrite {\nname a.test b.test\n}", N),
    ("rewrite stop {\nname exact a.test\nb.test\n}", N),
    ("rewrite type any HINFO", Rewrite("type", old="ANY", new="HINFO")),
    ("rewrite class CH in", Rewrite("class", old="CH", new="IN")),
    ("rewrite ttl a.test 30", Rewrite("ttl", old="a.test.", new="30")),
    ("rewrite ttl suffix .a.test 5-60", Rewrite("ttl", "suffix", ".a.test.", "5-60")),
    ("rewrite ttl regex .*\\.test\\. -60", Rewrite("ttl", "regex", r".*\.test\.", "-60")),
    ("rewrite continue ttl a.test 30-", Rewrite("ttl", old="a.test.", new="30-", stop=False)),
    ("rewrite rcode a.test NXDOMAIN noerror", Rewrite("rcode", old="a.test.", new="NOERROR", rcode="NXDOMAIN")),
    ("rewrite rcode prefix a SERVFAIL 3", Rewrite("rcode", "prefix", "a.", "NXDOMAIN", rcode="SERVFAIL")),
    ("rewrite edns0 nsid set", Rewrite("edns0", edns=("nsid", "set"))),
    ("rewrite edns0 subnet set 24 56 revert", Rewrite("edns0", edns=("subnet", "set", "24", "56", "revert"))),
    ("rewrite edns0 local unset 0xffee", Rewrite("edns0", edns=("local", "unset", "0xffee"))),
]


@pytest.mark.parametrize(("text", "expected"), REWRITE)
def test_forms_of_rewrite(text: str, expected: Rewrite) -> None:
    assert block(text).rewrites == (expected,)


H = Hosts()
OTHERS = [
    ("hosts", "hosts", H),
    ("hosts /etc/h example.test", "hosts", Hosts("/etc/h", zones=(TEST,))),
    (inside("hosts", "10.0.0.1 a.test A.test\nfe80::1%eth0 b.test"), "hosts", replace(H, rows=("10.0.0.1 a.test A.test", "fe80::1%eth0 b.test"))),
    (inside("hosts", "10.0.0.1 a.test\nttl 60\nreload 1m\nno_reverse\nfallthrough"), "hosts",
     Hosts(rows=("10.0.0.1 a.test",), ttl=60, reload=60.0, reverse=False, fallthrough=ALL)),
    (inside("hosts", "fallthrough example.test\nfallthrough_unsupported"), "hosts", replace(H, fallthrough=(TEST,), fallthrough_types=True)),
    ("log", "logs", (Log(),)),
    ("log .", "logs", (Log(),)),
    ("log a.test b.test", "logs", (Log((("a", "test"), ("b", "test"))),)),
    ("log . {combined}", "logs", (Log(format="{combined}"),)),
    ('log a.test "{remote} {name}"', "logs", (Log((("a", "test"),), "{remote} {name}"),)),
    (inside("log", "class denial error"), "logs", (Log(classes=("denial", "error")),)),
    ("log a.test\nlog b.test", "logs", (Log((("a", "test"),)), Log((("b", "test"),)))),
    ("errors", "errors", Errors()),
    ("errors stdout", "errors", Errors()),
    (inside("errors", 'consolidate 5m ".* timeout$" warning'), "errors", Errors((Consolidation(300.0, ".* timeout$", "warning"),))),
    (inside("errors", "consolidate 1s ^a info show_first"), "errors", Errors((Consolidation(1.0, "^a", "info", True),))),
    (inside("errors", "consolidate 1s ^a show_first"), "errors", Errors((Consolidation(1.0, "^a", show_first=True),))),
    ("autopath @kubernetes", "autopath", Autopath(file="/etc/resolv.conf")),
    ("autopath example.test @kubernetes", "autopath", Autopath((TEST,), "/etc/resolv.conf")),
    ("autopath search.conf", "autopath", Autopath(file="search.conf", cluster=False)),
    ("loadbalance", "loadbalance", True),
    ("loadbalance round_robin", "loadbalance", True),
    ("errors", "loadbalance", False),
    ("loop", "loop", True),
    ("minimal", "minimal", True),
    ("any", "hinfo_for_any", True),
    ("bufsize", "bufsize", 1232),
    ("bufsize 512", "bufsize", 512),
    ("bind 127.0.0.1 ::1", "binds", ("127.0.0.1", "::1")),
    ("bind eth0", "binds", ("10.0.0.2", "fd00::2")),
    (inside("bind eth0 127.0.0.1", "except fd00::2"), "binds", ("10.0.0.2", "127.0.0.1")),
    ("bind 127.0.0.1\nbind 127.0.0.2", "binds", ("127.0.0.1", "127.0.0.2")),
    (inside("acl", "allow net 10.0.0.0/8 192.0.2.1\nblock"), "access",
     (AccessRule("allow", networks=("10.0.0.0/8", "192.0.2.1/32")), AccessRule("block"))),
    (inside("acl a.test", "FILTER type A AAAA net 10.0.0.7/8"), "access", (AccessRule("filter", ("A", "AAAA"), ("10.0.0.0/8",), (("a", "test"),)),)),
    (inside("acl", "drop type * net *"), "access", (AccessRule("drop"),)),
    (inside("acl", "block net 2001:db8::1 type ANY"), "access", (AccessRule("block", ("ANY",), ("2001:db8::1/128",)),)),
    ("acl {\nblock\n}\nacl b.test {\nallow\n}", "access", (AccessRule("block"), AccessRule("allow", zones=(("b", "test"),)))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "field", "expected"), OTHERS)
def test_lines_of_the_other_plugins(text: str, field: str, expected: object) -> None:
    assert getattr(block(text), field) == expected


SERVER = [
    ("errors", {"health": "", "ready": "", "metrics": "", "reload": 0.0, "workers": 0}),
    ("health", {"health": ":8080", "lameduck": 5.0}),
    (inside("health 127.0.0.1:8081", "lameduck 12s"), {"health": "127.0.0.1:8081", "lameduck": 12.0}),
    (inside("health", "lameduck 0"), {"lameduck": 0.0}),
    ("ready", {"ready": ":8181"}),
    ("ready [::1]:80", {"ready": "[::1]:80"}),
    (inside("ready", "monitor until-ready"), {"ready": ":8181", "ignored": ()}),
    ("prometheus", {"metrics": "localhost:9153"}),
    ("prometheus :9153", {"metrics": ":9153"}),
    ("reload", {"reload": 30.0, "reload_jitter": 15.0}),
    ("reload 10s", {"reload": 10.0, "reload_jitter": 5.0}),
    ("reload 2s 1s", {"reload": 2.0, "reload_jitter": 1.0}),
    ("reload 1m 0", {"reload": 60.0, "reload_jitter": 0.0}),
    ("multisocket 6", {"workers": 6}),
    ("multisocket", {"workers": 0}),
]


@pytest.mark.parametrize(("text", "expected"), SERVER)
def test_lines_that_are_the_whole_servers(text: str, expected: dict) -> None:
    found = settings(".:53 {\n" + text + "\n}")
    assert {k: getattr(found, k) for k in expected} == expected


def test_a_block_for_tls_has_its_certificate_and_the_block_beside_it_has_none() -> None:
    found = settings("example.test tls://example.test {\nroot /certs\ntls c.pem /k.pem {\nclient_auth require\n}\n}")
    assert [(b.transport, b.port, b.tls) for b in found.blocks] == [
        ("dns", 53, None), ("tls", 853, Tls("/certs/c.pem", "/k.pem", client_auth="require")),
    ]  # fmt: skip


IGNORED = [
    ("dnssec", "Corefile:2: dnssec is not supported: answers are not signed"),
    ("pprof :6053", "Corefile:2: pprof is not supported: there is no Go profile"),
    ("etcd a.test {\npath /x\ntls {\n}\n}", "Corefile:2: etcd is not supported: etcd is not asked"),
    (inside("kubernetes cluster.local", "endpoint https://192.0.2.1"),
     "Corefile:3: kubernetes: endpoint has no effect: the API server is that of the service account or of the server's flags"),
    (inside("kubernetes cluster.local", "apiserver_qps 5.5"), "Corefile:3: kubernetes: apiserver_qps has no effect: the server lists once, then watches"),
    (inside("kubernetes cluster.local", "multicluster cluster.local"),
     "Corefile:3: kubernetes: multicluster is not supported: ServiceImports are not answered"),
    ("forward . 192.0.2.1 https://192.0.2.2", "Corefile:2: forward: https://192.0.2.2 is not asked: DNS over HTTPS is not supported"),
    ("forward 10.0.0.0/7 192.0.2.1", "Corefile:2: forward: 10.0.0.0/7 stands for 2 zones; only 10.in-addr.arpa is forwarded"),
    (inside("hosts", "falthrough"), "Corefile:3: hosts: the row 'falthrough' does not begin with an address; did you mean fallthrough?"),
    ("autopath @erratic", "Corefile:2: autopath: erratic has no search path: only @kubernetes or a file can be given"),
    ("loadbalance weighted w.txt", "Corefile:2: loadbalance: weighted is not supported: all addresses take turns alike"),
    (inside("loadbalance", "prefer 10.0.0.0/8"), "Corefile:3: loadbalance: prefer is not supported: all addresses take turns"),
    ('log "{remote}"', "Corefile:2: log: '{remote}' is taken for a zone; a format stands after one: log . '{remote}'"),
    (inside("errors", "stacktrace"), "Corefile:3: errors: stacktrace has no effect: an exception is always logged with where it came from"),
    ("rewrite cname a.test b.test", "Corefile:2: rewrite: cname rules are not supported: a CNAME's target is left as it is"),
    (inside("prometheus", "tls web.yml"), "Corefile:3: prometheus: tls has no effect: metrics are served without TLS"),
    ("import none/*.conf", "Corefile:2: import none/*.conf: no file matches"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), IGNORED)
def test_what_has_no_effect_is_named(text: str, sentence: str) -> None:
    assert settings("example.test {\n" + text + "\n}\n").ignored == (sentence,)


def test_the_first_address_of_the_servers_own_holds_and_another_is_named() -> None:
    found = settings("a.test {\nprometheus :1\nhealth :2\n}\nb.test {\nprometheus :3\nhealth :2\n}\nc.test {\nprometheus :1\n}\n")
    assert (found.metrics, found.health) == (":1", ":2")
    assert found.ignored == ("Corefile:6: prometheus: has no effect: the one at Corefile:2 holds for the whole server",)


def test_a_block_for_some_clients_is_left_out_and_named() -> None:
    found = settings("a.test {\nview v {\nexpr true\n}\nhosts\n}\na.test {\nlog\n}\n")
    assert [b.logs for b in found.blocks] == [(Log(),)]
    assert found.ignored == ("Corefile:2: view is not supported: a block for some clients only cannot be served; it is left out",)


def test_keys_of_transports_that_are_not_served_are_named_and_the_rest_stays() -> None:
    found = settings("a.test https://a.test quic://a.test {\nlog\n}\n")
    assert [(b.zones, b.transport) for b in found.blocks] == [((("a", "test"),), "dns")]
    assert len(found.ignored) == 2 and found.ignored[0] == "Corefile:1: https://a.test is not served: there is DNS over UDP, TCP and TLS only"


def test_kubernetes_may_stand_in_several_blocks_with_the_same_options() -> None:
    found = settings("cluster.local {\nkubernetes\n}\n.:1053 {\nkubernetes cluster.local 10.in-addr.arpa {\nfallthrough\n}\n}\n")
    assert [b.kubernetes and b.kubernetes.fallthrough for b in found.blocks] == [None, ALL]
