"""What comes of an Ingress's backends."""

from __future__ import annotations

import pytest
from evaluate import evaluate
from ingressobjects import endpoints, events, fleet, ingress, service, world

from seaway.api.tree import Tree
from seaway.routing.ir import BackendTls, End, Endpoints

HOST = "x.example.com"
NAMED = {"name": "web", "port": 8000, "protocol": "TCP", "targetPort": "http"}


def test_ports_go_by_number_or_by_name() -> None:
    found = world(service("s", NAMED), endpoints("s", "10.1.0.1", name="web"))
    found.apply(ingress("it", (HOST, "/number", "s:8000"), (HOST, "/name", "s:web"))).settle()
    for path in ("/number", "/name"):
        assert evaluate(fleet(found), HOST, path).cluster == "default/s/8000"
    assert fleet(found).endpoints["default/s/8000"] == Endpoints("default/s/8000", (End("10.1.0.1", 8080),))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("to", "why"),
    [
        (
            "nothing:80",
            "BackendNotFound: {} Service default/nothing does not exist; its requests are answered with 503",
        ),
        ("a:81", "BackendNotFound: {} Service default/a has no TCP port 81; its requests are answered with 503"),
        ("a:web", "BackendNotFound: {} Service default/a has no TCP port web; its requests are answered with 503"),
    ],
)
def test_a_backend_that_is_not_there_answers_503_and_is_told(to: str, why: str) -> None:
    found = world(ingress("it", (HOST, "/bad", to), (HOST, "/good", "a")))
    assert evaluate(fleet(found), HOST, "/bad").code == 503
    assert evaluate(fleet(found), HOST, "/good").cluster == "default/a/80"
    assert events(found, "it") == [why.format("spec.rules[0].http.paths[0].backend:")]


def test_it_serves_as_soon_as_it_is_there() -> None:
    found = world(ingress("it", (HOST, "/", "late")))
    found.apply(service("late"), endpoints("late", "10.2.0.1")).settle()
    assert evaluate(fleet(found), HOST).cluster == "default/late/80" and events(found, "it") == []


def test_a_service_without_endpoints_answers_503_and_is_no_event() -> None:
    found = world(service("s"), ingress("it", (HOST, "/", "s")))
    assert evaluate(fleet(found), HOST).code == 503 and events(found, "it") == []


def test_resource_backends_are_refused_with_their_name() -> None:
    tree = ingress("it", (HOST, "/good", "a"), default="b")
    tree["spec"]["defaultBackend"] = {"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "files"}}
    found = world(tree)
    assert evaluate(fleet(found), HOST, "/good").cluster == "default/a/80"
    assert evaluate(fleet(found), HOST, "/other").code == 503
    assert events(found, "it") == [
        "UnsupportedBackend: spec.defaultBackend: resource backends (example.com/Bucket files) cannot be served, only Services; "
        "its requests are answered with 503"
    ]


def external(name: str, port: str, *ports: Tree) -> tuple[int, str, int]:
    spec = {
        "kind": "Service",
        "metadata": {"name": "ext"},
        "spec": {"type": "ExternalName", "externalName": name, "ports": [*ports]},
    }
    found = world(spec, ingress("it", (HOST, "/", f"ext:{port}")))
    answer = evaluate(fleet(found), HOST)
    cluster = fleet(found).clusters.get(answer.cluster) if answer.clusters else None  # type: ignore[union-attr]
    return answer.code, cluster.external if cluster else "", cluster.port if cluster else 0


def test_any_port_of_an_external_name_leads_to_the_name() -> None:
    assert external("www.example.org", "443") == (0, "www.example.org", 443)


def test_a_listed_port_of_an_external_name_leads_to_its_target() -> None:
    assert external("www.example.org", "web", {"name": "web", "port": 80, "targetPort": 8080}) == (
        0,
        "www.example.org",
        8080,
    )


def test_a_name_is_no_port_that_is_not_listed() -> None:
    assert external("www.example.org", "web") == (503, "", 0)


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "x.localhost", "127.0.0.1", "0.0.0.0", "169.254.169.254"])
def test_names_of_the_proxy_itself_are_refused(name: str) -> None:
    assert external(name, "19003") == (503, "", 0)


@pytest.mark.parametrize(
    ("app_protocol", "protocol", "tls"),
    [
        ("", "http1", None),
        ("http", "http1", None),
        ("kubernetes.io/ws", "http1", None),
        ("kubernetes.io/h2c", "h2", None),
        ("grpc", "h2", None),
        ("https", "http1", BackendTls("s.default.svc")),
        ("HTTPS", "http1", BackendTls("s.default.svc")),
        ("kubernetes.io/wss", "http1", BackendTls("s.default.svc")),
        ("example.com/own", "http1", None),
    ],
)
def test_app_protocol_says_how_endpoints_are_spoken_to(
    app_protocol: str, protocol: str, tls: BackendTls | None
) -> None:
    port = {"port": 80, "protocol": "TCP", **({"appProtocol": app_protocol} if app_protocol else {})}
    found = world(service("s", port), endpoints("s", "10.1.0.1"), ingress("it", (HOST, "/", "s")))
    cluster = fleet(found).clusters[evaluate(fleet(found), HOST).cluster]  # type: ignore[union-attr]
    assert (cluster.protocol, cluster.tls) == (protocol, tls)


def test_an_unheard_of_protocol_of_kubernetes_is_refused() -> None:
    found = world(service("s", {"port": 80, "appProtocol": "kubernetes.io/odd"}), ingress("it", (HOST, "/", "s")))
    assert evaluate(fleet(found), HOST).code == 503
    assert events(found, "it") == [
        "UnsupportedProtocol: spec.rules[0].http.paths[0].backend: Service default/s: appProtocol kubernetes.io/odd of port 80 "
        "is not known; its requests are answered with 503"
    ]


def test_a_service_has_one_cluster_a_port_however_many_rules_use_it() -> None:
    found = world(
        *(
            ingress(f"i{i}", (f"{i}.example.com", f"/{j}", "a"), (f"{i}.example.com", "/b", "b"))
            for i in range(3)
            for j in range(3)
        )
    )
    assert sorted(fleet(found).clusters) == ["default/a/80", "default/b/80"]  # type: ignore[union-attr]


def test_endpoints_of_a_dual_stack_service_count_once() -> None:
    found = world(service("s", ipFamilies=["IPv6", "IPv4"]), endpoints("s", "10.1.0.1"), endpoints("s", "fd00::1"))
    found.apply(ingress("it", (HOST, "/", "s"))).settle()
    assert fleet(found).endpoints["default/s/80"].ends == (End("fd00::1", 8080),)  # type: ignore[union-attr]
