"""The `forward` plugin's lines (plugin/forward/setup.go); pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.quantities import duration, host_port, is_address, one_of, rcode, whole
from seaway.dns.corefile.scope import Scope
from seaway.dns.corefile.upstreams import targets
from seaway.dns.corefile.zones import written, zones
from seaway.dns.presentation import name
from seaway.dns.settings import Forward, Tls

UPSTREAM_LIMIT = 15
POLICIES = ("random", "round_robin", "sequential")
PROPERTIES = (
    "except max_fails max_connect_attempts health_check force_tcp prefer_udp tls tls_servername expire max_age max_idle_conns "
    "read_timeout doh_method policy max_concurrent next next_on_nodata failfast_all_unhealthy_upstreams failover resolver "
    "source_address"
).split()
_UINT32 = (1 << 32) - 1


def forwards(found: Sequence[Directive], scope: Scope) -> tuple[Forward, ...]:
    return tuple(_forward(directive, scope) for directive in found)


def _forward(directive: Directive, scope: Scope) -> Forward:
    line = directive.line
    origin, *to = line.takes(2, None, "forward FROM TO...")
    origins = zones((origin,), line)
    if len(origins) > 1:
        scope.ignore(line, f"{origin} stands for {len(origins)} zones; only {written(origins[0])} is forwarded")
    settings = Forward(origin=origins[0])
    server_name, max_age = "", 0.0
    for one in directive.properties:
        if one.word == "tls_servername":
            (server_name,) = one.takes(1, 1, "tls_servername NAME")
        elif one.word == "max_age":
            max_age = _duration(one)
            scope.ignore(one, "max_age has no effect: connections are kept as long as they are used")
        elif one.word == "resolver":
            _resolvers(one)
            scope.ignore(one, "resolver has no effect: host names of upstreams are resolved by the system")
        else:
            settings = _property(settings, one, scope)
    if 0 < max_age < settings.expire:
        raise line.error("max_age must not be less than expire")
    if len(to) > UPSTREAM_LIMIT:
        raise line.error(f"at most {UPSTREAM_LIMIT} upstreams, not {len(to)}")
    upstreams, files = targets(line, tuple(to), scope)
    if server_name:
        named = next((u for u in upstreams if u.server_name), None)
        if named:
            raise line.error(f"both tls_servername and {named.host}%{named.server_name} name the server; delete one of them")
        settings = replace(settings, tls=replace(settings.tls or Tls(), server_name=server_name))
    return replace(settings, upstreams=upstreams, files=files)


def _property(settings: Forward, line: Line, scope: Scope) -> Forward:
    match line.word:
        case "except":
            names = zones(line.takes(1, None, "except NAME..."), line)
            return replace(settings, excepted=tuple(dict.fromkeys((*settings.excepted, *names))))
        case "max_fails":
            (text,) = line.takes(1, 1, "max_fails NUMBER")
            return replace(settings, max_fails=whole(line, text, 0, _UINT32))
        case "health_check":
            return _health_check(settings, line)
        case "force_tcp":
            line.alone()
            return replace(settings, force_tcp=True)
        case "prefer_udp":
            line.alone()
            return replace(settings, prefer_udp=True)
        case "tls":
            return replace(settings, tls=_tls(line, scope))
        case "expire":
            return replace(settings, expire=_duration(line))
        case "policy":
            (text,) = line.takes(1, 1, "policy " + "|".join(POLICIES))
            return replace(settings, policy=one_of(line, text, POLICIES))
        case "max_concurrent":
            (text,) = line.takes(1, 1, "max_concurrent NUMBER")
            return replace(settings, max_concurrent=whole(line, text, 0))
        case "next":
            codes = line.takes(1, None, "next RCODE...")
            return replace(settings, next_on=(*settings.next_on, *(rcode(line, c) for c in codes)))
        case "next_on_nodata":
            line.alone()
            return replace(settings, next_on_nodata=True)
        case "failover":
            found = tuple(rcode(line, c) for c in line.takes(1, None, "failover RCODE..."))
            if "NOERROR" in found:
                raise line.error("failover cannot hold NOERROR: it is the rcode of an answer that is right")
            return replace(settings, failover_on=(*settings.failover_on, *found))
        case "failfast_all_unhealthy_upstreams":
            line.alone()
            return replace(settings, failfast_all_unhealthy=True)
        case "source_address":
            (text,) = line.takes(1, 1, "source_address ADDRESS")
            if not is_address(text):
                raise line.error(f"source_address {text!r} is not an address")
            return replace(settings, source=text)
    _without_effect(line, scope)
    return settings


def _health_check(settings: Forward, line: Line) -> Forward:
    form = "health_check DURATION [no_rec] [domain FQDN]"
    interval, *options = line.takes(1, None, form)
    settings = replace(settings, health_interval=_not_negative(line, interval), health_domain=())
    while options:
        match options.pop(0):
            case "no_rec":
                settings = replace(settings, health_recursion=False)
            case "domain" if options:
                text = options.pop(0)
                try:
                    settings = replace(settings, health_domain=name(text))
                except ValueError as e:
                    raise line.error(f"health_check: {e}") from None
            case word:
                raise line.error(f"write {form}; {word!r} has no place in it")
    return settings


def _tls(line: Line, scope: Scope) -> Tls:
    files = [scope.path(a) for a in line.takes(0, 3, "tls [CA | CERT KEY [CA]]")]
    if len(files) == 1:
        return Tls(authority=files[0])
    return Tls(*files)


def _resolvers(line: Line) -> None:
    for text in line.takes(1, None, "resolver ADDRESS[:PORT]..."):
        pair = host_port(text)
        if not is_address(pair[0] if pair else text):
            raise line.error(f"a resolver is an address or ADDRESS:PORT, not {text!r}")


def _not_negative(line: Line, text: str) -> float:
    seconds = duration(line, text)
    if seconds < 0:
        raise line.error(f"{line.word} cannot be negative: {text}")
    return seconds


def _duration(line: Line) -> float:
    (text,) = line.takes(1, 1, f"{line.word} DURATION")
    return _not_negative(line, text)


def _without_effect(line: Line, scope: Scope) -> None:
    match line.word:
        case "max_connect_attempts" | "max_idle_conns":
            (text,) = line.takes(1, 1, f"{line.word} NUMBER")
            whole(line, text, 0)
        case "read_timeout":
            if _duration(line) == 0:
                raise line.error("read_timeout must be more than 0")
        case "doh_method":
            (text,) = line.takes(1, 1, "doh_method GET|POST")
            one_of(line, text, ("GET", "POST"))
        case _:
            raise line.unknown(PROPERTIES)
    scope.ignore(line, f"{line.word} has no effect: the forwarder sets its own bounds")
