"""Sessions as transcripts: what a proxy says (>>) and what it is sent (<<)."""

from __future__ import annotations

import random

from fakeenvoy import FakeEnvoy
from transcripts import FLEET, Stream, cluster, endpoints, inline, listener, of, parted, scope, started, table

from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.messages import Request
from seaway.envoy.xds.proxy import Bounds, Proxy
from seaway.envoy.xds.resources import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    ROUTES,
    SCOPES,
    SECRET,
    Name,
    Resource,
    resource,
)
from seaway.envoy.xds.session import Session
from seaway.envoy.xds.subscription import Refusal, Subscription

WORLD = (cluster("a"), endpoints("a"), table("r", "a"), listener("l", "r"))


def test_a_proxy_starts_with_clusters_endpoints_listeners_and_routes_in_this_order() -> None:
    fleets = Fleets()
    fleets.update(FLEET, WORLD)
    stream = Stream(fleets, FakeEnvoy(random.Random(1)))
    stream.settle()
    assert [line for line in stream.log if line.startswith("<<")] == ["<< CDS 1 a", "<< EDS 2 a", "<< LDS 3 l", "<< RDS 4 r"]
    assert stream.proxy.holds() == {(r.name.type, r.name.name): r.version for r in WORLD}
    assert fleets.in_force(FLEET, Name(LISTENER, "l"))


def test_a_new_route_waits_for_its_cluster_to_be_warm() -> None:
    fleets, proxy, stream = started(*WORLD)
    fleets.update(FLEET, [cluster("b"), endpoints("b"), table("r", "a", "b")])
    stream.settle()
    assert stream.transcript() == ["<< CDS 5 b", ">> EDS +b", "<< EDS 6 b", ">> CDS ack 5", ">> EDS ack 6", "<< RDS 7 r", ">> RDS ack 7"]
    assert not proxy.wrong


def test_an_acknowledged_cluster_is_not_warm_before_its_endpoints_are_answered() -> None:
    session = Session({t: {r.name.name: r for r in (*WORLD, table("s", "a")) if r.name.type == t} for t in (CLUSTER, ENDPOINT, ROUTES)})
    session.receive(Request(CLUSTER))
    assert session.next() is not None
    session.receive(Request(ROUTES, ("r",)))
    session.receive(Request(CLUSTER, nonce="1"))
    assert session.next() is None, "acknowledged, as Envoy does while it starts, but without endpoints"
    session.receive(Request(ENDPOINT, ("a",)))
    answer = session.next()
    assert answer is not None and answer.type == ENDPOINT
    assert session.next() is None
    session.receive(Request(ENDPOINT, nonce=answer.nonce))
    routes = session.next()
    assert routes is not None and routes.type == ROUTES


def test_a_changed_cluster_is_followed_by_its_endpoints_unasked() -> None:
    fleets, proxy, stream = started(*WORLD)
    fleets.update(FLEET, [cluster("a", timeout=5)])
    stream.settle()
    assert stream.transcript() == ["<< CDS 5 a", "<< EDS 6 a", ">> CDS ack 5", ">> EDS ack 6"]
    assert not proxy.warming


def test_a_cluster_is_taken_away_when_its_last_route_is_gone_and_acknowledged() -> None:
    fleets, proxy, stream = started(*WORLD, cluster("b"), endpoints("b"))
    fleets.update(FLEET, [table("r", "b")], [Name(CLUSTER, "a"), Name(ENDPOINT, "a")])
    stream.settle()
    assert stream.transcript() == ["<< RDS 5 r", ">> RDS ack 5", "<< CDS 6 -a", ">> CDS ack 6", ">> EDS -a"]
    assert not proxy.wrong


def test_a_table_goes_with_its_scope_and_its_cluster_after_both() -> None:
    world = (cluster("a"), endpoints("a"), table("t", "a"), scope("s", "t"), listener("l", scopes=True))
    fleets, proxy, stream = started(*world)
    fleets.update(FLEET, [], [r.name for r in world[:4]])
    stream.settle()
    sent = [line for line in stream.transcript() if line.startswith("<<")]
    assert sent == ["<< SRDS 6 -s", "<< CDS 7 -a"]
    assert not proxy.wrong and proxy.holds() == {(LISTENER, "l"): world[4].version}


def test_a_scope_waits_for_the_clusters_of_its_table_and_others_do_not() -> None:
    fleets, _proxy, stream = started(cluster("a"), endpoints("a"), table("t", "a"), scope("s", "t"), listener("l", scopes=True))
    fleets.update(FLEET, [table("u", "missing"), scope("v", "u"), table("w", "a"), scope("x", "w")])
    stream.settle()
    assert [line for line in stream.transcript() if line.startswith("<<")] == ["<< SRDS 6 x", "<< RDS 7 w"]
    assert [(h.name.name, h.waits_for) for h in fleets.held(FLEET)] == [("v", Name(CLUSTER, "missing"))]
    assert not fleets.in_force(FLEET, Name(SCOPES, "v")) and fleets.in_force(FLEET, Name(SCOPES, "x"))


def test_a_listener_of_tcp_waits_for_its_cluster() -> None:
    fleets, proxy, stream = started(*WORLD)
    fleets.update(FLEET, [listener("tcp", clusters=("b",)), cluster("b"), endpoints("b")])
    stream.settle()
    assert [line for line in stream.transcript() if line.startswith("<<")] == ["<< CDS 5 b", "<< EDS 6 b", "<< LDS 7 tcp"]
    assert not proxy.wrong


def test_what_changes_while_a_response_is_on_its_way_goes_with_the_next_as_one() -> None:
    fleets, _proxy, stream = started(*WORLD)
    fleets.update(FLEET, [endpoints("a", n=0)])
    assert stream.say()
    for n in range(1, 50):
        fleets.update(FLEET, [endpoints("a", n=n), cluster(f"c{n:02}", eds=False)])
        stream.say()
    stream.settle()
    lines = stream.transcript()
    assert [line.split()[1] for line in lines if line.startswith("<<")] == ["EDS", "CDS", "EDS", "CDS"]


def test_a_restarted_server_sends_nothing_that_the_proxy_has() -> None:
    _fleets, proxy, stream = started(*WORLD, scope("s", "r"), cluster("plain", eds=False))
    again = Fleets()
    again.update(FLEET, [*WORLD, scope("s", "r"), cluster("plain", eds=False)])
    stream = Stream(again, proxy)
    stream.settle()
    assert not [line for line in stream.log if line.startswith("<<")]
    assert again.in_force(FLEET, Name(LISTENER, "l"))


def test_a_server_that_does_not_know_yet_takes_nothing_away() -> None:
    _fleets, proxy, stream = started(*WORLD)
    again = Fleets()
    stream = Stream(again, proxy)
    stream.settle()
    assert not [line for line in stream.log if line.startswith("<<")]
    again.update(FLEET, [*WORLD, endpoints("a", n=1)])
    stream.settle()
    assert [line for line in stream.log if line.startswith("<<")] == ["<< EDS 1 a"]


def test_what_went_while_the_server_was_away_is_taken_away_after_its_users() -> None:
    _fleets, proxy, stream = started(*WORLD)
    again = Fleets()
    again.update(FLEET, [cluster("b"), endpoints("b"), table("r", "b"), WORLD[3]])
    stream = Stream(again, proxy)
    stream.settle()
    sent = [line for line in stream.log if line.startswith("<<")]
    assert sent == ["<< CDS 1 b", "<< EDS 2 b", "<< RDS 3 r", "<< CDS 4 -a"]
    assert not proxy.wrong


def test_nothing_is_taken_away_before_the_proxy_has_said_all_that_it_has() -> None:
    """It says it type by type: that it has routes to a cluster comes after that it has the cluster."""
    front, old, routes = WORLD[3], cluster("old"), table("r", "a")
    session = Session({LISTENER: {"l": front}, ROUTES: {"r": routes}, CLUSTER: {"a": WORLD[0]}, ENDPOINT: {"a": WORLD[1]}})
    session.receive(Request(CLUSTER, versions={"old": old.version, "a": WORLD[0].version}))
    assert session.next() is None
    session.receive(Request(ENDPOINT, ("a", "old"), versions={"a": WORLD[1].version, "old": "1"}))
    assert session.next() is None
    session.receive(Request(LISTENER, versions={"l": front.version}))
    assert session.next() is None, "the listener has a table, and nothing is known of that yet"
    session.receive(Request(ROUTES, ("r",), versions={"r": "older"}))
    now = session.next()
    assert now is not None and now.resources == (routes,)
    assert session.next() is None, "the older table may go to it"
    session.receive(Request(ROUTES, nonce=now.nonce))
    then = session.next()
    assert then is not None and then.removed == ("old",)


def test_endpoints_that_were_on_their_way_before_a_cluster_do_not_make_it_warm() -> None:
    one, other = cluster("a"), of(CLUSTER, "b", (Name(ENDPOINT, "a"),), eds="a")
    wanted: dict[str, dict[str, Resource]] = {CLUSTER: {"a": one}, ENDPOINT: {"a": endpoints("a")}, ROUTES: {}}
    session = Session(wanted)
    session.receive(Request(CLUSTER))
    first = session.next()
    session.receive(Request(ENDPOINT, ("a",)))
    early = session.next()
    session.receive(Request(ROUTES, ("r",)))
    session.receive(Request(CLUSTER, nonce=first.nonce if first else ""))
    wanted[CLUSTER]["b"], wanted[ROUTES]["r"] = other, table("r", "b")
    session.touch([Name(CLUSTER, "b"), Name(ROUTES, "r")])
    second = session.next()
    assert early is not None and second is not None and second.resources == (other,)
    session.receive(Request(CLUSTER, nonce=second.nonce))
    session.receive(Request(ENDPOINT, nonce=early.nonce))
    again = session.next()
    assert again is not None and again.type == ENDPOINT
    assert session.next() is None
    session.receive(Request(ENDPOINT, nonce=again.nonce))
    routes = session.next()
    assert routes is not None and routes.type == ROUTES


def test_what_a_refused_response_may_have_taken_away_is_sent_again_when_it_is_wanted_after_all() -> None:
    scopes = {"east": inline("east"), "west": inline("west")}
    session = Session({SCOPES: scopes})
    session.receive(Request(SCOPES))
    session.receive(Request(SCOPES, nonce="1" if session.next() else ""))
    west = scopes.pop("west")
    scopes["east"] = inline("east", bad="whole")
    session.touch([Name(SCOPES, "east"), Name(SCOPES, "west")])
    mixed = session.next()
    assert mixed is not None and mixed.removed == ("west",) and len(mixed.resources) == 1
    session.receive(Request(SCOPES, nonce=mixed.nonce, error="no such thing"))
    scopes["west"] = west
    session.touch([Name(SCOPES, "west")])
    again = session.next()
    assert again is not None and again.resources == (west,)


def test_a_proxy_that_was_warming_when_the_stream_broke_gets_the_endpoints_that_it_does_not_ask_for() -> None:
    fleets, proxy, stream = started(*WORLD)
    fleets.update(FLEET, [cluster("a", timeout=5)])
    stream.say()
    stream.take()
    assert proxy.warming
    stream.close()
    stream = Stream(fleets, proxy)
    stream.settle()
    assert not proxy.warming
    assert [line for line in stream.log if line.startswith("<<")] == ["<< EDS 1 a"]


def test_what_is_asked_for_and_not_there_is_answered_at_once() -> None:
    session = Session({})
    session.receive(Request(ROUTES, ("nothing",)))
    answer = session.next()
    assert answer is not None and answer.removed == ("nothing",) and not answer.resources


def test_a_wildcard_with_nothing_to_send_is_answered_so_that_the_proxy_starts() -> None:
    session = Session({})
    session.receive(Request(CLUSTER))
    answer = session.next()
    assert answer is not None and not answer.resources and not answer.removed
    assert session.next() is None


def test_a_name_that_is_asked_for_again_is_sent_again() -> None:
    session = Session({ENDPOINT: {"a": endpoints("a")}})
    session.receive(Request(ENDPOINT, ("a",)))
    first = session.next()
    assert first is not None
    session.receive(Request(ENDPOINT, ("a",), nonce=first.nonce))
    again = session.next()
    assert again is not None and again.resources == first.resources
    session.receive(Request(ENDPOINT, nonce=again.nonce))
    assert session.next() is None


def test_explicit_wildcard_and_its_end() -> None:
    session = Session({CLUSTER: {n: cluster(n, eds=False) for n in "abc"}})
    session.receive(Request(CLUSTER, ("*", "a")))
    first = session.next()
    assert first is not None and len(first.resources) == 3
    session.receive(Request(CLUSTER, nonce=first.nonce))
    session.receive(Request(CLUSTER, unsubscribe=("a",)))
    told = session.next()
    assert told is not None and [r.name.name for r in told.resources] == ["a"], "the wildcard still covers it"
    session.receive(Request(CLUSTER, ("b",), ("*",), nonce=told.nonce))
    assert set(session.proxy.versions()) == {Name(CLUSTER, "b")}


def test_a_first_request_by_name_is_no_wildcard() -> None:
    session = Session({CLUSTER: {n: cluster(n, eds=False) for n in "abc"}})
    session.receive(Request(CLUSTER, ("a",)))
    answer = session.next()
    assert answer is not None and [r.name.name for r in answer.resources] == ["a"]
    assert session.next() is None


def test_an_answer_to_another_nonce_acknowledges_nothing() -> None:
    session = Session({CLUSTER: {"a": cluster("a", eds=False)}})
    session.receive(Request(CLUSTER))
    assert session.next() is not None
    session.receive(Request(CLUSTER, nonce="7"))
    session.receive(Request(CLUSTER, nonce="x" * 100_000))
    assert session.proxy.versions() == {} and session.next() is None
    session.receive(Request(CLUSTER, nonce="1"))
    assert set(session.proxy.versions()) == {Name(CLUSTER, "a")}


def test_a_cluster_is_warm_when_its_secret_is_there_whoever_asked_for_it_first() -> None:
    secret = of(SECRET, "ca")
    one = of(CLUSTER, "one", (Name(SECRET, "ca"),))
    session = Session({SECRET: {"ca": secret}, CLUSTER: {"one": one}, ROUTES: {"r": table("r", "one")}})
    session.receive(Request(SECRET, ("ca",)))
    first = session.next()
    assert first is not None and first.resources == (secret,)
    session.receive(Request(CLUSTER))
    session.receive(Request(ROUTES, ("r",)))
    second = session.next()
    assert second is not None and second.resources == (one,)
    session.receive(Request(CLUSTER, nonce=second.nonce))
    assert session.next() is None, "the secret may yet be refused"
    session.receive(Request(SECRET, nonce=first.nonce))
    third = session.next()
    assert third is not None and third.type == ROUTES


def test_a_cluster_whose_secret_is_missing_is_held_and_holds_back_no_other() -> None:
    fleets = Fleets()
    fleets.update(FLEET, [of(CLUSTER, "one", (Name(SECRET, "ca"),)), cluster("two", eds=False)])
    session = fleets.open(FLEET)
    fleets.receive(FLEET, session, Request(CLUSTER))
    first = session.next()
    assert first is not None and [r.name.name for r in first.resources] == ["two"]
    fleets.receive(FLEET, session, Request(CLUSTER, nonce=first.nonce))
    assert session.next() is None
    assert [(h.name.name, h.waits_for) for h in fleets.held(FLEET)] == [("one", Name(SECRET, "ca"))]
    fleets.update(FLEET, [of(SECRET, "ca")])
    then = session.next()
    assert then is not None and [r.name.name for r in then.resources] == ["one"]
    assert fleets.held(FLEET) == ()


def test_what_collided_with_another_is_tried_again_when_others_change() -> None:
    scopes = {"north": scope("north", "t"), "south": scope("south", "t")}
    session = Session({SCOPES: scopes, ROUTES: {"t": table("t")}})
    session.receive(Request(SCOPES))
    both = session.next()
    assert both is not None and len(both.resources) == 2
    session.receive(Request(SCOPES, nonce=both.nonce, error="scope key conflict found, first scope is X, second scope is Y"))
    for error in (None, "scope key conflict found"):
        answer = session.next()
        assert answer is not None and len(answer.resources) == 1
        session.receive(Request(SCOPES, nonce=answer.nonce, error=error))
    assert session.next() is None and session.proxy.refusals().keys() == {Name(SCOPES, "south")}
    scopes["north"] = scope("north", "t", key=2)
    session.touch([Name(SCOPES, "north")])
    changed = session.next()
    assert changed is not None and [r.name.name for r in changed.resources] == ["north"]
    session.receive(Request(SCOPES, nonce=changed.nonce))
    again = session.next()
    assert again is not None and [r.name.name for r in again.resources] == ["south"]
    session.receive(Request(SCOPES, nonce=again.nonce))
    assert not session.proxy.refusals() and session.next() is None


def test_a_stream_that_asks_for_too_much_is_refused() -> None:
    session = Session({}, bounds=Bounds(names=3, name=10))
    assert session.receive(Request(ENDPOINT, ("a", "b"))) is None
    assert session.receive(Request(ENDPOINT, ("b", "c"))) is None
    assert "3 names" in (session.receive(Request(ENDPOINT, ("d",))) or "")
    assert "10 characters" in (session.receive(Request(ROUTES, ("x" * 11,))) or "")
    assert "3 versions" in (session.receive(Request(LISTENER, versions=dict.fromkeys("abcd", "1"))) or "")
    assert session.receive(Request("type.googleapis.com/nothing.of.ours", ("x" * 5,))) is None


def test_a_stream_of_a_fleet_that_nobody_knows_yet_is_kept_within_bounds() -> None:
    fleets = Fleets(bounds=Bounds(names=10))
    session = fleets.open(FLEET)
    refused = [fleets.receive(FLEET, session, Request(ENDPOINT, tuple("abcdefghij"))) for _ in range(5)]
    assert refused[:4] == [None] * 4 and "before there is anything" in (refused[4] or "")
    assert "10 names" in (fleets.receive(FLEET, fleets.open(FLEET), Request(ENDPOINT, tuple("abcdefghijk"))) or "")
    another = fleets.open(FLEET)
    assert [fleets.receive(FLEET, another, Request(ROUTES)) for _ in range(33)][31:] == [None, "too much is asked before there is anything"]


def test_scopes_come_before_the_scope_that_leads_to_them_and_go_after_it() -> None:
    """Envoy takes away what a response removes before it takes what the response brings (scoped_rds.cc): requests in between would
    be led to scopes that are gone."""
    world = (cluster("a"), endpoints("a"), inline("s", "a"), listener("l", scopes=True))
    fleets, proxy, stream = started(*world)
    fleets.update(FLEET, [cluster("b"), endpoints("b"), inline("s#0", "a"), inline("s#1", "b"), parted("s", "s#0", "s#1")])
    stream.settle()
    sent = [line for line in stream.transcript() if line.startswith("<<") and "SRDS" in line]
    assert sent == ["<< SRDS 7 s#0", "<< SRDS 8 s#1", "<< SRDS 9 s"], "the whole waits for the part whose cluster is new"
    fleets.update(FLEET, [inline("s", "a")], [Name(SCOPES, "s#0"), Name(SCOPES, "s#1"), Name(CLUSTER, "b"), Name(ENDPOINT, "b")])
    stream.settle()
    sent = [line for line in stream.transcript() if line.startswith("<<")]
    assert sent == ["<< SRDS 10 s", "<< SRDS 11 -s#0 -s#1", "<< CDS 12 -b"]
    assert not proxy.wrong


def test_scopes_that_may_lead_requests_on_keep_all_others_until_a_reconnected_proxy_has_them_anew() -> None:
    world = (cluster("a"), endpoints("a"), inline("s#0", "a"), inline("s#1", "a"), parted("s", "s#0", "s#1"), listener("l", scopes=True))
    fleets, proxy, stream = started(*world)
    stream.close()
    fleets.update(FLEET, [inline("s", "a")], [Name(SCOPES, "s#0"), Name(SCOPES, "s#1")])
    again = Stream(fleets, proxy)
    again.settle()
    sent = [line for line in again.log if line.startswith("<<") and "SRDS" in line]
    assert [line.split(" ", 3)[3] for line in sent] == ["s", "-s#0 -s#1"]
    assert (SCOPES, "s#0") not in proxy.holds()
    again.close()
    fleets.update(FLEET, [], [Name(SCOPES, "s")])
    last = Stream(fleets, proxy)
    last.settle()
    assert [line.split(" ", 3)[3] for line in last.log if line.startswith("<<") and "SRDS" in line] == ["-s"]
    assert not proxy.wrong


def test_a_listener_does_not_wait_for_an_extension_that_is_refused_and_a_scope_does() -> None:
    limits = resource(EXTENSION, "limits", b"bad")
    needs = frozenset({limits.name})
    ports, hosts = resource(LISTENER, "l", b"", needs), resource(SCOPES, "s", b"", needs)
    proxy = Proxy({EXTENSION: {"limits": limits}})
    assert (proxy.obstacle(ports), proxy.obstacle(hosts)) == ((), ())
    proxy.types[EXTENSION] = Subscription(EXTENSION, proxy.usage)
    proxy.types[EXTENSION].refused["limits"] = Refusal(limits.version, "no")
    assert (proxy.obstacle(ports), proxy.obstacle(hosts)) == ((), (limits.name,))
