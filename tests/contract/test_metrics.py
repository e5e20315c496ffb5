"""/metrics, /livez and /readyz of a running server."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families
from server import Server


def samples(server: Server, token: str = "", path: str = "/metrics") -> dict[str, list[tuple[dict[str, str], float]]]:
    status, body = server.request("GET", path, accept="text/plain", token=token)
    assert status == 200 and server.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(server: Server, metric: str, /, **labels: str) -> float:
    return sum(v for have, v in samples(server).get(metric, []) if labels.items() <= have.items())


def test_requests_are_counted_by_what_they_are_about(server: Server, ns: str) -> None:
    about = {"group": "", "version": "v1", "resource": "configmaps", "component": "apiserver"}
    path = f"/api/v1/namespaces/{ns}/configmaps"

    def counts() -> list[float]:
        return [value(server, "apiserver_request_total", **about, verb=verb, code=code, scope=scope) for verb, code, scope in (
            ("POST", "201", "resource"), ("POST", "409", "resource"), ("APPLY", "201", "resource"), ("LIST", "200", "namespace"), ("GET", "404", "resource"))]

    before = counts()
    server.create(path, {"metadata": {"name": "a"}})
    assert server.request("POST", path, {"metadata": {"name": "a"}})[0] == 409
    server.request("PATCH", f"{path}/b", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}, {"fieldManager": "m"}, media="application/apply-patch+yaml")
    assert server.request("GET", path)[0] == 200 and server.request("GET", f"{path}/none")[0] == 404
    assert [after - b for after, b in zip(counts(), before, strict=True)] == [1, 1, 1, 1, 1]
    found = samples(server)
    assert any(have["le"] == "0.005" and have["resource"] == "configmaps" for have, _ in found["apiserver_request_duration_seconds_bucket"])
    assert value(server, "apiserver_request_duration_seconds_count", **about, verb="POST") >= 2
    assert value(server, "apiserver_response_sizes_count", **about, verb="LIST") >= 1
    assert value(server, "apiserver_resource_objects", group="", resource="configmaps") >= 2
    assert value(server, "apiserver_storage_objects", resource="configmaps") >= 2
    assert value(server, "apiserver_storage_size_bytes") > 0 and value(server, "process_resident_memory_bytes") > 1 << 20
    assert value(server, "kubernetes_build_info", major="1", minor="36") == 1
    server.request("GET", f"/api/v1/namespaces/{ns}/endpoints")
    assert value(server, "apiserver_requested_deprecated_apis", resource="endpoints", version="v1") == 1
    assert value(server, "apiserver_flowcontrol_current_executing_requests") >= 0 and found["apiserver_flowcontrol_current_inqueue_requests"]
    # What no kind is served as leaves no label behind.
    server.request("GET", "/api/v1/inventions/x")
    server.request("GET", "/an/invented/path")
    assert not any("invent" in text for have in samples(server).values() for labels, _ in have for text in labels.values())


def test_watches_are_long_running_and_their_events_counted(server: Server, ns: str) -> None:
    path, about = f"/api/v1/namespaces/{ns}/secrets", {"group": "", "version": "v1", "resource": "secrets"}
    before, open_before = value(server, "apiserver_watch_events_total", **about), value(server, "apiserver_longrunning_requests", **about, verb="WATCH")
    connection = server.connect()
    connection.request("GET", f"{path}?watch=true&resourceVersion=0")
    answer = connection.getresponse()
    assert answer.headers["Audit-Id"]
    server.create(path, {"metadata": {"name": "a"}})
    while b'"name":"a"' not in answer.readline():
        pass
    assert value(server, "apiserver_longrunning_requests", **about, verb="WATCH") == open_before + 1
    assert value(server, "apiserver_watch_events_total", **about) > before
    connection.close()
    end = time.monotonic() + 10
    while value(server, "apiserver_longrunning_requests", **about, verb="WATCH") != open_before:
        assert time.monotonic() < end, "a watch that is over is still counted"
        time.sleep(0.05)


def test_metrics_and_single_checks_are_for_those_who_may(server: Server, ns: str) -> None:
    server.create(f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "prometheus"}})
    token = server.create(f"/api/v1/namespaces/{ns}/serviceaccounts/prometheus/token", {"spec": {}})["status"]["token"]
    for path in ("/metrics", "/livez/ping", "/readyz/etcd"):
        assert server.request("GET", path, anonymous=True)[0] == 403
        assert server.request("GET", path, token=token)[0] == 403
    for path in ("/livez", "/readyz?verbose", "/healthz"):
        assert server.request("GET", path, anonymous=True)[0] == 200
    binding = {"metadata": {"name": f"monitoring-{ns}"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:monitoring"},
               "subjects": [{"kind": "ServiceAccount", "namespace": ns, "name": "prometheus"}]}
    server.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    assert samples(server, token)["apiserver_current_inflight_requests"]
    assert server.request("GET", "/livez/ping", token=token) == (200, b"ok")


def test_checks_have_upstreams_names(server: Server) -> None:
    status, body = server.request("GET", "/readyz", query={"verbose": ""})
    lines = body.decode().splitlines()
    assert status == 200 and lines[-1] == "readyz check passed" and server.headers["X-Content-Type-Options"] == "nosniff"
    assert {"[+]ping ok", "[+]log ok", "[+]etcd ok", "[+]etcd-readiness ok", "[+]informer-sync ok", "[+]shutdown ok", "[+]poststarthook/rbac/bootstrap-roles ok"} <= set(lines)
    assert "[+]shutdown ok" not in server.request("GET", "/livez?verbose")[1].decode()
    status, body = server.request("GET", "/livez?verbose&exclude=etcd&exclude=nothing")
    assert status == 200 and "[+]etcd excluded: ok\n" in body.decode()
    assert 'warn: some health checks cannot be excluded: no matches for "nothing"\n' in body.decode()
    assert server.request("GET", "/livez/poststarthook/rbac/bootstrap-roles") == (200, b"ok")
    assert server.request("GET", "/livez/none")[0] == 404
    assert ({"name": "etcd", "type": "readyz"}, 1) in samples(server, path="/metrics/slis")["kubernetes_healthcheck"]


def test_a_storage_that_refuses_writes_fails_its_check(make_server: Callable[..., Server]) -> None:
    server = make_server()
    other = sqlite3.connect(server.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # nobody else may write
    assert server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "x"}})[0] == 507
    status, body = server.request("GET", "/livez")
    assert status == 500 and "[-]etcd failed: reason withheld\n" in body.decode() and body.decode().endswith("livez check failed\n")
    assert server.request("GET", "/livez/etcd") == (500, b"internal server error: database is locked\n")
    other.execute("ROLLBACK")
    other.close()
    server.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    assert server.request("GET", "/livez") == (200, b"ok")
