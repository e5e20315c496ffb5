"""A worker's engine as transcripts: `> NAME TYPE` goes to the upstream, `< ANSWER` to the client."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packets import ID, packet
from workerbench import Bench
from zonestates import Event

from seaway.dns import wire
from seaway.dns.answer import failure, of_records
from seaway.dns.resolving.engine import RUNNING, STALE_WAIT
from seaway.dns.settings import AccessRule, Block, Cache, Forward, Hosts, Kubernetes, Rewrite, Upstream
from seaway.dns.wire import CD, RD

KUBERNETES = Kubernetes(pods="insecure", fallthrough=(("in-addr", "arpa"), ("ip6", "arpa")))
FORWARD = (Forward(upstreams=(Upstream("192.0.2.53"),)),)
BLOCK = Block(kubernetes=KUBERNETES, forwards=FORWARD, cache=Cache(), loadbalance=True)
STALE = replace(BLOCK, cache=Cache(serve_stale=3600, stale_verify=True, prefetch=10))
WEB = "web.red.svc.cluster.local"


def service(name: str, *ips: str, namespace: str = "red") -> Event:
    spec = {"clusterIP": ips[0], "clusterIPs": list(ips), "ports": [{"name": "http", "port": 80}]} if ips else None
    return "service", (namespace, name, spec)


def alias(name: str, target: str) -> Event:
    return "service", ("red", name, {"type": "ExternalName", "externalName": target})


RED: Event = ("namespace", ("red", True))
CLUSTER = (RED, service("web", "10.96.0.1"))


def bench(block: Block = BLOCK, *events: Event, **more: object) -> Bench:
    return Bench(block, events=events or CLUSTER, **more)  # type: ignore[arg-type]


def test_a_clusters_name_is_answered_without_asking_anybody() -> None:
    worker = bench()
    assert worker.asks(WEB) == ["< 5 A 10.96.0.1"]
    assert worker.asks(WEB, "AAAA") == ["< NODATA"]
    assert worker.asks("none.red.svc.cluster.local") == ["< NXDOMAIN"]


def test_a_change_is_seen_by_the_next_query() -> None:
    worker = bench()
    for ip in ("10.96.0.2", "10.96.0.3"):
        worker.asks(WEB)
        worker.change(service("web", ip))
        assert worker.asks(WEB) == [f"< 5 A {ip}"]
    worker.change(service("web"))
    assert worker.asks(WEB) == ["< NXDOMAIN"]
    worker.change(service("web", "10.96.0.9"))
    assert worker.asks(WEB) == ["< 5 A 10.96.0.9"]
    worker.change(("namespace", ("red", False)))
    assert worker.asks(WEB) == ["< NXDOMAIN"]


def test_what_was_forwarded_is_kept_and_counts_down_second_by_second() -> None:
    worker = bench()
    assert worker.asks("www.test") == ["> www.test. A"]
    worker.tell("8 A 192.0.2.1")
    assert worker.transcript() == ["< 8 A 192.0.2.1"]
    for second in range(1, 8):
        worker.passed(0.5)
        assert worker.asks("www.test") == [f"< {8 - second + 1} A 192.0.2.1"]
        assert worker.asks("www.test") == [f"< {8 - second + 1} A 192.0.2.1"], "by the hot path, too"
        worker.passed(0.5)
        assert worker.asks("www.test") == [f"< {8 - second} A 192.0.2.1"]
    worker.passed(1)
    assert worker.asks("www.test") == ["> www.test. A"]


def test_all_who_ask_meanwhile_are_answered_by_one_question() -> None:
    worker = bench()
    assert worker.asks("www.test") == ["> www.test. A"]
    assert worker.asks("WWW.test", client="10.0.0.2") == []
    assert worker.asks("www.test", client="10.0.0.3", size=1232) == []
    worker.tell("60 A 192.0.2.1")
    assert worker.transcript() == ["< 60 A 192.0.2.1"] * 3


def test_other_wants_of_dnssec_are_other_questions() -> None:
    worker = bench()
    assert worker.asks("www.test") == ["> www.test. A"]
    assert worker.asks("www.test", size=1232, do=True) == ["> www.test. A"]
    assert worker.asks("www.test", flags=RD | CD) == ["> www.test. A"]
    assert worker.asks("www.test", "AAAA") == ["> www.test. AAAA"]


def test_denials_are_kept_by_their_soa() -> None:
    worker = bench()
    worker.asks("gone.test")
    worker.tell("NXDOMAIN", "SOA 60 20")
    assert worker.transcript() == ["< NXDOMAIN"]
    worker.passed(19)
    assert worker.asks("gone.test") == ["< NXDOMAIN"]
    worker.passed(1)
    assert worker.asks("gone.test") == ["> gone.test. A"]
    worker.tell("NXDOMAIN")
    assert worker.transcript() == ["< NXDOMAIN"]
    assert worker.asks("gone.test") == ["> gone.test. A"], "without a SOA it is not kept"


def test_a_failure_is_kept_for_five_seconds() -> None:
    # RFC 2308 7.1: not longer than five minutes; CoreDNS: 5 s
    worker = bench()
    worker.asks("www.test")
    worker.tell("nothing")
    assert worker.transcript() == ["< SERVFAIL"]
    worker.passed(4.9)
    assert worker.asks("www.test") == ["< SERVFAIL"]
    worker.passed(0.2)
    assert worker.asks("www.test") == ["> www.test. A"]


@pytest.mark.parametrize("rcode", ["REFUSED", "NOTIMP", "FORMERR"])
def test_other_errors_are_passed_on_and_forgotten(rcode: str) -> None:
    worker = bench()
    worker.asks("www.test")
    worker.tell(rcode)
    assert worker.transcript() == [f"< {rcode}"]
    assert worker.asks("www.test") == ["> www.test. A"]


def test_what_was_cut_short_is_not_kept() -> None:
    worker = bench()
    worker.asks("www.test")
    worker.tell("60 A 192.0.2.1", tc=True)
    assert worker.transcript() == ["< 60 A 192.0.2.1 (cut)"]
    assert worker.asks("www.test") == ["> www.test. A"]


def test_without_cache_nothing_is_kept_and_no_ttl_is_changed() -> None:
    worker = bench(replace(BLOCK, cache=None))
    for ttl in (0, 1, 60, 86400):
        assert worker.asks("www.test") == ["> www.test. A"]
        worker.tell(f"{ttl} A 192.0.2.1")
        assert worker.transcript() == [f"< {ttl} A 192.0.2.1"]


def test_the_zones_of_cache_are_those_that_it_holds_for() -> None:
    worker = bench(replace(BLOCK, cache=Cache(zones=(("kept", "test"),), max_ttl=30)))
    worker.asks("a.kept.test")
    worker.tell("60 A 192.0.2.1")
    assert worker.transcript() == ["< 30 A 192.0.2.1"]
    assert worker.asks("a.kept.test") == ["< 30 A 192.0.2.1"]
    for _ in range(2):
        assert worker.asks("a.test") == ["> a.test. A"]
        worker.tell("60 A 192.0.2.1")
        assert worker.transcript() == ["< 60 A 192.0.2.1"]


def kept(worker: Bench, ttl: int = 60) -> Bench:
    worker.asks("www.test")
    worker.tell(f"{ttl} A 192.0.2.1")
    worker.transcript()
    return worker


def test_a_stale_answer_is_given_after_a_moment_while_the_upstream_is_asked() -> None:
    worker = kept(bench(STALE))
    worker.passed(61)
    assert worker.asks("www.test") == ["> www.test. A"]
    worker.passed(STALE_WAIT - 0.001)
    assert worker.transcript() == []
    worker.passed(0.002)
    assert worker.transcript() == ["< 0 A 192.0.2.1"]
    worker.asks("www.test", client="10.0.0.2")
    worker.passed(0.031)
    assert worker.transcript() == ["< 0 A 192.0.2.1"], "who comes later waits no longer"
    worker.tell("60 A 192.0.2.2")
    assert worker.asks("www.test") == ["< 60 A 192.0.2.2"]


def test_a_fresh_answer_within_the_moment_goes_first() -> None:
    worker = kept(bench(STALE))
    worker.passed(61)
    worker.asks("www.test")
    worker.passed(0.01)
    worker.tell("60 A 192.0.2.2")
    assert worker.transcript() == ["< 60 A 192.0.2.2"]
    worker.passed(1)
    assert worker.transcript() == []


def test_nobody_waits_for_an_upstream_that_is_down() -> None:
    worker = kept(bench(STALE))
    worker.passed(61)
    worker.down = True
    assert worker.asks("www.test") == ["> www.test. A", "< 0 A 192.0.2.1"]


def test_a_stale_answer_outlives_the_failure_of_its_refreshing() -> None:
    # RFC 8767 4
    for rows in (("nothing",), ("SERVFAIL",), ("REFUSED",)):
        worker = kept(bench(STALE))
        worker.passed(61)
        worker.asks("www.test")
        worker.tell(*rows)
        assert worker.transcript() == ["< 0 A 192.0.2.1"], rows
        worker.asks("www.test")
        worker.passed(0.031)
        assert worker.transcript() == ["< 0 A 192.0.2.1"], rows


def test_a_denial_takes_the_place_of_a_stale_answer() -> None:
    worker = kept(bench(STALE))
    worker.passed(61)
    worker.asks("www.test")
    worker.tell("NXDOMAIN", "SOA 60 60")
    assert worker.transcript() == ["< NXDOMAIN"]
    assert worker.asks("www.test") == ["< NXDOMAIN"]


def test_what_is_stale_for_too_long_is_not_given() -> None:
    worker = kept(bench(STALE))
    worker.passed(60 + 3601)
    assert worker.asks("www.test") == ["> www.test. A"]
    worker.passed(1)
    assert worker.transcript() == []
    worker.tell("nothing")
    assert worker.transcript() == ["< SERVFAIL"]


def test_without_serve_stale_nothing_stale_is_given() -> None:
    worker = kept(bench())
    worker.passed(61)
    worker.asks("www.test")
    worker.passed(1)
    assert worker.transcript() == []
    worker.tell("nothing")
    assert worker.transcript() == ["< SERVFAIL"]


PREFETCH = replace(BLOCK, cache=Cache(prefetch=3))


def popular(worker: Bench) -> Bench:
    """A name of 60 s that was asked for often, at its 55th second."""
    kept(worker)
    for _ in range(3):
        worker.asks("www.test")
    worker.passed(55)
    return worker


def test_a_name_that_is_asked_for_often_is_asked_for_before_its_end() -> None:
    worker = popular(bench(PREFETCH))
    assert worker.asks("www.test") == ["> www.test. A", "< 5 A 192.0.2.1"]
    assert worker.asks("www.test") == ["< 5 A 192.0.2.1"], "once is enough"
    worker.tell("60 A 192.0.2.2")
    assert worker.transcript() == []
    assert worker.asks("www.test") == ["< 60 A 192.0.2.2"]
    assert worker.number("prefetch") == 1


def test_what_is_asked_for_seldom_is_not() -> None:
    worker = kept(bench(PREFETCH))
    worker.passed(55)
    assert worker.asks("www.test") == ["< 5 A 192.0.2.1"]


@pytest.mark.parametrize("rows", [("nothing",), ("SERVFAIL",), ("REFUSED",)])
def test_a_refreshing_that_fails_takes_nothing_away(rows: tuple[str, ...]) -> None:
    worker = popular(bench(PREFETCH))
    worker.asks("www.test")
    worker.tell(*rows)
    worker.transcript()
    assert worker.asks("www.test")[-1] == "< 5 A 192.0.2.1"


def test_a_refreshing_that_is_late_makes_nothing_stale() -> None:
    worker = popular(bench(PREFETCH))
    worker.asks("www.test")
    worker.passed(6)
    assert worker.asks("www.test") == [], "it has ended: the answer is waited for"
    worker.tell("nothing")
    assert worker.transcript() == ["< SERVFAIL"]


def test_an_external_name_is_followed_outside() -> None:
    worker = bench(BLOCK, RED, alias("out", "www.test"))
    out = "out.red.svc.cluster.local"
    assert worker.asks(out) == ["> www.test. A"]
    worker.tell("60 A 192.0.2.1")
    assert worker.transcript() == ["< 5 CNAME www.test. | www.test. 60 A 192.0.2.1"]
    assert worker.asks(out) == ["< 5 CNAME www.test. | www.test. 60 A 192.0.2.1"]
    assert worker.asks("www.test") == ["< 60 A 192.0.2.1"], "the target is kept by itself"
    assert worker.asks(out, "CNAME") == ["< 5 CNAME www.test."]
    worker.change(alias("out", "other.test"))
    assert worker.asks(out) == ["> other.test. A"]
    worker.tell("NXDOMAIN", "SOA 60 60")
    assert worker.transcript() == ["< 5 CNAME other.test."]


def test_an_external_name_is_followed_inside() -> None:
    worker = bench(BLOCK, RED, alias("a", "b.red.svc.cluster.local"), alias("b", WEB), service("web", "10.96.0.1"))
    chain = "< 5 CNAME b.red.svc.cluster.local. | b.red.svc.cluster.local. 5 CNAME " + WEB + ". | " + WEB + ". 5 A {}"
    assert worker.asks("a.red.svc.cluster.local") == [chain.format("10.96.0.1")]
    worker.change(service("web", "10.96.0.7"))
    assert worker.asks("a.red.svc.cluster.local") == [chain.format("10.96.0.7")], "any link of the chain ends it"
    worker.change(alias("b", "none.red.svc.cluster.local"))
    assert worker.asks("a.red.svc.cluster.local")[0].count("CNAME") >= 1


def test_an_alias_alone_is_not_kept_because_of_a_failure_that_passes() -> None:
    worker = bench(BLOCK, RED, alias("out", "www.test"))
    out = "out.red.svc.cluster.local"
    worker.asks(out)
    worker.waiting.pop()[2](failure(wire.REFUSED))  # as when too many questions are on their way
    assert worker.transcript() == ["< 5 CNAME www.test."]
    assert worker.asks(out) == ["> www.test. A"], "it is asked again"
    worker.tell("60 A 192.0.2.1")
    assert worker.transcript() == ["< 5 CNAME www.test. | www.test. 60 A 192.0.2.1"]


def test_a_circle_of_aliases_ends() -> None:
    worker = bench(BLOCK, RED, alias("a", "b.red.svc.cluster.local"), alias("b", "a.red.svc.cluster.local"))
    assert worker.asks("a.red.svc.cluster.local")[0].startswith("< 5 CNAME b.red.svc.cluster.local.")


def test_a_change_while_a_question_is_on_its_way_is_not_missed() -> None:
    worker = bench(BLOCK, RED, alias("out", "www.test"))
    out = "out.red.svc.cluster.local"
    worker.asks(out)
    worker.change(alias("out", "other.test"))
    worker.tell("3600 A 192.0.2.1")
    assert worker.transcript() == ["> other.test. A"], "it is asked anew: the alias is another"
    worker.tell("60 A 192.0.2.2")
    assert worker.transcript() == ["< 5 CNAME other.test. | other.test. 60 A 192.0.2.2"]
    assert worker.asks(out) == ["< 5 CNAME other.test. | other.test. 60 A 192.0.2.2"]


def test_a_change_between_two_answers_of_the_zone_is_not_missed() -> None:
    worker = bench(BLOCK, RED, alias("a", "x.red.pod.cluster.local"), ("pod", ("red/x", "red", ())), zone_held=True)
    name = "a.red.svc.cluster.local"
    worker.change(alias("a", "10-0-0-1.red.pod.cluster.local"))
    assert worker.asks(name) == []
    worker.zone_tells()
    worker.change(alias("a", "10-0-0-2.red.pod.cluster.local"))
    worker.zone_tells()
    while worker.zone_waiting:
        worker.zone_tells()
    two = ["< 5 CNAME 10-0-0-2.red.pod.cluster.local. | 10-0-0-2.red.pod.cluster.local. 5 A 10.0.0.2"]
    assert worker.transcript() == two
    assert worker.asks(name) == two


def test_changes_without_end_do_not_keep_an_answer_back() -> None:
    worker = bench(BLOCK, RED, alias("out", "t0.test"))
    worker.asks("out.red.svc.cluster.local")
    for i in range(1, 10):
        worker.change(alias("out", f"t{i}.test"))
        worker.tell("60 A 192.0.2.1")
        if any(line.startswith("<") for line in worker.transcript()):
            break
    else:
        pytest.fail("it waits for ever")
    assert i <= 4
    assert worker.asks("out.red.svc.cluster.local") == [f"> t{i}.test. A"], "and what was said last is not kept"


def test_addresses_take_turns() -> None:
    worker = kept(bench())
    worker.asks("many.test")
    worker.tell("60 A 192.0.2.1", "60 A 192.0.2.2", "60 A 192.0.2.3")
    worker.transcript()
    firsts = [worker.asks("many.test")[0].split()[3] for _ in range(9)]
    assert {firsts.count(f"192.0.2.{i}") for i in (1, 2, 3)} == {3}
    odd = [worker.asks("MANY.test")[0].split()[3] for _ in range(9)]
    assert set(odd) == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}, "for those too who ask in other letters"


def test_without_loadbalance_the_order_stays() -> None:
    worker = bench(replace(BLOCK, loadbalance=False))
    worker.asks("many.test")
    worker.tell("60 A 192.0.2.1", "60 A 192.0.2.2")
    worker.transcript()
    assert len({tuple(worker.asks("many.test")) for _ in range(6)}) == 1


ACL = (
    AccessRule("allow", networks=("10.0.0.1/32",)),
    AccessRule("block", types=("TXT",)),
    AccessRule("filter", zones=(("filtered", "test"),)),
    AccessRule("drop", networks=("10.6.0.0/16", "2001:db8::/32")),
)


@pytest.mark.parametrize(
    ("asked", "kind", "client", "told"),
    [
        (WEB, "TXT", "10.0.0.1", ["< NODATA"]),
        (WEB, "TXT", "10.0.0.2", ["< REFUSED"]),
        (WEB, "A", "10.0.0.2", ["< 5 A 10.96.0.1"]),
        ("a.filtered.test", "A", "10.0.0.2", ["< NODATA"]),
        (WEB, "A", "10.6.1.1", []),
    ],
)
def test_a_rule_of_acl_decides_each_time(asked: str, kind: str, client: str, told: list[str]) -> None:
    worker = bench(replace(BLOCK, access=ACL))
    worker.asks(WEB, "A", "10.0.0.1")
    worker.asks(WEB, "TXT", "10.0.0.1")
    for _ in range(3):  # no hot path goes past a rule
        assert worker.asks(asked, kind, client) == told


def test_a_client_is_answered_up_to_its_limit_and_refused_above() -> None:
    worker = bench(BLOCK, *CLUSTER, limit=3)
    told = [worker.asks(WEB, client="10.0.0.1")[0] for _ in range(5)]
    assert told == ["< 5 A 10.96.0.1"] * 3 + ["< REFUSED"] * 2
    assert worker.asks(WEB, client="10.0.0.2") == ["< 5 A 10.96.0.1"], "others do not suffer for it"
    worker.passed(1)
    assert worker.asks(WEB, client="10.0.0.1") == ["< 5 A 10.96.0.1"]
    assert worker.number("limited") == 2


def test_rewrite_asks_for_another_name_and_answers_to_the_first() -> None:
    rule = Rewrite("name", "suffix", "shop.test.", "red.svc.cluster.local.", answer_auto=True)
    worker = bench(replace(BLOCK, rewrites=(rule,)))
    for _ in range(2):
        assert worker.asks("web.shop.test") == ["< 5 A 10.96.0.1"]
    worker.change(service("web", "10.96.0.5"))
    assert worker.asks("web.shop.test") == ["< 5 A 10.96.0.5"]


def test_a_rewritten_alias_keeps_its_ttls_and_counts_them_down() -> None:
    rule = Rewrite("name", "exact", "a.test.", "b.test.", answer_auto=True)
    worker = bench(replace(BLOCK, rewrites=(rule,)))
    assert worker.asks("a.test") == ["> b.test. A"]
    worker.tell("60 A 192.0.2.1")
    assert worker.transcript() == ["< 60 A 192.0.2.1"]
    worker.passed(10)
    assert worker.asks("a.test") == ["< 50 A 192.0.2.1"]


def test_hosts_go_before_all_else_and_fall_through() -> None:
    hosts = Hosts(file="", rows=("192.0.2.7 printer.test", "10.9.9.9 " + WEB), fallthrough=((),))
    worker = bench(replace(BLOCK, hosts=hosts))
    for _ in range(2):
        assert worker.asks("printer.test") == ["< 3600 A 192.0.2.7"]
        assert worker.asks(WEB) == ["< 3600 A 10.9.9.9"]
    assert worker.asks("other.test") == ["> other.test. A"]


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        (Hosts(file="", rows=("192.0.2.7 printer.test",), fallthrough=((),)), "NXDOMAIN"),
        (Hosts(file="", rows=("192.0.2.7 printer.test",), fallthrough=(("local",),)), "NXDOMAIN"),
        (Hosts(file="", zones=(("test",),)), "NXDOMAIN"),
        (Hosts(file="", rows=("192.0.2.7 printer.test",)), "SERVFAIL"),  # CoreDNS: a zone's without fallthrough ends here
        (Hosts(file="", zones=(("red", "svc", "cluster", "local"),)), "SERVFAIL"),
    ],
)
def test_no_short_way_goes_past_hosts(hosts: Hosts, told: str) -> None:
    worker = bench(replace(BLOCK, hosts=hosts))
    assert worker.asks("none.red.svc.cluster.local") == [f"< {told}"]
    assert (worker.face.short is None) is (told == "SERVFAIL")


def test_unknown_addresses_fall_through_to_the_upstream() -> None:
    worker = bench()
    assert worker.asks("1.0.96.10.in-addr.arpa", "PTR") == ["< 5 PTR " + WEB + "."]
    assert worker.asks("9.9.9.9.in-addr.arpa", "PTR") == ["> 9.9.9.9.in-addr.arpa. PTR"]
    assert worker.asks("none.red.svc.cluster.local") == ["< NXDOMAIN"]


def test_what_the_upstream_said_of_an_address_ends_when_a_service_gets_it() -> None:
    worker = bench()
    name = "7.0.96.10.in-addr.arpa"
    worker.asks(name, "PTR")
    worker.tell("NXDOMAIN", "SOA 900 900")
    assert worker.transcript() == ["< NXDOMAIN"]
    assert worker.asks(name, "PTR") == ["< NXDOMAIN"]
    worker.change(service("db", "10.96.0.7"))
    assert worker.asks(name, "PTR") == ["< 5 PTR db.red.svc.cluster.local."]


def test_next_asks_the_forward_after_it() -> None:
    first = Forward(upstreams=(Upstream("192.0.2.53"),), next_on=("NXDOMAIN",), next_on_nodata=True)
    worker = bench(replace(BLOCK, forwards=(first, *FORWARD)))
    for rows in (("NXDOMAIN", "SOA 60 60"), ("NOERROR",)):
        assert worker.asks("www.test") == ["> www.test. A"]
        worker.tell(*rows)
        assert worker.transcript() == ["> www.test. A of forward 1"]
        worker.tell("1 A 192.0.2.1")
        assert worker.transcript() == ["< 5 A 192.0.2.1"]
        worker.passed(6)


def test_the_longest_zone_of_all_blocks_answers() -> None:
    stub = Block(zones=(("corp", "test"),), forwards=FORWARD)
    worker = Bench(BLOCK, stub, events=CLUSTER)
    assert worker.asks("a.corp.test") == ["> a.corp.test. A"]
    assert worker.waiting[0][0] is worker.plans[1]
    assert worker.asks("a.xcorp.test") == ["> a.xcorp.test. A"]
    assert worker.waiting[1][0] is worker.plans[0]


@pytest.mark.parametrize("zone", ["corp.cluster.local", "none.red.svc.cluster.local"])
def test_no_short_way_goes_past_a_block_for_names_below_the_cluster(zone: str) -> None:
    stub = Block(zones=(tuple(zone.split(".")),), forwards=FORWARD)
    worker = Bench(BLOCK, stub, events=CLUSTER)
    assert worker.asks(f"a.{zone}") == [f"> a.{zone}. A"]
    assert worker.asks("other.red.svc.cluster.local") == ["< NXDOMAIN"]
    assert worker.asks("www.test.cluster.local") == ["< NXDOMAIN"]


def test_what_no_block_has_is_refused() -> None:
    worker = Bench(Block(zones=(("corp", "test"),), forwards=FORWARD))
    assert worker.asks("www.test") == ["< REFUSED"]


@pytest.mark.parametrize(("kind", "cls"), [("AXFR", 1), ("IXFR", 1), ("A", 3), ("A", 255)])
def test_transfers_and_other_classes_are_refused(kind: str, cls: int) -> None:
    for name in (WEB, "none.red.svc.cluster.local", "www.test"):
        assert bench().asks(name, kind, cls=cls) == ["< REFUSED"]


def test_any_is_answered_with_a_word_where_the_block_says_so() -> None:
    worker = bench(replace(BLOCK, hinfo_for_any=True))
    for name in (WEB, "none.red.svc.cluster.local", "www.test"):
        assert worker.asks(name, "ANY") == ['< 8482 HINFO "RFC 8482" ""']


def test_a_bad_message_is_answered_once_and_an_answer_never() -> None:
    worker = bench()
    worker.sock.inbox += [(data, ("10.0.0.1", 9)) for data in (b"", b"x" * 11, packet(WEB, flags=0x8100), packet(WEB, flags=0x2000), packet(WEB)[:-2])]
    worker.face.readable()
    assert [data[3] & 15 for data, _ in worker.sock.sent] == [wire.NOTIMP, wire.FORMERR]
    assert worker.number("ignored") == 3


def test_a_reply_is_no_longer_than_the_client_and_the_block_take() -> None:
    worker = bench(replace(BLOCK, bufsize=700))
    worker.asks("many.test", size=4096)
    worker.tell(*(f"60 A 192.0.2.{i}" for i in range(90)))
    worker.sock.sent.clear()
    for size, most in ((0, 512), (512, 512), (600, 600), (4096, 700)):
        worker.send("many.test", size=size)
        (reply, _), worker.sock.sent[:] = worker.sock.sent[0], []
        assert most - 16 <= len(reply) <= most
        assert reply[2] & 2


def test_minimal_leaves_out_what_was_not_asked_for() -> None:
    headless: Event = ("service", ("red", "db", {"clusterIP": "None"}))
    slices: Event = ("slice", ("red/db-1", {
        "metadata": {"namespace": "red", "labels": {"kubernetes.io/service-name": "db"}}, "addressType": "IPv4",
        "ports": [{"name": "sql", "port": 5432}], "endpoints": [{"addresses": ["10.1.0.1"], "hostname": "db-0"}],
    }))  # fmt: skip
    for minimal, extra in ((False, 1), (True, 0)):
        worker = bench(replace(BLOCK, minimal=minimal), RED, headless, slices)
        worker.send("_sql._tcp.db.red.svc.cluster.local", "SRV")
        reply = worker.sock.sent[0][0]
        assert int.from_bytes(reply[10:12], "big") == extra
        assert worker.transcript() == ["< 5 SRV 0 100 5432 db-0.db.red.svc.cluster.local."]


def test_more_questions_than_the_server_bears_are_told_so_at_once() -> None:
    worker = bench()
    for i in range(RUNNING):
        worker.engine.running[i.to_bytes(4, "big")] = None  # type: ignore[assignment]
    assert worker.asks("www.test") == ["< SERVFAIL"]


def test_a_question_that_fails_within_the_server_is_answered_and_counted() -> None:
    rule = Rewrite("name", "exact", "a.test.", "b.test.", answer_auto=True)
    worker = bench(replace(BLOCK, rewrites=(rule,)))
    worker.asks("a.test", "MX")
    _, _, then = worker.waiting.pop()
    broken = wire.record(wire.TO_QUESTION, wire.MX, 60, b"\0\x0a\xc0\xff")  # a pointer beyond the end
    then(of_records(0, [broken])._replace(until=1060.0))
    assert worker.transcript() == ["< SERVFAIL"]
    assert worker.number("panics") == 1
    assert worker.engine.running == {}


def test_a_probe_that_comes_in_tells_of_a_loop() -> None:
    worker = bench()
    told: list[str] = []
    worker.engine.probes[wire.from_text("probe.secret.test")] = lambda: told.append("loop")
    assert worker.asks("probe.secret.test", "HINFO") == ["< REFUSED"]
    assert told == ["loop"]
    assert worker.asks("probe.secret.test", "A") == ["> probe.secret.test. A"]


def test_the_id_is_each_askers_own() -> None:
    worker = bench()
    for ident in (b"\0\0", b"\xff\xff", ID):
        worker.sock.inbox.append((ident + packet(WEB)[2:], ("10.0.0.1", 9)))
    worker.face.readable()
    assert [reply[:2] for reply, _ in worker.sock.sent] == [b"\0\0", b"\xff\xff", ID]


def test_replies_are_counted_by_what_they_say_and_who_knew() -> None:
    worker = kept(bench())
    worker.asks("WWW.test")
    worker.asks("gone.test")
    worker.tell("NXDOMAIN", "SOA 60 60")
    worker.asks("GONE.test")
    worker.asks(WEB)
    worker.asks("none.red.svc.cluster.local", "TXT")  # by the short way: Assembly counts those
    worker.engine.counting.fold(worker.face)
    for image in worker.face.hot.values():
        worker.engine.counting.count(image.labels, worker.face, image.hits - image.told)
    assert worker.number("cache_misses") == 2
    assert worker.number("responses", ".", "NOERROR", "forward") == 2
    assert worker.number("responses", ".", "NXDOMAIN", "forward") == 2
    assert worker.number("responses", ".", "NOERROR", "kubernetes") == 1
    assert worker.number("requests", ".", "udp", "1", "A") == 5


def test_an_image_of_a_name_outside_is_made_for_who_asks_again() -> None:
    worker = kept(bench())
    assert not worker.face.hot
    assert worker.asks("www.test") == ["< 60 A 192.0.2.1"]
    assert len(worker.face.hot) == 1
