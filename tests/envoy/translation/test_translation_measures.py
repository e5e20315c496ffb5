"""Counters of routes: by the name of their object, and only as long as there are not too many."""

from __future__ import annotations

from proxied import Backend, Proxied, free_port
from translated import host, http, rule, to

from seaway.envoy import messages
from seaway.envoy.translation import fleet
from seaway.envoy.translation.fleet import Translation
from seaway.routing.ir import Fleet, Host, Pieces, Redirect


def _hosts(count: int) -> dict[str, Host | None]:
    return {f"h{i}.example.com": host(f"h{i}.example.com", rule("/", to("shop/web/80"), name=f"web.{i}")) for i in range(count)}


def test_a_route_has_counters_by_the_name_of_its_object() -> None:
    web = Backend("web")
    pieces = http(free_port(), *(h for h in _hosts(2).values() if h), backends={"web": web})
    with Proxied(pieces) as proxy:
        assert proxy.get("h1.example.com").status == 200
        lines = [line for line in proxy.admin("/stats/prometheus").splitlines() if line.startswith("envoy_vhost_route_upstream_rq_total")]
        assert any('envoy_route="shop/web_1"' in line and line.endswith(" 1") for line in lines), lines
    web.close()


def test_over_a_bound_no_route_has_them_and_under_it_all_have_again() -> None:
    translation = Translation(Fleet("Gateway", "shop", "edge"))
    most = fleet.MOST_MEASURED

    def measured() -> int:
        return sum(b"shop/web_" in r.body for r in translation.resources.values())

    translation.apply(Pieces(hosts={"http-80": _hosts(most)}))
    assert measured() == most
    translation.apply(Pieces(hosts={"http-80": {f"h{most}.example.com": _hosts(most + 1)[f"h{most}.example.com"]}}))
    assert measured() == 0
    translation.apply(Pieces(hosts={"http-80": {"h0.example.com": None}}))
    assert measured() == most


def test_a_rule_that_envoys_messages_cannot_hold_is_told_of_and_hurts_no_other() -> None:
    translation = Translation(Fleet("Gateway", "shop", "edge"))
    bad = [rule("/bad", Redirect(port=1 << 40), name="bad"), rule("/as-bad", to("shop/web/80"), name="bad")]
    hosts = {"h.example.com": host("h.example.com", *bad, rule("/good", to("shop/web/80"), name="good"))}
    change = translation.apply(Pieces(hosts={"http-80": dict(hosts)}))
    assert [s.name for s in translation.unspeakable] == ["bad"]
    scope = messages.ScopedRouteConfiguration.FromString(change.put[0].body)
    found = [(r.match.path_separated_prefix or r.match.prefix, r.direct_response.status, r.route.cluster) for r in scope.route_configuration.virtual_hosts[0].routes]
    assert found[:3] == [("/bad", 500, ""), ("/as-bad", 0, "shop/web/80"), ("/good", 0, "shop/web/80")]
    translation.apply(Pieces(hosts={"http-80": {"h.example.com": host("h.example.com", rule("/good", to("shop/web/80"), name="good"))}}))
    assert not translation.unspeakable
