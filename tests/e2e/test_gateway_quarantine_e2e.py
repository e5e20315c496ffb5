"""One impossible rule, or certificate, among hundreds of good ones: the others serve, and its status says what and where.

```yaml
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bad}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shared.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /bad/0}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {type: RegularExpression, value: "/bad/(a{1,100}){1,10}b{1,1000}"}}]   # too large for Envoy
    backendRefs: [{name: web, port: 80}]
```
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import gateways
import pytest
from clusters import CLIENT, Cluster, wait_for, web
from cryptography.hazmat.primitives.asymmetric import ec

ROUTES, RULES = 60, 5
HOST = "shared.example.com"
LARGE = "/bad/(a{1,100}){1,10}b{1,1000}"  # within RE2's own bounds, beyond the size that Envoy takes


def rule(path: str, kind: str = "PathPrefix", filters: str = "") -> str:
    return f'{{matches: [{{path: {{type: {kind}, value: "{path}"}}}}], filters: [{filters}], backendRefs: [{{name: web, port: 80}}]}}'


def bad(pattern: str) -> str:
    return gateways.route("bad", HOST, ", ".join((rule("/bad/0"), rule(pattern, "RegularExpression"))))


@pytest.fixture(scope="module")
def edge() -> Iterator[Cluster]:
    with Cluster("--nodes", "1") as cluster:
        cluster.apply(CLIENT + "---" + web(1) + "---" + gateways.gateway())
        cluster.apply("".join(
            gateways.route(f"r{i}", HOST if i % 2 else f"r{i}.example.com", ", ".join(rule(f"/r{i}/{n}") for n in range(RULES)))
            for i in range(ROUTES)))
        cluster.rollout("deployment/web")
        cluster.ready("client")
        gateways.ready(cluster)
        wait_for(lambda: answers(cluster, range(ROUTES)) == {"200"}, 30, "all routes serve")
        yield cluster


def answers(cluster: Cluster, which: range) -> set[str]:
    """What the routes answer, one rule of each."""
    where = gateways.ready(cluster)
    hosts = [f"-H 'Host: {HOST if i % 2 else f'r{i}.example.com'}' http://{where}/r{i}/{i % RULES}" for i in which]
    script = "\n".join(f"curl -s -m 5 -o /dev/null -w '%{{http_code}}\\n' {h}" for h in hosts)
    return set(cluster.outside("sh", "-c", script).split())


def asked(cluster: Cluster, path: str, host: str = HOST) -> str:
    where = gateways.ready(cluster)
    return cluster.outside("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {host}", f"http://{where}{path}", check=False)


def told(cluster: Cluster, name: str = "bad") -> str:
    found = gateways.conditions(cluster.get("httproute", name)).get("Accepted", {})
    return f"{found.get('status')} {found.get('reason')} {found.get('message')}"


def test_what_envoy_refuses_is_named_the_others_serve_and_mended_it_serves_again(edge: Cluster) -> None:
    where = gateways.ready(edge)
    load = gateways.Load(edge, HOST, *({"address": where, "port": 80, "protocol": p, "path": "/r1/0"} for p in ("h1", "h2-new")))
    with load as running:
        edge.apply(bad(LARGE) + gateways.route("late", HOST, rule("/late")))
        wait_for(lambda: told(edge).startswith("False UnsupportedValue the proxy refuses it: rules[1]: "), 20, lambda: told(edge))
        assert "program size" in told(edge) and "goo.gle" not in told(edge)
        # What came with it and after it is there: its own good rule, too.
        wait_for(lambda: asked(edge, "/late") == "200", 20, "a route that came with the bad one")
        wait_for(lambda: asked(edge, "/bad/0") == "200", 20, "the good rule of the bad route")
        assert told(edge, "late").startswith("True Accepted") and gateways.state(edge.get("gateway", "edge"), "Programmed") == "True/Programmed"
        assert answers(edge, range(0, ROUTES, 7)) == {"200"}

        # A controller that begins anew comes to the same end, and nobody suffers for it.
        before = gateways.versions(edge)
        [pid] = edge.pids("gateway")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: edge.pids("gateway") not in ([], [pid]), 30, "it is back")
        edge.apply(gateways.route("later", HOST, rule("/later")))
        wait_for(lambda: asked(edge, "/later") == "200", 30, "it programs again")
        after = gateways.versions(edge)
        assert all(after[k] == v for k, v in before.items() if k.startswith("HTTPRoute/")), "no status was written"
        assert told(edge).startswith("False UnsupportedValue the proxy refuses it: rules[1]: ")

        edge.apply(bad("/bad/(a{1,3})"))
        wait_for(lambda: told(edge).startswith("True Accepted"), 20, lambda: told(edge))
        wait_for(lambda: asked(edge, "/bad/aa") == "200", 20, "mended, it serves")
        found = running.told()
        assert found["ok"] > 100 and not found["failed"], found["failed"][:5]


def test_one_certificate_of_many_that_cannot_be_used_leaves_the_others_serving(edge: Cluster) -> None:
    """A secp256k1 key never reaches Envoy; the listener says so, all others shake hands."""
    names = [f"c{i}" for i in range(8)]
    secrets = "".join(gateways.secret(n, *gateways.self_signed(f"{n}.example.com", ec.SECP256K1() if n == "c3" else ec.SECP256R1())) for n in names)
    listeners = ", ".join(f"{{name: {n}, port: 443, protocol: HTTPS, hostname: {n}.example.com, tls: {{certificateRefs: [{{name: {n}}}]}}}}" for n in names)
    edge.apply(secrets + "---" + gateways.gateway("edge", "{name: http, port: 80, protocol: HTTP}, " + listeners))
    where = gateways.ready(edge)

    def shaken() -> set[str]:
        return {n for n in names if edge.outside("curl", "-sk", "-m", "5", "--resolve", f"{n}.example.com:443:{where}", "-o", "/dev/null",
                                                 "-w", "%{http_code}", f"https://{n}.example.com/", check=False) in ("200", "404")}

    wait_for(lambda: shaken() == set(names) - {"c3"}, 30, lambda: str(shaken()))
    status = {e["name"]: {c["type"]: c for c in e["conditions"]} for e in edge.get("gateway", "edge")["status"]["listeners"]}
    assert status["c3"]["ResolvedRefs"]["reason"] == "InvalidCertificateRef" and "secp256k1" in status["c3"]["ResolvedRefs"]["message"]
    assert all(status[n]["Programmed"]["status"] == "True" for n in names if n != "c3")
