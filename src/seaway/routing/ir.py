"""The intermediate representation: what a fleet of proxies is to do, as frozen values.

Every time is in seconds, every path a decoded string as the API has it, every name lower case unless it is a user's regex.
Nothing here knows Envoy, and nothing that reads it knows Kubernetes objects; `Source` says which object a thing comes from.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from seaway.routing.policy import BackendPolicy, ClientPolicy, RoutePolicy

Struct = msgspec.Struct


class Fleet(NamedTuple):
    """The proxies of one Gateway, or of an IngressClass (namespace empty). A mesh will be a third kind: its sockets are bound
    to Services instead of to ports."""

    kind: str  # "Gateway" | "IngressClass"
    namespace: str
    name: str

    @property
    def title(self) -> str:
        return f"{self.kind}/{self.namespace or '-'}/{self.name}"


class Source(NamedTuple):
    """The object, and the part of it, that something comes from. `part`: `rules[2]`, a rule's name, a listener's."""

    kind: str
    namespace: str
    name: str
    part: str = ""

    @property
    def title(self) -> str:
        part = f"/{self.part}" if self.part else ""
        return f"{self.kind}/{self.namespace}/{self.name}{part}"


# What requests are told apart by


class PathMatch(NamedTuple):
    """`kind`: "exact"; "prefix", which goes by whole segments ("/" matches all; no trailing slash otherwise); "regex", RE2
    over the whole path."""

    kind: str
    value: str


class ValueMatch(NamedTuple):
    """Of a header (name in lower case) or a query parameter. `kind`: "exact", "regex" (RE2, whole value), "present"."""

    name: str
    kind: str
    value: str = ""


class Match(Struct, frozen=True):
    """All of it must hold. `method` empty: any. `grpc`: only gRPC requests (content-type); `named` is how many characters of its
    service and of its method are matched."""

    path: PathMatch = PathMatch("prefix", "/")
    method: str = ""
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()
    grpc: bool = False
    named: tuple[int, int] = (0, 0)


# What is done with them


class HeaderEdits(Struct, frozen=True):
    """Applied in the order remove, set, add."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class Rewrite(Struct, frozen=True):
    """`host` empty: as it came; `auto_host`: the endpoint's. `path_kind`: "" none, "full" replaces the whole path, "prefix"
    the part that the rule's prefix matched, "regex" what `path_pattern` matches (with \\1 in `path`)."""

    host: str = ""
    path_kind: str = ""
    path: str = ""
    path_pattern: str = ""
    auto_host: bool = False


class Target(Struct, frozen=True):
    """Where requests may go. `cluster` empty: this share is answered with 500 (a backend that is not there). Weight 0:
    none."""

    cluster: str
    weight: int = 1
    request: HeaderEdits = HeaderEdits()
    response: HeaderEdits = HeaderEdits()
    rewrite: Rewrite = Rewrite()
    redirect: Redirect | None = None  # a filter of the backend reference: this share is redirected instead
    why: str = ""  # for people: why there is no cluster
    title: str = ""  # the backend as its route names it, for logs


class Mirror(NamedTuple):
    """A copy of a fraction of requests, whose answers nobody waits for."""

    cluster: str
    numerator: int = 100
    denominator: int = 100


class Redirect(Struct, frozen=True):
    """Empty fields stay as the request has them. `port`: of the Location, 0 for none; what Gateway API says about defaults
    has been settled by who makes this. `path_kind` as of Rewrite."""

    scheme: str = ""
    host: str = ""
    port: int = 0
    path_kind: str = ""
    path: str = ""
    code: int = 302


class Respond(Struct, frozen=True):
    """An answer of the proxy's own."""

    code: int
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Retry(Struct, frozen=True):
    """`codes`: upstream answers that are tried again. `connect`: also what failed to connect or was reset before an
    answer. `idempotent`: never a POST, LOCK or PATCH. No attempts: nothing is tried again."""

    attempts: int = 1
    codes: tuple[int, ...] = ()
    backoff: float = 0.025
    connect: bool = True
    idempotent: bool = False


class Cors(Struct, frozen=True):
    """`origins`: exact ones, `*`, or with a wildcard label as `https://*.example.com`."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 5


class Session(Struct, frozen=True):
    """Session persistence, by a cookie or a header of the proxy's making. `seconds` 0: the session's own life. `permanent`:
    the cookie outlives the browser. `attributes`: what else the cookie says, as ("SameSite", "Lax") or ("Secure", "")."""

    kind: str  # "cookie" | "header"
    name: str
    seconds: int = 0
    path: str = "/"
    permanent: bool = False
    attributes: tuple[tuple[str, str], ...] = ()


class Forward(Struct, frozen=True):
    """To one of several targets by weight; no target at all, or none with weight: 500. `timeout` is the whole request's, 0
    for none, `try_timeout` each attempt's; `read_timeout`: how long a backend may say nothing."""

    targets: tuple[Target, ...]
    mirrors: tuple[Mirror, ...] = ()
    timeout: float = 0.0
    try_timeout: float = 0.0
    retry: Retry | None = None
    session: Session | None = None
    rewrite: Rewrite = Rewrite()
    read_timeout: float = 0.0


Action = Forward | Redirect | Respond


class Rule(Struct, frozen=True):
    """`name` is the rule's own in its object, if it has one."""

    match: Match
    action: Action
    source: Source
    request: HeaderEdits = HeaderEdits()
    response: HeaderEdits = HeaderEdits()
    cors: Cors | None = None
    name: str = ""
    policy: RoutePolicy | None = None


class Host(Struct, frozen=True):
    """The rules of a domain (`a.example.com`, `*.example.com`, `*`) in order of precedence. What matches none is answered
    with 404. `misdirected`: the domain is another chain's, and answered with 421. `source` says whose domain it is where no
    rule does."""

    domain: str
    rules: tuple[Rule, ...] = ()
    misdirected: bool = False


# What is listened on


class ClientCheck(NamedTuple):
    """Validation of client certificates. `trust`: name of a Trust. `required` false: a bad or missing certificate is let
    in, unless it is `checked`: then it may be missing, not bad."""

    trust: str
    required: bool = True
    checked: bool = False


class ServerTls(Struct, frozen=True):
    """`certificates`: names of Certificates. `client`: of certificates that clients show. Versions as "1.2"; empty: the
    default."""

    certificates: tuple[str, ...]
    client: ClientCheck | None = None
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    minimum: str = ""
    maximum: str = ""


class Stream(Struct, frozen=True):
    """Bytes or datagrams passed on, without a look inside. No target: connections are closed. `allow`, `deny`: by address of the
    client, as of RoutePolicy."""

    targets: tuple[Target, ...]
    source: Source
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Chain(Struct, frozen=True):
    """One way into a socket. `names`: server names (SNI) that choose it, exact or `*.example.com`; empty: everything else.
    `tls` None and names given: passed through undecrypted. What follows is an HTTP table by name, or a stream."""

    name: str
    source: Source
    names: tuple[str, ...] = ()
    tls: ServerTls | None = None
    table: str = ""
    stream: Stream | None = None
    client: ClientPolicy | None = None


class Socket(Struct, frozen=True):
    """A port of a fleet, with its chains in order of their names. `transport`: "tcp" or "udp" (a single chain with a
    stream)."""

    port: int
    transport: str
    chains: tuple[Chain, ...]

    @property
    def name(self) -> str:
        return f"{self.transport}-{self.port}"


# Who is behind


class BackendTls(Struct, frozen=True):
    """How a backend is spoken to and checked. `trust` empty with `system`: the proxy's well-known authorities; both empty:
    not checked (annotations of Ingress may say so). `names`: acceptable subject alternative names, ("dns"|"uri", value),
    empty: `hostname`. `certificate`: shown to the backend."""

    hostname: str
    trust: str = ""
    system: bool = False
    names: tuple[tuple[str, str], ...] = ()
    certificate: str = ""


class Cluster(Struct, frozen=True):
    """A Service port. `name`: NAMESPACE/SERVICE/PORT, with a suffix where two users of the port cannot share (another
    protocol). `protocol`: "http1", "h2" (prior knowledge, or by TLS), "auto" (as the client spoke; ALPN with TLS), "tcp",
    "udp". `external`: a host name to be resolved instead of endpoints (ExternalName)."""

    name: str
    protocol: str = "http1"
    tls: BackendTls | None = None
    external: str = ""
    port: int = 0
    policy: BackendPolicy | None = None


class End(NamedTuple):
    """`draining`: still serving, and used only where nothing else is ready."""

    address: str
    port: int
    zone: str = ""
    draining: bool = False


class Endpoints(Struct, frozen=True):
    """Who answers for a cluster, sorted."""

    cluster: str
    ends: tuple[End, ...]


class Certificate(Struct, frozen=True):
    """A chain and its key, PEM. `name`: NAMESPACE/SECRET."""

    name: str
    chain: bytes
    key: bytes


class Trust(Struct, frozen=True):
    """Authorities that certificates are checked against, PEM."""

    name: str
    authorities: bytes


class Pieces(Struct):
    """What has changed of a fleet: a value, or None where it is gone. Of a table each domain for itself:
    `hosts[table][domain]`."""

    sockets: dict[str, Socket | None] = {}
    hosts: dict[str, dict[str, Host | None]] = {}
    clusters: dict[str, Cluster | None] = {}
    endpoints: dict[str, Endpoints | None] = {}
    certificates: dict[str, Certificate | None] = {}
    trusts: dict[str, Trust | None] = {}
