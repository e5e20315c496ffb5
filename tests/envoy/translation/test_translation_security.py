"""Who may pass, through a real Envoy: at an exact host, in capital letters, under a wildcard, and on a host that is sharded.

The last three get their route from a script: a filter that is on by a route's word alone would be off there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from envoy.service.auth.v3 import external_auth_pb2
from proxied import Answer, Backend, Proxied, free_port
from translated import host, http, rule, to

from seaway.routing.ir import Cluster, Cors, End, Endpoints, Host, Pieces, Redirect, Rule
from seaway.routing.policy import ApiKeys, BasicAuth, External, JwtProvider, RoutePolicy

HOSTS = {"exact": "a.example.com", "capitals": "A.Example.COM", "wildcard": "x.wild.example.com", "sharded": "many.example.com"}
SECRET = base64.urlsafe_b64encode(b"0123456789abcdef0123456789abcdef").decode().rstrip("=")
JWKS = json.dumps({"keys": [{"kty": "oct", "kid": "one", "alg": "HS256", "k": SECRET}]})


def sha(password: str) -> str:
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()


def apr1(password: str, salt: str) -> str:
    return subprocess.run(["openssl", "passwd", "-apr1", "-salt", salt, password], capture_output=True, text=True, check=True).stdout.strip()


LONG = "a password of more than sixty-four bytes, which is more than one block of the hash, twice over: " + "x" * 60
USERS = {
    "ann": ("rosebud", sha("rosebud")),
    "bob": ("p:w:ö", sha("p:w:ö")),
    "cat": ("rosebud", apr1("rosebud", "x1y2z3a4")),
    "dan": ("", apr1("", "ab")),
    "eve": (LONG[:120], apr1(LONG[:120], "saltsalt")),
    "fay": (LONG, sha(LONG)),
}
HTPASSWD = "".join(f"{user}:{digest}\n" for user, (_, digest) in USERS.items()) + f"ann:{sha('other')}\n"
KEYS = ApiKeys((("app", "k-123"), ("web", "k,4=5:6")), (("header", "x-api-key"), ("query", "key"), ("cookie", "api_key")), "x-client")
ISSUER = JwtProvider("main", "https://issuer.test", ("shop",), JWKS, headers=(("sub", "X-User"), ("role", "x-role")))
OTHER = JwtProvider("second", "https://second.test", (), JWKS)


def asking(kind: str, path: str, cluster: str = "shop/auth/80", **more: object) -> RoutePolicy:
    return RoutePolicy(external=External(cluster, kind, path, headers_out=("x-backend", "x-user"), **more))  # type: ignore[arg-type]


POLICIES = {
    "/basic": RoutePolicy(basic=BasicAuth(HTPASSWD, "the shop", "x-user")),
    "/keys": RoutePolicy(api_keys=KEYS),
    "/both": RoutePolicy(basic=BasicAuth(HTPASSWD), api_keys=KEYS),
    "/token": RoutePolicy(jwt=(ISSUER,)),
    "/tokens": RoutePolicy(jwt=(ISSUER, OTHER)),
    "/fetched": RoutePolicy(jwt=(JwtProvider("far", "https://issuer.test", (), "", "shop/nobody/80", "/keys"),)),
    "/served": RoutePolicy(jwt=(JwtProvider("near", "https://issuer.test", (), "", "shop/issuer/80", "/keys.json"),)),
    "/here": RoutePolicy(allow=("127.0.0.0/8",)),
    "/elsewhere": RoutePolicy(allow=("10.0.0.0/8", "2001:db8::/32")),
    "/denied": RoutePolicy(deny=("127.0.0.1/32",)),
    "/but": RoutePolicy(allow=("127.0.0.0/8",), deny=("127.0.0.0/30",)),
    "/not-there": RoutePolicy(deny=("10.0.0.0/8",)),
    "/ask": asking("http", "/authz", headers_in=("x-tenant",)),
    "/ask-body": asking("http", "/authz", body=8),
    "/ask-nobody": asking("http", "", cluster="shop/nobody/80"),
    "/ask-body-nobody": asking("http", "", cluster="shop/nobody/80", body=8),
    "/ask-nowhere": asking("http", "", cluster=""),
    "/ask-grpc-nobody": asking("grpc", "", cluster="shop/nobody/80"),
    "/ask-grpc": asking("grpc", "", cluster="shop/grpc/80", headers_in=(), body=8),
    "/verify": asking("request", "/verify"),
    "/verify-401": asking("request", "/verify?status=401"),
    "/verify-500": asking("request", "/verify?status=500"),
    "/verify-signin": asking("request", "/verify?status=401", signin="https://login.test/start"),
    "/verify-nobody": asking("request", "/verify", cluster="shop/nobody/80"),
    "/verify-nowhere": asking("request", "/verify", cluster=""),
    "/verify-slow": asking("request", "/verify?wait=2", timeout=0.2),
}


def rules() -> list[Rule]:
    found = [rule(path, to("shop/web/80"), policy=policy) for path, policy in POLICIES.items()]
    found.append(rule("/moved", Redirect(host="b.example.com"), policy=POLICIES["/basic"]))
    found.append(rule("/cors", to("shop/web/80"), policy=POLICIES["/basic"], cors=Cors(("https://shop.test",), ("GET",))))
    found.append(rule("/open", to("shop/web/80")))
    return found


class Issuer:
    """Serves a key set."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/keys.json" else 404)
                self.end_headers()
                self.wfile.write(JWKS.encode())

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Authorizer:
    """Envoy's gRPC service: whoever says `x-word: please` passes; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[external_auth_pb2.CheckRequest] = []
        check = grpc.unary_unary_rpc_method_handler(self.check, external_auth_pb2.CheckRequest.FromString, external_auth_pb2.CheckResponse.SerializeToString)
        self.server = grpc.server(ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": check}),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def check(self, request: external_auth_pb2.CheckRequest, context: object) -> external_auth_pb2.CheckResponse:
        self.asked.append(request)
        answer = external_auth_pb2.CheckResponse()
        if request.attributes.request.http.headers.get("x-word") == "please":
            answer.ok_response.headers.add().header.key = "x-user"
            answer.ok_response.headers[0].header.value = "ann"
        else:
            answer.status.code = 7
            answer.denied_response.status.code = 403
            answer.denied_response.body = "say please"
        return answer


class Played:
    def __init__(self, proxy: Proxied, auth: Backend, authorizer: Authorizer) -> None:
        self.proxy, self.auth, self.authorizer = proxy, auth, authorizer

    def get(self, where: str, path: str, *headers: tuple[str, str], method: str = "GET") -> Answer:
        return self.proxy.get(HOSTS[where], path, method, headers)


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    web, auth = Backend("web"), Backend("auth")
    many = [rule(f"/many/{i}", to("shop/web/80")) for i in range(300)]
    hosts = (host("a.example.com", *rules()), host("*.wild.example.com", *rules()), host("many.example.com", *rules(), *many))
    pieces: Pieces = http(free_port(), *hosts, backends={"web": web, "auth": auth})
    authorizer, issuer = Authorizer(), Issuer()
    pieces.clusters["shop/issuer/80"] = Cluster("shop/issuer/80")
    pieces.endpoints["shop/issuer/80"] = Endpoints("shop/issuer/80", (End("127.0.0.1", issuer.port),))
    pieces.clusters["shop/grpc/80"] = Cluster("shop/grpc/80", "h2")
    pieces.endpoints["shop/grpc/80"] = Endpoints("shop/grpc/80", (End("127.0.0.1", authorizer.port),))
    with Proxied(pieces) as proxy:
        yield Played(proxy, auth, authorizer)
        assert proxy.refused() == {}, proxy.logged()
    authorizer.server.stop(0)
    issuer.server.shutdown()
    issuer.server.server_close()
    web.close()
    auth.close()


def basic(user: str, password: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def token(key: bytes = b"0123456789abcdef0123456789abcdef", alg: str = "HS256", **claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    said = {"iss": "https://issuer.test", "aud": "shop", "sub": "ann", "exp": int(time.time()) + 600} | claims
    text = f"{part({'alg': alg, 'kid': 'one'})}.{part(said)}"
    signed = hmac.new(key, text.encode(), hashlib.sha256).digest() if alg != "none" else b""
    return f"{text}.{base64.urlsafe_b64encode(signed).decode().rstrip('=')}"


def bearer(text: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {text}"


everywhere = pytest.mark.parametrize("where", HOSTS)


@everywhere
def test_a_route_without_a_policy_asks_for_nothing(played: Played, where: str) -> None:
    assert played.get(where, "/open").status == 200
    assert played.get(where, "/nothing").status == 404


@everywhere
@pytest.mark.parametrize("user", USERS)
def test_a_name_and_its_password_pass(played: Played, where: str, user: str) -> None:
    answer = played.get(where, "/basic/x", basic(user, USERS[user][0]))
    assert answer.status == 200
    assert answer.body["headers"]["x-user"] == [user]
    assert played.get(where, "/basic/x", basic(user, USERS[user][0] + "x")).status == 401


@everywhere
def test_without_the_right_password_nobody_passes(played: Played, where: str) -> None:
    answer = played.get(where, "/basic")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="the shop", charset="UTF-8"')
    for sent in (
        [basic("ann", "")],
        [basic("ann", "other")],
        [basic("nobody", "rosebud")],
        [basic("", "rosebud")],
        [("Authorization", "Basic")],
        [("Authorization", "Basic %%%")],
        [("Authorization", "Basic cm9zZWJ1ZA==")],
        [("Authorization", "Bearer YW5uOnJvc2VidWQ=")],
        [basic("ann", "no"), basic("ann", "rosebud")],
        [basic("ann", "rosebud"), basic("bob", "no")],
        [("authorization", basic("ann", "rosebud")[1] + ", " + basic("bob", "x")[1])],
        [("X-User", "ann")],
        [("Authorization_", basic("ann", "rosebud")[1])],
    ):
        assert played.get(where, "/basic", *sent).status == 401, sent


@everywhere
def test_who_somebody_is_only_the_proxy_says(played: Played, where: str) -> None:
    forged = [("X-User", "root"), ("x-user", "root"), ("X_User", "root"), ("X-Client", "root"), ("x-role", "admin")]
    told = played.get(where, "/basic", basic("ann", "rosebud"), *forged).body["headers"]
    assert told["x-user"] == ["ann"] and "x_user" not in told
    told = played.get(where, "/keys", ("x-api-key", "k-123"), *forged).body["headers"]
    assert told["x-client"] == ["app"]
    told = played.get(where, "/token", bearer(token()), *forged).body["headers"]
    assert told["x-user"] == ["ann"] and "x-role" not in told
    told = played.get(where, "/verify", ("x-backend", "root"), *forged).body["headers"]
    assert told["x-backend"] == ["auth"] and "x-user" not in told


@everywhere
def test_redirects_and_preflights(played: Played, where: str) -> None:
    assert played.get(where, "/moved").status == 401
    assert played.get(where, "/moved", basic("ann", "rosebud")).status == 302
    asked = [("Origin", "https://shop.test"), ("Access-Control-Request-Method", "GET")]
    assert played.get(where, "/cors", *asked, method="OPTIONS").status in (200, 204)
    assert played.get(where, "/cors", *asked).status == 401
    foreign = played.get(where, "/cors", ("Origin", "https://other.test"), ("Access-Control-Request-Method", "GET"), method="OPTIONS")
    assert foreign.body == "" and "access-control-allow-origin" not in foreign.headers


@everywhere
def test_a_key_passes_from_each_of_its_places(played: Played, where: str) -> None:
    for path, sent, client in (
        ("/keys", [("X-Api-Key", "k-123")], "app"),
        ("/keys", [("X-Api-Key", "k,4=5:6")], "web"),
        ("/keys?key=k-123&x=1", [], "app"),
        ("/keys?a=b&key=k%2C4%3d5:6", [], "web"),
        ("/keys", [("Cookie", "a=b; api_key=k-123")], "app"),
        ("/keys", [("Cookie", "api_key=k,4=5:6")], "web"),
    ):
        answer = played.get(where, path, *sent)
        assert answer.status == 200, (path, sent)
        assert answer.body["headers"]["x-client"] == [client]


@everywhere
def test_without_a_known_key_nobody_passes(played: Played, where: str) -> None:
    for path, sent in (
        ("/keys", []),
        ("/keys", [("X-Api-Key", "")]),
        ("/keys", [("X-Api-Key", "k-1234")]),
        ("/keys", [("X-Api-Key", "K-123")]),
        ("/keys", [("X_Api_Key", "k-123")]),
        ("/keys", [("X-Api-Key", "k-123"), ("X-Api-Key", "k-123")]),
        ("/keys", [("X-Api-Key", "no"), ("Cookie", "api_key=k-123")]),
        ("/keys?key=no&key=k-123", []),
        ("/keys?key=k-123&key=no", []),
        ("/keys?KEY=k-123", []),
        ("/keys", [("Cookie", "api_key=k-123; api_key=no")]),
        ("/keys", [("Cookie", "xapi_key=k-123")]),
        ("/keys", [("X-Client", "app")]),
        ("/both", [("X-Api-Key", "k-123")]),
        ("/both", [basic("ann", "rosebud")]),
    ):
        assert played.get(where, path, *sent).status == 401, (path, sent)
    assert played.get(where, "/both", basic("ann", "rosebud"), ("X-Api-Key", "k-123")).status == 200


@everywhere
def test_a_valid_token_passes_and_no_other(played: Played, where: str) -> None:
    answer = played.get(where, "/token", bearer(token(role="buyer")))
    assert answer.status == 200
    assert answer.body["headers"]["x-user"] == ["ann"] and answer.body["headers"]["x-role"] == ["buyer"]
    for text in (
        token(key=b"x" * 32),
        token(alg="none"),
        token(iss="https://second.test"),
        token(aud="other"),
        token(exp=1),
        token(nbf=int(time.time()) + 6000),
        token()[:-2],
        "x.y.z",
        "",
    ):
        assert played.get(where, "/token", bearer(text)).status in (401, 403), text
    assert played.get(where, "/token").status == 401
    assert played.get(where, f"/token?access_token={token()}").status == 401
    assert played.get(where, "/token", bearer(token()), bearer(token(sub="bob"))).status == 401
    assert played.get(where, "/tokens", bearer(token(iss="https://second.test"))).status == 200
    assert played.get(where, "/tokens", bearer(token())).status == 200
    assert played.get(where, "/tokens", bearer(token(iss="https://third.test"))).status == 401


@everywhere
def test_keys_are_fetched_from_a_service(played: Played, where: str) -> None:
    assert played.get(where, "/served", bearer(token())).status == 200
    assert played.get(where, "/served", bearer(token(key=b"x" * 32))).status == 401


@everywhere
def test_keys_that_cannot_be_fetched_let_nobody_pass(played: Played, where: str) -> None:
    assert played.get(where, "/fetched", bearer(token())).status in (401, 403)


@everywhere
def test_addresses(played: Played, where: str) -> None:
    wanted = {"/here": 200, "/elsewhere": 403, "/denied": 403, "/but": 403, "/not-there": 200}
    for path, status in wanted.items():
        assert played.get(where, path).status == status, path
    # Who says that he comes from elsewhere is not believed.
    forged = [("X-Forwarded-For", "10.0.0.1"), ("Forwarded", "for=10.0.0.1"), ("X-Real-IP", "10.0.0.1"), ("X-Envoy-External-Address", "10.0.0.1")]
    assert played.get(where, "/elsewhere", *forged).status == 403
    assert played.get(where, "/denied", *forged).status == 403


@everywhere
def test_an_authorizer_says_who_passes(played: Played, where: str) -> None:
    played.auth.seen.clear()
    answer = played.get(where, "/ask/x?y=1", ("x-user", "root"), ("x-tenant", "red"), ("Authorization", "Bearer t"))
    assert answer.status == 200
    assert answer.body["headers"]["x-backend"] == ["auth"] and "x-user" not in answer.body["headers"]
    assert played.auth.seen == ["/authz/ask/x?y=1"]
    refused = played.get(where, "/ask?status=403", ("x-tenant", "red"), ("x-other", "1"), ("Authorization", "Bearer t"), method="PUT")
    assert (refused.status, refused.headers["x-backend"]) == (403, "auth")
    asked = refused.body["headers"]
    assert refused.body["method"] == "PUT" and asked["host"] == [HOSTS[where]]
    assert asked["x-tenant"] == ["red"] and asked["authorization"] == ["Bearer t"] and "x-other" not in asked
    assert not [name for name in asked if name.startswith("x-seaway")]
    assert played.get(where, "/ask?status=401").status == 401
    for status, wanted in ((200, 200), (403, 403), (500, 503)):
        answer = played.proxy.get(HOSTS[where], f"/ask-body?status={status}", "POST", body="hello world")
        assert answer.status == wanted


@everywhere
def test_a_grpc_authorizer_says_who_passes(played: Played, where: str) -> None:
    played.authorizer.asked.clear()
    denied = played.get(where, "/ask-grpc/x", ("x-user", "root"))
    assert (denied.status, denied.body) == (403, "say please")
    passed = played.proxy.get(HOSTS[where], "/ask-grpc/x?y=1", "POST", [("x-word", "please"), ("x-user", "root"), ("x-backend", "root")], body="hello world")
    assert passed.status == 200
    assert passed.body["headers"]["x-user"] == ["ann"] and "x-backend" not in passed.body["headers"] and passed.body["body"] == "hello world"
    asked = played.authorizer.asked[-1].attributes.request.http
    assert (asked.method, asked.path, asked.body) == ("POST", "/ask-grpc/x?y=1", "hello wo")


@everywhere
def test_asking_as_auth_request_does(played: Played, where: str) -> None:
    played.auth.seen.clear()
    assert played.get(where, "/verify/x?y=1", method="POST").status == 200
    assert played.auth.seen == ["/verify"]
    assert played.get(where, "/verify-401").status == 401
    answer = played.get(where, "/verify-signin/x?y=1")
    assert answer.status == 302
    assert answer.headers["location"] == f"https://login.test/start?rd=http%3A%2F%2F{HOSTS[where].lower() if where != 'capitals' else HOSTS[where]}%2Fverify-signin%2Fx%3Fy%3D1"


@everywhere
def test_an_authorizer_that_is_down_or_slow_lets_nobody_pass(played: Played, where: str) -> None:
    for path in ("/ask?status=500", "/ask-nobody", "/ask-nowhere", "/ask-body-nobody", "/ask-grpc-nobody", "/verify-500", "/verify-nobody", "/verify-nowhere", "/verify-slow"):
        answer = played.get(where, path)
        assert answer.status in (403, 503), (path, answer)


def test_a_guard_that_fails_lets_nobody_pass(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate behind it lets nothing pass of which it has not said so: a script that fails is skipped by Envoy."""
    from seaway.envoy.translation import connections

    monkeypatch.setattr(connections, "GUARD", 'function envoy_on_request(handle) error("out of order") end')
    web = Backend("web")
    served: Host = host("a.example.com", *rules())
    with Proxied(http(free_port(), served, backends={"web": web, "auth": web})) as proxy:
        for path in POLICIES:
            if path not in ("/here", "/not-there"):
                assert proxy.get("a.example.com", path, headers=[basic("ann", "rosebud"), ("x-api-key", "k-123")]).status in (401, 403, 503), path
        assert proxy.get("a.example.com", "/open").status == 200
    web.close()
