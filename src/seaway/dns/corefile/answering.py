"""The lines of the plugins that answer or pass on: hosts, acl, autopath, loadbalance, loop, minimal, any; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.problems import meant
from seaway.dns.corefile.quantities import duration, is_address, whole
from seaway.dns.corefile.scope import Scope, only
from seaway.dns.corefile.zones import fallthrough, zones
from seaway.dns.presentation import TYPES
from seaway.dns.settings import AccessRule, Autopath, Hosts

HOSTS_PROPERTIES = "fallthrough fallthrough_unsupported no_reverse ttl reload".split()
ACTIONS = ("allow", "block", "filter", "drop")


def hosts(found: Sequence[Directive], scope: Scope) -> Hosts:
    directive = only(found)
    file, *names = directive.args or ("/etc/hosts",)
    settings = Hosts(file=scope.path(file), zones=zones(tuple(names), directive.line))
    needs: Line | None = None
    for line in directive.properties:
        if line.word == "fallthrough_unsupported":
            line.alone()
            needs, settings = line, replace(settings, fallthrough_types=True)
        elif line.word in HOSTS_PROPERTIES:
            settings = _hosts_property(settings, line)
        elif settings.fallthrough is not None:  # CoreDNS: rows stand before fallthrough
            raise line.unknown(HOSTS_PROPERTIES, "rows stand before fallthrough" if is_address(line.word) else "")
        elif is_address(line.word.partition("%")[0]):
            settings = replace(settings, rows=(*settings.rows, " ".join((line.word, *line.args))))
        else:
            hint = meant(line.word, HOSTS_PROPERTIES)
            scope.ignore(line, f"the row {' '.join((line.word, *line.args))!r} does not begin with an address{hint}")
    if needs and settings.fallthrough is None:
        raise needs.error("fallthrough_unsupported needs fallthrough")
    return settings


def _hosts_property(settings: Hosts, line: Line) -> Hosts:
    match line.word:
        case "fallthrough":
            return replace(settings, fallthrough=fallthrough(line))
        case "no_reverse":
            return replace(settings, reverse=False)
        case "ttl":
            return replace(settings, ttl=whole(line, line.takes(1, None, "ttl SECONDS")[0], 1, 65535))
    (text,) = line.takes(1, 1, "reload DURATION")
    seconds = duration(line, text)
    if seconds < 0:
        raise line.error(f"reload cannot be negative: {text}; 0 is never")
    return replace(settings, reload=seconds)


def access(found: Sequence[Directive], scope: Scope) -> tuple[AccessRule, ...]:
    """The rules of all `acl` directives, in their order: the first that matches decides."""
    rules = []
    for directive in found:
        listed = zones(directive.args, directive.line)
        for line in directive.properties:
            if line.word.lower() not in ACTIONS:
                raise line.unknown(ACTIONS, f"a rule begins with {', '.join(ACTIONS)}")
            types, networks = _sections(line)
            rules.append(AccessRule(line.word.lower(), types, networks, listed))
    return tuple(rules)


def _sections(line: Line) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`type A AAAA net 10.0.0.0/8`: each section may be left out, which is all; a * is all as well."""
    gathered: dict[str, list[str]] = {}
    section = ""
    for word in line.args:
        if word.lower() in ("type", "net"):
            if section and not gathered[section]:
                raise line.error(f"nothing stands after {section}")
            section = word.lower()
            gathered.setdefault(section, [])
        elif not section:
            raise line.error(f"write {line.word} [type QTYPE...] [net CIDR...], not {word!r}")
        else:
            gathered[section].append(_record_type(line, word) if section == "type" else _network(line, word))
    if section and not gathered[section]:
        raise line.error(f"nothing stands after {section}")
    types, networks = gathered.get("type", []), gathered.get("net", [])
    return () if "*" in types else tuple(types), () if "*" in networks else tuple(networks)


def _record_type(line: Line, word: str) -> str:
    if word != "*" and word not in TYPES:
        hint = f"; did you mean {word.upper()}?" if word.upper() in TYPES else ""
        raise line.error(f"{word!r} is not a type of record{hint}")
    return word


def _network(line: Line, word: str) -> str:
    if word == "*":
        return word
    try:
        return str(ipaddress.ip_network(word, strict=False))
    except ValueError:
        raise line.error(f"{word!r} is neither an address nor a network like 10.0.0.0/8") from None


def autopath(found: Sequence[Directive], scope: Scope) -> Autopath:
    """`@kubernetes`: the cluster's search domains, then those of this machine's resolv.conf; a file: its alone."""
    line = found[-1].line
    found[-1].no_properties()
    *names, source = line.takes(1, None, "autopath [ZONE...] @kubernetes|RESOLV-CONF")
    listed = zones(tuple(names), line)
    if source == "@kubernetes":
        return Autopath(listed, "/etc/resolv.conf")
    if source.startswith("@"):
        scope.ignore(line, f"{source[1:]} has no search path: only @kubernetes or a file can be given")
        return Autopath(listed, "", cluster=False)
    path = scope.path(source)
    try:
        scope.outside.text(path)
    except (OSError, UnicodeDecodeError):
        hint = meant("@" + source, ("@kubernetes",))
        raise line.error(f"the file {path} cannot be read{hint}") from None
    return Autopath(listed, path, cluster=False)


def loadbalance(found: Sequence[Directive], scope: Scope) -> bool:
    for directive in found:
        line = directive.line
        policy, *rest = line.args or ("round_robin",)
        if policy not in ("round_robin", "weighted"):
            raise line.error(f"the policy is round_robin or weighted, not {policy!r}")
        if len(rest) != (policy == "weighted"):
            raise line.error("write loadbalance [round_robin | weighted FILE]")
        for one in directive.properties:
            if policy == "weighted" and one.word == "reload":
                duration(one, one.takes(1, 1, "reload DURATION")[0])
            elif policy == "round_robin" and one.word == "prefer":
                for text in one.args:
                    if "/" not in text:
                        raise one.error(f"prefer: {text!r} is not a network like 10.0.0.0/8")
                    _network(one, text)
                scope.ignore(one, "prefer is not supported: all addresses take turns")
            else:
                raise one.unknown(("reload",) if policy == "weighted" else ("prefer",))
        if policy == "weighted":
            scope.ignore(line, "weighted is not supported: all addresses take turns alike")
    return True


def switch(found: Sequence[Directive], scope: Scope) -> bool:
    """`loop`, `minimal` and `any`: on, and no more to be said."""
    directive = only(found)
    directive.line.alone()
    directive.no_properties()
    return True
