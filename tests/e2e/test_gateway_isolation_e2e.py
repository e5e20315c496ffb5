"""What nobody but the right one gets: what the discovery server tells, another namespace's Services and Secrets, a way into an Envoy.

```yaml
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: from-edge, namespace: owner}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}, {group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}]
  to: [{group: "", kind: Service, name: web}, {group: "", kind: Secret, name: web}]
```
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path

import gateways
import pytest
from clusters import CLIENT, Cluster, wait_for, web
from cryptography.hazmat.primitives.asymmetric import ec
from gateways import SYSTEM, Tree

from seaway.envoy.xds.identity import identity
from seaway.pki.authority import Authority, Pair
from seaway.routing.ir import Fleet

GRANT = """
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {{name: from-edge}}
spec:
  from:
  - {{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: {edge}}}
  - {{group: gateway.networking.k8s.io, kind: Gateway, namespace: {edge}}}
  to: [{{group: "", kind: Service, name: web}}, {{group: "", kind: Secret, name: web}}]
"""
HOST = "web.example.com"


@pytest.fixture
def edge(cluster: Cluster) -> Cluster:
    cluster.apply(CLIENT)
    cluster.ready("client")
    return cluster


def given(cluster: Cluster, name: str, *, namespace: str = "") -> dict[str, str]:
    more = ["-n", namespace] if namespace else []
    data = json.loads(cluster.kubectl("get", "secret", name, *more, "-o", "json"))["data"]
    return {k: base64.b64decode(v).decode("latin-1") for k, v in data.items()}


def shown(pair: Pair) -> Tree:
    return {"certificate": pair.certificate.decode(), "key": pair.key.decode()}


def test_nobody_gets_another_fleets_resources_and_nothing_leads_into_an_envoy(edge: Cluster) -> None:
    edge.apply(web(1) + "---" + gateways.gateway() + gateways.route("web", HOST) + "---" + gateways.gateway("other"))
    gateways.ready(edge)
    gateways.ready(edge, "other")
    mine, authority = given(edge, "other-seaway-xds"), given(edge, "seaway-gateway-ca", namespace=SYSTEM)
    now = time.time()
    real = Authority(Pair(authority["tls.crt"].encode(), authority["tls.key"].encode()))
    victim = identity(Fleet("Gateway", edge.namespace, "edge"))
    forged = Authority.new("seaway-gateway", now).issue("seaway-gateway:Gateway", now, uris=(victim,))
    clients = {
        "none": None,
        "another fleet's": {"certificate": mine["tls.crt"], "key": mine["tls.key"]},
        "forged": shown(forged),
        "expired": shown(real.issue("x", now - 40 * 86400, days=30, uris=(victim,))),
        "not a fleet's": shown(real.issue("x", now)),
        "two identities": shown(real.issue("x", now, uris=(victim, identity(Fleet("Gateway", edge.namespace, "other"))))),
        "the victim's": shown(real.issue("x", now, uris=(victim,))),
    }
    names = [f"{edge.namespace}/web/80", f"http-80/{HOST}", "http-80/*", "tcp-80"]
    # From a node's network everything of the cluster can be reached, as from a pod of the attacker's.
    node = edge.get("nodes")["items"][0]["metadata"]["name"]
    [controller] = gateways.controllers(edge)
    program = str(Path(__file__).with_name("xds_attacker.py"))
    words = ["outside", "--name", edge.name, "--from", node, "--", sys.executable, program, controller["status"]["podIP"], "18000",
             json.dumps({"ca": mine["ca.crt"], "clients": clients, "names": names})]
    found = json.loads(edge.seaway(*words).stdout)
    for who in ("none", "forged", "expired", "plaintext"):
        assert found[who] == "no connection", (who, found[who])
    for who in ("not a fleet's", "two identities"):
        assert found[who] == "PERMISSION_DENIED", (who, found[who])
    assert f"{edge.namespace}/web/80" in found["the victim's"], "the attempt is a real one"
    assert found["another fleet's"] and not [n for n in found["another fleet's"] if "web" in n], found["another fleet's"]

    # The Envoy itself: its probes' port answers two pages, its administration is a socket of its own.
    [envoy] = gateways.envoys(edge)
    ip, pod = envoy["status"]["podIP"], envoy["metadata"]["name"]
    key = next(h["value"] for c in envoy["spec"]["containers"] for h in c["lifecycle"]["preStop"]["httpGet"]["httpHeaders"])
    script = f"""
      ask() {{ curl -sS -m 5 --path-as-is -o /dev/null -w '%{{http_code}} ' "$@" || :; }}
      ask http://{ip}:19003/ready; ask http://{ip}:19003/stats/prometheus
      for path in drain stats config_dump certs clusters quitquitquit logging healthcheck/fail ready/../config_dump ready%2f..%2fconfig_dump //config_dump; do
        ask http://{ip}:19003/$path; ask -X POST http://{ip}:19003/$path
      done
      ask -X POST -H 'x-seaway-drain: {key}' http://{ip}:19003/drain; ask -H 'x-seaway-drain: {key}x' http://{ip}:19003/drain"""
    codes = edge.exec("client", "sh", "-c", script, check=False).split()
    assert codes[:2] == ["200", "200"] and len(codes) == 26, codes
    assert set(codes[2:]) <= {"400", "404"}, codes
    for port in (9901, 19000, 19001, 19002, 15000):
        said = edge.exec("client", "sh", "-c", f"curl -sS -m 2 http://{ip}:{port}/ 2>&1 || :", check=False)
        assert "refused" in said or "onnect" in said, (port, said)
    assert "No such file" in edge.exec(pod, "ls", "/var/run/secrets/kubernetes.io/serviceaccount", check=False)
    status = edge.exec(pod, "cat", "/proc/1/status")
    assert "Uid:\t65532\t65532" in status and "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    assert "Read-only file system" in edge.exec(pod, "touch", "/x", check=False)


def test_another_namespaces_service_and_certificate_are_there_as_long_as_a_grant_is(edge: Cluster) -> None:
    here, owner = edge.namespace, f"{edge.namespace}-owner"
    edge.kubectl("create", "namespace", owner)
    try:
        for text in (web(1), gateways.secret("web", *gateways.self_signed(HOST, ec.SECP256R1()))):
            edge.kubectl("apply", "-n", owner, "-f", "-", text=text)
        https = f"{{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: web, namespace: {owner}}}]}}}}"
        edge.apply(gateways.gateway("edge", "{name: http, port: 80, protocol: HTTP}, " + https)
                   + gateways.route("web", HOST, f"{{backendRefs: [{{name: web, namespace: {owner}, port: 80}}]}}"))
        where = gateways.ready(edge)
        plain = ("curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {HOST}", f"http://{where}/")
        secure = ("curl", "-sk", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "--resolve", f"{HOST}:443:{where}", f"https://{HOST}/")

        def reasons() -> tuple[str, str]:
            route, gateway = edge.get("httproute", "web"), edge.get("gateway", "edge")
            entry = next(e for e in gateway["status"]["listeners"] if e["name"] == "https")
            return gateways.state(route, "ResolvedRefs"), next(c["reason"] for c in entry["conditions"] if c["type"] == "ResolvedRefs")

        def answers() -> tuple[str, str]:
            return edge.outside(*plain, check=False), edge.outside(*secure, check=False)

        without = ("False/RefNotPermitted", "RefNotPermitted")
        wait_for(lambda: reasons() == without, 20, lambda: str(reasons()))
        wait_for(lambda: answers() == ("500", "000"), 20, lambda: str(answers()))
        edge.kubectl("apply", "-n", owner, "-f", "-", text=GRANT.format(edge=here))
        wait_for(lambda: answers() == ("200", "200"), 20, lambda: str(answers()))
        assert reasons() == ("True/ResolvedRefs", "ResolvedRefs")

        edge.kubectl("delete", "-n", owner, "referencegrant", "from-edge")
        gone = time.monotonic()
        wait_for(lambda: answers() == ("500", "000"), 10, lambda: str(answers()))
        print(f"a grant that is taken back: nothing serves after {time.monotonic() - gone:.2f} s")
        wait_for(lambda: reasons() == without, 10, lambda: str(reasons()))
    finally:
        edge.kubectl("delete", "namespace", owner, "--wait=false")
