"""Whose an Ingress is."""

from __future__ import annotations

import pytest
from evaluate import evaluate
from ingressobjects import events, fleet, ingress, ingress_class, service, world
from routingworld import World

from seaway.api.tree import Tree
from seaway.routing.fleets import Addresses
from seaway.routing.ingress.classes import Settings
from seaway.routing.ingress.frontend import ingress_front_end, left_behind

LEGACY = "kubernetes.io/ingress.class"


def served(found: World, name: str = "seaway") -> bool:
    return evaluate(fleet(found, name), "x.example.com").cluster == "default/a/80"


def mine(**more: object) -> World:
    return world(ingress("it", ("x.example.com", "/", "a"), **more))


def test_an_ingress_is_served_by_the_class_that_it_names() -> None:
    assert served(mine(cls="seaway"))
    assert not served(mine(cls="other"))
    assert not served(mine(cls=None))


def test_the_legacy_annotation_names_a_class() -> None:
    assert served(mine(cls=None, annotations={LEGACY: "seaway"}))
    assert not served(mine(cls=None, annotations={LEGACY: "nginx"}))


def test_the_field_comes_before_the_annotation_and_a_difference_is_told() -> None:
    found = mine(annotations={LEGACY: "nginx"})
    assert served(found)
    assert events(found, "it") == [
        f'ClassConflict: metadata.annotations[{LEGACY}]: "nginx" is not read, since spec.ingressClassName is "seaway"'
    ]
    assert not served(mine(cls="nginx", annotations={LEGACY: "seaway"}))
    assert events(mine(annotations={LEGACY: "seaway"}), "it") == []


def test_an_ingress_without_class_belongs_to_the_default_class() -> None:
    found = mine(cls=None).apply(ingress_class(default=True)).settle()
    assert served(found)
    assert served(mine(cls=None, annotations={LEGACY: ""}).apply(ingress_class(default=True)).settle())
    found.apply(ingress_class()).settle()
    assert not served(found) and not found.fleets


def test_of_several_default_classes_the_newest_counts_whoevers_it_is() -> None:
    found = mine(cls=None).apply(ingress_class(default=True, creationTimestamp="2026-01-01T00:00:00Z"))
    found.apply(ingress_class("nginx", "k8s.io/ingress-nginx", default=True, creationTimestamp="2026-01-02T00:00:00Z"))
    assert not served(found.settle())
    found.apply(ingress_class("beta", default=True, creationTimestamp="2026-01-03T00:00:00Z"))
    found.apply(ingress_class("alpha", default=True, creationTimestamp="2026-01-03T00:00:00Z")).settle()
    assert served(found, "alpha") and not served(found, "beta") and not served(found)


def test_a_class_of_another_controller_is_left_alone() -> None:
    found = mine(cls="nginx").apply(ingress_class("nginx", "k8s.io/ingress-nginx")).settle()
    assert not found.fleets and not found.statuses


def test_further_controller_names_can_be_ours() -> None:
    settings = Settings(frozenset(["k8s.io/ingress-nginx", "example.com/mine"]))
    found = World([ingress_front_end(settings)]).apply(ingress_class("nginx", "k8s.io/ingress-nginx"), service("a"))
    found.apply(ingress("it", ("x.example.com", "/", "a"), cls="nginx"), ingress_class()).settle()
    assert [f.title for f in found.fleets] == ["IngressClass/-/nginx"]


def test_each_class_of_ours_is_a_fleet_of_its_own_and_wanted_from_its_first_ingress_on() -> None:
    found = world(ingress_class("second", uid="u2"))
    assert not found.fleets and not found.specs
    found.apply(ingress("one", ("x.example.com", "/", "a")), ingress("two", ("x.example.com", "/", "b"), cls="second"))
    found.settle()
    assert evaluate(fleet(found), "x.example.com").cluster == "default/a/80"
    assert evaluate(fleet(found, "second"), "x.example.com").cluster == "default/b/80"
    spec = next(s for f, s in found.specs.items() if f.name == "second")
    assert (spec.class_name, spec.owner_uid, spec.ports) == ("second", "u2", (("http", 80, "TCP"),))
    found.delete("Ingress", "default", "two").settle()
    assert [f.name for f in found.specs] == [f.name for f in found.fleets] == ["seaway"]


def test_parameters_of_a_class_are_its_fleets() -> None:
    where = {"apiGroup": "", "kind": "ConfigMap", "name": "envoys", "namespace": "infra", "scope": "Namespace"}
    data = {"kind": "ConfigMap", "metadata": {"name": "envoys", "namespace": "infra"}, "data": {"replicas": "3"}}
    found = mine().apply(ingress_class(parameters=where), data).settle()
    assert [s.parameters for s in found.specs.values()] == [((("replicas", "3"),),)]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ({"apiGroup": "x.org", "kind": "Odd", "name": "p"}, "Odd p is not known; a ConfigMap of the core group is"),
        ({"kind": "ConfigMap", "name": "p"}, "a ConfigMap has a namespace: scope has to be Namespace"),
        ({"kind": "ConfigMap", "name": "none", "namespace": "infra"}, "ConfigMap infra/none does not exist"),
        (
            {"kind": "ConfigMap", "name": "p", "namespace": "infra"},
            "ConfigMap infra/p: data[defaultCertificate]: Secret a/b does not exist",
        ),
    ],
)
def test_bad_parameters_are_told_on_the_class_and_its_ingresses_are_served(reference: Tree, why: str) -> None:
    data = {"kind": "ConfigMap", "metadata": {"name": "p", "namespace": "infra"}, "data": {"defaultCertificate": "a/b"}}
    found = mine().apply(data, ingress_class(parameters=reference)).settle()
    status = found.status("ingressclasses", "", "seaway")
    assert status is not None and status.tree == {}
    assert status.events == (("Warning", "InvalidParameters", f"spec.parameters: {why}"),)
    assert served(found)
    found.apply(ingress_class()).settle()
    assert found.status("ingressclasses", "", "seaway") is None
    found.fact("parameters problem", "IngressClass", "", "seaway", value="data[replicas]: Invalid value").settle()
    status = found.status("ingressclasses", "", "seaway")
    assert status is not None and status.events[0][2] == "spec.parameters: data[replicas]: Invalid value"


def test_an_ingress_that_ends_to_be_ours_is_released_and_what_we_wrote_is_known_by_its_address() -> None:
    found = (
        mine()
        .fact("addresses", "IngressClass", "", "seaway", value=Addresses((("IPAddress", "203.0.113.7"),)))
        .settle()
    )
    status = found.status("ingresses", "default", "it")
    assert status is not None and status.tree == {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    tree = {**ingress("it", ("x.example.com", "/", "a"), cls="nginx"), "status": status.tree}
    found.engine.change("ingresses", next(k for r, k in found.objects if r == "ingresses"), tree)
    assert found.engine.settle().released == [("ingresses", "default", "it")]
    assert left_behind(tree, ["203.0.113.7"]) and not left_behind(tree, ["203.0.113.8"])
    assert not left_behind(ingress("it"), ["203.0.113.7"])


def test_addresses_are_status_by_kind_and_none_is_an_empty_one() -> None:
    found = mine()
    assert found.status("ingresses", "default", "it").tree == {"loadBalancer": {}}  # type: ignore[union-attr]
    usable = (("IPAddress", "203.0.113.7"), ("IPAddress", "2001:db8::7"), ("Hostname", "lb.example.com"))
    found.fact("addresses", "IngressClass", "", "seaway", value=Addresses(usable)).settle()
    assert found.status("ingresses", "default", "it").tree == {  # type: ignore[union-attr]
        "loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"ip": "2001:db8::7"}, {"hostname": "lb.example.com"}]}
    }
