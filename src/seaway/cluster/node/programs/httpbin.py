"""kennethreitz/httpbin and mccutchen/go-httpbin: requests told back, and answers of every kind, in the routes that people use.

The two differ in ports and in how they show values: Go's has lists where Python's has strings.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import REASONS, Answer, Later, Request, canonical, serve

BYTES, STREAM, DELAY, HOPS = 100 * 1024, 100, 10.0, 20
Route = Callable[[Request, "re.Match[str]"], "Answer | Later"]
TEAPOT = b"I'm a teapot!\n"


def as_json(tree: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, json.dumps(tree, indent=2, sort_keys=True).encode() + b"\n", "application/json", headers)


class Httpbin:
    def __init__(self, lists: bool) -> None:
        self.lists = lists
        self.routes: list[tuple[re.Pattern[str], tuple[str, ...], Route]] = []
        for methods, pattern, route in (
            ("GET", r"/get", self.told),
            ("POST", r"/post", self.told_body),
            ("PUT", r"/put", self.told_body),
            ("PATCH", r"/patch", self.told_body),
            ("DELETE", r"/delete", self.told_body),
            ("*", r"/anything(/.*)?", self.anything),
            ("GET", r"/headers", lambda r, m: as_json({"headers": self.headers(r)})),
            ("GET", r"/ip", lambda r, m: as_json({"origin": self.origin(r)})),
            ("GET", r"/user-agent", lambda r, m: as_json({"user-agent": r.header("User-Agent")})),
            ("*", r"/status/([0-9,:.]+)", self.status),
            ("*", r"/delay/(\d+(?:\.\d+)?)s?", self.delay),
            ("GET", r"/(?:relative-)?redirect/(\d+)", self.redirect),
            ("GET", r"/absolute-redirect/(\d+)", self.absolute_redirect),
            ("*", r"/redirect-to", self.redirect_to),
            ("GET", r"/stream/(\d+)", self.stream),
            ("GET", r"/(?:stream-)?bytes/(\d+)", self.bytes),
            ("GET", r"/basic-auth/([^/]+)/([^/]+)", self.basic_auth),
            ("GET", r"/hidden-basic-auth/([^/]+)/([^/]+)", self.hidden_basic_auth),
            ("GET", r"/bearer", self.bearer),
            ("GET", r"/cookies", lambda r, m: self.cookies_told(r)),
            ("GET", r"/cookies/set(?:/([^/]+)/([^/]+))?", self.cookies_set),
            ("GET", r"/cookies/delete", self.cookies_delete),
            ("GET", r"/gzip", lambda r, m: self.packed(r, "gzip")),
            ("GET", r"/deflate", lambda r, m: self.packed(r, "deflate")),
            ("GET", r"/uuid", self.uuid),
            ("GET", r"/base64/(.+)", self.base64),
            ("GET,POST", r"/response-headers", self.response_headers),
            ("GET", r"/cache", self.cache),
            ("GET", r"/cache/(\d+)", self.cache_for),
            ("GET", r"/etag/([^/]+)", self.etag),
            ("GET", r"/robots.txt", lambda r, m: Answer(200, b"User-agent: *\nDisallow: /deny\n", "text/plain")),
            ("GET", r"/deny", lambda r, m: Answer(200, b"YOU SHOULDN'T BE HERE\n", "text/plain")),
            (
                "GET",
                r"/html",
                lambda r, m: Answer(200, b"<!DOCTYPE html>\n<h1>httpbin</h1>\n", "text/html; charset=utf-8"),
            ),
            ("GET", r"/json", lambda r, m: as_json({"slideshow": {"title": "Sample Slide Show"}})),
            ("GET", r"/xml", lambda r, m: Answer(200, b"<?xml version='1.0'?>\n<slideshow/>\n", "application/xml")),
            ("GET", r"/hostname", lambda r, m: as_json({"hostname": os.uname().nodename})),
            ("GET", r"/", lambda r, m: Answer(200, b"<h1>httpbin</h1>\n", "text/html; charset=utf-8")),
        ):
            self.routes.append((re.compile(pattern + r"\Z"), tuple(methods.split(",")), route))

    def __call__(self, request: Request) -> Answer | Later:
        allowed: set[str] = set()
        for pattern, methods, route in self.routes:
            found = pattern.match(request.path)
            if found and (
                "*" in methods or request.method in methods or (request.method == "HEAD" and "GET" in methods)
            ):
                return route(request, found)
            if found:
                allowed |= set(methods)
        if allowed:
            return Answer(405, b"Method Not Allowed\n", headers=(("Allow", ", ".join(sorted(allowed))),))
        return as_json({"error": f"{request.path} is not built in here"}, 404)

    # what is told

    def shown(self, values: list[str]) -> Any:
        return values if self.lists else (values[0] if len(values) == 1 else values)

    def headers(self, request: Request) -> dict[str, Any]:
        found: dict[str, list[str]] = {}
        for name, value in request.headers:
            found.setdefault(canonical(name), []).append(value)
        return {k: v if self.lists else ",".join(v) for k, v in found.items()}

    def origin(self, request: Request) -> str:
        return request.header("X-Forwarded-For") or request.peer[0]

    def base(self, request: Request) -> dict[str, Any]:
        scheme = request.header("X-Forwarded-Proto") or "http"
        found = {
            "args": {k: self.shown(v) for k, v in parse_qs(urlsplit(request.target).query, True).items()},
            "headers": self.headers(request),
            "origin": self.origin(request),
            "url": f"{scheme}://{request.header('Host')}{request.target}",
        }
        return {**found, "method": request.method} if self.lists else found

    def told(self, request: Request, _: re.Match[str]) -> Answer:
        return as_json(self.base(request))

    def with_body(self, request: Request) -> dict[str, Any]:
        kind, text = request.header("Content-Type").partition(";")[0].strip(), request.body.decode("utf-8", "replace")
        tree: Any = None
        form: dict[str, Any] = {}
        data = text
        if kind == "application/x-www-form-urlencoded":
            form, data = {k: self.shown(v) for k, v in parse_qs(text, True).items()}, text if self.lists else ""
        elif text:
            try:
                tree = json.loads(text)
            except ValueError:
                tree = None
        return {**self.base(request), "data": data, "files": {}, "form": form, "json": tree}

    def told_body(self, request: Request, _: re.Match[str]) -> Answer:
        return as_json(self.with_body(request))

    def anything(self, request: Request, _: re.Match[str]) -> Answer:
        return as_json({**self.with_body(request), "method": request.method})

    # answers of every kind

    def status(self, request: Request, found: re.Match[str]) -> Answer:
        import random

        choices = [part.partition(":") for part in found[1].split(",")]
        codes = [c for c, _, _ in choices]
        if not all(re.fullmatch(r"[1-5]\d\d", c) for c in codes):
            return Answer(400, b"Invalid status code\n")
        code = (
            int(codes[0]) if len(codes) == 1 else int(random.choices(codes, [float(w or 1) for _, _, w in choices])[0])
        )
        if code == 418:
            return Answer(code, TEAPOT)
        if code == 401:
            return Answer(code, b"", headers=(("WWW-Authenticate", 'Basic realm="Fake Realm"'),))
        if code in (301, 302, 303, 305, 307):
            return Answer(code, b"", headers=(("Location", "/redirect/1"),))
        return Answer(code, b"")

    def delay(self, request: Request, found: re.Match[str]) -> Later:
        def later() -> Answer:
            time.sleep(min(float(found[1]), DELAY))
            return as_json(self.with_body(request))

        return Later(later)

    def redirect(self, request: Request, found: re.Match[str]) -> Answer:
        left = int(found[1])
        if not 0 < left <= HOPS:
            return Answer(400, b"Invalid redirect count\n")
        return Answer(302, b"", headers=(("Location", f"/relative-redirect/{left - 1}" if left > 1 else "/get"),))

    def absolute_redirect(self, request: Request, found: re.Match[str]) -> Answer:
        left = int(found[1])
        if not 0 < left <= HOPS:
            return Answer(400, b"Invalid redirect count\n")
        path = f"/absolute-redirect/{left - 1}" if left > 1 else "/get"
        return Answer(302, b"", headers=(("Location", f"http://{request.header('Host')}{path}"),))

    def redirect_to(self, request: Request, _: re.Match[str]) -> Answer:
        url, code = request.query("url") or request.query("Url"), request.query("status_code", "302")
        if not url or "\r" in url or "\n" in url:
            return Answer(400, b"missing required query parameter: url\n")
        return Answer(int(code) if re.fullmatch(r"3\d\d", code) else 302, b"", headers=(("Location", url),))

    def stream(self, request: Request, found: re.Match[str]) -> Answer:
        count, base = min(max(int(found[1]), 1), STREAM), self.base(request)
        lines = "".join(json.dumps({**base, "id": n}) + "\n" for n in range(count))
        return Answer(200, lines.encode(), "application/json")

    def bytes(self, request: Request, found: re.Match[str]) -> Answer:
        import random

        seed = request.query("seed")
        made = random.Random(int(seed) if seed.isdigit() else None)
        return Answer(200, made.randbytes(min(int(found[1]), BYTES)), "application/octet-stream")

    def _authorized(self, request: Request, found: re.Match[str]) -> bool:
        scheme, _, text = request.header("Authorization").partition(" ")
        wanted = base64.b64encode(f"{found[1]}:{found[2]}".encode()).decode()
        return scheme.lower() == "basic" and text.strip() == wanted

    def _welcome(self, user: str) -> Answer:
        return as_json({"authenticated": True, **({"authorized": True} if self.lists else {}), "user": user})

    def basic_auth(self, request: Request, found: re.Match[str]) -> Answer:
        if self._authorized(request, found):
            return self._welcome(found[1])
        return Answer(401, b"", headers=(("WWW-Authenticate", 'Basic realm="Fake Realm"'),))

    def hidden_basic_auth(self, request: Request, found: re.Match[str]) -> Answer:
        return self._welcome(found[1]) if self._authorized(request, found) else Answer(404, b"")

    def bearer(self, request: Request, _: re.Match[str]) -> Answer:
        scheme, _space, token = request.header("Authorization").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return Answer(401, b"", headers=(("WWW-Authenticate", "Bearer"),))
        return as_json({"authenticated": True, "token": token})

    def cookies_told(self, request: Request) -> Answer:
        pairs = (p.strip().partition("=") for p in request.header("Cookie").split(";") if "=" in p)
        found = {k: v for k, _, v in pairs}
        return as_json({"cookies": found})

    def cookies_set(self, request: Request, found: re.Match[str]) -> Answer:
        wanted = (
            {found[1]: found[2]}
            if found[1]
            else {k: v[0] for k, v in parse_qs(urlsplit(request.target).query, True).items()}
        )
        cookies = tuple(
            ("Set-Cookie", f"{k}={v}; Path=/") for k, v in wanted.items() if not re.search(r"[\r\n;]", k + v)
        )
        return Answer(302, b"", headers=(("Location", "/cookies"), *cookies))

    def cookies_delete(self, request: Request, _: re.Match[str]) -> Answer:
        names = [n for n in parse_qs(urlsplit(request.target).query, True) if not re.search(r"[\r\n;=]", n)]
        gone = tuple(("Set-Cookie", f"{n}=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT") for n in names)
        return Answer(302, b"", headers=(("Location", "/cookies"), *gone))

    def packed(self, request: Request, how: str) -> Answer:
        import gzip
        import zlib

        told = {**self.base(request), "method": request.method, "gzipped" if how == "gzip" else "deflated": True}
        body = json.dumps(told, indent=2, sort_keys=True).encode()
        body = gzip.compress(body) if how == "gzip" else zlib.compress(body)
        return Answer(200, body, "application/json", (("Content-Encoding", how),))

    def uuid(self, request: Request, _: re.Match[str]) -> Answer:
        import uuid

        return as_json({"uuid": str(uuid.uuid4())})

    def base64(self, request: Request, found: re.Match[str]) -> Answer:
        try:
            return Answer(200, base64.urlsafe_b64decode(found[1]))
        except ValueError:
            return Answer(400, b"Incorrect Base64 data\n")

    def response_headers(self, request: Request, _: re.Match[str]) -> Answer:
        pairs = parse_qs(urlsplit(request.target).query, True)
        headers = tuple((k, v) for k, values in pairs.items() for v in values if not re.search(r"[\r\n]", k + v))
        return as_json({k: self.shown(v) for k, v in pairs.items()}, headers=headers)

    def cache(self, request: Request, found: re.Match[str]) -> Answer:
        if request.header("If-Modified-Since") or request.header("If-None-Match"):
            return Answer(304, b"")
        return self.told(request, found)

    def cache_for(self, request: Request, found: re.Match[str]) -> Answer:
        return as_json(self.base(request), headers=(("Cache-Control", f"public, max-age={found[1]}"),))

    def etag(self, request: Request, found: re.Match[str]) -> Answer:
        tag = f'"{found[1]}"'
        if tag in request.header("If-None-Match") or request.header("If-None-Match") == "*":
            return Answer(304, b"", headers=(("ETag", tag),))
        wanted = request.header("If-Match")
        if wanted and wanted != "*" and tag not in wanted:
            return Answer(412, b"")
        return as_json(self.base(request), headers=(("ETag", tag),))


def main(argv: list[str]) -> int:
    """kennethreitz/httpbin: gunicorn on port 80."""
    flags.refuse_environment("httpbin", dict(os.environ), ("GUNICORN_",), ())
    flags.parse("httpbin", argv[1:], {})
    REASONS.setdefault(412, "Precondition Failed")
    return serve(Httpbin(lists=False), 80)


def go_main(argv: list[str]) -> int:
    """mccutchen/go-httpbin: port 8080, or -port and PORT."""
    defaults = {"port": int(os.environ.get("PORT") or 8080), "host": os.environ.get("HOST", "")}
    args = flags.parse("go-httpbin", argv[1:], defaults)
    known = ("MAX_BODY_SIZE", "MAX_DURATION", "HTTPS_CERT_FILE", "HTTPS_KEY_FILE", "ALLOWED_REDIRECT_DOMAINS")
    refused = sorted(n for n in known if os.environ.get(n))
    if refused:
        raise flags.refuse("go-httpbin", f"the variables {', '.join(refused)} are not honoured here")
    REASONS.setdefault(412, "Precondition Failed")
    host = args["host"] if args["host"] not in ("", "0.0.0.0", "::") else None
    return serve(Httpbin(lists=True), args["port"], host)
