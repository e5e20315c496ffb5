"""What `bench/policies.py` writes: a backend, a Gateway, and a route for each policy, with what a client must show; pure."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Tree = dict[str, Any]
NAMESPACE, PLAIN = "bench", "plain"
GATEWAY_API, POLICY_API = "gateway.networking.k8s.io/v1", "policy.seaway.dev/v1alpha1"
PASSWORD, KEY = "correct horse", "k-0123456789abcdef"
# The backend: 80 answers, 81 wants a PROXY header, 82 says of each request whether it may pass.
BACKEND = """worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000;
  server { listen 80; location / { default_type text/plain; return 200 "ok\\n"; } }
  server { listen 81 proxy_protocol; location / { default_type text/plain; return 200 "ok\\n"; } }
  server { listen 82; location / { if ($http_x_pass = "") { return 403; } return 200; } }
}
"""


class Measured(NamedTuple):
    """A route under a policy. `fields`: of the policy's spec; `headers`: what its clients send; `port`: of the backend. What shows the
    policy at work: `refused`, the status of a request without these headers (with `body` bytes), and `shown`, a header of answers."""

    name: str
    kind: str = ""
    fields: Tree = {}
    headers: tuple[tuple[str, str], ...] = ()
    port: int = 80
    refused: int = 0
    shown: str = ""
    body: int = 0


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def tokens() -> tuple[str, str]:
    """(a JWKS, a token that its key has signed with RS256)."""
    key = rsa.generate_private_key(65537, 2048)
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "bench", "alg": "RS256", "use": "sig", "n": _url(numbers.n.to_bytes(256)), "e": _url(numbers.e.to_bytes(3))}
    head, claims = {"alg": "RS256", "kid": "bench", "typ": "JWT"}, {"iss": "bench", "sub": "ann", "exp": int(time.time()) + 86400}
    signed = f"{_url(json.dumps(head).encode())}.{_url(json.dumps(claims).encode())}"
    return json.dumps({"keys": [jwk]}), f"{signed}.{_url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def measured() -> tuple[Measured, ...]:
    """All that is measured, the plain route first."""
    jwks, token = tokens()
    basic = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    traffic, security = "BackendTrafficPolicy", "SecurityPolicy"
    many = {"requests": 10_000_000, "unit": "Second"}
    strangers = [f"198.51.{n // 256}.{n % 256}" for n in range(256)]

    def balanced(algorithm: str, **more: Any) -> Tree:
        return {"loadBalancing": {"algorithm": algorithm, **more}}

    return (
        Measured(PLAIN),
        Measured("round robin", traffic, balanced("RoundRobin")),
        Measured("random", traffic, balanced("Random")),
        Measured("ring hash of a header", traffic, balanced("RingHash", hashOn=[{"type": "Header", "name": "x-user"}]), (("x-user", "ann"),)),
        Measured("maglev of the address", traffic, balanced("Maglev")),
        Measured("session by cookie", traffic, {"sessionPersistence": {"name": "pod"}}, shown="set-cookie"),
        Measured("timeouts and retries", traffic, {"timeouts": {"request": "10s", "backendRequest": "3s"}, "retry": {"attempts": 2, "codes": [503]}}),
        Measured("circuit breaker", traffic, {"circuitBreaker": {"connections": 1000, "requests": 1000}}),
        Measured("outlier detection", traffic, {"outlierDetection": {}}),
        Measured("health check", traffic, {"healthCheck": {"interval": "1s"}}),
        Measured("PROXY to the backend", traffic, {"proxyProtocol": "V2"}, port=81),
        Measured("rate limit, local", traffic, {"rateLimits": [many]}, shown="x-ratelimit-limit"),
        Measured("rate limit, local, a client", traffic, {"rateLimits": [{**many, "by": [{"type": "ClientIP"}]}]}, shown="x-ratelimit-limit"),
        Measured("rate limit, global", traffic, {"rateLimits": [{**many, "scope": "Global"}]}, shown="x-ratelimit-limit"),
        Measured("largest body", traffic, {"maxRequestBody": "1k"}, refused=413, body=4000),
        Measured("CORS", security, {"cors": {"allowOrigins": ["https://shop.example.com"]}}, (("origin", "https://shop.example.com"),), shown="access-control-allow-origin"),
        Measured("allow addresses", security, {"allow": {"addresses": ["0.0.0.0/0", "::/0"]}}),
        Measured("deny 256 addresses", security, {"deny": {"addresses": strangers}}),
        Measured("basic auth", security, {"basicAuth": {"users": {"name": "users"}}}, (("authorization", f"Basic {basic}"),), refused=401),
        Measured("API keys", security, {"apiKeys": {"secretRefs": [{"name": "keys"}], "in": [{"type": "Header", "name": "x-key"}]}}, (("x-key", KEY),), refused=401),
        Measured("JWT", security, {"jwt": {"providers": [{"name": "bench", "issuer": "bench", "jwks": jwks}]}}, (("authorization", f"Bearer {token}"),), refused=401),
        Measured("external authorization", security, {"externalAuth": {"backendRef": {"name": "web", "port": 82}, "forwardHeaders": ["x-pass"]}}, (("x-pass", "yes"),), refused=403),
    )


def slug(name: str) -> str:
    return name.lower().replace(",", "").replace(" ", "-")


def host(one: Measured) -> str:
    return f"{slug(one.name)}.example.com"


def _meta(name: str) -> Tree:
    return {"name": name, "namespace": NAMESPACE}


def surroundings() -> list[Tree]:
    """The namespace, one nginx that answers, its Service, the Gateway, and what policies refer to."""
    mount = {"name": "conf", "mountPath": "/etc/nginx/nginx.conf", "subPath": "nginx.conf"}
    container = {"name": "nginx", "image": "nginx", "volumeMounts": [mount], "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [{"name": "conf", "configMap": {"name": "web"}}]}
    hashed = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    ports = [{"name": f"p{n}", "port": n} for n in (80, 81, 82)]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta("web"), "data": {"nginx.conf": BACKEND}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**_meta("web"), "labels": {"app": "web"}}, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": _meta("web"), "spec": {"selector": {"app": "web"}, "ports": ports}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": _meta("users"), "stringData": {"auth": f"ann:{{SHA}}{hashed}\n"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": _meta("keys"), "stringData": {"ann": KEY}},
        {"apiVersion": GATEWAY_API, "kind": "Gateway", "metadata": _meta("edge"),
         "spec": {"gatewayClassName": "seaway", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}},
    ]


def route(one: Measured) -> list[Tree]:
    """A route on a host of its own, and its policy."""
    rules = [{"backendRefs": [{"name": "web", "port": one.port}]}]
    spec = {"parentRefs": [{"name": "edge"}], "hostnames": [host(one)], "rules": rules}
    found: list[Tree] = [{"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": _meta(slug(one.name)), "spec": spec}]
    if one.kind:
        target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": slug(one.name)}
        found.append({"apiVersion": POLICY_API, "kind": one.kind, "metadata": _meta(slug(one.name)), "spec": {"targetRefs": [target], **one.fields}})
    return found
