"""The API server's process: opens the storage, fills a new cluster, serves the sockets that init holds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import socket
import ssl
import time
import uuid
from typing import Any

import uvloop
from aiohttp import web

from seaway.cluster.apiserver import bootstrap, connections, expiry, gatewayapi, noderestriction
from seaway.cluster.apiserver.admission import Admission
from seaway.cluster.apiserver.allocation import Allocator
from seaway.cluster.apiserver.auditing import policy
from seaway.cluster.apiserver.auditing.linelog import LineLog
from seaway.cluster.apiserver.auditing.recorder import Recorder
from seaway.cluster.apiserver.authn import Tokens
from seaway.cluster.apiserver.authz import RBAC, Rbac
from seaway.cluster.apiserver.calls import ADDRESSES
from seaway.cluster.apiserver.custom.controller import Lifecycle
from seaway.cluster.apiserver.custom.warming import warm
from seaway.cluster.apiserver.door import BODY_LIMIT, Door
from seaway.cluster.apiserver.journal import DELETED, Journal
from seaway.cluster.apiserver.metadata import SUFFIX_CHARACTERS
from seaway.cluster.apiserver.metering import Metrics
from seaway.cluster.apiserver.nodeauthz import NodeAuthorizer, PlacedPods
from seaway.cluster.apiserver.noderestriction import NodeRestriction
from seaway.cluster.apiserver.policies import admission as policies
from seaway.cluster.apiserver.policies.conditions import Conditions
from seaway.cluster.apiserver.policies.mutating import Mutating as MutatingPolicies
from seaway.cluster.apiserver.policies.status import Observer
from seaway.cluster.apiserver.reads import Reads
from seaway.cluster.apiserver.signers import Signers
from seaway.cluster.apiserver.storage import Event, Storage
from seaway.cluster.apiserver.verbs import Edges, Verbs
from seaway.cluster.apiserver.webhooks.admission import Mutating, Validating
from seaway.cluster.apiserver.webhooks.calling import Caller
from seaway.cluster.apiserver.webhooks.configured import Service
from seaway.cluster.apiserver.webhooks.conversion import Converter
from seaway.cluster.apiserver.webhooks.services import endpoints
from seaway.cluster.layout import Layout
from seaway.pki.tokens import Signer, issuer_of

Tree = dict[str, Any]
HANDSHAKE = 20.0  # seconds for TLS
SLICES = "endpointslices.discovery.k8s.io"


def edges() -> Edges:
    chooser = random.SystemRandom()
    return Edges(
        time.time, lambda: str(uuid.uuid4()), lambda n: "".join(chooser.choice(SUFFIX_CHARACTERS) for _ in range(n))
    )


def server_context(pki: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(f"{pki}/apiserver.crt", f"{pki}/apiserver.key")
    context.load_verify_locations(f"{pki}/ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def kubelet_context(pki: str) -> ssl.SSLContext:
    """As the API server dials kubelets: our certificate, theirs from the same authority."""
    context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    context.check_hostname = False  # a node is dialled by the address that its own certificate-bearing agent wrote
    context.load_cert_chain(f"{pki}/apiserver.crt", f"{pki}/apiserver.key")
    return context


def assemble(storage: Storage, layout: Layout, pki: str, edge: Edges) -> tuple[Door, Verbs]:
    """The server's parts around a storage."""
    allocator = Allocator(layout.service_ranges)
    for entry in storage.newest_all("services"):
        allocator.hold(entry.key, entry.tree["spec"])
    for entry in storage.newest_all(ADDRESSES):
        allocator.reserve(entry.key, ADDRESSES)
    verbs = Verbs(storage, Admission(storage, allocator), edge)
    placed = PlacedPods()
    for entry in storage.entries("pods", ""):
        placed.put(entry.key, entry.tree)
    verbs.rbac = rbac = Rbac(
        lambda resource: (e.tree for e in storage.entries(resource, "")), NodeAuthorizer(placed).decide
    )

    def follow(event: Event) -> None:
        if event.resource == "pods":
            if event.kind == DELETED:
                placed.drop(event.entry.key)
            else:
                placed.put(event.entry.key, event.entry.tree)
        elif event.resource.endswith(RBAC):
            rbac.changed()

    storage.listeners.append(follow)
    with open(f"{pki}/sa.key", "rb") as f:
        signer = Signer(f.read(), issuer_of(layout.domain))

    def get(resource: str, key: str) -> Tree | None:
        entry = storage.get(resource, key)
        return entry.tree if entry else None

    planned = {n.name: noderestriction.planned_labels(n.config) for n in layout.nodes}
    verbs.reviewers.chain += [NodeRestriction(get, planned), Signers(rbac)]
    tokens = Tokens(signer, get, edge.now)
    door = Door(verbs, Reads(storage, edge), rbac, tokens, signer, kubelet_context(pki), f"{layout.router[0]}:6443")
    return door, verbs


def webhook_caller(storage: Storage) -> Caller:
    """Calls webhooks; those behind Services at their endpoints."""

    def resolve(where: Service) -> list[tuple[str, int]]:
        service = storage.get("services", f"{where.namespace}/{where.name}")
        slices = (e.tree for e in storage.entries(SLICES, f"{where.namespace}/"))
        return endpoints(where, service.tree if service else None, slices)

    return Caller(resolve)


def add_reviewers(verbs: Verbs, caller: Caller, metrics: Metrics) -> None:
    """Whoever has a word in writes, in the order of upstream's plugins."""
    storage, uid = verbs.storage, verbs.edges.uid
    decide = verbs.rbac.decide if verbs.rbac is not None else None
    mutating = Mutating("mutatingwebhookconfigurations", storage, caller, uid)
    validating = Validating("validatingwebhookconfigurations", storage, caller, uid)
    mutating.observe = validating.observe = metrics.called
    mutating.conditions = validating.conditions = Conditions(decide)
    checking = policies.Validating(storage, verbs.registry, decide)
    checking.observe = metrics.policy_checks.inc
    verbs.reviewers.chain += [
        MutatingPolicies(storage, verbs.registry, decide),
        mutating,
        checking,
        validating,
    ]


def add_logs(recorder: Recorder, args: Tree) -> None:
    """The audit log and the request log, where the cluster's configuration names their files."""
    audit, requests = args.get("audit_log"), args.get("request_log")
    if audit:
        recorder.audit = LineLog(audit["path"], audit["size"], audit["kept"])
        if audit.get("policy"):
            recorder.policy = policy.read(audit["policy"])
    if requests:
        recorder.requests = LineLog(requests["path"], requests["size"], requests["kept"])


async def serve(args: Tree, fds: dict[str, int]) -> None:
    from seaway.cluster.layout import load

    layout = load(args["layout"])
    os.makedirs(args["data"], exist_ok=True)
    storage = Storage(Journal(os.path.join(args["data"], "state.db")))
    door, verbs = assemble(storage, layout, args["pki"], edges())
    caller = webhook_caller(storage)
    add_reviewers(verbs, caller, door.metrics)
    converter = Converter(caller, verbs.edges.uid, time.monotonic)
    converter.observe = door.metrics.asked
    verbs.registry.conversions.convert = converter.convert
    add_logs(door.recorder, args)
    door.metrics.watch_storage(storage)

    def factory(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=BODY_LIMIT
        )

    server = connections.Server(
        door.handle,
        request_factory=factory,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=connections.IDLE_SECONDS,
        max_line_size=connections.LINE_BYTES,
        max_field_size=connections.LINE_BYTES,
        auto_decompress=False,  # upstream does not read compressed bodies either, and a small one may be a huge one
        most=connections.most_connections(),
    )
    loop = asyncio.get_running_loop()
    context = server_context(args["pki"])
    for fd in fds.values():
        sock = socket.socket(fileno=fd)
        connections.prepare(sock)
        await loop.create_server(server, sock=sock, ssl=context, backlog=4096, ssl_handshake_timeout=HANDSHAKE)
    definitions = asyncio.create_task(Lifecycle(verbs).run())
    observer = asyncio.create_task(Observer(verbs).run())
    fresh = storage.rv == 0
    with open(f"{args['pki']}/ca.crt") as f:
        ca = f.read()
    await bootstrap.run(verbs, layout, args.get("variables", {}), ca, args.get("folders", ()))
    if args.get("gateway_api"):
        await gatewayapi.ensure(verbs)
    if fresh:
        storage.forget()  # nobody has seen a version of a cluster in the making: whoever names one starts again
    door.ready = True
    warming = asyncio.create_task(warm(verbs.registry, storage))
    print(
        json.dumps({"apiserver": "ready", "resourceVersion": storage.rv, "synchronous": storage.journal.synchronous}),
        flush=True,
    )
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    sweeping = asyncio.create_task(expiry.run(verbs))
    await stop.wait()
    door.ending = True
    sweeping.cancel()
    definitions.cancel()
    observer.cancel()
    warming.cancel()
    await caller.close()
    door.recorder.close()
    storage.close()


# What is stored stays: the collector need not walk all of it every few hundred objects. It was a sixth of a create.
COLLECT = (20_000, 20, 20)


def main(args: Tree, fds: dict[str, int]) -> None:
    gc.set_threshold(*COLLECT)
    uvloop.run(serve(args, fds))
