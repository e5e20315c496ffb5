"""How endpoints are used, through a real Envoy: who gets how many requests, who is left out, what connections begin with."""

from __future__ import annotations

import collections
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from endpoints import HEALTH, Endpoint
from proxied import Answer, Proxied, free_port
from test_translation_tls import CA, NOW, Lines, context_of
from translated import GATEWAY, host, http, rule, source, to

from seaway.routing.ir import (
    BackendTls,
    Chain,
    Cluster,
    End,
    Endpoints,
    Forward,
    Pieces,
    Rule,
    Socket,
    Stream,
    Target,
    Trust,
)
from seaway.routing.policy import (
    BackendPolicy,
    Balancing,
    Breaker,
    HashOn,
    HealthCheck,
    Outliers,
    RoutePolicy,
)

HOST = "a.example.com"
NAMES = ("one", "two", "three")
LONG = 3600.0
HASH = {
    "client": (HashOn("client"),),
    "header": (HashOn("header", "x-user"),),
    "query": (HashOn("query", "user"),),
    "cookie": (HashOn("cookie", "user"),),
    "made": (HashOn("cookie", "made", 3600),),
    "session": (HashOn("cookie", "session", 0, "/hash"),),
    "both": (HashOn("header", "x-user"), HashOn("query", "user")),
}
TLS = BackendTls("backend.example.com", "ConfigMap/shop/ca")
RING, MAGLEV = Balancing("ring-hash"), Balancing("maglev", table_size=10_000)


def checked(kind: str = "http", **more: Any) -> HealthCheck:
    return HealthCheck(kind, HEALTH, **{"interval": 0.1, "timeout": 2.0, "unhealthy": 2} | more)


# By name: how the cluster is used, and by which endpoints.
CLUSTERS: dict[str, tuple[BackendPolicy, tuple[str, ...]]] = {
    "turns": (BackendPolicy(Balancing("round-robin")), NAMES),
    "random": (BackendPolicy(Balancing("random")), NAMES),
    "least": (BackendPolicy(Balancing()), ("one", "busy")),
    "slow": (BackendPolicy(Balancing("round-robin", slow_start=2.0)), ("one", "two")),
    "ring": (BackendPolicy(RING), NAMES),
    "maglev": (BackendPolicy(MAGLEV), NAMES),
    "other": (BackendPolicy(RING), ("apart",)),
    "own": (BackendPolicy(Balancing("maglev", hash_on=HASH["header"])), NAMES),
    "ejecting": (BackendPolicy(Balancing("round-robin"), outliers=Outliers(3, base_ejection=LONG)), ("one", "failing", "two")),
    "gateway": (BackendPolicy(Balancing("round-robin"), outliers=Outliers(100, 2, base_ejection=LONG)), ("one", "unavailable")),
    "few": (BackendPolicy(Balancing("round-robin"), outliers=Outliers(1, most=34, base_ejection=LONG)), ("one", "few-1", "few-2")),
    "all": (BackendPolicy(Balancing("round-robin"), outliers=Outliers(1, most=100, base_ejection=LONG)), ("all-1", "all-2")),
    "requests": (BackendPolicy(breaker=Breaker(requests=1)), ("held",)),
    "pending": (BackendPolicy(breaker=Breaker(connections=1, pending=1)), ("held",)),
    "fresh": (BackendPolicy(breaker=Breaker(requests_per_connection=2)), ("counted",)),
    "idle": (BackendPolicy(idle_timeout=0.05), ("left",)),
    "deaf": (BackendPolicy(connect_timeout=0.1), ("deaf",)),
    "checked": (BackendPolicy(Balancing("round-robin"), health=checked(host="health.example.com")), ("one", "ill", "two")),
    "sick": (BackendPolicy(Balancing("round-robin"), health=checked()), ("sick-1", "sick-2")),
    "statuses": (BackendPolicy(health=checked(statuses=(418,))), ("teapot", "one")),
    "open": (BackendPolicy(Balancing("round-robin"), health=checked("tcp")), ("one", "shut")),
    "leaving": (BackendPolicy(Balancing("round-robin"), health=checked()), ("one", "two")),
    "v1": (BackendPolicy(proxy_protocol=1, health=checked()), ("told",)),
    "v2": (BackendPolicy(proxy_protocol=2), ("told",)),
    "tls": (BackendPolicy(proxy_protocol=2, health=checked()), ("sealed",)),
}
# Endpoints that end are used where nobody else is left, however the others are used.
DRAINING = {
    "turns": BackendPolicy(Balancing("round-robin", slow_start=LONG)),
    "least": BackendPolicy(),
    "random": BackendPolicy(Balancing("random")),
    "ring": BackendPolicy(RING),
    "maglev": BackendPolicy(MAGLEV),
    "checked": BackendPolicy(Balancing("round-robin"), health=checked(), outliers=Outliers()),
}
GRPC = "shop/grpc/80"


def until(check: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := check()):
        assert time.monotonic() < end
        time.sleep(0.002)
    return found


def _grpc(status: int) -> tuple[grpc.Server, int]:
    """A server that says of its health what it is told to (grpc.health.v1)."""
    check = grpc.unary_unary_rpc_method_handler(lambda *_: bytes((8, status)))
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class World:
    def __init__(self) -> None:
        tls = context_of(CA.issue("backend", NOW, hosts=("backend.example.com",), server=True), True)
        self.ends = {n: Endpoint(n) for _, names in CLUSTERS.values() for n in names if n not in ("told", "sealed", "shut", "deaf")}
        self.ends |= {"told": Endpoint("told", proxied=True), "sealed": Endpoint("sealed", tls, True)}
        for name, status in {"failing": 500, "unavailable": 503, "few-1": 500, "few-2": 500, "all-1": 500, "all-2": 500}.items():
            self.ends[name].status = status
        for name in ("ill", "sick-1", "sick-2"):
            self.ends[name].health = 503
        self.ends["teapot"].health = 418
        # Nobody listens on the one; the other's queue is full, so that it does not even refuse.
        self.ports = {n: e.port for n, e in self.ends.items()} | {"shut": free_port()}
        self._deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.ports["deaf"] = int(self._deaf.getsockname()[1])
        self._waiting = [socket.socket() for _ in range(3)]
        for one in self._waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.ports["deaf"]))
        self.serving = [_grpc(status) for status in (1, 2)]  # SERVING, NOT_SERVING
        self.lines = [Lines(name) for name in NAMES]
        self.http, self.tcp, self.udp = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
        moving = [f"shop/{n}/80" for n in ("ring", "maglev", "slow", "leaving")]
        self.proxy = Proxied(self._pieces(), moving=[*moving, *(f"shop/draining/80/{n}" for n in DRAINING)])
        self.began = 0.0

    def endpoints(self, name: str, *names: str) -> Endpoints:
        ends = tuple(sorted(End("127.0.0.1", self.ports[n]) for n in names))
        return Endpoints(f"shop/{name}/80", ends)

    def _rules(self) -> list[Rule]:
        def hashed(path: str, hash_on: tuple[HashOn, ...], *clusters: str) -> Rule:
            targets = tuple(Target(f"shop/{c}/80") for c in clusters)
            return rule(path, Forward(targets), policy=RoutePolicy(hash_on=hash_on))

        found = [hashed(f"/hash/{c}/{k}", h, c) for c in ("ring", "maglev") for k, h in HASH.items()]
        found += [hashed(f"/shares/{k}", h, "ring", "other") for k, h in HASH.items()]
        found += [rule(f"/draining/{name}", to(f"shop/draining/80/{name}")) for name in DRAINING]
        return found + [rule(f"/{name}", to(f"shop/{name}/80")) for name in CLUSTERS]

    def draining(self, name: str, ready: tuple[str, ...], ending: tuple[str, ...]) -> Endpoints:
        ends = [End("127.0.0.1", self.ports[n], draining=n in ending) for n in (*ready, *ending)]
        return Endpoints(f"shop/draining/80/{name}", tuple(sorted(ends)))

    def _pieces(self) -> Pieces:
        pieces = http(self.http, host(HOST, *self._rules()))
        for name, (policy, names) in CLUSTERS.items():
            full = f"shop/{name}/80"
            pieces.clusters[full] = Cluster(full, tls=TLS if name == "tls" else None, policy=policy)
            pieces.endpoints[full] = self.endpoints(name, *names)
        for name, policy in DRAINING.items():
            full = f"shop/draining/80/{name}"
            pieces.clusters[full] = Cluster(full, policy=policy)
            pieces.endpoints[full] = self.draining(name, ("one",), ("two", "three"))
        pieces.clusters[GRPC] = Cluster(GRPC, "h2", policy=BackendPolicy(health=checked("grpc")))
        pieces.endpoints[GRPC] = Endpoints(GRPC, tuple(sorted(End("127.0.0.1", port) for _, port in self.serving)))
        for transport, port in (("tcp", self.tcp), ("udp", self.udp)):
            full = f"shop/lines/80/{transport}"
            pieces.clusters[full] = Cluster(full, transport, policy=BackendPolicy(MAGLEV))
            pieces.endpoints[full] = Endpoints(full, tuple(sorted(End("127.0.0.1", li.port) for li in self.lines)))
            chain = Chain(transport, GATEWAY, stream=Stream((Target(full),), source("lines")))
            pieces.sockets[f"{transport}-{port}"] = Socket(port, transport, (chain,))
        pieces.trusts[TLS.trust] = Trust(TLS.trust, CA.pair.certificate)
        return pieces

    def ask(self, path: str, headers: dict[str, str] | None = None, by: str = "") -> Answer:
        return self.proxy.get(HOST, path, headers=(headers or {}).items(), port=self.http, by=by)

    def who(self, path: str, headers: dict[str, str] | None = None, by: str = "") -> str:
        return self.ask(path, headers, by).headers.get("x-backend", "")

    def shares(self, path: str, times: int) -> collections.Counter[str]:
        return collections.Counter(self.who(path) for _ in range(times))

    def close(self) -> None:
        for one in (*self.ends.values(), *self.lines):
            one.close()
        for server, _ in self.serving:
            server.stop(None)
        for other in (*self._waiting, self._deaf):
            other.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    with world.proxy:
        world.began = time.monotonic()
        yield world
    world.close()


def test_all_of_it_is_taken_by_envoy_and_none_of_it_is_to_be_dropped(world: World) -> None:
    assert world.proxy.refused() == {}
    assert [line for line in world.proxy.logged().splitlines() if "eprecated" in line] == []


def test_in_turns_each_gets_the_same(world: World) -> None:
    assert world.shares("/turns", 30) == {"one": 10, "two": 10, "three": 10}


def test_at_random_each_gets_some_and_not_in_turns(world: World) -> None:
    found = [world.who("/random") for _ in range(60)]
    assert set(found) == set(NAMES)
    assert len({tuple(found[i : i + 3]) for i in range(0, 60, 3)}) > 1


def test_who_has_fewer_requests_gets_more(world: World) -> None:
    """Two are chosen by chance, and of them who has fewer: the busy one where it is both, a quarter of the time."""
    busy, other = world.ends["busy"], world.ends["one"]
    under_way: list[threading.Thread] = []

    def ask() -> None:
        before = busy.asked + other.asked
        under_way.append(threading.Thread(target=world.ask, args=("/least",)))
        under_way[-1].start()
        until(lambda: busy.asked + other.asked > before)

    with busy.held():
        while not busy.asked:
            ask()
        for _ in range(100):
            ask()
        assert busy.asked < 43
    for thread in under_way:
        thread.join()


@pytest.mark.parametrize("cluster", ["ring", "maglev"])
@pytest.mark.parametrize(
    ("kind", "asked"),
    {
        "header": lambda key: ("", {"x-user": key}, ""),
        "query": lambda key: (f"?user={key}", {}, ""),
        "cookie": lambda key: ("", {"cookie": f"a=b; user={key}"}, ""),
        "client": lambda key: ("", {"x-forwarded-for": "1.2.3.4"}, f"127.0.1.{key}"),
    }.items(),
)
def test_a_key_has_its_endpoint(world: World, cluster: str, kind: str, asked: Callable[[str], tuple[str, dict[str, str], str]]) -> None:
    found = collections.Counter()
    for key in range(1, 31):
        query, headers, by = asked(str(key))
        who = {world.who(f"/hash/{cluster}/{kind}{query}", headers, by) for _ in range(2)}
        assert len(who) == 1
        found.update(who)
    assert set(found) == set(NAMES)


def test_of_two_things_that_hashing_goes_by_both_count(world: World) -> None:
    found = {who for key in range(12) if (who := world.who("/hash/ring/both?user=x", {"x-user": str(key)}))}
    assert len(found) > 1
    found = {who for key in range(12) if (who := world.who(f"/hash/ring/both?user={key}", {"x-user": "x"}))}
    assert len(found) > 1


@pytest.mark.parametrize(("kind", "says"), {"made": "Max-Age=3600", "session": "Path=/hash"}.items())
@pytest.mark.parametrize("path", ["/hash/ring", "/hash/maglev", "/shares"])
def test_a_cookie_is_made_where_there_is_none(world: World, kind: str, says: str, path: str) -> None:
    first = world.ask(f"{path}/{kind}", by="127.0.1.77")
    cookie = first.headers["set-cookie"]
    assert says in cookie and "HttpOnly" in cookie and cookie.count(f"{kind}=") == 1
    assert ("Max-Age" in cookie) == (kind == "made")
    shown = {"cookie": cookie.partition(";")[0]}
    for client in range(1, 6):
        again = world.ask(f"{path}/{kind}", shown, f"127.0.1.{client}")
        # With several clusters the request that has no cookie yet is given to one by chance.
        first = again if path == "/shares" and client == 1 else first
        assert again.body["backend"] == first.body["backend"] and "set-cookie" not in again.headers


def test_a_key_has_its_cluster_where_there_are_several_and_all_get_some(world: World) -> None:
    found = []
    for key in range(40):
        who = {world.who("/shares/header", {"x-user": str(key)}) for _ in range(3)}
        assert len(who) == 1
        found += who
    assert set(found) == {*NAMES, "apart"} and 8 <= found.count("apart") <= 32


def test_without_what_hashing_goes_by_anybody_gets_it(world: World) -> None:
    assert set(world.shares("/hash/ring/header", 40)) == set(NAMES)
    assert {"apart"} < set(world.shares("/shares/header", 40))


def test_a_cluster_may_say_itself_what_hashing_goes_by(world: World) -> None:
    found = set()
    for key in range(30):
        who = {world.who("/own", {"x-user": str(key)}) for _ in range(2)}
        assert len(who) == 1
        found |= who
    assert found == set(NAMES)


@pytest.mark.parametrize("cluster", ["ring", "maglev"])
def test_of_the_keys_few_move_but_those_of_an_endpoint_that_goes(world: World, cluster: str) -> None:
    def where() -> dict[int, str]:
        return {key: world.who(f"/hash/{cluster}/header", {"x-user": str(key)}) for key in range(100)}

    before = where()
    world.proxy.apply(Pieces(endpoints={f"shop/{cluster}/80": world.endpoints(cluster, "one", "two")}))
    after = until(lambda: found if "three" not in (found := where()).values() else None)
    stayed = [key for key, who in before.items() if who != "three"]
    # A table that knows nothing of consistency would move half of them.
    assert sum(before[key] != after[key] for key in stayed) < len(stayed) * 0.3
    world.proxy.apply(Pieces(endpoints={f"shop/{cluster}/80": world.endpoints(cluster, *NAMES)}))
    until(lambda: where() == before)


@pytest.mark.parametrize(("path", "bad", "errors"), [("/ejecting", "failing", 3), ("/gateway", "unavailable", 2)])
def test_who_fails_again_and_again_is_left_out(world: World, path: str, bad: str, errors: int) -> None:
    # What is decided takes a moment until it is done, in which one more may come.
    until(lambda: bad not in world.shares(path, 3))
    asked = world.ends[bad].asked
    assert errors <= asked <= errors + 2
    assert {world.ask(path).status for _ in range(20)} == {200} and world.ends[bad].asked == asked


def test_no_more_than_a_share_is_left_out_and_where_nobody_is_left_all_are_asked(world: World) -> None:
    statuses = collections.Counter(world.ask("/few").status for _ in range(40))
    assert statuses[500] > 10 and min(world.ends["few-1"].asked, world.ends["few-2"].asked) <= 3
    until(lambda: world.shares("/all", 10) == {"all-1": 5, "all-2": 5})


def test_a_breaker_answers_what_is_too_much(world: World) -> None:
    held = world.ends["held"]
    for path, under_way in (("/requests", 1), ("/pending", 2)):
        before = held.asked
        threads = [threading.Thread(target=world.ask, args=(path,)) for _ in range(under_way)]
        with held.held():
            threads[0].start()
            until(lambda: held.asked > before)  # noqa: B023
            for thread in threads[1:]:
                thread.start()
            gauge = f"cluster.shop/{path[1:]}/80.upstream_rq_pending_active"
            until(lambda: f"{gauge}: {under_way - 1}" in world.proxy.admin(f"/stats?filter={gauge}"))  # noqa: B023
            answer = world.ask(path)
            assert (answer.status, answer.headers["x-envoy-overloaded"]) == (503, "true")
        for thread in threads:
            thread.join()
        assert world.ask(path).status == 200


def test_a_connection_carries_as_many_requests_as_it_may_and_none_stays_for_long(world: World) -> None:
    assert [world.ask("/fresh").body["connection"] for _ in range(6)] == [1, 1, 2, 2, 3, 3]
    assert world.ask("/idle").status == 200
    until(lambda: world.ends["left"].ended == 1)


def test_who_does_not_answer_the_phone_is_not_waited_for(world: World) -> None:
    began = time.monotonic()
    assert world.ask("/deaf").status == 503
    assert time.monotonic() - began < 5  # three attempts of 0.1 s each; Envoy's default is 5 s for one


def test_who_does_not_pass_its_check_gets_nothing(world: World) -> None:
    assert world.shares("/checked", 20) == {"one": 10, "two": 10}
    assert {h["host"] for h in world.ends["ill"].checked} == {"health.example.com"}
    assert world.shares("/statuses", 10) == {"teapot": 10}
    assert world.shares("/open", 10) == {"one": 10}
    assert {h["host"] for h in world.ends["teapot"].checked} == {"statuses.shop"}
    # Well again, it gets its share; one bad answer is not yet too many, two are.
    ill = world.ends["ill"]
    ill.health = 200
    until(lambda: world.shares("/checked", 3)["ill"])
    ill.health = 500
    until(lambda: not world.shares("/checked", 3)["ill"])


def test_where_nobody_passes_all_are_asked_as_long_as_nobody_does(world: World) -> None:
    assert world.shares("/sick", 20) == {"sick-1": 10, "sick-2": 10}
    world.ends["sick-1"].health = 200
    until(lambda: world.shares("/sick", 6) == {"sick-1": 6})


def test_with_health_checks_endpoints_come_and_go_at_once_and_no_request_fails(world: World) -> None:
    """New ones are asked before they are known to be well where nobody else is there; who leaves is left though it passes."""
    changes = [("three",), ("one", "three"), ("two",), ("one", "two")]
    statuses: collections.Counter[int] = collections.Counter()
    for names in changes:
        world.proxy.apply(Pieces(endpoints={"shop/leaving/80": world.endpoints("leaving", *names)}))

        def arrived(names: tuple[str, ...] = names) -> bool:
            answers = [world.ask("/leaving") for _ in range(4)]
            statuses.update(a.status for a in answers)
            return {a.headers.get("x-backend") for a in answers} == set(names)

        until(arrived)
    assert set(statuses) == {200}


@pytest.mark.parametrize(("path", "version"), {"/v1": "v1", "/v2": "v2", "/tls": "v2"}.items())
def test_a_backend_is_told_who_the_client_is(world: World, path: str, version: str) -> None:
    for client in ("127.0.1.1", "127.0.1.2", "127.0.1.1"):
        assert world.ask(path, by=client).body["proxied"] == f"{version} {client}"


def test_health_checks_begin_as_requests_do(world: World) -> None:
    until(lambda: world.ends["told"].checked and world.ends["sealed"].checked)


def test_who_says_by_grpc_that_it_does_not_serve_is_ill(world: World) -> None:
    (_, well), (_, ill) = world.serving

    def flags() -> dict[int, str]:
        lines = [line for line in world.proxy.admin("/clusters").splitlines() if line.startswith(GRPC) and "health_flags" in line]
        return {int(line.split("::")[1].rpartition(":")[2]): line.rpartition("::")[2] for line in lines}

    until(lambda: flags() == {well: "healthy", ill: "/failed_active_hc"})


@pytest.mark.parametrize("name", DRAINING)
def test_endpoints_that_end_are_used_where_nobody_else_is_left(world: World, name: str) -> None:
    path = f"/draining/{name}"
    assert world.shares(path, 12) == {"one": 12}
    world.proxy.apply(Pieces(endpoints={f"shop/draining/80/{name}": world.draining(name, (), ("two",))}))
    until(lambda: world.shares(path, 2) == {"two": 2})
    world.proxy.apply(Pieces(endpoints={f"shop/draining/80/{name}": world.draining(name, ("three",), ("two",))}))
    until(lambda: world.shares(path, 2) == {"three": 2})
    assert world.shares(path, 12) == {"three": 12}


def test_connections_and_datagrams_keep_to_an_endpoint_by_their_clients_address(world: World) -> None:
    def by_tcp(client: str) -> bytes:
        return world.proxy.raw(b"", world.tcp, client)

    def by_udp(client: str) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.bind((client, 0))
            s.sendto(b"x", ("127.0.0.1", world.udp))
            return s.recv(100).partition(b":")[0]

    for ask in (by_tcp, by_udp):
        found = set()
        for client in range(1, 31):
            who = {ask(f"127.0.1.{client}") for _ in range(3)}
            assert len(who) == 1
            found |= who
        assert found == {name.encode() for name in NAMES}


def test_a_new_endpoint_comes_to_its_share_slowly(world: World) -> None:
    window = 2.0
    until(lambda: time.monotonic() > world.began + window + 0.2)  # who is there already is no beginner any more
    began = time.monotonic()
    world.proxy.apply(Pieces(endpoints={"shop/slow/80": world.endpoints("slow", "one", "three")}))
    until(lambda: "two" not in world.shares("/slow", 4))
    few = world.shares("/slow", 20)["three"]
    weight = max(0.1, (time.monotonic() - began) / window)  # at most, beside the other's 1
    assert few <= 20 * weight / (1 + weight) + 2
    until(lambda: abs(world.shares("/slow", 10)["three"] - 5) <= 1)
