"""ealen/echo-server: the request as JSON, and answers that the request itself asks for."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import Answer, Later, Request, serve

PARTS = ("HOST", "HTTP", "REQUEST", "COOKIES", "HEADER", "ENVIRONMENT")
KNOWN = tuple(f"ENABLE__{part}" for part in PARTS)
LONGEST = 60.0


def value_of(request: Request, name: str) -> str:
    """What the query (`echo_code`) or a header (`X-ECHO-CODE`) asks for."""
    return request.query(name) or request.header("x-" + name.replace("_", "-"))


def describe(request: Request, enabled: dict[str, bool], environment: dict[str, str], hostname: str) -> dict[str, Any]:
    query = {k: v[0] if len(v) == 1 else v for k, v in parse_qs(urlsplit(request.target).query, True).items()}
    cookies = dict(p.strip().partition("=")[::2] for p in request.header("Cookie").split(";") if "=" in p)
    told: dict[str, Any] = {}
    if enabled["HOST"]:
        forwarded = [a.strip() for a in request.header("X-Forwarded-For").split(",") if a.strip()]
        told["host"] = {"hostname": request.header("Host").partition(":")[0], "ip": request.peer[0], "ips": forwarded}
    if enabled["HTTP"]:
        told["http"] = {"method": request.method, "baseUrl": "", "originalUrl": request.target, "protocol": "http"}
    if enabled["REQUEST"]:
        body: Any = {}
        if request.body:
            try:
                body = json.loads(request.body)
            except ValueError:
                body = request.body.decode("utf-8", "replace")
        told["request"] = {"params": {"0": request.path}, "query": query}
        if enabled["COOKIES"]:
            told["request"]["cookies"] = cookies
        told["request"]["body"] = body
        if enabled["HEADER"]:
            told["request"]["headers"] = {k.lower(): v for k, v in request.headers}
    if enabled["ENVIRONMENT"]:
        told["environment"] = {**environment, "HOSTNAME": hostname}
    return told


def answer(request: Request, enabled: dict[str, bool], environment: dict[str, str], hostname: str) -> Answer | Later:
    code = next((c for c in value_of(request, "echo_code").split("-") if c), "200")
    headers = tuple(
        (k.strip(), v.strip())
        for pair in value_of(request, "echo_header").split(",")
        for k, found, v in [pair.partition(":")]
        if found
    )
    if value_of(request, "echo_file"):
        return Answer(501, b"echo_file is not built in here\n")
    status = int(code) if re.fullmatch(r"[2-5]\d\d", code) else 200
    text, name = value_of(request, "echo_body"), value_of(request, "echo_env_body")
    if text or name:
        body = json.dumps(text or environment.get(name, "")).encode()
    else:
        body = json.dumps(describe(request, enabled, environment, hostname), separators=(",", ":")).encode()
    found = Answer(status, body, "application/json; charset=utf-8", headers)
    wait = value_of(request, "echo_time")
    if not wait.isdigit():
        return found

    def later() -> Answer:
        time.sleep(min(int(wait) / 1000, LONGEST))
        return found

    return Later(later)


def main(argv: list[str]) -> int:
    defaults: dict[str, Any] = {"port": int(os.environ.get("PORT") or 80)}
    defaults.update({f"enable:{part.lower()}": os.environ.get(f"ENABLE__{part}", "true") != "false" for part in PARTS})
    environment = dict(os.environ)
    flags.refuse_environment("echo-server", environment, ("ENABLE__", "COMMANDS__", "CONTROLS__", "LOGS__"), KNOWN)
    args = flags.parse("echo-server", argv[1:], defaults)
    enabled = {part: bool(args[f"enable:{part.lower()}"]) for part in PARTS}
    hostname = socket.gethostname()
    print(f"Listening on port {args['port']}.", flush=True)
    return serve(lambda request: answer(request, enabled, environment, hostname), args["port"])
