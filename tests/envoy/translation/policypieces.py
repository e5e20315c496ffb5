"""Every field of a backend's and a client's policy, for golden files: a cluster or a socket each, named after what is asked for."""

from __future__ import annotations

from translated import GATEWAY, host, http, rule, source

from seaway.routing.ir import BackendTls, Chain, Cluster, Forward, Pieces, Rule, ServerTls, Socket, Stream, Target
from seaway.routing.policy import (
    BackendPolicy,
    Balancing,
    Breaker,
    ClientPolicy,
    HashOn,
    HealthCheck,
    Outliers,
    RoutePolicy,
)

TLS = BackendTls("web.example.com", "ConfigMap/shop/ca")
HASH = (
    HashOn("client"),
    HashOn("header", "x-user"),
    HashOn("query", "user"),
    HashOn("cookie", "kept"),
    HashOn("cookie", "made", 3600, "/shop"),
    HashOn("cookie", "session", 0),
)
USES: dict[str, BackendPolicy] = {
    "least-request": BackendPolicy(Balancing(slow_start=30.0)),
    "round-robin": BackendPolicy(Balancing("round-robin", slow_start=0.5)),
    "random": BackendPolicy(Balancing("random")),
    "ring-hash": BackendPolicy(Balancing("ring-hash", 4096)),
    "ring-hash-own": BackendPolicy(Balancing("ring-hash", hash_on=HASH[:2])),
    "maglev": BackendPolicy(Balancing("maglev")),
    "maglev-table": BackendPolicy(Balancing("maglev", 1000)),
    "breaker": BackendPolicy(breaker=Breaker(100, 10, 200, 1000)),
    "breaker-requests": BackendPolicy(breaker=Breaker(requests=5)),
    "outliers": BackendPolicy(outliers=Outliers()),
    "outliers-gateway": BackendPolicy(outliers=Outliers(7, 3, 1.0, 60.0, 50)),
    "health": BackendPolicy(health=HealthCheck()),
    "health-http": BackendPolicy(health=HealthCheck("http", "/ready", "a.example.com", (200, 204), 5.0, 2.0, 4, 2)),
    "health-tcp": BackendPolicy(health=HealthCheck("tcp")),
    "times": BackendPolicy(connect_timeout=0.25, idle_timeout=60.0),
    "proxy-v1": BackendPolicy(proxy_protocol=1),
}


def backends() -> Pieces:
    clusters = [Cluster(f"shop/web/80/{name}", policy=policy) for name, policy in USES.items()]
    clusters += [
        Cluster("shop/tls/443/proxy-v2", tls=TLS, policy=BackendPolicy(proxy_protocol=2)),
        Cluster("shop/tls/443/health", "h2", TLS, policy=BackendPolicy(health=HealthCheck())),
        Cluster("shop/grpc/80/health", "h2", policy=BackendPolicy(health=HealthCheck("grpc"))),
        Cluster("shop/web/80/no-grpc", policy=BackendPolicy(health=HealthCheck("grpc"))),
        Cluster("shop/outside/80/health", "auto", None, "api.example.com", 80, BackendPolicy(health=HealthCheck())),
        Cluster("shop/db/5432/tcp", "tcp", policy=BackendPolicy(idle_timeout=60.0, proxy_protocol=2, health=HealthCheck("tcp"))),
        Cluster("shop/dns/53/udp", "udp", policy=BackendPolicy(idle_timeout=60.0, proxy_protocol=2, health=HealthCheck("tcp"))),
    ]

    def hashed(path: str, *targets: Target) -> Rule:
        return rule(path, Forward(targets), policy=RoutePolicy(hash_on=HASH))

    one, other = Target("shop/web/80/maglev", 3), Target("shop/web/80/ring-hash")
    pieces = http(80, host("hash.example.com", hashed("/one", one), hashed("/two", one, other)))
    pieces.sockets.clear()
    pieces.clusters = {c.name: c for c in clusters}
    return pieces


ASKED: dict[str, ClientPolicy] = {
    "proxied": ClientPolicy(proxy_protocol=True),
    "hops": ClientPolicy(trusted_hops=2),
    "forwarders": ClientPolicy(trusted_addresses=("10.0.0.0/8", "fd00::1")),
    "tls": ClientPolicy(minimum_tls="1.2", maximum_tls="1.2", ciphers=("ECDHE-RSA-AES128-GCM-SHA256", "NO-SUCH-CIPHER")),
    "streams": ClientPolicy(streams=7),
    "headers": ClientPolicy(headers_kib=10_000),
    "times": ClientPolicy(idle_timeout=60.0, request_timeout=10.5),
    "connections": ClientPolicy(connections=1000),
    "http3": ClientPolicy(http3=True, streams=7, idle_timeout=60.0, trusted_addresses=("10.0.0.0/8",)),
}


def clients() -> Pieces:
    tls = ServerTls(("shop/a",))
    sockets = []
    for number, (name, policy) in enumerate(ASKED.items()):
        chain = Chain(name, GATEWAY, (f"{name}.example.com",), tls, f"https-{name}", client=policy)
        sockets.append(Socket(8000 + number, "tcp", (chain,)))
    stream = Stream((Target("shop/db/5432/tcp"),), source("db"))
    both = ClientPolicy(proxy_protocol=True, connections=10, idle_timeout=60.0, trusted_addresses=("10.0.0.0/8",))
    sockets.append(Socket(5432, "tcp", (Chain("db", GATEWAY, stream=stream, client=both),)))
    return Pieces(sockets={s.name: s for s in sockets})
