"""Which name servers a pod asks, in which domains and how: its dnsPolicy, dnsConfig and the node's own resolv.conf, merged as
the kubelet does (pkg/kubelet/network/dns/dns.go); pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

Tree = dict[str, Any]
NAMESERVERS, SEARCHES, SEARCH_CHARACTERS = 3, 32, 2048  # pkg/apis/core/validation: MaxDNS...
SEARCH_LENGTH = 253  # a longer one makes some resolvers abort
CLUSTER_OPTIONS = ("ndots:5",)
FORMING = "DNSConfigForming"
CHECK_LIMITS = "CheckLimitsForResolvConf"


class ResolvConfError(ValueError):
    """A resolv.conf that cannot be read, in upstream's words."""


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """A resolv.conf as values; an option is `name` or `name:value`."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def text(self) -> str:
        """As container runtimes write it."""
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {server}" for server in self.servers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(line + "\n" for line in lines)


def parse(text: str) -> ResolvConf:
    """Name servers add up, the last `search` counts, and the last word on an option."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: dict[str, str] = {}
    problems = []
    for line in text.split("\n"):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if fields[0] == "nameserver":
            if len(fields) > 1:
                servers.append(fields[1])
            else:
                problems.append("nameserver list is empty ")
        elif fields[0] == "search":  # with and without its dot a domain counts once
            searches = tuple(s if s == "." else s.removesuffix(".") for s in fields[1:])
        elif fields[0] == "options":
            options.update({name_of(option): option for option in fields[1:]})
    if problems:
        distinct = list(dict.fromkeys(problems))
        raise ResolvConfError(distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]")
    return ResolvConf(tuple(servers), searches, tuple(options.values()))


def name_of(option: str) -> str:
    return option.partition(":")[0]


def unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def asks_the_cluster(spec: Tree) -> bool:
    """Whether the policy means the cluster's DNS. A pod on its node's network has to ask for that by the policy's name."""
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst":
        return not spec.get("hostNetwork")
    return policy not in ("Default", "None")


def merged_options(options: Sequence[str], more: Iterable[Tree]) -> tuple[str, ...]:
    """The pod's options over those there are; an empty value is none."""
    found = {name_of(option): option for option in options}
    for option in more:
        value = option.get("value")
        found[option["name"]] = f"{option['name']}:{value}" if value else option["name"]
    return tuple(found.values())


def of_pod(pod: Tree, node: ResolvConf, cluster: Sequence[str], domain: str) -> tuple[ResolvConf, tuple[str, ...]]:
    """The pod's resolv.conf, and what was left out of it: warnings for events. `node` is the node's own, `cluster` are the
    addresses of the cluster's DNS and `domain` is its domain."""
    spec, found = pod["spec"], node
    if spec.get("dnsPolicy") == "None":
        found = ResolvConf()
    elif asks_the_cluster(spec) and cluster:
        own = (f"{pod['metadata']['namespace']}.svc.{domain}", f"svc.{domain}", domain) if domain else ()
        searches = unique((*own, *node.searches)) if domain else node.searches
        found = ResolvConf(tuple(cluster), searches, CLUSTER_OPTIONS)
    config = spec.get("dnsConfig")
    if config is not None:
        found = ResolvConf(
            unique((*found.servers, *(config.get("nameservers") or ()))),
            unique((*found.searches, *(config.get("searches") or ()))),
            merged_options(found.options, config.get("options") or ()),
        )
    return within_limits(found)


def within_limits(wanted: ResolvConf) -> tuple[ResolvConf, tuple[str, ...]]:
    """What resolvers take of it, and a warning for each kind of thing that was too much."""
    warnings = []
    servers = wanted.servers
    if len(servers) > NAMESERVERS:
        servers = servers[:NAMESERVERS]
        warnings.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
            + " ".join(servers)
        )
    searches = tuple(s for s in wanted.searches[:SEARCHES] if len(s) <= SEARCH_LENGTH)
    while len(" ".join(searches)) > SEARCH_CHARACTERS:
        searches = searches[:-1]
    if searches != wanted.searches:
        warnings.append(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
            + " ".join(searches)
        )
    return replace(wanted, servers=servers, searches=searches), tuple(warnings)


def beyond_limits(node: ResolvConf, path: str, domain: str) -> str:
    """What of a node's resolv.conf at `path` pods cannot be given beside the cluster's own domains; empty: nothing."""
    most = SEARCHES - 3 if domain else SEARCHES
    if len(node.searches) > most:
        return f"Resolv.conf file '{path}' contains search line consisting of more than {most} domains!"
    if any(len(search) > SEARCH_LENGTH for search in node.searches):
        return (
            f'Resolv.conf file "{path}" contains a search path which length is more than allowed {SEARCH_LENGTH} chars!'
        )
    if len(" ".join(node.searches)) > SEARCH_CHARACTERS:
        return f"Resolv.conf file '{path}' contains search line which length is more than allowed {SEARCH_CHARACTERS} chars!"
    return ""


def of_node(machine: str, servers: Sequence[str], searches: Sequence[str] | None) -> str:
    """A node's resolv.conf: these name servers, and these search domains, or (None) those of the machine's file with its
    options. An empty list of servers asks nobody: resolvers then try the loopback, where nobody answers."""
    found = ResolvConf(tuple(servers))
    if searches is not None:
        found = replace(found, searches=tuple(searches))
    else:
        try:
            there = parse(machine)
        except ResolvConfError:
            there = ResolvConf()
        found = replace(found, searches=there.searches, options=there.options)
    return f"# Written by the node; pods with dnsPolicy Default ask these.\n{found.text()}"
