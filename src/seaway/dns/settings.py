"""What the DNS server is to do, as values: flags and a Corefile become `Settings`; pure.

The words are CoreDNS's, so are the defaults, where it has the feature. Names are tuples of lower-case labels, outermost
last: ("cluster", "local"); the root is ().
"""

from __future__ import annotations

from dataclasses import dataclass, field

Name = tuple[str, ...]
ROOT: Name = ()
PORT, TLS_PORT = 53, 853
DEFAULT_TTL, MAX_TTL = 5, 3600
CACHE_ENTRIES = 9984


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. Of a listener: `certificate` and `key`, `authority` to demand client certificates. Of an upstream:
    `authority` to trust instead of the system's, `certificate` and `key` of ours, `server_name` to expect. `digest`: of what the
    files held when they were read, so that renewed ones are new settings."""

    certificate: str = ""
    key: str = ""
    authority: str = ""
    server_name: str = ""
    client_auth: str = "nocert"  # nocert, request, require, verify_if_given, require_and_verify
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The `kubernetes` plugin. `zones` are the cluster's domain and the reverse zones that it answers for."""

    zones: tuple[Name, ...] = (("cluster", "local"), ("in-addr", "arpa"), ("ip6", "arpa"))
    pods: str = "disabled"  # disabled, insecure, verified
    endpoint_pod_names: bool = False
    ttl: int = DEFAULT_TTL
    noendpoints: bool = False
    ignore_empty_service: bool = False
    namespaces: tuple[str, ...] = ()  # empty: all
    labels: str = ""  # a label selector of Services, empty: all
    namespace_labels: str = ""  # a label selector of namespaces, empty: all
    fallthrough: tuple[Name, ...] | None = None  # the zones in which an unknown name goes to the next plugin; None: nowhere
    startup_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where to ask. `server_name`: the name that its certificate must hold, empty: the Forward's."""

    host: str
    port: int = PORT
    tls: bool = False
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """The `forward` plugin: queries below `origin` go to one of `upstreams`, then to those that `files` (in the form of
    resolv.conf) name; `files` are read when the server starts and at each reload."""

    origin: Name = ROOT
    upstreams: tuple[Upstream, ...] = ()
    files: tuple[str, ...] = ()
    excepted: tuple[Name, ...] = ()
    policy: str = "random"  # random, round_robin, sequential
    force_tcp: bool = False
    prefer_udp: bool = False
    max_fails: int = 2  # failed health checks in a row before an upstream is down; 0: never
    expire: float = 10.0  # seconds that an idle connection is kept
    max_concurrent: int = 0  # queries on their way at once, above: REFUSED; 0: the server's own bound
    health_interval: float = 0.5
    health_recursion: bool = True
    health_domain: Name = ROOT
    failfast_all_unhealthy: bool = False
    next_on: tuple[str, ...] = ()  # rcodes (NXDOMAIN, SERVFAIL) that make the next `forward` be asked
    next_on_nodata: bool = False  # the same for NOERROR without a record
    failover_on: tuple[str, ...] = ()  # rcodes that make the next upstream of this `forward` be asked
    source: str = ""  # the address that is asked from; empty: the kernel's choice
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Cache:
    """The `cache` plugin, for what is forwarded: the cluster's own names are never kept by time. TTLs in seconds."""

    zones: tuple[Name, ...] = ()  # empty: the block's
    max_ttl: int = MAX_TTL
    min_ttl: int = 5
    entries: int = CACHE_ENTRIES
    denial_max_ttl: int = 1800
    denial_min_ttl: int = 5
    denial_entries: int = CACHE_ENTRIES
    servfail_ttl: float = 5.0
    prefetch: int = 0  # queries within `prefetch_window` that make a name worth asking again before it ends; 0: never
    prefetch_window: float = 60.0
    prefetch_percent: int = 10  # of its TTL left
    serve_stale: float = 0.0  # seconds after its end that an answer may still be given; 0: never
    stale_verify: bool = False  # whether the upstream is asked, for a moment, before a stale answer is given
    stale_verify_timeout: float = 0.0  # 0: the server's own
    stale_ttl: int = 0  # the TTL that a stale answer is given with
    stale_recheck: float = 0.0  # seconds after a failed refresh in which the upstream is not asked again; 0: none
    stale_prefer_positive: bool = False  # whether a stale answer goes before a denial that is kept
    keepttl: bool = False
    disable_success: tuple[Name, ...] | None = None  # zones in which nothing is kept; () = all
    disable_denial: tuple[Name, ...] | None = None


@dataclass(frozen=True, slots=True)
class Hosts:
    """The `hosts` plugin: a file in the form of /etc/hosts, and rows written in the Corefile."""

    file: str = "/etc/hosts"
    rows: tuple[str, ...] = ()  # "ADDRESS NAME [NAME...]"
    zones: tuple[Name, ...] = ()  # empty: the block's
    ttl: int = 3600
    reverse: bool = True
    reload: float = 5.0  # seconds between looks at the file; 0: never
    fallthrough: tuple[Name, ...] | None = None
    fallthrough_types: bool = False  # whether the types that a hosts file cannot hold fall through for its own names too


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rule of the `rewrite` plugin. `field`: name, type, class, ttl, rcode; edns0 and cname have no effect. For names,
    `match` is exact, prefix, suffix, substring or regex; `answer_auto` turns the names of the answer back; `answers` are
    explicit (what, from, to) turns of names ("name") and values ("value") in it. For ttl and rcode, `match` and `old` say which
    names, `new` is the TTL ("30", "5-60", "30-") or the rcode that takes the place of `rcode`. Names are in lower case and end
    with a dot."""

    field: str
    match: str = "exact"
    old: str = ""
    new: str = ""
    stop: bool = True
    answer_auto: bool = False
    answers: tuple[tuple[str, str, str], ...] = ()  # (name or value, regex, replacement)
    rcode: str = ""
    edns: tuple[str, ...] = ()  # field edns0: the words after it


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One rule of the `acl` plugin; the first that matches decides. Empty `types` and `networks` match all."""

    action: str  # allow, block (REFUSED), filter (NOERROR, empty), drop (no answer)
    types: tuple[str, ...] = ()  # A, AAAA, ...
    networks: tuple[str, ...] = ()  # CIDRs
    zones: tuple[Name, ...] = ()  # empty: the block's


@dataclass(frozen=True, slots=True)
class Autopath:
    """The `autopath` plugin: the rest of a pod's search path is walked by the server. `file`: a resolv.conf with the search
    domains that come after the cluster's; empty: none."""

    zones: tuple[Name, ...] = ()  # empty: the block's
    file: str = ""
    cluster: bool = True  # whether the cluster's own search domains are walked


@dataclass(frozen=True, slots=True)
class Log:
    """The `log` plugin: a line for each query below `zones` whose answer is of `classes` (all, success, denial, error)."""

    zones: tuple[Name, ...] = ()  # empty: the block's
    format: str = "{common}"
    classes: tuple[str, ...] = ("all",)


@dataclass(frozen=True, slots=True)
class Consolidation:
    """Error lines that `pattern` is found in are counted for `period` seconds, then named in one line."""

    period: float
    pattern: str
    level: str = "error"  # error, warning, info, debug
    show_first: bool = False  # whether the first is logged at once


@dataclass(frozen=True, slots=True)
class Errors:
    """The `errors` plugin. Of `consolidate`, the first whose pattern is found counts; `stacktrace` has no meaning here."""

    consolidate: tuple[Consolidation, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A server block: queries to `port` for names below one of `zones`. The longest zone of all blocks of a port wins."""

    zones: tuple[Name, ...] = (ROOT,)
    port: int = PORT
    transport: str = "dns"  # dns (UDP and TCP), tls
    binds: tuple[str, ...] = ()  # addresses; empty: all of the machine's
    tls: Tls | None = None
    access: tuple[AccessRule, ...] = ()
    kubernetes: Kubernetes | None = None
    hosts: Hosts | None = None
    rewrites: tuple[Rewrite, ...] = ()
    cache: Cache | None = None
    autopath: Autopath | None = None
    forwards: tuple[Forward, ...] = ()
    logs: tuple[Log, ...] = ()
    errors: Errors | None = None
    loadbalance: bool = False  # whether the addresses of an answer take turns
    loop: bool = False
    bufsize: int = 0  # the most that is sent by UDP; 0: the server's own
    minimal: bool = False  # whether answers go without authority and additional records where they may
    hinfo_for_any: bool = False  # RFC 8482: queries of type ANY get one HINFO record


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. Addresses are HOST:PORT, host empty for all; empty: not served."""

    blocks: tuple[Block, ...] = field(default_factory=lambda: (Block(),))
    health: str = ":8080"
    lameduck: float = 5.0
    ready: str = ":8181"
    metrics: str = ":9153"
    reload: float = 30.0  # seconds between looks at the Corefile; 0: never
    reload_jitter: float = 0.0  # seconds around `reload` that servers spread themselves over
    workers: int = 0  # processes that answer by UDP; 0: as many as there are processors, at most 4
    client_limit: int = 0  # queries a second that one client address is answered by one worker; 0: any number
    ignored: tuple[str, ...] = ()  # what was asked for and has no effect here, a sentence each
