"""HTTP/3 through a real Envoy, asked by itself: listeners of its own over plain HTTP/1.1 pass requests on over QUIC."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from endpoints import Endpoint
from proxied import FLEET, Answer, Proxied, free_port, parsed, tree_of
from test_translation_backends import until
from test_translation_tls import CA, CLIENTS, NOW, certificate, plain_client
from translated import GATEWAY, host, rule, source, to

from seaway.envoy.translation.fleet import Translation
from seaway.envoy.xds.resources import LISTENER, Name
from seaway.routing.ir import (
    Chain,
    ClientCheck,
    Cluster,
    End,
    Endpoints,
    Pieces,
    ServerTls,
    Socket,
    Stream,
    Target,
    Trust,
)
from seaway.routing.policy import BackendPolicy, Balancing, ClientPolicy, HashOn, RoutePolicy

WEB, HASHED = "shop/web/80", "shop/hashed/80"
TLS = ServerTls(("shop/a",))
QUICK = ClientPolicy(http3=True)
CHAINS = {
    "a.example.com": Chain("a", GATEWAY, ("a.example.com",), TLS, "https", client=QUICK),
    "b.example.com": Chain("b", GATEWAY, ("b.example.com",), TLS, "https"),
    "checked.example.com": Chain(
        "checked", GATEWAY, ("checked.example.com",), ServerTls(("shop/a",), ClientCheck("ConfigMap/shop/clients")), "https", client=QUICK
    ),
    "old.example.com": Chain("old", GATEWAY, ("old.example.com",), ServerTls(("shop/a",), maximum="1.2"), "https", client=QUICK),
    "few.example.com": Chain("few", GATEWAY, ("few.example.com",), TLS, "https", client=ClientPolicy(http3=True, connections=9)),
    "behind.example.com": Chain(
        "behind", GATEWAY, ("behind.example.com",), TLS, "https", client=ClientPolicy(http3=True, trusted_addresses=("127.0.0.1/32",))
    ),
}
SERVED = ("a.example.com", "behind.example.com")
EXTENSIONS = "type.googleapis.com/envoy.extensions."


def _client(name: str, port: int, quic: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A listener and a cluster by which a name is asked for over QUIC."""
    trusted = {"trusted_ca": {"inline_string": CA.pair.certificate.decode()}}
    tls = {"sni": name, "common_tls_context": {"validation_context": trusted}}
    transport = {"@type": EXTENSIONS + "transport_sockets.quic.v3.QuicUpstreamTransport", "upstream_tls_context": tls}
    http = {
        "@type": EXTENSIONS + "upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http3_protocol_options": {}},
    }
    end = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": quic}}}}
    cluster = {
        "name": f"quic {name}",
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [end]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http},
        "transport_socket": {"name": "envoy.transport_sockets.quic", "typed_config": transport},
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster["name"]}}
    manager = {
        "@type": EXTENSIONS + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "client",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": EXTENSIONS + "filters.http.router.v3.Router"}}],
    }
    listener = {
        "name": f"client {name}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return listener, cluster


class World:
    def __init__(self) -> None:
        self.web, self.other = Endpoint("web"), Endpoint("other")
        ends = tuple(sorted(End("127.0.0.1", e.port) for e in (self.web, self.other)))
        hashed = rule("/hash", to(HASHED), policy=RoutePolicy(hash_on=(HashOn("client"),)))
        self.port = free_port()
        self.client = {name: free_port() for name in CHAINS}
        made = [_client(name, port, self.port) for name, port in self.client.items()]
        beside = {"listeners": [m[0] for m in made], "clusters": [m[1] for m in made]}
        pieces = Pieces(
            sockets={f"tcp-{self.port}": Socket(self.port, "tcp", tuple(CHAINS.values()))},
            hosts={"https": {"*": host("*", hashed, rule("/", to(WEB)))}},
            clusters={WEB: Cluster(WEB), HASHED: Cluster(HASHED, policy=BackendPolicy(Balancing("maglev")))},
            endpoints={WEB: Endpoints(WEB, (End("127.0.0.1", self.web.port),)), HASHED: Endpoints(HASHED, ends)},
            certificates={"shop/a": certificate("shop/a", CA.issue("a", NOW, hosts=("*.example.com",), server=True))},
            trusts={"ConfigMap/shop/clients": Trust("ConfigMap/shop/clients", CLIENTS.pair.certificate)},
        )
        self.proxy = Proxied(pieces, beside, ())

    def by_quic(self, name: str, path: str = "/", **headers: str) -> Answer:
        fields = [(k.replace("_", "-"), v) for k, v in headers.items()]
        return self.proxy.get(name, path, headers=fields, port=self.client[name])

    def by_tcp(self, name: str) -> Answer:
        with (
            socket.create_connection(("127.0.0.1", self.port), 10) as raw,
            plain_client().wrap_socket(raw, server_hostname=name) as s,
        ):
            s.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            return parsed(s.recv(65536))

    def logged(self, path: str) -> dict[str, str]:
        text = f'"path":"{path}"'
        lines = until(lambda: [li for li in (self.proxy.home / "envoy.log").read_text().splitlines() if text in li])
        found: dict[str, str] = json.loads(lines[0])
        return found


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    with world.proxy:
        until(lambda: f"quic-{world.port}" in world.proxy.admin("/listeners?format=text"))
        yield world
    world.web.close()
    world.other.close()


def test_all_of_it_is_taken_by_envoy_and_none_of_it_is_to_be_dropped(world: World) -> None:
    assert world.proxy.refused() == {}
    assert [line for line in world.proxy.logged().splitlines() if "eprecated" in line] == []


def test_requests_are_served_over_quic_as_over_tcp(world: World) -> None:
    until(lambda: world.by_quic("a.example.com").status == 200)  # certificates may not have come yet
    answer = world.by_quic("a.example.com", "/served")
    assert (answer.status, answer.body["backend"], answer.body["headers"]["x-forwarded-proto"]) == (200, "web", "https")
    line = world.logged("/served")
    assert (line["protocol"], line["tls_version"], line["sni"]) == ("HTTP/3", "TLSv1.3", "a.example.com")
    assert line["client"].startswith("127.0.0.1:") and line["route"] == "HTTPRoute/shop/web"


@pytest.mark.parametrize("name", [n for n in CHAINS if n not in SERVED])
def test_over_quic_nobody_gets_what_is_not_served_so(world: World, name: str) -> None:
    assert world.by_quic(name).status == 503


def test_over_quic_forwarders_are_trusted_as_they_are_over_tcp(world: World) -> None:
    """Seen by where hashing sends whom. (The access log tells who is connected: over QUIC it is written from what is left when the
    client has acknowledged the last of the answer.)"""

    def places(name: str) -> list[str]:
        answers = [world.by_quic(name, "/hash", x_forwarded_for=f"1.1.1.{i}") for i in range(40)]
        return [str(a.body["backend"]) for a in answers]

    assert len(set(places("a.example.com"))) == 1
    found = places("behind.example.com")
    assert set(found) == {"web", "other"} and places("behind.example.com") == found


def test_who_comes_by_tcp_is_told_of_http3_where_it_is_served(world: World) -> None:
    told = f'h3=":{world.port}"; ma=86400'
    assert world.by_tcp("a.example.com").headers.get("alt-svc") == told
    assert world.by_tcp("b.example.com").headers.get("alt-svc") is None
    assert world.by_tcp("old.example.com").status in (0, 200) and "alt-svc" not in world.by_tcp("old.example.com").headers


def _quic(*sockets: Socket) -> tuple[list[str], bool]:
    """The names of the server names that a fleet serves over QUIC, and whether it tells of it."""
    translation = Translation(FLEET)
    translation.apply(Pieces(sockets={s.name: s for s in sockets}))
    found = translation.resources.get(Name(LISTENER, "quic-443"))
    chains = tree_of(found)["filter_chains"] if found is not None else ()
    tcp = translation.resources[Name(LISTENER, "tcp-443")]
    return sorted({n for c in chains for n in c["filter_chain_match"]["server_names"]}), b"alt-svc" in tcp.body


def test_a_port_that_is_somebody_elses_by_udp_has_no_quic() -> None:
    ours = Socket(443, "tcp", tuple(CHAINS.values()))
    theirs = Socket(443, "udp", (Chain("dns", GATEWAY, stream=Stream((Target("shop/dns/53/udp"),), source("dns"))),))
    assert _quic(ours) == (list(SERVED), True)
    assert _quic(ours, theirs) == ([], False)
    translation = Translation(FLEET)
    for socket_, wanted in ((ours, True), (theirs, False), (None, True)):
        translation.apply(Pieces(sockets={"udp-443" if socket_ is not ours else "tcp-443": socket_}))
        assert (Name(LISTENER, "quic-443") in translation.resources) == wanted


def test_where_connections_begin_with_a_proxy_header_there_is_no_quic() -> None:
    proxied = Chain("c", GATEWAY, ("c.example.com",), TLS, "https", client=ClientPolicy(proxy_protocol=True))
    assert _quic(Socket(443, "tcp", (*CHAINS.values(), proxied))) == ([], False)
