"""Where requests to `/proxy` go."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver import proxied
from seaway.cluster.apiserver.proxied import Target
from seaway.cluster.apiserver.status import ApiError


def pod(ip: str = "10.0.0.1", *ports: int) -> dict[str, Any]:
    containers = [{"name": "a"}, {"name": "b", "ports": [{"containerPort": p} for p in ports]}]
    return {"spec": {"containers": containers}, "status": {"podIP": ip}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", ("", "web", "")),
        ("web:80", ("", "web", "80")),
        ("web:http", ("", "web", "http")),
        ("https:web:443", ("https", "web", "443")),
        ("http:web:", ("http", "web", "")),
    ],
)
def test_a_name_may_carry_a_scheme_and_a_port(text: str, found: tuple[str, str, str]) -> None:
    assert proxied.split(text, "service") == found


@pytest.mark.parametrize("text", ["ftp:web:80", ":80", "a:b:c:d", "http::80"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        proxied.split(text, "pod")
    assert refused.value.code == 400 and refused.value.tree["message"] == f'invalid pod request "{text}"'


def test_a_pod_is_reached_at_the_first_port_that_it_names() -> None:
    assert proxied.to_pod("a", pod("10.0.0.1", 8080, 9090)) == Target("http", "10.0.0.1", 8080)
    assert proxied.to_pod("a", pod()) == Target("http", "10.0.0.1", 80)
    assert proxied.to_pod("https:a:", pod()) == Target("https", "10.0.0.1", 443)
    assert proxied.to_pod("https:a:7", pod("fd00::1", 8080)) == Target("https", "fd00::1", 7)
    for wrong in ("a:http", "a:0", "a:70000"):
        with pytest.raises(ApiError):
            proxied.to_pod(wrong, pod())


@pytest.mark.parametrize("ip", ["", "127.0.0.1", "::1", "169.254.1.1", "fe80::1", "0.0.0.0", "224.0.0.1", "x"])
def test_the_servers_own_machine_is_out_of_reach(ip: str) -> None:
    with pytest.raises(ApiError) as refused:
        proxied.to_pod("a", pod(ip))
    assert refused.value.tree["message"] == "address not allowed"


def test_a_nodes_own_port_is_its_kubelet() -> None:
    status = {"addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "172.30.0.2"}]}
    node = {"status": {**status, "daemonEndpoints": {"kubeletEndpoint": {"Port": 10255}}}}
    assert proxied.to_node("n", node) == proxied.to_node("n:10255", node) == Target("https", "172.30.0.2", 10255, True)
    assert proxied.to_node("n:9100", node) == Target("http", "172.30.0.2", 9100)
    assert proxied.to_node("n", {"status": status}).port == 10250
    with pytest.raises(ApiError):
        proxied.to_node("n", {"status": {}})


def test_a_service_is_its_ready_endpoints_at_the_port_of_that_number_or_name() -> None:
    service = {"spec": {"ports": [{"name": "web", "port": 80}, {"name": "admin", "port": 81}]}}
    slices = [
        {
            "metadata": {"labels": {"kubernetes.io/service-name": of}},
            "ports": [{"name": "web", "port": 8080}, {"name": "admin", "port": 8081}],
            "endpoints": [
                {"addresses": ["10.0.0.2"], "conditions": {"ready": True}},
                {"addresses": ["10.0.0.1"]},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
            ],
        }
        for of in ("svc", "other")
    ]
    there = [Target("http", "10.0.0.1", 8081), Target("http", "10.0.0.2", 8081)]
    assert proxied.to_service("svc:81", service, slices) == proxied.to_service("svc:admin", service, slices) == there
    assert proxied.to_service("https:svc:web", service, slices)[0] == Target("https", "10.0.0.1", 8080)
    for text, message in (
        ("svc:82", 'no service port 82 found for service "svc"'),
        ("svc", 'no endpoints available for service "svc"'),
        ("svc:other", 'no endpoints available for service "svc:other"'),
    ):
        with pytest.raises(ApiError) as refused:
            proxied.to_service(text, service, slices)
        assert refused.value.code == 503 and refused.value.tree["message"] == message


def test_what_stands_in_the_path_is_sent_on_as_it_is() -> None:
    base = "/api/v1/namespaces/ns/services/https:web:443/proxy"
    assert proxied.parted(f"{base}/a%2Fb/?x=%20&y", True) == (base, "/a%2Fb/", "?x=%20&y")
    assert proxied.parted(base, True) == (base, "", "")
    assert proxied.parted("/api/v1/nodes/n/proxy/", False) == ("/api/v1/nodes/n/proxy", "/", "")


@pytest.mark.parametrize(
    ("location", "to"),
    [
        ("/login?a=b", "/p/login?a=b"),
        ("http://10.0.0.1:8080/login", "/p/login"),
        ("http://elsewhere/login", "http://elsewhere/login"),
        ("login", "login"),
        ("/p/login", "/p/login"),
    ],
)
def test_redirects_stay_behind_the_proxy(location: str, to: str) -> None:
    assert proxied.moved(location, "/p", "10.0.0.1:8080") == to
