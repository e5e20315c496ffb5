"""Cases as data: a file opens with the manifests that a user would write; its last document says what must come of them.

    feature: HTTPRouteMethodMatching
    backends: [red, blue]                    # Services of these names (ports below) that lead to the pods of these names
    requests:
    - ask: {host: a.example.org, path: /x}   # Ask
      want: {backend: red}                   # Want; with a backend alone: status 200
    statuses:
    - {of: HTTPRoute/x, Accepted: True Accepted, ResolvedRefs: True ResolvedRefs}
    then:                                    # further steps, each with what it changes and what must come of that
    - {delete: [HTTPRoute/y], requests: [...]}

A case lives in a namespace of its name. What names no Gateway of its own uses `shared` in the namespace `gateways` (world.yaml).
In manifests `${pod:red}` is a pod's address; `${certificate:x}`, `${key:x}` and `${authority:x}` are PEM, `${free}` a load balancer's
address that nobody has, `${outside}` that of who asks from outside, `${controller}` and `${ingress-controller}` our controllers' names, `${token:x}` a
JWT of the case's and `${jwks:y}` the keys of who signs, `${htpasswd:user:password}` and `${base64:...}` what they say; in requests `${new}` is new each time, `${play}` each time that
a case is played. Conditions are written `STATUS REASON` or `STATUS REASON: part of the message`.
Of other objects `labels`, `annotations`,
`fields` (path: value), `events` (`REASON: part of the message`) and `gone` may be said. A key that is not known is an error, so that nothing is believed to be tested that is not.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import yaml
from caseobjects import bundle, crowd, filled, secret, service

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases"
Tree = dict[str, Any]
Protocol = Literal["http/1.1", "h2", "h2c", "h3", "websocket", "grpc", "tls", "tcp", "udp", "raw"]


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request. `to`: whose address (Gateway/name, Gateway/namespace/name, Ingress/name); `certificate`: of the case's certificates;
    `trust`: the authority that the server's certificate must be of; `family`: of the address that is asked; `origin`: outside the
    cluster, or in a node's network; `client`: who keeps cookies, and headers named in `keeps`, from one request to the next;
    `series`: so many requests over one connection (HTTP/1.1); `version`, `cipher`: of TLS, these alone."""

    to: str = ""
    port: int = 0
    protocol: Protocol = "http/1.1"
    tls: bool = False
    host: str = ""
    path: str = "/"
    method: str = "GET"
    headers: dict[str, str | list[str]] = {}
    body: str = ""
    send: list[str] = []
    raw: str = ""
    sni: str | None = None
    certificate: str = ""
    trust: str = ""
    timeout: float = 0
    family: Literal[4, 6] = 4
    origin: Literal["outside", "node"] = "outside"
    client: str = ""
    keeps: list[str] = []
    series: int = 0
    version: Literal["", "1.2", "1.3"] = ""
    cipher: str = ""


class Saw(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the backend saw. `tls`: serverName, negotiatedProtocol, peer (the names in Envoy's certificate); {} for none at all."""

    path: str | None = None
    host: str | None = None
    method: str | None = None
    proto: str | None = None
    headers: dict[str, str | list[str]] = {}
    absent: list[str] = []
    tls: dict[str, str | list[str]] | None = None


class Want(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must come. `shares` of `of` requests, within five hundredths; `mirrored`: how many of `of` (or what share, below 1) each of
    these backends got besides; a header's value may be `A or B`; `error`: how it fails (refused, closed, timeout, tls), or else its status; `sometimes`: other answers come too, it is asked until this one does.
    `series`: the status of each answer, or which backends they came from (`one`, a `cycle` through them,
    `mixed`), or `limited`: answers, and then 429s. Of a client:
    `stays`: so many more requests of its go to the same backend; `moves`: it has another backend than at the end of the last step."""

    status: int | list[int] | None = None
    backend: str | list[str] | None = None
    saw: Saw | None = None
    headers: dict[str, str | list[str]] = {}
    absent: list[str] = []
    location: str | None = None
    body: str | None = None
    messages: list[str] | None = None
    shares: dict[str, float] = {}
    of: int = 1
    mirrored: dict[str, float] = {}
    error: str | list[str] | None = None
    grpc: int | None = None
    certificate: list[str] | None = None
    alpn: str | None = None
    took: tuple[float, float] | None = None
    sometimes: bool = False
    series: list[int] | Literal["one", "cycle", "mixed", "limited"] | None = None
    stays: int = 0
    moves: bool = False
    within: float = 0.05


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`each`: fields of Ask with several values; each combination is asked. `first`: the others wait until it is as wanted."""

    ask: Ask
    want: Want
    about: str = ""
    each: dict[str, list[Any]] = {}
    first: bool = False


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Service `name` that leads to `pods` (the pod of its name), in another namespace than the case's where one is named."""

    name: str
    namespace: str = ""
    pods: list[str] | None = None


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A certificate for `names`, signed by an authority; a Secret of type kubernetes.io/tls unless `secret` is false."""

    names: list[str]
    by: str = "edge"
    namespace: str = ""
    days: int = 30
    secret: bool = True


class Authority(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ConfigMap (or Secret) with an authority's certificate in ca.crt."""

    of: list[str]
    namespace: str = ""
    kind: Literal["ConfigMap", "Secret"] = "ConfigMap"


class Crowd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many rules for a host, `/crowd/N` to `backend`, that its table is split."""

    kind: Literal["HTTPRoute", "Ingress"] = "HTTPRoute"
    backend: str = "red"
    rules: int = 300


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JWT: who signs it, what it says (`exp` in `seconds` from now), and how it is signed (casetokens)."""

    by: str
    claims: dict[str, Any] = {}
    seconds: int = 3600
    how: Literal["ES256", "none", "HS256"] = "ES256"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is changed, and what must come of it. In `patch` and `delete` a name is Kind/name; `Kind/name#status` is its status. `pause`: seconds before it, where age matters; `patch`: merge patches by
    Kind/name; `certificates`: made anew; `remove`: from this slice the endpoint that a client is led to;
    `once`: its requests have one try."""

    about: str = ""
    pause: float = 0
    once: bool = False
    remove: dict[str, str] = {}
    apply: list[Tree] = []
    patch: dict[str, Tree] = {}
    delete: list[str] = []
    certificates: dict[str, Certificate] = {}
    requests: list[Request] = []
    statuses: list[Tree] = []


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file. `only`: `cluster` where the pure engine cannot say it, `pure` where it needs none of the rest. `channel`: it uses
    fields that the standard channel of Gateway API has not."""

    feature: str | list[str]
    about: str = ""
    only: Literal["", "cluster", "pure"] = ""
    channel: Literal["standard", "experimental"] = "standard"
    backends: list[str | Backend] = []
    certificates: dict[str, Certificate] = {}
    authorities: dict[str, Authority] = {}
    tokens: dict[str, Token] = {}
    crowds: dict[str, Crowd] = {}
    requests: list[Request] = []
    statuses: list[Tree] = []
    then: list[Step] = []


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row of the table of reasons: what provokes it, and where it must stand."""

    kind: str
    condition: str
    reason: str
    where: str = ""
    only: Literal["", "cluster", "pure"] = ""
    backends: list[str | Backend] = []
    certificates: dict[str, Certificate] = {}
    authorities: dict[str, Authority] = {}
    manifests: list[Tree]
    statuses: list[Tree]


class Played(NamedTuple):
    """A case, ready to be played: its name, the objects of its first step, and what follows."""

    name: str
    case: Case
    objects: tuple[Tree, ...]


class Malformed(ValueError):
    """A case that cannot be read: where, and what is wrong."""


KINDS = {  # kind: (path before the namespace, resource, whether it has a namespace)
    "Namespace": ("api/v1", "namespaces", False), "Service": ("api/v1", "services", True), "Secret": ("api/v1", "secrets", True),
    "ConfigMap": ("api/v1", "configmaps", True), "Pod": ("api/v1", "pods", True),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices", True),
    "Deployment": ("apis/apps/v1", "deployments", True), "ServiceAccount": ("api/v1", "serviceaccounts", True),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets", True),
    "Ingress": ("apis/networking.k8s.io/v1", "ingresses", True), "IngressClass": ("apis/networking.k8s.io/v1", "ingressclasses", False),
    **{kind: ("apis/gateway.networking.k8s.io/v1", resource, kind != "GatewayClass") for kind, resource in (
        ("GatewayClass", "gatewayclasses"), ("Gateway", "gateways"), ("HTTPRoute", "httproutes"), ("GRPCRoute", "grpcroutes"),
        ("TLSRoute", "tlsroutes"), ("TCPRoute", "tcproutes"), ("UDPRoute", "udproutes"), ("ListenerSet", "listenersets"),
        ("ReferenceGrant", "referencegrants"), ("BackendTLSPolicy", "backendtlspolicies"))},
    **{kind: ("apis/policy.seaway.dev/v1alpha1", resource, True) for kind, resource in (
        ("BackendTrafficPolicy", "backendtrafficpolicies"), ("ClientTrafficPolicy", "clienttrafficpolicies"), ("SecurityPolicy", "securitypolicies"))},
}


def placed(objects: list[Tree], namespace: str) -> list[Tree]:
    """Objects with the namespace that `-n` gives them; namespaces first."""
    found = []
    for tree in objects:
        kind = tree.get("kind", "")
        if kind not in KINDS or "name" not in tree.get("metadata", {}):
            raise Malformed(f"{namespace}: a manifest of kind {kind!r} without a name, or of a kind that no case has")
        if KINDS[kind][2] and not tree["metadata"].get("namespace"):
            tree = {**tree, "metadata": {**tree["metadata"], "namespace": namespace}}
        found.append(tree)
    return sorted(found, key=lambda t: t["kind"] != "Namespace")


def documents(path: Path) -> list[Any]:
    return [d for d in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader) if d is not None]


def read(path: Path) -> Played:
    """A case's file."""
    *objects, last = documents(path)
    if "apiVersion" in last:
        raise Malformed(f"{path.name}: its last document is a manifest; what must come of them is missing")
    return _played(path.stem, last, objects)


def _played(name: str, tree: Tree, objects: list[Tree]) -> Played:
    from casestatuses import judged

    try:
        case = msgspec.convert(tree, Case)
    except msgspec.ValidationError as e:
        raise Malformed(f"{name}: {e}") from None
    for step in (case, *case.then):
        for status in step.statuses:
            judged(status, name)
        for request in step.requests:
            for each in spread(request):
                _sound(name, each)
    if not any((s.requests or s.statuses) for s in (case, *case.then)):
        raise Malformed(f"{name}: nothing must come of it")
    return Played(name, case, tuple(placed(objects, name)))


def spread(request: Request) -> list[Request]:
    """A request for each combination of what `each` says."""
    tree = msgspec.to_builtins(request.ask)
    return [msgspec.structs.replace(request, each={}, ask=msgspec.convert({**tree, **dict(zip(request.each, values, strict=True))}, Ask))
            for values in itertools.product(*request.each.values())]


def worded(request: Request, words: dict[str, str]) -> Request:
    """A request whose wants are told in this run's words."""
    return msgspec.structs.replace(request, want=msgspec.convert(filled(msgspec.to_builtins(request.want), words), Want))


def _sound(name: str, request: Request) -> None:
    """What a request must not lack."""
    ask, want = request.ask, request.want
    empty = want == Want()
    if empty:
        raise Malformed(f"{name}: a request to {ask.host}{ask.path} wants nothing")
    if ask.protocol in ("http/1.1", "h2", "h2c", "h3", "websocket", "grpc") and not ask.host:
        raise Malformed(f"{name}: a request for {ask.path} has no host")
    if want.shares and ((want.of < 100 and 0.02 < want.within < 0.2) or abs(sum(want.shares.values()) - 1) > 1e-6):
        raise Malformed(f"{name}: shares must sum up to 1, of 100 requests or more where chance is in them")
    if (want.series is not None and not ask.series) or (ask.series and ask.protocol != "http/1.1"):
        raise Malformed(f"{name}: a series must be asked for, over HTTP/1.1")
    if (want.stays or want.moves) and not ask.client:
        raise Malformed(f"{name}: only a client can stay or move")
    if ask.protocol == "raw" and not ask.raw:
        raise Malformed(f"{name}: raw bytes are missing")


def reasons(path: Path = HERE / "reasons.yaml") -> list[Played]:
    """The table of reasons, each row as a case of its own."""
    found, names = [], set()
    for row in documents(path)[0]:
        try:
            reason = msgspec.convert(row, Reason)
        except msgspec.ValidationError as e:
            raise Malformed(f"reasons.yaml, {row.get('kind')} {row.get('reason')}: {e}") from None
        name = "-".join(("reason", reason.kind, reason.condition, reason.reason, *([reason.where] if reason.where else []))).lower()
        name = name.replace("backendtlspolicy", "btp").replace("resolvedrefs", "refs")[:63]
        if name in names:
            raise Malformed(f"reasons.yaml: two rows are {name}")
        names.add(name)
        if reason.condition not in str(reason.statuses):
            raise Malformed(f"reasons.yaml: {name} does not say where its reason must stand")
        tree = {"feature": f"{reason.kind} {reason.condition} {reason.reason}", "only": reason.only}
        tree |= {k: row[k] for k in ("backends", "certificates", "authorities", "statuses") if k in row}
        found.append(_played(name, tree, reason.manifests))
    return found


def everything() -> list[Played]:
    """All cases, by name."""
    return [*(read(path) for path in sorted(CASES.glob("*.yaml"))), *reasons()]


def wording(case: Case, words: dict[str, str]) -> dict[str, str]:
    """What `${...}` means in a case: what is given, and its certificates."""
    import casetokens
    from casekeys import authority, issue

    found = {f"authority:{name}": authority(name) for name in ("backend", "edge", "clients")} | words
    found |= {f"token:{name}": casetokens.token(t.by, t.claims, t.seconds, t.how) for name, t in case.tokens.items()}
    found |= {f"jwks:{name}": casetokens.jwks(name) for name in ("issuer", "stranger")}
    for name, certificate in case.certificates.items():
        pair = issue(certificate.by, tuple(certificate.names), certificate.days)
        found |= {f"certificate:{name}": pair.certificate, f"key:{name}": pair.key}
    return found


def made(case: Case | Step, namespace: str, words: dict[str, str]) -> list[Tree]:
    """The objects that a case's short forms stand for: Services and slices, Secrets, authorities."""
    from casekeys import authority, issue

    found: list[Tree] = []
    for entry in case.backends if isinstance(case, Case) else ():
        backend = Backend(name=entry) if isinstance(entry, str) else entry
        found += service(backend, words)
    for name, certificate in case.certificates.items():
        if certificate.secret:
            pair = issue(certificate.by, tuple(certificate.names), certificate.days)
            found.append(secret(name, certificate.namespace or namespace, pair))
    for name, entry in (case.authorities if isinstance(case, Case) else {}).items():
        found.append(bundle(name, entry.namespace or namespace, entry.kind, "".join(authority(a) for a in entry.of)))
    for host, many in (case.crowds if isinstance(case, Case) else {}).items():
        found += crowd(host, many)
    return placed(found, namespace)


def world() -> Played:
    """What all cases share."""
    *objects, last = documents(HERE / "world.yaml")
    played = _played("gateways", last, objects)
    return played


def pending(part: str) -> dict[str, str]:
    """Cases that do not pass yet, with the reason, of `pure` or `cluster`."""
    found: dict[str, str] = documents(HERE / "pending.yaml")[0].get(part) or {}
    return found
