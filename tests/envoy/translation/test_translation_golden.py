"""Resources as JSON, for people to read: `make golden` rewrites the files beside this one's golden folder."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import policypieces
import pytest
from proxied import FLEET, tree_of
from translated import GATEWAY, host, http, rule, source, to

from seaway.envoy.translation.fleet import Translation
from seaway.envoy.xds.resources import LISTENER
from seaway.routing.ir import (
    BackendTls,
    Certificate,
    Chain,
    ClientCheck,
    Cluster,
    Cors,
    End,
    Endpoints,
    Forward,
    HeaderEdits,
    Host,
    Mirror,
    Pieces,
    Redirect,
    Respond,
    Retry,
    Rewrite,
    ServerTls,
    Session,
    Socket,
    Stream,
    Target,
    Trust,
    ValueMatch,
)
from seaway.routing.policy import LimitKey, RateLimit, RoutePolicy

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "envoy"
WEB = "shop/web/80"


def _listeners() -> Pieces:
    tls = ServerTls(("shop/a", "shop/b"), ClientCheck("ConfigMap/shop/clients", False), minimum="1.2")
    return Pieces(
        sockets={
            "tcp-80": Socket(80, "tcp", (Chain("http", GATEWAY, table="http-80"),)),
            "tcp-443": Socket(
                443,
                "tcp",
                (
                    Chain("a", GATEWAY, ("a.example.com",), tls, table="https-a"),
                    Chain("pass", GATEWAY, ("*.b.example.com",), stream=Stream((Target("shop/raw/443"),), source("raw"))),
                ),
            ),
            "tcp-5432": Socket(5432, "tcp", (Chain("db", GATEWAY, stream=Stream((Target("x/y/1", 1), Target("", 2)), source("db"))),)),
            "udp-53": Socket(53, "udp", (Chain("dns", GATEWAY, stream=Stream((Target("x/y/1/udp", 1), Target("x/z/1/udp", 2)), source("dns"))),)),
        }
    )


def _routes() -> Pieces:
    edits = HeaderEdits((("x-set", "50%"),), (("x-add", "1"),), ("x-gone",))
    return http(
        80,
        host(
            "a.example.com",
            rule("/exact", Respond(418, "teapot", (("x-a", "b"),)), "exact"),
            rule("/re/.*", Redirect("https", "b.example.com", 8443, "full", "/x", 308), "regex"),
            rule("/old", Redirect(path_kind="prefix", path="/new")),
            rule(
                "/all",
                Forward(
                    (Target(WEB, 3, edits, edits), Target("", 1), Target(WEB, 0)),
                    (Mirror("shop/copy/80", 1, 3),),
                    10.5,
                    2.0,
                    Retry(3, (500, 503), 0.1),
                    Session("cookie", "sid", 60, "/", True),
                    Rewrite("inner", "prefix", "/"),
                ),
                method="POST",
                headers=(ValueMatch("x-a", "exact", "1"), ValueMatch("x-b", "regex", "a+"), ValueMatch("x-c", "present")),
                query=(ValueMatch("q", "exact", "1"),),
                request=edits,
                response=edits,
                cors=Cors(("https://*.example.com",), ("POST",), ("*",), ("x-a",), True, 60),
            ),
            rule("/grpc.Service", to("shop/grpc/80"), grpc=True),
            rule("/none", to("")),
        ),
        host("*.example.com", rule("/", to(WEB))),
        host("*", rule("/", to("shop/any/80"))),
        Host("other.example.com", misdirected=True),
    )


def _clusters() -> Pieces:
    clusters = (
        Cluster("shop/web/80"),
        Cluster("shop/grpc/80", "h2"),
        Cluster("shop/auto/80", "auto"),
        Cluster("shop/raw/443/tcp", "tcp"),
        Cluster("shop/dns/53/udp", "udp"),
        Cluster("shop/outside/443", "http1", BackendTls("api.example.com", system=True), "api.example.com", 443),
        Cluster("shop/tls/443", "h2", BackendTls("web", "ConfigMap/shop/ca", names=(("uri", "spiffe://x"),), certificate="shop/client")),
        Cluster("shop/open/443", "auto", BackendTls("web")),
    )
    ends = (End("10.0.0.1", 8080, "a"), End("10.0.0.2", 8080, "a", True), End("10.0.0.3", 8080, "b"), End("fd00::1", 8080))
    return Pieces(
        clusters={c.name: c for c in clusters},
        endpoints={
            "shop/web/80": Endpoints("shop/web/80", ends),
            "shop/grpc/80": Endpoints("shop/grpc/80", ()),
            "shop/auto/80": Endpoints("shop/auto/80", (End("10.0.0.9", 1, "a", True),)),
        },
        certificates={"shop/client": Certificate("shop/client", b"chain", b"key")},
        trusts={"ConfigMap/shop/ca": Trust("ConfigMap/shop/ca", b"authorities")},
    )


def _limits() -> Pieces:
    """Every field of a limit, and a rule of several routes."""
    keys = (LimitKey("client"), LimitKey("header", "x-user"), LimitKey("header", "x-plan", "gold"))
    hour, rest = RateLimit(100, 3600, 20, keys), RateLimit(5, keys=keys[:1])
    return http(
        80,
        host(
            "limited.example.com",
            rule("/all", to(WEB), policy=RoutePolicy(limits=(RateLimit(1000, 60),))),
            rule("/keys", to(WEB), name="keys", policy=RoutePolicy(limits=(hour, rest, rest))),
            rule("/same", Respond(200), name="same", policy=RoutePolicy(limits=(rest,))),
            rule("/shared", to(WEB), name="shared", policy=RoutePolicy(limits=(RateLimit(9, 60, 1, keys, "global"),))),
            rule("/spared", to(WEB), name="spared", policy=RoutePolicy(limits=tuple(
                RateLimit(1, scope=scope, exempt=("10.0.0.0/8",)) for scope in ("local", "global")
            ))),
        ),
    )


def _bodies() -> Pieces:
    """Bodies that are bounded: of a rule with one route, of one with two, of a call."""
    small, huge = RoutePolicy(largest_body=1000), RoutePolicy(largest_body=1 << 40)
    kept = Forward((Target(WEB), Target("shop/other/80")), session=Session("cookie", "sid"))
    return Pieces(
        hosts={
            "http-80": {
                "bodies.example.com": host(
                    "bodies.example.com",
                    rule("/web", to(WEB), policy=small, method="POST"),
                    rule("/kept", kept, name="kept", policy=huge),
                    rule("/call", to(WEB), name="call", policy=small, grpc=True),
                    rule("/old", Redirect(path_kind="prefix", path="/new"), name="old", policy=small),
                )
            }
        }
    )


CASES = {"listeners": _listeners, "routes": _routes, "clusters": _clusters, "backend-policies": policypieces.backends, "client-policies": policypieces.clients, "limits": _limits, "bodies": _bodies}


# What all chains have alike, which stands in `listeners` in full.
ALIKE = ("access_log", "scoped_routes", "traffic_direction", "upgrade_configs", "per_connection_buffer_limit_bytes")


def _short(tree: Any) -> Any:
    if isinstance(tree, dict):
        found = {k: _short(v) for k, v in tree.items() if k not in ALIKE}
        if "http_filters" in found:
            found["http_filters"] = " ".join(f["name"] for f in tree["http_filters"])
        return found
    return [_short(v) for v in tree] if isinstance(tree, list) else tree


def _readable(tree: Any) -> Any:
    """Scripts stand in scripts.py and guard.lua; here their first words will do."""
    if isinstance(tree, dict):
        return {k: _readable(v) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_readable(v) for v in tree]
    return re.sub(r"\n(function envoy_on_request|local bit = ).*", "(a script)", tree, flags=re.S) if isinstance(tree, str) else tree


@pytest.mark.parametrize("case", CASES)
def test_resources_are_those_of_the_golden_file(case: str) -> None:
    translation = Translation(FLEET)
    change = translation.apply(CASES[case]())
    found = {
        r.name.title: {"needs": sorted(n.title for n in r.needs), "resource": _readable(tree_of(r))}
        for r in change.put
        if r.name.type != LISTENER or case != "limits"  # listeners are another case's
    }
    if case == "client-policies":
        found = _short(found)
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    file = GOLDEN / f"{case}.json"
    if os.environ.get("GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()
