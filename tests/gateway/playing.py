"""Plays cases in a cluster: applies what a user writes, waits for statuses, asks from outside, many cases at a time."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import caseanswers
import casefile
import casekeys
import caseobjects
import casestatuses
import casetokens
from apiclient import Api
from caseclients import Clients
from casefile import Case, Played, Request, Step, Tree
from caseobjects import filled

BACKENDS = "gateway-backends"
PODS = ("red", "blue", "green")
OTHERS = ("nobody", "keys")  # a pod on whose ports nobody answers, and a JWKS on port 3000
AT_ONCE = 8
WITHIN = 30.0  # seconds for statuses, and for answers
BIG = "b" * 300_000
SOURCE = {f"pod:{name}": "" for name in (*PODS, *OTHERS)}


def pod(name: str) -> list[Tree]:
    """A backend with all that echo-basic can be, and its certificate."""
    pair = casekeys.issue("backend", (f"{name}.backends.test", f"spiffe://backends.test/ns/backends/sa/{name}"))
    secret = caseobjects.secret(f"{name}-tls", BACKENDS, pair)
    secret["stringData"]["ca.crt"] = casekeys.authority("clients")
    who = [{"name": "POD_NAME", "value": name}, {"name": "NAMESPACE", "value": BACKENDS}]
    tls = [{"name": n, "value": f"/tls/{f}"} for n, f in (("TLS_SERVER_CERT", "tls.crt"), ("TLS_SERVER_PRIVKEY", "tls.key"), ("TLS_CLIENT_CACERTS", "ca.crt"))]

    def container(kind: str, **env: str) -> Tree:
        more = [{"name": k, "value": v} for k, v in env.items()]
        return {"name": kind, "image": "registry.k8s.io/gateway-api/conformance/echo-basic:v0.1.0",
                "env": who + more + tls, "volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}

    containers = [container("http")]
    if name != "green":
        containers += [container("grpc", GRPC_ECHO_SERVER="1", HTTP_PORT="3002", HTTPS_PORT="8444"), container("tcp", TCP_ECHO_SERVER="1", TCP_PORT="3003", TLS_PORT="8445"),
                       container("udp", UDP_ECHO_SERVER="1")]
    containers[0]["readinessProbe"] = {"httpGet": {"path": "/health", "port": 3000}, "periodSeconds": 1}
    spec = {"terminationGracePeriodSeconds": 0, "containers": containers, "volumes": [{"name": "tls", "secret": {"secretName": f"{name}-tls"}}]}
    return [secret, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": BACKENDS}, "spec": spec}]


def other(name: str) -> Tree:
    container: Tree = {"name": "pause", "image": "registry.k8s.io/pause:3.10"}
    if name == "keys":
        container = {"name": "keys", "image": "hashicorp/http-echo:1.0", "args": ["-listen=:3000", f"-text={casetokens.jwks('issuer')}"]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": BACKENDS}, "spec": spec}


class Prober:
    """The asking process, outside the cluster (asking.py has what it can ask)."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._waiting: dict[int, Future[list[Tree]]] = {}
        self._ids = itertools.count()
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            told = json.loads(line)
            self._waiting.pop(told["id"]).set_result(told["told"])

    def ask(self, question: Tree, times: int = 1) -> list[Tree]:
        assert self._process.stdin
        number = next(self._ids)
        future: Future[list[Tree]] = Future()
        self._waiting[number] = future
        with self._lock:
            self._process.stdin.write(json.dumps({"id": number, "ask": question, "times": times}) + "\n")
            self._process.stdin.flush()
        return future.result(60 + times / 5)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Stage:
    """A cluster with the backends and the shared Gateway, on which cases are played."""

    def __init__(self, api: Api, probers: dict[str, Prober], words: dict[str, str], controllers: tuple[str, ...]) -> None:
        self.api, self.probers, self.words, self.controllers = api, probers, words, controllers
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self.hopeless: frozenset[str] = frozenset()  # cases that are not waited for long
        self.timings: dict[str, float] = {}
        self._clients = Clients()

    def build(self) -> None:
        for name in (BACKENDS, "gateways"):
            self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        world = casefile.world()
        for tree in (*casefile.made(world.case, "gateways", SOURCE), *world.objects, *(t for name in PODS for t in pod(name)), *map(other, OTHERS)):
            self.api.apply(tree)

        def address(name: str) -> str:
            found = self.api.get(f"Pod/{name}", BACKENDS) or {}
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in found.get("status", {}).get("conditions", ()))
            return str(found["status"]["podIP"]) if ready else ""

        for name in (*PODS, *OTHERS):
            self.words[f"pod:{name}"] = until(lambda name=name: address(name), lambda name=name: f"pod {name} is not ready")
            addresses = [a["ip"] for a in (self.api.get(f"Pod/{name}", BACKENDS) or {})["status"]["podIPs"]]
            self.words[f"pod6:{name}"] = next((a for a in addresses if ":" in a), "")
        wrong = self.statuses("gateways", world.case, self.words)
        assert not wrong, "\n".join(wrong)
        gateway = str((self.api.get("Gateway/shared", "gateways") or {})["status"]["addresses"][0]["value"])
        question = {"address": gateway, "port": 80, "protocol": "http/1.1", "host": "nobody.example.org"}
        self.words["outside"] = until(lambda: self.probers["outside"].ask(question)[0].get("from"), lambda: "the shared Gateway does not answer")

    def start(self, cases: Iterable[Played]) -> dict[str, Future[list[str]]]:
        return {played.name: self._pool.submit(self.play, played) for played in cases}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for prober in self.probers.values():
            prober.close()
        self.api.close()

    def play(self, played: Played) -> list[str]:
        """What is not as the case says; it ends with its first step that is not."""
        began = time.monotonic()
        case, name = played.case, played.name
        words = {**casefile.wording(case, self.words), "play": uuid.uuid4().hex}
        space: Tree = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        objects = casefile.placed([space, *casefile.made(case, name, words), *filled(list(played.objects), words)], name)
        try:
            for tree in objects:
                self.api.apply(tree)
            found = self._step(played, case, words)
            for step in case.then:
                if found:
                    break
                time.sleep(step.pause)
                self._clients.end(name)
                for slice_, client in step.remove.items():
                    self._remove(name, slice_, words[f"pod:{self._clients.was(name, client)}"])
                for what in step.delete:
                    self.api.delete(what, name)
                for tree in casefile.placed([*casefile.made(step, name, words), *filled(step.apply, words)], name):
                    self.api.apply(tree)
                for what, patch in step.patch.items():
                    self.api.patch(what, name, filled(patch, words))
                found = [f"{step.about or 'then'}: {problem}" for problem in self._step(played, step, words)]
            return found
        finally:
            spaces = {t["metadata"]["name"] for t in objects if t["kind"] == "Namespace"}
            for tree in objects:
                if tree["metadata"].get("namespace") not in spaces:  # what goes with no namespace of the case's
                    self.api.delete(f"{tree['kind']}/{tree['metadata']['name']}", tree["metadata"].get("namespace", ""))
            self.timings[name] = round(time.monotonic() - began, 1)

    def statuses(self, namespace: str, step: Case | Step, words: dict[str, str]) -> list[str]:
        """Waits for the statuses of a step."""
        wanted = [(s["of"], casestatuses.judged(filled(s, words), namespace)) for s in step.statuses]

        def wrong() -> list[str]:
            found: list[str] = []
            for what, want in wanted:
                found += casestatuses.problems(want, self.api.get(what, namespace), self.controllers)
                if want.rest.get("events"):
                    found += casestatuses.event_problems(what, want.rest["events"], self.api.events(want.name, want.namespace or namespace))
            return found

        return settled(wrong, self._within(namespace))

    def _within(self, name: str) -> float:
        return 3.0 if name in self.hopeless else WITHIN

    def _step(self, played: Played, step: Case | Step, words: dict[str, str]) -> list[str]:
        wrong = self.statuses(played.name, step, words)
        requests = [casefile.worded(each, words) for r in step.requests for each in casefile.spread(r)]
        plain = [r for r in requests if not r.want.shares and not r.want.mirrored]
        many = [r for r in requests if r.want.shares or r.want.mirrored]
        within = 0.0 if isinstance(step, Step) and step.once else self._within(played.name)
        fences = [r for r in plain if r.first]
        wrong += settled(lambda: [p for r in fences for p in self._once(played, r, words)], within)
        if not wrong:
            wrong += settled(lambda: [p for r in plain if not r.first for p in self._once(played, r, words)], within)
        for request in many:
            check = self._shares if request.want.shares else self._mirrored
            wrong += settled(lambda check=check, request=request: check(played, request, words), within)
        return wrong

    def _remove(self, namespace: str, name: str, address: str) -> None:
        """An endpoint goes."""
        what = f"EndpointSlice/{name}"
        endpoints = [e for e in (self.api.get(what, namespace) or {})["endpoints"] if address not in e["addresses"]]
        self.api.patch(what, namespace, {"endpoints": endpoints})

    def _question(self, played: Played, request: Request, words: dict[str, str]) -> Tree:
        ask, case = request.ask, played.case
        fresh = {**words, "new": uuid.uuid4().hex, "big": BIG}
        question: Tree = {"address": self._address(played, ask.to, ask.family), "protocol": ask.protocol, "host": ask.host, "method": ask.method}
        question["path"] = filled(ask.path, fresh)
        question["port"] = ask.port or (443 if ask.tls else 80)
        question["headers"] = [(k, v) for k, vs in filled(ask.headers, fresh).items() for v in (vs if isinstance(vs, list) else [vs])]
        question["headers"] += self._clients.shows(played.name, ask)
        for field in ("body", "send", "raw", "timeout", "series", "version", "cipher"):
            if getattr(ask, field):
                question[field] = filled(getattr(ask, field), fresh)
        if ask.tls:
            question |= {"tls": True, "sni": ask.host.partition(":")[0] if ask.sni is None else ask.sni}
            if ask.trust:
                question["ca"] = casekeys.authority(ask.trust)
            if ask.certificate:
                entry = case.certificates[ask.certificate]
                question["certificate"], question["key"] = casekeys.issue(entry.by, tuple(entry.names), entry.days)
        return question

    def _address(self, played: Played, to: str, family: int) -> str:
        if not to:
            own = [t for t in played.objects if t["kind"] in ("Gateway", "Ingress")]
            to = f"{own[0]['kind']}/{own[0]['metadata']['namespace']}/{own[0]['metadata']['name']}" if own else "Gateway/gateways/shared"
        status = (self.api.get(to, played.name) or {}).get("status") or {}
        if to.startswith("Gateway"):
            found = [a["value"] for a in status.get("addresses") or ()]
        else:
            found = [i["ip"] for i in (status.get("loadBalancer") or {}).get("ingress") or () if "ip" in i]
        return next((a for a in found if (":" in a) == (family == 6)), "")

    def _ask(self, played: Played, request: Request, words: dict[str, str], times: int = 1) -> list[Tree]:
        question = self._question(played, request, words)
        prober = self.probers[request.ask.origin]
        return prober.ask(question, times) if question["address"] else [{"error": "no address yet", "took": 0}]

    def _once(self, played: Played, request: Request, words: dict[str, str]) -> list[str]:
        wrong: list[str] = []
        for _ in range(20 if request.want.sometimes else 1):
            told = self._ask(played, request, words)[0]
            wrong = caseanswers.problems(request.want, told)
            if request.ask.client and not wrong:
                wrong = self._clients.answered(played.name, request, told)
                for _ in range(0 if wrong else request.want.stays):
                    wrong = wrong or self._clients.stayed(played.name, request, self._ask(played, request, words)[0])
            if not wrong:
                break
        return [f"{shown(request)}: {p}" for p in wrong]

    def _shares(self, played: Played, request: Request, words: dict[str, str]) -> list[str]:
        answers = self._ask(played, request, words, request.want.of)
        return [f"{shown(request)}: {p}" for p in caseanswers.share_problems(request.want, answers)]

    def _mirrored(self, played: Played, request: Request, words: dict[str, str]) -> list[str]:
        def counted() -> dict[str, int]:
            line = f"request made to {request.ask.path} "
            return {name: self.api.log(BACKENDS, name, "http").count(line) for name in request.want.mirrored}

        before = counted()
        for told in self._ask(played, request, words, request.want.of):
            wrong = caseanswers.problems(request.want, told)
            if wrong:
                return [f"{shown(request)}: {p}" for p in wrong]
        return settled(lambda: [f"{shown(request)}: {p}" for p in caseanswers.mirror_problems(
            request.want, {n: c - before[n] for n, c in counted().items()})], 3)


def shown(request: Request) -> str:
    ask = request.ask
    if ask.protocol == "raw":
        return repr(ask.raw[:80])
    where = f":{ask.port}" if ask.port else ""
    text = f"{ask.protocol} {ask.method if ask.protocol != 'grpc' else ''} {'tls ' if ask.tls else ''}{ask.host}{where}{ask.path}"
    return " ".join((text + (f" {ask.headers}" if ask.headers else "")).split())[:200]


def settled(wrong: Callable[[], list[str]], within: float = WITHIN) -> list[str]:
    """What is wrong still when the time is over."""
    end = time.monotonic() + within
    pause = 0.1
    while True:
        found = wrong()
        if not found or time.monotonic() > end:
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)


def until(check: Callable[[], Any], said: Callable[[], str], within: float = 60) -> Any:
    end = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < end, said()
        time.sleep(0.1)
    return found


def probers(seaway: str, name: str, python: str, env: dict[str, str]) -> dict[str, Prober]:
    """A prober for each origin: outside, and the first node's network."""
    script = str(Path(__file__).with_name("prober.py"))
    origins = {"outside": "outside", "node": f"{name}-control-plane"}
    return {k: Prober([seaway, "outside", "--name", name, "--from", origin, "--", python, script], env) for k, origin in origins.items()}
